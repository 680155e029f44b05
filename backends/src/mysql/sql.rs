//! Every statement text. Keys and cells are always bound, never written into a text; every name is back-quoted, for
//! `virtual` is a reserved word in MySQL.

use super::binds::{Binds, Missing};
use crate::question::Question;
use qmail_lookup_core::limits::KEYS_PER_STATEMENT;
use qmail_lookup_core::{Table, TableOptions, VirtualKey};
use std::fmt::Write;
use std::time::Duration;

/// A statement and what is bound to it.
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) binds: Binds,
}

/// What a session is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Session {
    /// Answering questions; no statement takes longer than this.
    Lookup(Duration),
    /// Reading whole tables, however long it takes.
    Scan,
    /// Changing rows; no statement takes longer than this.
    Edit(Duration),
}

/// Begin a transaction in which several statements see one state of the tables.
pub(super) const BEGIN_SNAPSHOT: [&str; 2] =
    ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"];
pub(super) const BEGIN: &str = "START TRANSACTION READ WRITE";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";
pub(super) const WARNINGS: &str = "SHOW WARNINGS";
pub(super) const VERSION: &str = "SELECT CAST(CONCAT(VERSION(), ' ', @@version_comment) AS BINARY)";
pub(super) const TLS: &str = "SHOW STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')";
pub(super) const GRANTS: &str = "SHOW GRANTS";

/// Name, type, collation, nullability and extras of the columns of the documented tables.
pub(super) const COLUMNS: &str = "SELECT CAST(table_name AS BINARY), CAST(column_name AS BINARY), \
     CAST(column_type AS BINARY), CAST(collation_name AS BINARY), CAST(is_nullable AS BINARY), CAST(extra AS BINARY) \
     FROM information_schema.columns WHERE table_schema = DATABASE() \
     AND table_name IN ('mailbox', 'alias', 'virtual', 'rcpthosts') ORDER BY table_name, ordinal_position";

/// Engine of the documented tables, and whether it has transactions.
pub(super) const ENGINES: &str = "SELECT CAST(t.table_name AS BINARY), CAST(t.engine AS BINARY), \
     CAST(e.transactions AS BINARY) FROM information_schema.tables t \
     LEFT JOIN information_schema.engines e ON e.engine = t.engine WHERE t.table_schema = DATABASE() \
     AND t.table_name IN ('mailbox', 'alias', 'virtual', 'rcpthosts')";

/// The first column of each index of the documented tables.
pub(super) const INDEXES: &str = "SELECT CAST(table_name AS BINARY), CAST(column_name AS BINARY) \
     FROM information_schema.statistics WHERE table_schema = DATABASE() AND seq_in_index = 1 \
     AND table_name IN ('mailbox', 'alias', 'virtual', 'rcpthosts')";

/// A row if no two rows of table alias may have the same number.
pub(super) const SEQ_IS_UNIQUE: &str = "SELECT X'31' FROM information_schema.statistics \
     WHERE table_schema = DATABASE() AND table_name = 'alias' AND non_unique = 0 \
     GROUP BY index_name HAVING COUNT(*) = 1 AND MAX(LOWER(column_name)) = 'seq'";

/// Makes a session independent of the server's global settings. One text for MariaDB and MySQL: each skips the
/// other's executable comments.
pub(super) fn session(kind: Session) -> [String; 2] {
    let (mode, limit) = match kind {
        Session::Lookup(limit) => ("", limit),
        Session::Scan => ("", Duration::ZERO),
        Session::Edit(limit) => ("STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO", limit),
    };
    // Without these a global setting could cut a set, prefer a table scan, or read NULL as the last number given out.
    let mut first = format!(
        "SET NAMES utf8mb4, autocommit=1, sql_select_limit=18446744073709551615, sql_mode='{mode}', \
         sql_big_selects=1, sql_auto_is_null=0, sql_safe_updates=0, completion_type=0, max_seeks_for_key=1"
    );
    // Zero means no limit.
    let millis = limit.as_millis();
    let _ = write!(
        first,
        " /*M!100101 , max_statement_time={}.{:03} */ /*!50708 , max_execution_time={millis} */",
        millis / 1000,
        millis % 1000
    );
    if millis > 0 {
        let _ = write!(first, ", lock_wait_timeout={}", limit.as_secs() + 1);
    }
    if matches!(kind, Session::Edit(_)) {
        let _ = write!(first, ", innodb_lock_wait_timeout={}", limit.as_secs() + 1);
    }
    if matches!(kind, Session::Scan) {
        // Rows are sorted by every cell, and a slow reader is no reason to cut them off.
        first.push_str(", max_sort_length=16384, sort_buffer_size=8388608, net_write_timeout=86400");
    }
    let access = if matches!(kind, Session::Edit(_)) { "READ WRITE" } else { "READ ONLY" };
    [first, format!("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, {access}")]
}

/// Chooses the database again.
pub(super) fn use_database(name: &str) -> String {
    format!("USE `{}`", name.replace('`', "``"))
}

/// A column as stored: bytes as they are, numbers as digits.
pub(super) fn cell(column: &str) -> String {
    format!("CAST(`{column}` AS BINARY)")
}

pub(super) fn cells(table: Table, columns: &[&str], missing: &Missing) -> String {
    let one = |column: &&str| if missing.has(table, column) { "NULL".to_owned() } else { cell(column) };
    columns.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The number of places that `n` keys get. Few different numbers, so that few different statements are prepared;
/// the last key is bound again to those that are left over.
fn places(n: usize) -> usize {
    n.next_power_of_two().min(KEYS_PER_STATEMENT).max(n)
}

fn list(place: &str, n: usize) -> String {
    vec![place; n].join(", ")
}

/// Binds `keys`, each as often as `bind` pushes it, padded.
fn pad<K>(keys: &[K], binds: &mut Binds, bind: impl Fn(&K, &mut Binds)) -> usize {
    let wanted = places(keys.len());
    let padding = keys.last().into_iter().cycle().take(wanted - keys.len());
    keys.iter().chain(padding).for_each(|key| bind(key, binds));
    wanted
}

/// The statement for a question of at most [`KEYS_PER_STATEMENT`] keys. Optional columns that the table lacks read
/// as NULL.
pub(super) fn lookup(question: &Question, missing: &Missing) -> Statement {
    let table = question.table();
    let columns = question.columns();
    let cells = cells(table, columns, missing);
    let head = format!("SELECT {cells} FROM `{table}` WHERE");
    let mut binds = Binds::new();
    let text = match question {
        Question::AnyMailbox => "SELECT 1 FROM `mailbox` LIMIT 1".to_owned(),
        Question::Mailboxes(names) | Question::Credentials(names) => {
            let n = pad(names, &mut binds, |name, binds| binds.push(name.as_str()));
            format!("{head} `username` IN ({})", list("?", n))
        }
        Question::Rcpthosts(hosts) => {
            let n = pad(hosts, &mut binds, |host, binds| binds.push(host.as_str()));
            format!("{head} `host` IN ({})", list("?", n))
        }
        Question::Aliases(keys) => {
            let n = pad(keys, &mut binds, |key, binds| {
                binds.push(key.username.as_str());
                binds.push(key.alias.as_str());
            });
            let mut text = format!("{head} (`username`, `alias`) IN ({})", list("(?, ?)", n));
            let blank: Vec<_> = keys.iter().filter(|key| key.alias.as_bytes().is_empty()).collect();
            if !blank.is_empty() {
                let n = pad(&blank, &mut binds, |key, binds| binds.push(key.username.as_str()));
                let _ = write!(text, " OR (`username` IN ({}) AND `alias` IS NULL)", list("?", n));
            }
            text
        }
        Question::Virtuals(keys) => virtuals(keys, &cells, &mut binds),
    };
    Statement { text, binds }
}

/// Exact keys and patterns are one condition, so that no row comes twice; a host as such is a branch of its own,
/// because one row of it is enough. The last column tells the branches apart.
fn virtuals(keys: &[VirtualKey], cells: &str, binds: &mut Binds) -> String {
    let (mut exact, mut patterns, mut any) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        match key {
            VirtualKey::Exact { host, user } => exact.push((host, user)),
            VirtualKey::Patterns { host } => patterns.push(host),
            VirtualKey::Any { host } => any.push(host),
        }
    }
    let mut conditions = Vec::new();
    if !exact.is_empty() {
        let n = pad(&exact, binds, |(host, user), binds| {
            binds.push(host.as_str());
            binds.push(user.as_str());
        });
        conditions.push(format!("(`virtual_host`, `virtual_username`) IN ({})", list("(?, ?)", n)));
    }
    let blank: Vec<_> = exact.iter().filter(|(_, user)| user.as_bytes().is_empty()).collect();
    if !blank.is_empty() {
        let n = pad(&blank, binds, |(host, _), binds| binds.push(host.as_str()));
        conditions.push(format!("(`virtual_host` IN ({}) AND `virtual_username` IS NULL)", list("?", n)));
    }
    if !patterns.is_empty() {
        let n = pad(&patterns, binds, |host, binds| binds.push(host.as_str()));
        conditions.push(format!(
            "(`virtual_host` IN ({}) AND (`virtual_username` IS NULL OR `virtual_username` = '' \
             OR LOCATE('%', `virtual_username`) > 0 OR LOCATE('_', `virtual_username`) > 0))",
            list("?", n)
        ));
    }
    let mut branches = Vec::new();
    if !conditions.is_empty() {
        branches.push(format!("(SELECT {cells}, X'30' FROM `virtual` WHERE {})", conditions.join(" OR ")));
    }
    if !any.is_empty() {
        let n = pad(&any, binds, |host, binds| {
            binds.push(host.as_str());
            binds.push(host.as_str());
        });
        // The second comparison is exact: the one row must not be another host's that a collation takes for equal.
        // A key is ASCII, and latin1 folds no other byte to an ASCII one.
        let one = format!(
            "(SELECT {cells}, X'31' FROM `virtual` WHERE `virtual_host` = ? AND CAST(LOWER(CONVERT(CAST(`virtual_host` AS BINARY) USING latin1)) AS BINARY) \
             = ? LIMIT 1)"
        );
        branches.extend(vec![one; n]);
    }
    branches.join(" UNION ALL ")
}

/// `A`-`Z` of a column folded, every other byte kept. MySQL has no function that does just that: LOWER of any
/// character set either folds more or leaves binary strings alone.
fn folded(column: &str) -> String {
    (b'A'..=b'Z').fold(cell(column), |inner, upper| {
        format!("REPLACE({inner}, X'{upper:02X}', X'{:02X}')", upper.to_ascii_lowercase())
    })
}

/// Reads the rows whose first key column equals a value: by an index, or by reading the table and folding.
pub(super) fn of_key(table: Table, missing: &Missing, indexed: bool) -> String {
    let name = table.columns().first().copied().unwrap_or_default();
    let column = if indexed { format!("`{name}`") } else { folded(name) };
    format!("SELECT {} FROM `{table}` WHERE {column} = ?", cells(table, table.columns(), missing))
}

/// Adds so many rows with these columns in one statement.
pub(super) fn insert(table: &str, columns: &[&str], rows: usize) -> String {
    let names: Vec<_> = columns.iter().map(|name| format!("`{name}`")).collect();
    let row = format!("({})", list("?", columns.len()));
    format!("INSERT INTO `{table}` ({}) VALUES {}", names.join(", "), list(&row, rows))
}

/// The column that numbers the rows on trial.
pub(super) const PLACE: &str = "qmail_lookup_place";

/// Name of the temporary table that stands for `table` in a rehearsal.
pub(super) fn rehearsed(table: Table) -> String {
    format!("qmail_lookup_rehearsal_{table}")
}

/// Makes an empty temporary table: like the one that is there, or like ours; then gives it the column [`PLACE`].
pub(super) fn rehearse(table: Table, there: bool, options: TableOptions) -> [String; 2] {
    let name = rehearsed(table);
    let make = if there {
        format!("CREATE TEMPORARY TABLE `{name}` LIKE `{table}`")
    } else {
        format!("CREATE TEMPORARY TABLE `{name}` {}", definition(table, options))
    };
    let number = format!("ALTER TABLE `{name}` ADD COLUMN `{PLACE}` bigint unsigned NOT NULL, ADD INDEX (`{PLACE}`)");
    [make, number]
}

/// The columns of a temporary table: name, type, nullability.
pub(super) fn rehearsed_columns(table: Table) -> String {
    format!("SHOW COLUMNS FROM `{}`", rehearsed(table))
}

/// Reads the rows on trial from the first of two places to the second, in order.
pub(super) fn rehearsed_rows(table: Table, missing: &Missing) -> String {
    let cells = cells(table, table.columns(), missing);
    let name = rehearsed(table);
    format!("SELECT {cells} FROM `{name}` WHERE `{PLACE}` BETWEEN ? AND ? ORDER BY `{PLACE}`")
}

/// Takes a row on trial away.
pub(super) fn rehearsed_delete(table: Table) -> String {
    format!("DELETE FROM `{}` WHERE `{PLACE}` = ?", rehearsed(table))
}

/// Reads a table in the order of `TableRow::order`, beginning at the given folded key or a little before it.
pub(super) fn scan(table: Table, missing: &Missing, after: Option<&[Option<Vec<u8>>]>) -> (String, Vec<Vec<u8>>) {
    let columns = table.columns();
    let mut text = format!("SELECT {} FROM `{table}`", cells(table, columns, missing));
    let keys = columns.iter().take(table.key_columns());
    let mut binds = Vec::new();
    if let Some(after) = after {
        let pairs: Vec<_> = keys.clone().zip(after).collect();
        let from = pairs.iter().rev().fold("TRUE".to_owned(), |rest, (column, cell)| match cell {
            None => format!("(`{column}` IS NOT NULL OR {rest})"),
            Some(_) => {
                let key = folded(column);
                format!("({key} > ? OR ({key} = ? AND {rest}))")
            }
        });
        for (_, value) in pairs.iter().filter_map(|(column, cell)| cell.as_ref().map(|value| (column, value))) {
            binds.extend([value.clone(), value.clone()]);
        }
        let _ = write!(text, " WHERE {from}");
    }
    let plain = columns.iter().filter(|column| !missing.has(table, column)).map(|column| cell(column));
    let order: Vec<_> = keys.map(|column| folded(column)).chain(plain).collect();
    let _ = write!(text, " ORDER BY {}", order.join(", "));
    (text, binds)
}

/// One row with a cell for each table: how many rows it has, and two numbers that any other set of rows would change. All
/// are of one state of the tables. Each cell is hashed before it is put beside others, so that none can be mistaken for
/// another, NULL is not empty, and no row is too long.
pub(super) fn stamp(tables: &[Table], missing: &Missing) -> String {
    let one = |&table: &Table| {
        let hash = |column: &&str| format!("COALESCE(SHA2({}, 256), '-')", cell(column));
        let there = table.columns().iter().filter(|column| !missing.has(table, column));
        let row = format!("SHA2(CONCAT({}), 256)", there.map(hash).collect::<Vec<_>>().join(", "));
        let number = |from: u8| format!("CAST(CONV(SUBSTR(`row`, {from}, 16), 16, 10) AS UNSIGNED)");
        // Two equal rows cancel each other in the second, not in the first.
        format!(
            "(SELECT CAST(CONCAT_WS(' ', COUNT(*), SUM({}), BIT_XOR({})) AS BINARY) FROM (SELECT {row} AS `row` FROM `{table}`) AS `rows`)",
            number(1),
            number(17)
        )
    };
    format!("SELECT {}", tables.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// The statements that make the tables. Key columns are ASCII with a collation that ignores case; the table's default
/// is theirs too, because `ALTER TABLE ... CHANGE` without a character set falls back to it.
pub(super) fn create(table: Table, options: TableOptions) -> String {
    format!("CREATE TABLE IF NOT EXISTS `{table}` {}", definition(table, options))
}

fn definition(table: Table, options: TableOptions) -> String {
    let key = |name: &str, width: u16, rest: &str| {
        format!("  `{name}` varchar({width}) CHARACTER SET ascii COLLATE ascii_general_ci {rest}")
    };
    let text = |name: &str, width: u16, rest: &str| {
        format!("  `{name}` varchar({width}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin {rest}")
    };
    let user = key("username", options.username_width.clamp(1, TableOptions::WIDTH_MAX), "NOT NULL");
    let blank = "NOT NULL DEFAULT ''";
    let mut lines = match table {
        Table::Mailbox => vec![
            user,
            "  `uid` int unsigned NOT NULL".to_owned(),
            "  `gid` int unsigned NOT NULL".to_owned(),
            text("home", 255, "NOT NULL"),
            text("password", 255, blank),
            "  `password_type` enum('Password','Crypt-Password','MySQL-Password') CHARACTER SET ascii NOT NULL DEFAULT \
             'Password'"
                .to_owned(),
            "  `suspended` enum('N','Y') CHARACTER SET ascii NOT NULL DEFAULT 'N'".to_owned(),
            "  PRIMARY KEY (`username`)".to_owned(),
        ],
        Table::Alias => vec![
            user,
            key("alias", 128, blank),
            text("alias_username", 128, blank),
            text("alias_host", 1000, blank),
            "  KEY `alias_lookup` (`username`, `alias`)".to_owned(),
        ],
        Table::Virtual => vec![
            user,
            key("ext", 255, blank),
            key("virtual_username", 128, blank),
            key("virtual_host", 255, "NOT NULL"),
            "  KEY `virtual_lookup` (`virtual_host`, `virtual_username`)".to_owned(),
            "  KEY `virtual_owner` (`username`)".to_owned(),
        ],
        Table::Rcpthosts => vec![key("host", 255, "NOT NULL"), "  PRIMARY KEY (`host`)".to_owned()],
    };
    if table == Table::Alias && options.with_seq {
        lines.insert(0, "  `seq` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY".to_owned());
    }
    format!("(\n{}\n) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_general_ci", lines.join(",\n"))
}

/// All of [`create`], for people to read.
pub(super) fn schema(options: TableOptions) -> String {
    Table::ALL.map(|table| create(table, options) + ";\n").concat()
}
