//! Which hosts are written.

use super::ground::{Ground, Store, list, net, on_both, on_mariadb, on_sqlite};
use super::send::wait_for;
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::server::mariadb::{query, run};

pub(super) fn trials() -> Vec<Trial> {
    let both = [
        on_both("hosts::a_hostile_host_leaves_the_files_as_they_are", "", hostile),
        on_both("hosts::what_qmail_knows_is_left_to_it", "", known),
    ];
    let one = vec![
        on_sqlite("hosts::of_rcpthosts_only_are_listed_and_not_written", "", undecided),
        on_sqlite("hosts::of_rcpthosts_only_are_local_if_asked_for", "[rules]\nrcpthosts_only = \"local\"", local),
        on_sqlite("hosts::of_rcpthosts_only_are_relayed_if_asked_for", "[rules]\nrcpthosts_only = \"relay\"", relay),
        on_sqlite(
            "hosts::of_other_machines_are_not_there",
            "[sync]\nonly = [\".a.test\", \"b.test\"]\nexcept = [\"x.a.test\"]",
            machines,
        ),
        on_sqlite("hosts::denied_are_refused", "[sync]\ndeny = [\".bad.test\", \"worse.test\"]", denied),
        on_sqlite("hosts::wildcards_count_if_asked_for", "[sync]\nwildcards = true", wildcards),
        on_sqlite(
            "hosts::in_the_block_are_kept_whatever_comes_to_a_control_file",
            "[sync]\nwildcards = true\n[rules]\nrcpthosts_only = \"relay\"",
            kept,
        ),
        on_mariadb(
            "hosts::that_come_to_both_tables_meanwhile_are_not_relayed",
            "[rules]\nrcpthosts_only = \"relay\"",
            meanwhile,
        ),
    ];
    both.into_iter().flatten().chain(one).collect()
}

fn hostile(ground: &Ground) -> Outcome {
    ground.add(&["good.test"])?;
    ground.add_virtual(b"MiXed.Test")?;
    ground.add_accepted(b"mixed.TEST")?;
    ground.in_step()?;
    equal("folded", ground.block("virtualdomains"), ["good.test", "mixed.test"])?;
    equal("folded", ground.block("rcpthosts"), ["good.test", "mixed.test"])?;
    let before = ground.tree(&[])?;
    let long = format!("{}.test", "a".repeat(234)).into_bytes();
    let everywhere: [&[u8]; 21] = [
        b"",
        b"a:b.test",
        b"a.test:x",
        b"a\nb.test",
        b"\na.test",
        b"a.test\n",
        b"a=b.test",
        b"#a.test",
        b" a.test",
        b"a.test ",
        b"a\tb.test",
        b".",
        b"..a.test",
        b"a..test",
        b"a.test.",
        b"single",
        b".single",
        b".a.test",
        b"a/b.test",
        b"%.test",
        &long,
    ];
    let in_sqlite: [&[u8]; 3] = [b"a\0.test", b"m\xfcnchen.test", "m\u{fc}nchen.test".as_bytes()];
    let more: &[&[u8]] = if ground.store == Store::Sqlite { &in_sqlite } else { &[] };
    for host in everywhere.iter().chain(more) {
        ground.add_virtual(host)?;
        ground.add_accepted(host)?;
        let report = ground.json(&["--no-hup"], 1)?;
        let tables = list(&report, "refused", "table");
        equal(&format!("{host:?} {report}"), tables, ["virtual", "rcpthosts"])?;
        ensure(ground.tree(&[])? == before, format!("{host:?} has changed something"))?;
        ground.remove(host)?;
    }
    ground.is_settled(0)
}

fn known(ground: &Ground) -> Outcome {
    std::fs::write(ground.control("smtproutes"), "relay.test:10.0.0.1\n:smart.test\n")?;
    ground.add(&["mail.test", "relay.test", "own.test", "good.test"])?;
    let report = ground.json(&["--no-hup"], 1)?;
    equal("refused", list(&report, "refused", "host"), ["mail.test", "own.test", "relay.test"])?;
    equal("refused", list(&report, "refused", "table"), ["virtual"; 3])?;
    equal("routed", ground.block("virtualdomains"), ["good.test"])?;
    // mail.test stands above the block.
    equal("accepted", ground.block("rcpthosts"), ["good.test", "own.test", "relay.test"])?;
    ground.is_settled(1)?;
    std::fs::write(ground.control("virtualdomains"), "own.test:=own.test=\n")?;
    std::fs::remove_file(ground.control("smtproutes"))?;
    ground.remove(b"mail.test")?;
    let report = ground.json(&["--no-hup"], 0)?;
    equal("a line that says the same", list(&report, "own", ""), ["own.test"])?;
    equal("routed", ground.block("virtualdomains"), ["good.test", "relay.test"])?;
    equal(
        "net",
        net(ground)?,
        [".qmail-=good:test=-default", ".qmail-=own:test=-default", ".qmail-=relay:test=-default"],
    )
}

fn kept(ground: &Ground) -> Outcome {
    ground.add(&[".wild.test", "b.test"])?;
    ground.in_step()?;
    let before = ground.tree(&["sync.json"])?;
    std::fs::write(ground.control("smtproutes"), "printer.wild.test:10.0.0.5\nb.test:10.0.0.6\n")?;
    for _ in 0..3 {
        let report = ground.json(&["--no-hup"], 1)?;
        let alarms = list(&report, "alarms", "");
        ensure(alarms.iter().any(|alarm| alarm.starts_with(".wild.test stays in control/virtualdomains")), &alarms[0])?;
        equal("alarms", alarms.len(), 2)?;
        ground.age(301)?;
    }
    equal("as it was", ground.tree(&["sync.json", "smtproutes"])?, before)?;
    // One that was never there is refused in both tables, not relayed.
    ground.add(&[".more.test"])?;
    std::fs::write(ground.control("smtproutes"), "printer.more.test:10.0.0.5\n")?;
    let report = ground.json(&["--no-hup"], 1)?;
    equal("refused", list(&report, "refused", "table"), ["virtual", "rcpthosts"])?;
    equal("accepted", ground.block("rcpthosts"), [".wild.test", "b.test"])
}

/// Both rows come while sync is between the two tables, or before the first.
fn meanwhile(ground: &Ground) -> Outcome {
    ground.add(&["b.test"])?;
    ground.in_step()?;
    let server = ground.site.mariadb.as_ref().ok_or("no MariaDB")?;
    let mut holder = server.connect()?;
    run(&mut holder, "USE qmail; LOCK TABLES rcpthosts WRITE")?;
    let sync = ground.command(&[], &["--no-hup"])?.spawn()?;
    let waiting = "SELECT id FROM information_schema.processlist WHERE state LIKE 'Waiting for table%'";
    let mut other = server.connect()?;
    wait_for(|| query(&mut other, waiting).is_ok_and(|rows| !rows.is_empty()))?;
    ground.add_virtual(b"y.test")?;
    run(&mut holder, "INSERT INTO rcpthosts (host) VALUES ('y.test'); UNLOCK TABLES")?;
    let done = sync.wait_with_output()?;
    equal(&String::from_utf8_lossy(&done.stderr), done.status.code(), Some(0))?;
    equal("accepted", ground.block("rcpthosts"), ["b.test", "y.test"])?;
    equal("routed", ground.block("virtualdomains"), ["b.test", "y.test"])
}

fn undecided(ground: &Ground) -> Outcome {
    ground.add(&["a.test"])?;
    ground.in_step()?;
    let before = ground.tree(&[])?;
    ground.add_accepted(b"old.test")?;
    let report = ground.json(&["--no-hup"], 1)?;
    equal("undecided", list(&report, "undecided", ""), ["old.test"])?;
    equal("files", ground.tree(&[])?, before)?;
    ground.add_virtual(b"inside.test")?;
    let report = ground.json(&["--no-hup"], 1)?;
    equal("not accepted", list(&report, "unaccepted", ""), ["inside.test"])?;
    equal("routed", ground.block("virtualdomains"), ["a.test", "inside.test"])?;
    equal("accepted", ground.block("rcpthosts"), ["a.test"])
}

fn local(ground: &Ground) -> Outcome {
    ground.add_accepted(b"old.test")?;
    ground.in_step()?;
    equal("routed", ground.block("virtualdomains"), ["old.test"])?;
    equal("accepted", ground.block("rcpthosts"), ["old.test"])
}

fn relay(ground: &Ground) -> Outcome {
    ground.add_accepted(b"old.test")?;
    ground.in_step()?;
    equal("virtualdomains", ground.text("virtualdomains"), super::ground::VIRTUALDOMAINS)?;
    equal("accepted", ground.block("rcpthosts"), ["old.test"])
}

fn machines(ground: &Ground) -> Outcome {
    ground.add(&["y.a.test", "x.a.test", "a.test", "b.test", "c.test"])?;
    ground.in_step()?;
    equal("routed", ground.block("virtualdomains"), ["b.test", "y.a.test"])?;
    equal("accepted", ground.block("rcpthosts"), ["b.test", "y.a.test"])
}

fn denied(ground: &Ground) -> Outcome {
    ground.add(&["x.bad.test", "bad.test", "worse.test"])?;
    let report = ground.json(&["--no-hup"], 1)?;
    let refused = ["worse.test", "x.bad.test", "worse.test", "x.bad.test"];
    equal("refused", list(&report, "refused", "host"), refused)?;
    equal("routed", ground.block("virtualdomains"), ["bad.test"])
}

fn wildcards(ground: &Ground) -> Outcome {
    ground.add(&[".wild.test", ".single"])?;
    let report = ground.json(&["--no-hup"], 1)?;
    equal("refused", list(&report, "refused", "host"), [".single"; 2])?;
    ensure(ground.text("virtualdomains").contains("\n.wild.test:=.wild.test=\n"), ground.text("virtualdomains"))?;
    equal("accepted", ground.block("rcpthosts"), [".wild.test"])?;
    equal("net", net(ground)?, [".qmail-=:wild:test=-default"])
}
