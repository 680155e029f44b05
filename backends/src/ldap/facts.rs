//! What a store says about itself, for `check`.

use super::Store;
use super::connection::{Connection, LdapServer};
use super::search::Search;
use super::subschema::Subschema;
use crate::workers::Failure;
use ldap3::Scope;
use ldap3::exop::WhoAmI;
use qmail_lookup_core::{Deadline, LookupError, MissingTable, StoreFacts, Table, TableFacts};
use tokio::time::timeout_at;

impl Store {
    pub(super) async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        let (server, conn) = self.reach(by).await?;
        let facts = timeout_at(by.instant().into(), facts_of(server, &conn)).await;
        facts.map_err(|_| server.too_late())?.map_err(Failure::into_error)
    }
}

async fn facts_of(server: &LdapServer, conn: &Connection) -> Result<StoreFacts, Failure> {
    let (at, mapping) = (server.context(), &server.settings.mapping);
    let schema = conn.line.known.schema(conn, at).await?;
    let (mut tables, mut missing) = (Vec::new(), Vec::new());
    for table in Table::ALL {
        let seen = match conn.line.known.verified(conn, mapping, table, at).await {
            Ok(_) => true,
            Err(Failure::Answered(why)) => {
                let help = why.help().unwrap_or_default().to_owned();
                missing.push(MissingTable { table, what: why.what().to_owned(), help });
                false
            }
            Err(lost) => return Err(lost),
        };
        if let Some(place) = mapping.place(table).filter(|_| seen) {
            let engine = Some(format!("{} below {}", place.class, place.base));
            tables.push(TableFacts { table, columns: columns(server, schema, table), engine, indexed: None });
        }
    }
    Ok(StoreFacts {
        server: at.place.clone(),
        version: format!("{}, asked as {}", version(server, conn).await?, who_am_i(server, conn).await),
        tls: server.encryption(),
        local: server.is_local(),
        grants: Vec::new(),
        tables,
        missing,
    })
}

/// The columns whose attributes the server knows, each with its attributes and how they are compared. One attribute
/// may hold several columns.
fn columns(server: &LdapServer, schema: &Subschema, table: Table) -> Vec<(String, String)> {
    let named = server.settings.mapping.attributes(table);
    let columns = table.columns().iter().map(|&column| {
        let held_by = match column {
            "alias_host" => "alias_username",
            "password_type" => "password",
            column => column,
        };
        let of = named.iter().filter(|named| named.column == held_by);
        let kinds: Vec<_> = of
            .filter_map(|named| schema.comparison(named.attribute).map(|rule| format!("{} {rule}", named.attribute)))
            .map(|kind| kind.trim_end().to_owned())
            .collect();
        // A mapping need not have every column.
        let kind = if kinds.is_empty() { "not mapped".to_owned() } else { kinds.join(", ") };
        (column.to_owned(), kind)
    });
    columns.collect()
}

async fn version(server: &LdapServer, conn: &Connection) -> Result<String, Failure> {
    let names = ["vendorName", "vendorVersion", "objectClass"];
    let root = Search {
        base: String::new(),
        filter: "(objectClass=*)".to_owned(),
        attributes: names.iter().map(|&name| name.to_owned()).collect(),
        one: false,
    };
    let entries = conn.search_scope(&root, Scope::Base, server.context()).await?;
    let Some(entry) = entries.first() else { return Ok("LDAP server".to_owned()) };
    let text = |name| entry.attributes.value(name).map(|value| String::from_utf8_lossy(value).into_owned());
    Ok(match (text("vendorName"), text("vendorVersion")) {
        (Some(name), Some(version)) => format!("{name} {version}"),
        (Some(name), None) => name,
        // OpenLDAP does not tell its version.
        _ if entry.attributes.is_a("OpenLDAProotDSE") => "OpenLDAP".to_owned(),
        _ => "LDAP server".to_owned(),
    })
}

/// As the server says; a server that cannot say it gets the configured name.
async fn who_am_i(server: &LdapServer, conn: &Connection) -> String {
    let mut ldap = conn.ldap.clone();
    let told = match ldap.extended(WhoAmI).await {
        Ok(result) if result.1.rc == 0 => result.0.val.map(|value| String::from_utf8_lossy(&value).into_owned()),
        _ => server.context().bind_dn.as_ref().map(|dn| format!("dn:{dn}")),
    };
    told.filter(|who| !who.is_empty()).unwrap_or_else(|| "anonymous".to_owned())
}
