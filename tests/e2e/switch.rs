//! A site of the old patch changes over to us, and goes back: step by step, as the documentation says.

use super::ground::{Ground, ended, message, sender, to, unknown, word};
use super::tool::{exits, install, tool, tool_with};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::qmail::Qmail;
use qmail_lookup_tests::server::mariadb::{PASSWORD, USER};
use qmail_lookup_tests::site::{BOB, IAIN, Site, VIRTUAL};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::SystemTime;

pub(super) fn trials() -> Vec<Trial> {
    let name = "e2e::mariadb::switch::from_the_old_patch_and_back_leaves_everything_as_it_was";
    vec![qmail_lookup_tests::site::trial(name, switch)]
}

/// The administrator's own lines, the last without its end.
const VIRTUALDOMAINS: &str = "# by hand\nown.test:alias-own\nold.test:";
const RCPTHOSTS: &str = "mail.test\nown.test";

/// Files by name below a folder: content, owner, group, mode, last change.
type Snapshot = BTreeMap<String, (Vec<u8>, u32, u32, u32, SystemTime)>;

fn snapshot(base: &Path, folders: &[&str]) -> Result<Snapshot, Failed> {
    let mut all = Snapshot::new();
    for folder in folders {
        for entry in std::fs::read_dir(base.join(folder))? {
            let (name, path) = entry.map(|entry| (entry.file_name(), entry.path()))?;
            let found = std::fs::symlink_metadata(&path)?;
            let content = if found.is_file() { std::fs::read(&path)? } else { Vec::new() };
            let about = (content, found.uid(), found.gid(), found.mode(), found.modified()?);
            all.insert(format!("{folder}/{}", name.to_string_lossy()), about);
        }
    }
    Ok(all)
}

/// Fails unless both hold the same files; control files that were written anew may be of another time.
fn same(before: &Snapshot, after: &Snapshot) -> Outcome {
    equal("files", after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>())?;
    for (name, old) in before {
        let new = after.get(name).ok_or("no file")?;
        let texts = (String::from_utf8_lossy(&old.0), String::from_utf8_lossy(&new.0));
        let shown = if old.0.len() < 1000 { format!("{texts:?}") } else { format!("{} bytes", new.0.len()) };
        ensure(old.0 == new.0, format!("{name} has changed: {shown}"))?;
        equal(&format!("owner and mode of {name}"), (new.1, new.2, new.3), (old.1, old.2, old.3))?;
        ensure(!name.starts_with("bin/") || old.4 == new.4, format!("{name} is of another time"))?;
    }
    Ok(())
}

/// Rows in order, homes as they should be, no trace of us.
fn old_site() -> Result<(Site, Qmail), Failed> {
    let site = Site::mariadb("")?;
    site.sql(
        "DELETE FROM mailbox WHERE username = 'broken'; DELETE FROM rcpthosts WHERE host = '.wild.test';
         DELETE FROM `virtual` WHERE username = 'nobody-here'; DELETE FROM alias WHERE alias = 'secret'",
    )?;
    for (home, id) in [("iain/Maildir", IAIN), ("bob/Catchall", BOB), ("virtual/Maildir", VIRTUAL)] {
        for part in ["", "/tmp", "/new", "/cur"] {
            let folder = site.path("homes").join(format!("{home}{part}"));
            std::fs::create_dir(&folder)?;
            chown(&folder, Some(id), Some(id))?;
        }
    }
    let qmail = Qmail::stock(&site)?;
    let control = |name: &str| qmail.path("control").join(name);
    std::fs::write(control("virtualdomains"), VIRTUALDOMAINS)?;
    std::fs::write(control("rcpthosts"), RCPTHOSTS)?;
    let socket = site.mariadb.as_ref().ok_or("no server")?.socket().display().to_string();
    let sqlserver = format!("socket {socket}\nlogin {USER}\npassword {PASSWORD}\ndb qmail\n");
    std::fs::write(control("sqlserver"), sqlserver)?;
    std::fs::set_permissions(control("sqlserver"), std::fs::Permissions::from_mode(0o600))?;
    Ok((site, qmail))
}

fn switch() -> Outcome {
    let (site, qmail) = old_site()?;
    // The patched programs: they know control/sqlserver.
    for name in ["qmail-getpw", "qmail-local"] {
        let mut program = std::fs::OpenOptions::new().append(true).open(qmail.path("bin").join(name))?;
        program.write_all(b"\0control/sqlserver\0")?;
    }
    let file = qmail.path("control/sqlserver").display().to_string();
    let sqlserver = ["--sqlserver", file.as_str()];
    exits("check", &tool_with(&sqlserver, &["check"])?, 0)?;
    let home = qmail.home().display().to_string();
    let linted = tool_with(&sqlserver, &["lint", "--qmail", &home, "--quiet"])?;
    ensure(matches!(linted.code, Some(0 | 1)), format!("lint: {linted:#?}"))?;

    // A patched qmail is refused, and stays as it is.
    let patched = snapshot(qmail.home(), &["bin", "control", "alias"])?;
    let refused = install(&site)?;
    ensure(!matches!(refused.code, Some(0)), format!("{refused:#?}"))?;
    ensure(refused.out.contains("qmail-getpw") || refused.err.contains("qmail-getpw"), format!("{refused:#?}"))?;
    same(&patched, &snapshot(qmail.home(), &["bin", "control", "alias"])?)?;

    // The stock programs are put back, while qmail is stopped.
    qmail.put_stock()?;
    let stock = snapshot(qmail.home(), &["bin", "control", "alias"])?;
    let daemon = site.start()?;
    exits("install", &install(&site)?, 0)?;
    exits("sync", &tool(&site, &["sync", "--no-hup"])?, 0)?;
    routed(&site)?;
    let ground = Ground { qmail, daemon: Some(daemon), site, store: super::ground::Store::MARIADB };
    ground.qmail.start()?;
    flows(&ground)?;

    // The programs stay while a qmail-send runs that would bounce mail of mailboxes with qmail's own.
    exits("uninstall while qmail runs", &tool(&ground.site, &["uninstall"])?, 111)?;
    mailboxes(&ground)?;
    ground.qmail.stop();
    exits("uninstall", &tool(&ground.site, &["uninstall", "--no-hup"])?, 0)?;
    same(&stock, &snapshot(ground.qmail.home(), &["bin", "control", "alias"])?)?;
    ensure(!ground.qmail.path("qmail-lookup").exists(), "there are notes of ours left")
}

/// `doctor` says that every host is routed.
fn routed(site: &Site) -> Outcome {
    let ran = tool(site, &["doctor", "--json"])?;
    let said: serde_json::Value = serde_json::from_str(&ran.out)?;
    let text = format!("{said:#}");
    let checks = said.as_array().or_else(|| said.as_object()?.values().find_map(|value| value.as_array()));
    let asked =
        |check: &&serde_json::Value| check["question"].as_str().is_some_and(|q| q.contains("best-preference MX"));
    let answers: Vec<_> = checks.ok_or("no list")?.iter().filter(asked).collect();
    let is_well = !answers.is_empty() && answers.iter().all(|check| check["result"] == "ok");
    ensure(is_well, format!("doctor does not say that every host is routed: {text}"))
}

/// Mail of mailboxes is delivered, and of virtual hosts no more.
fn mailboxes(ground: &Ground) -> Outcome {
    let word = word();
    let accepted = ground.qmail.smtp(&sender(&word), &["iain-work@mail.test", "sales@bar.com"], &message(&word))?;
    equal("accepted", accepted, vec![true, false])?;
    ground.qmail.settle()?;
    ended("mail", &ground.qmail.ends(&word)?, &to(&["iain/Maildir/new"]))
}

fn flows(ground: &Ground) -> Outcome {
    let word = word();
    let recipients = ["sales@bar.com", "Any.one@virtual.com", "nobody@bar.com", "iain-work@mail.test", "x@example.org"];
    let accepted = ground.qmail.smtp(&sender(&word), &recipients, &message(&word))?;
    equal("accepted", accepted, vec![true, true, true, true, false])?;
    ground.qmail.settle()?;
    let mut right = to(&["iain/Maildir/new", "iain/Maildir/new", "virtual/Maildir/new"]);
    right.bounced = unknown(&[("nobody@bar.com", "(#5.1.1)")]).bounced;
    ended("mail", &ground.qmail.ends(&word)?, &right)
}
