//! One change at a time: finding the entry, and putting a change of a row as changes of entries.

use super::entry::{self, Attributes, Stored};
use super::error::{Context, of_result};
use super::filter::escaped;
use super::mapping::Mapping;
use super::name;
use super::pages::{Found, Trouble, class_filter, missing};
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
    writer: &'a mut Writer,
    mapping: &'a Mapping,
    context: &'a Context,
    /// Largest number of the alias sets that were added to, by owner and extension.
    sets: HashMap<(Vec<u8>, Vec<u8>), i128>,
    /// The number after the last one that was given.
    next: i128,
}

fn refused(text: impl Into<String>) -> EditCause {
    EditCause::RowRefused(text.into())
}

const THERE: &str = "a row with this key is there already";

impl<'a> Editing<'a> {
    /// Over `writer`.
    pub(super) fn new(writer: &'a mut Writer, mapping: &'a Mapping, context: &'a Context) -> Self {
        Self { writer, mapping, context, sets: HashMap::new(), next: 0 }
    }

    /// True if it is not known whether the last change of an entry was made.
    pub(super) fn is_open(&self) -> bool {
        self.writer.is_open()
    }

    /// Makes one change.
    pub(super) async fn change(&mut self, change: &Change) -> Result<(), Failure> {
        let (old, new) = match change {
            Change::Insert(row) => return Ok(self.insert(row).await?),
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

    fn base(&self, table: Table) -> Result<&'a str, EditCause> {
        let missing = || refused(format!("table {table} is not in the directory (store.mapping)"));
        self.mapping.place(table).map(|place| place.base).ok_or_else(missing)
    }

    fn store(&self, trouble: Trouble, base: &str) -> EditCause {
        EditCause::Store(trouble.into_error("editing", base, self.context))
    }

    /// The entries that hold rows of this key.
    pub(super) async fn of_key(&self, row: &TableRow) -> Result<Vec<Found>, EditCause> {
        let table = row.table();
        let base = self.base(table)?;
        let Some(place) = self.mapping.place(table) else { return Ok(Vec::new()) };
        // A key that is not ASCII cannot be in the directory.
        let Some(filter) = key_filter(row) else { return Ok(Vec::new()) };
        let found = self.writer.search(base, class_filter(&place, &filter)).await;
        found.map_err(|trouble| self.store(trouble, base))
    }

    async fn find(&self, row: &TableRow) -> Result<Found, EditCause> {
        let found = self.of_key(row).await?;
        let holds = |(_, entry): &Found| entry::rows(row.table(), entry).contains(row);
        found.into_iter().find(holds).ok_or(EditCause::RowIsGone)
    }

    async fn insert(&mut self, row: &TableRow) -> Result<(), EditCause> {
        let table = row.table();
        let mut values = entry::attributes(row).map_err(EditCause::RowRefused)?;
        if matches!(table, Table::Mailbox | Table::Rcpthosts) && !self.of_key(row).await?.is_empty() {
            return Err(refused(THERE));
        }
        let classes: Vec<_> = entry::classes(table).iter().map(|class| class.as_bytes().to_vec()).collect();
        if table != Table::Alias || row.cells().get(4).is_some_and(Option::is_some) {
            return self.add(table, &classes, &values).await.map(drop);
        }
        let set = self.set_of(row).await?;
        let mut number = self.next.max(set);
        let base = self.base(table)?;
        for tries in 0..TRIES {
            values.retain(|(name, _)| *name != entry::SEQ);
            values.push((entry::SEQ, number.to_string().into_bytes()));
            let Some(name) = entry::name(table, &values, 0) else { break };
            let done = self.writer.add(&name.dn(base), &classes, &values).await;
            match done.map_err(|trouble| self.store(trouble, base))? {
                Done::Exists => number = self.free(base, number).await?.saturating_add(scatter(tries)),
                done => {
                    self.done(done, base)?;
                    self.next = number.saturating_add(1);
                    self.sets.insert(set_key(row), number.saturating_add(1));
                    return Ok(());
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
        let found = self.of_key(row).await?;
        let numbers = found
            .iter()
            .filter_map(|(_, entry)| std::str::from_utf8(entry.value(entry::SEQ)?).ok()?.parse::<i128>().ok());
        Ok(numbers.max().map_or(1, |largest| largest.saturating_add(1)).max(1))
    }

    /// A number above `taken` that names no entry.
    async fn free(&mut self, base: &str, taken: i128) -> Result<i128, EditCause> {
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

    async fn is_taken(&mut self, base: &str, number: i128) -> Result<bool, EditCause> {
        let dn = format!("{}={number},{base}", entry::SEQ);
        let entry = self.writer.read(&dn, &["1.1"]).await.map_err(|trouble| self.store(trouble, base))?;
        Ok(entry.is_some())
    }

    /// Adds an entry under the first name that is free; returns its DN.
    async fn add(&mut self, table: Table, classes: &[Vec<u8>], values: &[Stored]) -> Result<String, EditCause> {
        let base = self.base(table)?;
        let (mut n, mut tries) = (0, 0);
        while tries < TRIES {
            let Some(name) = entry::name(table, values, n) else { return Err(refused(THERE)) };
            let mut values = values.to_vec();
            for part in name.parts() {
                if !values.contains(part) {
                    values.push(part.clone());
                }
            }
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
    async fn remove(&mut self, found: &Found, row: &TableRow) -> Result<(), EditCause> {
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
    async fn strip(&mut self, found: &Found) -> Result<(), EditCause> {
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
    async fn take_host(&mut self, found: &Found, row: &TableRow) -> Result<(), EditCause> {
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

    async fn replace(&mut self, found: &Found, old: &TableRow, new: &TableRow) -> Result<(), Failure> {
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
        if matches!(table, Table::Mailbox | Table::Rcpthosts) {
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
            return Ok(self.done(done, base)?);
        }
        // The name cannot be modified, and a rename would be a second step with neither the old nor the new row in
        // between. So the new entry comes first, whole, and then the old one goes.
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
        let added = self.add(table, &classes, &values).await?;
        let Err(cause) = self.remove(found, old).await else { return Ok(()) };
        let clean = !self.writer.is_open() && matches!(self.writer.undo(&added).await, Ok(Done::Made));
        Err(Failure { cause, clean })
    }

    /// What a result means once nothing more can be tried.
    fn done(&self, done: Done, base: &str) -> Result<(), EditCause> {
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

fn set_key(row: &TableRow) -> (Vec<u8>, Vec<u8>) {
    let cells = row.cells();
    let folded = |place: usize| cells.get(place).copied().flatten().unwrap_or_default().to_ascii_lowercase();
    (folded(0), folded(1))
}

/// The classes and values of an entry, with what a change touches.
fn copied(table: Table, entry: &Attributes, touched: &[entry::Touched]) -> (Vec<Vec<u8>>, Vec<Stored>) {
    let mut values = Vec::new();
    for name in entry::attributes_of(table).iter().chain([&entry::DESCRIPTION]) {
        // The number that told it from its like belongs to its old name.
        let counts = |value: &[u8]| *name == entry::DESCRIPTION && value.iter().all(u8::is_ascii_digit);
        match touched.iter().find(|(touched, _)| touched == name) {
            Some((_, value)) => values.extend(value.iter().map(|value| (*name, value.clone()))),
            None => values.extend(entry.values(name).iter().filter(|v| !counts(v)).map(|v| (*name, v.clone()))),
        }
    }
    (entry.values(entry::OBJECT_CLASS).to_vec(), values)
}

/// The part of a filter that finds the entries which hold rows of the same key; `None` if no entry can.
fn key_filter(row: &TableRow) -> Option<String> {
    let cells = row.cells();
    let cell = |place: usize| cells.get(place).copied().flatten();
    if cells.iter().take(row.table().key_columns()).any(|cell| cell.is_none_or(|key| !key.is_ascii())) {
        return None;
    }
    let equals = |name: &str, place: usize| format!("({name}={})", escaped(cell(place).unwrap_or_default()));
    let blank = |place: usize| cell(place).is_none_or(<[u8]>::is_empty);
    Some(match row.table() {
        Table::Mailbox => equals(entry::USER, 0),
        Table::Rcpthosts => equals(entry::RCPT_HOST, 0),
        Table::Alias => {
            let absent = || format!("(|(!({0}=*))({0}=))", entry::ALIAS);
            equals(entry::USER, 0) + &if blank(1) { absent() } else { equals(entry::ALIAS, 1) }
        }
        Table::Virtual => {
            let (user, pattern) = (entry::VIRTUAL_USER, entry::VIRTUAL_PATTERN);
            let none = || format!("(|(&(!({user}=*))(!({pattern}=*)))({user}=)({pattern}=))");
            let either = || format!("(|{}{})", equals(user, 1), equals(pattern, 1));
            equals(entry::VIRTUAL_HOST, 0) + &if blank(1) { none() } else { either() }
        }
    })
}
