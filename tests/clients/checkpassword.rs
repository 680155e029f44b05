//! Our checkpassword below a stand-in for qmail-popup, and every drop-in within softlimit's four megabytes.

use super::{SOON, holds_no, installed, text, uid_of};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{BOB, DAEMON, IAIN, QMAILD, QMAILP, Ran, SECRET, STRANGER, Site, command, run};
use std::os::unix::fs::chown;

/// checkpassword's exit codes. Source: cr.yp.to/checkpwd/interface.html.
const REFUSED: Option<i32> = Some(1);
const MISUSED: Option<i32> = Some(2);
const TEMPORARY: Option<i32> = Some(111);

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |sentence, run| super::trial("checkpassword", &["bash", "setpriv"], sentence, run);
    let limited = |sentence, run| super::trial("softlimit", &["softlimit"], sentence, run);
    vec![
        trial("the_program_runs_as_the_user_and_nobody_else", becomes_user),
        trial("wrong_unknown_suspended_and_empty_are_refused", refusals),
        trial("a_store_or_a_daemon_that_is_away_is_temporary", away),
        trial("a_home_that_is_not_the_users_is_temporary", homes),
        trial("what_breaks_the_interface_is_misuse_and_lets_nobody_in", misuse),
        trial("who_is_not_root_becomes_nobody_else", not_root),
        trial("who_has_no_mailbox_is_left_to_the_stock_program_if_asked_for", stock),
        trial("the_log_says_who_came_from_where_and_no_password", audit),
        limited("four_megabytes_are_enough_for_qmail_getpw", limited_getpw),
        limited("four_megabytes_are_enough_for_checkpassword", limited_checkpassword),
        limited("four_megabytes_are_enough_for_dovecot_checkpassword", limited_dovecot),
        limited("four_megabytes_are_enough_for_qmail_rcptcheck", limited_rcptcheck),
    ]
}

/// How it is run: as root, from 192.0.2.7, for qmail-pop3d.
struct Popup<'a> {
    site: &'a Site,
    ids: (u32, u32),
    before: Vec<String>,
}

impl<'a> Popup<'a> {
    fn of(site: &'a Site) -> Result<Self, Failed> {
        // Everything about itself that matters, and its open descriptors, without one of its own.
        let who = "echo in $(id -u) $(id -g) $(id -G) $(pwd) $USER $HOME $SHELL; \
                   grep -E '^(Uid|Gid):' /proc/$$/status | tr '\\t' ' '; for fd in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done; exit 0";
        site.script("qmail-pop3d", who)?;
        Ok(Self { site, ids: (0, 0), before: Vec::new() })
    }

    fn offer(&self, offered: &[u8]) -> Result<Ran, Failed> {
        let file = self.site.path("offered");
        std::fs::write(&file, offered)?;
        chown(&file, Some(self.ids.0), None)?;
        let mut command = command("/bin/bash", self.ids);
        command.args(["-c", "exec 3<\"$0\" \"$@\""]).arg(&file).args(&self.before);
        command.arg(self.site.path("q/bin/checkpassword")).arg(self.site.path("qmail-pop3d")).arg("Maildir");
        command.env("QMAILHOME", self.site.path("q")).env("TCPREMOTEIP", "192.0.2.7").env("PROTO", "TCP");
        let ran = run(&mut command, b"")?;
        // Both streams may be the network.
        ensure(ran.code == Some(0) || (ran.out.is_empty() && ran.err.is_empty()), format!("{ran:?}"))?;
        ensure((ran.code == Some(0)) == ran.out.starts_with("in "), format!("{ran:?}"))?;
        Ok(ran)
    }

    fn login(&self, login: &str, password: &str) -> Result<Ran, Failed> {
        self.offer(format!("{login}\0{password}\0<123.456@mail.test>\0").as_bytes())
    }

    fn ends(&self, login: &str, password: &str, want: Option<i32>) -> Outcome {
        equal(&format!("exit for {login:?}"), self.login(login, password)?.code, want)
    }
}

fn becomes_user() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let popup = Popup::of(&site)?;
    for (login, user, id) in [("iain", "iain", IAIN), ("IAIN", "iain", IAIN), ("bob-smith", "bob-smith", 20_003)] {
        let ran = popup.login(login, SECRET)?;
        let home = text(&site.path("homes").join(user));
        let mut lines = ran.out.lines();
        equal(login, lines.next(), Some(&format!("in {id} {id} {id} {home} {user} {home} /bin/sh")[..]))?;
        // Real, effective, saved and of the file system.
        for name in ["Uid", "Gid"] {
            equal(login, lines.next(), Some(&format!("{name}: {id} {id} {id} {id}")[..]))?;
        }
        // The shell opens its script itself, on a descriptor of 10 or above.
        equal("descriptors besides 0, 1 and 2", lines.collect::<Vec<_>>(), Vec::<&str>::new())?;
    }
    Ok(())
}

fn refusals() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let popup = Popup::of(&site)?;
    site.sql("UPDATE mailbox SET password = '' WHERE username = 'bob'")?;
    popup.ends("iain", SECRET, Some(0))?;
    for (login, password) in [
        ("iain", "wrong"),
        ("iain", "open sesame "),
        ("iain", ""),
        ("bob", ""),
        ("suspended", SECRET),
        ("suspended", "wrong"),
        ("nobody", SECRET),
        ("", ""),
        ("iain-work", SECRET),
        ("iain@bar.com", SECRET),
    ] {
        popup.ends(login, password, REFUSED)?;
    }
    Ok(())
}

fn away() -> Outcome {
    let site = Site::sqlite(SOON)?;
    let daemon = site.start()?;
    let popup = Popup::of(&site)?;
    site.store(false)?;
    for (login, password) in [("iain", SECRET), ("iain", "wrong"), ("nobody", SECRET), ("suspended", SECRET)] {
        popup.ends(login, password, TEMPORARY)?;
    }
    site.store(true)?;
    popup.ends("iain", SECRET, Some(0))?;
    daemon.kill();
    popup.ends("iain", SECRET, TEMPORARY)?;
    let _daemon = site.start()?;
    popup.ends("iain", SECRET, Some(0))
}

fn homes() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let popup = Popup::of(&site)?;
    let home = site.path("homes/iain");
    for (uid, gid) in [(BOB, IAIN), (IAIN, BOB), (0, 0), (DAEMON, DAEMON)] {
        chown(&home, Some(uid), Some(gid))?;
        popup.ends("iain", SECRET, TEMPORARY)?;
        // That is not for those to know who have no password.
        popup.ends("iain", "wrong", REFUSED)?;
    }
    chown(&home, Some(IAIN), Some(IAIN))?;
    popup.ends("iain", SECRET, Some(0))?;
    std::fs::rename(&home, site.path("homes/away"))?;
    popup.ends("iain", SECRET, TEMPORARY)?;
    std::fs::write(&home, "")?;
    chown(&home, Some(IAIN), Some(IAIN))?;
    popup.ends("iain", SECRET, TEMPORARY)?;
    // A row that is no user's (rule K3).
    popup.ends("broken", SECRET, TEMPORARY)
}

fn misuse() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let popup = Popup::of(&site)?;
    let right = format!("iain\0{SECRET}\0");
    let long = |length: usize| [right.as_bytes(), &vec![b't'; length - right.len() - 1], b"\0"].concat();
    equal("512 bytes", popup.offer(&long(512))?.code, Some(0))?;
    for offered in [long(513), long(100_000), Vec::new(), b"iain\0".to_vec(), b"iain\0open sesame".to_vec()] {
        let code = popup.offer(&offered)?.code;
        equal(&format!("{} bytes", offered.len()), code, MISUSED)?;
    }
    let program = || {
        let mut command = command(site.path("q/bin/checkpassword"), (0, 0));
        command.env("QMAILHOME", site.path("q"));
        command
    };
    equal("no descriptor 3", run(program().arg("/bin/true"), b"")?.code, MISUSED)?;
    equal("no program", run(&mut program(), b"")?.code, MISUSED)
}

fn not_root() -> Outcome {
    let site = Site::sqlite("[daemon]\nauth_group = \"mail\"\n");
    let mut site = site?;
    site.groups = vec![super::gid_of("mail")?];
    let _daemon = site.start()?;
    // In the group for logins, so that the answer is yes.
    let popup = Popup { ids: (STRANGER, super::gid_of("mail")?), ..Popup::of(&site)? };
    popup.ends("iain", SECRET, TEMPORARY)?;
    popup.ends("iain", "wrong", REFUSED)?;
    let stranger = Popup { ids: (STRANGER, STRANGER), ..Popup::of(&site)? };
    stranger.ends("iain", "wrong", TEMPORARY)
}

fn stock() -> Outcome {
    let site = Site::sqlite("[auth]\nfall_back = \"stock\"\n")?;
    let daemon = site.start()?;
    let popup = Popup::of(&site)?;
    let shown = text(&site.path("stock.saw"));
    site.script("q/bin/checkpassword.stock", &format!("tr '\\0' , <&3 >{shown}; echo \"$@\" >>{shown}; exit 1"))?;
    popup.ends("sysuser", "of the system", REFUSED)?;
    let saw = std::fs::read_to_string(site.path("stock.saw"))?;
    let program = text(&site.path("qmail-pop3d"));
    equal("what it saw", saw, format!("sysuser,of the system,<123.456@mail.test>,{program} Maildir\n"))?;
    std::fs::remove_file(site.path("stock.saw"))?;
    // Who has a mailbox is never left to it.
    popup.ends("iain", "wrong", REFUSED)?;
    popup.ends("suspended", SECRET, REFUSED)?;
    site.store(false)?;
    popup.ends("sysuser", "of the system", TEMPORARY)?;
    ensure(!site.path("stock.saw").exists(), "the stock program was run")?;
    holds_no("the daemon's log", &daemon.log(), "of the system")
}

fn audit() -> Outcome {
    let site = Site::sqlite("[daemon]\nlog_level = \"debug\"\n")?;
    let daemon = site.start()?;
    let popup = Popup::of(&site)?;
    popup.ends("iain", SECRET, Some(0))?;
    popup.ends("iain", "a-canary-that-is-wrong", REFUSED)?;
    popup.ends("canary-of-a-login", SECRET, REFUSED)?;
    popup.ends("canary-of-an@address.test", "a-canary", REFUSED)?;
    let log = daemon.log();
    let from = |line: &&str| line.contains("qmail-pop3d") && line.contains("192.0.2.7");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(" audit: ")).filter(from).collect();
    equal(&format!("lines about logins in\n{log}"), lines.len(), 4)?;
    for (line, words) in lines.iter().zip([&["granted", "iain"][..], &["refused", "iain"], &["refused"], &["refused"]])
    {
        ensure(words.iter().all(|word| line.contains(word)), format!("{words:?}: {line}"))?;
    }
    for secret in [SECRET, "a-canary", "canary-of"] {
        holds_no("the daemon's log", &log, secret)?;
    }
    Ok(())
}

/// softlimit as the FAQ's rumour has it: data, stack, locked memory and everything together.
fn softlimit() -> Result<Vec<String>, Failed> {
    Ok(vec![text(&installed("softlimit")?), "-m".to_owned(), "4000000".to_owned()])
}

fn limited_getpw() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let uid = uid_of(QMAILP)?;
    let getpw = |local: &str| {
        let limit = softlimit()?;
        let mut command = command(&limit[0], (uid, uid));
        command.args(&limit[1..]).args(["bin/qmail-getpw", local]).current_dir(site.path("q"));
        run(&mut command, b"")
    };
    let home = text(&site.path("homes/iain"));
    let ran = getpw("iain-Work")?;
    equal(&format!("{ran:?}"), &ran.out[..], format!("iain\x0020001\x0020001\0{home}\0-\0Work\0"))?;
    // The stock program is run within the same limit.
    let ran = getpw("sysuser")?;
    equal(&format!("{ran:?}"), &ran.out[..], "sysuser\x001234\x001234\0/sys\0\0\0")?;
    site.store(false)?;
    equal("a store that is away", getpw("iain")?.code, Some(118))
}

fn limited_checkpassword() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let popup = Popup { before: softlimit()?, ..Popup::of(&site)? };
    site.script("qmail-pop3d", "echo in $HOME")?;
    equal(
        "what the program says",
        popup.login("iain", SECRET)?.out.trim(),
        format!("in {}", text(&site.path("homes/iain"))),
    )?;
    popup.ends("iain", "wrong", REFUSED)?;
    site.store(false)?;
    popup.ends("iain", SECRET, TEMPORARY)
}

fn limited_dovecot() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    site.script("reply", "echo $USER $HOME $userdb_uid $userdb_gid $EXTRA $AUTHORIZED")?;
    let ask = |offered: &str, authorized: &str| {
        std::fs::write(site.path("offered"), offered)?;
        let mut command = command("/bin/bash", (0, 0));
        command.args(["-c", "exec 3<\"$0\" \"$@\""]).arg(site.path("offered")).args(softlimit()?);
        command.arg(site.path("q/bin/dovecot-checkpassword")).arg(site.path("reply"));
        run(command.env("QMAILHOME", site.path("q")).env("AUTHORIZED", authorized), b"")
    };
    let known = format!("iain {} 20001 20001 userdb_uid userdb_gid", text(&site.path("homes/iain")));
    equal("a login", ask(&format!("iain\0{SECRET}\0\0"), "")?.out.trim(), &known[..])?;
    equal("a user", ask("iain\0\0\0", "1")?.out.trim(), format!("{known} 2"))?;
    equal("a wrong password", ask("iain\0wrong\0\0", "")?.code, Some(1))?;
    equal("an unknown user", ask("nobody\0\0\0", "1")?.code, Some(3))?;
    site.store(false)?;
    equal("a store that is away", ask("iain\0\0\0", "1")?.code, TEMPORARY)
}

fn limited_rcptcheck() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let uid = uid_of(QMAILD)?;
    let check = |recipient: &str| {
        let limit = softlimit()?;
        let mut command = command(&limit[0], (uid, uid));
        command.args(&limit[1..]).arg(site.path("q/bin/qmail-rcptcheck"));
        command.env("QMAILHOME", site.path("q")).env("SENDER", "").env("RECIPIENT", recipient);
        Ok::<_, Failed>(run(&mut command, b"")?.code)
    };
    equal("a known recipient", check("sales@bar.com")?, Some(0))?;
    equal("an unknown recipient", check("nobody@bar.com")?, Some(100))?;
    site.store(false)?;
    equal("a store that is away", check("sales@bar.com")?, TEMPORARY)
}
