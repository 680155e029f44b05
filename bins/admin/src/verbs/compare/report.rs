//! What came out: counted, and the differences listed.

use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;
use qmail_lookup_core::LookupError;
use qmail_lookup_core::compare::{Fields, Key, Kind, Seen, Verdict};
use qmail_lookup_core::error::printable;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, BufWriter, Seek, Write};

/// Most differences that are listed for people.
const LISTED_MAX: usize = 50;

/// The columns of the summary, as words and as names in JSON.
const COLUMNS: [(&str, &str); 7] = [
    ("same", "same"),
    ("absent", "absent_on_both_sides"),
    ("both bad", "misconfigured_on_both_sides"),
    ("differs", "differs"),
    ("only left", "only_left"),
    ("only right", "only_right"),
    ("not asked", "not_asked"),
];

const ABSENT: usize = 1;
const MISCONFIGURED: usize = 2;
const DIFFERENCES: std::ops::Range<usize> = 3..6;
const NOT_ASKED: usize = 6;

const SIDES: [&str; 2] = ["left", "right"];

/// See the module.
pub(super) struct Report {
    places: [String; 2],
    tallies: Vec<(Kind, [u64; COLUMNS.len()])>,
    /// Lines for people.
    listed: Vec<Vec<String>>,
    /// Values for scripts, one a line: they may be more than memory holds.
    file: Option<BufWriter<File>>,
    /// True if the rows of both sides are at hand.
    all: bool,
    /// Questions that both sides answer with the same misconfiguration, as hashes: they may be many.
    misconfigured: HashSet<u64>,
    hasher: RandomState,
    /// The first trouble of each side.
    trouble: [Option<Failure>; 2],
    /// True if passwords were compared.
    pub(super) passwords: bool,
    /// Rows of each side whose key is one that no question can name.
    pub(super) nameless: [u64; 2],
    /// Lines of a log that name no recipient.
    pub(super) passed_over: Option<u64>,
}

fn trouble(error: impl std::fmt::Display) -> Failure {
    Failure::temporary(format!("temporary file: {error} (set TMPDIR to a directory with room)"))
}

impl Report {
    /// Nothing yet; `all`: the rows of both sides are at hand; `json`: for scripts.
    ///
    /// # Errors
    /// If there is no room for a temporary file.
    pub(super) fn new(sides: [&Session; 2], all: bool, json: bool) -> Result<Self, Failure> {
        let place = |side: &Session| {
            let places: Vec<_> = side.stores().into_iter().map(|(store, _)| store.place()).collect();
            places.join(", ")
        };
        let file = if json { Some(BufWriter::new(tempfile::tempfile().map_err(trouble)?)) } else { None };
        Ok(Self {
            places: sides.map(place),
            tallies: Kind::ALL.into_iter().map(|kind| (kind, <[u64; COLUMNS.len()]>::default())).collect(),
            listed: Vec::new(),
            file,
            all,
            misconfigured: HashSet::new(),
            hasher: RandomState::new(),
            trouble: [None, None],
            passwords: false,
            nameless: [0; 2],
            passed_over: None,
        })
    }

    /// What came out of a question.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    pub(super) fn take(
        &mut self,
        key: &Key,
        verdict: Verdict,
        seen: [Result<Seen, LookupError>; 2],
    ) -> Result<(), Failure> {
        let mut fields = Vec::new();
        for (seen, trouble) in seen.into_iter().zip(&mut self.trouble) {
            match seen {
                Ok(seen) => fields.push(seen.fields),
                Err(error) => drop(trouble.get_or_insert_with(|| error.into())),
            }
        }
        self.differs(key, verdict, <[Fields; 2]>::try_from(fields).ok().as_ref())
    }

    /// As [`Report::take`]; without `values` only the names of the fields are said.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    pub(super) fn differs(&mut self, key: &Key, verdict: Verdict, values: Option<&[Fields; 2]>) -> Result<(), Failure> {
        let column = match &verdict {
            Verdict::Same => 0,
            Verdict::Absent => ABSENT,
            Verdict::Misconfigured => MISCONFIGURED,
            Verdict::Differs(_) => 3,
            Verdict::OnlyLeft => 4,
            Verdict::OnlyRight => 5,
            Verdict::NotAsked => NOT_ASKED,
        };
        self.count(key.kind(), column);
        if verdict == Verdict::Misconfigured && self.all {
            self.misconfigured.insert(self.hasher.hash_one(key.write()));
        }
        let names = match verdict {
            Verdict::Same | Verdict::Absent | Verdict::Misconfigured | Verdict::NotAsked => return Ok(()),
            Verdict::Differs(names) => names,
            Verdict::OnlyLeft | Verdict::OnlyRight => Vec::new(),
        };
        let (words, name) = COLUMNS.get(column).copied().unwrap_or_default();
        let value = |fields: &Fields, name: &str| {
            fields.iter().find(|(other, _)| *other == name).map(|(_, value)| readable(value))
        };
        let shown = |fields: &Fields| -> Vec<(&'static str, Option<String>)> {
            names.iter().map(|name| (*name, value(fields, name))).collect()
        };
        if let Some(file) = &mut self.file {
            let mut one =
                json!({ "kind": key.kind().name(), "key": readable(&key.text()), "verdict": name, "fields": names });
            for (side, fields) in SIDES.into_iter().zip(values.into_iter().flatten()) {
                let values = shown(fields).into_iter().map(|(name, value)| (name.to_owned(), json!(value)));
                if let Some(one) = one.as_object_mut().filter(|_| !names.is_empty()) {
                    one.insert(side.to_owned(), Value::Object(values.collect()));
                }
            }
            return writeln!(file, "{one}").map_err(trouble);
        }
        if self.listed.len() < LISTED_MAX {
            let fields = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
            let mut lines = vec![format!("{words:10}  {:8}  {}{fields}", key.kind().name(), readable(&key.text()))];
            for (side, fields) in SIDES.into_iter().zip(values.into_iter().flatten()) {
                let values = shown(fields).into_iter();
                lines.extend(values.map(|(name, value)| format!("    {side:5}  {name}={}", value.unwrap_or_default())));
            }
            self.listed.push(lines);
        }
        Ok(())
    }

    /// A question that was not even tried.
    pub(super) fn not_asked(&mut self, kind: Kind) {
        self.count(kind, NOT_ASKED);
    }

    /// True if both sides have answered a question with the same misconfiguration.
    pub(super) fn has_misconfigured(&self) -> bool {
        !self.misconfigured.is_empty()
    }

    /// The rows that `key` is about differ: if both sides have called them misconfigured, that is what came out.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    pub(super) fn is_told_apart(&mut self, key: &Key, verdict: Verdict) -> Result<(), Failure> {
        if !self.misconfigured.remove(&self.hasher.hash_one(key.write())) {
            return Ok(());
        }
        let tally = self.tallies.iter_mut().find(|(kind, _)| *kind == key.kind());
        if let Some(number) = tally.and_then(|(_, tally)| tally.get_mut(MISCONFIGURED)) {
            *number -= 1;
        }
        self.differs(key, verdict, None)
    }

    fn count(&mut self, kind: Kind, column: usize) {
        let tally = self.tallies.iter_mut().find(|(other, _)| *other == kind);
        if let Some(number) = tally.and_then(|(_, tally)| tally.get_mut(column)) {
            *number += 1;
        }
    }

    fn sum(&self, columns: std::ops::Range<usize>) -> u64 {
        self.tallies.iter().flat_map(|(_, tally)| tally.get(columns.clone()).unwrap_or_default()).sum()
    }

    fn unknown(&self) -> u64 {
        self.sum(NOT_ASKED..NOT_ASKED + 1)
    }

    /// What is not known outweighs what differs: it may differ, too.
    fn exit(&self) -> Exit {
        match (self.unknown(), self.sum(DIFFERENCES)) {
            (1.., _) => Exit::Temporary,
            (0, 1..) => Exit::No,
            (0, 0) => Exit::Yes,
        }
    }

    /// Prints it; `values`: with those of the fields that differ.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub(super) fn print(mut self, values: bool, output: &mut Output) -> Result<Exit, Failure> {
        match self.file.take() {
            Some(file) => self.print_json(file, output)?,
            None => self.print_text(values, output),
        }
        for failure in self.trouble.iter().flatten() {
            output.complain(&format!("not asked: {}", failure.line()));
        }
        Ok(self.exit())
    }

    fn print_text(&self, values: bool, output: &mut Output) {
        for (side, place) in SIDES.iter().zip(&self.places) {
            output.say(&format!("{side:5}  {place}"));
        }
        output.line("");
        let line = |name: &str, cells: Vec<String>| {
            let cells: String = cells.iter().map(|cell| format!("  {cell:>10}")).collect();
            format!("{name:8}{cells}")
        };
        output.line(line("", COLUMNS.iter().map(|(words, _)| (*words).to_owned()).collect()));
        for (kind, tally) in &self.tallies {
            if *kind == Kind::Password && !self.passwords {
                output.line(format!("{:8}  not compared", kind.name()));
            } else {
                output.line(line(kind.name(), tally.iter().map(u64::to_string).collect()));
            }
        }
        output.line("");
        for lines in &self.listed {
            for text in lines.iter().take(if values { usize::MAX } else { 1 }) {
                output.say(text);
            }
        }
        let (differences, unknown) = (self.sum(DIFFERENCES), self.unknown());
        let more = differences.saturating_sub(self.listed.len() as u64);
        if more > 0 {
            output.line(format!("and {more} more; --json lists them all"));
        }
        for (side, rows) in SIDES.iter().zip(self.nameless).filter(|(_, rows)| *rows > 0) {
            output.line(format!(
                "note: {rows} row(s) of the {side} side have a key that no question can name; lint names them"
            ));
        }
        if let Some(lines) = self.passed_over {
            output.line(format!("note: {lines} line(s) of the log name no recipient"));
        }
        let absent = self.sum(ABSENT..ABSENT + 1);
        if absent > 0 && !self.all {
            output.line(format!("note: {absent} question(s) are about what neither side knows: absent on both sides"));
        }
        let misconfigured = self.sum(MISCONFIGURED..MISCONFIGURED + 1);
        if misconfigured > 0 {
            output.line(format!(
                "note: {misconfigured} question(s) meet rows that are misconfigured on both sides (both bad); {}",
                if self.all { "lint names them" } else { "these rows were not compared: do that with --all" }
            ));
        }
        let but = if misconfigured > 0 { ", but misconfigured on both sides" } else { "" };
        let without = if self.passwords { "" } else { "; passwords were not compared" };
        output.line(match (unknown, differences) {
            (1.., _) => {
                format!("not known: {unknown} question(s) could not be asked; {differences} difference(s){without}")
            }
            (0, 1..) => format!("different: {differences} difference(s){without}"),
            (0, 0) if self.passwords => format!("the same{but}"),
            (0, 0) => format!("no difference{but}{without}"),
        });
    }

    fn print_json(&self, file: BufWriter<File>, output: &mut Output) -> Result<(), Failure> {
        let result = match (self.exit(), self.passwords) {
            (Exit::Yes, true) => "same",
            (Exit::Yes, false) => "same_but_passwords",
            (Exit::No, _) => "different",
            (Exit::Temporary | Exit::Usage, _) => "unknown",
        };
        let tally = |tally: &[u64; COLUMNS.len()]| -> Map<String, Value> {
            COLUMNS.iter().zip(tally).map(|((_, name), number)| ((*name).to_owned(), json!(number))).collect()
        };
        let summary: Map<String, Value> = self
            .tallies
            .iter()
            .filter(|(kind, _)| *kind != Kind::Password || self.passwords)
            .map(|(kind, numbers)| (kind.name().to_owned(), Value::Object(tally(numbers))))
            .collect();
        let [left, right] = &self.places;
        let mut head = json!({
            "result": result,
            "left": left,
            "right": right,
            "passwords": if self.passwords { "compared" } else { "not compared" },
            "rows_without_usable_key": { "left": self.nameless[0], "right": self.nameless[1] },
            "lines_passed_over": self.passed_over,
            "trouble": self.trouble.iter().map(|failure| failure.as_ref().map(Failure::to_json)).collect::<Vec<_>>(),
            "summary": summary,
        });
        if let Value::Object(members) = &mut head {
            members.extend(output.added());
        }
        let head = head.to_string();
        output.raw(head.strip_suffix('}').unwrap_or(&head).as_bytes());
        output.raw(b",\"differences\":[");
        let mut file = file.into_inner().map_err(trouble)?;
        file.rewind().map_err(trouble)?;
        let mut comma: &[u8] = b"";
        for line in BufReader::new(file).split(b'\n') {
            output.raw(comma);
            output.raw(&line.map_err(trouble)?);
            comma = b",";
        }
        output.line("]}");
        Ok(())
    }
}

/// Text stays as it is, other bytes become `\xNN`.
fn readable(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| printable(bytes), str::to_owned)
}
