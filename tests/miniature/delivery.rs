//! Local deliveries: each a child of its own that begins as qmail-lspawn, and is waited for.

use crate::message::{Message, Recipient, file};
use crate::outcome::Outcome;
use crate::route::expanded;
use std::ffi::OsStr;
use std::io::{PipeReader, Read, Result};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// What all deliveries have in common.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) home: PathBuf,
    /// qmail-start's argument.
    pub(crate) alias_empty: Vec<u8>,
    /// Where qmail-lspawn's commands would come from.
    pub(crate) commands: PipeReader,
}

/// A delivery that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: String,
    pub(crate) recipient: Recipient,
    pub(crate) outcome: Outcome,
}

/// Runs one, and waits until nobody has its report open any more.
pub(crate) fn run(ground: &Arc<Ground>, message: &Message, recipient: Recipient) -> Ended {
    let sender = expanded(&message.sender, &recipient.address);
    let file = file(Path::new(""), "mess", &message.id);
    let outcome = spawn(ground, [file.as_os_str().as_bytes(), &sender, &recipient.address, &ground.alias_empty]);
    let failed = |error| Outcome { letter: 'Z', text: format!("Unable to fork: {error}. (#4.3.0)\n").into_bytes() };
    Ended { id: message.id.clone(), outcome: outcome.unwrap_or_else(failed), recipient }
}

fn spawn(ground: &Ground, arguments: [&[u8]; 4]) -> Result<Outcome> {
    let (mut report, writer) = std::io::pipe()?;
    let mut command = Command::new(ground.home.join("bin/qmail-lspawn"));
    command.args(arguments.map(OsStr::from_bytes)).current_dir(&ground.home);
    command.stdin(Stdio::from(ground.commands.try_clone()?)).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    drop(command);
    let mut text = Vec::new();
    report.read_to_end(&mut text)?;
    Ok(Outcome::of(child.wait()?, &text))
}
