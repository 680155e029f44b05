//! Keys are values, never syntax, and no collation decides who gets mail.

use super::{Case, Part};
use crate::check::{Outcome, ensure, equal};
use crate::dataset::traps;
use crate::model::{Question, soon};
use crate::shape::Need;
use crate::subject::Ctx;
use qmail_lookup_core::{Ext, Host, Username};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |needs, sentence: String, run: Box<dyn Fn(&Ctx<'_>) -> Outcome + Send + Sync>| {
        cases.push(Case::new("hostile", Part::Resolvers, needs, &sentence, run));
    };
    for &(what, raw) in traps::UNUSABLE {
        add(&[], format!("{what}_is_no_key_and_asks_nobody"), Box::new(move |c| unusable(c, raw)));
    }
    for &(what, raw) in traps::SYNTAX {
        add(&[], format!("{what}_is_a_value_and_finds_nobody"), Box::new(move |c| finds_nobody(c, raw)));
    }
    for &(what, name) in traps::AWKWARD {
        add(&[], format!("{what}_finds_exactly_its_own_row"), Box::new(move |c| finds_itself(c, name)));
    }
    for &(what, stored, asked) in traps::NAMES {
        let needs = needed(stored);
        add(needs, format!("stored_{what}_is_not_the_key_without"), Box::new(move |c| trap(c, stored, asked)));
    }
    add(
        &[Need::Duplicates],
        "a_padded_twin_does_not_double_the_row".to_owned(),
        Box::new(|c| equal("home", c.mailbox("padded")?.home, crate::subject::text("/home/mail/padded"))),
    );
    add(
        &[Need::Duplicates, Need::Latin1Keys],
        "an_accented_twin_does_not_double_the_row".to_owned(),
        Box::new(|c| equal("home", c.mailbox("accent")?.home, crate::subject::text("/home/mail/accent"))),
    );
    add(&[], "all_of_them_in_one_call_find_only_what_is_there".to_owned(), Box::new(all_at_once));
    cases
}

fn needed(stored: &[u8]) -> &'static [Need] {
    match std::str::from_utf8(stored) {
        Err(_) => &[Need::ByteKeys],
        Ok(text) if text.is_ascii() => &[],
        Ok(text) if text.chars().all(|c| u32::from(c) <= 0xFF) => &[Need::Latin1Keys],
        Ok(_) => &[Need::UnicodeKeys],
    }
}

fn unusable(c: &Ctx<'_>, raw: &[u8]) -> Outcome {
    ensure(Username::new(raw).is_none(), "it became a key")?;
    // As the rules would: the other candidates are asked all the same.
    let rows = c.mailboxes([raw, b"iain"])?;
    equal("rows", rows.len(), 1)?;
    if !raw.is_empty() && raw.len() < 255 {
        ensure(
            Ext::new(raw).is_none() && Host::new(raw).is_none() || raw.len() == 129,
            "it became an alias or a host",
        )?;
    }
    Ok(())
}

fn finds_nobody(c: &Ctx<'_>, raw: &[u8]) -> Outcome {
    c.absent(&Question::mailboxes([raw]))?;
    // "%", "0x41" and so on exist as other things; what counts there is checked against the rows that were stored.
    c.agrees(&Question::aliases([(b"iain".as_slice(), raw), (raw, b"@"), (raw, b"")]))?;
    c.agrees(&Question::exact([(b"virtual.com".as_slice(), raw), (raw, b"iain"), (raw, b"")]))?;
    c.agrees(&Question::patterns(raw))?;
    c.agrees(&Question::any(raw))?;
    c.agrees(&Question::rcpthosts([raw]))?;
    // The tables are still there.
    equal("iain", c.mailboxes(["iain"])?.len(), 1)
}

fn finds_itself(c: &Ctx<'_>, name: &str) -> Outcome {
    let row = c.mailbox(name)?;
    equal("name", row.username, crate::subject::text(name))?;
    equal("in upper case", c.mailbox(name.to_ascii_uppercase())?.uid, row.uid)
}

fn trap(c: &Ctx<'_>, stored: &[u8], asked: &[u8]) -> Outcome {
    let there =
        c.rows.iter().any(|row| row.cells().first().copied().flatten() == c.shape.keys.store(stored).as_deref());
    ensure(there, "the trap was not stored")?;
    c.absent(&Question::mailboxes([asked]))?;
    // Beside somebody who is there, it disturbs nobody.
    equal("rows", c.mailboxes([asked, b"iain"])?.len(), 1)
}

fn all_at_once(c: &Ctx<'_>) -> Outcome {
    let syntax = traps::SYNTAX.iter().map(|(_, raw)| *raw);
    let awkward = traps::AWKWARD.iter().map(|(_, name)| name.as_bytes());
    let traps = traps::NAMES.iter().map(|(_, _, asked)| *asked);
    let question = Question::mailboxes(syntax.chain(awkward).chain(traps));
    let came = question.put(c.store, soon())?;
    equal("rows", question.counting(&came).len(), traps::AWKWARD.len())
}
