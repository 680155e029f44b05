//! `qmail-local`: one local delivery, as the user whose mail it is, in that user's home.
//!
//! | concern | room |
//! |---|---|
//! | command line, recipient without its encoding | [`arguments`], [`recipient`] |
//! | what rows say, what files say | [`question`]; [`search`], [`parse`] |
//! | both as one list of steps, and its carrying out | [`plan`], [`perform`] |
//! | deliveries | [`maildir`] (with [`unique`]), [`mbox`], [`program`], [`forward`] (with [`queue_status`]) |
//! | what they write and are told | [`lines`] (with [`quote`], [`clock`]), [`environment`], [`owner`] |
//! | loops | [`loops`] |
//! | how it ends, in qmail's own words | [`report`], [`words`] |
//!
//! The order of work is the stock program's. Only 0, 100 and 111 ever leave here: qmail-lspawn bounces on anything else.

pub mod arguments;
pub mod clock;
pub mod environment;
pub mod forward;
pub mod home;
pub mod lines;
pub mod loops;
pub mod maildir;
pub mod mbox;
pub mod message;
pub mod owner;
pub mod parse;
pub mod perform;
pub mod plan;
pub mod program;
pub mod question;
pub mod queue_status;
pub mod quote;
pub mod recipient;
pub mod report;
pub mod search;
pub mod unique;
pub mod words;

use crate::ask::NoAnswer;
use crate::control::Socket;
use crate::exit::{self, LocalExit};
use crate::sys;
use arguments::Arguments;
use lines::Lines;
use message::Message;
use perform::Delivery;
use plan::Plan;
use recipient::Recipient;
use report::{Ending, Outcome};
use std::process::ExitCode;
use std::time::SystemTime;

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    begin();
    match run() {
        Ok(()) => LocalExit::Done.into(),
        Err(Ending { exit, text }) => {
            if !text.is_empty() {
                report::say(&[&text[..], b"\n"].concat());
            }
            exit.into()
        }
    }
}

/// What has to be in order before anything else is done.
pub fn begin() {
    exit::on_panic::<LocalExit>();
    sys::clear_alarm(); // of whoever ran this program: a delivery may take longer
    sys::close_inherited();
    sys::set_umask(0o077);
    sys::survive_file_size_limit();
}

fn run() -> Outcome<()> {
    let arguments = Arguments::read(std::env::args_os().skip(1))?;
    let recipient = Recipient::of(&arguments)?;
    // Both before the home becomes the working directory, which is qmail's home until then.
    let socket = Socket::Lookup.below_working_directory().map_err(|NoAnswer(why)| question::not_known(&why))?;
    let qmail = forward::Qmail::here()?;
    home::enter(&recipient.home, arguments.print)?;
    let lines = Lines::of(&recipient, SystemTime::now());
    let message = if arguments.print { None } else { Some(Message::take()?) };
    let hops = message.as_ref().map_or(Ok(0), |message| loops::check(message, &lines.delivered_to))?;
    let said = question::delivery(&socket, &arguments)?;
    let Plan { steps, default, owner } = plan::of(said, &recipient, &arguments.alias_empty, hops)?;
    let new_sender = owner::new_sender(&recipient, owner)?;
    let variables = environment::variables(&recipient, &lines, &new_sender, default.as_deref());
    match message {
        None => perform::print(&steps),
        Some(message) => perform::perform(&Delivery { message, lines, qmail, new_sender, variables }, &steps),
    }
}
