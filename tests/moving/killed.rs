//! Killed at any moment and run again, a migration ends complete and without duplicates.

use super::places::{World, row, trial};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qmail_lookup_core::{Table, TableRow};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::load::sqlite::Tables;
use std::time::{Duration, Instant, SystemTime};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("killed::at_ten_moments_100000_mailboxes_end_complete", &["mariadb"], ten_times),
        trial("killed::a_signal_ends_it_after_the_batch", &["mariadb"], asked),
    ]
}

fn many(mailboxes: usize) -> Vec<TableRow> {
    let mut rows = Vec::new();
    for n in 0..mailboxes {
        let (name, id) = (format!("user{n:06}"), (1000 + n % 50_000).to_string());
        rows.push(row(Table::Mailbox, &[&name, &id, "100", "/home/mail", "open-sesame", "Password", "N"]));
    }
    for n in 0..mailboxes / 20 {
        let (name, seq) = (format!("user{:06}", n / 3), (n + 1).to_string());
        // Without a key: the same row is there twice.
        rows.push(row(Table::Alias, &[&name, "list", "same", "example.org", &seq]));
        rows.push(row(Table::Virtual, &["many.example", "twice", &name, ""]));
        rows.push(row(Table::Virtual, &["many.example", "twice", &name, ""]));
    }
    rows
}

fn ten_times() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let from = world.sqlite_with("source.db", Tables::Seq, &many(100_000))?;
    let to = world.mysql_empty("q")?;
    let more = ["--no-compare", "--quiet"];
    // Not the same moments every time; which they were is said if it fails.
    let seed = SystemTime::UNIX_EPOCH.elapsed()?.subsec_nanos();
    let mut moments = Vec::new();
    let mut cut = 0;
    for n in 0..10_u32 {
        let mut child = world.begin(&from, &to, &more)?;
        let moment = Duration::from_millis(u64::from(seed.rotate_left(n * 3) % 1500 + n * 250));
        std::thread::sleep(moment);
        moments.push(moment);
        child.kill()?;
        cut += usize::from(!child.wait()?.success());
    }
    ensure(cut >= 5, format!("killed only {cut} times: {moments:?}"))?;
    world.migrate(&from, &to, &["--no-compare"])?.exits(0)?;
    let (wanted, got) = (world.export(&from)?, world.export(&to)?);
    ensure(wanted == got, format!("rows are missing or twice after {moments:?}"))
}

fn asked() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let from = world.sqlite_with("source.db", Tables::Seq, &many(30_000))?;
    let to = world.mysql_empty("q")?;
    let mut child = world.begin(&from, &to, &["--no-compare", "--quiet"])?;
    // Once rows are there it is writing.
    let until = Instant::now() + Duration::from_secs(40);
    while !rows_are_there(&world) {
        ensure(Instant::now() < until, "nothing was written")?;
        std::thread::sleep(Duration::from_millis(20));
    }
    kill(Pid::from_raw(child.id().try_into()?), Signal::SIGTERM)?;
    equal("exit", child.wait()?.code(), Some(111))?;
    let said = world.said()?;
    ensure(
        ["stopped by a signal", "table mailbox is written up to user", "run it again"].iter().all(|w| said.contains(w)),
        said,
    )?;
    world.migrate(&from, &to, &["--no-compare"])?.exits(0)?;
    ensure(world.export(&from)? == world.export(&to)?, "rows are missing or twice")
}

/// True once the target holds a row: dividing by how many there are is an error before.
fn rows_are_there(world: &World) -> bool {
    let statement = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO';
        CREATE TEMPORARY TABLE q.one (n INT); INSERT INTO q.one SELECT 1 / COUNT(*) FROM q.mailbox";
    world.server().and_then(|server| server.sql(statement)).is_ok()
}
