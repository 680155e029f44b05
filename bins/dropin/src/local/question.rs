//! The one question to the daemon: what the rows say of this delivery.

use super::arguments::Arguments;
use super::report::{Ending, Outcome};
use crate::ask::{self, KEY_MAX, NoAnswer};
use qmail_lookup_core::Deadline;
use qmail_lookup_core::rules::{Deliver, Delivery};
use qmail_lookup_core::wire::{deliver, socketmap};
use std::path::Path;

/// Asks, with the words as qmail-lspawn gave them: the daemon reads the encoding itself.
///
/// # Errors
/// A deferral if there is no answer, or one that says "not known".
pub fn delivery(socket: &Path, arguments: &Arguments) -> Outcome<Delivery> {
    let Arguments { user, local, dash, ext, domain, .. } = arguments.clone();
    let key = deliver::encode_question(&Deliver { user, local, dash, ext, domain, system_home: None, is_local: false });
    let answer = if key.len() > KEY_MAX {
        // No row can have such a key, but there are shorter ones that may be meant.
        Err("the recipient is too long to be asked for".into())
    } else {
        let mut question = Vec::new();
        socketmap::write_question(&mut question, "deliver", &key);
        ask::ask(socket, &question, deliver::ANSWER_MAX, Deadline::after(ask::LIMIT))
            .and_then(|answered| read(&answered.content))
    };
    answer.map_err(|NoAnswer(why)| not_known(&why))
}

/// The deferral of a delivery whose instructions are not known.
#[must_use]
pub fn not_known(why: &str) -> Ending {
    Ending::defer(&[b"Unable to look up how mail is delivered: ", why.as_bytes(), b". (#4.3.0)"])
}

fn read(content: &[u8]) -> Result<Delivery, NoAnswer> {
    match socketmap::Reply::read(content) {
        Ok(socketmap::Reply::Ok(data)) => deliver::decode(data).map_err(|bad| bad.0.into()),
        Ok(socketmap::Reply::Temp(why) | socketmap::Reply::Timeout(why) | socketmap::Reply::Perm(why)) => {
            Err(NoAnswer(String::from_utf8_lossy(why).into_owned().into()))
        }
        Ok(socketmap::Reply::NotFound) | Err(_) => Err("the answer is not one to deliver".into()),
    }
}
