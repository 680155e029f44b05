//! What is written when, and what qmail-send is told.

use super::ground::{Ground, list, net, on_sqlite};
use super::send::{at, signals, wait_for};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::os::unix::fs::PermissionsExt;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        on_sqlite("order::routes_come_first_and_are_told_twice", "", twice),
        on_sqlite("order::qmail_send_is_told_before_any_host_is_accepted", "", gains),
        on_sqlite("order::who_has_forgotten_everything_tells_first", "", forgotten),
        on_sqlite("order::without_hup_it_is_not_believed_that_qmail_was_stopped", "", stopped),
        on_sqlite("order::nothing_is_accepted_while_qmail_send_cannot_read_its_files", "", unreadable),
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

/// Whoever says where mail for a host goes.
fn gains(ground: &Ground) -> Outcome {
    let send = ground.start_send()?;
    ground.add_virtual(b"v.test")?;
    ground.add_accepted(b"y.test")?;
    ground.sync(&[])?.exits(1)?;
    wait_for(|| send.signals() == 2)?;
    let told = |n: usize, host: &str| {
        ground.sync(&[])?;
        wait_for(|| send.signals() >= n + 2)?;
        equal(host, send.signals(), n + 2)?;
        // When the stand-in has copied all for the second one, sync may have gone on.
        ensure(!at(&ground.home(), n + 1, "rcpthosts").contains(host), format!("{host} is accepted too early"))?;
        let cdb = std::fs::read(ground.home().join(format!("signals/{}/morercpthosts.cdb", n + 1))).unwrap_or_default();
        let is_there = cdb.windows(host.len()).any(|part| part == host.as_bytes());
        ensure(!is_there, format!("{host} is accepted too early"))?;
        Ok::<_, libtest_mimic::Failed>(())
    };
    std::fs::write(ground.control("locals"), "mail.test\ny.test\n")?;
    told(2, "y.test")?;
    ground.add_accepted(b"z.test")?;
    std::fs::write(ground.control("virtualdomains"), format!("z.test:bob\n{}", ground.text("virtualdomains")))?;
    told(4, "z.test")?;
    equal("accepted", ground.block("rcpthosts"), ["y.test", "z.test"])?;
    // A backup is put back.
    std::fs::write(ground.control("rcpthosts"), super::ground::RCPTHOSTS)?;
    told(6, "z.test")?;
    std::fs::write(ground.control("morercpthosts"), "own.test\n")?;
    told(8, "own.test")?;
    ensure(ground.control("morercpthosts.cdb").exists(), "the administrator's own line")?;
    std::fs::write(ground.control("morercpthosts"), "own.test\nmine.test\n")?;
    told(10, "mine.test")?;
    ground.sync(&[])?.exits(0)?;
    equal("nothing to tell", send.signals(), 12)
}

fn forgotten(ground: &Ground) -> Outcome {
    ground.add(&["a.test"])?;
    ground.sync(&[])?.exits(111)?;
    std::fs::remove_file(ground.home().join("qmail-lookup/sync.json"))?;
    ground.sync(&[])?.exits(111)?;
    std::fs::remove_file(ground.home().join("qmail-lookup/sync.json"))?;
    let send = ground.start_send()?;
    ground.sync(&[])?.exits(0)?;
    wait_for(|| send.signals() == 2)?;
    ensure(!at(&ground.home(), 1, "rcpthosts").contains("a.test"), "accepted too early")?;
    // Nothing changes, and nobody knows what was told.
    std::fs::remove_file(ground.home().join("qmail-lookup/sync.json"))?;
    ground.sync(&[])?.exits(0)?;
    wait_for(|| send.signals() == 4)
}

fn stopped(ground: &Ground) -> Outcome {
    ground.add(&["a.test"])?;
    ground.in_step()?;
    // It was started while sync believed that it was not.
    let send = ground.start_send()?;
    ground.sync(&[])?.exits(0)?;
    wait_for(|| send.signals() == 2)?;
    ground.sync(&["--no-hup"])?.exits(0)?;
    drop(send);
    // It has read its files, and not gone to its queue yet.
    ground.add(&["b.test"])?;
    let starting = ground.start_send_in(".")?;
    ground.sync(&["--no-hup"])?.exits(111)?.complains(&["qmail-send runs (process"])?;
    equal("accepted", ground.block("rcpthosts"), ["a.test"])?;
    drop(starting);
    let run = ground.sync(&["--no-hup", "--qmail-send", "command:true"])?.exits(0)?;
    run.says("note: qmail-send is told by `true`, so that it is not known whether it runs")?;
    equal("accepted", ground.block("rcpthosts"), ["a.test", "b.test"])
}

/// qmail-send has a user of its own.
fn unreadable(ground: &Ground) -> Outcome {
    let passwd = ground.site.path("passwd");
    let users = std::fs::read_to_string("/etc/passwd")?;
    std::fs::write(&passwd, format!("{users}qmails:x:20960:20961::/:/bin/false\n"))?;
    let mount = format!("mount --bind {} /etc/passwd && exec \"$@\"", passwd.display());
    let wrapper = ["unshare", "-m", "sh", "-c", &mount, "sh"];
    let run = |options: &[&str], code: i32| {
        let done = ground.command(&wrapper, options)?.output()?;
        let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        equal(&text, done.status.code(), Some(code))?;
        Ok::<_, libtest_mimic::Failed>(text)
    };
    let _send = ground.start_send()?;
    ground.add(&["a.test"])?;
    run(&[], 0)?;
    ground.add(&["b.test"])?;
    let control = ground.home().join("control");
    for (path, closed) in
        [(ground.control("virtualdomains"), 0o600), (ground.control("locals"), 0o640), (control, 0o750)]
    {
        let mode = path.metadata()?.permissions();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(closed))?;
        let text = run(&[], 111)?;
        ensure(text.contains("ALARM: qmail-send does not hear of virtual hosts: uid 20960 gid 20961 cannot"), &text)?;
        let mend = text.lines().find_map(|line| line.strip_prefix("ALARM: ")?.split_once("; run "));
        let (_, mend) = mend.ok_or("no command that mends it")?;
        equal("accepted", ground.block("rcpthosts"), ["a.test"])?;
        ensure(run(&["--dry-run"], 1)?.contains("ALARM: "), "a dry run does not say so")?;
        // Without such a user it is only said.
        ensure(path.is_dir() || ground.sync(&["--dry-run"])?.code == Some(1), "nothing is said")?;
        let mended = std::process::Command::new("sh").args(["-c", mend]).status()?;
        ensure(mended.success(), mend)?;
        ensure(!run(&["--dry-run"], 0)?.contains("ALARM"), "it is not mended")?;
        std::fs::set_permissions(&path, mode)?;
    }
    run(&[], 0)?;
    equal("accepted", ground.block("rcpthosts"), ["a.test", "b.test"])
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
    let report = ground.json(&["--no-hup"], 1)?;
    equal("held", list(&report, "held", ""), ["a.test"])?;
    ensure(list(&report, "alarms", "").iter().any(|alarm| alarm.contains("users/cdb")), report.to_string())?;
    equal("nothing is added", ground.block("virtualdomains"), [""; 0])?;
    std::fs::remove_file(ground.home().join("users/cdb"))?;
    ground.in_step()?;
    equal("net", net(ground)?, [".qmail-=a:test=-default"])?;
    std::fs::remove_dir_all(ground.home().join("alias"))?;
    ground.sync(&["--no-hup"])?.exits(1)?.says("ALARM: the alias user has no home")?;
    Ok(())
}
