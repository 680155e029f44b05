//! `dovecot-checkpassword REPLY`: Dovecot's checkpassword driver. It runs as Dovecot's own user and never changes uid; what
//! it knows goes to REPLY in the environment. Only this program looks at `$AUTHORIZED`.

use crate::ask;
use crate::checkpassword::fd3::Offered;
use crate::checkpassword::{self, exec};
use crate::exit::DovecotExit;
use qmail_lookup_core::Deadline;
use qmail_lookup_core::wire::auth::{Account, Question, Reply};
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;

/// What Dovecot asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Whether the password is right.
    Password,
    /// Whose mailbox it is; the user is known already.
    Lookup,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    begin();
    let Err(exit) = run(Deadline::after(ask::LIMIT));
    exit.into()
}

/// What has to be in order before anything else is done.
pub fn begin() {
    checkpassword::begin_with_secret::<DovecotExit>();
}

fn run(by: Deadline) -> Result<Infallible, DovecotExit> {
    let temporary = DovecotExit::Temporary;
    let offered = Offered::read().map_err(|_| temporary)?;
    let program: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mode = mode().ok_or(temporary)?;
    if program.is_empty() || !variable("CREDENTIALS_LOOKUP").is_empty() {
        return Err(temporary);
    }
    let reply = match mode {
        Mode::Lookup => checkpassword::ask(Question::Userdb { login: offered.login() }, by),
        Mode::Password => {
            let service = ["SERVICE", "AUTH_SERVICE"].map(variable).into_iter().find(|name| !name.is_empty());
            let remote = checkpassword::remote(&["TCPREMOTEIP", "AUTH_RIP"]);
            checkpassword::login(&offered, &service.unwrap_or_default(), &remote, by)
        }
    };
    drop(offered);
    match (reply, mode) {
        (Ok(Reply::Ok(account)), _) => Err(hand_over(&account, mode, &program)),
        // No fall-back here: Dovecot has its own list of password databases.
        (Ok(Reply::No | Reply::Stock), Mode::Password) => Err(DovecotExit::Refused),
        (Ok(Reply::No), Mode::Lookup) => Err(DovecotExit::Unknown),
        (Ok(Reply::Stock), Mode::Lookup) | (Ok(Reply::Temporary(_) | Reply::Done(_)) | Err(_), _) => Err(temporary),
    }
}

/// `None` for a value that Dovecot does not use: whatever it means, it is not a password to be checked.
fn mode() -> Option<Mode> {
    match &variable("AUTHORIZED")[..] {
        b"" => Some(Mode::Password),
        b"1" => Some(Mode::Lookup),
        _ => None,
    }
}

fn variable(name: &str) -> Vec<u8> {
    std::env::var_os(name).map(OsString::into_vec).unwrap_or_default()
}

/// Becomes REPLY. Returns only if that fails.
fn hand_over(account: &Account, mode: Mode, program: &[OsString]) -> DovecotExit {
    // They would end a field of what REPLY writes.
    let breaks = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\t' | b'\n' | b'\r'));
    if !breaks(&account.user) && !breaks(&account.home) {
        exec(program, |command| {
            command.env("USER", OsStr::from_bytes(&account.user)).env("HOME", OsStr::from_bytes(&account.home));
            command.env("userdb_uid", account.uid.to_string()).env("userdb_gid", account.gid.to_string());
            command.env("EXTRA", OsString::from_vec(extra(&variable("EXTRA"))));
            if mode == Mode::Lookup {
                command.env("AUTHORIZED", "2");
            }
            command
        });
    }
    DovecotExit::Temporary
}

/// The words that were there, and ours.
fn extra(existing: &[u8]) -> Vec<u8> {
    let mut words: Vec<&[u8]> = existing.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect();
    for ours in [&b"userdb_uid"[..], b"userdb_gid"] {
        if !words.contains(&ours) {
            words.push(ours);
        }
    }
    words.join(&b' ')
}
