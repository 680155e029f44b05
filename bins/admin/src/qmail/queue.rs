//! Recipients in qmail's queue that are still to be delivered.

use super::files::{self, cannot};
use qmail_lookup_core::Host;
use qmail_lookup_core::control::first_line;
use qmail_lookup_core::virtuals::{Encoded, Queued};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result};
use std::path::Path;

/// Longest record of the queue; qmail-queue takes no address of more than 1003 bytes. Unit: bytes.
const RECORD_MAX: u64 = 64 << 10;

/// What the queue holds, as far as hosts go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Host keys of encoded recipients (`=HOST=-USER@DOMAIN`) that are not delivered yet: queue/local.
    pub(crate) encoded: BTreeSet<Host>,
    /// Domains of recipients that qmail-send has not routed yet: queue/todo.
    pub(crate) unrouted: BTreeSet<Host>,
}

impl Held {
    /// Whether taking the line of `host`, perhaps a `.suffix`, out of virtualdomains could misroute something.
    pub(crate) fn needs(&self, host: &Host) -> bool {
        let below = |domain: &Host| domain.as_bytes().ends_with(host.as_bytes());
        let is_suffix = host.as_bytes().starts_with(b".");
        self.encoded.contains(host) || self.unrouted.contains(host) || is_suffix && self.unrouted.iter().any(below)
    }
}

/// Reads the queue below `qmail`: todo and local, with and without split folders. A message that goes away meanwhile is
/// no error.
///
/// todo comes first: qmail-send writes a message's file in local before it takes the one in todo away, so that one of the
/// two is seen. intd is not read: what has not been linked from there to todo has not been accepted yet, and comes later,
/// as does what qmail-smtpd is still receiving.
///
/// # Errors
/// If it cannot be read. The error names what.
pub(crate) fn read(qmail: &Path) -> Result<Held> {
    let mut held = Held::default();
    let (queue, added) = (qmail.join("queue"), added(qmail)?);
    each_message(&queue.join("todo"), true, &mut |file| {
        each_to_do(file, |recipient| add_domains(recipient, added.as_deref(), &mut held.unrouted))
    })?;
    each_message(&queue.join("local"), true, &mut |file| {
        each_to_do(file, |recipient| held.encoded.extend(host(recipient)))
    })?;
    Ok(held)
}

/// The host key of an encoded recipient. What somebody typed so at another host has none.
fn host(recipient: &[u8]) -> Option<Host> {
    let Some(at) = recipient.iter().rposition(|&b| b == b'@') else {
        // Cut before its domain: it counts.
        return Encoded::decode(recipient).map(|encoded| encoded.host);
    };
    match Queued::of(&recipient[..at], &recipient[at + 1..]) {
        Queued::Virtual(encoded) => Some(encoded.host),
        Queued::Plain | Queued::Forged => None,
    }
}

/// The domain that qmail-send adds to a recipient without one.
fn added(qmail: &Path) -> Result<Option<Vec<u8>>> {
    for name in ["envnoathost", "me"] {
        let content = files::read(&qmail.join("control").join(name))?;
        if let Some(line) = content.as_deref().and_then(first_line) {
            return Ok(Some(line.to_vec()));
        }
    }
    Ok(None)
}

/// Every domain for which qmail-send may yet look: the written one, else the one that is `added`; and by
/// control/percenthack those behind a `%`.
fn add_domains(recipient: &[u8], added: Option<&[u8]>, domains: &mut BTreeSet<Host>) {
    let at = recipient.iter().rposition(|&b| b == b'@');
    let (local, domain) = at.map_or((recipient, added), |at| (&recipient[..at], Some(&recipient[at + 1..])));
    for domain in domain.into_iter().chain(local.split(|&b| b == b'%').skip(1)) {
        if let Some(host) = Host::new(domain)
            && !domains.contains(&host)
        {
            domains.insert(host);
        }
    }
}

/// Calls `each` for every message in `folder` and, if it is `split`, in the folders in it; all their names are numbers.
fn each_message(folder: &Path, split: bool, each: &mut impl FnMut(File) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(cannot("read", folder))? {
        let entry = entry.map_err(cannot("read", folder))?;
        if !entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let path = entry.path();
        let read = match kind(&entry) {
            Ok(Kind::Message) => File::open(&path).and_then(&mut *each),
            Ok(Kind::Folder) if split => {
                each_message(&path, false, each)?;
                continue;
            }
            Ok(Kind::Folder | Kind::Other) => continue,
            Err(error) => Err(error),
        };
        match read {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(cannot("read", &path)(error)),
            _ => (),
        }
    }
    Ok(())
}

enum Kind {
    Folder,
    Message,
    Other,
}

fn kind(entry: &fs::DirEntry) -> Result<Kind> {
    let is = entry.file_type()?;
    let is = if is.is_symlink() { fs::metadata(entry.path())?.file_type() } else { is };
    Ok(match (is.is_dir(), is.is_file()) {
        (true, _) => Kind::Folder,
        (_, true) => Kind::Message,
        _ => Kind::Other,
    })
}

/// Calls `each` for every recipient in a message's file that is still to do. The last record may lack its NUL: it is being
/// written.
fn each_to_do(file: File, mut each: impl FnMut(&[u8])) -> Result<()> {
    let mut file = BufReader::new(file);
    let mut record = Vec::new();
    loop {
        record.clear();
        if file.by_ref().take(RECORD_MAX).read_until(0, &mut record)? == 0 {
            return Ok(());
        }
        let whole = record.pop_if(|last| *last == 0).is_some();
        if !whole && u64::try_from(record.len()).is_ok_and(|length| length >= RECORD_MAX) {
            return Err(Error::new(ErrorKind::InvalidData, "it holds a record that is longer than any of qmail's"));
        }
        if let Some((b'T', recipient)) = record.split_first() {
            each(recipient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qmail(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in ["todo", "local/0", "local/22"] {
            fs::create_dir_all(folder.path().join("queue").join(path)).unwrap();
        }
        for (path, content) in files {
            let path = folder.path().join("queue").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn hosts(names: &[&str]) -> BTreeSet<Host> {
        names.iter().map(|name| Host::new(name.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn recipients_that_are_still_to_be_delivered_hold_their_host() {
        let qmail = qmail(&[
            ("local/0/1150", b"T=bar.com=-x@Bar.COM\0D=done.com=-x@done.com\0Tiain@foo.com\0"),
            ("local/22/7", b"D=foo.com=-x@foo.com\0T=.wild.test=-a@b@deep.wild.test\0"),
            ("local/22/8", b"T=forged.com=-x@foo.com\0"),
        ]);
        assert_eq!(read(qmail.path()).unwrap().encoded, hosts(&["bar.com", ".wild.test"]));
    }

    #[test]
    fn what_is_not_routed_yet_holds_its_domain_with_and_without_split_folders() {
        let records = b"u501\0p77\0Fsender@x.test\0Tany@One.test\0Tb%two.test%three.test@four.test\0Tnobody\0T@\0";
        let qmail = qmail(&[("todo/12", records), ("todo/3/15", b"u1\0p2\0F\0Tq@five.test\0")]);
        let held = read(qmail.path()).unwrap();
        assert_eq!(held.unrouted, hosts(&["one.test", "two.test", "three.test", "four.test", "five.test"]));
        assert_eq!(held.encoded, hosts(&[]));
    }

    #[test]
    fn a_recipient_without_a_domain_holds_the_one_that_qmail_send_adds() {
        let qmail = qmail(&[("todo/12", b"Tnobody\0Tx@one.test\0")]);
        let control = |name: &str| qmail.path().join("control").join(name);
        fs::create_dir(control("")).unwrap();
        let unrouted = || read(qmail.path()).unwrap().unrouted;
        assert_eq!(unrouted(), hosts(&["one.test"]));
        fs::write(control("me"), "Me.test \n").unwrap();
        assert_eq!(unrouted(), hosts(&["me.test", "one.test"]));
        fs::write(control("envnoathost"), "added.test\n").unwrap();
        assert_eq!(unrouted(), hosts(&["added.test", "one.test"]));
        fs::remove_file(control("me")).unwrap();
        fs::create_dir(control("me")).unwrap();
        assert_eq!(unrouted(), hosts(&["added.test", "one.test"]));
        fs::remove_file(control("envnoathost")).unwrap();
        assert!(read(qmail.path()).is_err(), "it is not known");
    }

    #[test]
    fn a_file_that_is_being_written_counts_as_far_as_it_goes() {
        let qmail = qmail(&[("local/0/1", b"T=bar.com=-x@bar.com\0T=foo.com=-us"), ("local/0/2", b"T=half.co")]);
        assert_eq!(read(qmail.path()).unwrap().encoded, hosts(&["bar.com", "foo.com"]));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_what_is_no_message_is_passed_by() {
        let qmail = qmail(&[("local/0/notes", b"T=bar.com=-x@bar.com\0")]);
        std::os::unix::fs::symlink("gone", qmail.path().join("queue/local/0/5")).unwrap();
        nix::unistd::mkfifo(&qmail.path().join("queue/local/0/6"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(qmail.path()).unwrap(), Held::default());

        let long = qmail.path().join("queue/local/0/4");
        fs::write(&long, vec![b'T'; 70_000]).unwrap();
        assert!(read(qmail.path()).unwrap_err().to_string().starts_with(&format!("cannot read {}: ", long.display())));
        fs::remove_file(long).unwrap();

        let todo = qmail.path().join("queue/todo");
        fs::remove_dir(&todo).unwrap();
        assert!(read(qmail.path()).unwrap_err().to_string().starts_with(&format!("cannot read {}: ", todo.display())));
        std::os::unix::fs::symlink("todo", &todo).unwrap();
        assert!(read(qmail.path()).is_err());
    }

    #[test]
    fn a_host_is_needed_by_its_own_recipients_and_a_suffix_by_all_below() {
        let held = Held { encoded: hosts(&["bar.com", ".wild.test"]), unrouted: hosts(&["deep.new.test", "foo.com"]) };
        for (host, needed) in [
            ("bar.com", true),
            (".wild.test", true),
            ("foo.com", true),
            (".new.test", true),
            ("new.test", false),
            (".com", true),
            (".org", false),
            ("x.wild.test", false),
        ] {
            assert_eq!(held.needs(&Host::new(host.as_bytes()).unwrap()), needed, "{host}");
        }
    }
}
