//! Homes and maildirs, tried with the uid and gid that will need them.

use super::check::{Outcome, Report};
use super::host::{AS_ROOT, Host, NOT_ROOT, ids_of};
use super::ids::{Ids, Obstacle, in_time};
use super::maildir::{self, Maildir};
use super::questions::{ALIAS, MAILDIR};
use super::rows::Sample;
use crate::home;
use crate::home::SILENT_MAX;
use crate::path_repair::{Mend, Owner, Place, make_home};
use futures_util::stream::{self, StreamExt};
use qmail_lookup_config::quoted;
use qmail_lookup_core::getpw::HomeCheck;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{Deadline, Mailbox};
use std::ffi::OsStr;
use std::io::Result;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Homes that are looked at at a time.
const AT_ONCE: usize = 16;

/// Mode bits with which qmail-local delivers nothing.
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// One home.
enum Seen {
    Fine,
    /// It is there, and takes mail; there is no Maildir in it.
    WithoutMaildir,
    Missing(Outcome),
    Silent(Outcome),
    Home(Outcome),
    Maildir(Outcome),
}

/// What came of all of them.
#[derive(Default)]
struct Found {
    homes: Vec<Outcome>,
    missing: Vec<Outcome>,
    maildirs: Vec<Outcome>,
    without: Vec<Mailbox>,
    fine: Option<Mailbox>,
    looked: usize,
    silent: u64,
}

/// Gives a mailbox whose home is in order, to try a delivery to.
pub(super) async fn run(host: &Host<'_>, sample: &Sample, report: &mut Report) -> Option<Mailbox> {
    if !matches!(sample, Sample::Rows(..)) {
        sample.rows(host, ALIAS, report);
        sample.rows(host, MAILDIR, report);
        return None;
    }
    if !host.is_root {
        report.unknown(ALIAS, NOT_ROOT, AS_ROOT);
        report.unknown(MAILDIR, NOT_ROOT, AS_ROOT);
        return None;
    }
    // What the rules refuse is the rows', and is told there.
    let rules = &host.session.config.rules;
    let rows = sample.rows(host, ALIAS, report).iter();
    let mut found = all(host, rows.filter_map(|row| row.mailbox.validate(rules).ok()).collect()).await;
    if found.looked > 1 && found.missing.len() == found.looked {
        let what = format!("none of {} homes is there", found.looked);
        found.missing = vec![Outcome::wrong(what, "is their file system mounted?")];
    }
    found.homes.append(&mut found.missing);
    report.all(ALIAS, found.homes, format!("homes belong to the uid and gid of their rows ({})", sample.many()));
    let waiting = maildir::wanted(host, &found.without).await;
    let without = match (found.without.len(), host.options.user.is_some()) {
        (0, _) | (_, true) => String::new(),
        (count, false) => format!("; {count} have no Maildir, which only who reads mail there needs"),
    };
    found.maildirs.extend(waiting);
    report.all(MAILDIR, found.maildirs, format!("every Maildir can be reached and written by its user{without}"));
    found.fine
}

async fn all(host: &Host<'_>, mailboxes: Vec<Mailbox>) -> Found {
    let mut found = Found::default();
    let count = mailboxes.len();
    let mut looks = stream::iter(mailboxes).map(|mailbox| look(host, mailbox)).buffered(AT_ONCE);
    while found.silent < SILENT_MAX
        && let Some((mailbox, seen)) = looks.next().await
    {
        found.looked += 1;
        match seen {
            Seen::Fine => _ = found.fine.get_or_insert(mailbox),
            Seen::WithoutMaildir => {
                found.fine.get_or_insert(mailbox.clone());
                found.without.push(mailbox);
            }
            Seen::Missing(outcome) => found.missing.push(outcome),
            Seen::Silent(outcome) => {
                found.silent += 1;
                found.homes.push(outcome);
            }
            Seen::Home(outcome) => found.homes.push(outcome),
            Seen::Maildir(outcome) => found.maildirs.push(outcome),
        }
    }
    if found.looked < count {
        let why = format!("{} homes did not answer, so {} more were not looked at", found.silent, count - found.looked);
        found.homes.insert(0, Outcome::Unknown { why, mend: "mend the file server, and run this again".to_owned() });
    }
    found
}

async fn look(host: &Host<'_>, mailbox: Mailbox) -> (Mailbox, Seen) {
    let seen = match seen(host, &mailbox).await {
        Ok(seen) => seen,
        Err(error) => {
            let (name, shown) = (&mailbox.username, quoted(&path_of(&mailbox)));
            let why = format!("mailbox {name}: {shown} cannot be looked at: {error}");
            Seen::Home(Outcome::Unknown { why, mend: format!("ls -ld {shown}") })
        }
    };
    (mailbox, seen)
}

async fn seen(host: &Host<'_>, mailbox: &Mailbox) -> Result<Seen> {
    let (ids, owner) = (Ids::new(mailbox.uid, mailbox.gid), Owner { uid: mailbox.uid, gid: mailbox.gid });
    let home = path_of(mailbox);
    let (name, shown) = (&mailbox.username, quoted(&home));
    let check = home::look(mailbox, Deadline::after(host.session.config.deadline)).await;
    match check {
        HomeCheck::Missing => {
            let mend = in_time(move || Ok(make_home(&home, owner))).await?;
            let what = format!("mailbox {name}: {shown} is not there");
            return Ok(Seen::Missing(Outcome::wrong(what, mend.to_string())));
        }
        HomeCheck::CannotExamine => {
            let why = format!("mailbox {name}: {shown} cannot be looked at");
            return Ok(Seen::Silent(Outcome::Unknown { why, mend: format!("ls -ld {shown}") }));
        }
        HomeCheck::Fine | HomeCheck::OtherOwner => {}
    }
    // qmail-getpw looks at it first.
    if let Some(asker) = host.asker()
        && let Some(obstacle) = ids_of(&asker).obstacle(&home, "").await?
    {
        let what = format!("mailbox {name}: {}", obstacle.what());
        return Ok(Seen::Home(Outcome::obstacle(what, mend(&home, &obstacle, owner).await?)));
    }
    if check == HomeCheck::OtherOwner {
        let what =
            format!("mailbox {name}: {shown} does not belong to uid and gid {}:{} of its row", owner.uid, owner.gid);
        let give = give(home, owner, host.session.config.rules.clone()).await?;
        return Ok(Seen::Home(Outcome::wrong(what, give.to_string())));
    }
    if let Some((what, mend)) = closed(ids, &home).await? {
        return Ok(Seen::Maildir(Outcome::obstacle(format!("mailbox {name}: {what}"), mend)));
    }
    Ok(match maildir::look(ids, &home).await? {
        Maildir::Fine => Seen::Fine,
        Maildir::Absent if host.options.user.is_none() => Seen::WithoutMaildir,
        Maildir::Absent => {
            let what = format!("mailbox {name}: {shown} holds no Maildir");
            Seen::Maildir(Outcome::wrong(what, maildir::make(owner, &home)))
        }
        Maildir::Wrong(what, mend) => Seen::Maildir(Outcome::obstacle(format!("mailbox {name}: {what}"), mend)),
    })
}

/// Why qmail-local delivers nothing to a home, and what to do.
///
/// # Errors
/// If that could not be found out.
pub(super) async fn closed(ids: Ids, home: &Path) -> Result<Option<(String, Mend)>> {
    let owner = Owner { uid: ids.uid, gid: ids.gid };
    if let Some(obstacle) = ids.obstacle(home, "x").await? {
        return Ok(Some((obstacle.what(), mend(home, &obstacle, owner).await?)));
    }
    let place = place(home).await?;
    let (shown, mode) = (quoted(home), place.way.end.mode);
    Ok(if mode & OTHERS_WRITE != 0 {
        let what = format!("everybody can write to {shown}: its mail waits");
        Some((what, place.change_mode(home, "o-w", owner)))
    } else if mode & STICKY != 0 {
        Some((format!("{shown} is sticky: its mail waits"), place.change_mode(home, "-t", owner)))
    } else {
        None
    })
}

/// What takes away an obstacle on the way to `path`, which `owner` may have laid.
///
/// # Errors
/// If the path cannot be followed.
pub(super) async fn mend(path: &Path, obstacle: &Obstacle, owner: Owner) -> Result<Mend> {
    Ok(place(path).await?.change_mode(&obstacle.path, &obstacle.change(), owner))
}

async fn place(path: &Path) -> Result<Place> {
    let path = path.to_owned();
    in_time(move || Place::look(&path)).await
}

async fn give(path: PathBuf, owner: Owner, rules: RuleSettings) -> Result<Mend> {
    in_time(move || Ok(Place::look(&path)?.give(owner, &rules))).await
}

fn path_of(mailbox: &Mailbox) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&mailbox.home))
}
