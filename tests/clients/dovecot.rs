//! Dovecot 2.3 over dovecot-checkpassword, as passdb and as userdb: a private instance with its own folders and port.

use super::dialogue::Dialogue;
use super::{ADDRESS, SOON, free_port, gid_of, holds_no, installed, text};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::server::mariadb;
use qmail_lookup_tests::server::process::Process;
use qmail_lookup_tests::site::{IAIN, Ran, SECRET, Site, command, run};
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The user that Dovecot's auth process runs as.
const USER: &str = "dovecot";

/// What that user needs: the group for logins, and the right to find users.
const ALLOWED: &str = "[daemon]\nauth_group = \"dovecot\"\n[daemon.allow]\ndovecot = [\"userdb\"]\n";

/// doveadm's exit codes. Source: sysexits.h, and doveadm-auth.c for a refused login.
const NO_USER: Option<i32> = Some(67);
const TEMPORARY: Option<i32> = Some(75);
const REFUSED: Option<i32> = Some(77);

pub(crate) fn trials() -> Vec<Trial> {
    let trial =
        |sentence, run| super::trial("dovecot", &["dovecot", "doveadm", "/usr/lib/dovecot/pop3"], sentence, run);
    let mut all = vec![
        trial("logins_are_right_wrong_suspended_or_unknown", logins),
        trial("an_empty_password_lets_nobody_in", empty_password),
        trial("addresses_log_in_where_the_settings_say_so", addresses),
        trial("users_are_found_with_uid_gid_and_home_or_not", users),
        trial("a_store_that_is_away_is_temporary_to_logins_and_users", store_away),
        trial("a_daemon_that_is_away_is_temporary_to_logins_and_users", daemon_away),
        trial("who_may_not_ask_is_told_nothing", not_allowed),
        trial("a_user_reads_mail_over_pop3", pop3),
        trial("pop3_tells_a_wrong_password_from_a_store_that_is_away", pop3_refusals),
        trial("the_log_says_who_came_from_where_and_no_password", audit),
    ];
    if mariadb::missing().is_none() {
        all.push(trial("a_frozen_mariadb_is_temporary_to_logins_and_users", frozen));
    }
    all
}

/// A running Dovecot; it ends when this is dropped.
struct Dovecot {
    process: Option<Process>,
    config: PathBuf,
    log: PathBuf,
    port: u16,
}

impl Dovecot {
    fn start(site: &Site) -> Result<Self, Failed> {
        let wrapper = format!(
            "QMAILHOME={} exec {} \"$@\"",
            text(&site.path("q")),
            text(&site.path("q/bin/dovecot-checkpassword"))
        );
        site.script("checkpassword-for-dovecot", &wrapper)?;
        let (config, port) = (site.path("dovecot.conf"), free_port()?);
        std::fs::write(&config, settings(site, port))?;
        let arguments = ["-F", "-c", &text(&config)].map(str::to_owned);
        let process = Some(Process::start(&installed("dovecot")?, &arguments)?);
        let mut dovecot = Self { process, config, log: site.path("dovecot.log"), port };
        dovecot.wait(&site.path("dovecot/auth-userdb"))?;
        Ok(dovecot)
    }

    /// Waits until its sockets are there.
    fn wait(&mut self, socket: &std::path::Path) -> Outcome {
        let until = Instant::now() + Duration::from_secs(30);
        while !socket.exists() {
            let running = self.process.as_mut().is_some_and(Process::is_running);
            ensure(running && Instant::now() < until, format!("dovecot does not start: {}", self.log()))?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn doveadm(&self, arguments: &[&str]) -> Result<Ran, Failed> {
        run(command(installed("doveadm")?, (0, 0)).arg("-c").arg(&self.config).args(arguments), b"")
    }

    fn login(&self, user: &str, password: &str) -> Result<Ran, Failed> {
        self.doveadm(&["auth", "test", user, password])
    }

    fn user(&self, user: &str) -> Result<Ran, Failed> {
        self.doveadm(&["user", user])
    }

    /// Fails unless a login and the search for a user of each of these names are temporary errors.
    fn knows_nothing(&self, names: &[&str]) -> Outcome {
        for name in names {
            let login = self.login(name, SECRET)?;
            ensure(login.code == REFUSED && login.out.contains("code=temp_fail"), format!("{name}: {login:?}"))?;
            let user = self.user(name)?;
            ensure(user.code == TEMPORARY && !user.out.contains("doesn't exist"), format!("{name}: {user:?}"))?;
        }
        Ok(())
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // The master takes its children with it only if it is asked to end.
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }
}

fn settings(site: &Site, port: u16) -> String {
    let (base, state) = (text(&site.path("dovecot")), text(&site.path("dovecot-state")));
    let (log, program) = (text(&site.path("dovecot.log")), text(&site.path("checkpassword-for-dovecot")));
    format!(
        "protocols = pop3
base_dir = {base}
state_dir = {state}
log_path = {log}
ssl = no
disable_plaintext_auth = no
default_internal_user = {USER}
default_internal_group = dovecot
default_login_user = dovenull
auth_verbose = yes
auth_failure_delay = 0 secs
mail_location = maildir:~/Maildir
first_valid_uid = {IAIN}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    address = {ADDRESS}
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
passdb {{
  driver = checkpassword
  args = {program}
}}
userdb {{
  driver = checkpassword
  args = {program}
}}
"
    )
}

/// A site whose daemon serves Dovecot's user.
fn site(more: &str) -> Result<Site, Failed> {
    allow(Site::sqlite(&format!("{more}{ALLOWED}"))?)
}

fn allow(mut site: Site) -> Result<Site, Failed> {
    site.groups = vec![gid_of("dovecot")?];
    Ok(site)
}

fn logins() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    let dovecot = Dovecot::start(&site)?;
    for (user, password) in [("iain", SECRET), ("IAIN", SECRET), ("bob-smith", SECRET)] {
        let login = dovecot.login(user, password)?;
        ensure(login.code == Some(0) && login.out.contains("auth succeeded"), format!("{user}: {login:?}"))?;
        let canonical = format!("user={}", user.to_lowercase());
        ensure(login.out.contains(&canonical), format!("{canonical}: {login:?}"))?;
    }
    let refused = [
        ("iain", "open sesame "),
        ("iain", "Open sesame"),
        ("suspended", SECRET),
        ("suspended", "wrong"),
        ("unknown", SECRET),
        ("iain-work", SECRET),
        ("bob-jones", SECRET),
        ("iain@bar.com", SECRET),
    ];
    for (user, password) in refused {
        let login = dovecot.login(user, password)?;
        ensure(login.code == REFUSED && login.out.contains("auth failed"), format!("{user}: {login:?}"))?;
        holds_no("an answer about a password that is known to be wrong", &login.out, "temp_fail")?;
    }
    // A row that is no user's (rule K3) is nobody's fault who logs in.
    let broken = dovecot.login("broken", SECRET)?;
    ensure(broken.out.contains("code=temp_fail"), format!("{broken:?}"))
}

fn empty_password() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    let dovecot = Dovecot::start(&site)?;
    // A blank plain-text password in the store is nobody's password either.
    site.sql("UPDATE mailbox SET password = '' WHERE username = 'bob'")?;
    equal("exit with a password", dovecot.login("iain", SECRET)?.code, Some(0))?;
    for user in ["iain", "bob", "suspended", "unknown"] {
        let login = dovecot.login(user, "")?;
        ensure(login.code == REFUSED && login.out.contains("auth failed"), format!("{user}: {login:?}"))?;
    }
    let mut pop3 = Dialogue::with(dovecot.port)?;
    pop3.say("USER bob")?;
    let reply = pop3.say("PASS ")?;
    ensure(reply.starts_with("-ERR"), reply)
}

fn addresses() -> Outcome {
    let site = site("[auth]\nlogin = \"both\"\n")?;
    let _daemon = site.start()?;
    let dovecot = Dovecot::start(&site)?;
    for name in ["iain@bar.com", "Iain@Bar.COM", "iain"] {
        let (login, user) = (dovecot.login(name, SECRET)?, dovecot.user(name)?);
        ensure(login.code == Some(0) && login.out.contains("user=iain\n"), format!("{name}: {login:?}"))?;
        ensure(user.code == Some(0) && user.out.contains("uid\t20001\n"), format!("{name}: {user:?}"))?;
    }
    // Addresses of something else than a mailbox itself.
    for name in ["sales@bar.com", "anyone@virtual.com", "info@bar.com", "nobody@bar.com"] {
        equal(name, (dovecot.login(name, SECRET)?.code, dovecot.user(name)?.code), (REFUSED, NO_USER))?;
    }
    Ok(())
}

fn users() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    let dovecot = Dovecot::start(&site)?;
    // Mail of a suspended mailbox is delivered, so that it is a user, too.
    for (user, id) in [("iain", "20001"), ("bob-smith", "20003"), ("suspended", "20005")] {
        let found = dovecot.user(user)?;
        equal(&format!("exit of doveadm user {user}: {}", found.err), found.code, Some(0))?;
        let home = text(&site.path("homes").join(user));
        for line in [format!("uid\t{id}\n"), format!("gid\t{id}\n"), format!("home\t{home}\n")] {
            ensure(found.out.contains(&line), format!("{user}: {line:?}: {found:?}"))?;
        }
    }
    for user in ["unknown", "iain-work", "bob-jones", "iain@bar.com"] {
        let found = dovecot.user(user)?;
        ensure(found.code == NO_USER && found.out.contains("doesn't exist"), format!("{user}: {found:?}"))?;
    }
    equal("exit of doveadm user broken", dovecot.user("broken")?.code, TEMPORARY)
}

fn store_away() -> Outcome {
    let site = site(SOON)?;
    let _daemon = site.start()?;
    let dovecot = Dovecot::start(&site)?;
    site.store(false)?;
    dovecot.knows_nothing(&["iain", "unknown"])?;
    site.store(true)?;
    equal("exit of doveadm auth test", dovecot.login("iain", SECRET)?.code, Some(0))?;
    equal("exit of doveadm user", dovecot.user("unknown")?.code, NO_USER)
}

fn frozen() -> Outcome {
    let site = allow(Site::mariadb(&format!("{SOON}{ALLOWED}"))?)?;
    let _daemon = site.start()?;
    let dovecot = Dovecot::start(&site)?;
    equal("exit of doveadm auth test", dovecot.login("iain", SECRET)?.code, Some(0))?;
    site.store(false)?;
    let outcome = dovecot.knows_nothing(&["iain", "unknown"]);
    site.store(true)?;
    outcome
}

fn daemon_away() -> Outcome {
    let site = site("")?;
    let daemon = site.start()?;
    let dovecot = Dovecot::start(&site)?;
    daemon.kill();
    dovecot.knows_nothing(&["iain"])?;
    let _daemon = site.start()?;
    equal("exit of doveadm auth test", dovecot.login("iain", SECRET)?.code, Some(0))
}

fn not_allowed() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let dovecot = Dovecot::start(&site)?;
    dovecot.knows_nothing(&["iain", "unknown"])
}

fn pop3() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    let dovecot = Dovecot::start(&site)?;
    maildir(&site)?;
    let mut pop3 = Dialogue::with(dovecot.port)?;
    ensure(pop3.say("USER iain")?.starts_with("+OK"), "USER")?;
    let reply = pop3.say(&format!("PASS {SECRET}"))?;
    ensure(reply.starts_with("+OK"), format!("{reply}\n{}", dovecot.log()))?;
    let stat = pop3.say("STAT")?;
    ensure(stat.starts_with("+OK 1 "), stat)?;
    ensure(pop3.say("RETR 1")?.starts_with("+OK"), "RETR")?;
    let message = pop3.listing()?;
    ensure(message.iter().any(|line| line == "for iain's eyes"), format!("{message:?}"))?;
    ensure(pop3.say("QUIT")?.starts_with("+OK"), "QUIT")
}

/// A Maildir with one message for iain.
fn maildir(site: &Site) -> Outcome {
    let maildir = site.path("homes/iain/Maildir");
    for name in ["", "tmp", "new", "cur"] {
        let folder = maildir.join(name);
        std::fs::create_dir_all(&folder)?;
        chown(&folder, Some(IAIN), Some(IAIN))?;
    }
    let message = maildir.join("new/1.message");
    std::fs::write(&message, "Subject: test\n\nfor iain's eyes\n")?;
    Ok(chown(&message, Some(IAIN), Some(IAIN))?)
}

fn pop3_refusals() -> Outcome {
    let site = site(SOON)?;
    let _daemon = site.start()?;
    let dovecot = Dovecot::start(&site)?;
    let try_pop3 = |user: &str, password: &str| {
        let mut pop3 = Dialogue::with(dovecot.port)?;
        pop3.say(&format!("USER {user}"))?;
        pop3.say(&format!("PASS {password}"))
    };
    for (user, password) in [("iain", "wrong"), ("suspended", SECRET), ("unknown", SECRET)] {
        let reply = try_pop3(user, password)?;
        ensure(reply.starts_with("-ERR [AUTH]"), format!("{user}: {reply}"))?;
    }
    site.store(false)?;
    for (user, password) in [("iain", SECRET), ("iain", "wrong"), ("unknown", SECRET)] {
        let reply = try_pop3(user, password)?;
        ensure(reply.starts_with("-ERR [SYS/TEMP]"), format!("{user}: {reply}"))?;
    }
    Ok(())
}

fn audit() -> Outcome {
    let site = site("")?;
    let daemon = site.start()?;
    let dovecot = Dovecot::start(&site)?;
    for (user, password) in [("iain", "a-canary-that-is-wrong"), ("canary-of-a-login", SECRET)] {
        let mut pop3 = Dialogue::with(dovecot.port)?;
        pop3.say(&format!("USER {user}"))?;
        ensure(pop3.say(&format!("PASS {password}"))?.starts_with("-ERR"), "a wrong password")?;
    }
    let log = daemon.log();
    let of_pop3 = |line: &&str| line.contains("pop3") && line.contains("127.0.0.1");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("audit")).filter(of_pop3).collect();
    equal(&format!("lines about logins by POP3 in\n{log}"), lines.len(), 2)?;
    ensure(lines.first().is_some_and(|line| line.contains("iain")), format!("{lines:?}"))?;
    for secret in [SECRET, "a-canary", "canary-of"] {
        holds_no("the daemon's log", &log, secret)?;
    }
    Ok(())
}
