//! The rows of a key, whole, for those who change them.

use super::connection::{Connection, LdapServer};
use super::entry;
use super::filter::escaped;
use super::pages::{Found, Pages, class_filter};
use qmail_lookup_core::{ErrorKind, LookupError, Table, TableRow};
use std::collections::HashSet;

/// The rows of `table` whose first key column is `key` when folded. What the server hides of them is an error: written
/// again as it seems to be, a row would lose it.
///
/// # Errors
/// If the server could not be asked, lacks the schema or the base, or hides an attribute.
pub(super) async fn rows(
    server: &LdapServer,
    conn: &Connection,
    table: Table,
    key: &[u8],
) -> Result<Vec<TableRow>, LookupError> {
    let (mapping, context) = (&server.settings.mapping, server.context());
    let verified = conn.line.known.verified(conn, mapping, table, context).await;
    verified.map_err(crate::workers::Failure::into_error)?;
    let names = entry::attributes_of(table);
    let (Some(place), Some(first)) = (mapping.place(table), names.first()) else { return Ok(Vec::new()) };
    // No entry can hold such a key.
    if key.is_empty() || !key.is_ascii() {
        return Ok(Vec::new());
    }
    let of_key = format!("({first}={})", escaped(key));
    let search = async |more: &str, attributes: &[&str]| -> Result<Vec<Found>, LookupError> {
        let filter = class_filter(&place, &format!("{of_key}{more}"));
        let found = Pages::new(conn.ldap.clone(), place.base, filter, attributes.iter().copied()).all().await;
        found.map_err(|trouble| trouble.into_error("reading the rows of a key", place.base, context))
    };
    let found = search("", names).await?;
    for name in names {
        let lacks = |(_, entry): &&Found| entry.value(name).is_none();
        if !found.iter().any(|found| lacks(&found)) {
            continue;
        }
        // To who may not search by an attribute its absence is undefined; to who may not read it, it is there.
        let without = search(&format!("(!({name}=*))"), &["1.1"]).await?;
        let without: HashSet<_> = without.into_iter().map(|(dn, _)| dn).collect();
        if found.iter().filter(lacks).any(|(dn, _)| name == first || !without.contains(dn)) {
            let who = context.bind_dn.as_deref().unwrap_or("anonymous");
            let what = format!("attribute {name} of table {table} is hidden from us, or was just changed");
            return Err(context.error(ErrorKind::Refused, what).with_help(format!("let {who} search and read {name}")));
        }
    }
    let mut rows: Vec<_> = found.iter().flat_map(|(_, entry)| entry::rows(table, entry)).collect();
    // The server takes blanks for less than we do.
    rows.retain(|row| row.cells().first().copied().flatten().is_some_and(|cell| cell.eq_ignore_ascii_case(key)));
    rows.sort_by_cached_key(TableRow::order);
    Ok(rows)
}
