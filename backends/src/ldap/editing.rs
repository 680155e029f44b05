//! One change at a time: finding the entry, and putting a change of a row as changes of entries.

use super::entry::{self, Attributes, Stored};
use super::error::{Context, of_result};
use super::filter::escaped;
use super::finding::is_unique;
use super::mapping::Mapping;
use super::name::{self, Name};
use super::pages::{Found, Trouble, missing};
use super::renaming::Renaming;
use super::writing::{Done, Edit, Writer};
use qmail_lookup_core::{Change, EditCause, ErrorKind, Table, TableRow};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Names and numbers that are tried for a new entry before giving up. More than a few are needed only while others add
/// entries too.
const TRIES: u32 = 64;

/// insufficientAccessRights.
const NOT_ALLOWED: u32 = 50;

/// Why a change was not made.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: EditCause,
    /// Not even part of it was made.
    pub(super) clean: bool,
}

impl From<EditCause> for Failure {
    fn from(cause: EditCause) -> Self {
        Self { cause, clean: true }
    }
}

/// A list of changes being made.
pub(super) struct Editing<'a> {
    pub(super) writer: &'a Writer,
    pub(super) mapping: &'a Mapping,
    context: &'a Context,
    /// Each row that was written is read again.
    pub(super) reads_back: bool,
    /// The number after the largest of the alias sets that were added to, by owner and extension.
    pub(super) sets: HashMap<(Vec<u8>, Vec<u8>), i128>,
    /// The number after the last one that was given.
    pub(super) next: i128,
}

pub(super) fn refused(text: impl Into<String>) -> EditCause {
    EditCause::RowRefused(text.into())
}

pub(super) const THERE: &str = "a row with this key is there already";

impl<'a> Editing<'a> {
    /// Over `writer`.
    pub(super) fn new(writer: &'a Writer, mapping: &'a Mapping, context: &'a Context, reads_back: bool) -> Self {
        Self { writer, mapping, context, reads_back, sets: HashMap::new(), next: 0 }
    }

    /// True if it is not known which of the changes so far were made.
    pub(super) fn is_open(&self) -> bool {
        self.writer.is_open()
    }

    /// Makes one change.
    pub(super) async fn change(&mut self, change: &Change) -> Result<(), Failure> {
        let (old, new) = match change {
            Change::Insert(row) => {
                if is_unique(row) && !self.of_key(row).await?.is_empty() {
                    return Err(refused(THERE).into());
                }
                return self.insert(row).await;
            }
            Change::Delete(old) => (old, None),
            Change::Replace { old, new } => (old, Some(new)),
        };
        let mut tries = 0;
        loop {
            let found = self.find(old).await?;
            let done = match new {
                None => self.remove(&found, old).await.map_err(Failure::from),
                Some(new) => self.replace(&found, old, new).await,
            };
            tries += 1;
            match done {
                // Somebody changed or took this entry since it was found. Nothing was made, and the row may still be
                // there, in this entry or in another.
                Err(Failure { cause: EditCause::RowIsGone, clean: true }) if tries < TRIES => {}
                done => return done,
            }
        }
    }

    pub(super) fn base(&self, table: Table) -> Result<&'a str, EditCause> {
        let missing = || refused(format!("table {table} is not in the directory (store.mapping)"));
        self.mapping.place(table).map(|place| place.base).ok_or_else(missing)
    }

    pub(super) fn store(&self, trouble: Trouble, base: &str) -> EditCause {
        EditCause::Store(trouble.into_error("editing", base, self.context))
    }

    /// Adds an entry for `row`, whose key is not there if it is unique.
    pub(super) async fn insert(&mut self, row: &TableRow) -> Result<(), Failure> {
        let table = row.table();
        let values = entry::judged(row).map_err(EditCause::RowRefused)?;
        let dn = if is_unnumbered(row) {
            self.insert_numbered(row, values).await?
        } else {
            self.add(table, &own_classes(table), &values, 0).await?
        };
        self.keep(&dn, row).await
    }

    /// Reads the entry that was just added for `row`, if that is wanted, and takes it away again if it holds another.
    pub(super) async fn keep(&self, dn: &str, row: &TableRow) -> Result<(), Failure> {
        let Err(cause) = self.is_as_written(dn, row).await else { return Ok(()) };
        Err(Failure { cause, clean: self.undo(dn).await })
    }

    /// True if the entry is gone.
    pub(super) async fn undo(&self, dn: &str) -> bool {
        matches!(self.writer.undo(dn).await, Ok(Done::Made | Done::Gone))
    }

    /// Succeeds if the entry holds `row`, or if nothing is to be read back.
    pub(super) async fn is_as_written(&self, dn: &str, row: &TableRow) -> Result<(), EditCause> {
        if !self.reads_back {
            return Ok(());
        }
        let read = self.writer.read(dn, entry::attributes_of(row.table())).await;
        self.same(row, read.map_err(|trouble| self.store(trouble, dn))?)
    }

    /// Succeeds if `read` holds `row`.
    fn same(&self, row: &TableRow, read: Option<Attributes>) -> Result<(), EditCause> {
        let who = self.context.bind_dn.as_deref().unwrap_or("anonymous");
        let Some(read) = read else {
            return Err(refused(format!(
                "the entry cannot be read back; the server took it away, or hides it from {who}"
            )));
        };
        match entry::differs(row, &entry::rows(row.table(), &read)) {
            None => Ok(()),
            Some(column) => Err(refused(format!(
                "column {column} does not read back as it was written; the server changed it, or hides it from {who}"
            ))),
        }
    }

    /// Adds the entry of an alias row without a number, which gets the next one of its set. Returns its DN.
    async fn insert_numbered(&mut self, row: &TableRow, mut values: Vec<Stored>) -> Result<String, EditCause> {
        let (table, classes) = (row.table(), own_classes(row.table()));
        let set = self.set_of(row).await?;
        let mut number = self.next.max(set);
        let base = self.base(table)?;
        for tries in 0..TRIES {
            values.retain(|(name, _)| *name != entry::SEQ);
            values.push((entry::SEQ, number.to_string().into_bytes()));
            let Some(name) = entry::name(table, &values, 0) else { break };
            let dn = name.dn(base);
            let done = self.writer.add(&dn, &classes, &values).await;
            match done.map_err(|trouble| self.store(trouble, base))? {
                Done::Exists => number = self.free(base, number).await?.saturating_add(scatter(tries)),
                done => {
                    self.done(done, base)?;
                    self.next = number.saturating_add(1);
                    self.sets.insert(set_key(row), number.saturating_add(1));
                    return Ok(dn);
                }
            }
        }
        Err(self.crowded())
    }

    fn crowded(&self) -> EditCause {
        let what = "no free name was found for the entry; others are adding rows at the same time";
        EditCause::Store(self.context.error(ErrorKind::Overloaded, what))
    }

    /// The number after the largest of the row's set.
    async fn set_of(&self, row: &TableRow) -> Result<i128, EditCause> {
        if let Some(number) = self.sets.get(&set_key(row)) {
            return Ok(*number);
        }
        Ok(number_after(&self.of_key(row).await?))
    }

    /// A number above `taken` that names no entry.
    async fn free(&self, base: &str, taken: i128) -> Result<i128, EditCause> {
        let (mut low, mut step) = (taken, 1);
        let mut high = loop {
            let number = low.saturating_add(step);
            if !self.is_taken(base, number).await? {
                break number;
            }
            (low, step) = (number, step.saturating_mul(2));
        };
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.is_taken(base, middle).await? { low = middle } else { high = middle }
        }
        Ok(high)
    }

    async fn is_taken(&self, base: &str, number: i128) -> Result<bool, EditCause> {
        let dn = format!("{}={number},{base}", entry::SEQ);
        let entry = self.writer.read(&dn, &["1.1"]).await.map_err(|trouble| self.store(trouble, base))?;
        Ok(entry.is_some())
    }

    /// Adds an entry under the first name that is free, from the `n`th on; returns its DN.
    pub(super) async fn add(
        &self,
        table: Table,
        classes: &[Vec<u8>],
        values: &[Stored],
        mut n: u32,
    ) -> Result<String, EditCause> {
        let base = self.base(table)?;
        let mut tries = 0;
        while tries < TRIES {
            let Some(name) = entry::name(table, values, n) else { return Err(refused(THERE)) };
            let values = with_name(values, &name);
            let dn = name.dn(base);
            let done = self.writer.add(&dn, classes, &values).await.map_err(|trouble| self.store(trouble, base))?;
            match done {
                Done::Exists => {
                    n = if n == 1 { self.counted(table, base, &values).await? } else { n + 1 };
                    tries += 1;
                }
                done => return self.done(done, base).map(|()| dn),
            }
        }
        Err(self.crowded())
    }

    /// A name to try after `n` entries like this one.
    async fn counted(&self, table: Table, base: &str, values: &[Stored]) -> Result<u32, EditCause> {
        let parts: String = entry::name(table, values, 1).map_or_else(String::new, |name| {
            name.parts().iter().map(|(name, value)| format!("({name}={})", escaped(value))).collect()
        });
        let found =
            self.writer.search(base, format!("(&{parts})")).await.map_err(|trouble| self.store(trouble, base))?;
        let numbers = found.iter().flat_map(|(_, entry)| entry.values(entry::DESCRIPTION));
        let largest = numbers.filter_map(|text| std::str::from_utf8(text).ok()?.parse::<u32>().ok()).max();
        Ok(largest.map_or(2, |largest| largest.saturating_add(1)).max(2))
    }

    /// Takes `row` away from its entry: the entry as a whole if it holds nothing else.
    async fn remove(&self, found: &Found, row: &TableRow) -> Result<(), EditCause> {
        let table = row.table();
        let base = self.base(table)?;
        let rows = entry::rows(table, &found.1).len();
        let done = match table {
            Table::Mailbox if !entry::is_own(table, &found.1) => return self.strip(found).await,
            Table::Virtual if rows > 1 => return Err(refused(SEVERAL)),
            Table::Alias | Table::Virtual | Table::Rcpthosts if !entry::is_own(table, &found.1) => {
                return Err(refused("the entry has further classes; take it away with the directory's own tools"));
            }
            Table::Rcpthosts if rows > 1 => return self.take_host(found, row).await,
            _ => self.writer.delete(found).await,
        };
        self.done(done.map_err(|trouble| self.store(trouble, base))?, base)
    }

    /// Takes a mailbox away from an entry that is somebody's: the class, and the attributes that only this class has.
    /// The password stays if another class allows it, for it may let its owner in elsewhere.
    async fn strip(&self, found: &Found) -> Result<(), EditCause> {
        let entry = &found.1;
        let mut edits = vec![Edit::Take(entry::OBJECT_CLASS.to_owned(), entry::class(Table::Mailbox).into())];
        let kept = |name: &str| name == entry::PASSWORD || (name == entry::USER && entry.is_a(entry::ACCOUNT));
        let mine = entry::attributes_of(Table::Mailbox).iter().filter(|name| !kept(name));
        edits.extend(mine.filter(|name| entry.value(name).is_some()).map(|name| Edit::Set((*name).into(), Vec::new())));
        let base = self.base(Table::Mailbox)?;
        let mut done = self.writer.modify(found, &edits).await.map_err(|trouble| self.store(trouble, base))?;
        if matches!(done, Done::Class(_)) && entry.value(entry::PASSWORD).is_some() {
            edits.push(Edit::Set(entry::PASSWORD.to_owned(), Vec::new()));
            done = self.writer.modify(found, &edits).await.map_err(|trouble| self.store(trouble, base))?;
        }
        self.done(done, base)
    }

    /// Takes one of several hosts from an entry, which gets the name of another one if it had this one's.
    async fn take_host(&self, found: &Found, row: &TableRow) -> Result<(), EditCause> {
        let base = self.base(Table::Rcpthosts)?;
        let host = row.cells().first().copied().flatten().unwrap_or_default();
        let edit = Edit::Take(entry::RCPT_HOST.to_owned(), host.to_vec());
        let mut done = self.writer.modify(found, &[edit]).await.map_err(|trouble| self.store(trouble, base))?;
        let other = found.1.values(entry::RCPT_HOST).iter().find(|other| !other.eq_ignore_ascii_case(host));
        if let (Done::Named, Some(other)) = (&done, other) {
            let rdn = format!("{}={}", entry::RCPT_HOST, name::escape(other));
            done = self.writer.rename(found, &rdn).await.map_err(|trouble| self.store(trouble, base))?;
        }
        self.done(done, base)
    }

    async fn replace(&self, found: &Found, old: &TableRow, new: &TableRow) -> Result<(), Failure> {
        let table = new.table();
        let base = self.base(table)?;
        let touched = entry::changes(old, new).map_err(EditCause::RowRefused)?;
        let several = entry::rows(table, &found.1).len() > 1;
        if table == Table::Virtual && several {
            return Err(refused(SEVERAL).into());
        }
        let touched: Vec<_> =
            touched.into_iter().filter(|(name, value)| found.1.value(name) != value.as_deref()).collect();
        if touched.is_empty() {
            return Ok(());
        }
        if is_unique(new) {
            let others = self.of_key(new).await?;
            if others.iter().any(|(dn, _)| *dn != found.0) {
                return Err(refused(THERE).into());
            }
        }
        let set = |(name, value): &(&str, Option<Vec<u8>>)| {
            Edit::Set((*name).to_owned(), value.clone().into_iter().collect())
        };
        let mut edits: Vec<_> = touched.iter().map(set).collect();
        if table == Table::Rcpthosts {
            let cell = |row: &TableRow| row.cells().first().copied().flatten().unwrap_or_default().to_vec();
            edits = vec![
                Edit::Take(entry::RCPT_HOST.to_owned(), cell(old)),
                Edit::Add(entry::RCPT_HOST.to_owned(), cell(new)),
            ];
        }
        let done = self.writer.modify(found, &edits).await.map_err(|trouble| self.store(trouble, base))?;
        if !matches!(done, Done::Named) {
            self.done(done, base)?;
            let Err(cause) = self.is_as_written(&found.0, new).await else { return Ok(()) };
            return Err(Failure { cause, clean: self.put_back(found, &edits).await });
        }
        if let Some(renaming) = Renaming::of(&found.0, new, &touched) {
            let done = self.writer.rename(found, &renaming.rdn).await.map_err(|trouble| self.store(trouble, base))?;
            self.done(done, base)?;
            let Err(cause) = self.is_as_written(&renaming.dn, new).await else { return Ok(()) };
            return Err(Failure { cause, clean: self.rename_back(&renaming).await });
        }
        // What else is changed would need a second step, with neither the old nor the new row in between. So the new
        // entry comes first, whole, and then the old one goes.
        if table == Table::Mailbox && !entry::is_own(table, &found.1) {
            return Err(
                refused("the entry is named by the old value, and is more than a mailbox; rename it first").into()
            );
        }
        let (classes, values) = if several {
            let classes = entry::classes(table).iter().map(|class| class.as_bytes().to_vec()).collect();
            (classes, entry::attributes(new).map_err(EditCause::RowRefused)?)
        } else {
            copied(table, &found.1, &touched)
        };
        let added = self.add(table, &classes, &values, 0).await?;
        self.keep(&added, new).await?;
        let Err(cause) = self.remove(found, old).await else { return Ok(()) };
        let clean = !self.writer.is_open() && self.undo(&added).await;
        Err(Failure { cause, clean })
    }

    /// Gives the attributes that `edits` touched the values that they had. True if they have them.
    async fn put_back(&self, (dn, entry): &Found, edits: &[Edit]) -> bool {
        let back = |edit: &Edit| {
            let (Edit::Set(name, _) | Edit::Add(name, _) | Edit::Take(name, _)) = edit;
            Edit::Set(name.clone(), entry.values(name).to_vec())
        };
        let mut edits: Vec<_> = edits.iter().map(back).collect();
        edits.dedup();
        // The entry has another version now.
        let unversioned = (dn.clone(), Attributes::default());
        matches!(self.writer.modify(&unversioned, &edits).await, Ok(Done::Made))
    }

    /// What a result means once nothing more can be tried.
    pub(super) fn done(&self, done: Done, base: &str) -> Result<(), EditCause> {
        Err(match done {
            Done::Made => return Ok(()),
            Done::Gone => EditCause::RowIsGone,
            Done::Exists => refused(THERE),
            Done::Named => refused("the value is part of the entry's name"),
            Done::Class(text) | Done::Refused(text) => refused(text),
            Done::NoParent => EditCause::Store(missing(base, self.context)),
            Done::Failed(result) if result.rc == NOT_ALLOWED => {
                let who = self.context.bind_dn.as_deref().unwrap_or("anonymous");
                let error = of_result(&result, "editing", self.context);
                EditCause::Store(error.with_help(format!("give {who} write access")))
            }
            Done::Failed(result) => self.store(Trouble::Result(result), base),
        })
    }
}

const SEVERAL: &str = "the entry holds a user and a pattern at the same time; make two entries of it";

/// How far to go on from a number that is free, so that not everybody who lost it takes the next one. Gaps do no harm.
fn scatter(tries: u32) -> i128 {
    let any = RandomState::new().hash_one(tries);
    i128::from(any % (1 << tries.min(7)))
}

/// True of an alias row that gets a number.
pub(super) fn is_unnumbered(row: &TableRow) -> bool {
    row.table() == Table::Alias && row.cells().get(4).is_none_or(Option::is_none)
}

/// The number after the largest of a set.
pub(super) fn number_after(found: &[Found]) -> i128 {
    let number = |entry: &Attributes| std::str::from_utf8(entry.value(entry::SEQ)?).ok()?.parse::<i128>().ok();
    let numbers = found.iter().filter_map(|(_, entry)| number(entry));
    numbers.max().map_or(1, |largest| largest.saturating_add(1)).max(1)
}

/// The classes of an entry that holds one row.
pub(super) fn own_classes(table: Table) -> Vec<Vec<u8>> {
    entry::classes(table).iter().map(|class| class.as_bytes().to_vec()).collect()
}

/// The values of an entry of that name.
pub(super) fn with_name(values: &[Stored], name: &Name) -> Vec<Stored> {
    let more = name.parts().iter().filter(|part| !values.contains(part));
    values.iter().chain(more).cloned().collect()
}

pub(super) fn set_key(row: &TableRow) -> (Vec<u8>, Vec<u8>) {
    let cells = row.cells();
    let folded = |place: usize| cells.get(place).copied().flatten().unwrap_or_default().to_ascii_lowercase();
    (folded(0), folded(1))
}

/// The classes and values of an entry, with what a change touches.
fn copied(table: Table, entry: &Attributes, touched: &[entry::Touched]) -> (Vec<Vec<u8>>, Vec<Stored>) {
    let mut values = Vec::new();
    for name in entry::attributes_of(table).iter().chain([&entry::DESCRIPTION]) {
        // The number that told it from its like belongs to its old name.
        let counts = |value: &[u8]| *name == entry::DESCRIPTION && name::is_count(value);
        match touched.iter().find(|(touched, _)| touched == name) {
            Some((_, value)) => values.extend(value.iter().map(|value| (*name, value.clone()))),
            None => values.extend(entry.values(name).iter().filter(|v| !counts(v)).map(|v| (*name, v.clone()))),
        }
    }
    (entry.values(entry::OBJECT_CLASS).to_vec(), values)
}
