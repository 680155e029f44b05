//! What the tests look at, below `log`: `send` (every step), `bounces` and `remote`, each line one JSON value; and `status`.

use crate::shown;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::{Result, Write};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) struct Log {
    folder: PathBuf,
    /// Steps of [`Log::status`].
    turns: u64,
}

impl Log {
    pub(crate) fn new(home: &Path) -> Self {
        Self { folder: home.join("log"), turns: 0 }
    }

    fn line(&self, name: &str, value: &Value) -> Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.folder.join(name))?;
        file.write_all(format!("{value}\n").as_bytes())
    }

    /// A step.
    pub(crate) fn step(&self, what: &str, more: &[(&str, &[u8])]) -> Result<()> {
        let mut value = json!({ "step": what });
        for (name, bytes) in more {
            value[*name] = shown(bytes).into();
        }
        self.line("send", &value)
    }

    /// What would be mailed to the sender.
    pub(crate) fn bounce(&self, sender: &[u8], recipient: &[u8], text: &[u8], message: &[u8]) -> Result<()> {
        let (sender, recipient, text) = (shown(sender), shown(recipient), shown(text));
        let message = shown(message);
        self.line("bounces", &json!({"sender": sender, "recipient": recipient, "text": text, "message": message}))
    }

    /// What would leave the machine.
    pub(crate) fn remote(&self, sender: &[u8], recipient: &[u8], message: &[u8]) -> Result<()> {
        self.line("remote", &json!({"sender": shown(sender), "recipient": shown(recipient), "message": shown(message)}))
    }

    /// `busy` or `idle` with a mark that is never the same twice.
    pub(crate) fn status(&mut self, word: &str) -> Result<()> {
        self.turns += 1;
        let new = self.folder.join("status.new");
        std::fs::write(&new, format!("{word} {} {}\n", std::process::id(), self.turns))?;
        std::fs::rename(new, self.folder.join("status"))
    }
}
