//! The source or the target dies in the middle: it is said what is there, nothing half-written is left unnamed, and run
//! again it goes on.

use super::places::{World, few, mailbox, row, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Table, TableRow};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::load::ldap::base;
use qmail_lookup_tests::load::{mysql, sqlite};
use qmail_lookup_tests::proxy::{Mode, Proxy};
use qmail_lookup_tests::server::mariadb::USER;
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("outage::mariadb_as_target_dies", &["mariadb"], mariadb_dies),
        trial("outage::slapd_as_target_dies", &["ldap"], slapd_dies),
        trial("outage::the_source_dies_before_anything_is_written", &["mariadb"], source_dies),
        trial("outage::a_target_that_is_down_is_temporary", &["mariadb"], down),
    ]
}

fn many(mailboxes: usize) -> Vec<TableRow> {
    let mut rows: Vec<_> = (0..mailboxes).map(|n| mailbox(&format!("user{n:06}"))).collect();
    rows.extend(
        (0..400).map(|n| row(Table::Alias, &["user000000", "list", &format!("to{n}"), "x.org", &format!("{}", n + 1)])),
    );
    rows
}

/// Waits until `there`.
fn wait(what: &str, mut there: impl FnMut() -> bool) -> Outcome {
    let until = Instant::now() + Duration::from_secs(40);
    while !there() {
        ensure(Instant::now() < until, what)?;
        std::thread::sleep(Duration::from_millis(15));
    }
    Ok(())
}

/// The words of a run that was cut, and that the next one completes.
fn goes_on(world: &World, from: &str, to: &str) -> Outcome {
    let said = world.said()?;
    ensure(said.contains("run it again, and it goes on") && !said.contains("open-sesame"), said.clone())?;
    let named = ["nothing half-written is left", "changes were made", "it is not known whether"];
    ensure(named.iter().any(|words| said.contains(words)) && said.contains("table "), said)?;
    world.migrate(from, to, &[])?.exits(0)?;
    ensure(world.export(from)? == world.export(to)?, "rows are missing or twice")
}

fn mariadb_dies() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let from = world.sqlite_with("source.db", sqlite::Tables::Seq, &many(20_000))?;
    let to = world.mysql_empty("q")?;
    let mut child = world.begin(&from, &to, &["--quiet"])?;
    wait("nothing was written", || {
        let statement = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO';
            CREATE TEMPORARY TABLE q.one (n INT); INSERT INTO q.one SELECT 1 / COUNT(*) FROM q.mailbox";
        world.server().and_then(|server| server.sql(statement)).is_ok()
    })?;
    world.server()?.kill();
    equal("exit", child.wait()?.code(), Some(111))?;
    world.server()?.run()?;
    goes_on(&world, &from, &to)
}

fn slapd_dies() -> Outcome {
    let world = World::new(&["ldap"])?;
    let from = world.sqlite_with("source.db", sqlite::Tables::Seq, &many(3_000))?;
    let to = world.ldap_empty("q")?;
    let mut child = world.begin(&from, &to, &["--quiet"])?;
    wait("nothing was written", || {
        let found = world.directory().and_then(|server| server.search(&base("q"), "sub", "(qlookUser=user000700)"));
        found.is_ok_and(|text| text.contains("dn: "))
    })?;
    world.directory()?.kill();
    equal("exit", child.wait()?.code(), Some(111))?;
    world.directory()?.run()?;
    goes_on(&world, &from, &to)
}

fn source_dies() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let direct = world.mysql_with("q", mysql::Tables::Seq, &many(3_000))?;
    let proxy = Proxy::start(world.server()?.socket())?;
    let password = world.path("password");
    let from = format!("mysql://{USER}@{}/q?password_file={}", proxy.address(), password.display());
    let to = world.sqlite("target.db");
    // In the middle of the rows: on its way back from the first table, and from a later one.
    for bytes in [60_000, 150_000] {
        proxy.set(Mode::CutAfter(bytes));
        let run = world.migrate(&from, &to, &[])?.exits(111)?;
        ensure(!(run.out + &run.err).contains("open-sesame"), "a password is shown")?;
        ensure(!world.path("target.db").exists(), "the target was made though the source was not read to its end")?;
    }
    proxy.set(Mode::Pass);
    world.migrate(&from, &to, &[])?.exits(0)?;
    ensure(world.export(&direct)? == world.export(&to)?, "rows are missing or twice")
}

fn down() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let from: Result<String, Failed> = world.sqlite_with("source.db", sqlite::Tables::Seq, &few());
    let (from, to) = (from?, world.mysql_empty("q")?);
    world.server()?.kill();
    world.migrate(&from, &to, &[])?.exits(111)?;
    world.migrate(&to, &world.sqlite("other.db"), &[])?.exits(111)?;
    ensure(!world.path("other.db").exists(), "the target was made")?;
    world.server()?.run()?;
    world.migrate(&from, &to, &[])?.exits(0).map(drop)
}
