//! Real stores behind a real daemon: what is compared, what is said about it, and what mail notices of it: nothing.

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use qmail_lookup_core::rules::Deliver;
use qmail_lookup_core::wire;
use qmail_lookup_core::wire::auth::Question;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::server::{mariadb, slapd};
use qmail_lookup_tests::site::{DAEMON, Daemon, SECRET, Site, connect, program};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("a_file_that_cannot_be_used_is_said_and_mail_goes_on", unusable),
        trial("a_hangup_turns_it_on_and_off", hangup),
    ];
    if mariadb::missing().is_none() {
        trials.extend([
            trial("the_same_rows_in_mariadb_are_the_same", || same(Site::mariadb(""))),
            trial("what_differs_is_named_and_never_told", differs),
            trial("what_differs_only_during_an_edit_has_settled", settled),
            trial("a_second_store_without_a_row_does_not_double_what_our_own_is_asked", half_filled),
            trial("mail_does_not_notice_a_second_store_that_hangs_or_is_down", trouble),
            trial("roles_in_several_stores_and_a_cache_are_no_difference", roles),
        ]);
    }
    if slapd::missing().is_none() {
        trials.push(trial("the_same_rows_in_ldap_are_the_same", || same(Site::ldap(""))));
    }
    trials
}

fn trial(name: &str, run: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    qmail_lookup_tests::site::trial(&format!("shadow::questions::{name}"), run)
}

const METRICS: &str = "[daemon]\nmetrics = \"unix:{RUN}/metrics.sock\"";

/// A site in SQLite whose daemon asks the store of `second` besides; the homes are those of `second`.
fn beside(second: &Site, more: &str) -> Result<Site, Failed> {
    let site = Site::sqlite(&shadowed(&second.config(), more))?;
    let (own, theirs) = (site.path("homes"), second.path("homes"));
    site.sql(&format!("UPDATE mailbox SET home = REPLACE(home, '{}', '{}')", own.display(), theirs.display()))?;
    Ok(site)
}

fn shadowed(file: &Path, more: &str) -> String {
    format!("{METRICS}\n[shadow]\nconfig = \"{}\"\n{more}", file.display())
}

fn scrape(site: &Site) -> Result<String, Failed> {
    let mut stream = connect(&site.socket("metrics.sock"))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// How many questions had this verdict.
fn count(site: &Site, question: &str, verdict: &str) -> Result<u64, Failed> {
    let series = format!("qmail_lookupd_shadow_answers_total{{question=\"{question}\",verdict=\"{verdict}\"}} ");
    Ok(scrape(site)?.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0))
}

/// Waits until at least so many had it.
fn counted(site: &Site, question: &str, verdict: &str, number: u64) -> Outcome {
    let until = Instant::now() + Duration::from_secs(20);
    while count(site, question, verdict)? < number {
        ensure(Instant::now() < until, format!("not {number} of {question} are {verdict}: {}", scrape(site)?))?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn logged(daemon: &Daemon, text: &str) -> Outcome {
    let until = Instant::now() + Duration::from_secs(10);
    while !daemon.log().contains(text) {
        ensure(Instant::now() < until, format!("{text} is not in the log: {}", daemon.log()))?;
    }
    Ok(())
}

/// Asks in the way of the question, and answers as text.
fn ask(daemon: &Daemon, question: &str, key: &str) -> Result<String, Failed> {
    let login = key.as_bytes();
    let bytes = match question {
        "userdb" => return Ok(format!("{:?}", daemon.auth(Question::Userdb { login })?)),
        "auth1" => return Ok(format!("{:?}", daemon.login(key, SECRET)?)),
        "deliver" => daemon.lookup(question, &delivery(key))?,
        _ => daemon.lookup(question, key.as_bytes())?,
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What qmail-local asks about mail to `USER-EXT`.
fn delivery(local: &str) -> Vec<u8> {
    let (user, ext) = local.split_once('-').unwrap_or((local, ""));
    let dash = if ext.is_empty() { "" } else { "-" };
    wire::deliver::encode_question(&Deliver {
        user: user.into(),
        local: local.into(),
        dash: dash.into(),
        ext: ext.into(),
        domain: b"mail.test".to_vec(),
        system_home: None,
        is_local: false,
    })
}

/// Questions of every kind, found and absent.
const EVERYTHING: [(&str, &str); 25] = [
    ("getpw", "iain"),
    ("getpw", "iain-work"),
    ("getpw", "=bar.com=-sales"),
    ("getpw", "=bar.com=-info"),
    ("getpw", "=bar.com=-unknown"),
    ("getpw", "nobody"),
    ("deliver", "iain"),
    ("deliver", "iain-work"),
    ("deliver", "iain-secret"),
    ("deliver", "bob-anything"),
    ("rcpthosts", "bar.com"),
    ("rcpthosts", "x.wild.test"),
    ("rcpthosts", "nowhere.test"),
    ("recipient", "iain@bar.com"),
    ("recipient", "unknown@bar.com"),
    ("virtual", "sales@bar.com"),
    ("virtual", "unknown@bar.com"),
    ("mailbox", "bob-smith"),
    ("mailbox", "unknown"),
    ("virtual_mailbox", "x@virtual.com"),
    ("virtual_alias", "iain-away@mail.test"),
    ("virtual_uid", "x@virtual.com"),
    ("virtual_gid", "x@virtual.com"),
    ("userdb", "suspended"),
    ("auth1", "bob"),
];

fn same(second: Result<Site, Failed>) -> Outcome {
    let second = second?;
    let site = beside(&second, "")?;
    let daemon = site.start()?;
    all_the_same(&site, &daemon, &EVERYTHING)?;
    // A refused login says nothing about the store.
    drop(daemon.login("bob", "wrong")?);
    counted(&site, "auth1", "skipped", 1)?;
    equal("what was logged of it", daemon.log().matches("the second store").count(), 0)
}

fn all_the_same(site: &Site, daemon: &Daemon, questions: &[(&str, &str)]) -> Outcome {
    let mut asked = BTreeMap::new();
    for (question, key) in questions {
        let before = *asked.entry(*question).or_insert(count(site, question, "same")?);
        let got = ask(daemon, question, key)?;
        ensure(!got.starts_with("TEMP") && !got.contains("Temporary"), format!("{question} {key}: {got}"))?;
        counted(site, question, "same", before + 1).map_err(|why| format!("{question} {key}: {why:?}"))?;
        asked.insert(question, before + 1);
    }
    let text = scrape(site)?;
    let bad = ["differs", "only_primary", "only_shadow", "not_asked", "dropped", "skipped", "settled", "unsettled"];
    let bad: Vec<_> = bad.iter().filter(|verdict| text.contains(&format!("verdict=\"{verdict}\""))).collect();
    ensure(bad.is_empty(), format!("also {bad:?}: {text}"))
}

/// What the second store says otherwise, as the log names it: question, key, verdict, fields.
const DIFFERENT: [(&str, &str, &str, &str); 18] = [
    ("mailbox", "bob", "differs", "uid gid home"),
    ("getpw", "bob-x", "differs", "uid gid home"),
    ("userdb", "bob", "differs", "uid gid home"),
    ("auth1", "bob", "differs", "uid gid home"),
    ("auth1", "bob-smith", "differs", "standing"),
    ("getpw", "=bar.com=-sales", "differs", "ext"),
    ("virtual", "sales@bar.com", "differs", "owner"),
    ("deliver", "iain-work", "differs", "instructions"),
    ("rcpthosts", "x.wild.test", "differs", "host"),
    ("rcpthosts", "more.test", "only_shadow", ""),
    ("recipient", "anybody@only.test", "differs", "recipient"),
    ("recipient", "listed@only.test", "only_shadow", ""),
    ("virtual", "iain@bar.com", "only_primary", ""),
    ("mailbox", "newbie", "only_shadow", ""),
    ("virtual_mailbox", "x@virtual.com", "differs", "path"),
    ("virtual_uid", "x@virtual.com", "differs", "uid"),
    ("virtual_gid", "x@virtual.com", "differs", "gid"),
    ("virtual_alias", "iain-away@mail.test", "differs", "addresses"),
];

fn differs() -> Outcome {
    let second = Site::mariadb("")?;
    let site = beside(&second, "")?;
    second.sql(
        "UPDATE mailbox SET uid = '20102', gid = '20103', home = '/srv/hidden' WHERE username IN ('bob', 'virtual'); \
         UPDATE mailbox SET suspended = 'Y' WHERE username = 'bob-smith'; \
         INSERT INTO mailbox (username, uid, gid, home, password, password_type, suspended) \
           VALUES ('newbie', '20104', '20104', '/srv/newbie', 'x', 'Password', 'N'); \
         UPDATE alias SET alias_host = '/Elsewhere/' WHERE alias = 'work'; \
         UPDATE alias SET alias_username = 'stranger' WHERE alias = 'away'; \
         UPDATE virtual SET ext = 'away' WHERE virtual_username = 'sales'; \
         DELETE FROM virtual WHERE virtual_username = 'iain'; \
         INSERT INTO virtual (username, ext, virtual_username, virtual_host) VALUES ('iain', '', 'listed', 'only.test'); \
         INSERT INTO rcpthosts (host) VALUES ('x.wild.test'), ('more.test')",
    )?;
    let daemon = site.start()?;
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    // As few at a time as are settled in a second.
    for some in DIFFERENT.chunks(2) {
        for (question, key, verdict, _) in some {
            ask(&daemon, question, key)?;
            // Once more: it is said once.
            ask(&daemon, question, key)?;
            *counts.entry((question, verdict)).or_default() += 2;
        }
        for ((question, verdict), number) in &counts {
            counted(&site, question, verdict, *number)?;
        }
    }
    for ((question, verdict), number) in counts {
        equal(&format!("{question} {verdict}"), count(&site, question, verdict)?, number)?;
    }
    // Whom our own store does not know may be a password in the wrong place.
    ask(&daemon, "userdb", "newbie")?;
    counted(&site, "userdb", "only_shadow", 1)?;
    let typed = |line: &&str| line.contains("question=\"userdb\" verdict=\"only_shadow\"");
    logged(&daemon, "question=\"userdb\" verdict=\"only_shadow\"")?;
    let lines = daemon.log();
    let typed = lines.lines().filter(typed).any(|line| line.contains("newbie"));
    ensure(!typed, format!("what was typed is in the log: {lines}"))?;
    let log = daemon.log();
    for (question, key, verdict, fields) in DIFFERENT {
        let key = if question == "deliver" { format!("{key}@mail.test") } else { key.to_owned() };
        let said = |line: &&str| {
            let ends = format!("question=\"{question}\" key={key} verdict=\"{verdict}\" fields={fields} suppressed=");
            line.contains(&ends)
        };
        equal(&format!("{question} {key} {verdict} {fields} in {log}"), log.lines().filter(said).count(), 1)?;
    }
    let secrets = ["20102", "20103", "20002", "hidden", "Elsewhere", "stranger", "friend", "Maildir", SECRET];
    for secret in secrets {
        let told = log.lines().find(|line| line.contains("second store") && line.contains(secret));
        ensure(told.is_none(), format!("{secret} is in the log: {told:?}"))?;
    }
    Ok(())
}

fn settled() -> Outcome {
    let second = Site::mariadb("")?;
    let site = beside(&second, "")?;
    let daemon = site.start()?;
    site.sql("UPDATE mailbox SET gid = '20777' WHERE username = 'bob'")?;
    ask(&daemon, "mailbox", "bob")?;
    std::thread::sleep(Duration::from_millis(200));
    second.sql("UPDATE mailbox SET gid = '20777' WHERE username = 'bob'")?;
    counted(&site, "mailbox", "settled", 1)?;
    equal("what was logged of it", daemon.log().matches("the second store").count(), 0)
}

fn half_filled() -> Outcome {
    let second = Site::mariadb("")?;
    let site = beside(&second, "")?;
    second.sql("DELETE FROM mailbox WHERE username = 'bob'")?;
    let daemon = site.start()?;
    let statements = || -> Result<u64, Failed> {
        let text = scrape(&site)?;
        let asked = text.lines().find_map(|line| line.strip_prefix("qmail_lookupd_store_questions ")?.parse().ok());
        Ok(asked.ok_or("no such series")?)
    };
    let before = statements()?;
    for _ in 0..200 {
        ask(&daemon, "mailbox", "bob")?;
    }
    let each = (statements()? - before) / 200;
    let until = Instant::now() + Duration::from_secs(20);
    let both = || -> Result<[u64; 2], Failed> {
        Ok([count(&site, "mailbox", "only_primary")?, count(&site, "mailbox", "unsettled")?])
    };
    while both()?.iter().sum::<u64>() < 200 {
        ensure(Instant::now() < until, format!("not all are counted: {}", scrape(&site)?))?;
        std::thread::sleep(Duration::from_millis(50));
    }
    let [again, unsettled] = both()?;
    ensure(again >= 5 && unsettled >= 100, format!("{again} were asked again, {unsettled} were not"))?;
    equal("what our own store was asked", statements()? - before, (200 + again) * each)
}

fn trouble() -> Outcome {
    let second = Site::mariadb("[store]\ndeadline = \"1s\"")?;
    let site = beside(&second, "parallel = 2\nqueue = 3")?;
    let daemon = site.start()?;
    let server = second.mariadb.as_ref().ok_or("no server")?;
    let round = |daemon: &Daemon| -> Result<Vec<String>, Failed> {
        EVERYTHING.iter().filter(|(question, _)| *question != "auth1").map(|(q, key)| ask(daemon, q, key)).collect()
    };
    let right = round(&daemon)?;
    server.freeze();
    let begun = Instant::now();
    for _ in 0..10 {
        equal("answers while it hangs", round(&daemon)?, right.clone())?;
    }
    // 240 questions; each would take a second if it waited for the second store.
    ensure(begun.elapsed() < Duration::from_secs(60), format!("{:?} for 240 questions", begun.elapsed()))?;
    counted(&site, "getpw", "dropped", 1)?;
    let waiting =
        |text: &str| text.lines().find_map(|line| line.strip_prefix("qmail_lookupd_shadow_waiting ")?.parse().ok());
    let waits: u64 = waiting(&scrape(&site)?).ok_or("no gauge")?;
    ensure(waits <= 5, format!("{waits} wait where 5 may"))?;
    for _ in 0..3 {
        ask(&daemon, "mailbox", "bob")?;
        std::thread::sleep(Duration::from_millis(1500));
    }
    counted(&site, "mailbox", "not_asked", 1)?;
    server.thaw();
    again(&site, &daemon)?;
    server.kill();
    equal("answers while it is down", round(&daemon)?, right.clone())?;
    let before = count(&site, "mailbox", "not_asked")?;
    let until = Instant::now() + Duration::from_secs(20);
    while count(&site, "mailbox", "not_asked")? == before {
        ensure(Instant::now() < until, "nobody notices that it is down")?;
        ask(&daemon, "mailbox", "bob")?;
        std::thread::sleep(Duration::from_millis(50));
    }
    logged(&daemon, "no answer of the second store")?;
    server.run()?;
    again(&site, &daemon)?;
    // It does not wait for what hangs.
    server.freeze();
    ask(&daemon, "mailbox", "bob")?;
    let begun = Instant::now();
    daemon.stop();
    server.thaw();
    ensure(begun.elapsed() < Duration::from_millis(900), format!("{:?} to its end", begun.elapsed()))
}

/// Waits until the second store is compared again.
fn again(site: &Site, daemon: &Daemon) -> Outcome {
    let before = count(site, "mailbox", "same")?;
    let until = Instant::now() + Duration::from_secs(20);
    while count(site, "mailbox", "same")? == before {
        ensure(Instant::now() < until, "it is not asked again")?;
        ask(daemon, "mailbox", "bob")?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn roles() -> Outcome {
    let (mailboxes, rest) = (Site::mariadb("")?, Site::sqlite("")?);
    let store = |site: &Site| std::fs::read_to_string(site.path("store.toml"));
    let file = mailboxes.path("two.toml");
    let aliases = store(&rest)?;
    std::fs::write(
        &file,
        format!("[store]\n{}\n[store.alias]\n{aliases}\n[store.virtual]\n{aliases}\n", store(&mailboxes)?),
    )?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    chown(&file, Some(DAEMON), Some(DAEMON))?;
    let site = Site::sqlite(&format!("{}\n[cache]\nttl = \"1h\"", shadowed(&file, "")))?;
    let (own, theirs) = (site.path("homes"), mailboxes.path("homes"));
    site.sql(&format!("UPDATE mailbox SET home = REPLACE(home, '{}', '{}')", own.display(), theirs.display()))?;
    let daemon = site.start()?;
    all_the_same(&site, &daemon, &EVERYTHING)?;
    all_the_same(&site, &daemon, &EVERYTHING)?;
    // What went out counts, also if it was kept.
    site.sql("UPDATE mailbox SET gid = '20777' WHERE username = 'bob-smith'")?;
    mailboxes.sql("UPDATE mailbox SET gid = '20777' WHERE username = 'bob-smith'")?;
    ask(&daemon, "mailbox", "bob-smith")?;
    counted(&site, "mailbox", "differs", 1)
}

fn unusable() -> Outcome {
    let site = Site::sqlite(&shadowed(Path::new("/nowhere/second.toml"), ""))?;
    let daemon = site.start()?;
    ensure(scrape(&site)?.contains("\nqmail_lookupd_shadow_unusable 1\n"), "not in the metrics")?;
    logged(&daemon, "no second store is asked; mail does not need it: /nowhere/second.toml")?;
    ensure(ask(&daemon, "mailbox", "bob")?.starts_with("OK bob:"), "no answer")?;
    ensure(!scrape(&site)?.contains("qmail_lookupd_shadow_answers_total{"), "it is counted")?;
    drop(daemon);
    // A file that has no store of its own.
    let file = site.path("without.toml");
    std::fs::write(&file, "[cache]\nttl = \"1h\"\n")?;
    site.reconfigure(&shadowed(&file, ""))?;
    ensure(check(&site)?.contains("no second store is asked: "), check(&site)?)?;
    // And one with our own.
    site.reconfigure(&shadowed(&site.path("same.toml"), ""))?;
    std::fs::copy(site.config(), site.path("same.toml"))?;
    let own = check(&site)?;
    ensure(own.contains("the daemon's own store, too, of mailbox, alias, virtual"), own.clone())?;
    ensure(own.contains("second store, mailbox, alias, virtual: sqlite "), own.clone())?;
    chown(site.path("same.toml"), Some(DAEMON), Some(DAEMON))?;
    let daemon = site.start()?;
    logged(&daemon, "the daemon's own store, too, of mailbox, alias, virtual")?;
    logged(&daemon, "second store, mailbox, alias, virtual: sqlite ")
}

/// What `--check` says.
fn check(site: &Site) -> Result<String, Failed> {
    let output = Command::new(program("qmail-lookupd")?).arg("--check").arg("--config").arg(site.config()).output()?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn hangup() -> Outcome {
    let second = Site::sqlite("")?;
    let site = beside(&second, "")?;
    let turn = |daemon: &Daemon, more: &str, reloads: u64| -> Outcome {
        site.reconfigure(more)?;
        daemon.signal(Signal::SIGHUP);
        let until = Instant::now() + Duration::from_secs(10);
        while !scrape(&site)?.contains(&format!("\nqmail_lookupd_reloads_total{{why=\"ok\"}} {reloads}\n")) {
            ensure(Instant::now() < until, format!("not read again: {}", daemon.log()))?;
            std::thread::sleep(Duration::from_millis(20));
        }
        ensure(ask(daemon, "mailbox", "bob")?.starts_with("OK bob:"), "no answer")
    };
    site.reconfigure(METRICS)?;
    let daemon = site.start()?;
    ask(&daemon, "mailbox", "bob")?;
    ensure(!scrape(&site)?.contains("qmail_lookupd_shadow_answers_total{"), "it is on before it is set")?;
    turn(&daemon, &shadowed(&second.config(), ""), 1)?;
    counted(&site, "mailbox", "same", 1)?;
    turn(&daemon, &shadowed(Path::new("/nowhere/second.toml"), ""), 2)?;
    ensure(scrape(&site)?.contains("\nqmail_lookupd_shadow_unusable 1\n"), "not in the metrics")?;
    logged(&daemon, "no second store is asked")?;
    turn(&daemon, METRICS, 3)?;
    ensure(scrape(&site)?.contains("\nqmail_lookupd_shadow_unusable 0\n"), "not in the metrics")?;
    turn(&daemon, &shadowed(&second.config(), ""), 4)?;
    counted(&site, "mailbox", "same", 2)?;
    let threads = std::fs::read_dir(format!("/proc/{}/task", daemon.pid()))?;
    let names = threads.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    equal("threads for it", names.filter(|name| name.trim() == "shadow").count(), 1)
}
