//! Every statement that SQLite is sent.
//!
//! Identifiers stand in back-quotes: an unknown one is then an error, where one in double quotes would silently
//! become a string. Values are always bound.

use super::shape::{Column, Shape};
use qmail_lookup_core::{Table, TableOptions};
use std::fmt::Write;

/// Columns of a table: name, declared type, whether NULL is refused. Hidden ones of virtual tables are left out.
pub(super) const COLUMNS: &str =
    "SELECT `name`, `type`, `notnull` FROM pragma_table_xinfo(?1, 'main') WHERE `hidden` <> 1 ORDER BY `cid`";
/// Changes with every change of a table.
pub(super) const SCHEMA_VERSION: &str = "PRAGMA schema_version";
/// How text is stored.
pub(super) const ENCODING: &str = "PRAGMA encoding";
/// Whether a table of that name is there.
pub(super) const TABLE_EXISTS: &str = "SELECT EXISTS(SELECT 1 FROM `main`.`sqlite_schema` WHERE `type` IN ('table', 'view') AND `name` = ?1 COLLATE NOCASE)";
/// Whether no two rows of table alias may have the same number: its primary key or an index says so.
pub(super) const SEQ_IS_UNIQUE: &str = "SELECT (SELECT count(*) = 1 AND max(`name`) = 'seq' COLLATE NOCASE \
     FROM pragma_table_xinfo('alias', 'main') WHERE `pk` > 0) \
     OR EXISTS(SELECT 1 FROM pragma_index_list('alias', 'main') AS `i` WHERE `i`.`unique` = 1 AND `i`.`partial` = 0 \
     AND (SELECT count(*) = 1 AND max(`c`.`name`) = 'seq' COLLATE NOCASE FROM pragma_index_info(`i`.`name`, 'main') AS `c`))";
/// The statements that made table ?1 and its indexes, in order, with what each made.
pub(super) const DEFINITION: &str = "SELECT `type`, `sql` FROM `main`.`sqlite_schema` \
     WHERE `tbl_name` = ?1 COLLATE NOCASE AND `type` IN ('table', 'view', 'index') AND `sql` IS NOT NULL \
     ORDER BY `type` = 'index', `rowid`";
/// For a database that is thrown away; what a row refers to is not in it.
pub(super) const REHEARSAL_PRAGMAS: &str =
    "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA foreign_keys = OFF;";
/// Read only, whatever is asked; no function of a foreign schema is trusted; a damaged page is an error.
pub(super) const PRAGMAS: &str = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA cache_size = -8192;";

/// Begins a question: all its statements see one state of the file.
pub(super) const BEGIN: &str = "BEGIN";
/// Begins a change.
pub(super) const BEGIN_IMMEDIATE: &str = "BEGIN IMMEDIATE";
/// Ends either.
pub(super) const COMMIT: &str = "COMMIT";
/// Undoes a change.
pub(super) const ROLLBACK: &str = "ROLLBACK";

/// A question about some keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Query {
    /// Mailbox rows, without passwords.
    Mailboxes,
    /// Mailbox rows, with passwords.
    Credentials,
    /// Alias rows of (username, alias).
    Aliases,
    /// Alias rows of username where alias is NULL.
    NullAliases,
    /// Virtual rows of (host, user).
    Virtuals,
    /// Virtual rows of host with a pattern, blank, or NULL.
    Patterns,
    /// Virtual rows of host where the user is NULL.
    NullVirtuals,
    /// One virtual row of one host, whichever.
    HostHasRows,
    /// Rcpthosts rows.
    Rcpthosts,
    /// Whether table mailbox holds any row. Takes no key.
    AnyMailbox,
}

impl Query {
    /// The table asked.
    pub(super) fn table(self) -> Table {
        match self {
            Self::Mailboxes | Self::Credentials | Self::AnyMailbox => Table::Mailbox,
            Self::Aliases | Self::NullAliases => Table::Alias,
            Self::Virtuals | Self::Patterns | Self::NullVirtuals | Self::HostHasRows => Table::Virtual,
            Self::Rcpthosts => Table::Rcpthosts,
        }
    }

    /// The columns returned, in order.
    pub(super) fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Mailboxes => &["username", "uid", "gid", "home", "suspended"],
            Self::AnyMailbox => &[],
            _ => self.table().columns(),
        }
    }

    /// The columns that a key is compared with; one parameter each.
    pub(super) fn key(self) -> &'static [&'static str] {
        match self {
            Self::Mailboxes | Self::Credentials | Self::NullAliases => &["username"],
            Self::Aliases => &["username", "alias"],
            Self::Virtuals => &["virtual_host", "virtual_username"],
            Self::Patterns | Self::NullVirtuals | Self::HostHasRows => &["virtual_host"],
            Self::Rcpthosts => &["host"],
            Self::AnyMailbox => &[],
        }
    }

    /// The text for `keys` keys at once.
    ///
    /// # Errors
    /// The name of a column that the table lacks and may not lack.
    pub(super) fn text(self, shape: &Shape, keys: usize) -> Result<String, &'static str> {
        let table = shape.table;
        if self == Self::AnyMailbox {
            return Ok(format!("SELECT EXISTS(SELECT 1 FROM `{table}`)"));
        }
        let cells = self.columns().iter().map(|&name| cell(shape, name)).collect::<Result<Vec<_>, _>>()?;
        let keyed = self.key().iter().map(|&name| key(shape, name)).collect::<Result<Vec<_>, _>>()?;
        // Pairs are joined to the keys: neither a row value nor terms joined by OR use an index under a collation that
        // is named. A parameter that fills up is NULL, which equals nothing.
        let (from, wanted) = match keyed.as_slice() {
            [one, other] => (
                format!("(VALUES {}) AS `k` CROSS JOIN `{table}`", vec!["(?,?)"; keys].join(",")),
                format!("{one} = `k`.`column1` COLLATE NOCASE AND {other} = `k`.`column2` COLLATE NOCASE"),
            ),
            one => {
                (format!("`{table}`"), format!("{} COLLATE NOCASE IN ({})", one.join(""), vec!["?"; keys].join(",")))
            }
        };
        let further = match self {
            Self::NullAliases => format!(" AND {} IS NULL", named(shape, "alias")?),
            Self::NullVirtuals => format!(" AND {} IS NULL", named(shape, "virtual_username")?),
            Self::Patterns => {
                let user = named(shape, "virtual_username")?;
                format!(" AND ({user} IS NULL OR {user} = '' OR instr({user}, '%') > 0 OR instr({user}, '_') > 0)")
            }
            Self::HostHasRows => " LIMIT 1".to_owned(),
            _ => String::new(),
        };
        Ok(format!("SELECT {} FROM {from} WHERE {wanted}{further}", cells.join(",")))
    }
}

/// The column of that name, quoted.
fn named(shape: &Shape, name: &'static str) -> Result<String, &'static str> {
    shape.column(name).map(|_| format!("`{name}`")).ok_or(name)
}

/// The cell as bytes; NULL for a column that the table may lack and does.
fn cell(shape: &Shape, name: &'static str) -> Result<String, &'static str> {
    let absent = shape.column(name).is_none() && shape.table.optional_columns().contains(&name);
    if absent { Ok("NULL".to_owned()) } else { named(shape, name).map(|column| format!("CAST({column} AS BLOB)")) }
}

/// The column as a key is compared with it. Only a text column is compared as it is, by its index: in any other, 7
/// would differ from '7', or '007' would equal it.
fn key(shape: &Shape, name: &'static str) -> Result<String, &'static str> {
    let column = named(shape, name)?;
    let text = shape.column(name).is_some_and(Column::holds_text);
    Ok(if text { column } else { format!("CAST({column} AS TEXT)") })
}

fn cells(shape: &Shape) -> Result<Vec<String>, &'static str> {
    shape.table.columns().iter().map(|&name| cell(shape, name)).collect()
}

/// The whole table in the order of `TableRow::order`. With `from`, without the rows whose first key, folded, is
/// less than ?1: a scan that is resumed sorts less.
///
/// # Errors
/// The name of a column that the table lacks and may not lack.
pub(super) fn scan(shape: &Shape, from: bool) -> Result<String, &'static str> {
    let table = shape.table;
    let cells = cells(shape)?;
    // lower() folds ASCII only; as BLOB, bytes are compared and not characters.
    let folded = table
        .columns()
        .iter()
        .take(table.key_columns())
        .map(|name| format!("CAST(lower(CAST(`{name}` AS TEXT)) AS BLOB)"));
    let folded: Vec<_> = folded.collect();
    let filter = folded.first().filter(|_| from).map(|first| format!(" WHERE {first} >= ?1")).unwrap_or_default();
    let order: Vec<_> = folded.iter().chain(&cells).map(String::as_str).filter(|term| *term != "NULL").collect();
    Ok(format!("SELECT {} FROM `{table}`{filter} ORDER BY {}", cells.join(","), order.join(",")))
}

/// The whole table, in any order.
///
/// # Errors
/// The name of a column that the table lacks and may not lack.
pub(super) fn all(shape: &Shape) -> Result<String, &'static str> {
    Ok(format!("SELECT {} FROM `{}`", cells(shape)?.join(","), shape.table))
}

/// How one row that equals given cells is named in a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Find {
    /// By the index of the key, if there is one; misses a key that is stored as a BLOB or a number.
    ByKey,
    /// By reading the table.
    ByReading,
}

/// The condition for one row. Parameters: every cell as BLOB, in order; `ByKey`: then the key columns as TEXT.
fn same(shape: &Shape, find: Find) -> Result<String, &'static str> {
    let cells = cells(shape)?;
    let count = cells.len();
    let mut text = String::new();
    for (place, cell) in cells.iter().enumerate() {
        let and = if place == 0 { "" } else { " AND " };
        let _ = write!(text, "{and}{cell} IS ?{}", place + 1);
    }
    if find == Find::ByKey {
        for (place, name) in shape.table.columns().iter().take(shape.table.key_columns()).enumerate() {
            let _ = write!(text, " AND `{name}` COLLATE NOCASE IS ?{}", count + place + 1);
        }
    }
    Ok(text)
}

/// The number of one row that equals given cells.
///
/// # Errors
/// The name of a column that the table lacks and may not lack.
pub(super) fn find(shape: &Shape, find: Find) -> Result<String, &'static str> {
    Ok(format!("SELECT `_rowid_` FROM `{}` WHERE {} LIMIT 1", shape.table, same(shape, find)?))
}

/// The cells of row number ?1.
///
/// # Errors
/// The name of a column that the table lacks and may not lack.
pub(super) fn numbered(shape: &Shape) -> Result<String, &'static str> {
    Ok(format!("SELECT {} FROM `{}` WHERE `_rowid_` = ?1", cells(shape)?.join(","), shape.table))
}

/// The rows whose first key column equals ?1, case aside, and further ones. Keys that are stored as BLOB come after all
/// text: so an index finds them too.
///
/// # Errors
/// The name of a column that the table lacks and may not lack.
pub(super) fn of_key(shape: &Shape) -> Result<Vec<String>, &'static str> {
    let table = shape.table;
    let name = table.columns().first().copied().unwrap_or_default();
    let head = format!("SELECT {} FROM `{table}` WHERE", cells(shape)?.join(","));
    let column = key(shape, name)?;
    let mut texts = vec![format!("{head} {column} COLLATE NOCASE = ?1")];
    if shape.column(name).is_some_and(Column::holds_text) {
        texts.push(format!("{head} {column} COLLATE NOCASE >= X'' AND ?1 IS NOT NULL"));
    }
    Ok(texts)
}

/// Removes row number ?1.
pub(super) fn delete(table: Table) -> String {
    format!("DELETE FROM `{table}` WHERE `_rowid_` = ?1")
}

/// Adds a row with these columns.
pub(super) fn insert(table: Table, columns: &[&str]) -> String {
    let names: Vec<_> = columns.iter().map(|name| format!("`{name}`")).collect();
    format!("INSERT INTO `{table}` ({}) VALUES ({})", names.join(","), vec!["?"; columns.len()].join(","))
}

/// Changes these columns of the row whose number is the last parameter.
pub(super) fn update(table: Table, columns: &[&str]) -> String {
    let names: Vec<_> = columns.iter().map(|name| format!("`{name}` = ?")).collect();
    format!("UPDATE `{table}` SET {} WHERE `_rowid_` = ?", names.join(","))
}

/// How SQLite would carry out a statement.
pub(super) fn explain(text: &str) -> String {
    format!("EXPLAIN QUERY PLAN {text}")
}

/// The statements that make `table`. SQLite ignores widths and has no enum, so both are CHECKs. NOCASE folds ASCII
/// only: exactly the folding of a key.
pub(super) fn create(table: Table, options: TableOptions) -> String {
    let width = options.username_width.clamp(1, TableOptions::WIDTH_MAX);
    let username = format!(
        "`username` TEXT COLLATE NOCASE NOT NULL{} CHECK (typeof(`username`) = 'text' AND length(`username`) BETWEEN 1 AND {width})",
        if table == Table::Mailbox { " PRIMARY KEY" } else { "" }
    );
    let id = |name: &str| {
        format!("`{name}` INTEGER NOT NULL CHECK (typeof(`{name}`) = 'integer' AND `{name}` BETWEEN 0 AND 4294967294)")
    };
    let key = |name: &str, further: &str| {
        format!("`{name}` TEXT COLLATE NOCASE NOT NULL{further} CHECK (typeof(`{name}`) = 'text')")
    };
    let value = |name: &str| format!("`{name}` TEXT NOT NULL DEFAULT ''");
    let blank = " DEFAULT ''";
    let (columns, index) = match table {
        Table::Mailbox => (
            vec![
                username,
                id("uid"),
                id("gid"),
                "`home` TEXT NOT NULL".to_owned(),
                value("password"),
                "`password_type` TEXT NOT NULL DEFAULT 'Password' \
                 CHECK (`password_type` IN ('Password', 'Crypt-Password', 'MySQL-Password'))"
                    .to_owned(),
                "`suspended` TEXT NOT NULL DEFAULT 'N' CHECK (`suspended` IN ('N', 'Y'))".to_owned(),
            ],
            "",
        ),
        Table::Alias => {
            let mut columns = vec![username, key("alias", blank), value("alias_username"), value("alias_host")];
            if options.with_seq {
                columns.insert(0, "`seq` INTEGER PRIMARY KEY".to_owned());
            }
            (columns, "CREATE INDEX `alias_lookup` ON `alias` (`username`, `alias`);\n")
        }
        Table::Virtual => (
            vec![
                username,
                "`ext` TEXT COLLATE NOCASE NOT NULL DEFAULT ''".to_owned(),
                key("virtual_username", blank),
                key("virtual_host", ""),
            ],
            "CREATE INDEX `virtual_lookup` ON `virtual` (`virtual_host`, `virtual_username`);\n",
        ),
        Table::Rcpthosts => (vec![key("host", " PRIMARY KEY")], ""),
    };
    format!("CREATE TABLE `{table}` (\n  {}\n);\n{index}", columns.join(",\n  "))
}

/// The statements that make all tables, for people to read.
pub(super) fn schema(options: TableOptions) -> String {
    Table::ALL.into_iter().map(|table| create(table, options)).collect::<Vec<_>>().join("\n")
}
