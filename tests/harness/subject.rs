//! A store under test, and what a case sees of it.

use crate::check::{Outcome, block_on, ensure, enter, equal};
use crate::dataset;
use crate::model::{Question, soon};
use crate::shape::Shape;
use libtest_mimic::Failed;
use qmail_lookup_core::{AliasRow, Backend, MailboxRow, TableRow, VirtualRow};
use std::any::Any;
use std::sync::{Arc, OnceLock, RwLock};

/// A store under test. It is opened when its first case runs.
pub struct Subject {
    /// First part of the names of its cases.
    pub name: String,
    /// What its tables can hold.
    pub shape: Shape,
    /// True if it must have catalog, editor and authenticator: a missing one fails, instead of being passed over.
    pub complete: bool,
    /// Cases that cannot hold for it, `AREA::SENTENCE`, each with the reason.
    pub excused: Vec<(String, &'static str)>,
    choose: fn(Vec<TableRow>) -> Vec<TableRow>,
    open: Box<Open>,
    opened: OnceLock<Result<Opened, String>>,
    rows: OnceLock<Vec<TableRow>>,
    turns: RwLock<()>,
}

type Open = dyn Fn(&[TableRow]) -> Result<Opened, Failed> + Send + Sync;

/// A store that holds the rows it was given.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Backend>,
    /// Another one of its kind whose tables are there and empty, if it can be had.
    pub empty: Option<Arc<dyn Backend>>,
    /// Whatever has to live as long: a folder, a server.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl Opened {
    /// A store with nothing beside it.
    pub fn of(store: Arc<dyn Backend>) -> Self {
        Self { store, empty: None, keep: Box::new(()) }
    }
}

impl Subject {
    /// A subject that `open` makes: a store that holds exactly the rows it is given, in an order of its own.
    pub fn new(
        name: impl Into<String>,
        shape: Shape,
        open: impl Fn(&[TableRow]) -> Result<Opened, Failed> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            shape,
            complete: false,
            excused: Vec::new(),
            choose: |rows| rows,
            open: Box::new(open),
            opened: OnceLock::new(),
            rows: OnceLock::new(),
            turns: RwLock::new(()),
        }
    }

    /// The same, and it must have catalog, editor and authenticator.
    #[must_use]
    pub fn complete(mut self) -> Self {
        self.complete = true;
        self
    }

    /// The same without these cases of an area. They are listed as ignored trials with the reason.
    #[must_use]
    pub fn without(mut self, area: &str, sentences: &[&str], why: &'static str) -> Self {
        self.excused.extend(sentences.iter().map(|sentence| (format!("{area}::{sentence}"), why)));
        self
    }

    /// The same with what `choose` makes of the rows that fit its shape.
    #[must_use]
    pub fn holding(mut self, choose: fn(Vec<TableRow>) -> Vec<TableRow>) -> Self {
        self.choose = choose;
        self
    }

    /// Why this case cannot hold for it, if it cannot.
    #[must_use]
    pub fn excuse(&self, case: &str) -> Option<&'static str> {
        self.excused.iter().find(|(named, _)| named == case).map(|(_, why)| *why)
    }

    /// The rows it holds.
    #[must_use]
    pub fn rows(&self) -> &[TableRow] {
        self.rows.get_or_init(|| (self.choose)(self.shape.rows(&dataset::rows())))
    }

    /// Opens it, or says why it could not be opened; the first to ask does the work.
    ///
    /// # Errors
    /// What `open` said.
    pub fn opened(&self) -> Result<&Opened, Failed> {
        let opened = self.opened.get_or_init(|| {
            let _runtime = enter();
            (self.open)(self.rows()).map_err(|failed| failed.message().unwrap_or("no reason given").to_owned())
        });
        opened.as_ref().map_err(|why| format!("{}: {why}", self.name).into())
    }
}

impl Subject {
    /// Whose turn it is: a case that changes rows is alone, so that a scan it has to wait for never waits for it, and
    /// two of them never undo each other's transaction.
    pub(crate) fn turns(&self) -> &RwLock<()> {
        &self.turns
    }

    /// The store, if it was opened already.
    #[must_use]
    pub fn if_open(&self) -> Option<&Opened> {
        self.opened.get()?.as_ref().ok()
    }
}

/// What a case works with.
pub struct Ctx<'a> {
    /// The store.
    pub store: &'a dyn Backend,
    /// One with empty tables, if there is one.
    pub empty: Option<&'a dyn Backend>,
    /// What its tables hold.
    pub shape: &'a Shape,
    /// The rows it holds.
    pub rows: &'a [TableRow],
}

impl Ctx<'_> {
    /// Asks; returns the rows that count, sorted. Rows that came without being asked for are no fault.
    ///
    /// # Errors
    /// If the store answered with one.
    pub fn ask(&self, question: &Question) -> Result<Vec<TableRow>, Failed> {
        let came = question.put(self.store, soon())?;
        Ok(question.counting(&came))
    }

    /// Asks, and compares with what the store was given.
    ///
    /// # Errors
    /// On a difference, or if the store answered with an error.
    pub fn agrees(&self, question: &Question) -> Result<Vec<TableRow>, Failed> {
        let (got, want) = (self.ask(question)?, question.counting(self.rows));
        if question.is_any() {
            ensure(
                got.is_empty() == want.is_empty(),
                format!("{question:?}\n  got: {got:?}\n  want one of: {want:?}"),
            )?;
        } else {
            equal(&format!("{question:?}"), &got, &want)?;
        }
        Ok(got)
    }

    /// Mailbox rows of these names.
    ///
    /// # Errors
    /// As [`Ctx::agrees`].
    pub fn mailboxes<B: AsRef<[u8]>>(&self, names: impl IntoIterator<Item = B>) -> Result<Vec<MailboxRow>, Failed> {
        let rows = self.agrees(&Question::mailboxes(names))?;
        Ok(rows
            .into_iter()
            .filter_map(|row| if let TableRow::Mailbox(row) = row { Some(row.mailbox) } else { None })
            .collect())
    }

    /// The one mailbox row of this name.
    ///
    /// # Errors
    /// As [`Ctx::agrees`], or if there is another number of them.
    pub fn mailbox(&self, name: impl AsRef<[u8]>) -> Result<MailboxRow, Failed> {
        one(self.mailboxes([name])?)
    }

    /// Alias rows of these (owner, extension).
    ///
    /// # Errors
    /// As [`Ctx::agrees`].
    pub fn aliases<B: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = (B, B)>) -> Result<Vec<AliasRow>, Failed> {
        let rows = self.agrees(&Question::aliases(keys))?;
        Ok(rows.into_iter().filter_map(|row| if let TableRow::Alias(row) = row { Some(row) } else { None }).collect())
    }

    /// The one alias row of this (owner, extension).
    ///
    /// # Errors
    /// As [`Ctx::agrees`], or if there is another number of them.
    pub fn alias(&self, owner: &str, ext: &str) -> Result<AliasRow, Failed> {
        one(self.aliases([(owner, ext)])?)
    }

    /// Virtual rows of a question.
    ///
    /// # Errors
    /// As [`Ctx::agrees`].
    pub fn virtuals(&self, question: &Question) -> Result<Vec<VirtualRow>, Failed> {
        let rows = self.agrees(question)?;
        Ok(rows.into_iter().filter_map(|row| if let TableRow::Virtual(row) = row { Some(row) } else { None }).collect())
    }

    /// The one virtual row of exactly this (host, user).
    ///
    /// # Errors
    /// As [`Ctx::agrees`], or if there is another number of them.
    pub fn exact(&self, host: &str, user: &str) -> Result<VirtualRow, Failed> {
        one(self.virtuals(&Question::exact([(host, user)]))?)
    }

    /// True if `host` is an accepted host.
    ///
    /// # Errors
    /// As [`Ctx::agrees`].
    pub fn accepts(&self, host: impl AsRef<[u8]>) -> Result<bool, Failed> {
        Ok(!self.agrees(&Question::rcpthosts([host]))?.is_empty())
    }

    /// Fails unless `question` finds nothing, without an error.
    ///
    /// # Errors
    /// On any row that counts, or if the store answered with an error.
    pub fn absent(&self, question: &Question) -> Outcome {
        let found = self.agrees(question)?;
        ensure(found.is_empty(), format!("{question:?} found {found:?}"))
    }

    /// Waits for `future`.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }
}

fn one<R: std::fmt::Debug>(mut rows: Vec<R>) -> Result<R, Failed> {
    match (rows.pop(), rows.len()) {
        (Some(row), 0) => Ok(row),
        (last, _) => Err(format!("one row expected, got {last:?} and {rows:?}").into()),
    }
}

/// A cell that holds this text.
#[must_use]
pub fn text(cell: &str) -> qmail_lookup_core::Cell {
    Some(cell.as_bytes().to_vec())
}
