//! How hosts go, and when nothing is written at all.

use super::ground::{Ground, Tree, list, net, on_all, on_both, on_sqlite};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};

pub(super) fn trials() -> Vec<Trial> {
    let both = [
        on_all("going::a_host_leaves_rcpthosts_first", "", in_two_looks),
        on_both("going::a_store_that_is_down_or_empty_changes_nothing", "", no_store),
    ];
    let one = vec![
        on_sqlite("going::a_host_that_the_administrator_accepts_stays_routed", "[sync]\nwildcards = true", accepted),
        on_sqlite("going::the_queue_keeps_a_line_for_a_while", "[sync]\nremoved_grace = \"1h\"", queued),
        on_sqlite("going::more_than_the_limits_need_a_yes", "[sync]\ngrow = 10", limits),
        on_sqlite("going::two_runs_do_not_meet", "", two),
    ];
    both.into_iter().flatten().chain(one).collect()
}

fn in_two_looks(ground: &Ground) -> Outcome {
    let before = ground.tree(&[])?;
    ground.add(&["a.test", "b.test"])?;
    ground.in_step()?;
    ground.remove(b"a.test")?;
    let settled = ground.tree(&["sync.json"])?;
    let report = ground.json(&["--no-hup"], 0)?;
    equal("waiting", list(&report, "waiting", "list"), ["rcpthosts", "virtualdomains"])?;
    ground.sync(&["--no-hup"])?.exits(0)?.says("waiting: a.test leaves rcpthosts, not before ")?;
    equal("nothing yet", &ground.tree(&["sync.json"])?, &settled)?;
    // Back again: forgotten.
    ground.add(&["a.test"])?;
    ground.sync(&["--no-hup"])?.exits(0)?;
    ground.remove(b"a.test")?;
    ground.sync(&["--no-hup"])?.exits(0)?;
    equal("nothing yet", &ground.tree(&["sync.json"])?, &settled)?;
    ground.age(301)?;
    let report = ground.json(&["--no-hup"], 0)?;
    equal("removed", list(&report, "removed", "list"), ["rcpthosts"])?;
    equal("accepted", ground.block("rcpthosts"), ["b.test"])?;
    equal("routed", ground.block("virtualdomains"), ["a.test", "b.test"])?;
    ground.is_settled(0)?;
    ground.age(301)?;
    let report = ground.json(&["--no-hup"], 0)?;
    equal("removed", list(&report, "removed", "list"), ["virtualdomains"])?;
    equal("routed", ground.block("virtualdomains"), ["b.test"])?;
    equal("net", net(ground)?, [".qmail-=b:test=-default"])?;
    // The last one is all there is.
    ground.remove(b"b.test")?;
    ground.sync(&["--no-hup"])?.exits(111)?.complains(&["--yes"])?;
    ground.sync(&["--no-hup", "--yes"])?.exits(0)?;
    for _ in 0..2 {
        ground.age(301)?;
        ground.sync(&["--no-hup"])?.exits(0)?;
    }
    let contents = |tree: Tree| tree.into_iter().map(|(path, (content, _))| (path, content)).collect::<Vec<_>>();
    let ours = ["lock", "sync.json", "virtualdomains.before", "rcpthosts.before"];
    equal("as it was", contents(ground.tree(&ours)?), contents(before))
}

fn accepted(ground: &Ground) -> Outcome {
    std::fs::write(ground.control("rcpthosts"), "mail.test\na.test\n.b.test\nx.c.test\n")?;
    for host in ["a.test", "x.b.test", ".c.test", "d.test"] {
        ground.add_virtual(host.as_bytes())?;
    }
    ground.in_step()?;
    for host in ["a.test", "x.b.test", ".c.test"] {
        ground.remove(host.as_bytes())?;
    }
    for _ in 0..4 {
        let report = ground.json(&["--no-hup"], 1)?;
        let alarms = list(&report, "alarms", "");
        for line in ["a.test", ".b.test", "x.c.test"] {
            let named =
                alarms.iter().filter(|alarm| alarm.contains(&format!("the line `{line}` of control/rcpthosts")));
            equal(line, named.count(), 1)?;
        }
        ground.age(301)?;
    }
    equal("routed", ground.block("virtualdomains"), [".c.test", "a.test", "d.test", "x.b.test"])?;
    std::fs::write(ground.control("rcpthosts"), "mail.test\n")?;
    for _ in 0..2 {
        ground.sync(&["--no-hup"])?.exits(0)?;
        ground.age(301)?;
    }
    ground.sync(&["--no-hup"])?.exits(0)?;
    equal("routed", ground.block("virtualdomains"), ["d.test"])
}

fn queued(ground: &Ground) -> Outcome {
    ground.add(&["a.test", "b.test", "c.test"])?;
    ground.in_step()?;
    ground.queue(1, "=a.test=-iain@a.test")?;
    ground.queue(2, "=b.test=-iain@b.test")?;
    ground.remove(b"a.test")?;
    ground.remove(b"b.test")?;
    for _ in 0..3 {
        ground.sync(&["--no-hup"])?.exits(0)?;
        ground.age(301)?;
    }
    equal("accepted", ground.block("rcpthosts"), ["c.test"])?;
    equal("routed", ground.block("virtualdomains"), ["a.test", "b.test", "c.test"])?;
    std::fs::remove_file(ground.home().join("queue/local/1"))?;
    ground
        .sync(&["--no-hup"])?
        .exits(0)?
        .says("waiting: b.test leaves virtualdomains, when the queue holds no mail")?;
    equal("routed", ground.block("virtualdomains"), ["b.test", "c.test"])?;
    ground.age(3600)?;
    ground.sync(&["--no-hup"])?.exits(0)?;
    equal("not for ever", ground.block("virtualdomains"), ["c.test"])
}

fn no_store(ground: &Ground) -> Outcome {
    ground.add(&["a.test", "b.test", "c.test"])?;
    ground.in_step()?;
    let before = ground.tree(&[])?;
    ground.site.store(false)?;
    let run = ground.sync(&["--no-hup"])?.exits(111)?;
    ground.site.store(true)?;
    ensure(!run.err.is_empty() && run.out.is_empty(), format!("{run:?}"))?;
    equal("down", ground.tree(&[])?, before.clone())?;
    // Restored without its rows.
    ground.sql("CREATE TABLE kept AS SELECT * FROM mailbox; DELETE FROM mailbox; DELETE FROM `virtual`")?;
    ground.sync(&["--no-hup", "--yes"])?.exits(111)?.complains(&["mailbox"])?;
    equal("not believed", ground.tree(&[])?, before.clone())?;
    ground.sql("INSERT INTO mailbox SELECT * FROM kept; DELETE FROM rcpthosts")?;
    ground.sync(&["--no-hup"])?.exits(111)?.complains(&["none of the 3 hosts", "--yes"])?;
    equal("empty", ground.tree(&[])?, before.clone())?;
    ground.sql("DROP TABLE rcpthosts")?;
    ground.sync(&["--no-hup", "--yes"])?.exits(111)?;
    equal("half a store", ground.tree(&[])?, before)
}

fn limits(ground: &Ground) -> Outcome {
    let hosts: Vec<_> = (0..30).map(|n| format!("h{n:02}.test")).collect();
    ground.add(&hosts.iter().map(String::as_str).collect::<Vec<_>>())?;
    let before = ground.tree(&["lock"])?;
    let refused = ground.sync(&["--no-hup"])?.exits(111)?;
    let refused =
        refused.complains(&["30 hosts would come to control/virtualdomains, more than 10 (sync.grow)", "--yes"])?;
    refused.says("note: --yes would add to virtualdomains: h00.test, h01.test, ")?.says(" and 20 more (--dry-run")?;
    equal("nothing", ground.tree(&["lock"])?, before.clone())?;
    ground.sync(&["--dry-run"])?.exits(111)?.says("would be added: h29.test to rcpthosts\n")?;
    // What is worse than all that is not hidden.
    let rcpthosts = ground.text("rcpthosts");
    std::fs::remove_file(ground.control("rcpthosts"))?;
    for option in ["--no-hup", "--dry-run"] {
        ground.sync(&[option])?.exits(111)?.says("ALARM: there is no control/rcpthosts: ")?.says("it would be made")?;
    }
    ensure(!ground.control("rcpthosts").exists(), "it was made")?;
    std::fs::write(ground.control("rcpthosts"), rcpthosts)?;
    ground.sync(&["--no-hup", "--yes"])?.exits(0)?;
    let before = ground.tree(&[])?;
    for host in &hosts[..7] {
        ground.remove(host.as_bytes())?;
    }
    let refused = ground.sync(&["--no-hup"])?.exits(111)?;
    refused.complains(&["7 of the 30 hosts in the block of control/virtualdomains would go", "20 percent", "--yes"])?;
    equal("nothing", ground.tree(&[])?, before)?;
    ground.add(&[&hosts[0]])?;
    ground.sync(&["--no-hup"])?.exits(0)?;
    ground.age(301)?;
    ground.sync(&["--no-hup"])?.exits(0)?;
    equal("accepted", ground.block("rcpthosts").len(), 24)
}

fn two(ground: &Ground) -> Outcome {
    let _send = ground.start_send()?;
    ground.add(&["a.test"])?;
    let start = || ground.command(&[], &[]).and_then(|mut one| Ok(one.spawn()?));
    let runs = [start()?, start()?, start()?];
    let mut codes = Vec::new();
    for run in runs {
        let done = run.wait_with_output()?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        ensure(done.status.code() == Some(0) || said.contains("another qmail-lookup is changing"), said)?;
        codes.push(done.status.code());
    }
    ensure(codes.contains(&Some(0)), format!("{codes:?}"))?;
    equal("accepted", ground.block("rcpthosts"), ["a.test"])?;
    ground.is_settled(0)
}
