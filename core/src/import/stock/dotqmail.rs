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
    /// For the alias user: the local parts before a virtual host's users that are no mailboxes; and all names.
    pub alias: Option<(&'a [Vec<u8>], &'a People)>,
}

/// The rows of one file, in its order and without numbers.
pub type Rows = Vec<AliasRow>;

/// Lines of all files of a home, beyond which none of them becomes rows: whoever has a home decides what stands there.
const LINES_MAX: usize = 50_000;

/// The sets that mean what the files of a home mean. The files of the others go on deciding (rule A4); where rows for all
/// extensions that begin alike would come before one of them, these stay files too. One file is held at a time.
///
/// # Errors
/// Why none of them becomes rows: one could not be handed over, or there is too much of them. Nothing is told then.
pub fn sets(
    owner: Owner<'_>,
    files: impl IntoIterator<Item = Result<File, String>>,
    rules: &RuleSettings,
    told: &mut Told,
) -> Result<Vec<Rows>, String> {
    let (mut sets, mut defaults, mut left, mut losses) = (Vec::new(), Vec::new(), Vec::new(), Told::default());
    let mut lines = 0;
    for file in files {
        let file = file?;
        let Some(ext) = extension(&file.name) else { continue };
        lines += file.content.as_ref().map_or(0, |(content, _)| content.split(|&b| b == b'\n').count());
        if lines > LINES_MAX {
            return Err(format!("its dot-qmail files have more than {LINES_MAX} lines"));
        }
        let what = format!("{}/{}", printable(owner.home), printable(&file.name));
        match said(owner, &ext, &file, rules) {
            Ok(rows) if ext == b"default" || is_owner_default(&ext) => defaults.push((ext, what, rows)),
            Ok(rows) => sets.push(rows),
            Err(why) => {
                losses.lose(&what, format!("{why}; the file goes on deciding"));
                // Behind the user's own default there is nothing.
                if !ext.is_empty() || file.name != b".qmail" {
                    left.push((ext, what));
                }
            }
        }
    }
    // What stays for a longer beginning keeps those for the shorter ones.
    defaults.sort_by_key(|(ext, _, _)| std::cmp::Reverse(ext.len()));
    for (ext, what, rows) in defaults {
        let begin = ext.strip_suffix(b"default").unwrap_or(&ext);
        match left.iter().find(|(other, _)| other.starts_with(begin)) {
            None => sets.push(rows),
            Some((_, first)) => {
                let why = format!("as a row it would come before {first}, which stays; the file goes on deciding");
                losses.lose(&what, why);
                left.push((ext, what));
            }
        }
    }
    told.losses.append(&mut losses.losses);
    Ok(sets)
}

/// For what comes back from the recipients of a list (rule A5).
fn is_owner_default(ext: &[u8]) -> bool {
    ext == b"owner-default" || ext.ends_with(b"-owner-default")
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
        _ if ext.ends_with(b"-default") && !is_owner_default(ext) => {
            return Err("no row is for all extensions that begin alike".to_owned());
        }
        _ if ext.contains(&b'@') => return Err("an extension with @ is not a name in table alias".to_owned()),
        _ => Ext::new(ext).map(|_| ext).ok_or("no row can have such an extension")?,
    };
    if let Some((prepends, people)) = owner.alias
        && let Some(prepend) = prepends.iter().find(|prepend| is_below(ext, prepend))
        && let Some((name, _)) = people.owner(ext, rules.break_chars.as_bytes())
    {
        let (prepend, name) = (printable(prepend), printable(&name));
        return Err(format!("control/virtualdomains has the prepend {prepend}, and a row would take mail of {name}"));
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
    let row = |(user, host): Target| AliasRow {
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

/// alias_username and alias_host.
type Target = (Vec<u8>, Vec<u8>);

/// The instructions as cells.
///
/// # Errors
/// Why rows would mean something else.
fn lines(content: &[u8]) -> Result<Vec<Target>, String> {
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
