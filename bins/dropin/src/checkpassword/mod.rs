//! `checkpassword PROGRAM ARGUMENTS...`: runs PROGRAM as the user whose login and password stand in descriptor 3. It
//! never writes to descriptors 1 and 2, which may be the network.

pub mod account;
pub mod fd3;

use crate::ask::{self, NoAnswer};
use crate::control::Socket;
use crate::exit::{self, CheckpasswordExit, Exit};
use crate::stock::{self, Standing};
use crate::sys;
use crate::wiped::Wiped;
use fd3::{Offered, Trouble};
use qmail_lookup_core::Deadline;
use qmail_lookup_core::wire::ANSWER_MAX;
use qmail_lookup_core::wire::auth::{Account, Question, Reply};
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Longest service name that is passed on. Unit: bytes. Source: ours; it is for the log.
const SERVICE_MAX: usize = 128;

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    begin();
    let Err(exit) = run(Deadline::after(ask::LIMIT));
    exit.into()
}

/// What has to be in order before anything else is done.
pub fn begin() {
    begin_with_secret::<CheckpasswordExit>();
}

/// The same for any program that is offered a password.
pub fn begin_with_secret<E: Exit>() {
    exit::on_panic::<E>();
    sys::undumpable();
    sys::set_alarm(ask::ALARM);
}

/// Becomes the user's program, or ends with a status.
fn run(by: Deadline) -> Result<Infallible, CheckpasswordExit> {
    let offered = Offered::read().map_err(|trouble| match trouble {
        Trouble::Misused => CheckpasswordExit::Misused,
        Trouble::Unreadable => CheckpasswordExit::Temporary,
    })?;
    let program: Vec<OsString> = std::env::args_os().skip(1).collect();
    let first = program.first().ok_or(CheckpasswordExit::Misused)?;
    match login(&offered, service(first), &remote(&["TCPREMOTEIP"]), by) {
        Ok(Reply::Ok(account)) => {
            drop(offered);
            Err(hand_over(&account, &program))
        }
        Ok(Reply::No) => Err(CheckpasswordExit::Refused),
        Ok(Reply::Stock) => Err(run_stock(offered, &program)),
        Ok(Reply::Temporary(_) | Reply::Done(_)) | Err(_) => Err(CheckpasswordExit::Temporary),
    }
}

/// Asks whether the login may in.
///
/// # Errors
/// If nothing is known.
pub fn login(offered: &Offered, service: &[u8], remote: &[u8], by: Deadline) -> Result<Reply, NoAnswer> {
    let (login, password) = (offered.login(), offered.password());
    ask(Question::Login { login, password, service, remote }, by)
}

/// Puts `question` to the daemon's auth socket. The frame is wiped.
///
/// # Errors
/// If nothing is known.
pub fn ask(question: Question<'_>, by: Deadline) -> Result<Reply, NoAnswer> {
    let frame = Wiped::filled(|out| question.write(out));
    let answered = ask::ask(&Socket::Auth.below_home()?, frame.bytes(), ANSWER_MAX, by)?;
    Reply::read(&answered.content).map_err(|bad| bad.0.into())
}

/// The client's address: the first of these variables that holds one, else nothing.
#[must_use]
pub fn remote(variables: &[&str]) -> Vec<u8> {
    let is_address = |text: &String| text.split('%').next().is_some_and(|address| address.parse::<IpAddr>().is_ok());
    let mut found = variables.iter().filter_map(|name| std::env::var(name).ok());
    found.find(is_address).map(|text| text.split('%').next().unwrap_or_default().into()).unwrap_or_default()
}

/// What the log calls the service: the program's name without its directories.
fn service(program: &OsStr) -> &[u8] {
    let name = Path::new(program).file_name().unwrap_or_default().as_bytes();
    name.get(..name.len().min(SERVICE_MAX)).unwrap_or_default()
}

/// Becomes the user and then the program. Returns only if that fails.
fn hand_over(account: &Account, program: &[OsString]) -> CheckpasswordExit {
    if account::become_user(account).is_ok() {
        let user = OsStr::from_bytes(&account.user);
        let variables = [("USER", user), ("HOME", OsStr::from_bytes(&account.home)), ("SHELL", OsStr::new("/bin/sh"))];
        exec(program, |command| command.envs(variables));
    }
    CheckpasswordExit::Temporary
}

/// Becomes `program`, found by PATH. Returns only if that fails.
pub fn exec(program: &[OsString], prepare: impl FnOnce(&mut Command) -> &mut Command) {
    if let Some((first, rest)) = program.split_first() {
        let mut command = Command::new(first);
        prepare(command.args(rest));
        sys::clear_alarm();
        let _ = command.exec();
    }
}

/// Becomes the stock checkpassword, with the same descriptor 3 (rule P6). Returns only if that fails.
fn run_stock(offered: Offered, program: &[OsString]) -> CheckpasswordExit {
    if let Ok(path) = stock::beside_ours("checkpassword")
        && stock::examine(&path) == Standing::Stock
        && refill(&offered).is_ok()
    {
        drop(offered);
        let program: Vec<&OsStr> = program.iter().map(OsString::as_os_str).collect();
        let _ = stock::become_it(&path, &program);
    }
    CheckpasswordExit::Temporary
}

/// Makes descriptor 3 a pipe that holds what was read from it. It holds 512 bytes without a reader.
fn refill(offered: &Offered) -> std::io::Result<()> {
    let (reader, mut writer) = std::io::pipe()?;
    writer.write_all(offered.all())?;
    drop(writer); // before 3 is overwritten: it may be 3
    sys::become_descriptor_3(reader.into())
}
