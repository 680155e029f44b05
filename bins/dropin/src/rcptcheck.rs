//! `qmail-rcptcheck`: whether `$RECIPIENT` exists, for a qmail-smtpd with the RCPTCHECK patch. `$SENDER` does not matter.

use crate::ask::{self, KEY_MAX, NoAnswer};
use crate::control::Socket;
use crate::exit::{self, RcptcheckExit};
use crate::{die, sys};
use qmail_lookup_core::Deadline;
use qmail_lookup_core::wire::ANSWER_MAX;
use qmail_lookup_core::wire::socketmap::{self, Reply};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    begin();
    let exit = run(Deadline::after(ask::LIMIT)).unwrap_or_else(|NoAnswer(why)| {
        die::say("qmail-rcptcheck", &why);
        RcptcheckExit::Temporary
    });
    exit.into()
}

/// What has to be in order before anything else is done.
pub fn begin() {
    exit::on_panic::<RcptcheckExit>();
    sys::close_inherited();
    sys::set_alarm(ask::ALARM);
}

fn run(by: Deadline) -> Result<RcptcheckExit, NoAnswer> {
    let recipient = std::env::var_os("RECIPIENT").ok_or("$RECIPIENT is not set")?.into_vec();
    if recipient.len() > KEY_MAX {
        return Err("the recipient is too long to be asked for".into());
    }
    let mut question = Vec::new();
    socketmap::write_question(&mut question, "recipient", &recipient);
    let answered = ask::ask(&Socket::Lookup.below_home()?, &question, ANSWER_MAX, by)?;
    match Reply::read(&answered.content) {
        Ok(Reply::Ok(_)) => Ok(RcptcheckExit::Possible),
        Ok(Reply::NotFound) => Ok(RcptcheckExit::Unknown),
        Ok(Reply::Temp(why) | Reply::Timeout(why) | Reply::Perm(why)) => {
            Err(NoAnswer(format!("the daemon does not know: {}", String::from_utf8_lossy(why)).into()))
        }
        Err(bad) => Err(bad.0.into()),
    }
}
