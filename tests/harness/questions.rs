//! Every question of the battery, for comparing stores with each other.

use crate::dataset::{self, traps};
use crate::model::Question;
use qmail_lookup_core::TableRow;

/// Questions about every stored key, and about every key that somebody else might send.
#[must_use]
pub fn all() -> Vec<Question> {
    let mut questions = stored();
    let hostile = traps::SYNTAX.iter().chain(traps::UNUSABLE).map(|(_, raw)| *raw);
    let traps = traps::NAMES.iter().map(|(_, _, asked)| *asked);
    for raw in hostile.chain(traps) {
        questions.extend([
            Question::mailboxes([raw]),
            Question::aliases([(raw, b"".as_slice()), (b"iain", raw), (b"keys", raw)]),
            Question::exact([(raw, b"".as_slice()), (b"virtual.com", raw), (b"funky.com", raw)]),
            Question::patterns(raw),
            Question::rcpthosts([raw]),
        ]);
    }
    // As the rules ask: all candidates of an address at once.
    questions.extend([
        Question::mailboxes(["iain-list-owner-x", "iain-list-owner", "iain-list", "iain"]),
        Question::mailboxes(["iain-sanity-x", "iain-sanity", "iain"]),
        Question::aliases([("iain", "list"), ("iain", "@"), ("iain", "list-owner")]),
        Question::aliases([("alias", "info@bar.com"), ("alias", "info"), ("alias", "@")]),
        Question::exact([("virtual.com", "nobody"), ("virtual.com", "")]),
        Question::rcpthosts([
            "deep.a.b.c.example.net",
            ".a.b.c.example.net",
            ".b.c.example.net",
            ".c.example.net",
            ".example.net",
            ".net",
        ]),
    ]);
    questions.retain(|question| match question {
        Question::Mailboxes(keys) => !keys.is_empty(),
        Question::Aliases(keys) => !keys.is_empty(),
        Question::Virtuals(keys) => !keys.is_empty(),
        Question::Rcpthosts(keys) => !keys.is_empty(),
    });
    questions
}

fn stored() -> Vec<Question> {
    let mut questions: Vec<Question> = Vec::new();
    for (n, row) in dataset::rows().into_iter().enumerate() {
        let cells: Vec<_> = row.cells().into_iter().map(Option::unwrap_or_default).collect();
        // Of the crowds, a few.
        let crowded = cells.iter().any(|cell| cell.starts_with(b"crowd"));
        if crowded && n % 50 != 0 {
            continue;
        }
        let own = match &row {
            TableRow::Mailbox(_) => vec![Question::mailboxes([cells[0]])],
            TableRow::Alias(_) => vec![Question::aliases([(cells[0], cells[1])])],
            TableRow::Virtual(_) => vec![Question::exact([(cells[0], cells[1])]), Question::patterns(cells[0])],
            TableRow::Rcpthosts(_) => vec![Question::rcpthosts([cells[0]])],
        };
        for question in own {
            // The crowds: neighbours with one key are next to each other.
            if questions.last() != Some(&question) && questions.iter().rev().take(3).all(|known| *known != question) {
                questions.push(question);
            }
        }
    }
    questions
}
