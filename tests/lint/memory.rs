//! However many rows there are, and however many of them are bad, memory stays small.

use super::world::World;
use crate::cli::program;
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// What a hundred times as many rows may need more. Unit: bytes. SQLite keeps 8 MiB of pages for each connection; the
/// findings alone would be more than 100 MB.
const MORE: u64 = 64_000_000;

pub(super) fn trials() -> Vec<Trial> {
    vec![Trial::test("lint::sqlite::memory::a_hundred_thousand_bad_rows_need_hardly_more_than_a_thousand", bounded)]
}

fn bounded() -> Outcome {
    let few = peak(1000)?;
    let many = peak(100_000)?;
    ensure(many <= few + MORE, format!("{many} bytes for many rows, {few} for few"))
}

/// Most memory that lint has used. Unit: bytes.
fn peak(rows: u32) -> Result<u64, Failed> {
    let world = World::sqlite()?;
    let numbers = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})");
    world.sql(&format!("INSERT INTO alias (username, alias) {numbers} SELECT 'user' || i, 'x' FROM n"))?;
    let mut command = Command::new(program()?);
    command.args(["--store", &world.url(), "lint", "--json", "--no-homes", "--qmail"]).arg(world.path("q"));
    let out = std::fs::File::create(world.path("out"))?;
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let code = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let kilobytes =
            text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = kilobytes.unwrap_or(0_u64).max(most);
        match child.try_wait()? {
            Some(status) => break status.code(),
            None => sleep(Duration::from_millis(5)),
        }
    };
    ensure(code == Some(1), format!("exit {code:?}"))?;
    let said: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(world.path("out"))?)?;
    ensure(said["counts"]["A2"]["error"] == rows && most > 0, format!("{most}: {}", said["counts"]))?;
    Ok(most * 1024)
}
