//! qmail-smtpd: one connection on standard input and output. Which recipients are accepted is read at its start.

use crate::control::{lines, names};
use cdb2::CDB;
use std::collections::BTreeSet;
use std::io::{BufRead, Error, ErrorKind, Read, Result, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const REFUSED: &str = "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)";
const NO_CONTROLS: &str = "421 unable to read controls (#4.3.0)";

/// Longest address. Unit: bytes.
const ADDRESS_MAX: usize = 900;

/// The hosts that mail is accepted for.
struct Accepted {
    /// `None`: all of them.
    hosts: Option<BTreeSet<Vec<u8>>>,
    more: Option<CDB>,
}

impl Accepted {
    fn read(home: &Path) -> Result<Self> {
        let folded = |lines: Vec<Vec<u8>>| lines.iter().map(|line| line.to_ascii_lowercase()).collect();
        let more = match CDB::open(home.join("control/morercpthosts.cdb")) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            opened => Some(opened?),
        };
        Ok(Self { hosts: lines(home, "rcpthosts")?.map(folded), more })
    }

    fn accepts(&self, recipient: &[u8]) -> Result<bool> {
        let (Some(hosts), Some(at)) = (&self.hosts, recipient.iter().rposition(|byte| *byte == b'@')) else {
            return Ok(true);
        };
        let names = names(recipient.get(at + 1..).unwrap_or_default());
        if names.iter().any(|name| hosts.contains(name)) {
            return Ok(true);
        }
        let Some(more) = &self.more else { return Ok(false) };
        let mut found = names.iter().filter_map(|name| more.get(name));
        found.next().transpose().map(|found| found.is_some())
    }
}

/// What a client has said so far.
#[derive(Default)]
struct Mail {
    sender: Option<Vec<u8>>,
    recipients: Vec<Vec<u8>>,
}

pub(crate) fn main() -> Result<u8> {
    let home = crate::home()?;
    std::env::set_current_dir(&home)?;
    let (mut input, mut out) = (std::io::stdin().lock(), std::io::stdout().lock());
    let Ok(accepted) = Accepted::read(&home) else {
        writeln!(out, "{NO_CONTROLS}\r")?;
        return Ok(1);
    };
    writeln!(out, "220 miniature ESMTP\r")?;
    let (mut mail, mut line) = (Mail::default(), Vec::new());
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(1);
        }
        let word = line.trim_ascii_end();
        let upper = word.to_ascii_uppercase();
        let answer = if upper.starts_with(b"MAIL FROM:") {
            mail = Mail { sender: Some(address(word)), ..Mail::default() };
            "250 ok".to_owned()
        } else if upper.starts_with(b"RCPT TO:") {
            rcpt(&accepted, &mut mail, address(word))
        } else if upper == b"DATA" && mail.sender.is_some() && !mail.recipients.is_empty() {
            writeln!(out, "354 go ahead\r")?;
            let message = data(&mut input)?;
            queue(&std::mem::take(&mut mail), &message)?
        } else if upper == b"QUIT" {
            writeln!(out, "221 miniature\r")?;
            return Ok(0);
        } else if upper.starts_with(b"HELO") || upper.starts_with(b"EHLO") {
            "250 miniature".to_owned()
        } else {
            "503 bad sequence of commands (#5.5.1)".to_owned()
        };
        writeln!(out, "{answer}\r")?;
        if answer.starts_with("421") {
            return Ok(1);
        }
    }
}

fn rcpt(accepted: &Accepted, mail: &mut Mail, recipient: Vec<u8>) -> String {
    if mail.sender.is_none() {
        return "503 MAIL first (#5.5.1)".to_owned();
    }
    if recipient.len() > ADDRESS_MAX {
        return "555 syntax error (#5.5.4)".to_owned();
    }
    match accepted.accepts(&recipient) {
        Ok(true) => {
            mail.recipients.push(recipient);
            "250 ok".to_owned()
        }
        Ok(false) => REFUSED.to_owned(),
        Err(_) => NO_CONTROLS.to_owned(),
    }
}

/// What stands between the brackets, without quotes.
fn address(line: &[u8]) -> Vec<u8> {
    let from = line.iter().position(|byte| *byte == b'<').map_or(line.len(), |at| at + 1);
    let to = line.iter().rposition(|byte| *byte == b'>').unwrap_or(line.len()).max(from);
    line.get(from..to).unwrap_or_default().iter().copied().filter(|byte| !b"\"\\".contains(byte)).collect()
}

fn data(input: &mut impl BufRead) -> Result<Vec<u8>> {
    let (mut message, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        let text = line.strip_suffix(b"\r\n").or(line.strip_suffix(b"\n")).unwrap_or(&line);
        if text == b"." {
            return Ok(message);
        }
        message.extend_from_slice(text.strip_prefix(b".").unwrap_or(text));
        message.push(b'\n');
    }
}

fn queue(mail: &Mail, message: &[u8]) -> Result<String> {
    let recipients = mail.recipients.iter().flat_map(|recipient| [&b"T"[..], recipient, b"\0"].concat());
    let sender = mail.sender.as_deref().unwrap_or_default();
    let envelope: Vec<u8> = [b"F", sender, b"\0"].concat().into_iter().chain(recipients).chain([0]).collect();
    Ok(match hand_over(message, &envelope)? {
        Some(0) => "250 ok".to_owned(),
        Some(11 | 31..=40) => "554 mail server permanently rejected message (#5.3.0)".to_owned(),
        _ => "451 qq temporary problem (#4.3.0)".to_owned(),
    })
}

/// Runs bin/qmail-queue; gives its exit code.
pub(crate) fn hand_over(message: &[u8], envelope: &[u8]) -> Result<Option<i32>> {
    let (reader, mut writer) = std::io::pipe()?;
    let mut child = Command::new("bin/qmail-queue").stdin(Stdio::piped()).stdout(reader).spawn()?;
    // It reads the message to its end first.
    let stdin = child.stdin.take();
    stdin.map_or(Ok(()), |mut stdin| stdin.write_all(message))?;
    writer.write_all(envelope)?;
    drop(writer);
    Ok(child.wait()?.code())
}

/// Everything on standard input.
pub(crate) fn message() -> Result<Vec<u8>> {
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;
    Ok(message)
}
