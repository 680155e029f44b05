//! The files of a stock qmail: passwd, users/assign, control/virtualdomains, dot-qmail files.

mod homes;

use super::losses::Losses;
use crate::cli;
use crate::moving::Rows;
use crate::output::Failure;
use crate::path_repair::{Owner as Ids, Place};
use crate::qmail::{cdb, files};
use crate::session::Session;
use qmail_lookup_config::control;
use qmail_lookup_core::TableRow;
use qmail_lookup_core::control::Control;
use qmail_lookup_core::directories::Entry;
use qmail_lookup_core::import::stock::assign::{self, Assigned, Assignments};
use qmail_lookup_core::import::stock::dotqmail::{self, Owner};
use qmail_lookup_core::import::stock::hosts::{self, Accepted, Around};
use qmail_lookup_core::import::stock::users::{self, By, Home, Judged, Login, User};
use qmail_lookup_core::import::stock::{People, Told};
use qmail_lookup_core::settings::RuleSettings;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
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
    let assignments = Assignments::new(assigned(qmail)?);
    let mut site = Site { rules, control, told: Told::default(), people: People::default(), alias: None, looker: None };
    let made = site.users(options, &assignments)?;
    let virtual_domains = file(&qmail.join("control/virtualdomains"))?.unwrap_or_default();
    for row in site.aliases(&made, &virtual_domains) {
        rows.add(&TableRow::Alias(row))?;
    }
    for (user, login) in &made {
        rows.add(&TableRow::Mailbox(users::mailbox(user, login)))?;
    }
    let Site { control, people, mut told, .. } = site;
    let around = Around { control: &control, people: &people, assignments: &assignments, rules };
    for row in hosts::virtual_rows(&virtual_domains, around, &mut told) {
        rows.add(&TableRow::Virtual(row))?;
    }
    let [first, more, routes] =
        ["rcpthosts", "morercpthosts", "smtproutes"].map(|name| qmail.join("control").join(name));
    let (first, text, routes) = (file(&first)?, file(&more)?, file(&routes)?.unwrap_or_default());
    let accepted = Accepted { first, text, more: cdb::keys(&more.with_extension("cdb"))? };
    for row in hosts::rcpthosts(&accepted, &routes, around, &mut told) {
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
    /// Who runs qmail-getpw, if he is there.
    looker: Option<Ids>,
}

impl Site<'_> {
    /// Those who become mailboxes, with what lets them log in.
    fn users(&mut self, options: &cli::Import, assignments: &Assignments) -> Result<Vec<(User, Login)>, Failure> {
        let passwd = options.passwd.as_deref().unwrap_or(Path::new("/etc/passwd"));
        let listed = users::passwd(&needed(passwd)?, &mut self.told);
        let shadow = match &options.shadow {
            Some(path) => Some(users::shadow(&needed(path)?, today())),
            None => None,
        };
        let of = |name: &[u8]| listed.iter().find(|user| user.name == name);
        self.looker = of(b"qmailp").map(|user| Ids { uid: user.uid, gid: user.gid });
        self.alias = of(self.rules.alias_user.as_bytes()).cloned();
        let mut made = Vec::new();
        for user in assignments.users() {
            match users::judge(&user, By::Cdb, &self.look(&user), self.rules) {
                Judged::Mailbox => self.add(user, &mut made),
                Judged::PassedOver(why) => self.lose(&user, format!("{why}: with a row the mail would wait")),
                Judged::Stays(why) => self.lose(&user, why),
            }
        }
        let mut passed: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        let (mut unasked, mut ready, mut kept) = (Vec::new(), Vec::new(), BTreeSet::new());
        let is_made = |user: &&User| made.iter().any(|made: &User| made.name == user.name);
        for user in listed.iter().filter(|user| !is_made(user)).cloned() {
            let is_alias = user.name == self.rules.alias_user.as_bytes();
            match users::judge(&user, By::Getpw, &self.look(&user), self.rules) {
                Judged::PassedOver(why) => {
                    passed.entry(why).or_default().push(text(&user.name));
                    continue;
                }
                Judged::Mailbox | Judged::Stays(_) if is_alias => self.stays(&user),
                Judged::Stays(why) => self.lose(&user, format!("{why}; {STOCK}")),
                Judged::Mailbox if assignments.everybody().is_some() => {
                    unasked.push(text(&user.name));
                    self.stays(&user);
                }
                Judged::Mailbox => match assignments.taker(&user) {
                    Some(line) => self.lose(&user, format!("{line} gives mail of his to another")),
                    None => {
                        ready.push(user);
                        continue;
                    }
                },
            }
            if !assignments.covers(&user.name) && assignments.everybody().is_none() {
                kept.insert(user.name);
            }
        }
        self.add_all(ready, &kept, &mut made);
        for (why, names) in passed {
            self.told.notes.push((some(&names), format!("{why}: {PASSED_OVER}")));
        }
        if !unasked.is_empty() {
            let why = "users/assign has only its line for everybody for them: they are no rows";
            self.told.notes.push((some(&unasked), why.to_owned()));
        }
        assignments.tell(&self.people, &self.rules.alias_user, &mut self.told);
        Ok(self.logins(made, &listed, shadow.as_ref()))
    }

    /// Adds those who as rows would get no mail of the users in `kept`, who are no rows: rows come first (rule G2).
    fn add_all(&mut self, users: Vec<User>, kept: &BTreeSet<Vec<u8>>, made: &mut Vec<User>) {
        let breaks = self.rules.break_chars.as_bytes();
        let mut begins: HashMap<&[u8], &[u8]> = HashMap::new();
        for name in kept {
            let ends = name.iter().enumerate().filter(|(_, byte)| breaks.contains(byte));
            begins.extend(ends.filter_map(|(end, _)| Some((name.get(..end)?, &name[..]))));
        }
        for user in users {
            match begins.get(&user.name[..]) {
                Some(name) => {
                    let (name, his) = (text(name), text(&user.name));
                    self.lose(&user, format!("{name} is no row, and a row of {his} would get his mail; {STOCK}"));
                }
                None => self.add(user, made),
            }
        }
    }

    /// What there is at the home of a user, and whether qmail-getpw can look at it.
    fn look(&self, user: &User) -> Home {
        let place = match Place::look(Path::new(OsStr::from_bytes(&user.home))) {
            Ok(place) => place,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Home::Missing;
            }
            Err(error) => return Home::Unknown(error.to_string()),
        };
        let closed = place.way.steps.iter().find(|step| !may_pass(self.looker, &step.holder));
        match closed {
            Some(step) if place.way.end.uid == user.uid => Home::Behind(text(step.path.as_os_str().as_bytes())),
            _ => Home::Of(place.way.end.uid, place.way.end.gid),
        }
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
        let name = self.rules.alias_user.as_bytes();
        let is_made = made.iter().any(|(user, _)| user.name == name);
        let alias = self.alias.iter().filter(|_| !is_made);
        if self.alias.is_none() && !is_made {
            let why = "he is not in the passwd file: none of the files in his home is read";
            self.told.losses.push((format!("dot-qmail files of the alias user ({})", text(name)), why.to_owned()));
        }
        let (mut sets, mut count, mut names) = (Vec::new(), 0, Vec::new());
        for user in made.iter().map(|(user, _)| user).chain(alias) {
            let is_alias = user.name == name;
            let alias = is_alias.then_some((&prepends[..], &self.people));
            let owner = Owner { name: &user.name, home: &user.home, alias };
            let read = homes::files(user, is_alias);
            match read.and_then(|files| dotqmail::sets(owner, files, self.rules, &mut self.told)) {
                Ok(his) if his.is_empty() => {}
                Ok(his) => {
                    count += his.len();
                    names.push(text(&user.name));
                    sets.extend(his);
                }
                Err(why) => {
                    let why = format!("{why}; all of them stay files, and go on deciding");
                    self.told.losses.push((format!("dot-qmail files of {}", text(&user.name)), why));
                }
            }
        }
        if count > 0 {
            let why = "rows say the same now and come first: whoever changes one of these files changes nothing, and \
                       should know it";
            self.told.notes.push((format!("{count} dot-qmail files of {}", some(&names)), why.to_owned()));
        }
        dotqmail::numbered(sets, self.rules)
    }
}

/// What becomes of the mail of users whom nothing finds.
const PASSED_OVER: &str = "qmail-getpw passes them over, before and now; their mail is the alias user's, or that of a user \
                           with whose name and a dash theirs begin";

/// What becomes of the mail of a user who is no row.
const STOCK: &str = "the stock qmail-getpw goes on deciding";

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

/// Whether a directory on the way lets him pass, or anybody if it is not known who he is. He has no further groups.
fn may_pass(who: Option<Ids>, directory: &Entry) -> bool {
    let bit = match who {
        Some(who) if who.uid == directory.uid => 0o100,
        Some(who) if who.gid == directory.gid => 0o010,
        _ => 0o001,
    };
    directory.mode & bit != 0
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
    let ours: BTreeMap<_, _> = lines.iter().map(Assigned::record).collect();
    let mut theirs = BTreeMap::new();
    for (key, data) in cdb::records(&qmail.join("users/cdb"))?.unwrap_or_default() {
        // The record without a key lists the last bytes of all prefixes. Of several with one key the first counts.
        if !key.is_empty() {
            theirs.entry(key).or_insert(data);
        }
    }
    if ours == theirs {
        return Ok(lines);
    }
    let what = "is not what users/cdb, which qmail reads, was made of: run qmail-newu, or remove what is not used";
    Err(Failure::usage(format!("{} {what}", path.display())))
}
