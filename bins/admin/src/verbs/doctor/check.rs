//! What is asked about a host, and what came of it.

use crate::exit::Exit;
use crate::output::Output;
use crate::path_repair::Mend;
use crate::verbs::install::remarks::{Remark, Remarks};
use serde_json::{Value, json};

/// Most findings under one question; the rest is counted.
const SHOWN: usize = 10;

/// What looking gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// In order, and what was seen.
    Ok(String),
    /// What is wrong, and the command or the statement that mends it. `once`: that is one command for one path, which may
    /// stand in many a way.
    Wrong { what: String, mend: String, once: bool },
    /// It could not be looked at.
    Unknown { why: String, mend: String },
}

/// One question, in the FAQ's words where it has them, with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    question: &'static str,
    outcome: Outcome,
}

/// Everything that was asked so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn ok(&mut self, question: &'static str, what: impl Into<String>) {
        self.push(question, Outcome::Ok(what.into()));
    }

    pub(super) fn wrong(&mut self, question: &'static str, what: impl Into<String>, mend: impl Into<String>) {
        self.push(question, Outcome::wrong(what, mend));
    }

    pub(super) fn unknown(&mut self, question: &'static str, why: impl Into<String>, mend: impl Into<String>) {
        self.push(question, Outcome::Unknown { why: why.into(), mend: mend.into() });
    }

    fn push(&mut self, question: &'static str, outcome: Outcome) {
        self.checks.push(Check { question, outcome });
    }

    /// All of one question, or that nothing was found, in these words. What one command for a path mends is told once.
    pub(super) fn all(&mut self, question: &'static str, all: Vec<Outcome>, otherwise: impl Into<String>) {
        let mut found: Vec<Outcome> = Vec::new();
        for outcome in all {
            let known = |told: &Outcome| told.is_once() && told.mend() == outcome.mend();
            if !outcome.is_once() || !found.iter().any(known) {
                found.push(outcome);
            }
        }
        let more = found.len().saturating_sub(SHOWN);
        if found.is_empty() {
            return self.ok(question, otherwise);
        }
        let next = found.get(SHOWN).cloned();
        for outcome in found.into_iter().take(SHOWN) {
            self.push(question, outcome);
        }
        if let Some(next) = next {
            self.wrong(question, format!("{more} more of these; the next one: {}", next.what()), next.mend());
        }
    }

    /// True unless something was found under this question.
    pub(super) fn is_ok(&self, question: &str) -> bool {
        let mut of = self.checks.iter().filter(|check| check.question == question);
        of.all(|check| matches!(check.outcome, Outcome::Ok(_)))
    }

    /// Prints it, and decides the exit status: what is wrong comes before what is not known.
    pub(super) fn finish(&self, output: &mut Output) -> Exit {
        let any = |word: &str| self.checks.iter().any(|check| check.outcome.word() == word);
        let (result, exit) = match (any("wrong"), any("unknown")) {
            (true, _) => ("wrong", Exit::No),
            (false, true) => ("unknown", Exit::Temporary),
            (false, false) => ("ok", Exit::Yes),
        };
        let checks: Vec<_> = self.checks.iter().map(Check::to_json).collect();
        output.result(&json!({ "result": result, "checks": checks }), |out| {
            for check in &self.checks {
                check.lines().into_iter().for_each(|line| out.say(&line));
            }
        });
        exit
    }
}

impl Outcome {
    pub(super) fn wrong(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Wrong { what: what.into(), mend: mend.into(), once: false }
    }

    /// What stands in somebody's way, on a path that may be in that of others, too.
    pub(super) fn obstacle(what: impl Into<String>, mend: Mend) -> Self {
        let (mend, once) = match mend {
            Mend::Command(text) => (text, true),
            Mend::Words(text) => (text, false),
        };
        Self::Wrong { what: what.into(), mend, once }
    }

    /// What `install` has against a host.
    pub(super) fn of(remarks: Remarks) -> Vec<Self> {
        let wrong = remarks.refusals.into_iter().chain(remarks.warnings);
        let wrong = wrong.map(|Remark { what, help }| Self::wrong(what, help));
        let unknown = remarks.unknown.iter().map(|why| Self::Unknown { why: why.line(), mend: String::new() });
        wrong.chain(unknown).collect()
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Wrong { .. } => "wrong",
            Self::Unknown { .. } => "unknown",
        }
    }

    fn is_once(&self) -> bool {
        matches!(self, Self::Wrong { once: true, .. })
    }

    fn what(&self) -> &str {
        match self {
            Self::Ok(what) | Self::Wrong { what, .. } => what,
            Self::Unknown { why, .. } => why,
        }
    }

    pub(super) fn mend(&self) -> &str {
        match self {
            Self::Ok(_) => "",
            Self::Wrong { mend, .. } | Self::Unknown { mend, .. } => mend,
        }
    }
}

impl Check {
    fn lines(&self) -> Vec<String> {
        let word = match self.outcome {
            Outcome::Ok(_) => "ok",
            Outcome::Wrong { .. } => "WRONG",
            Outcome::Unknown { .. } => "?",
        };
        let mut lines = vec![shown(&format!("{word:6} {}: {}", self.question, self.outcome.what()))];
        let mend = self.outcome.mend();
        if !mend.is_empty() {
            lines.push(shown(&format!("       do: {mend}")));
        }
        lines
    }

    fn to_json(&self) -> Value {
        let Self { question, outcome } = self;
        let mend = Some(outcome.mend()).filter(|mend| !mend.is_empty());
        json!({ "question": question, "result": outcome.word(), "what": outcome.what(), "do": mend })
    }
}

/// A stored control character must not reach the reader's terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_findings_are_told_and_the_rest_is_counted() {
        let mut report = Report::default();
        report.all("none", Vec::new(), "fine");
        report.all("many", (0..25).map(|n| Outcome::wrong(format!("w{n}"), format!("m{n}"))).collect(), "fine");
        assert!(report.is_ok("none") && !report.is_ok("many"));
        assert_eq!(report.checks.len(), 1 + SHOWN + 1);
        let last = report.checks.last().unwrap();
        assert_eq!(last.lines(), ["WRONG  many: 15 more of these; the next one: w10", "       do: m10"]);
    }

    #[test]
    fn what_one_command_for_a_path_mends_is_told_once() {
        let mut report = Report::default();
        let path = |what| Outcome::obstacle(what, Mend::Command("chmod".to_owned()));
        let words = |what| Outcome::obstacle(what, Mend::Words("look".to_owned()));
        let other = |what| Outcome::wrong(what, "set a new password");
        let found = vec![path("one"), path("two"), words("three"), words("four"), other("five"), other("six")];
        report.all("q", found, "fine");
        let told: Vec<_> = report.checks.iter().map(|check| check.outcome.what()).collect();
        assert_eq!(told, ["one", "three", "four", "five", "six"]);
    }

    #[test]
    fn control_characters_of_rows_do_not_reach_a_terminal() {
        let check = Check { question: "q", outcome: Outcome::Ok("a\u{1b}[2Jb".to_owned()) };
        assert_eq!(check.lines(), ["ok     q: a\u{fffd}[2Jb"]);
    }
}
