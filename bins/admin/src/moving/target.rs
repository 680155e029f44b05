//! The store that rows go to, as it was found.

use super::Rows;
use crate::output::Failure;
use crate::session::Session;
use qmail_lookup_core::moving::{Blank, Fit, Numbers, numbers};
use qmail_lookup_core::{
    Backend, Deadline, EditCause, EditError, Editor, Numbering, Table, TableFacts, TableOptions, TableRow,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long one batch, or making the tables, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Target<'s> {
    session: &'s Session,
    /// The tables that are there.
    there: Vec<TableFacts>,
}

/// Trouble of a store with changes that were not of one row.
pub(super) fn failure(store: &dyn Backend, error: EditError) -> Failure {
    match error.cause {
        EditCause::Store(cause) => Failure::from(cause),
        _ => Failure::temporary(format!("{}: {error}", store.place())),
    }
}

impl<'s> Target<'s> {
    /// Asks its stores what they hold.
    ///
    /// # Errors
    /// If one could not be asked, or cannot be changed or listed.
    pub(super) async fn look(session: &'s Session) -> Result<Self, Failure> {
        let mut there = Vec::new();
        for (store, tables) in session.stores() {
            for (can, what) in [(store.editor().is_some(), "changed"), (store.catalog().is_some(), "read whole")] {
                if !can {
                    return Err(Failure::usage(format!("{} cannot be {what} by this program", store.place())));
                }
            }
            if is_no_file_yet(&**store) {
                continue;
            }
            let facts = store.facts(Deadline::after(session.config.deadline)).await?;
            there.extend(facts.tables.into_iter().filter(|found| tables.contains(&found.table)));
        }
        Ok(Self { session, there })
    }

    /// The tables that are there, in the order in which they are copied.
    pub(super) fn tables(&self) -> Vec<Table> {
        Table::ALL.into_iter().filter(|table| self.facts(*table).is_some()).collect()
    }

    fn facts(&self, table: Table) -> Option<&TableFacts> {
        self.there.iter().find(|found| found.table == table)
    }

    fn store(&self, table: Table) -> &'s Arc<dyn Backend> {
        let stores = &self.session.stores;
        match table {
            Table::Mailbox => &stores.mailbox,
            Table::Alias => &stores.alias,
            Table::Virtual | Table::Rcpthosts => &stores.virtuals,
        }
    }

    /// What changes the rows of `table`, and where.
    ///
    /// # Errors
    /// If nothing does.
    pub(super) fn editor(&self, table: Table) -> Result<(&'s dyn Editor, String), Failure> {
        let store = self.store(table);
        let place = store.place();
        let editor = store.editor();
        editor
            .map(|editor| (editor, place.clone()))
            .ok_or_else(|| Failure::usage(format!("{place} cannot be changed by this program")))
    }

    /// The columns of a table that are the site's own.
    pub(super) fn further_columns(&self, table: Table) -> Vec<&str> {
        // An entry of a directory has other attributes anyway.
        let found = self.facts(table).filter(|_| self.store(table).kind() != "ldap");
        let names = found.into_iter().flat_map(|found| &found.columns).map(|(name, _)| name.as_str());
        names.filter(|name| !table.columns().iter().any(|own| own.eq_ignore_ascii_case(name))).collect()
    }

    /// True if changes of this table that go out together are made together, as far as is known.
    pub(super) fn has_transactions(&self, table: Table) -> bool {
        let engine = self.facts(table).and_then(|found| found.engine.as_deref());
        self.store(table).kind() == "sqlite" || engine.is_some_and(|engine| engine.eq_ignore_ascii_case("innodb"))
    }

    /// How mailbox rows fit its columns, as far as these tell.
    pub(super) fn fit(&self) -> Fit {
        let Some(found) = self.facts(Table::Mailbox) else { return Fit::WORDS };
        let has = |column: &str| found.columns.iter().any(|(name, _)| name.eq_ignore_ascii_case(column));
        let blank = |column| if has(column) { Blank::Kept } else { Blank::Left };
        Fit { suspended: blank("suspended"), password_type: blank("password_type") }
    }

    /// What becomes of the numbers of `rows` in a table alias that holds the rows of `now`; and whether a new table is to
    /// have column seq.
    ///
    /// # Errors
    /// If it could not be asked.
    pub(super) async fn numbers(&self, rows: &Rows, now: &Rows) -> Result<(Numbers, bool), Failure> {
        let mut numbered = false;
        let mut complete = true;
        let mut sets = rows.sets(Table::Alias);
        loop {
            let set = sets.next_set()?;
            if set.is_empty() {
                break;
            }
            numbered |= set.iter().any(numbers::is_numbered);
            complete &= set.iter().all(numbers::is_numbered);
        }
        let store = self.store(Table::Alias);
        let (editor, _) = self.editor(Table::Alias)?;
        // Every entry has a number there, whether the entries above it are made already or not.
        if store.kind() == "ldap" {
            return Ok((Numbers::Required, numbered));
        }
        let asked = if is_no_file_yet(&**store) {
            None
        } else {
            match editor.numbering(Deadline::after(self.session.config.deadline)).await {
                Ok(numbering) => Some(numbering),
                Err(error) if self.facts(Table::Alias).is_some() => return Err(error.into()),
                Err(_) => None,
            }
        };
        let new = if numbered { Numbering::Unique } else { Numbering::None };
        Ok((
            match asked.unwrap_or(new) {
                Numbering::None => Numbers::Left,
                Numbering::Free => Numbers::Kept,
                Numbering::Unique if complete && are_unique(rows, now)? => Numbers::Kept,
                Numbering::Unique => Numbers::Assigned,
            },
            numbered,
        ))
    }

    /// Makes the tables that are not there.
    ///
    /// # Errors
    /// If one could not be made.
    pub(super) async fn make_tables(&self, options: TableOptions) -> Result<(), Failure> {
        for (store, tables) in self.session.stores() {
            let absent: Vec<_> = tables.into_iter().filter(|table| self.facts(*table).is_none()).collect();
            let Some(editor) = store.editor().filter(|_| !absent.is_empty()) else { continue };
            let made = editor.create_tables(&absent, options, Deadline::after(PATIENCE)).await;
            made.map_err(|error| failure(&**store, error))?;
        }
        Ok(())
    }
}

/// True if it is an SQLite file that is still to be made.
fn is_no_file_yet(store: &dyn Backend) -> bool {
    file_of(store).is_some_and(|path| {
        std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    })
}

/// The file of an SQLite store.
pub(crate) fn file_of(store: &dyn Backend) -> Option<std::path::PathBuf> {
    let place = store.place();
    place.strip_prefix("sqlite ").filter(|_| store.kind() == "sqlite").map(|path| Path::new(path).to_owned())
}

/// True if no number would be twice in a table that gets `rows` and keeps those rows of `now` that it holds already.
fn are_unique(rows: &Rows, now: &Rows) -> Result<bool, Failure> {
    let mut used = Rows::new()?;
    let mut add = |set: &[TableRow]| -> Result<(), Failure> {
        for number in set.iter().filter_map(|row| row.cells().get(4).copied().flatten().map(<[u8]>::to_vec)) {
            used.add(&TableRow::from_cells(Table::Rcpthosts, [Some(number)]))?;
        }
        Ok(())
    };
    let (mut here, mut there) = (rows.sets(Table::Alias), now.sets(Table::Alias));
    while let Some(key) = here.peek_key()? {
        // What the target holds of other sets.
        while there.peek_key()?.is_some_and(|other| other < key) {
            add(&there.next_set()?)?;
        }
        let planned = here.next_set()?;
        add(&planned)?;
        if there.peek_key()?.is_some_and(|other| other == key) {
            let others: Vec<_> = there.next_set()?.into_iter().filter(|row| !planned.contains(row)).collect();
            add(&others)?;
        }
    }
    loop {
        let rest = there.next_set()?;
        if rest.is_empty() {
            break;
        }
        add(&rest)?;
    }
    used.finish()?;
    let mut numbers = used.sets(Table::Rcpthosts);
    loop {
        match numbers.next_set()?.len() {
            0 => return Ok(true),
            1 => {}
            _ => return Ok(false),
        }
    }
}
