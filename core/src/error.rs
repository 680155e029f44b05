//! Why a question could not be answered.
//!
//! "No such mailbox" is **not** an error, it is an answer. Everything in this file means "we do not know", and not
//! knowing must never bounce mail and never let anyone in. So every kind is temporary to mail; the kinds exist for
//! logs and for the fail-over layer only, and nothing converts one of them into "absent".

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What sort of trouble it was. For logs and for choosing another server; never for choosing a bounce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store could not be reached, or the connection broke.
    Unreachable,
    /// No answer before the deadline.
    Timeout,
    /// The store was reached and refused us: wrong credentials, no privilege, TLS not acceptable.
    Refused,
    /// The store has no such table, column, index or attribute, or one of another type than documented.
    Schema,
    /// The data or the settings contradict the rules, or the store did not prove itself (rules K3, K4, V2, V3, A2).
    Misconfigured,
    /// Too many questions at once here or there; nothing was asked.
    Overloaded,
}

impl ErrorKind {
    /// One stable word for logs, metrics and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Schema => "schema",
            Self::Misconfigured => "misconfigured",
            Self::Overloaded => "overloaded",
        }
    }
}

/// A question that ended without an answer. Cheap to clone: coalesced callers share one.
#[derive(Clone, Debug)]
pub struct LookupError(Arc<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    place: String,
    what: String,
    help: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl LookupError {
    /// An error at `place` (the store and server, as the administrator knows them, for example
    /// `mysql db1.example:3306`). `what` says in a few words what failed and never holds a secret or a row's value.
    #[must_use]
    pub fn new(kind: ErrorKind, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, place: place.into(), what: what.into(), help: None, source: None }))
    }

    /// Adds what the administrator can do about it, ideally a command.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        self.change(|inner| inner.help = Some(help.into()))
    }

    /// Adds the driver's own error, for debug logs.
    #[must_use]
    pub fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.change(|inner| inner.source = Some(Arc::new(source)))
    }

    fn change(mut self, edit: impl FnOnce(&mut Inner)) -> Self {
        edit(Arc::make_mut(&mut self.0));
        self
    }

    /// What sort of trouble it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The store and server it happened at.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// What failed, without the place.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// What the administrator can do, if we know.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.place, self.0.what)
    }
}

impl StdError for LookupError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

/// A row or setting that contradicts the rules. Names table, key and column, never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misconfiguration {
    /// Number of the rule that says so, for example `K3`.
    pub rule: &'static str,
    /// Table, or `rules` for a setting.
    pub table: &'static str,
    /// Key of the row, printable.
    pub key: String,
    /// Column at fault; empty if it is the row as a whole.
    pub column: &'static str,
    /// What is wrong, and where it helps, what to do.
    pub problem: String,
}

impl fmt::Display for Misconfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "misconfiguration (rule {}): table {}, row {}", self.rule, self.table, self.key)?;
        if !self.column.is_empty() {
            write!(f, ", column {}", self.column)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl From<Misconfiguration> for LookupError {
    fn from(bad: Misconfiguration) -> Self {
        Self::new(ErrorKind::Misconfigured, "data", bad.to_string())
    }
}

/// Bytes as printable text for messages: anything outside 0x21-0x7E becomes `\xNN`.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len()), |mut out, &b| {
        if (0x21..=0x7E).contains(&b) && b != b'\\' {
            out.push(char::from(b));
        } else {
            use fmt::Write;
            let _ = write!(out, "\\x{b:02x}");
        }
        out
    })
}
