//! The carrying out: one step after the other, then all forwards at once.

use super::forward::{self, Qmail};
use super::lines::Lines;
use super::message::Message;
use super::parse::Step;
use super::program::{self, Next};
use super::report::{self, Ending, Outcome};
use super::{maildir, mbox};
use qmail_lookup_core::Instruction;

/// All that a delivery needs.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// The lines that go before it.
    pub lines: Lines,
    /// Where mail is forwarded.
    pub qmail: Qmail,
    /// Envelope sender of what is forwarded.
    pub new_sender: Vec<u8>,
    /// Environment of programs, besides what is inherited.
    pub variables: Vec<(&'static str, Vec<u8>)>,
}

/// Files, forwards and programs.
#[derive(Default)]
struct Counts {
    files: u64,
    forwards: u64,
    programs: u64,
}

impl Counts {
    fn add(&mut self, instruction: &Instruction) {
        *match instruction {
            Instruction::Mbox(_) | Instruction::Maildir(_) => &mut self.files,
            Instruction::Forward(_) => &mut self.forwards,
            Instruction::Program(_) => &mut self.programs,
        } += 1;
    }

    fn line(&self) -> String {
        format!("did {}+{}+{}\n", self.files, self.forwards, self.programs)
    }
}

/// Carries the steps out.
///
/// # Errors
/// That of the first step that fails; what was delivered before stays, and comes again with the next attempt.
pub fn perform(delivery: &Delivery, steps: &[Step]) -> Outcome<()> {
    let mut counts = Counts::default();
    let mut forwards = Vec::new();
    for step in steps {
        let instruction = step.instruction()?;
        counts.add(instruction);
        match instruction {
            Instruction::Mbox(path) => mbox::deliver(until_nul(path), &delivery.message, &delivery.lines)?,
            Instruction::Maildir(path) => maildir::deliver(until_nul(path), &delivery.message, &delivery.lines)?,
            Instruction::Forward(address) => forwards.push(until_nul(address)),
            Instruction::Program(command) => {
                match program::run(until_nul(command), &delivery.message, &delivery.variables)? {
                    Next::Step => {}
                    Next::Stop => break,
                }
            }
        }
    }
    let mut report = counts.line();
    if !forwards.is_empty() {
        let pid = forward::send(delivery, &forwards)?;
        report.push_str(&format!("qp {pid}\n"));
    }
    report::say(report.as_bytes());
    Ok(())
}

/// Says what [`perform`] would do (`-n`).
///
/// # Errors
/// As of [`perform`], as far as the steps themselves are wrong; also if it cannot be said.
pub fn print(steps: &[Step]) -> Outcome<()> {
    let mut counts = Counts::default();
    let mut text = Vec::new();
    let mut ending = Ok(());
    for step in steps {
        match step.instruction() {
            Ok(instruction) => {
                counts.add(instruction);
                let (kind, what): (&[u8], _) = match instruction {
                    Instruction::Mbox(path) => (b"mbox ", path),
                    Instruction::Maildir(path) => (b"maildir ", path),
                    Instruction::Forward(address) => (b"forward ", address),
                    Instruction::Program(command) => (b"program ", command),
                };
                text.extend_from_slice(&[kind, what, b"\n"].concat());
            }
            Err(refused) => {
                ending = Err(refused);
                break;
            }
        }
    }
    if ending.is_ok() {
        text.extend_from_slice(counts.line().as_bytes());
    }
    match report::try_to_say(&text) {
        Ok(()) => ending,
        Err(_) => Err(Ending::defer(&[])),
    }
}

/// A line of a file is whole where it is shown, and ends at its first NUL where it is used.
fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|&b| b == 0).next().unwrap_or_default()
}
