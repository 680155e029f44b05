//! What the tool prints: text for people, or one JSON value for scripts. Trouble is one line on standard error.

use crate::exit::Exit;
use qmail_lookup_config::ConfigError;
use qmail_lookup_core::LookupError;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// Trouble that ends a verb.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    kind: &'static str,
    place: String,
    what: String,
    help: Option<String>,
}

impl Failure {
    /// It is not known, for a reason that no store gave.
    pub(crate) fn temporary(what: impl Into<String>) -> Self {
        Self { exit: Exit::Temporary, kind: "temporary", place: String::new(), what: what.into(), help: None }
    }

    /// No: it is not done, and trying again changes nothing.
    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Self { exit: Exit::No, kind: "refused", place: String::new(), what: what.into(), help: None }
    }

    /// Wrong usage.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, kind: "usage", place: String::new(), what: what.into(), help: None }
    }

    /// The same trouble, behind words on what was done before it.
    pub(crate) fn after(self, words: &str) -> Self {
        Self { what: format!("{words}: {}", self.what), ..self }
    }

    /// As one line, and for JSON.
    pub(crate) fn line(&self) -> String {
        let place = if self.place.is_empty() { String::new() } else { format!("{}: ", self.place) };
        let help = self.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        clean(&format!("{place}{}{help}", self.what).replace('\n', " "))
    }

    /// The exit status that it means.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "kind": self.kind, "place": self.place, "what": self.what, "help": self.help })
    }
}

impl From<LookupError> for Failure {
    fn from(error: LookupError) -> Self {
        Self {
            exit: Exit::Temporary,
            kind: error.kind().as_str(),
            place: error.place().to_owned(),
            what: error.what().to_owned(),
            help: error.help().map(str::to_owned),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self { exit: Exit::Usage, kind: "configuration", place: String::new(), what: error.to_string(), help: None }
    }
}

/// Trouble with a file whose error names it.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::temporary(error.to_string())
    }
}

/// Where a verb's result goes.
pub(crate) struct Output {
    json: bool,
    /// Further members of the JSON value.
    more: Map<String, Value>,
    out: io::BufWriter<io::Stdout>,
    /// Why something could not be written.
    broken: Option<io::Error>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, more: Map::new(), out: io::BufWriter::new(io::stdout()), broken: None }
    }

    /// True if the result is to be one JSON value.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// One line of text; bytes of the store pass through as they are.
    pub(crate) fn line(&mut self, text: impl AsRef<[u8]>) {
        self.raw(&[text.as_ref(), b"\n"].concat());
    }

    /// One line of words that may hold bytes of a store or a file.
    pub(crate) fn say(&mut self, text: &str) {
        self.line(clean(text));
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let written = self.out.write_all(bytes);
        self.note(written);
    }

    /// Shows what was printed so far.
    pub(crate) fn flush(&mut self) {
        let flushed = self.out.flush();
        self.note(flushed);
    }

    fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            // The first reason is the cause of the others.
            self.broken.get_or_insert(error);
        }
    }

    /// A further member of the JSON value, whichever it will be: of the result, or of the error that ends the verb.
    pub(crate) fn add(&mut self, name: &str, value: Value) {
        self.more.insert(name.to_owned(), value);
    }

    /// What was [added](Self::add), for who prints the JSON value himself.
    pub(crate) fn added(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.more)
    }

    fn value(&mut self, mut value: Value) {
        if let Value::Object(members) = &mut value {
            members.extend(self.added());
        }
        self.line(value.to_string());
    }

    /// The result: `value` for scripts, else `text` for people.
    pub(crate) fn result(&mut self, value: &Value, text: impl FnOnce(&mut Self)) {
        if self.json {
            self.value(value.clone());
        } else {
            text(self);
        }
    }

    /// Names and values in two columns.
    pub(crate) fn pairs(&mut self, pairs: &[(&str, String)]) {
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in pairs {
            self.line(format!("{name:width$}  {}", clean(value)).trim_end());
        }
    }

    /// One line on standard error.
    pub(crate) fn complain(&self, text: &str) {
        let _ = writeln!(io::stderr(), "qmail-lookup: {}", clean(text));
    }

    /// Ends the run: prints trouble, flushes, and decides the exit status. What could not be written is never a yes.
    pub(crate) fn finish(&mut self, outcome: Result<Exit, Failure>) -> Exit {
        let exit = outcome.unwrap_or_else(|failure| {
            self.complain(&failure.line());
            if self.json {
                self.value(json!({ "result": "error", "error": failure.to_json() }));
            }
            failure.exit
        });
        self.flush();
        let Some(error) = &self.broken else { return exit };
        self.complain(&format!("the output could not be written: {error}"));
        if exit == Exit::Yes { Exit::Temporary } else { exit }
    }
}

/// What may reach a terminal: without control characters, which a store or a file could hold.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Bytes as text for people and JSON; what is no UTF-8 is replaced.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
