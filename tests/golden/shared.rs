//! What all cases share: one site, one daemon. It knows the mailbox of the recorded user, without any alias, and for
//! each case that rows can tell a mailbox of its own with these rows.

use super::case::Case;
use super::home::OWNER;
use super::instructions::{self, Rows};
use super::record::Record;
use super::run;
use libtest_mimic::Failed;
use qmail_lookup_core::{Table, TableRow};
use qmail_lookup_tests::load::sqlite::{self, Tables};
use qmail_lookup_tests::site::{DAEMON, Daemon, Site};
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;
use std::sync::{Arc, OnceLock};

/// The user of every recorded case.
const USER: &[u8] = b"joe";

/// See the module. It is made when the first case needs it, and cleared away with the last trial.
pub(super) struct Shared {
    cases: Arc<Vec<Case>>,
    place: OnceLock<Result<Place, String>>,
}

/// The site. The daemon ends first.
struct Place {
    _daemon: Daemon,
    site: Site,
}

/// One run.
pub(super) struct Run<'a> {
    /// Where.
    pub(super) site: &'a Site,
    /// Name of its folders.
    pub(super) name: &'a str,
    /// What.
    pub(super) case: &'a Case,
    /// A dot-qmail file that is left out.
    pub(super) left_out: Option<&'a [u8]>,
}

impl Shared {
    /// For these cases.
    pub(super) fn new(cases: Arc<Vec<Case>>) -> Self {
        Self { cases, place: OnceLock::new() }
    }

    /// The case with this number.
    pub(super) fn case(&self, n: usize) -> Result<&Case, Failed> {
        self.cases.get(n).ok_or_else(|| "no such case".into())
    }

    /// Runs a case as it is recorded. Gives what was, and what the stock program did.
    pub(super) fn with_files(&self, n: usize) -> Result<(Record, Record), Failed> {
        let (case, site) = (self.case(n)?, self.site()?);
        let run = Run { site, name: &format!("files-{}", case.name), case, left_out: None };
        Ok((run::run(&run)?, case.want.clone()))
    }

    /// Runs a case with rows. Gives what was, and what the stock program did, for a user who is called otherwise.
    pub(super) fn with_rows(&self, n: usize) -> Result<(Record, Record), Failed> {
        let (mut case, site) = (self.case(n)?.clone(), self.site()?);
        let name = rows_name(&case);
        let home = site.path("homes").join(&name);
        let rows = instructions::of(&case, home.as_os_str().as_bytes()).ok_or("no rows can tell this case")?;
        let at = case.words().ok_or("no words")?.user_at;
        let user = user(n);
        let word = case.argv.get_mut(at).ok_or("no user")?;
        if *word != USER {
            return Err("the case is not one of the user that all have".into());
        }
        word.clone_from(&user);
        let mut want = case.want.clone();
        let was = [b"\nUSER=", USER].concat();
        for name in [&b"env"[..], b"e"] {
            // The last line of a sorted environment.
            if let Some(file) = want.files.get_mut(name) {
                let others = file.data.strip_suffix(&was[..]).ok_or("an environment does not end in USER")?;
                file.data = [others, b"\nUSER=", &user].concat();
            }
        }
        let run = Run { site, name: &name, case: &case, left_out: Some(&rows.file) };
        Ok((run::run(&run)?, want))
    }

    fn site(&self) -> Result<&Site, Failed> {
        let made = self.place.get_or_init(|| {
            place(&self.cases).map_err(|error| error.message().unwrap_or("the site cannot be made").to_owned())
        });
        made.as_ref().map(|place| &place.site).map_err(|why| why.into())
    }
}

/// The user of case `n` if it is told by rows.
fn user(n: usize) -> Vec<u8> {
    format!("rows{n}").into_bytes()
}

/// The name of its folders.
fn rows_name(case: &Case) -> String {
    format!("rows-{}", case.name)
}

fn place(cases: &[Case]) -> Result<Place, Failed> {
    let site = Site::sqlite("")?;
    for name in ["messages", "queues"] {
        fs::create_dir(site.path(name))?;
        fs::set_permissions(site.path(name), Permissions::from_mode(0o755))?;
    }
    // By another process, as the programs of the site.
    let queue = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/queue.sh");
    let installed = Command::new("install").args(["-m", "755", queue]).arg(site.path("queue.sh")).status()?;
    if !installed.success() {
        return Err("queue.sh cannot be installed".into());
    }
    let file = site.path("db/store.sqlite");
    fs::remove_file(&file)?;
    sqlite::create(&file, Tables::Seq, &rows(&site, cases))?;
    chown(&file, Some(DAEMON), Some(DAEMON))?;
    Ok(Place { _daemon: site.start()?, site })
}

fn rows(site: &Site, cases: &[Case]) -> Vec<TableRow> {
    let mut seq = 0;
    let home = |name: &str| site.path("homes").join(name).into_os_string().into_encoded_bytes();
    let mut all = vec![mailbox(USER, &home("joe"))];
    for (n, case) in cases.iter().enumerate() {
        let home = home(&rows_name(case));
        let Some(Rows { alias, lines, .. }) = instructions::of(case, &home) else { continue };
        let user = user(n);
        all.push(mailbox(&user, &home));
        for (first, second) in lines {
            seq += 1;
            let cells = [user.clone(), alias.clone(), first, second, format!("{seq}").into_bytes()];
            all.push(TableRow::from_cells(Table::Alias, cells.map(Some)));
        }
    }
    all
}

fn mailbox(user: &[u8], home: &[u8]) -> TableRow {
    let id = OWNER.to_string().into_bytes();
    let cells = [user.to_vec(), id.clone(), id, home.to_vec(), b"secret".to_vec(), b"Password".to_vec(), b"N".to_vec()];
    TableRow::from_cells(Table::Mailbox, cells.map(Some))
}
