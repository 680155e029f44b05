//! The child of qmail-lspawn that makes one delivery: asks users/cdb and then bin/qmail-getpw, becomes the user, and
//! becomes bin/qmail-local. Its arguments: the message's file, sender, recipient, qmail-start's argument. Its working
//! directory is qmail's home, descriptor 0 is the pipe that commands come by, 1 is the report.

use crate::outcome::code;
use crate::users::{find, of_the_test, part};
use cdb2::CDB;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

const BUG: u8 = 112;
const ROOT: u8 = 113;
const USERS: u8 = 117;
const TEMPORARY: u8 = 118;
const NO_LOCAL_NOW: u8 = 120;
const NO_GETPW: u8 = 121;
const NO_LOCAL: u8 = 126;

pub(crate) fn main(arguments: &[Vec<u8>]) -> Result<u8> {
    let [file, sender, recipient, alias_empty] = arguments else {
        return Err(Error::from(ErrorKind::InvalidInput));
    };
    let Some(at) = recipient.iter().rposition(|byte| *byte == b'@') else {
        crate::say("Sorry, address must include host name. (#5.1.3)");
        return Ok(100);
    };
    let (local, domain) = (recipient.get(..at).unwrap_or_default(), recipient.get(at + 1..).unwrap_or_default());
    if local.is_empty() {
        return Ok(0);
    }
    let message = File::open(OsStr::from_bytes(file))?;
    let record = match assigned(local) {
        Ok(Some(record)) => record,
        Ok(None) => match ask(local, &message)? {
            Ok(answer) => answer,
            Err(code) => return Ok(code),
        },
        Err(_) => return Ok(USERS),
    };
    let fields: Vec<&[u8]> = record.split(|byte| *byte == 0).collect();
    let [user, uid, gid, home, dash, ext, _, ..] = fields[..] else { return Ok(BUG) };
    let (uid, gid) = (number(uid), number(gid));
    let own = of_the_test(Path::new("."), &crate::shown(user));
    let home = own.as_ref().map_or(home, |own| own.home.as_os_str().as_bytes());
    let gid = Gid::from_raw(gid);
    if setgroups(&[gid]).and_then(|()| setgid(gid)).and_then(|()| setuid(Uid::from_raw(uid))).is_err() {
        return Ok(BUG);
    }
    if nix::unistd::getuid().is_root() {
        return Ok(ROOT);
    }
    let mut program = Command::new("bin/qmail-local");
    program.arg("--");
    program.args([user, home, local, dash, ext, domain, sender, alias_empty].map(OsStr::from_bytes));
    program.stdin(message).stderr(std::io::stdout().as_fd().try_clone_to_owned()?);
    let error = program.exec();
    Ok(if error.kind() == ErrorKind::ExecutableFileBusy { NO_LOCAL_NOW } else { NO_LOCAL })
}

/// The record of users/cdb with the NUL behind its last field; `None` without one.
fn assigned(local: &[u8]) -> Result<Option<Vec<u8>>> {
    let cdb = match CDB::open("users/cdb") {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let found = |key: &[u8]| cdb.get(key).transpose();
    let wild = found(b"")?.ok_or(ErrorKind::InvalidData)?;
    let key = [b"!", &local.to_ascii_lowercase()[..], b"\0"].concat();
    if let Some(record) = found(&key)? {
        return Ok(Some([&record[..], b"\0"].concat()));
    }
    for length in (1..key.len()).rev() {
        let prefix = key.get(..length).unwrap_or_default();
        let is_wild = length == 1 || prefix.last().is_some_and(|last| wild.contains(last));
        if let Some(record) = found(prefix)?.filter(|_| is_wild) {
            return Ok(Some([&record[..], local.get(length - 1..).unwrap_or_default(), b"\0"].concat()));
        }
    }
    Ok(None)
}

/// What bin/qmail-getpw answers, or the code to end with.
fn ask(local: &[u8], message: &File) -> Result<std::result::Result<Vec<u8>, u8>> {
    let here = Path::new(".");
    let qmailp = find(here, &part(here, "qmailp"))?.ok_or_else(|| Error::other("nobody plays qmailp"))?;
    // The report's pipe is open in it, under a number of its own.
    let report = nix::unistd::dup(std::io::stdout())?;
    let mut program = Command::new("bin/qmail-getpw");
    program.arg(OsStr::from_bytes(local)).uid(qmailp.uid).gid(qmailp.gid);
    program.stdin(Stdio::inherit()).stdout(Stdio::piped()).stderr(message.try_clone()?);
    let Ok(child) = program.spawn() else { return Ok(Err(NO_GETPW)) };
    let output = child.wait_with_output()?;
    drop(report);
    Ok(match code(output.status) {
        Ok(0) => Ok(output.stdout),
        Ok(code) => Err(code),
        Err(_) => Err(TEMPORARY),
    })
}

/// The digits at the beginning; 32 bits of them.
fn number(field: &[u8]) -> u32 {
    let digits = field.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum: u32, digit| sum.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')))
}
