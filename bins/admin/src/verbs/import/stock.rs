//! The files of a stock qmail: passwd, users/assign, control/virtualdomains, dot-qmail files.

mod homes;

use super::losses::Losses;
use crate::cli;
use crate::moving::Rows;
use crate::output::Failure;
use crate::qmail::{assigned, files};
use crate::session::Session;
use qmail_lookup_config::control;
use qmail_lookup_core::TableRow;
use qmail_lookup_core::control::Control;
use qmail_lookup_core::import::stock::assign::{self, Assigned, Assignments};
use qmail_lookup_core::import::stock::dotqmail::{self, Owner};
use qmail_lookup_core::import::stock::hosts::{self, Around};
use qmail_lookup_core::import::stock::users::{self, Home, Judged, Login, User};
use qmail_lookup_core::import::stock::{People, Told};
use qmail_lookup_core::settings::RuleSettings;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// Adds the rows of the qmail in `options.source` to `rows`, and what could not be carried over to `losses`.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(super) fn read(
    session: &Session,
    options: &cli::Import,
    rows: &mut Rows,
    losses: &mut Losses,
) -> Result<(), Failure> {
    let (qmail, rules) = (&options.source, &session.config.rules);
    if !qmail.join("control").is_dir() {
        return Err(Failure::usage(format!("{} is not qmail's home: it has no folder control", qmail.display())));
    }
    let control = control::control(qmail).map_err(|error| Failure::temporary(error.to_string()))?;
    let mut site = Site { rules, control, told: Told::default(), people: People::default(), alias: None };
    let made = site.users(options)?;
    let virtual_domains = file(&qmail.join("control/virtualdomains"))?.unwrap_or_default();
    for row in site.aliases(&made, &virtual_domains) {
        rows.add(&TableRow::Alias(row))?;
    }
    for (user, login) in &made {
        rows.add(&TableRow::Mailbox(users::mailbox(user, login)))?;
    }
    let Site { control, people, mut told, .. } = site;
    let around = Around { control: &control, people: &people, rules };
    for row in hosts::virtual_rows(&virtual_domains, around, &mut told) {
        rows.add(&TableRow::Virtual(row))?;
    }
    let [first, more, routes] =
        ["rcpthosts", "morercpthosts", "smtproutes"].map(|name| qmail.join("control").join(name));
    let (first, more, routes) = (file(&first)?, file(&more)?, file(&routes)?.unwrap_or_default());
    for row in hosts::rcpthosts([first.as_deref(), more.as_deref()], &routes, around, &mut told) {
        rows.add(&TableRow::Rcpthosts(row))?;
    }
    told.losses.into_iter().for_each(|(what, why)| losses.add(what, why));
    told.notes.into_iter().for_each(|(what, why)| losses.note(what, why));
    Ok(())
}

/// What is known while it is read.
struct Site<'a> {
    rules: &'a RuleSettings,
    control: Control,
    told: Told,
    people: People,
    /// The alias user, if there is one.
    alias: Option<User>,
}

impl Site<'_> {
    /// Those who become mailboxes, with what lets them log in.
    fn users(&mut self, options: &cli::Import) -> Result<Vec<(User, Login)>, Failure> {
        let passwd = options.passwd.as_deref().unwrap_or(Path::new("/etc/passwd"));
        let listed = users::passwd(&needed(passwd)?, &mut self.told);
        let shadow = match &options.shadow {
            Some(path) => Some(users::shadow(&needed(path)?, today())),
            None => None,
        };
        let assignments = Assignments::new(assigned(&options.source)?);
        let mut made = Vec::new();
        for user in assignments.users() {
            match users::judge(&user, &look(&user.home), self.rules) {
                Judged::Mailbox => self.add(user, &mut made),
                Judged::PassedOver(why) => self.lose(&user, format!("{why}: with a row the mail would wait")),
                Judged::Stays(why) => self.lose(&user, why),
            }
        }
        let mut passed: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        let mut unasked = Vec::new();
        for user in listed
            .iter()
            .filter(|user| !made.iter().any(|made: &User| made.name == user.name))
            .cloned()
            .collect::<Vec<_>>()
        {
            let is_alias = user.name == self.rules.alias_user.as_bytes();
            match users::judge(&user, &look(&user.home), self.rules) {
                Judged::PassedOver(why) => passed.entry(why).or_default().push(text(&user.name)),
                Judged::Mailbox | Judged::Stays(_) if is_alias => self.stays(&user),
                Judged::Stays(why) => self.lose(&user, format!("{why}; the stock qmail-getpw goes on finding him")),
                Judged::Mailbox if assignments.everybody().is_some() => {
                    unasked.push(text(&user.name));
                    self.stays(&user);
                }
                Judged::Mailbox => match assignments.taker(&user) {
                    Some(line) => self.lose(&user, format!("{line} gives mail of his to another")),
                    None => self.add(user.clone(), &mut made),
                },
            }
            if is_alias {
                self.alias = Some(user);
            }
        }
        for (why, names) in passed {
            self.told.notes.push((some(&names), format!("{why}: no mail reaches them, neither before nor now")));
        }
        if !unasked.is_empty() {
            let why = "no mail reaches them, because users/assign has no lines for them: they are no rows";
            self.told.notes.push((some(&unasked), why.to_owned()));
        }
        assignments.tell(&self.people, &self.rules.alias_user, &mut self.told);
        Ok(self.logins(made, &listed, shadow.as_ref()))
    }

    fn add(&mut self, user: User, made: &mut Vec<User>) {
        self.people.mailboxes.insert(user.name.clone(), (user.uid, user.gid, user.home.clone()));
        made.push(user);
    }

    fn stays(&mut self, user: &User) {
        self.people.others.insert(user.name.clone(), (user.uid, user.gid, user.home.clone()));
    }

    fn lose(&mut self, user: &User, why: String) {
        self.stays(user);
        self.told.losses.push((format!("user {}", text(&user.name)), why));
    }

    /// Who logs in by what. A user of users/assign has the password of the system user that he is.
    fn logins(
        &mut self,
        made: Vec<User>,
        listed: &[User],
        shadow: Option<&HashMap<Vec<u8>, Login>>,
    ) -> Vec<(User, Login)> {
        let mut shut: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        let of = |user: User| {
            let same = listed.iter().find(|other| other.name == user.name && other.uid == user.uid);
            let login = match same.map(|other| &other.login) {
                Some(Login::Elsewhere) => match shadow {
                    Some(shadow) => shadow.get(&user.name).cloned().unwrap_or(Login::Shut("not in the shadow file")),
                    None => Login::Shut(NO_SHADOW),
                },
                Some(login) => login.clone(),
                None => Login::Shut("no system user"),
            };
            if let Login::Shut(why) = &login {
                shut.entry(why).or_default().push(text(&user.name));
            }
            (user, login)
        };
        let with_logins = made.into_iter().map(of).collect();
        for (why, names) in shut {
            let is_known = matches!(why, NO_SHADOW | "locked" | "expired" | "no system user");
            let list = if is_known { &mut self.told.notes } else { &mut self.told.losses };
            list.push((
                format!("password of {}", some(&names)),
                format!("{why}: the row has none, and nobody can log in"),
            ));
        }
        with_logins
    }

    /// The rows of table alias.
    fn aliases(&mut self, made: &[(User, Login)], virtual_domains: &[u8]) -> Vec<qmail_lookup_core::AliasRow> {
        let prepends = hosts::prepends(virtual_domains, &self.people);
        let mut sets = Vec::new();
        let alias = self.alias.iter().map(|user| (user, Some((&prepends[..], &self.people))));
        for (user, alias) in made.iter().map(|(user, _)| (user, None)).chain(alias) {
            let owner = Owner { name: &user.name, home: &user.home, alias };
            match homes::files(user) {
                Ok(files) => sets.extend(dotqmail::sets(owner, &files, self.rules, &mut self.told)),
                Err(why) => self.told.losses.push((format!("dot-qmail files of {}", text(&user.name)), why)),
            }
        }
        dotqmail::numbered(sets, self.rules)
    }
}

const NO_SHADOW: &str = "in the shadow file, which was not given (--shadow)";

/// Days since 1970-01-01.
fn today() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400)
}

fn text(name: &[u8]) -> String {
    qmail_lookup_core::error::printable(name)
}

/// Some of the names, and how many there are.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

fn look(home: &[u8]) -> Home {
    match std::fs::metadata(OsStr::from_bytes(home)) {
        Ok(home) => Home::Of(home.uid(), home.gid()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Home::Missing,
        Err(error) => Home::Unknown(error.to_string()),
    }
}

/// The content of a file, if it is there.
fn file(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    Ok(files::read(path)?)
}

fn needed(path: &Path) -> Result<Vec<u8>, Failure> {
    file(path)?.ok_or_else(|| Failure::usage(format!("there is no {}", path.display())))
}

/// The lines of users/assign that are in effect.
fn assigned(qmail: &Path) -> Result<Vec<Assigned>, Failure> {
    let path = qmail.join("users/assign");
    let lines = match file(&path)? {
        Some(content) => assign::read(&content).map_err(Failure::usage)?,
        None => Vec::new(),
    };
    let sorted = |lines: Vec<String>| lines.into_iter().collect::<std::collections::BTreeSet<_>>();
    let ours = sorted(lines.iter().map(|line| line.line().to_string()).collect());
    let cdb = assigned::read(qmail)?.unwrap_or_default();
    if ours == sorted(cdb.iter().map(ToString::to_string).collect()) {
        return Ok(lines);
    }
    let what = "is not what users/cdb, which qmail reads, was made of: run qmail-newu, or remove what is not used";
    Err(Failure::usage(format!("{} {what}", path.display())))
}
