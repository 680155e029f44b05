//! Lines to and from a server, as SMTP and POP3 speak.

use libtest_mimic::Failed;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A connection, past the greeting.
pub(super) struct Dialogue(BufReader<TcpStream>);

impl Dialogue {
    /// Connects as soon as somebody listens there.
    pub(super) fn with(port: u16) -> Result<Self, Failed> {
        let until = Instant::now() + Duration::from_secs(30);
        let stream = loop {
            match TcpStream::connect((super::ADDRESS, port)) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > until => return Err(format!("port {port}: {error}").into()),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut dialogue = Self(BufReader::new(stream));
        dialogue.reply()?;
        Ok(dialogue)
    }

    /// Sends a line; the first line of POP3's reply, the last one of SMTP's.
    pub(super) fn say(&mut self, line: &str) -> Result<String, Failed> {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// The lines of a POP3 reply that ends in a dot, after its first line.
    pub(super) fn listing(&mut self) -> Result<Vec<String>, Failed> {
        let mut lines = Vec::new();
        loop {
            match self.line()? {
                end if end == "." => return Ok(lines),
                line => lines.push(line),
            }
        }
    }

    fn reply(&mut self) -> Result<String, Failed> {
        loop {
            let line = self.line()?;
            if line.as_bytes().get(3) != Some(&b'-') || line.starts_with('-') {
                return Ok(line);
            }
        }
    }

    fn line(&mut self) -> Result<String, Failed> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err("the server hangs up".into());
        }
        Ok(line.trim_end().to_owned())
    }
}
