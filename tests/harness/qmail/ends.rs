//! How messages have ended. Each is told from the others by a word: it stands once in the text, as `[WORD]`, which all that
//! becomes of the message holds too, and in the sender's address.

use super::Qmail;
use crate::check::Outcome;
use libtest_mimic::Failed;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// What would have been mailed to a sender.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Bounce {
    /// To whom.
    pub sender: String,
    /// For which recipient, as the bounce shows him.
    pub recipient: String,
    /// Why.
    pub text: String,
    /// The message.
    pub message: String,
}

/// What would have left the machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Relayed {
    /// From whom.
    pub sender: String,
    /// For whom.
    pub recipient: String,
    /// The message.
    pub message: String,
}

/// All that has become of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Files that hold it, below the homes of the mailboxes, sorted; those in a maildir by the name of its folder. The
    /// alias user's begin with `alias/`.
    pub places: Vec<String>,
    /// Its bounces, in the order in which they came.
    pub bounces: Vec<Bounce>,
    /// Copies that have left the machine, in the order in which they went.
    pub relayed: Vec<Relayed>,
    /// Recipients that it waits for, sorted, as they stand in the queue.
    pub waiting: Vec<String>,
}

impl Qmail {
    /// All that has become of the message with this word. Look when all has settled.
    ///
    /// # Errors
    /// If it cannot be seen.
    pub fn ends(&self, word: &str) -> Result<Ends, Failed> {
        let (word, marked) = (&format!("[{word}]"), format!("{word}@"));
        let is_its = |bounce: &Bounce| bounce.message.contains(word) || bounce.sender.starts_with(&marked);
        let mut ends = Ends {
            bounces: self.bounces()?.into_iter().filter(is_its).collect(),
            relayed: self.relayed()?.into_iter().filter(|relayed| relayed.message.contains(word)).collect(),
            ..Ends::default()
        };
        walk(&self.homes, &self.homes, "", word, &mut ends.places)?;
        let alias = self.path("alias");
        walk(&alias, &alias, "alias/", word, &mut ends.places)?;
        ends.places.sort();
        for (id, recipient) in self.waiting()? {
            let message = std::fs::read(self.message(&id));
            if message.is_ok_and(|text| String::from_utf8_lossy(&text).contains(word)) {
                ends.waiting.push(recipient);
            }
        }
        ends.waiting.sort();
        Ok(ends)
    }

    /// All bounces so far.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn bounces(&self) -> Result<Vec<Bounce>, Failed> {
        self.real.as_ref().map_or_else(|| lines(&self.path("log/bounces")), super::real::Real::bounces)
    }

    /// All that has left the machine so far.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn relayed(&self) -> Result<Vec<Relayed>, Failed> {
        self.real.as_ref().map_or_else(|| lines(&self.path("log/remote")), super::real::Real::relayed)
    }

    /// Local recipients that are not done, as they stand in the queue.
    ///
    /// # Errors
    /// If the queue cannot be read.
    pub fn deferred(&self) -> Result<Vec<String>, Failed> {
        Ok(self.waiting()?.into_iter().map(|(_, recipient)| recipient).collect())
    }

    fn waiting(&self) -> Result<Vec<(String, String)>, Failed> {
        let mut all = Vec::new();
        for split in std::fs::read_dir(self.path("queue/local"))? {
            for entry in std::fs::read_dir(split?.path())? {
                let path = entry?.path();
                // It may be done meanwhile.
                let records = std::fs::read(&path).unwrap_or_default();
                let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let left = records.split(|byte| *byte == 0).filter_map(|record| record.strip_prefix(b"T"));
                all.extend(left.map(|recipient| (id.clone(), String::from_utf8_lossy(recipient).into_owned())));
            }
        }
        Ok(all)
    }

    /// The file of a message; the folder's name is that of a real one, or 0.
    fn message(&self, id: &str) -> std::path::PathBuf {
        let folder = match (&self.real, id.parse::<u64>()) {
            (Some(_), Ok(number)) => number % super::real::SPLIT,
            _ => 0,
        };
        self.path("queue/mess").join(folder.to_string()).join(id)
    }
}

fn lines<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>, Failed> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn walk(base: &Path, folder: &Path, before: &str, word: &str, found: &mut Vec<String>) -> Outcome {
    for entry in std::fs::read_dir(folder)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() {
            walk(base, &path, before, word, found)?;
            continue;
        }
        // Files of others may go while one looks.
        let text = std::fs::read(&path).unwrap_or_default();
        let copies = String::from_utf8_lossy(&text).matches(word).count();
        let name = path.strip_prefix(base)?.display().to_string();
        let in_maildir =
            path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "new" || folder == "tmp");
        let name =
            if in_maildir { name.rsplit_once('/').map_or(name.clone(), |(head, _)| head.to_owned()) } else { name };
        // A message that is delivered twice to an mbox is there twice.
        found.extend(std::iter::repeat_n(format!("{before}{name}"), copies));
    }
    Ok(())
}
