//! What a file says about itself.

use super::session::Session;
use super::shape::Shape;
use super::sql::{self, Query};
use qmail_lookup_core::{LookupError, StoreFacts, Table, TableFacts};

/// Keys in the statement that is explained; what holds for two holds for more.
const KEYS: usize = 2;

/// Collects them.
pub(super) fn facts(session: &mut Session) -> Result<StoreFacts, LookupError> {
    let tables = session.shapes().iter().map(|shape| table(session, shape));
    let tables = tables.collect::<rusqlite::Result<_>>().map_err(|error| session.file().sqlite(error))?;
    Ok(StoreFacts {
        server: session.file().path.display().to_string(),
        version: format!("SQLite {}", rusqlite::version()),
        tls: None,
        local: true,
        grants: Vec::new(),
        tables,
        missing: Vec::new(),
    })
}

fn table(session: &Session, shape: &Shape) -> rusqlite::Result<TableFacts> {
    let columns = shape.columns().iter().map(|column| (column.name.clone(), column.declared.clone()));
    Ok(TableFacts { table: shape.table, columns: columns.collect(), engine: None, indexed: indexed(session, shape)? })
}

/// True if no table is read whole for a lookup; `None` if the table cannot be asked at all.
fn indexed(session: &Session, shape: &Shape) -> rusqlite::Result<Option<bool>> {
    let query = match shape.table {
        Table::Mailbox => Query::Mailboxes,
        Table::Alias => Query::Aliases,
        Table::Virtual => Query::Virtuals,
        Table::Rcpthosts => Query::Rcpthosts,
    };
    query.text(shape, KEYS).ok().map(|text| uses_index(session, &text)).transpose()
}

/// True if SQLite's plan for `text` searches only. The keys themselves are a list that is read whole.
pub(super) fn uses_index(session: &Session, text: &str) -> rusqlite::Result<bool> {
    let mut statement = session.conn().prepare(&sql::explain(text))?;
    let mut steps = statement.raw_query();
    while let Some(step) = steps.next()? {
        let step = step.get_ref(3)?.as_str()?;
        let keys = step.ends_with("VALUES CLAUSE") || step.ends_with("CONSTANT ROW") || step == "SCAN k";
        if step.starts_with("SCAN") && !keys || step.contains("AUTOMATIC") {
            return Ok(false);
        }
    }
    Ok(true)
}
