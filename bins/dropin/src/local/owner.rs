//! Owners of lists: where bounces of forwarded mail go.

use super::recipient::Recipient;
use super::report::Outcome;
use super::search;
use qmail_lookup_core::dotqmail;
use qmail_lookup_core::rules::OwnerFlags;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The sender of a bounce that could not be delivered.
const DOUBLE_BOUNCE: &[u8] = b"#@[]";

/// The envelope sender of forwarded mail. `rows` says which owners exist as rows; files are looked for here (rule A5).
///
/// # Errors
/// A deferral if it is not known whether a file exists.
pub fn new_sender(recipient: &Recipient, rows: OwnerFlags) -> Outcome<Vec<u8>> {
    new_sender_in(Path::new(""), recipient, rows)
}

fn new_sender_in(folder: &Path, recipient: &Recipient, rows: OwnerFlags) -> Outcome<Vec<u8>> {
    let Recipient { local, dash, ext, domain, sender, .. } = recipient;
    let exists = |suffix: &[u8]| match rows.no_files {
        true => Ok(false),
        false => exists(folder, &dotqmail::file_name(dash, ext, suffix)),
    };
    if sender.is_empty() || sender == DOUBLE_BOUNCE || !(rows.owner || exists(b"-owner")?) {
        return Ok(sender.clone());
    }
    if rows.owner_default || exists(b"-owner-default")? {
        // qmail-send makes an address for each recipient of this.
        return Ok([local, &b"-owner-@"[..], domain, b"-@[]"].concat());
    }
    Ok([local, &b"-owner@"[..], domain].concat())
}

/// Whether anything stands at `name`, whatever it is. One that may not be looked at counts as none, as in the stock
/// program: mail goes on with the sender that it has.
fn exists(folder: &Path, name: &[u8]) -> Outcome<bool> {
    match std::fs::metadata(folder.join(OsStr::from_bytes(name))) {
        Ok(_) => Ok(true),
        Err(error) if search::is_absence(&error) || error.kind() == ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(search::unopened(name, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const NO_ROWS: OwnerFlags = OwnerFlags { owner: false, owner_default: false, no_files: false };

    fn recipient(dash: &str, ext: &str, sender: &str) -> Recipient {
        Recipient {
            user: b"joe".to_vec(),
            home: b"/home/joe".to_vec(),
            local: ["joe", dash, ext].concat().into(),
            dash: dash.into(),
            ext: ext.into(),
            domain: b"host.test".to_vec(),
            sender: sender.into(),
        }
    }

    fn of(files: &[&str], recipient: &Recipient, rows: OwnerFlags) -> String {
        let home = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(home.path().join(file), "").unwrap();
        }
        String::from_utf8(new_sender_in(home.path(), recipient, rows).unwrap()).unwrap()
    }

    #[test]
    fn files_and_rows_count_alike() {
        let (owner, default) = (".qmail-list-owner", ".qmail-list-owner-default");
        let list = recipient("-", "list", "send@er.test");
        for (has_owner, has_default, expected) in [
            (false, false, "send@er.test"),
            (false, true, "send@er.test"),
            (true, false, "joe-list-owner@host.test"),
            (true, true, "joe-list-owner-@host.test-@[]"),
        ] {
            for in_rows in 0..4 {
                let (owner_row, default_row) = (has_owner && in_rows & 1 == 1, has_default && in_rows & 2 == 2);
                let mut files = vec![".qmail-list", ".qmail-default-owner", ".qmail-owner"];
                files.extend((has_owner && !owner_row).then_some(owner));
                files.extend((has_default && !default_row).then_some(default));
                let rows = OwnerFlags { owner: owner_row, owner_default: default_row, no_files: false };
                assert_eq!(of(&files, &list, rows), expected, "{files:?} {rows:?}");
            }
        }
    }

    #[test]
    fn bounces_keep_their_sender() {
        let files = [".qmail-list-owner", ".qmail-list-owner-default"];
        for sender in ["", "#@[]"] {
            let rows = OwnerFlags { owner: true, owner_default: true, no_files: false };
            assert_eq!(of(&files, &recipient("-", "list", sender), rows), sender);
        }
        assert_ne!(of(&files, &recipient("-", "list", "#@[] "), NO_ROWS), "#@[] ");
    }

    #[test]
    fn the_whole_extension_names_the_file() {
        let sender = "send@er.test";
        assert_eq!(of(&[".qmail-owner"], &recipient("", "", sender), NO_ROWS), "joe-owner@host.test");
        let found = of(&[".qmail-a:b-owner"], &recipient("-", "A.b", sender), NO_ROWS);
        assert_eq!(found, "joe-A.b-owner@host.test");
        assert_eq!(of(&[".qmail-a-owner"], &recipient("-", "a-b", sender), NO_ROWS), sender);
    }

    #[test]
    fn whatever_stands_there_is_an_owner_if_it_can_be_looked_at() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        fs::create_dir(path(".qmail-folder-owner")).unwrap();
        symlink("/dev/null", path(".qmail-null-owner")).unwrap();
        symlink("nowhere", path(".qmail-dangling-owner")).unwrap();
        symlink(".qmail-circle-owner", path(".qmail-circle-owner")).unwrap();
        let long = "x".repeat(300);
        for (ext, is_owned) in
            [("folder", true), ("null", true), ("dangling", false), ("circle", false), (&long, false), ("a\0", false)]
        {
            let found = new_sender_in(home.path(), &recipient("-", ext, "send@er.test"), NO_ROWS).unwrap();
            assert_eq!(found != b"send@er.test", is_owned, "{ext}");
        }
    }
}
