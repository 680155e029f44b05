//! Reading both tables, each to its end.

use crate::output::Failure;
use crate::session::Session;
use qmail_lookup_core::sync::hosts::Rows;
use qmail_lookup_core::{Catalog, Deadline, Host, LookupError, Table, VirtualKey};

/// Rows that are fetched at once.
const BATCH: usize = 1000;

/// The tables of which hosts are read, in this order: a host that is put into both meanwhile is then virtual and not yet
/// accepted, and never accepted and not known to be virtual.
const TABLES: [Table; 2] = [Table::Rcpthosts, Table::Virtual];

/// The hosts of both tables.
///
/// # Errors
/// If they could not be read whole, or the store did not prove itself (rule K4).
pub(in crate::verbs) async fn read(session: &Session) -> Result<Rows, Failure> {
    let rows = read_all(catalog(session)?, || by(session)).await?;
    prove(session).await?;
    Ok(rows)
}

async fn read_all(catalog: &dyn Catalog, by: impl Fn() -> Deadline) -> Result<Rows, LookupError> {
    let mut rows = Rows::default();
    for table in TABLES {
        let mut scan = catalog.scan(table, None, by()).await?;
        loop {
            let batch = scan.next(BATCH, by()).await?;
            if batch.is_empty() {
                break;
            }
            // The host is the first column of both.
            batch.iter().for_each(|row| rows.add(table, row.cells().first().copied().flatten()));
        }
    }
    Ok(rows)
}

/// Something that differs whenever the tables differ; `None` if the store has nothing of the kind, or none in time: then
/// only reading the tables can tell.
pub(super) async fn stamp(session: &Session) -> Option<Vec<u8>> {
    catalog(session).ok()?.stamp(&TABLES, by(session)).await.ok().flatten()
}

fn catalog(session: &Session) -> Result<&dyn Catalog, Failure> {
    let store = &session.stores.virtuals;
    store.catalog().ok_or_else(|| Failure::usage(format!("{}: such a store cannot be read as a whole", store.place())))
}

fn by(session: &Session) -> Deadline {
    Deadline::after(session.config.deadline)
}

/// A "none" is only given by a store that has proved itself: so it is asked for one.
async fn prove(session: &Session) -> Result<(), LookupError> {
    let Some(host) = Host::new(b"nothing.invalid") else { return Ok(()) };
    session.stores.virtuals.virtuals(&[VirtualKey::Patterns { host }], by(session)).await.map(drop)
}
