//! What a store says about itself, for `check`.

use super::Store;
use super::connection::{Connection, MysqlServer};
use super::rows::text;
use super::sql::{self, Session};
use qmail_lookup_core::{Deadline, LookupError, StoreFacts, Table, TableFacts};

/// One column of a documented table.
pub(super) struct Column {
    pub(super) table: Table,
    pub(super) name: String,
    /// With its collation, which decides what a key finds.
    pub(super) kind: String,
    pub(super) nullable: bool,
    /// A row without a value gets the next number.
    pub(super) counts: bool,
}

/// How a table keeps what was changed when a later change fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// Everything is undone.
    Nothing,
    /// Every change stays.
    Everything,
    /// A view, or an engine the server does not describe.
    Unknown,
}

/// Engine of one documented table.
pub(super) struct Engine {
    pub(super) table: Table,
    pub(super) name: Option<String>,
    pub(super) keeps: Keeps,
}

fn documented(name: &str) -> Option<Table> {
    Table::ALL.into_iter().find(|table| table.name().eq_ignore_ascii_case(name))
}

impl Connection {
    /// The columns of the documented tables, in order.
    pub(super) async fn columns(&mut self) -> Result<Vec<Column>, sqlx::Error> {
        let mut columns = Vec::new();
        for row in sqlx::query(sql::COLUMNS).fetch_all(&mut self.sql).await? {
            let Some(table) = documented(&text(&row, 0)?) else { continue };
            let collation = text(&row, 3)?;
            let kind = text(&row, 2)?;
            let kind = if collation.is_empty() { kind } else { format!("{kind} collate {collation}") };
            let nullable = text(&row, 4)?.eq_ignore_ascii_case("yes");
            let counts = text(&row, 5)?.to_ascii_lowercase().contains("auto_increment");
            columns.push(Column { table, name: text(&row, 1)?, kind, nullable, counts });
        }
        Ok(columns)
    }

    /// The engines of the documented tables that are there.
    pub(super) async fn engines(&mut self) -> Result<Vec<Engine>, sqlx::Error> {
        let mut engines = Vec::new();
        for row in sqlx::query(sql::ENGINES).fetch_all(&mut self.sql).await? {
            let Some(table) = documented(&text(&row, 0)?) else { continue };
            let name = Some(text(&row, 1)?).filter(|name| !name.is_empty());
            let keeps = match text(&row, 2)?.to_ascii_uppercase().as_str() {
                "YES" => Keeps::Nothing,
                "NO" => Keeps::Everything,
                _ => Keeps::Unknown,
            };
            engines.push(Engine { table, name, keeps });
        }
        Ok(engines)
    }

    async fn tls(&mut self) -> Result<Option<String>, sqlx::Error> {
        let (mut version, mut cipher) = (String::new(), String::new());
        for row in sqlx::raw_sql(sql::TLS).fetch_all(&mut self.sql).await? {
            let value = text(&row, 1)?;
            if text(&row, 0)?.eq_ignore_ascii_case("Ssl_version") { version = value } else { cipher = value }
        }
        Ok((!version.is_empty()).then(|| format!("{version} {cipher}").trim_end().to_owned()))
    }

    async fn indexed(&mut self) -> Result<Vec<(Table, String)>, sqlx::Error> {
        let mut indexed = Vec::new();
        for row in sqlx::query(sql::INDEXES).fetch_all(&mut self.sql).await? {
            let Some(table) = documented(&text(&row, 0)?) else { continue };
            indexed.push((table, text(&row, 1)?));
        }
        Ok(indexed)
    }

    async fn facts(&mut self, server: &MysqlServer) -> Result<StoreFacts, sqlx::Error> {
        let version = text(&sqlx::query(sql::VERSION).fetch_one(&mut self.sql).await?, 0)?;
        let tls = self.tls().await?;
        let grants = sqlx::raw_sql(sql::GRANTS).fetch_all(&mut self.sql).await?;
        let grants = grants.iter().map(|row| Ok(without_hash(&text(row, 0)?))).collect::<Result<_, sqlx::Error>>()?;
        let columns = self.columns().await?;
        let engines = self.engines().await?;
        let indexed = self.indexed().await?;
        let table = |engine: Engine| {
            let table = engine.table;
            let of = columns.iter().filter(|column| column.table == table);
            let key = table.columns().first().copied().unwrap_or_default();
            let first = |(t, column): &(Table, String)| *t == table && column.eq_ignore_ascii_case(key);
            TableFacts {
                table,
                columns: of.map(|column| (column.name.clone(), column.kind.clone())).collect(),
                // The indexes of a view are those of the tables below it.
                indexed: engine.name.is_some().then(|| indexed.iter().any(first)),
                engine: engine.name,
            }
        };
        let mut tables: Vec<_> = engines.into_iter().map(table).collect();
        tables.sort_by_key(|facts| facts.table);
        let place = server.context().place.clone();
        Ok(StoreFacts { server: place, version, tls, local: server.is_local(), grants, tables, missing: Vec::new() })
    }
}

impl Store {
    pub(super) async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        let (server, mut conn) = self.reach(Session::Lookup(by.left()), by).await?;
        server.within(by, conn.facts(server)).await
    }
}

/// A grant without the clause that holds the account's password hash.
pub(super) fn without_hash(grant: &str) -> String {
    let Some((before, clause)) = grant.split_once(" IDENTIFIED ") else { return grant.to_owned() };
    // Only what stands behind the last quoted text can be kept: a hash never stands there.
    let behind = clause.rsplit('\'').next().unwrap_or_default();
    let kept = [" REQUIRE ", " WITH "].iter().filter_map(|word| behind.find(word)).min();
    format!("{before}{}", kept.and_then(|at| behind.get(at..)).unwrap_or_default())
}
