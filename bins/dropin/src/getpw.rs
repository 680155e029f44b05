//! `qmail-getpw LOCAL`: six fields for qmail-lspawn, or 118. Descriptor 0 belongs to qmail-send and is never touched.

use crate::ask::{self, Answered, KEY_MAX, NoAnswer};
use crate::control::Socket;
use crate::exit::{self, GetpwExit};
use crate::stock::{self, Standing};
use crate::{die, home, stdout, sys};
use qmail_lookup_core::Deadline;
use qmail_lookup_core::getpw::{Answer, Choice, SixFields, Winner};
use qmail_lookup_core::wire::{ANSWER_MAX, getpw, socketmap};
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::ExitCode;

/// Relative to qmail's home, as qmail-lspawn names qmail-getpw.
const STOCK: &str = "bin/qmail-getpw.stock";

/// Written by install where there is no stock program (rule G4).
const NO_STOCK: &str = "control/nostock";

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    begin();
    match run(Deadline::after(ask::LIMIT)) {
        Ok(()) => GetpwExit::Answered.into(),
        Err(NoAnswer(why)) => {
            die::say("qmail-getpw", &why);
            GetpwExit::Defer.into()
        }
    }
}

/// What has to be in order before anything else is done.
pub fn begin() {
    exit::on_panic::<GetpwExit>();
    sys::close_inherited();
    sys::set_alarm(ask::ALARM);
}

/// Writes the six fields, or becomes the stock program.
fn run(by: Deadline) -> Result<(), NoAnswer> {
    if !sys::stdout_was_open() {
        return Err("standard output is closed".into());
    }
    let mut arguments = std::env::args_os().skip(1);
    let (Some(local), None) = (arguments.next(), arguments.next()) else {
        return Err("usage: qmail-getpw LOCAL, in qmail's home".into());
    };
    let local = local.into_vec();
    if local.len() > KEY_MAX {
        return Err("the local part is too long to be asked for".into());
    }
    let mut question = Vec::new();
    socketmap::write_question(&mut question, "getpw", &local);
    let answered = ask::ask(&Socket::Lookup.below_working_directory()?, &question, ANSWER_MAX, by)?;
    let answer = read(&answered.content)?;
    match answer.choose(home::look) {
        Choice::Stock(local) => run_stock(local, &answer),
        Choice::Defer(why) => {
            mention(answered, &answer, why);
            Err(why.into())
        }
        Choice::Fields { fields, skipped } => {
            if let Some(why) = skipped {
                mention(answered, &answer, why);
            }
            print(fields)
        }
    }
}

fn read(content: &[u8]) -> Result<Answer, NoAnswer> {
    match socketmap::Reply::read(content) {
        Ok(socketmap::Reply::Ok(data)) => getpw::decode(data).map_err(|bad| bad.0.into()),
        Ok(socketmap::Reply::Temp(why) | socketmap::Reply::Timeout(why) | socketmap::Reply::Perm(why)) => {
            Err(NoAnswer(format!("the daemon does not know: {}", String::from_utf8_lossy(why)).into()))
        }
        Ok(socketmap::Reply::NotFound) | Err(_) => Err("the answer is not one to getpw".into()),
    }
}

/// Tells the daemon's log that a mailbox was passed over (rule G3).
fn mention(answered: Answered, answer: &Answer, why: &'static str) {
    if let Winner::Mailbox(row) = &answer.winner {
        let mut frame = Vec::new();
        socketmap::write_question(&mut frame, "skipped", &[&row.user[..], b" ", why.as_bytes()].concat());
        answered.mention(&frame);
    }
}

fn print(fields: &SixFields) -> Result<(), NoAnswer> {
    let bytes = fields.encode().map_err(|bad| NoAnswer(bad.problem.into()))?;
    stdout::write(&bytes).map_err(|error| NoAnswer(format!("unable to write the answer: {error}").into()))
}

/// Rule G4. Returns only if there is no stock program.
fn run_stock(local: &[u8], answer: &Answer) -> Result<(), NoAnswer> {
    match stock::examine(Path::new(STOCK)) {
        Standing::Stock => {
            let error = stock::become_it(Path::new(STOCK), &[OsStr::from_bytes(local)]);
            Err(NoAnswer(format!("unable to run {STOCK}: {error}").into()))
        }
        Standing::Absent if std::fs::metadata(NO_STOCK).is_ok() => match answer.alias_user(None) {
            Choice::Fields { fields, .. } => print(fields),
            Choice::Defer(why) => Err(why.into()),
            Choice::Stock(_) => Err("the alias user is nobody".into()),
        },
        Standing::Absent => Err("there is no bin/qmail-getpw.stock".into()),
        Standing::Ours => Err("bin/qmail-getpw.stock is not the stock program, but this one".into()),
        Standing::Unknown => Err("bin/qmail-getpw.stock cannot be examined".into()),
    }
}
