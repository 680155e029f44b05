//! The files themselves: own lines, blocks, and which file.

use super::ground::{Ground, RCPTHOSTS, VIRTUALDOMAINS, list, on_both, on_sqlite};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

pub(super) fn trials() -> Vec<Trial> {
    let one = vec![
        on_sqlite("lines::of_the_administrator_are_kept", "", own_lines),
        on_sqlite("lines::of_a_damaged_block_are_not_touched", "", damaged),
        on_sqlite("lines::that_somebody_adds_meanwhile_are_not_lost", "", meanwhile),
        on_sqlite("lines::of_a_file_that_is_being_written_are_waited_for", "", in_place),
        on_sqlite("lines::come_where_no_file_was", "", absent),
        on_sqlite("lines::of_more_than_fifty_hosts_go_to_morercpthosts", "", fifty),
        on_sqlite("lines::of_the_database_are_those_of_morercpthosts", "", database),
        on_sqlite("lines::of_a_hundred_thousand_hosts_are_written_at_once", "[sync]\ngrow = 100000", many),
    ];
    on_both("lines::are_not_written_by_a_dry_run", "", dry_run).into_iter().chain(one).collect()
}

fn dry_run(ground: &Ground) -> Outcome {
    ground.add(&["a.test", "b.test"])?;
    let before = ground.tree(&[])?;
    let report = ground.json(&["--dry-run"], 0)?;
    equal("a dry run", ground.tree(&[])?, before)?;
    let told = report.clone();
    ground.sync(&["--dry-run"])?.exits(0)?.says("would be added: a.test to virtualdomains\n")?;
    let done = ground.json(&["--no-hup"], 0)?;
    for key in ["added", "removed", "waiting", "refused", "undecided", "alarms", "written"] {
        equal(key, &told[key], &done[key])?;
    }
    equal("written", list(&done, "written", "").len(), 2)?;
    let before = ground.tree(&[])?;
    ground.remove(b"a.test")?;
    let report = ground.json(&["--dry-run"], 0)?;
    equal("waiting", list(&report, "waiting", "host"), ["a.test", "a.test"])?;
    equal("nothing is remembered", ground.tree(&[])?, before)
}

fn own_lines(ground: &Ground) -> Outcome {
    let (path, owner) = (ground.control("virtualdomains"), 20_950);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604))?;
    chown(&path, Some(owner), Some(owner))?;
    ground.add(&["a.test"])?;
    ground.in_step()?;
    let is = path.metadata()?;
    equal("owner and mode", (is.uid(), is.gid(), is.mode() & 0o7777), (owner, owner, 0o604))?;
    let text = ground.text("virtualdomains");
    ensure(text.starts_with(&format!("{VIRTUALDOMAINS}\n# qmail-lookup sync: begin")), &text)?;
    ensure(ground.text("rcpthosts").starts_with(&format!("{RCPTHOSTS}# qmail-lookup sync: begin")), "rcpthosts")?;
    // Somebody adds a line where he finds it natural.
    std::fs::write(&path, format!("{text}# more of mine\nlast.test:bob\n"))?;
    ground.sync(&["--no-hup"])?.exits(0)?;
    let moved = ground.text("virtualdomains");
    ensure(moved.starts_with(&format!("{VIRTUALDOMAINS}\n# more of mine\nlast.test:bob\n# qmail-lookup")), &moved)?;
    equal("routed", ground.block("virtualdomains"), ["a.test"])?;
    ground.is_settled(0)?;
    // The administrator takes a host over.
    std::fs::write(&path, format!("a.test:bob\n{moved}"))?;
    let report = ground.json(&["--no-hup"], 1)?;
    equal("removed", list(&report, "removed", "host"), ["a.test"])?;
    equal(
        "as he wants it",
        ground.text("virtualdomains"),
        format!("a.test:bob\n{VIRTUALDOMAINS}\n# more of mine\nlast.test:bob\n"),
    )
}

fn meanwhile(ground: &Ground) -> Outcome {
    for (n, file) in ["rcpthosts", "virtualdomains", "locals"].into_iter().enumerate() {
        // When qmail-send is told, sync has read all files.
        let line = if file == "virtualdomains" { "customer.test:bob" } else { "customer.test" };
        ground.site.script("edit", &format!("echo {line} >>{}", ground.control(file).display()))?;
        ground.add(&[&format!("h{n}.test")])?;
        let before = ground.text("rcpthosts");
        let how = format!("command:{}", ground.site.path("edit").display());
        let run = ground.sync(&["--qmail-send", &how])?.exits(111)?;
        run.complains(&[&format!("control/{file} was changed meanwhile")])?;
        equal(
            "nothing more",
            ground.text("rcpthosts").replace("customer.test\n", ""),
            before.replace("customer.test\n", ""),
        )?;
        ensure(ground.text(file).contains(line), format!("{file}: the line is lost: {}", ground.text(file)))?;
        let before = ground.text("rcpthosts");
        ground.in_step()?;
        ensure(ground.text(file).contains(line), format!("{file}: the line is lost: {}", ground.text(file)))?;
        equal("accepted", ground.block("rcpthosts").len(), n + 1)?;
        let kept = ground.home().join("qmail-lookup/rcpthosts.before");
        equal("the one before is kept", std::fs::read_to_string(kept)?, before)?;
    }
    Ok(())
}

fn in_place(ground: &Ground) -> Outcome {
    ground.add(&["a.test"])?;
    let mut sync = ground.command(&[], &["--no-hup"])?;
    // Everything is gone for a moment.
    let mut file = std::fs::File::create(ground.control("rcpthosts"))?;
    let sync = sync.spawn()?;
    std::thread::sleep(std::time::Duration::from_millis(700));
    file.write_all(RCPTHOSTS.as_bytes())?;
    drop(file);
    let done = sync.wait_with_output()?;
    equal("it waits", done.status.code(), Some(0))?;
    ensure(ground.text("rcpthosts").starts_with(&format!("{RCPTHOSTS}# qmail-lookup")), ground.text("rcpthosts"))?;
    equal("accepted", ground.block("rcpthosts"), ["a.test"])
}

fn damaged(ground: &Ground) -> Outcome {
    ground.add(&["a.test"])?;
    ground.in_step()?;
    ground.add(&["b.test"])?;
    for (file, from, to, said) in [
        ("virtualdomains", "# qmail-lookup sync: end\n", "", "the block has no end"),
        ("rcpthosts", "# qmail-lookup sync: begin", "#", "the block ends before it begins"),
        ("virtualdomains", "a.test:=a.test=", "a.test:bob", "`a.test:bob` stands in the block"),
        ("rcpthosts", "a.test\n", "a.test \n", "`a.test ` stands in the block"),
    ] {
        let good = ground.text(file);
        std::fs::write(ground.control(file), good.replace(from, to))?;
        let before = ground.tree(&[])?;
        let run = ground.sync(&["--no-hup"])?.exits(111)?;
        run.complains(&[&format!("control/{file}: "), said])?;
        equal(said, ground.tree(&[])?, before)?;
        std::fs::write(ground.control(file), good)?;
    }
    let memory = ground.home().join("qmail-lookup/sync.json");
    std::fs::write(&memory, "{}")?;
    let before = ground.tree(&[])?;
    ground.sync(&["--no-hup"])?.exits(111)?.complains(&["qmail-lookup/sync.json: ", "nothing is written"])?;
    equal("memory", ground.tree(&[])?, before)?;
    std::fs::remove_file(memory)?;
    ground.in_step()?;
    equal("at last", ground.block("rcpthosts"), ["a.test", "b.test"])
}

fn absent(ground: &Ground) -> Outcome {
    std::fs::remove_file(ground.control("virtualdomains"))?;
    std::fs::remove_file(ground.control("rcpthosts"))?;
    std::fs::write(ground.control("me"), "me.test\n")?;
    std::fs::write(ground.control("smtproutes"), "relay.test:10.0.0.1\n")?;
    let run = ground.sync(&["--no-hup"])?.exits(1)?;
    run.says("there is no control/rcpthosts: mail is accepted for every host")?;
    ensure(!ground.control("rcpthosts").exists(), "there is no host to put there")?;
    ground.add(&["a.test", "b.test"])?;
    let run = ground.sync(&["--no-hup"])?.exits(1)?;
    run.says("ALARM: there is no control/rcpthosts: ")?
        .says("it was made")?
        .says("smtproutes and of the undecided: relay.test")?;
    ensure(ground.text("rcpthosts").starts_with("me.test\nmail.test\n# qmail"), ground.text("rcpthosts"))?;
    ground.is_settled(0)?;
    let mode = ground.control("rcpthosts").metadata()?.mode();
    equal("qmail-smtpd must be able to read it", mode & 0o777, 0o644)?;
    for host in ["a.test", "b.test"] {
        ground.remove(host.as_bytes())?;
    }
    ground.sync(&["--no-hup", "--yes"])?.exits(0)?;
    for _ in 0..2 {
        ground.age(301)?;
        ground.sync(&["--no-hup"])?.exits(0)?;
    }
    ensure(!ground.control("virtualdomains").exists(), "there was none")?;
    equal("never removed", ground.text("rcpthosts"), "me.test\nmail.test\n")
}

fn fifty(ground: &Ground) -> Outcome {
    let hosts: Vec<_> = (0..50).map(|n| format!("h{n:02}.test")).collect();
    let names: Vec<_> = hosts.iter().map(String::as_str).collect();
    ground.add(&names[..49])?;
    ground.in_step()?;
    equal("50 with the administrator's", ground.block("rcpthosts").len(), 49)?;
    ensure(!ground.control("morercpthosts.cdb").exists(), "no need")?;
    ground.add(&names[49..])?;
    let report = ground.json(&["--no-hup"], 0)?;
    equal("added", list(&report, "added", "host"), ["h49.test", "h49.test"])?;
    equal("rcpthosts", ground.text("rcpthosts"), RCPTHOSTS)?;
    equal("morercpthosts", ground.block("morercpthosts"), hosts.clone())?;
    ground.is_settled(0)?;
    // Once there, they stay.
    ground.remove(b"h00.test")?;
    for _ in 0..3 {
        ground.sync(&["--no-hup"])?.exits(0)?;
        ground.age(301)?;
    }
    equal("morercpthosts", ground.block("morercpthosts"), hosts[1..].to_vec())?;
    // And when none is left, so are both files as they were.
    ground.sql("DELETE FROM rcpthosts; DELETE FROM `virtual`")?;
    ground
        .sync(&["--no-hup"])?
        .exits(111)?
        .complains(&["none of the 49 hosts in the block of control/rcpthosts", "--yes"])?;
    ground.sync(&["--no-hup", "--yes"])?.exits(0)?;
    ground.age(301)?;
    ground.sync(&["--no-hup"])?.exits(0)?;
    ensure(
        !ground.control("morercpthosts").exists() && !ground.control("morercpthosts.cdb").exists(),
        "there were none",
    )
}

fn database(ground: &Ground) -> Outcome {
    let cdb = ground.control("morercpthosts.cdb");
    std::fs::write(ground.control("morercpthosts"), "Mine.Test \n# no\n\n.below.test\t\n")?;
    ground.in_step()?;
    let made = std::fs::read(&cdb)?;
    ensure(made.windows(9).any(|part| part == b"mine.test"), "folded, without blanks")?;
    ensure(!made.windows(2).any(|part| part == b"no"), "no comment")?;
    // A damaged one makes qmail-smtpd hang up.
    std::fs::write(&cdb, &made[..made.len() - 20])?;
    ground.in_step()?;
    equal("made anew", std::fs::read(&cdb)?, made.clone())?;
    std::fs::remove_file(&cdb)?;
    ground.in_step()?;
    equal("made anew", std::fs::read(&cdb)?, made)?;
    // A host of which nobody knows why it is not in the source.
    std::fs::write(ground.control("morercpthosts"), ".below.test\n")?;
    let before = ground.tree(&["sync.json"])?;
    let refused = ground.sync(&["--no-hup"])?.exits(111)?;
    refused.complains(&[
        "morercpthosts.cdb has 1 hosts that the file it is made of",
        "mine.test",
        "qmail-newmrh",
        "--yes",
    ])?;
    equal("nothing was written", ground.tree(&["sync.json"])?, before)?;
    ground.sync(&["--no-hup", "--yes"])?.exits(0)?;
    let less = std::fs::read(&cdb)?;
    ensure(!less.windows(9).any(|part| part == b"mine.test"), "it may go")?;
    // Its source is gone, and it is damaged: nobody knows what it held.
    let source = ground.text("morercpthosts");
    std::fs::remove_file(ground.control("morercpthosts"))?;
    std::fs::write(&cdb, &less[..less.len() - 20])?;
    let before = ground.tree(&["sync.json"])?;
    for options in [&["--no-hup"][..], &["--no-hup", "--yes"], &["--dry-run"]] {
        ground.sync(options)?.exits(111)?.complains(&["morercpthosts.cdb is damaged", "nothing was written"])?;
    }
    equal("nothing was written", ground.tree(&["sync.json"])?, before)?;
    std::fs::write(&cdb, less)?;
    std::fs::write(ground.control("morercpthosts"), source)?;
    // Its source is gone: what it holds is not lost.
    let hosts: Vec<_> = (0..60).map(|n| format!("h{n:02}.test")).collect();
    ground.add(&hosts.iter().map(String::as_str).collect::<Vec<_>>())?;
    std::fs::remove_file(ground.control("morercpthosts"))?;
    let before = ground.tree(&["sync.json"])?;
    ground.sync(&["--no-hup"])?.exits(111)?.complains(&["morercpthosts.cdb", "write its hosts there"])?;
    equal("nothing was written", ground.tree(&["sync.json"])?, before)
}

fn many(ground: &Ground) -> Outcome {
    ground.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
         INSERT INTO `virtual` (username, ext, virtual_username, virtual_host) SELECT 'iain', '', '', 'h' || i || '.test' FROM n;
         INSERT INTO rcpthosts (host) SELECT virtual_host FROM `virtual`",
    )?;
    ground.in_step()?;
    equal("routed", ground.block("virtualdomains").len(), 100_000)?;
    equal("accepted", ground.block("morercpthosts").len(), 100_000)?;
    ground.is_settled(0)
}
