//! Rows of the four tables and the entries of the native schema that hold them. Pure: nothing here asks a server.
//!
//! Both directions are here, and everything that reads or writes native entries goes through them, so that a lookup,
//! a scan and an edit see the same cells. What is written reads back as the same cells, or is refused before.
//!
//! | cells | attribute |
//! |---|---|
//! | alias `''`, ext `''` | absent |
//! | virtual_username | qlookVirtualPattern if it holds `%` or `_`, absent if empty, else qlookVirtualUser |
//! | alias_username, alias_host | qlookInstruction, see [`instruction`] |
//! | password, password_type | userPassword, see [`stored_password`] |
//! | suspended `N`, `Y` | absent (or FALSE), TRUE |

mod attributes;
mod password;

pub(super) use attributes::Attributes;
pub(super) use password::{password_cells, stored_password};

use super::name::Name;
use qmail_lookup_core::{Cell, Table, TableRow};
use std::ops::Range;

pub(super) const OBJECT_CLASS: &str = "objectClass";
pub(super) const USER: &str = "qlookUser";
pub(super) const UID: &str = "qlookUid";
pub(super) const GID: &str = "qlookGid";
pub(super) const HOME: &str = "qlookHome";
pub(super) const SUSPENDED: &str = "qlookSuspended";
pub(super) const PASSWORD: &str = "userPassword";
pub(super) const ALIAS: &str = "qlookAlias";
pub(super) const SEQ: &str = "qlookSeq";
pub(super) const INSTRUCTION: &str = "qlookInstruction";
pub(super) const VIRTUAL_HOST: &str = "qlookVirtualHost";
pub(super) const VIRTUAL_USER: &str = "qlookVirtualUser";
pub(super) const VIRTUAL_PATTERN: &str = "qlookVirtualPattern";
pub(super) const EXT: &str = "qlookExt";
pub(super) const RCPT_HOST: &str = "qlookRcptHost";
/// Tells entries apart that would have the same name; see [`super::name`].
pub(super) const DESCRIPTION: &str = "description";

/// The class that marks the entries of a table.
pub(super) fn class(table: Table) -> &'static str {
    match table {
        Table::Mailbox => "qlookMailbox",
        Table::Alias => "qlookAliasRow",
        Table::Virtual => "qlookVirtual",
        Table::Rcpthosts => "qlookRcpt",
    }
}

/// Structural class of a mailbox that has no other entry.
pub(super) const ACCOUNT: &str = "qlookAccount";

/// The classes of an entry that holds one row and nothing else.
pub(super) fn classes(table: Table) -> &'static [&'static str] {
    match table {
        Table::Mailbox => &[ACCOUNT, "qlookMailbox"],
        Table::Alias => &["qlookAliasRow"],
        Table::Virtual => &["qlookVirtual"],
        Table::Rcpthosts => &["qlookRcpt"],
    }
}

/// True if an entry holds nothing but rows of `table`.
pub(super) fn is_own(table: Table, entry: &Attributes) -> bool {
    let own =
        |class: &[u8]| classes(table).iter().chain([&"top"]).any(|own| class.eq_ignore_ascii_case(own.as_bytes()));
    entry.values(OBJECT_CLASS).iter().all(|class| own(class))
}

/// The attributes that the rows of a table are read from.
pub(super) fn attributes_of(table: Table) -> &'static [&'static str] {
    match table {
        Table::Mailbox => &[USER, UID, GID, HOME, PASSWORD, SUSPENDED],
        Table::Alias => &[USER, ALIAS, INSTRUCTION, SEQ],
        Table::Virtual => &[VIRTUAL_HOST, VIRTUAL_USER, VIRTUAL_PATTERN, USER, EXT],
        Table::Rcpthosts => &[RCPT_HOST],
    }
}

/// The rows that an entry holds. It is one, except that qlookRcptHost may have several values, and that a virtual
/// entry may have a user and a pattern.
pub(super) fn rows(table: Table, entry: &Attributes) -> Vec<TableRow> {
    let cell = |name: &str| entry.value(name).map(<[u8]>::to_vec);
    let blank = |name: &str| Some(cell(name).unwrap_or_default());
    let row = |cells: Vec<Cell>| TableRow::from_cells(table, cells);
    match table {
        Table::Mailbox => {
            let (password, kind) = password_cells(entry.values(PASSWORD));
            let suspended = suspended_cell(entry.value(SUSPENDED));
            vec![row(vec![cell(USER), cell(UID), cell(GID), cell(HOME), password, kind, suspended])]
        }
        Table::Alias => {
            let (user, host) = instruction_cells(entry.value(INSTRUCTION));
            vec![row(vec![cell(USER), blank(ALIAS), Some(user), Some(host), cell(SEQ)])]
        }
        Table::Virtual => {
            let mut users: Vec<_> = [cell(VIRTUAL_USER), cell(VIRTUAL_PATTERN)].into_iter().flatten().collect();
            if users.is_empty() {
                users.push(Vec::new());
            }
            let of = |user| row(vec![cell(VIRTUAL_HOST), Some(user), cell(USER), blank(EXT)]);
            users.into_iter().map(of).collect()
        }
        Table::Rcpthosts => entry.values(RCPT_HOST).iter().map(|host| row(vec![Some(host.clone())])).collect(),
    }
}

/// One attribute value to be stored.
pub(super) type Stored = (&'static str, Vec<u8>);

/// Some columns and what they are stored as.
struct Field {
    columns: Range<usize>,
    /// The attributes that may hold them.
    attributes: &'static [&'static str],
    value: Result<Option<Stored>, String>,
}

/// The attribute values that hold `row`, without the classes. An alias row without a number gets none.
///
/// # Errors
/// The column that the native schema cannot hold, and why; never its value.
pub(super) fn attributes(row: &TableRow) -> Result<Vec<Stored>, String> {
    fields(row).into_iter().filter_map(|field| field.value.transpose()).collect()
}

/// As [`attributes`], of a row that is to be stored as it is.
///
/// # Errors
/// As [`attributes`], and the column that would read back as something else.
pub(super) fn judged(row: &TableRow) -> Result<Vec<Stored>, String> {
    let values = attributes(row)?;
    let mut entry = Attributes::default();
    values.iter().for_each(|(name, value)| entry.add(name, value.clone()));
    match differs(row, &rows(row.table(), &entry)) {
        None => Ok(values),
        Some(column) => Err(format!("column {column}: would read back as another value")),
    }
}

/// A column in which `wrote` is none of the rows that were `read` from its entry; `None` if it is one of them. NULL in
/// suspended reads back as `N`, and a number that was left out as the one that was given.
pub(super) fn differs(wrote: &TableRow, read: &[TableRow]) -> Option<&'static str> {
    let columns = wrote.table().columns();
    let column = |read: &TableRow| {
        let pairs = columns.iter().zip(wrote.cells().into_iter().zip(read.cells()));
        let free = |column: &str| matches!(column, "suspended" | "seq");
        let mut other = pairs.filter(|(column, (wrote, read))| wrote != read && !(wrote.is_none() && free(column)));
        other.next().map(|(column, _)| *column)
    };
    let mut all = read.iter().map(column);
    let first = all.next().unwrap_or(columns.first().copied());
    if first.is_none() || all.any(|column| column.is_none()) { None } else { first }
}

/// One attribute that a change of a row touches, and the value it gets.
pub(super) type Touched = (&'static str, Option<Vec<u8>>);

/// The attributes to be changed so that an entry that holds `old` holds `new`. A number that `new` lacks stays.
///
/// # Errors
/// As [`attributes`]; only columns that differ are judged.
pub(super) fn changes(old: &TableRow, new: &TableRow) -> Result<Vec<Touched>, String> {
    let (before, after) = (old.cells(), new.cells());
    let mut touched = Vec::new();
    for field in fields(new) {
        let same = before.get(field.columns.clone()) == after.get(field.columns.clone());
        if same || (field.attributes == [SEQ] && after.get(field.columns.clone()) == Some(&[None])) {
            continue;
        }
        let value = field.value?;
        for &name in field.attributes {
            let new = value.as_ref().filter(|(stored, _)| *stored == name).map(|(_, value)| value.clone());
            touched.push((name, new));
        }
    }
    Ok(touched)
}

fn fields(row: &TableRow) -> Vec<Field> {
    let cells = row.cells();
    let cell = |place: usize| cells.get(place).copied().flatten();
    let table = row.table();
    let column = |place: usize| table.columns().get(place).copied().unwrap_or_default();
    let field = |place: usize, attributes: &'static [&'static str], value: Result<Option<Vec<u8>>, String>| {
        let name = attributes.first().copied().unwrap_or_default();
        let value = value.map(|value| value.map(|value| (name, value)));
        let value = value.map_err(|problem| format!("column {}: {problem}", column(place)));
        Field { columns: place..place + 1, attributes, value }
    };
    match table {
        Table::Mailbox => vec![
            field(0, &[USER], key(cell(0), 128).map(Some)),
            field(1, &[UID], integer(cell(1)).map(Some)),
            field(2, &[GID], integer(cell(2)).map(Some)),
            field(3, &[HOME], text(cell(3), 255).map(Some)),
            Field { columns: 4..6, ..field(4, &[PASSWORD], stored_password(cell(4), cell(5))) },
            field(6, &[SUSPENDED], stored_suspended(cell(6))),
        ],
        Table::Alias => vec![
            field(0, &[USER], key(cell(0), 128).map(Some)),
            field(1, &[ALIAS], key_or_blank(cell(1), 128)),
            Field { columns: 2..4, ..field(2, &[INSTRUCTION], instruction_value(cell(2), cell(3))) },
            field(4, &[SEQ], cell(4).map(|digits| integer(Some(digits))).transpose()),
        ],
        Table::Virtual => {
            let pattern = cell(1).is_some_and(|user| user.iter().any(|b| matches!(b, b'%' | b'_')));
            let both: &[_] = if pattern { &[VIRTUAL_PATTERN, VIRTUAL_USER] } else { &[VIRTUAL_USER, VIRTUAL_PATTERN] };
            vec![
                field(0, &[VIRTUAL_HOST], key(cell(0), 255).map(Some)),
                field(1, both, key_or_blank(cell(1), 128)),
                field(2, &[USER], key(cell(2), 128).map(Some)),
                field(3, &[EXT], key_or_blank(cell(3), 255)),
            ]
        }
        Table::Rcpthosts => vec![field(0, &[RCPT_HOST], key(cell(0), 255).map(Some))],
    }
}

const NULL: &str = "NULL cannot be stored in a directory";
const NUL: &str = "holds a NUL";

fn is_blank(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_whitespace)
}

fn key(cell: Option<&[u8]>, max: usize) -> Result<Vec<u8>, String> {
    let key = key_or_blank(cell, max)?.ok_or_else(|| "may not be empty".to_owned())?;
    // As part of a name it would be empty.
    if is_blank(&key) { Err("holds nothing but blanks".to_owned()) } else { Ok(key) }
}

fn key_or_blank(cell: Option<&[u8]>, max: usize) -> Result<Option<Vec<u8>>, String> {
    let bytes = cell.ok_or(NULL)?;
    if !bytes.is_ascii() {
        return Err("holds a byte outside ASCII".to_owned());
    }
    if bytes.contains(&0) {
        return Err(NUL.to_owned());
    }
    if bytes.len() > max {
        return Err(format!("longer than {max} bytes"));
    }
    Ok((!bytes.is_empty()).then(|| bytes.to_vec()))
}

fn text(cell: Option<&[u8]>, max: usize) -> Result<Vec<u8>, String> {
    let bytes = cell.ok_or(NULL)?;
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    if text.is_empty() {
        return Err("may not be empty".to_owned());
    }
    if text.contains('\0') {
        return Err(NUL.to_owned());
    }
    if text.chars().count() > max {
        return Err(format!("longer than {max} characters"));
    }
    Ok(bytes.to_vec())
}

/// A whole number as the directory spells it: no sign but a minus, no leading zero.
fn integer(cell: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let bytes = cell.ok_or(NULL)?;
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let spelled = match digits {
        [] => false,
        [b'0'] => bytes == b"0",
        [b'0', ..] => false,
        _ => digits.len() <= 30 && digits.iter().all(u8::is_ascii_digit),
    };
    if spelled { Ok(bytes.to_vec()) } else { Err("not a whole number in its shortest form".to_owned()) }
}

fn instruction_value(user: Option<&[u8]>, host: Option<&[u8]>) -> Result<Option<Vec<u8>>, String> {
    let (user, host) = (user.ok_or(NULL)?, host.ok_or(NULL)?);
    let line = instruction(user, host)?;
    line.map(|line| text(Some(&line), 1128)).transpose()
}

/// The line of a dot-qmail file that stands for (alias_username, alias_host); `None` if both are empty.
/// Its inverse is [`instruction_cells`]. A forward to a name that holds `@` itself, with no host, ends in `@`.
///
/// # Errors
/// If no line reads back as these cells.
pub(super) fn instruction(user: &[u8], host: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let line = match user {
        b"" if host.is_empty() => return Ok(None),
        b"." | b"/" | b"|" => [user, host].concat(),
        _ if host.is_empty() && !user.contains(&b'@') => [b"&", user].concat(),
        _ if host.contains(&b'@') => return Err("alias_host holds an @".to_owned()),
        _ => [b"&", user, b"@", host].concat(),
    };
    Ok(Some(line))
}

/// (alias_username, alias_host) of an instruction. This is the one place where an instruction is taken apart: its
/// first byte if that is `.`, `/` or `|`, else the parts around the last `@`. Absent: both empty.
///
/// A forward to a user called like the mark of a path or program keeps its `&`. Its cells would mean that path or
/// program otherwise; so the rules refuse it.
pub(super) fn instruction_cells(line: Option<&[u8]>) -> (Vec<u8>, Vec<u8>) {
    let line = line.unwrap_or_default();
    if let [first @ (b'.' | b'/' | b'|'), rest @ ..] = line {
        return (vec![*first], rest.to_vec());
    }
    let address = line.strip_prefix(b"&").unwrap_or(line);
    let (user, host) = match address.iter().rposition(|&b| b == b'@') {
        Some(at) => address.split_at(at),
        None => (address, &[][..]),
    };
    let host = host.get(1..).unwrap_or_default().to_vec();
    match user {
        b"." | b"/" | b"|" => ([b"&", user].concat(), host),
        _ => (user.to_vec(), host),
    }
}

fn stored_suspended(cell: Option<&[u8]>) -> Result<Option<Vec<u8>>, String> {
    match cell {
        None | Some(b"N") => Ok(None),
        Some(b"Y") => Ok(Some(b"TRUE".to_vec())),
        Some(_) => Err("neither N nor Y".to_owned()),
    }
}

/// Column suspended of qlookSuspended: absent and FALSE are `N`, anything else is `Y`.
pub(super) fn suspended_cell(value: Option<&[u8]>) -> Cell {
    let active = value.is_none_or(|word| word.eq_ignore_ascii_case(b"FALSE"));
    Some(if active { b"N".to_vec() } else { b"Y".to_vec() })
}

/// The `n`th name that an entry of these values may have; the first that is free is taken. `None` if there are no more.
pub(super) fn name(table: Table, values: &[Stored], n: u32) -> Option<Name> {
    let has = |wanted: &str| values.iter().find(|(name, _)| *name == wanted);
    let named = |name: &&str| has(name).filter(|(_, value)| !is_blank(value)).cloned();
    let of = |names: &[&str]| names.iter().filter_map(named).collect::<Vec<_>>();
    let (short, long): (&[_], &[_]) = match table {
        Table::Mailbox if n == 0 => (&[USER], &[USER]),
        Table::Rcpthosts if n == 0 => (&[RCPT_HOST], &[RCPT_HOST]),
        Table::Mailbox | Table::Rcpthosts => return None,
        Table::Alias => (&[SEQ], &[SEQ, USER, ALIAS]),
        Table::Virtual => {
            (&[VIRTUAL_USER, VIRTUAL_PATTERN, VIRTUAL_HOST], &[VIRTUAL_USER, VIRTUAL_PATTERN, VIRTUAL_HOST, USER, EXT])
        }
    };
    let name = match n {
        0 => Name::new(of(short)),
        1 => Name::new(of(long)),
        _ => {
            let mut parts = of(long);
            parts.push((DESCRIPTION, n.to_string().into_bytes()));
            Name::new(parts)
        }
    };
    Some(name.shortened(&of(long), n))
}

#[cfg(test)]
mod tests;
