//! The site of these trials: homes with maildirs, rows, dot-qmail files, and all that was ever delivered.

use libtest_mimic::Failed;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{ALIAS, BOB, BOB_SMITH, IAIN, Report, SUSPENDED, Site, VIRTUAL};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

/// The alias user's uid and gid, of [`ALIAS`]. Source: Debian's base-passwd.
pub(super) const ALIAS_ID: u32 = 10;

/// The text of every bounce that says "there is no such mailbox".
pub(super) const NO_MAILBOX: &str = "Sorry, no mailbox here by that name. (#5.1.1)\n";

/// Which store a trial runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// A file.
    Sqlite,
    /// A server of its own.
    MariaDb,
}

impl Store {
    /// As it stands in the names of trials.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::MariaDb => "mariadb",
        }
    }

    /// A site, with maildirs and with a stand-in for the stock qmail-getpw that knows the system's alias user too, as
    /// the stock program does.
    pub(super) fn site(self, more: &str) -> Result<Site, Failed> {
        let site = match self {
            Self::Sqlite => Site::sqlite(more)?,
            Self::MariaDb => Site::mariadb(more)?,
        };
        for maildir in ["iain/Maildir", "bob/Catchall", "virtual/Maildir", "suspended/Maildir", "alias/Maildir"] {
            make_maildir(&site, maildir)?;
        }
        let alias = format!("printf '%s\\000{ALIAS_ID}\\000{ALIAS_ID}\\000/alias\\000%s\\000%s\\000' {ALIAS}");
        site.script(
            "q/bin/qmail-getpw.stock",
            &format!("case $1 in {ALIAS}-*) {alias} - \"${{1#{ALIAS}-}}\" ;; {ALIAS}) {alias} '' '' ;; *) {alias} - \"$1\" ;; esac"),
        )?;
        Ok(site)
    }
}

/// Uid and gid of whose home it is.
pub(super) fn id_of(home: &str) -> u32 {
    match home {
        "iain" => IAIN,
        "bob" => BOB,
        "bob-smith" => BOB_SMITH,
        "virtual" => VIRTUAL,
        "suspended" => SUSPENDED,
        _ => ALIAS_ID,
    }
}

/// Makes the maildir `HOME/NAME`.
pub(super) fn make_maildir(site: &Site, name: &str) -> Outcome {
    let id = id_of(name.split('/').next().unwrap_or_default());
    let maildir = site.path("homes").join(name);
    for folder in [maildir.clone(), maildir.join("tmp"), maildir.join("new"), maildir.join("cur")] {
        std::fs::create_dir(&folder)?;
        chown(&folder, Some(id), Some(id))?;
    }
    Ok(())
}

/// Writes the file `HOME/NAME`, as its owner would.
pub(super) fn write(site: &Site, name: &str, text: &str) -> Outcome {
    let id = id_of(name.split('/').next().unwrap_or_default());
    let file = site.path("homes").join(name);
    std::fs::write(&file, text)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644))?;
    Ok(chown(&file, Some(id), Some(id))?)
}

/// Adds rows `username, alias, alias_username, alias_host` to table alias.
pub(super) fn alias_rows(site: &Site, rows: &[[&str; 4]]) -> Outcome {
    insert(site, "alias (username, alias, alias_username, alias_host)", rows)
}

/// Adds rows `username, ext, virtual_username, virtual_host` to table virtual.
pub(super) fn virtual_rows(site: &Site, rows: &[[&str; 4]]) -> Outcome {
    insert(site, "`virtual` (username, ext, virtual_username, virtual_host)", rows)
}

fn insert(site: &Site, what: &str, rows: &[[&str; 4]]) -> Outcome {
    let quoted = |cell: &str| format!("'{}'", cell.replace('\'', "''"));
    for row in rows {
        site.sql(&format!("INSERT INTO {what} VALUES ({})", row.map(quoted).join(", ")))?;
    }
    Ok(())
}

/// A file below the homes: its name, for a mail in a maildir that of the folder; and its text.
pub(super) type Delivered = (String, String);

/// Every file below the homes but the dot-qmail files, sorted. What stands in tmp of a maildir counts as well.
pub(super) fn delivered(site: &Site) -> Result<Vec<Delivered>, Failed> {
    let mut found = Vec::new();
    walk(&site.path("homes"), &site.path("homes"), &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(base: &Path, folder: &Path, found: &mut Vec<Delivered>) -> Outcome {
    for entry in std::fs::read_dir(folder)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() {
            walk(base, &path, found)?;
            continue;
        }
        let name = path.strip_prefix(base)?.display().to_string();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".qmail")) {
            continue;
        }
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
        let in_maildir = folder == "new" || folder == "tmp" || folder == "cur";
        let name =
            if in_maildir { name.rsplit_once('/').map_or(name.clone(), |(head, _)| head.to_owned()) } else { name };
        let text = if kind.is_file() { std::fs::read(&path)? } else { Vec::new() };
        found.push((name, String::from_utf8_lossy(&text).into_owned()));
    }
    Ok(())
}

/// The names of [`delivered`].
pub(super) fn places(site: &Site) -> Result<Vec<String>, Failed> {
    Ok(delivered(site)?.into_iter().map(|(name, _)| name).collect())
}

/// The text of the one file with this name.
pub(super) fn text_of(site: &Site, name: &str) -> Result<String, Failed> {
    let mut texts = delivered(site)?.into_iter().filter(|(found, _)| found == name).map(|(_, text)| text);
    match (texts.next(), texts.next()) {
        (Some(text), None) => Ok(text),
        (None, _) => Err(format!("nothing in {name}, but in {:?}", places(site)?).into()),
        (Some(_), Some(_)) => Err(format!("more than one in {name}").into()),
    }
}

/// Takes away what was delivered so far.
pub(super) fn clear(site: &Site) -> Outcome {
    fn clear(folder: &Path) -> Outcome {
        for entry in std::fs::read_dir(folder)? {
            let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
            let dot_qmail = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".qmail"));
            match (kind.is_dir(), dot_qmail) {
                (true, _) => clear(&path)?,
                (false, true) => {}
                (false, false) => std::fs::remove_file(&path)?,
            }
        }
        Ok(())
    }
    clear(&site.path("homes"))?;
    site.queued().map(drop)
}

/// Fails unless nothing was delivered and nothing forwarded.
pub(super) fn nothing(site: &Site, what: &str) -> Outcome {
    equal(&format!("{what}: delivered"), delivered(site)?, vec![])?;
    equal(&format!("{what}: forwarded"), site.queued()?, vec![])
}

/// The value of `name` in what `env -0` has written.
pub(super) fn variable<'a>(environment: &'a str, name: &str) -> Option<&'a str> {
    environment.split('\0').find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// Fails unless the report is a success.
pub(super) fn done(what: &str, report: &Report) -> Outcome {
    ends(what, report, 'K')
}

/// Fails unless the report is a deferral with this in its text.
pub(super) fn deferred(what: &str, report: &Report, text: &str) -> Outcome {
    ends(what, report, 'Z')?;
    ensure(report.text.contains(text), format!("{what}: the text is not {text:?}: {report:?}"))
}

/// Fails unless the report is a bounce with this in its text.
pub(super) fn bounced(what: &str, report: &Report, text: &str) -> Outcome {
    ends(what, report, 'D')?;
    ensure(report.text.contains(text), format!("{what}: the text is not {text:?}: {report:?}"))
}

fn ends(what: &str, report: &Report, letter: char) -> Outcome {
    ensure(report.signal.is_none(), format!("{what}: killed: {report:?}"))?;
    ensure(report.letter()? == letter, format!("{what}: not {letter}: {report:?}"))
}
