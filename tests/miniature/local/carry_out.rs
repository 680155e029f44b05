//! The instructions of a dot-qmail file, one after the other; what is forwarded goes into the queue at the end.

use super::environment::{dt_line, new_sender, rp_line, uf_line, variables};
use super::{Delivery, Found, Stop};
use crate::smtpd::hand_over;
use nix::fcntl::{Flock, FlockArg};
use std::ffi::OsStr;
use std::fs::{OpenOptions, hard_link, remove_file};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Files, forwards and programs.
#[derive(Default)]
struct Counts(usize, usize, usize);

/// Whether the lines that follow count.
enum Next {
    GoOn,
    Enough,
}

pub(super) fn carry_out(delivery: &Delivery<'_>, found: &Found, message: &[u8]) -> std::result::Result<String, Stop> {
    let (mut counts, mut forwards, mut forwards_only) = (Counts::default(), Vec::new(), found.forwards_only);
    for (number, line) in found.text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii_end();
        match line.split_first() {
            None if number == 0 => {
                return Err(Stop::deferred("Uh-oh: first line of .qmail file is blank. (#4.2.1)"));
            }
            None | Some((b'#', _)) => {}
            Some((b'+', rest)) => forwards_only |= rest == b"list",
            Some((b'.' | b'/' | b'|', _)) if forwards_only => {
                return Err(Stop::deferred("Uh-oh: .qmail has delivery but has x bit set. (#4.7.0)"));
            }
            Some((b'.' | b'/', _)) => {
                counts.0 += 1;
                match line.strip_suffix(b"/") {
                    Some(maildir) => to_maildir(delivery, maildir, message),
                    None => to_mbox(delivery, line, message),
                }
                .map_err(|error| {
                    Stop::deferred(format!("Unable to write {}: {error}. (#4.3.0)", crate::shown(line)))
                })?;
            }
            Some((b'|', program)) => {
                counts.2 += 1;
                if let Next::Enough = run(delivery, found, program)? {
                    break;
                }
            }
            Some((b'&', address)) => forwards.push(address),
            Some(_) => forwards.push(line),
        }
    }
    counts.1 = forwards.len();
    forward(delivery, &forwards, message)?;
    Ok(format!("did {}+{}+{}", counts.0, counts.1, counts.2))
}

fn to_maildir(delivery: &Delivery<'_>, maildir: &[u8], message: &[u8]) -> Result<()> {
    let folder = Path::new(OsStr::from_bytes(maildir));
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let name = format!("{}.{}.miniature", now.as_nanos(), std::process::id());
    let temporary = folder.join("tmp").join(&name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(&[&rp_line(delivery)[..], &dt_line(delivery), message].concat())?;
    file.sync_all()?;
    hard_link(&temporary, folder.join("new").join(name))?;
    remove_file(temporary)
}

fn to_mbox(delivery: &Delivery<'_>, name: &[u8], message: &[u8]) -> Result<()> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(OsStr::from_bytes(name))?;
    let mut file = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    let mut text = [uf_line(delivery), rp_line(delivery), dt_line(delivery)].concat();
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if is_quoted(line) {
            text.push(b'>');
        }
        text.extend_from_slice(line);
    }
    if text.last() != Some(&b'\n') {
        text.push(b'\n');
    }
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_all()
}

/// `From `, however often it was quoted.
fn is_quoted(line: &[u8]) -> bool {
    let rest = line.iter().position(|byte| *byte != b'>').and_then(|at| line.get(at..));
    rest.is_some_and(|rest| rest.starts_with(b"From "))
}

fn run(delivery: &Delivery<'_>, found: &Found, program: &[u8]) -> std::result::Result<Next, Stop> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(OsStr::from_bytes(program)).envs(variables(delivery, found));
    // The message from its beginning: what has been read of it is shared with the child.
    let rewound = nix::unistd::lseek(std::io::stdin(), 0, nix::unistd::Whence::SeekSet);
    let status = rewound.map_err(Into::into).and_then(|_| command.stdin(Stdio::inherit()).status());
    match status.map(|status| status.code()) {
        Ok(Some(0)) => Ok(Next::GoOn),
        Ok(Some(99)) => Ok(Next::Enough),
        Ok(Some(100 | 64 | 65 | 70 | 76 | 77 | 78 | 112)) => Err(Stop::failed("")),
        Ok(Some(_)) => Err(Stop::deferred("")),
        Ok(None) => Err(Stop::deferred("Aack, child crashed. (#4.3.0)")),
        Err(error) => Err(Stop::deferred(format!("Unable to fork: {error}. (#4.3.0)"))),
    }
}

fn forward(delivery: &Delivery<'_>, to: &[&[u8]], message: &[u8]) -> std::result::Result<(), Stop> {
    if to.is_empty() {
        return Ok(());
    }
    let recipients = to.iter().flat_map(|address| [b"T", *address, b"\0"].concat());
    let head = [&b"F"[..], &new_sender(delivery), b"\0"].concat();
    let envelope: Vec<u8> = head.into_iter().chain(recipients).chain([0]).collect();
    let message = [&dt_line(delivery)[..], message].concat();
    let home = crate::home().and_then(std::env::set_current_dir);
    match home.and_then(|()| hand_over(&message, &envelope)) {
        Ok(Some(0)) => Ok(()),
        Ok(Some(11..=40)) => Err(Stop::failed("Unable to forward message: qq permanent problem (#5.3.0).")),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Stop::deferred("Unable to run qmail-queue. (#4.3.0)")),
        _ => Err(Stop::deferred("Unable to forward message: qq temporary problem (#4.3.0).")),
    }
}
