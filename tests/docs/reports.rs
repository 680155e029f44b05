//! What qmail-local can report, as its source says it.

use super::{files, read};
use libtest_mimic::Failed;
use std::collections::BTreeSet;

/// Stands for what only the running program knows.
const OPEN: char = '\0';

/// How reports begin that are put together on the spot.
const CALLS: [&str; 3] = ["Ending::defer(&[", "Ending::bounce(&[", "report::say(b"];

/// The first line of each report. What qmail-queue and the daemon say is part of one, and not one.
pub(super) fn made() -> Result<BTreeSet<String>, Failed> {
    let mut made = BTreeSet::new();
    for path in files("bins/dropin/src/local")? {
        let code = code(&read(path)?);
        let calls = CALLS.iter().flat_map(|call| code.split(call).skip(1));
        made.extend(calls.map(put_together));
        made.extend(literals(&code).into_iter().filter(|text| is_whole(text)));
    }
    made.extend(literals(&code(&read("core/src/rules/deliver.rs")?)).into_iter().filter(|text| is_whole(text)));
    let first_line = |text: String| text.split('\n').next().unwrap_or_default().to_owned();
    made = made.into_iter().map(first_line).collect();
    made.retain(|text| text.contains(|c: char| c.is_ascii_alphabetic()));
    Ok(made)
}

/// Whether `report` is what `form` becomes when its open parts are filled.
pub(super) fn fits(form: &str, report: &str) -> bool {
    let Some((begin, rest)) = form.split_once(OPEN) else { return form == report };
    let Some(tail) = report.strip_prefix(begin) else { return false };
    let is_boundary = |at: &usize| tail.is_char_boundary(*at);
    (1..=tail.len()).filter(is_boundary).any(|at| fits(rest, &tail[at..]))
}

/// Without tests and comments.
fn code(source: &str) -> String {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default().replace("'\"'", "");
    code.lines().filter(|line| !line.trim_start().starts_with("//")).fold(String::new(), |all, line| all + line + "\n")
}

/// A text that is a report by itself: one that names an enhanced status code, or the usage.
fn is_whole(text: &str) -> bool {
    let is_sentence = text.starts_with(|c: char| c.is_ascii_uppercase()) && text.contains(" (#");
    is_sentence || text.starts_with("qmail-local: usage: ")
}

/// The parts up to the bracket that closes, one after the other; what is no text is open.
fn put_together(rest: &str) -> String {
    let (mut report, mut depth, mut is_open) = (String::new(), 0, false);
    let mut at = 0;
    while let Some(byte) = rest.as_bytes().get(at) {
        match byte {
            b'"' => {
                let (text, used) = literal(&rest[at..]);
                if depth == 0 {
                    (report, is_open) = (report + &text, false);
                }
                at += used;
                continue;
            }
            b']' | b')' if depth == 0 => break,
            b'[' | b'(' => depth += 1,
            b']' | b')' => depth -= 1,
            // The mark of a text of bytes, or of one that is borrowed.
            b'b' | b'&' if rest[at + 1..].starts_with(['"', 'b']) => {}
            b',' | b' ' | b'\n' => {}
            _ if depth == 0 && !is_open => {
                report.push(OPEN);
                is_open = true;
            }
            _ => {}
        }
        if *byte == b',' && depth == 0 {
            is_open = false;
        }
        at += 1;
    }
    report
}

/// All texts.
fn literals(code: &str) -> Vec<String> {
    let (mut all, mut rest) = (Vec::new(), code);
    while let Some(at) = rest.find('"') {
        let (text, used) = literal(&rest[at..]);
        all.push(text);
        rest = &rest[at + used..];
    }
    all
}

/// The text that begins with the quotation mark at the beginning, and where it has ended.
fn literal(quoted: &str) -> (String, usize) {
    let mut text = String::new();
    let mut chars = quoted.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, at + 1),
            '\\' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, '\n')) => while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {},
                Some((_, other)) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    (text, quoted.len())
}
