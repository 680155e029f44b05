//! What is written when, and what qmail-send is told.

use super::ground::{Ground, list, net, on_sqlite};
use super::send::{at, signals, wait_for};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        on_sqlite("order::routes_come_first_and_are_told_twice", "", twice),
        on_sqlite("order::nothing_is_accepted_while_nobody_was_told", "", nobody),
        on_sqlite("order::without_rcpthosts_one_is_made_before_anything_else", "", open_relay),
        on_sqlite("order::no_host_comes_while_the_programs_are_not_ours", "", programs),
        on_sqlite("order::a_users_cdb_for_everybody_is_an_alarm", "", users),
    ]
}

fn twice(ground: &Ground) -> Outcome {
    let send = ground.start_send()?;
    ground.add(&["a.test"])?;
    ground.sync(&[])?.exits(0)?;
    wait_for(|| send.signals() == 2)?;
    for signal in [1, 2] {
        equal("word", at(&ground.home(), signal, "word"), "HUP\n")?;
        ensure(at(&ground.home(), signal, "virtualdomains").contains("a.test:=a.test=\n"), "virtualdomains is first")?;
        ensure(!at(&ground.home(), signal, ".qmail-=a:test=-default").is_empty(), "the safety net is first")?;
    }
    ensure(!at(&ground.home(), 1, "rcpthosts").contains("a.test"), "accepted too early")?;
    equal("accepted", ground.block("rcpthosts"), ["a.test"])?;
    ground.sync(&[])?.exits(0)?;
    ground.add_accepted(b"sub.a.test")?;
    ground.sync(&[])?.exits(1)?;
    equal("nothing to tell", send.signals(), 2)
}

fn nobody(ground: &Ground) -> Outcome {
    ground.add(&["a.test"])?;
    let before = ground.text("rcpthosts");
    let told = ground.sync(&[])?.exits(111)?;
    told.complains(&["no qmail-send works in", "--no-hup"])?;
    equal("routed", ground.block("virtualdomains"), ["a.test"])?;
    equal("not accepted", ground.text("rcpthosts"), before.clone())?;
    ground.sync(&[])?.exits(111)?;
    equal("not accepted", ground.text("rcpthosts"), before.clone())?;
    let send = ground.start_send()?;
    // It runs, and has not been told.
    ground.sync(&["--no-hup"])?.exits(111)?.complains(&["qmail-send runs (process", "without --no-hup"])?;
    equal("not accepted", ground.text("rcpthosts"), before)?;
    let report = ground.json(&[], 0)?;
    equal("added", list(&report, "added", "list"), ["rcpthosts"])?;
    wait_for(|| send.signals() == 2)?;
    ensure(!at(&ground.home(), 1, "rcpthosts").contains("a.test"), "what was owed is paid first")?;
    drop(send);
    ground.add(&["b.test"])?;
    ground.in_step()?;
    equal("qmail is stopped", ground.block("rcpthosts"), ["a.test", "b.test"])?;
    equal("told", signals(&ground.home()), 2)
}

fn open_relay(ground: &Ground) -> Outcome {
    let send = ground.start_send()?;
    ground.add(&["a.test"])?;
    ground.sync(&[])?.exits(0)?;
    ground.add(&["b.test"])?;
    std::fs::remove_file(ground.control("rcpthosts"))?;
    ground.sync(&[])?.exits(1)?;
    wait_for(|| send.signals() == 4)?;
    let then = at(&ground.home(), 3, "rcpthosts");
    ensure(then.starts_with("mail.test\n"), &then)?;
    ensure(then.contains("\na.test\n"), "it was accepted, and is routed")?;
    ensure(!then.contains("b.test"), "it would be relayed")?;
    equal("accepted", ground.block("rcpthosts"), ["a.test", "b.test"])
}

fn programs(ground: &Ground) -> Outcome {
    ground.add(&["a.test", "b.test"])?;
    ground.in_step()?;
    ground.site.script("q/bin/qmail-getpw", "exit 111")?;
    ground.add(&["c.test"])?;
    ground.remove(b"a.test")?;
    let report = ground.json(&["--no-hup"], 1)?;
    equal("held", list(&report, "held", ""), ["c.test"])?;
    let alarms = list(&report, "alarms", "");
    ensure(alarms.len() == 1 && alarms[0].contains("bin/qmail-getpw is not qmail-lookup's"), format!("{alarms:?}"))?;
    ground.age(301)?;
    let report = ground.json(&["--no-hup"], 1)?;
    equal("hosts go all the same", list(&report, "removed", "host"), ["a.test"])?;
    std::fs::copy(ground.home().join("bin/qmail-local"), ground.home().join("bin/qmail-getpw"))?;
    ground.sync(&["--no-hup"])?.exits(0)?;
    equal("routed", ground.block("virtualdomains"), ["a.test", "b.test", "c.test"])?;
    std::fs::remove_file(ground.home().join("bin/qmail-local"))?;
    let dry = ground.sync(&["--dry-run"])?.exits(1)?;
    dry.says("ALARM: ")?.says("bin/qmail-local is not there")?;
    Ok(())
}

fn users(ground: &Ground) -> Outcome {
    ground.add(&["a.test"])?;
    std::fs::create_dir(ground.home().join("users"))?;
    std::fs::write(ground.home().join("users/cdb"), "rubbish")?;
    ground.sync(&["--no-hup"])?.exits(1)?.says("users/cdb")?;
    equal("the look goes on", ground.block("virtualdomains"), ["a.test"])?;
    equal("net", net(ground)?, [".qmail-=a:test=-default"])?;
    std::fs::remove_dir_all(ground.home().join("alias"))?;
    std::fs::remove_file(ground.home().join("users/cdb"))?;
    ground.sync(&["--no-hup"])?.exits(1)?.says("ALARM: the alias user has no home")?;
    Ok(())
}
