use super::*;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use tempfile::TempDir;

const IAIN: Owner = Owner { uid: 20_001, gid: 20_001 };

/// A folder below which only root writes, whatever /tmp is. `None` if these tests do not run as root.
fn folder() -> Option<TempDir> {
    let folder = tempfile::Builder::new().prefix("ql.").tempdir_in("/var/lib").ok()?;
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    Uid::effective().is_root().then_some(folder)
}

fn home(folder: &TempDir, name: &str, uid: u32) -> PathBuf {
    let home = folder.path().join(name);
    std::fs::create_dir_all(&home).unwrap();
    chown(&home, Some(uid), Some(uid)).unwrap();
    home
}

fn is_command(mend: &Mend) -> bool {
    matches!(mend, Mend::Command(_))
}

#[test]
fn a_home_is_given_away_only_if_it_is_one_and_nobody_can_exchange_it() {
    let Some(folder) = folder() else { return };
    let rules = RuleSettings { deny_uids: vec![20_009], ..RuleSettings::default() };
    let give = |path: &Path| Place::look(path).unwrap().give(IAIN, &rules);
    let bobs = home(&folder, "bob", 20_002);
    assert_eq!(give(&bobs), Mend::Command(format!("chown -h 20001:20001 {}", bobs.display())));
    // The system's.
    for (name, uid) in [("root", 0), ("mail", 8), ("denied", 20_009)] {
        let said = give(&home(&folder, name, uid));
        assert!(!is_command(&said) && said.to_string().contains(&format!("belongs to uid {uid}")), "{said}");
    }
    for path in ["/etc", "/etc/passwd", "/"] {
        assert!(!is_command(&give(Path::new(path))), "{path}");
    }
    // A link, as the last name and before it.
    let link = folder.path().join("link");
    symlink(&bobs, &link).unwrap();
    let said = give(&link).to_string();
    assert!(said.starts_with(&format!("{} is a link to {}: ", link.display(), bobs.display())), "{said}");
    home(&folder, "bob/in", 20_002);
    assert!(!is_command(&give(&link.join("in"))));
    // Below a directory that bob writes.
    let said = give(&bobs.join("in"));
    assert!(!is_command(&said) && said.to_string().contains("others than root"), "{said}");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    chown(&file, Some(20_002), Some(20_002)).unwrap();
    assert!(give(&file).to_string().contains("is no directory"));
}

#[test]
fn a_mode_is_changed_only_where_the_path_itself_leads() {
    let Some(folder) = folder() else { return };
    let (bobs, iains) = (home(&folder, "bob", 20_002), home(&folder, "iain", 20_001));
    let change = |path: &Path, directory: &Path| Place::look(path).unwrap().change_mode(directory, "o+x", IAIN);
    let to = |path: &Path| format!("chmod o+x {}", path.display());
    assert_eq!(change(&iains, &iains), Mend::Command(to(&iains)));
    assert_eq!(change(&iains, folder.path()), Mend::Command(to(folder.path())));
    // What iain has in his home he may exchange: he changes it himself.
    let maildir = home(&folder, "iain/Maildir", 20_001);
    assert_eq!(change(&maildir, &maildir), Mend::Command(format!("{} {}", IAIN.runs(), to(&maildir))));
    let foreign = home(&folder, "iain/Maildir/cur", 20_002);
    assert!(!is_command(&change(&foreign, &foreign)));
    // A link that he made opens nobody else's directory.
    home(&folder, "bob/Maildir", 20_002);
    let new = maildir.join("new");
    symlink(bobs.join("Maildir"), &new).unwrap();
    for directory in [&bobs, &bobs.join("Maildir"), &new] {
        let said = change(&new, directory);
        let link = format!("{} is a link to {}/Maildir: ", new.display(), bobs.display());
        assert!(!is_command(&said) && said.to_string().starts_with(&link), "{said}");
    }
    // What comes before the link is the path's own.
    assert_eq!(change(&new, &iains), Mend::Command(to(&iains)));
}

#[test]
fn a_home_is_made_only_where_its_file_system_is() {
    let Some(folder) = folder() else { return };
    let path = folder.path().join("iain");
    let made = make_home(&path, IAIN);
    assert_eq!(made, Mend::Command(format!("install -d -m 0700 -o 20001 -g 20001 {}", path.display())));
    let said = make_home(&path.join("deeper"), IAIN);
    assert!(!is_command(&said) && said.to_string().contains("is its file system mounted?"), "{said}");
    symlink("/nonexistent", &path).unwrap();
    assert!(!is_command(&make_home(&path, IAIN)));
    assert!(!is_command(&make_home(&home(&folder, "bob", 20_002).join("x"), IAIN)));
}

#[test]
fn a_path_stands_in_a_command_as_one_word_or_not_at_all() {
    assert_eq!(quoted(b"/home/mail/iain").as_deref(), Some("/home/mail/iain"));
    assert_eq!(quoted(b"-rf").as_deref(), Some("'-rf'"));
    assert_eq!(quoted(b"/home/o'neill; rm -r x").as_deref(), Some(r"'/home/o'\''neill; rm -r x'"));
    for bytes in [&b"/home/\xff"[..], b"/home/\x1b", "/home/\u{202e}nibs".as_bytes(), "/home/\u{ef}ain".as_bytes()] {
        assert_eq!(quoted(bytes), None);
    }
    assert_eq!(
        command_for("chmod -t", "/h/\u{202e}x".as_bytes()),
        Mend::Words(r"chmod -t, for /h/\xe2\x80\xaex".to_owned())
    );
}
