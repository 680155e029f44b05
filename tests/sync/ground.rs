//! A site whose qmail is to be kept in step: control files with the administrator's own lines, a queue, a home of the alias
//! user; and tables that are empty but for what a trial puts there.

use super::send::Send;
use crate::cli::Run;
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::TableRow;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::server::slapd;
use qmail_lookup_tests::site::{self, Site, host_row, program, virtual_row};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{File, FileTimes};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What control/virtualdomains holds; without an end of line.
pub(super) const VIRTUALDOMAINS: &str = "# mine\nown.test:bob";
/// What control/rcpthosts holds.
pub(super) const RCPTHOSTS: &str = "mail.test\n# mine\n";

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    Sqlite,
    MariaDb,
    Slapd,
}

/// A trial on each store; `more` goes into the configuration.
pub(super) fn on_both(name: &str, more: &'static str, run: fn(&Ground) -> Outcome) -> Vec<Trial> {
    vec![on(Store::Sqlite, name, more, run), on(Store::MariaDb, name, more, run)]
}

/// A trial on each of them, and on slapd where there is one.
pub(super) fn on_all(name: &str, more: &'static str, run: fn(&Ground) -> Outcome) -> Vec<Trial> {
    let mut trials = on_both(name, more, run);
    trials.extend(slapd::missing().is_none().then(|| on(Store::Slapd, name, more, run)));
    trials
}

/// A trial on MariaDB.
pub(super) fn on_mariadb(name: &str, more: &'static str, run: fn(&Ground) -> Outcome) -> Trial {
    on(Store::MariaDb, name, more, run)
}

/// A trial on SQLite.
pub(super) fn on_sqlite(name: &str, more: &'static str, run: fn(&Ground) -> Outcome) -> Trial {
    on(Store::Sqlite, name, more, run)
}

fn on(store: Store, name: &str, more: &'static str, run: fn(&Ground) -> Outcome) -> Trial {
    let end = match store {
        Store::Sqlite => "",
        Store::MariaDb => "::mariadb",
        Store::Slapd => "::ldap",
    };
    site::trial(&format!("sync::{name}{end}"), move || run(&Ground::new(store, more)?))
}

/// Files by name: content, and inode and time.
pub(super) type Tree = BTreeMap<PathBuf, (String, (u64, i64))>;

/// See the module.
pub(super) struct Ground {
    pub(super) site: Site,
    pub(super) store: Store,
}

impl Ground {
    fn new(store: Store, more: &str) -> Result<Self, Failed> {
        let site = match store {
            Store::Sqlite => Site::sqlite(more)?,
            Store::MariaDb => Site::mariadb(more)?,
            Store::Slapd => Site::ldap(more)?,
        };
        let ground = Self { site, store };
        if store == Store::Slapd {
            let virtuals = [("", "virtual.com", "virtual", "@"), ("sales", "bar.com", "iain", "work")];
            let more = [("iain", "bar.com", "iain", ""), ("info", "bar.com", "nobody-here", "")];
            let virtuals =
                virtuals.iter().chain(&more).map(|(user, host, owner, ext)| virtual_row(user, host, owner, ext));
            let hosts = ["virtual.com", "bar.com", ".wild.test"].map(host_row);
            virtuals.chain(hosts).try_for_each(|row| ground.site.remove(&row))?;
        } else {
            ground.sql("DELETE FROM `virtual`; DELETE FROM rcpthosts")?;
        }
        for folder in ["alias", "queue", "queue/todo", "queue/local"] {
            std::fs::create_dir(ground.home().join(folder))?;
        }
        std::fs::write(ground.control("virtualdomains"), VIRTUALDOMAINS)?;
        std::fs::write(ground.control("rcpthosts"), RCPTHOSTS)?;
        Ok(ground)
    }

    /// qmail's home.
    pub(super) fn home(&self) -> PathBuf {
        self.site.path("q")
    }

    pub(super) fn control(&self, name: &str) -> PathBuf {
        self.home().join("control").join(name)
    }

    /// A control file; empty if there is none.
    pub(super) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.control(name)).unwrap_or_default()
    }

    /// The hosts in the block of a control file.
    pub(super) fn block(&self, name: &str) -> Vec<String> {
        block(&self.text(name))
    }

    pub(super) fn sql(&self, statements: &str) -> Outcome {
        self.site.sql(statements)
    }

    /// Puts a host into table virtual, bytes as they are.
    pub(super) fn add_virtual(&self, host: &[u8]) -> Outcome {
        if self.store == Store::Slapd {
            return self.site.add(&rows_of(host));
        }
        let host = self.literal(host);
        self.sql(&format!(
            "INSERT INTO `virtual` (username, ext, virtual_username, virtual_host) VALUES ('iain', '', 'iain', {host}), \
             ('iain', 'x', 'sales', {host})"
        ))
    }

    /// Puts a host into table rcpthosts.
    pub(super) fn add_accepted(&self, host: &[u8]) -> Outcome {
        if self.store == Store::Slapd {
            return self.site.add(&[host_row(&String::from_utf8_lossy(host))]);
        }
        self.sql(&format!("INSERT INTO rcpthosts (host) VALUES ({})", self.literal(host)))
    }

    /// Into both.
    pub(super) fn add(&self, hosts: &[&str]) -> Outcome {
        for host in hosts {
            self.add_virtual(host.as_bytes())?;
            self.add_accepted(host.as_bytes())?;
        }
        Ok(())
    }

    /// Out of both.
    pub(super) fn remove(&self, host: &[u8]) -> Outcome {
        if self.store == Store::Slapd {
            let row = host_row(&String::from_utf8_lossy(host));
            return rows_of(host).iter().chain([&row]).try_for_each(|row| self.site.remove(row));
        }
        let host = self.literal(host);
        self.sql(&format!(
            "DELETE FROM `virtual` WHERE virtual_host = {host}; DELETE FROM rcpthosts WHERE host = {host}"
        ))
    }

    fn literal(&self, bytes: &[u8]) -> String {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        if self.store == Store::Sqlite { format!("CAST(X'{hex}' AS TEXT)") } else { format!("X'{hex}'") }
    }

    pub(super) fn start_send(&self) -> Result<Send, Failed> {
        self.start_send_in("queue")
    }

    /// The same in another folder of qmail's home.
    pub(super) fn start_send_in(&self, folder: &str) -> Result<Send, Failed> {
        Send::start(&self.home(), folder)
    }

    /// Lets a while go by since the control files were changed, so that nobody waits for who may be writing them.
    pub(super) fn settle(&self) -> Outcome {
        for entry in std::fs::read_dir(self.home().join("control"))? {
            let path = entry?.path();
            let changed = path.metadata()?.modified()?;
            if changed.elapsed().is_ok_and(|since| since < Duration::from_secs(5)) {
                let times = FileTimes::new().set_modified(changed - Duration::from_secs(10));
                File::options().write(true).open(path)?.set_times(times)?;
            }
        }
        Ok(())
    }

    /// `sync` with these options, ready to be run on control files that have settled.
    pub(super) fn command(&self, wrapper: &[&str], options: &[&str]) -> Result<Command, Failed> {
        self.settle()?;
        let mut words = wrapper.iter().map(|word| (*word).into()).chain([program("qmail-lookup")?.into_os_string()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).arg("--config").arg(self.site.config()).arg("sync").args(options);
        command.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }

    /// Runs `sync`.
    pub(super) fn sync(&self, options: &[&str]) -> Result<Run, Failed> {
        let done = self.command(&[], options)?.output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Run { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) })
    }

    /// Runs `sync --json`, which must end with this code.
    pub(super) fn json(&self, options: &[&str], code: i32) -> Result<Value, Failed> {
        self.sync(&[options, &["--json"]].concat())?.exits(code)?.json()
    }

    /// A first run while qmail is stopped, which must find all in order.
    pub(super) fn in_step(&self) -> Outcome {
        self.sync(&["--no-hup"])?.exits(0).map(drop)
    }

    /// Lets time pass, as far as sync remembers any.
    pub(super) fn age(&self, seconds: u64) -> Outcome {
        let path = self.home().join("qmail-lookup/sync.json");
        let mut state: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        for list in ["virtualdomains", "rcpthosts"] {
            for (_, host) in state[list].as_object_mut().ok_or("no such list")? {
                for key in ["since", "closed"] {
                    if let Some(at) = host[key].as_u64() {
                        host[key] = (at - seconds).into();
                    }
                }
            }
        }
        Ok(std::fs::write(path, state.to_string())?)
    }

    /// Every file that sync could change but for `except`: its content, and its inode and time.
    pub(super) fn tree(&self, except: &[&str]) -> Result<Tree, Failed> {
        let mut found = Tree::new();
        for folder in ["alias", "control", "qmail-lookup", "queue"] {
            if self.home().join(folder).exists() {
                walk(&self.home().join(folder), &mut found)?;
            }
        }
        found.retain(|path, _| !except.iter().any(|except| path.ends_with(except)));
        Ok(found)
    }

    /// Fails unless running again changes nothing.
    pub(super) fn is_settled(&self, code: i32) -> Outcome {
        let before = self.tree(&[])?;
        self.sync(&["--no-hup"])?.exits(code)?;
        equal("a second run", self.tree(&[])?, before)
    }

    /// Puts a message into the queue of the miniature that has this encoded recipient still to be delivered.
    pub(super) fn queue(&self, number: u32, recipient: &str) -> Outcome {
        Ok(std::fs::write(self.home().join(format!("queue/local/{number}")), format!("T{recipient}\0"))?)
    }
}

/// The rows of table virtual that a host is given.
fn rows_of(host: &[u8]) -> [TableRow; 2] {
    let host = String::from_utf8_lossy(host);
    [virtual_row("iain", &host, "iain", ""), virtual_row("sales", &host, "iain", "x")]
}

fn walk(folder: &Path, found: &mut Tree) -> Outcome {
    use std::os::unix::fs::MetadataExt;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else {
            let is = path.symlink_metadata()?;
            found.insert(
                path.clone(),
                (String::from_utf8_lossy(&std::fs::read(&path)?).into_owned(), (is.ino(), is.mtime_nsec())),
            );
        }
    }
    Ok(())
}

/// The lines between the marks; what stands before the colon of each.
pub(super) fn block(text: &str) -> Vec<String> {
    let lines = text.lines().skip_while(|line| !line.starts_with("# qmail-lookup sync: begin")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with("# qmail-lookup sync: end"));
    lines.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
}

/// The values of `key` in a list of the report.
pub(super) fn list(report: &Value, name: &str, key: &str) -> Vec<String> {
    let rows = report[name].as_array().into_iter().flatten();
    rows.filter_map(|row| if key.is_empty() { row.as_str() } else { row[key].as_str() }).map(str::to_owned).collect()
}

/// The hosts that have a file in the safety net.
pub(super) fn net(ground: &Ground) -> Result<Vec<String>, Failed> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(ground.home().join("alias"))? {
        let entry = entry?;
        let name = String::from_utf8_lossy(entry.file_name().as_bytes()).into_owned();
        let text = std::fs::read_to_string(entry.path())?;
        ensure(text == "|echo qmail-lookup is not in place; exit 111\n", format!("{name} holds {text:?}"))?;
        found.push(name);
    }
    found.sort();
    Ok(found)
}
