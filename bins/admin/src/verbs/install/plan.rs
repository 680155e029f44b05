//! From what stands in qmail's home to the steps that are still to be done.

use super::memory::{Before, Installed};
use super::place;
use super::remarks::Remarks;
use super::source::Source;
use super::step::Step;
use crate::output::Failure;
use crate::qmail::programs::{self, Whose, examine};
use crate::qmail::swap::{self, Relation};
use qmail_lookup_config::DaemonSettings;
use qmail_lookup_core::dropin::Dropin;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// In qmail's control: rule G4.
const NO_STOCK: &str = "nostock";

const NO_STOCK_TEXT: &str = "There is no bin/qmail-getpw.stock.\n";

/// What the plan is made from.
pub(super) struct Ground<'a> {
    pub(super) qmail: &'a Path,
    pub(super) daemon: &'a DaemonSettings,
    /// What is remembered of an installation before this one.
    pub(super) before: Option<Installed>,
    pub(super) checkpassword: Option<&'a Path>,
    /// Where ours are.
    pub(super) programs: &'a Path,
}

/// How one program is dealt with.
#[derive(Default)]
struct Swap {
    steps: Vec<Step>,
    /// Whether there is, or will be, a stock program; `None` if nobody knows if there ever was one.
    kept: Option<bool>,
}

/// The steps, in an order in which every one of them leaves a qmail that delivers.
///
/// # Errors
/// If what is there cannot be examined.
pub(super) fn plan(ground: &Ground<'_>, remarks: &mut Remarks) -> Result<Vec<Step>, Failure> {
    let mut installed = ground.before.clone().unwrap_or_default();
    installed.leaving = false;
    let daemon = ground.daemon;
    let sockets = [("lookupsocket", &daemon.lookup_socket), ("authsocket", &daemon.auth_socket)];
    let mut files = Vec::new();
    for (name, socket) in sockets {
        let file = Before::ours([socket.as_os_str().as_bytes(), b"\n"].concat());
        files.extend(write(ground, &mut installed, name, file)?);
    }

    // Ours beside the stock qmail-getpw is safe; the stock qmail-local beside our qmail-getpw would not see alias rows.
    let local = swap(ground, Dropin::Local, &ground.qmail.join("bin/qmail-local"), &mut installed, remarks)?;
    let mut getpw = swap(ground, Dropin::Getpw, &ground.qmail.join("bin/qmail-getpw"), &mut installed, remarks)?;
    let is_marked = control(ground, NO_STOCK).exists();
    match getpw.kept {
        Some(false) => {
            let help = "users of this system get no mail, all that no row names is the alias user's";
            remarks.warn(format!("there is no stock qmail-getpw, and {NO_STOCK} says so"), help);
            let file = Before::ours(NO_STOCK_TEXT.into());
            let written = write(ground, &mut installed, NO_STOCK, file)?;
            getpw.steps.splice(0..0, written);
        }
        Some(true) if is_marked => {
            installed.files.entry(NO_STOCK.to_owned()).or_insert(Before::of(&control(ground, NO_STOCK))?);
            getpw.steps.push(Step::Remove(control(ground, NO_STOCK)));
        }
        Some(true) | None => (),
    }
    let mut steps = files;
    steps.extend(local.steps.into_iter().chain(getpw.steps));
    if let Some(path) = ground.checkpassword {
        match place::of_qmail(ground.qmail, path) {
            Some(own) => remarks.refuse(
                format!("{} is no checkpassword, but qmail's own {}", path.display(), own.display()),
                "name the program that is run behind qmail-popup",
            ),
            None => steps.extend(swap(ground, Dropin::Checkpassword, path, &mut installed, remarks)?.steps),
        }
    }
    if ground.before.as_ref() != Some(&installed) {
        steps.insert(0, Step::Remember(installed));
    }
    Ok(steps)
}

fn control(ground: &Ground<'_>, name: &str) -> PathBuf {
    ground.qmail.join("control").join(name)
}

/// The step that writes a control file, unless it is there already.
fn write(ground: &Ground<'_>, installed: &mut Installed, name: &str, file: Before) -> Result<Option<Step>, Failure> {
    let path = control(ground, name);
    let now = Before::of(&path)?;
    let is_there = now.as_ref() == Some(&file);
    installed.files.entry(name.to_owned()).or_insert(now);
    Ok((!is_there).then_some(Step::Write(path, file)))
}

/// The steps for one program.
fn swap(
    ground: &Ground<'_>,
    program: Dropin,
    path: &Path,
    installed: &mut Installed,
    remarks: &mut Remarks,
) -> Result<Swap, Failure> {
    let stock = swap::stock(path);
    let (here, kept) = (examine(path)?, examine(&stock)?);
    let (shown, shown_stock) = (path.display(), stock.display());
    let source = Source::find(ground.programs, program, remarks);
    let known = installed.programs.get(path).copied();
    let mut found = Swap::default();
    for (whose, shown) in [(here, &shown), (kept, &shown_stock)] {
        if whose == Whose::Patched {
            remarks.refuse(format!("{shown} is of a patched qmail"), "put the program of an unpatched qmail there");
            return Ok(found);
        }
    }
    match (here, kept) {
        (_, Whose::Ours) => {
            let help = "put qmail's own program there, or remove it if qmail's own is still in place";
            remarks.refuse(format!("{shown_stock} is not the stock program, but one of ours"), help);
            return Ok(found);
        }
        (Whose::Stock, _) if let Some(why) = swap::unfit(path)? => {
            remarks
                .refuse(format!("{shown} {why}"), "put the program of an unpatched qmail there, as a file of its own");
            return Ok(found);
        }
        (Whose::Stock, Whose::Stock) if swap::relation(path)? == Relation::Same => found.kept = Some(true),
        // A qmail that was installed anew since: what it brought is its stock program now.
        (Whose::Stock, _) => {
            found.steps.push(Step::Keep(path.to_owned()));
            found.kept = Some(true);
        }
        (_, Whose::Stock) if !programs::is_program(&stock)? => {
            let help = "put qmail's own program there: it is what uninstall gives back";
            remarks.refuse(format!("{shown_stock} is no program that can be run"), help);
            return Ok(found);
        }
        (_, Whose::Stock) => found.kept = Some(true),
        (Whose::Absent, _) if program == Dropin::Getpw && known != Some(true) => found.kept = Some(false),
        (Whose::Absent, _) => {
            remarks.refuse(format!("there is no {shown}"), "put the program of an unpatched qmail there");
            return Ok(found);
        }
        (Whose::Ours, _) if program == Dropin::Getpw => {
            if known == Some(false) || (known.is_none() && control(ground, NO_STOCK).exists()) {
                found.kept = Some(false);
            } else {
                let help = "put qmail's own qmail-getpw there: without it mail for users of this system waits";
                remarks.refuse(format!("there is no {shown_stock}"), help);
                return Ok(found);
            }
        }
        (Whose::Ours, _) => {
            let help = "put qmail's own program there: without it uninstall cannot give it back";
            remarks.warn(format!("there is no {shown_stock}"), help);
        }
        (Whose::Patched, _) => (),
    }
    if program == Dropin::Getpw && found.kept == Some(true) {
        // What is kept, or is going to be.
        let runs = if here == Whose::Stock { path } else { &stock };
        executable(runs, remarks);
    }
    if program == Dropin::Checkpassword && here == Whose::Stock {
        set_uid(path, remarks);
    }
    if let Some(kept) = found.kept {
        installed.programs.insert(path.to_owned(), kept);
    }
    let Some(source) = source else { return Ok(found) };
    if here != Whose::Ours || !is_right(path, &source.path)? {
        found.steps.push(Step::Put(source, path.to_owned()));
    }
    Ok(found)
}

/// Whether ours stands there as it should: this version, with the rights of the stock program.
fn is_right(path: &Path, source: &Path) -> Result<bool, Failure> {
    let is = std::fs::symlink_metadata(path)?;
    let wanted = swap::rights(path)?;
    let rights = is.is_file() && wanted == Some((is.uid(), is.gid(), is.mode() & 0o7777));
    Ok(rights && swap::same_content(path, source)?)
}

/// Ours becomes nobody by being run.
fn set_uid(path: &Path, remarks: &mut Remarks) {
    if let Some(is) = remarks.known(std::fs::metadata(path))
        && is.mode() & 0o6000 != 0
    {
        let what = format!("{} is set-uid or set-gid, and ours is not", path.display());
        remarks.warn(what, "see that what runs it is run by root, as qmail-popup is");
    }
}

/// qmail-getpw is run as qmailp, which is not among the program's owners.
fn executable(path: &Path, remarks: &mut Remarks) {
    if let Some(is) = remarks.known(std::fs::metadata(path))
        && is.mode() & 0o001 == 0
    {
        let help = format!("chmod 711 {}", path.display());
        remarks.refuse(format!("{} cannot be run by every user", path.display()), help);
    }
}
