//! dot-qmail files as sets of table alias. A set is the whole file or nothing of it.

use super::{People, Told};
use crate::alias::{AliasRow, instructions, without_trailing_blanks};
use crate::dotqmail::cells;
use crate::error::printable;
use crate::key::{Ext, fold};
use crate::settings::RuleSettings;

/// A file whose name begins with `.qmail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: Vec<u8>,
    /// What it holds, and the last bits of its mode; or why it is not read.
    pub content: Result<(Vec<u8>, u32), String>,
}

/// Whose files they are.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Name of the mailbox, or the alias user's.
    pub name: &'a [u8],
    /// Home.
    pub home: &'a [u8],
    /// For the alias user: the local parts before a virtual host's users, which are nobody's names; and all names.
    pub alias: Option<(&'a [Vec<u8>], &'a People)>,
}

/// The rows of one file, in its order and without numbers.
pub type Rows = Vec<AliasRow>;

/// The sets that mean what the files mean. The files of the others go on deciding (rule A4); where the catch-all would
/// come before one of them, it stays a file too.
pub fn sets(owner: Owner<'_>, files: &[File], rules: &RuleSettings, told: &mut Told) -> Vec<Rows> {
    let (mut sets, mut left, mut default) = (Vec::new(), None, None);
    for file in files {
        let Some(ext) = extension(&file.name) else { continue };
        let what = format!("{}/{}", printable(owner.home), printable(&file.name));
        match said(owner, &ext, file, rules) {
            Ok(rows) if ext == b"default" => default = Some((what, rows)),
            Ok(rows) => sets.push(rows),
            Err(why) => {
                told.lose(&what, format!("{why}; the file goes on deciding"));
                // Behind the user's own default there is no catch-all.
                if !ext.is_empty() || file.name != b".qmail" {
                    left = Some(what);
                }
            }
        }
    }
    match (default, left) {
        (Some((_, rows)), None) => sets.push(rows),
        (Some((what, _)), Some(first)) if what != first => {
            let why = format!("as a row it would come before {first}, which no row says; the file goes on deciding");
            told.lose(what, why);
        }
        _ => {}
    }
    sets
}

/// The extension that a file is for; `None` if qmail never reads it.
fn extension(name: &[u8]) -> Option<Vec<u8>> {
    let ext = match name.strip_prefix(b".qmail")? {
        [] => return Some(Vec::new()),
        [b'-', ext @ ..] => ext,
        _ => return None,
    };
    // qmail-local looks for small letters, and for colons in the place of dots. What begins with = is sync's.
    let is_read = !ext.iter().any(|b| b.is_ascii_uppercase() || *b == b'.') && ext.first() != Some(&b'=');
    is_read.then(|| ext.iter().map(|&b| if b == b':' { b'.' } else { b }).collect())
}

fn said(owner: Owner<'_>, ext: &[u8], file: &File, rules: &RuleSettings) -> Result<Rows, String> {
    let key: &[u8] = match ext {
        b"" if file.name != b".qmail" => return Err("no row is for an extension that is empty".to_owned()),
        b"default" => b"@",
        // Rule A5 knows the one kind of these.
        _ if ext.ends_with(b"-default") && !ext.ends_with(b"-owner-default") && ext != b"owner-default" => {
            return Err("no row is for all extensions that begin alike".to_owned());
        }
        _ if ext.contains(&b'@') => return Err("an extension with @ is not a name in table alias".to_owned()),
        _ => Ext::new(ext).map(|_| ext).ok_or("no row can have such an extension")?,
    };
    if let Some((prepends, people)) = owner.alias
        && let Some(prepend) = prepends.iter().find(|prepend| is_below(ext, prepend))
        && people.owner(ext, rules.break_chars.as_bytes()).is_some()
    {
        let prepend = printable(prepend);
        return Err(format!("control/virtualdomains has the prepend {prepend}, and a row would take a mailbox's mail"));
    }
    let (content, mode) = file.content.as_ref().map_err(Clone::clone)?;
    for (bits, why) in [
        (0o002, "everybody may write to it, so that qmail-local delivers nothing"),
        (0o020, "its group may write to it"),
        (0o100, "it is executable, so that it may only forward"),
    ] {
        if mode & bits != 0 {
            return Err(why.to_owned());
        }
    }
    let row = |(user, host): (Vec<u8>, Vec<u8>)| AliasRow {
        username: Some(owner.name.to_vec()),
        alias: Some(key.to_vec()),
        alias_username: Some(user),
        alias_host: Some(host),
        seq: None,
    };
    let rows: Vec<_> = lines(content)?.into_iter().map(row).collect();
    instructions(&rows, owner.home, rules).map_err(|bad| format!("rule {}: {}", bad.rule, bad.problem))?;
    Ok(rows)
}

fn is_below(ext: &[u8], prepend: &[u8]) -> bool {
    fold(ext).strip_prefix(&fold(prepend)[..]).is_some_and(|rest| rest.first() == Some(&b'-'))
}

/// The instructions as cells.
///
/// # Errors
/// Why rows would mean something else.
fn lines(content: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, String> {
    if content.is_empty() {
        return Err("it is empty, which stands for the default delivery of this machine".to_owned());
    }
    if content.contains(&0) {
        return Err("it holds a NUL".to_owned());
    }
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    let mut found = Vec::new();
    for (at, line) in content.split(|&b| b == b'\n').enumerate() {
        match without_trailing_blanks(line) {
            [] if at == 0 => return Err("its first line is blank, so that qmail-local delivers nothing".to_owned()),
            b"+list" => return Err(format!("line {}: +list, from where on it may only forward", at + 1)),
            // What qmail-local passes over.
            [] | [b'#' | b'+', ..] => {}
            line => found.push(cells(line).map_err(|why| format!("line {}: {why}", at + 1))?),
        }
    }
    if found.is_empty() {
        return Err("it has no instruction, so that qmail-local throws the mail away".to_owned());
    }
    Ok(found)
}

/// The rows of all sets, in their order. They get numbers if there is a set whose order rule A3 would not give by itself.
#[must_use]
pub fn numbered(sets: Vec<Rows>, rules: &RuleSettings) -> Vec<AliasRow> {
    let in_order = |rows: &Rows| {
        let is: Option<Vec<_>> =
            rows.iter().map(|row| instructions(std::slice::from_ref(row), b"/", rules).ok()).collect();
        is.map(|one| one.concat()) == instructions(rows, b"/", rules).ok()
    };
    let needed = !sets.iter().all(in_order);
    let mut rows: Vec<_> = sets.into_iter().flatten().collect();
    for (at, row) in rows.iter_mut().enumerate().filter(|_| needed) {
        row.seq = Some((at + 1).to_string().into_bytes());
    }
    rows
}
