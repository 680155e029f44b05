//! Whatever is asked, however it is joined and kept: the answers are those of the table.

use super::*;
use crate::coalesce::Coalesce;
use crate::memory::Memory;
use crate::scripted::{Scripted, alias, cell, mailbox, soon, user, virtual_row};
use proptest::prelude::*;
use qmail_lookup_core::{Change, CredentialRow, Ext, TableRow, VirtualUser};

const HOUR: Duration = Duration::from_secs(3600);

/// A question, as a call of one resolver.
#[derive(Clone, Debug)]
enum Question {
    Mailboxes(Vec<Username>),
    Aliases(Vec<AliasKey>),
    Virtuals(Vec<VirtualKey>),
    Rcpthosts(Vec<Host>),
}

impl Question {
    async fn put(&self, store: &dyn Backend) -> Vec<TableRow> {
        match self {
            Self::Mailboxes(keys) => {
                let rows = store.mailboxes(keys, soon()).await.unwrap().into_iter();
                rows.map(|mailbox| TableRow::Mailbox(CredentialRow { mailbox, ..CredentialRow::default() })).collect()
            }
            Self::Aliases(keys) => {
                store.aliases(keys, soon()).await.unwrap().into_iter().map(TableRow::Alias).collect()
            }
            Self::Virtuals(keys) => {
                store.virtuals(keys, soon()).await.unwrap().into_iter().map(TableRow::Virtual).collect()
            }
            Self::Rcpthosts(keys) => {
                store.rcpthosts(keys, soon()).await.unwrap().into_iter().map(TableRow::Rcpthosts).collect()
            }
        }
    }

    /// The question without the keys for which one row is enough, and these.
    fn apart(&self) -> (Self, Vec<Self>) {
        let Self::Virtuals(keys) = self else { return (self.clone(), Vec::new()) };
        let (any, whole): (Vec<_>, Vec<_>) = keys.iter().cloned().partition(TableKey::is_any);
        (Self::Virtuals(whole), any.into_iter().map(|key| Self::Virtuals(vec![key])).collect())
    }

    /// Compares an answer with what the table says, row for row.
    async fn check(&self, got: Vec<TableRow>, table: &[TableRow]) -> Result<(), TestCaseError> {
        let of = async |question: &Self, rows: &[TableRow]| {
            let mut rows = question.put(&Memory::new(rows.to_vec(), Arc::default())).await;
            rows.sort();
            rows
        };
        let (whole, any) = self.apart();
        prop_assert_eq!(of(&whole, &got).await, of(&whole, table).await, "{:?}", self);
        for host in any {
            prop_assert_eq!(of(&host, &got).await.is_empty(), of(&host, table).await.is_empty(), "{:?}", self);
        }
        // Nothing that was not asked for, and nothing more often than the table has it.
        let mut there = of(self, table).await;
        for row in got {
            let at = there.iter().position(|other| *other == row);
            prop_assert!(at.is_some(), "{:?} brought {:?}", self, row);
            at.map(|at| there.swap_remove(at));
        }
        Ok(())
    }
}

fn rows() -> impl Strategy<Value = Vec<TableRow>> {
    let word = "[abAB%_]{0,2}";
    let row = (0..4, word, prop::option::of(word), "[xy]").prop_map(|(table, a, b, value)| match table {
        0 => mailbox(&a, &value),
        1 => alias(&a, b.as_deref().unwrap_or_default(), &value),
        2 => virtual_row(&a, b.as_deref(), &value),
        _ => TableRow::Rcpthosts(HostRow { host: cell(&a) }),
    });
    prop::collection::vec(row, 0..30)
}

fn question() -> impl Strategy<Value = Question> {
    let pairs = prop::collection::vec(("[ab]{1,2}", "[ab%_]{0,2}", 0..3), 1..5);
    let key = |text: &str| Host::new(text.as_bytes()).unwrap();
    (0..4, pairs).prop_map(move |(table, pairs)| match table {
        0 => Question::Mailboxes(pairs.iter().map(|(a, ..)| user(a)).collect()),
        1 => {
            let key = |a: &str, b: &str| AliasKey { username: user(a), alias: Ext::new(b.as_bytes()).unwrap() };
            Question::Aliases(pairs.iter().map(|(a, b, _)| key(a, b)).collect())
        }
        2 => Question::Virtuals(
            pairs
                .iter()
                .map(|(a, b, form)| match form {
                    0 => VirtualKey::Exact { host: key(a), user: VirtualUser::new(b.as_bytes()).unwrap() },
                    1 => VirtualKey::Patterns { host: key(a) },
                    _ => VirtualKey::Any { host: key(a) },
                })
                .collect(),
        ),
        _ => Question::Rcpthosts(pairs.iter().map(|(a, ..)| key(a)).collect()),
    })
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn layers_change_no_answer(
        rows in rows(),
        questions in prop::collection::vec(question(), 1..40),
        tells_all: bool,
    ) {
        block_on(async {
            let inner = Scripted::new(rows.clone());
            inner.tells_all.store(tells_all, Ordering::SeqCst);
            let coalesce = Arc::new(Coalesce::new(Arc::<Scripted>::clone(&inner), 2));
            let joined = futures_util::future::join_all(questions.iter().map(|question| question.put(&*coalesce)));
            for (question, got) in questions.iter().zip(joined.await) {
                question.check(got, &rows).await?;
            }
            let cache = Cache::new(Arc::<Coalesce>::clone(&coalesce), HOUR, 10_000);
            for _ in 0..2 {
                let asking = questions.iter().map(|question| question.put(&cache));
                let answers = futures_util::future::join_all(asking).await;
                for (question, got) in questions.iter().zip(answers) {
                    question.check(got, &rows).await?;
                }
            }
            // One after the other, all of them are known by now.
            let before = inner.sizes().len();
            for question in &questions {
                question.check(question.put(&cache).await, &rows).await?;
            }
            prop_assert!(inner.sizes().len() - before <= questions.len());
            Ok(())
        })?;
    }

    /// Every value is written once, so that a table never looks again as it did before.
    #[test]
    fn a_cached_answer_is_what_the_table_held_at_one_moment(
        there in prop::collection::vec(any::<bool>(), 5),
        steps in prop::collection::vec((0_usize..5, 0_usize..5, 0_usize..5, 0..3), 1..40),
    ) {
        block_on(async {
            let row = |key: usize, version: usize| mailbox(&format!("k{key}"), &format!("/{key}/{version}"));
            let mut table: Vec<_> = (0..5).map(|key| there[key].then(|| row(key, 0))).collect();
            let inner = Scripted::new(table.iter().flatten().cloned().collect());
            let cache = Cache::new(Arc::<Scripted>::clone(&inner), HOUR, 1000);
            let mut history = vec![table.clone()];
            for (version, (a, b, c, act)) in steps.into_iter().enumerate() {
                if act == 0 {
                    // Rows that were there at first go for good, and others come.
                    let change = match (&table[a], there[a]) {
                        (Some(old), true) => Change::Delete(old.clone()),
                        (None, true) => continue,
                        (Some(old), false) => Change::Replace { old: old.clone(), new: row(a, version + 1) },
                        (None, false) => Change::Insert(row(a, version + 1)),
                    };
                    table[a] = (!there[a]).then(|| row(a, version + 1));
                    inner.editor().unwrap().apply(&[change], soon()).await.unwrap();
                    history.push(table.clone());
                    continue;
                }
                let keys = [a, b, c];
                let keys = &keys[..1 + usize::from(act == 2) * 2];
                let names: Vec<_> = keys.iter().map(|key| user(&format!("k{key}"))).collect();
                let mut got = Question::Mailboxes(names).put(&cache).await;
                got.sort();
                let held = |table: &Vec<Option<TableRow>>| {
                    let mut wanted: Vec<_> = (0..5).filter(|key| keys.contains(key)).filter_map(|key| table[key].clone()).collect();
                    wanted.sort();
                    wanted == got
                };
                prop_assert!(history.iter().any(held), "{:?} of {:?}: {:?}", keys, history, got);
            }
            Ok(())
        })?;
    }
}
