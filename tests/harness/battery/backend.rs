//! Sentences of `Backend`.

use super::{Case, Part};
use crate::check::{Outcome, ensure, equal};
use crate::model::{Question, soon};
use crate::subject::Ctx;
use qmail_lookup_core::{Backend, Deadline, Table};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    let case = |part, sentence, run: fn(&Ctx<'_>) -> Outcome| Case::new("backend", part, &[], sentence, run);
    vec![
        case(Part::Resolvers, "ping_reaches_the_store", |c| Ok(c.wait(c.store.ping(soon()))?)),
        case(Part::Resolvers, "it_names_its_kind_and_its_place", |c| {
            ensure(!c.store.kind().is_empty() && !c.store.place().is_empty(), "no name")
        }),
        case(Part::Resolvers, "a_table_with_mailboxes_is_not_empty", |c| {
            ensure(c.wait(c.store.any_mailbox(soon()))?, "it says that there is no mailbox")
        }),
        case(Part::Resolvers, "facts_name_every_documented_column_of_a_table", |c| {
            let facts = c.wait(c.store.facts(soon()))?;
            ensure(!facts.server.is_empty(), "no server")?;
            for table in &facts.tables {
                for column in table.table.columns().iter().filter(|c| !table.table.optional_columns().contains(c)) {
                    let known = table.columns.iter().any(|(name, _)| name.eq_ignore_ascii_case(column));
                    ensure(known, format!("{}.{column} is missing", table.table))?;
                }
            }
            let tables: Vec<_> = facts.tables.iter().map(|table| table.table).collect();
            ensure(tables.is_empty() || Table::ALL.iter().all(|table| tables.contains(table)), format!("{tables:?}"))
        }),
        case(Part::Resolvers, "facts_after_a_passed_deadline_break_nothing", |c| {
            drop(c.wait(c.store.facts(Deadline::after(Duration::ZERO))));
            equal("iain", c.mailboxes(["iain"])?.len(), 1)
        }),
        case(Part::Resolvers, "questions_of_every_sort_go_on_at_once", |c| {
            let all = [
                Question::mailboxes(["iain", "dmp"]),
                Question::aliases([("crowd", "big")]),
                Question::exact([("virtual.com", "iain")]),
                Question::patterns("funky.com"),
                Question::rcpthosts(["bar.com"]),
            ];
            let answers =
                c.wait(futures_util::future::join_all(all.iter().cycle().take(40).map(|q| q.ask(c.store, soon()))));
            for (question, answer) in all.iter().cycle().zip(answers) {
                equal(&format!("{question:?}"), question.counting(&answer?), question.counting(c.rows))?;
            }
            Ok(())
        }),
        case(Part::Empty, "an_empty_mailbox_table_is_told_from_an_absent_name", |c| {
            let empty = empty(c)?;
            ensure(!c.wait(empty.any_mailbox(soon()))?, "it says that there is a mailbox")
        }),
        case(Part::Empty, "empty_tables_are_absent_not_an_error", |c| {
            let empty = empty(c)?;
            let all = [
                Question::mailboxes(["iain"]),
                Question::aliases([("iain", "")]),
                Question::exact([("virtual.com", "")]),
                Question::patterns("virtual.com"),
                Question::any("virtual.com"),
                Question::rcpthosts(["bar.com"]),
            ];
            all.iter().try_for_each(|question| equal(&format!("{question:?}"), question.put(empty, soon())?.len(), 0))
        }),
    ]
}

fn empty<'a>(c: &Ctx<'a>) -> Result<&'a dyn Backend, libtest_mimic::Failed> {
    c.empty.ok_or_else(|| "no store with empty tables".into())
}
