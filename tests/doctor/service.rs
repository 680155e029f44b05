//! The daemon and qmail-send.

use super::ground::{Ground, Send};
use super::trial;
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::program;
use std::process::Command;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("service::a_daemon_that_is_not_there_is_the_only_finding", daemon),
        trial("service::a_qmail_that_is_stopped_is_not_known", stopped),
        trial("service::what_qmail_send_was_not_told_is_found", owed),
        trial("service::control_files_that_were_changed_by_hand_may_not_have_been_told", by_hand),
        trial("service::a_daemon_on_another_configuration_is_found", another),
        trial("service::limits_that_are_too_low_are_found", limits),
        trial("service::settings_that_do_not_suit_each_other_are_found", settings),
        trial("service::a_configuration_that_cannot_be_used_is_a_finding_too", broken),
        trial("service::the_text_names_the_command_below_what_is_wrong", text),
    ]
}

fn daemon() -> Outcome {
    let mut ground = Ground::sqlite("")?;
    if let Some(daemon) = ground.daemon.take() {
        daemon.stop();
    }
    let mend = ground.finds("no daemon", &[], "it hangs and then prints out details")?;
    ensure(mend.contains("start qmail-lookupd"), mend)?;
    let said = ground.ask(&[])?;
    let depends = said.unknown.iter().filter(|(_, what, _)| what.contains("above")).count();
    equal("what depends on it", depends, 3)?;
    ground.daemon = Some(ground.site.start()?);
    ground.is_well("started again")
}

fn stopped() -> Outcome {
    let mut ground = Ground::sqlite("")?;
    ground.send = None;
    let said = ground.ask(&[])?;
    ensure(said.code == Some(111) && said.wrong.is_empty() && said.unknown.len() == 1, format!("{said:#?}"))?;
    ground.site.sql("INSERT INTO `virtual` VALUES ('iain', '', 'x', 'new.test')")?;
    let said = ground.ask(&[])?;
    let routed = said.wrong.iter().find(|(question, ..)| question.contains("every host routed"));
    let mend = routed.map(|(_, _, mend)| mend.clone()).unwrap_or_default();
    ensure(mend.ends_with(" sync --no-hup"), format!("{said:#?}"))?;
    ground.run(&mend)?;
    let said = ground.ask(&[])?;
    ensure(said.wrong.is_empty(), format!("{said:#?}"))
}

fn owed() -> Outcome {
    let mut ground = Ground::sqlite("")?;
    let path = ground.site.path("q/qmail-lookup/sync.json");
    let owed = r#"{"version":1,"owed":true,"virtualdomains":{},"rcpthosts":{}}"#;
    std::fs::write(&path, owed)?;
    let command = ground.finds("owed", &[], "qmail-send is running")?;
    ground.run(&command)?;
    ground.is_well("told")?;
    ground.send = None;
    // As after sync --no-hup. The kernel tells the start of a process to a hundredth of a second.
    std::fs::write(&path, owed)?;
    std::thread::sleep(std::time::Duration::from_millis(100));
    ground.send = Some(Send::start(&ground.site, ":")?);
    ground.is_well("started after that")
}

fn by_hand() -> Outcome {
    let ground = Ground::sqlite("")?;
    for (name, line) in [("virtualdomains", "own.test:iain"), ("locals", "more.test")] {
        let path = ground.site.path("q/control").join(name);
        let before = std::fs::read_to_string(&path)?;
        std::fs::write(&path, format!("{line}\n{before}"))?;
        let said = ground.ask(&[])?;
        let [(question, what, mend)] = &said.unknown[..] else { return Err(format!("{name}: {said:#?}").into()) };
        let is_it = question.contains("qmail-send is running") && what.contains(name) && mend.contains("kill -HUP ");
        ensure(said.code == Some(111) && said.wrong.is_empty() && is_it, format!("{name}: {said:#?}"))?;
        ground.run(mend)?;
        ground.is_well(name)?;
    }
    Ok(())
}

fn another() -> Outcome {
    let ground = Ground::sqlite("")?;
    ground.site.reconfigure("[rules]\nhome_missing = \"alias\"")?;
    let mend = ground.finds("another policy", &[], "it hangs and then prints out details")?;
    ensure(mend.starts_with("start qmail-lookupd with this configuration"), mend)?;
    ground.site.reconfigure("")?;
    ground.is_well("the same policy")?;
    let (db, other) = (ground.site.path("db/store.sqlite"), ground.site.path("other.sqlite"));
    std::fs::copy(&db, &other)?;
    let config = std::fs::read_to_string(ground.site.config())?;
    std::fs::write(ground.site.config(), config.replace(&db.display().to_string(), &other.display().to_string()))?;
    ground.is_well("the same rows")?;
    let change = "UPDATE mailbox SET home = home || '/.' WHERE username = 'bob'";
    ground.site.sql(change)?;
    ground.finds("other rows", &[], "it hangs and then prints out details").map(drop)
}

fn limits() -> Outcome {
    let mut ground = Ground::sqlite("")?;
    ground.send = None;
    std::fs::remove_file(ground.site.path("q/ready"))?;
    ground.send = Some(Send::start(&ground.site, "ulimit -S -d 3000")?);
    let mend = ground.finds("a limit", &[], "out of memory, sleeping")?;
    ensure(mend.contains("softlimit -m"), mend)
}

fn settings() -> Outcome {
    let ground = Ground::sqlite("")?;
    std::fs::write(ground.site.path("q/control/concurrencylocal"), "400\n")?;
    let mend = ground.finds("concurrencylocal", &[], "concurrencylocal")?;
    ensure(mend.starts_with("set daemon.connections_per_uid = 400"), mend)?;
    ground.site.reconfigure("[daemon]\nconnections_per_uid = 400")?;
    ground.is_well("400 connections")
}

fn broken() -> Outcome {
    let ground = Ground::sqlite("")?;
    let good = std::fs::read_to_string(ground.site.config())?;
    std::fs::write(ground.site.config(), good.replacen("alias_user", "alias_usr", 1))?;
    ground.finds("a misspelt key", &[], "The control/sqlserver file doesn't work")?;
    let legacy = ground.site.path("q/control/sqlserver");
    std::fs::write(&legacy, "server\tdb2\nwhat is this\n")?;
    let done =
        Command::new(program("qmail-lookup")?).arg("--sqlserver").arg(&legacy).args(["--json", "doctor"]).output()?;
    let said = super::ground::Said::read(done.status.code(), &done.stdout, &done.stderr)?;
    ensure(said.code == Some(1) && said.wrong.len() == 1, format!("{said:#?}"))
}

fn text() -> Outcome {
    let ground = Ground::sqlite("")?;
    std::fs::remove_file(ground.site.path("q/control/rcpthosts"))?;
    let done = ground.doctor()?.output()?;
    let (code, out) = (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned());
    let lines: Vec<_> = out.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("WRONG  ")).ok_or_else(|| out.clone())?;
    let next = lines.get(at + 1).copied().unwrap_or_default();
    ensure(code == Some(1) && next.starts_with("       do: qmail-lookup --config "), out.clone())?;
    let rest = lines.iter().enumerate().filter(|(n, _)| *n != at && *n != at + 1).map(|(_, line)| line);
    ensure(rest.clone().count() > 15 && rest.clone().all(|line| line.starts_with("ok     ")), out.clone())
}
