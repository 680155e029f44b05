//! The stock qmail-local, as far as mail needs it while the stock programs are in place.

mod carry_out;
mod environment;

use carry_out::carry_out;
use std::ffi::OsStr;
use std::io::{Error, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

/// Why it ends otherwise than with success.
#[derive(Debug)]
pub(crate) struct Stop {
    code: u8,
    text: String,
}

impl Stop {
    fn failed(text: impl Into<String>) -> Self {
        Self { code: 100, text: text.into() }
    }

    fn deferred(text: impl Into<String>) -> Self {
        Self { code: 111, text: text.into() }
    }
}

/// `user home local dash ext domain sender aliasempty`.
pub(crate) struct Delivery<'a> {
    user: &'a [u8],
    home: &'a [u8],
    local: &'a [u8],
    dash: &'a [u8],
    ext: &'a [u8],
    domain: &'a [u8],
    sender: &'a [u8],
    alias_empty: &'a [u8],
}

/// The dot-qmail file that is found.
struct Found {
    text: Vec<u8>,
    /// What `default` stands for.
    default: Option<Vec<u8>>,
    forwards_only: bool,
}

pub(crate) fn main(arguments: &[Vec<u8>]) -> ExitCode {
    let words: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).skip_while(|word| *word == b"--").collect();
    let [user, home, local, dash, ext, domain, sender, alias_empty] = words[..] else {
        crate::say("qmail-local: usage: qmail-local [ -nN ] user homedir local dash ext domain sender aliasempty");
        return ExitCode::from(100);
    };
    let ended = run(&Delivery { user, home, local, dash, ext, domain, sender, alias_empty });
    let said = match &ended {
        Ok(text) | Err(Stop { text, .. }) => text,
    };
    let _ = writeln!(std::io::stdout(), "{}", said.trim_end());
    ExitCode::from(ended.err().map_or(0, |stop| stop.code))
}

fn run(delivery: &Delivery<'_>) -> Result<String, Stop> {
    let Delivery { home, dash, ext, .. } = *delivery;
    let home = Path::new(OsStr::from_bytes(home));
    let away = |error: Error| Stop::deferred(format!("Unable to switch to {}: {error}. (#4.3.0)", home.display()));
    std::env::set_current_dir(home).map_err(away)?;
    let mode = std::fs::metadata(".").map_err(away)?.permissions().mode();
    if mode & 0o002 != 0 {
        return Err(Stop::deferred("Uh-oh: home directory is writable. (#4.7.0)"));
    }
    if mode & 0o1000 != 0 {
        return Err(Stop::deferred("Home directory is sticky: user is editing his .qmail file. (#4.2.1)"));
    }
    let message = crate::smtpd::message().map_err(|error| Stop::deferred(format!("{error}. (#4.3.0)")))?;
    let line = environment::dt_line(delivery);
    let head = message.split_inclusive(|byte| *byte == b'\n').take_while(|line| line.len() > 1);
    if head.into_iter().any(|found| found == line) {
        return Err(Stop::failed("This message is looping: it already has my Delivered-To line. (#5.4.6)"));
    }
    let usual = || Found { text: delivery.alias_empty.to_vec(), default: None, forwards_only: false };
    let found = match search(dash, ext)? {
        Some(found) if found.text.is_empty() => Found { default: found.default, ..usual() },
        Some(found) => found,
        None if dash.is_empty() => usual(),
        None => return Err(Stop::failed("Sorry, no mailbox here by that name. (#5.1.1)")),
    };
    carry_out(delivery, &found, &message)
}

/// The file for the extension, else that of the longest part of it that ends with a break.
fn search(dash: &[u8], ext: &[u8]) -> Result<Option<Found>, Stop> {
    let safe: Vec<u8> = safe(ext);
    if let Some((text, forwards_only)) = read(&[b".qmail", dash, &safe].concat())? {
        return Ok(Some(Found { text, default: None, forwards_only }));
    }
    for end in (0..=safe.len()).rev().filter(|&end| end == 0 || safe.get(end - 1) == Some(&b'-')) {
        let name = [b".qmail", dash, safe.get(..end).unwrap_or_default(), b"default"].concat();
        if let Some((text, forwards_only)) = read(&name)? {
            return Ok(Some(Found { text, default: ext.get(end..).map(<[u8]>::to_vec), forwards_only }));
        }
    }
    Ok(None)
}

/// An extension as it stands in a file's name.
fn safe(ext: &[u8]) -> Vec<u8> {
    ext.iter().map(|byte| if *byte == b'.' { b':' } else { byte.to_ascii_lowercase() }).collect()
}

fn read(name: &[u8]) -> Result<Option<(Vec<u8>, bool)>, Stop> {
    let path = Path::new(OsStr::from_bytes(name));
    let there = std::fs::metadata(path).map(|found| (found, std::fs::read(path)));
    match there {
        Ok((found, _)) if !found.is_file() => Ok(None),
        Ok((found, _)) if found.permissions().mode() & 0o002 != 0 => {
            Err(Stop::deferred("Uh-oh: .qmail file is writable. (#4.7.0)"))
        }
        Ok((found, Ok(text))) => Ok(Some((text, found.permissions().mode() & 0o100 != 0))),
        Ok((_, Err(error))) | Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(Stop::deferred(format!("Unable to open {}: access denied. (#4.3.0)", path.display())))
        }
        _ => Ok(None),
    }
}
