//! Postfix' `postmap -q` at the lookup socket: every name, by one key and in bulk.

use super::{SOON, installed, text, uid_of};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{ALIAS, QMAILD, Ran, STRANGER, Site, command, run};
use std::collections::HashMap;

/// The names that Postfix may ask for, with a key that is found.
const NAMES: [(&str, &str); 8] = [
    ("virtual", "sales@bar.com"),
    ("virtual_mailbox", "sales@bar.com"),
    ("virtual_alias", "iain-away@mail.test"),
    ("virtual_uid", "sales@bar.com"),
    ("virtual_gid", "sales@bar.com"),
    ("mailbox", "iain"),
    ("rcpthosts", "bar.com"),
    ("recipient", "sales@bar.com"),
];

/// Keys asked in one run.
const MANY: usize = 2000;

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |sentence, run| super::trial("postfix", &["postmap"], sentence, run);
    vec![
        trial("every_name_is_found_or_not", every_name),
        trial("what_cannot_be_said_is_an_error_and_not_absent", temporary),
        trial("what_the_alias_user_gets_is_forwarded_or_an_error_and_never_absent", alias_user),
        trial("the_administrators_virtualdomains_come_before_rows", virtual_domains),
        trial("two_thousand_keys_are_asked_in_one_run", bulk),
        trial("a_store_that_is_away_is_an_error_and_not_absent", store_away),
        trial("who_may_not_ask_gets_an_error_and_not_absent", not_allowed),
        trial("a_user_with_one_right_has_no_other", one_right),
        trial("a_daemon_that_is_away_is_an_error_and_not_absent", daemon_away),
    ]
}

/// What postmap made of an answer. Its exit code alone does not tell the last two apart.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Value(String),
    Absent,
    Error(String),
}

fn judge(ran: &Ran) -> Result<Found, Failed> {
    match (ran.code, &ran.out[..], &ran.err[..]) {
        (Some(0), value, "") => Ok(Found::Value(value.trim_end().to_owned())),
        (Some(1), "", "") => Ok(Found::Absent),
        (Some(1), "", error) if error.contains("query error") => Ok(Found::Error(error.to_owned())),
        _ => Err(format!("postmap: {ran:?}").into()),
    }
}

/// `postmap` as this user, with a configuration of its own.
struct Postmap<'a> {
    site: &'a Site,
    ids: (u32, u32),
}

impl<'a> Postmap<'a> {
    fn of(site: &'a Site, uid: u32) -> Result<Self, Failed> {
        std::fs::create_dir_all(site.path("postfix"))?;
        std::fs::write(site.path("postfix/main.cf"), "compatibility_level = 3.6\n")?;
        Ok(Self { site, ids: (uid, uid) })
    }

    fn run(&self, name: &str, key: &str, input: &str) -> Result<Ran, Failed> {
        let map = format!("socketmap:unix:{}:{name}", text(&self.site.socket("lookup.sock")));
        let mut command = command(installed("postmap")?, self.ids);
        run(command.arg("-c").arg(self.site.path("postfix")).args(["-q", key, &map]), input.as_bytes())
    }

    fn ask(&self, name: &str, key: &str) -> Result<Found, Failed> {
        judge(&self.run(name, key, "")?)
    }

    fn equals(&self, name: &str, key: &str, want: Option<&str>) -> Outcome {
        let want = want.map_or(Found::Absent, |value| Found::Value(value.to_owned()));
        equal(&format!("{name} {key}"), self.ask(name, key)?, want)
    }

    fn is_error(&self, name: &str, key: &str) -> Outcome {
        let found = self.ask(name, key)?;
        let temporary = matches!(&found, Found::Error(error) if error.contains("temporary error"));
        ensure(temporary, format!("{name} {key}: {found:?}"))
    }
}

fn every_name() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let postmap = Postmap::of(&site, 0)?;
    let home = |rest: &str| text(&site.path("homes").join(rest));
    let (iain, catchall) = (format!("iain:20001:20001:{}", home("iain")), home("bob/Catchall/"));
    let (maildir, usual, owner) = (home("iain/Maildir/"), home("bob/Maildir/"), home("virtual/Maildir/"));
    let cases = [
        ("virtual", "sales@bar.com", Some("iain-work")),
        ("virtual", "SaLes@Bar.COM", Some("iain-work")),
        ("virtual", "iain@bar.com", Some("iain")),
        ("virtual", "anyone@virtual.com", Some("virtual-anyone")),
        ("virtual", "nobody@bar.com", None),
        ("virtual", "iain@mail.test", None),
        ("virtual_mailbox", "sales@bar.com", Some(&maildir)),
        ("virtual_mailbox", "bob@mail.test", Some(&usual)),
        ("virtual_mailbox", "bob-list@mail.test", Some(&catchall)),
        ("virtual_mailbox", "anyone@virtual.com", Some(&owner)),
        ("virtual_mailbox", "iain-away@mail.test", None),
        ("virtual_mailbox", "nobody@bar.com", None),
        ("virtual_alias", "iain-away@mail.test", Some("friend@example.org")),
        ("virtual_alias", "sales@bar.com", None),
        ("virtual_alias", "nobody@bar.com", None),
        ("virtual_uid", "sales@bar.com", Some("20001")),
        ("virtual_uid", "bob-smith-x@mail.test", Some("20003")),
        ("virtual_uid", "nobody@bar.com", None),
        ("virtual_gid", "anyone@virtual.com", Some("20004")),
        ("virtual_gid", "nobody@example.org", None),
        ("mailbox", "iain", Some(&iain)),
        ("mailbox", "IAIN", Some(&iain)),
        ("mailbox", "iain-work", None),
        ("mailbox", "nobody", None),
        ("rcpthosts", "bar.com", Some("bar.com")),
        ("rcpthosts", "deep.sub.wild.test", Some(".wild.test")),
        ("rcpthosts", "wild.test", None),
        ("rcpthosts", "example.org", None),
        ("recipient", "sales@bar.com", Some("possible")),
        ("recipient", "sysuser@mail.test", Some("possible")),
        // Not absent: somebody else may know it.
        ("recipient", "x@example.org", Some("not-ours")),
        ("recipient", "nobody@bar.com", None),
    ];
    cases.into_iter().try_for_each(|(name, key, want)| postmap.equals(name, key, want))
}

fn temporary() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let postmap = Postmap::of(&site, 0)?;
    site.sql(
        "INSERT INTO virtual (username, ext, virtual_username, virtual_host) VALUES ('broken', '', 'odd', 'bar.com')",
    )?;
    // A row that is no user's (rule K3), and a program, which Postfix' maps cannot run.
    for (name, key) in [
        ("mailbox", "broken"),
        ("virtual_uid", "odd@bar.com"),
        ("virtual_mailbox", "odd@bar.com"),
        ("recipient", "odd@bar.com"),
        ("virtual_mailbox", "iain-secret@mail.test"),
    ] {
        postmap.is_error(name, key)?;
    }
    let unknown = postmap.ask("no_such_name", "iain")?;
    ensure(matches!(unknown, Found::Error(_)), format!("{unknown:?}"))
}

fn alias_user() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let postmap = Postmap::of(&site, 0)?;
    // The FAQ's own rows; a list; a system user's name; a Maildir of the alias user's; and what `@HOST` must not find.
    site.sql(&format!(
        "DELETE FROM virtual WHERE virtual_username = 'info';
         INSERT INTO virtual (username, ext, virtual_username, virtual_host) VALUES
           ('info@bar.com', '', 'info', 'bar.com'), ('ql-list', '', 'list', 'bar.com'),
           ('{QMAILD}', '', 'paper', 'bar.com'), ('keep@bar.com', '', 'keep', 'bar.com'),
           ('nobody-here', '', 'away', 'bar.com');
         INSERT INTO alias (username, alias, alias_username, alias_host) VALUES
           ('{ALIAS}', 'info@bar.com', 'real', 'elsewhere.org'), ('{ALIAS}', '@', 'all', 'elsewhere.org'),
           ('{ALIAS}', 'keep@bar.com', '.', '/Maildir/'), ('virtual', '', 'wrong', 'example.org')"
    ))?;
    postmap.equals("virtual_alias", "info@bar.com", Some("real@elsewhere.org"))?;
    postmap.equals("virtual_alias", "list@bar.com", Some("all@elsewhere.org"))?;
    for name in ["virtual_mailbox", "virtual_uid", "virtual_gid"] {
        postmap.equals(name, "info@bar.com", None)?;
    }
    for name in ["virtual_alias", "virtual_mailbox", "virtual_uid"] {
        for key in ["keep@bar.com", "paper@bar.com"] {
            postmap.is_error(name, key)?;
        }
        for key in ["nobody@bar.com", "nobody@example.org", "@virtual.com", "@bar.com", "virtual", "sysuser"] {
            postmap.equals(name, key, None)?;
        }
    }
    // Without rows the alias user's files decide.
    site.sql(&format!("DELETE FROM alias WHERE username = '{ALIAS}'"))?;
    for name in ["virtual_alias", "virtual_mailbox", "virtual_uid", "virtual_gid"] {
        for key in ["info@bar.com", "list@bar.com", "away@bar.com", "postmaster@bar.com", "sysuser@mail.test"] {
            postmap.is_error(name, key)?;
        }
    }
    Ok(())
}

fn virtual_domains() -> Outcome {
    let site = Site::sqlite("")?;
    std::fs::write(
        site.path("q/control/virtualdomains"),
        "# mine\nvirtual.com:=virtual.com=\nbar.com:=bar.com=\nshop@bar.com:shop\nClub@Bar.com:bob\nsales@bar.com:\n",
    )?;
    let _daemon = site.start()?;
    let postmap = Postmap::of(&site, 0)?;
    for (key, want) in [
        ("shop@bar.com", Some("possible")),
        ("Shop@BAR.com", Some("possible")),
        ("club@bar.com", Some("possible")),
        ("sales@bar.com", Some("not-ours")),
        ("iain@bar.com", Some("possible")),
        ("nobody@bar.com", None),
        ("anyone@virtual.com", Some("possible")),
    ] {
        postmap.equals("recipient", key, want)?;
    }
    let catchall = text(&site.path("homes/bob/Catchall/"));
    postmap.equals("virtual_mailbox", "club@bar.com", Some(&catchall))?;
    postmap.equals("virtual_mailbox", "sales@bar.com", None)?;
    postmap.is_error("virtual_mailbox", "shop@bar.com")
}

fn bulk() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let postmap = Postmap::of(&site, 0)?;
    // One in three is found.
    let key = |number: usize| match number % 3 {
        0 => format!("user{number}@virtual.com"),
        1 => format!("user{number}@bar.com"),
        _ => format!("user{number}@example.org"),
    };
    let keys: String = (0..MANY).map(|number| key(number) + "\n").collect();
    let ran = postmap.run("virtual", "-", &keys)?;
    ensure(ran.code == Some(0) && ran.err.is_empty(), format!("{:?} {}", ran.code, ran.err))?;
    let found: HashMap<&str, &str> = ran.out.lines().filter_map(|line| line.split_once('\t')).collect();
    equal("keys found", found.len(), (0..MANY).filter(|number| number % 3 == 0).count())?;
    for number in (0..MANY).step_by(3) {
        let want = format!("virtual-user{number}");
        equal(&key(number), found.get(&key(number)[..]).copied(), Some(&want[..]))?;
    }
    // Not one key is taken for absent once the store is gone.
    site.store(false)?;
    let ran = postmap.run("virtual", "-", &keys)?;
    ensure(ran.code == Some(1) && ran.out.is_empty() && ran.err.contains("temporary error"), format!("{ran:?}"))
}

fn store_away() -> Outcome {
    let site = Site::sqlite(SOON)?;
    let _daemon = site.start()?;
    let postmap = Postmap::of(&site, 0)?;
    site.store(false)?;
    for (name, key) in NAMES {
        postmap.is_error(name, key)?;
    }
    for (name, key) in [("mailbox", "nobody"), ("virtual", "nobody@bar.com"), ("recipient", "nobody@bar.com")] {
        postmap.is_error(name, key)?;
    }
    site.store(true)?;
    postmap.equals("virtual", "sales@bar.com", Some("iain-work"))
}

fn not_allowed() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    let postmap = Postmap::of(&site, STRANGER)?;
    for (name, key) in NAMES {
        postmap.is_error(name, key)?;
    }
    postmap.is_error("mailbox", "nobody")?;
    let (log, uid) = (daemon.log(), STRANGER.to_string());
    ensure(log.lines().any(|line| line.contains("not allowed") && line.contains(&uid)), log)
}

fn one_right() -> Outcome {
    let site = Site::sqlite("[daemon.allow]\nlp = [\"virtual_mailbox\"]\n")?;
    let _daemon = site.start()?;
    let lp = Postmap::of(&site, uid_of("lp")?)?;
    lp.equals("virtual_mailbox", "sales@bar.com", Some(&text(&site.path("homes/iain/Maildir/"))))?;
    lp.equals("virtual_mailbox", "nobody@bar.com", None)?;
    for (name, key) in NAMES.into_iter().filter(|(name, _)| *name != "virtual_mailbox") {
        lp.is_error(name, key)?;
    }
    let qmaild = Postmap::of(&site, uid_of(QMAILD)?)?;
    qmaild.equals("rcpthosts", "bar.com", Some("bar.com"))?;
    qmaild.is_error("virtual_mailbox", "sales@bar.com")
}

fn daemon_away() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    let postmap = Postmap::of(&site, 0)?;
    daemon.kill();
    for key in ["sales@bar.com", "nobody@bar.com"] {
        let found = postmap.ask("virtual", key)?;
        ensure(matches!(found, Found::Error(_)), format!("{key}: {found:?}"))?;
    }
    Ok(())
}
