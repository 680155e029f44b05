//! Sentences of `MailboxResolver`.

use super::{Case, Part};
use crate::check::{Outcome, ensure, equal};
use crate::dataset::CROWD;
use crate::model::{Question, soon};
use crate::shape::Need;
use crate::subject::{Ctx, text};
use futures_util::future::join_all;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{Deadline, MailboxRow, Username};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    let case =
        |needs, sentence, run: fn(&Ctx<'_>) -> Outcome| Case::new("mailbox", Part::Resolvers, needs, sentence, run);
    vec![
        case(&[], "a_row_that_is_there_is_found", found),
        case(&[], "a_row_stored_in_upper_case_is_found", |c| {
            equal("stored as Boss", c.mailbox("boss")?.username, text("Boss"))
        }),
        case(&[], "a_name_asked_in_upper_case_is_found", |c| equal("IAIN", c.mailbox("IAIN")?.uid, text("800"))),
        case(&[], "a_row_that_is_not_there_is_absent_not_an_error", |c| {
            c.absent(&Question::mailboxes(["nobody"]))?;
            c.absent(&Question::mailboxes(["nobody", "no-one", "noone"]))
        }),
        case(&[], "a_prefix_or_a_longer_name_is_another_name", |c| {
            c.absent(&Question::mailboxes(["iai", "iain-", "iainn", "iain-sanit", "dm", "-iain"]))
        }),
        case(&[], "several_names_are_answered_by_one_call", |c| {
            equal("names", names(&c.mailboxes(["dmp", "iain", "virtual"])?), ["dmp", "iain", "virtual"])
        }),
        case(&[], "names_that_are_absent_hide_none_that_are_there", |c| {
            equal(
                "names",
                names(&c.mailboxes(["a", "iain-sanity-x", "iain-sanity", "iain", "z"])?),
                ["iain", "iain-sanity"],
            )
        }),
        case(&[], "a_name_asked_twice_is_one_row", |c| equal("rows", c.mailboxes(["iain", "iain", "IAIN"])?.len(), 1)),
        case(&[], "no_names_are_no_rows", |c| c.absent(&Question::Mailboxes(Vec::new()))),
        case(&[], "sixty_four_names_are_answered_by_one_call", |c| crowd(c, 64)),
        case(&[], "more_names_than_one_statement_takes_are_answered_by_one_call", |c| crowd(c, CROWD)),
        case(&[], "the_order_of_the_names_changes_nothing", |c| {
            equal("rows", c.mailboxes(["iain", "dmp", "boss"])?, c.mailboxes(["boss", "iain", "dmp"])?)
        }),
        case(&[Need::Duplicates], "two_rows_for_one_name_both_come_back", |c| {
            let uids: Vec<_> = c.mailboxes(["twin"])?.into_iter().map(|row| row.uid).collect();
            equal("uids", uids, [text("820"), text("821")])
        }),
        case(&[Need::Duplicates], "two_rows_that_differ_in_case_both_come_back", |c| {
            equal("rows", c.mailboxes(["pair"])?.len(), 2)
        }),
        case(&[Need::Duplicates], "two_rows_of_one_name_do_not_hide_another_name", |c| {
            equal("rows", c.mailboxes(["iain", "twin", "dmp"])?.len(), 4)
        }),
        case(&[], "a_home_with_blanks_is_not_trimmed", |c| {
            equal("home", c.mailbox("blanks")?.home, text("/home/mail/with blanks  "))
        }),
        case(&[], "a_home_with_quotes_comes_back_as_stored", |c| {
            equal("home", c.mailbox("quotes")?.home, text("/home/mail/'a' \"b\" \\c %d _e;--"))
        }),
        case(&[], "a_home_of_255_bytes_is_not_cut", |c| {
            equal("length", c.mailbox("longhome")?.home.map(|home| home.len()), Some(255))
        }),
        case(&[Need::UnicodeValues], "a_home_in_another_script_comes_back_as_stored", |c| {
            equal("home", c.mailbox("emoji")?.home, text("/home/mail/\u{1f600}"))
        }),
        case(&[], "a_home_with_an_umlaut_comes_back_in_the_bytes_of_its_column", |c| {
            let stored = c.shape.values.store("/home/mail/Postf\u{e4}cher".as_bytes());
            equal("home", c.mailbox("utf8")?.home, stored)
        }),
        case(&[], "cells_are_not_folded", |c| equal("home", c.mailbox("boss")?.home, text("/home/mail/Boss"))),
        case(&[], "a_cell_that_says_null_is_not_null", |c| equal("home", c.mailbox("words")?.home, text("/NULL"))),
        case(&[Need::LargeIds], "the_largest_ids_come_back_as_stored", |c| {
            let row = c.mailbox("largest")?;
            equal("ids", (row.uid, row.gid), (text("4294967294"), text("4294967294")))
        }),
        case(&[Need::LoginColumns], "suspended_comes_back_as_stored", |c| {
            equal("Y", c.mailbox("susp-y")?.suspended, text("Y"))?;
            equal("N", c.mailbox("susp-n")?.suspended, text("N"))
        }),
        case(&[Need::FreeWords], "any_word_in_suspended_comes_back_as_stored", |c| {
            equal("n", c.mailbox("susp-small-n")?.suspended, text("n"))?;
            equal("empty", c.mailbox("susp-empty")?.suspended, text(""))?;
            equal("other", c.mailbox("susp-other")?.suspended, text("maybe"))
        }),
        case(&[Need::Nulls], "null_is_none_and_not_empty", |c| {
            equal("suspended", c.mailbox("susp-null")?.suspended, None)?;
            equal("uid", c.mailbox("bad-null-uid")?.uid, None)?;
            equal("home", c.mailbox("bad-home-null")?.home, None)?;
            equal("empty home", c.mailbox("bad-home-empty")?.home, text(""))
        }),
        case(&[], "a_column_that_the_table_lacks_is_null", |c| {
            let want = if c.shape.login_columns { text("N") } else { None };
            equal("suspended", c.mailbox("iain")?.suspended, want)
        }),
        case(&[], "a_bad_row_fails_nobody", |c| {
            let rows = c.mailboxes([
                "iain",
                "bad-root",
                "bad-group",
                "bad-low",
                "bad-home-relative",
                "bad-home-newline",
                "dmp",
            ])?;
            let good: Vec<_> =
                rows.iter().filter(|row| row.validate(&RuleSettings::default()).is_ok()).cloned().collect();
            equal("good rows", names(&good), ["dmp", "iain"])
        }),
        case(&[], "a_bad_row_comes_back_as_stored", |c| {
            equal("uid 0", c.mailbox("bad-root")?.uid, text("0"))?;
            equal("home", c.mailbox("bad-home-newline")?.home, text("/home/bad\n/etc"))
        }),
        case(&[], "a_home_with_a_nul_is_not_cut", |c| {
            equal("home", c.mailbox("bad-home-nul")?.home, text("/home/bad\0/etc"))
        }),
        case(&[Need::FreeIds], "ids_that_are_no_numbers_come_back_as_stored", |c| {
            let stored = [
                ("bad-negative", "-5"),
                ("bad-huge", "99999999999999999999"),
                ("bad-word", "abc"),
                ("bad-hex", "0x400"),
                ("bad-float", "800.5"),
                ("bad-blank-uid", ""),
                ("bad-zeros", "0800"),
            ];
            stored.iter().try_for_each(|(name, uid)| equal(name, c.mailbox(name)?.uid, text(uid)))
        }),
        case(&[Need::WideNames], "a_name_of_128_bytes_is_found", |c| {
            equal("uid", c.mailbox("x".repeat(128))?.uid, text("806"))?;
            c.absent(&Question::mailboxes(["x".repeat(127)]))
        }),
        case(&[], "a_longer_name_than_the_column_finds_no_cut_one", |c| {
            c.absent(&Question::mailboxes(["abcdefghijklmnopqrstuvwxyz0123456", "abcdefghijklmnopqrstuvwxyz012345x"]))
        }),
        case(&[], "a_passed_deadline_is_never_a_none", passed_deadline),
        case(&[], "many_callers_at_once_each_get_their_own_answer", many_callers),
        case(&[], "a_caller_that_goes_away_harms_nobody", goes_away),
        case(&[], "asking_does_not_change_the_answer", |c| {
            let first = c.mailbox("iain")?;
            (0..30).try_for_each(|_| equal("again", &c.mailbox("iain")?, &first))
        }),
    ]
}

fn found(c: &Ctx<'_>) -> Outcome {
    let row = c.mailbox("iain")?;
    let cells = (row.username, row.uid, row.gid, row.home);
    equal("iain", cells, (text("iain"), text("800"), text("100"), text("/home/mail/iain")))?;
    equal("iain-sanity", c.mailbox("iain-sanity")?.home, text("/home/mail/sanity"))
}

fn crowd(c: &Ctx<'_>, number: usize) -> Outcome {
    let rows = c.mailboxes((0..number).map(|n| format!("crowd{n:03}")))?;
    equal("rows", rows.len(), number)
}

/// A store may answer all the same if that takes no time, or say that there was none. "Absent" it may not say.
fn passed_deadline(c: &Ctx<'_>) -> Outcome {
    let question = Question::mailboxes(["iain"]);
    for by in [Deadline::after(Duration::ZERO), Deadline::after(Duration::from_micros(50))] {
        if let Ok(rows) = question.put(c.store, by) {
            equal("rows", question.counting(&rows).len(), 1)?;
        }
    }
    found(c)
}

fn many_callers(c: &Ctx<'_>) -> Outcome {
    let questions: Vec<_> = (0..40).map(|n| Question::mailboxes([format!("crowd{n:03}")])).collect();
    let answers = c.wait(join_all(questions.iter().map(|question| question.ask(c.store, soon()))));
    for (question, answer) in questions.iter().zip(answers) {
        let rows = question.counting(&answer?);
        equal("rows", rows, question.counting(c.rows))?;
    }
    Ok(())
}

fn goes_away(c: &Ctx<'_>) -> Outcome {
    let names: Vec<_> = Username::new(b"iain").into_iter().collect();
    for n in 0..40_u64 {
        c.wait(async {
            // From "not even sent" to "about to be answered".
            let pause = Duration::from_micros(n * 40);
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                _ = c.store.mailboxes(&names, soon()) => {}
            }
        });
        ensure(c.mailboxes(["dmp"])?.len() == 1, "dmp is not found any more")?;
    }
    found(c)
}

fn names(rows: &[MailboxRow]) -> Vec<String> {
    rows.iter().map(|row| String::from_utf8_lossy(row.username.as_deref().unwrap_or_default()).into_owned()).collect()
}
