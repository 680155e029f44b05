//! The text of `export` on its way into servers.

use super::places::{World, few, row, trial};
use crate::cli::{program, run_with};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Table, TableRow};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::load::sqlite::Tables;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("text::mariadb_holds_what_the_text_says", &["mariadb"], || filled("mariadb")),
        trial("text::a_directory_holds_what_the_text_says", &["ldap"], || filled("ldap")),
        trial("text::into_mariadb_without_passwords_nobody_can_log_in", &["mariadb"], || bare("mariadb")),
        trial("text::into_a_directory_without_passwords_nobody_can_log_in", &["ldap"], || bare("ldap")),
        trial("text::one_set_of_many_rows_takes_no_more_memory_than_many_sets", &[], one_set),
    ]
}

const HASH: &str = "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29";
const CRYPT: &str = "abgOeLfPimXQo";

/// What a mailbox's owner, or somebody who guesses, could offer.
const OFFERED: [&str; 9] =
    ["open-sesame", "", " ", "secret", HASH, CRYPT, "{CRYPT}", "{MYSQL}", "{CRYPT}abgOeLfPimXQo"];

fn rows() -> Vec<TableRow> {
    let mailbox = |name, password, kind| row(Table::Mailbox, &[name, "800", "100", "/home/mail", password, kind, "N"]);
    let more = [mailbox("hashed", HASH, "MySQL-Password"), mailbox("crypted", CRYPT, "Crypt-Password")];
    few().into_iter().chain(more).collect()
}

/// Options that lead to a new store of this kind.
fn empty(world: &World, kind: &str, name: &str) -> Result<[String; 2], Failed> {
    Ok(match kind {
        "ldap" => ["--config".to_owned(), world.ldap_empty(name)?],
        _ => ["--store".to_owned(), world.mysql_empty(name)?],
    })
}

fn filled(kind: &str) -> Outcome {
    let world = World::new(&[kind])?;
    let from = world.sqlite_with("source.db", Tables::Seq, &rows())?;
    let (whole, bare) = (world.path("whole").display().to_string(), world.path("bare").display().to_string());
    world.run(&["--store", &from, "export", "--output", &whole])?.exits(0)?;
    world.run(&["--store", &from, "export", "--no-passwords", "--output", &bare])?.exits(0)?;
    let [which, to] = empty(&world, kind, "target")?;
    let import = |args: &[&str]| world.run(&[&[&which, &to, "import"], args].concat());
    let wanted = world.export(&from)?;
    import(&[&whole])?.exits(0)?.says("10 inserted")?;
    equal("rows", world.export(&to)?, wanted.as_str())?;
    import(&[&whole, "--merge"])?.exits(0)?.says("0 inserted, 10 were there already")?;
    // Those who have a password keep it, and none of them is said to have none.
    for file in [&bare, &whole] {
        let said = import(&[file, "--merge", "--no-passwords"])?.exits(0)?.says("0 inserted, 10 were there already")?;
        equal("stderr", said.err, "")?;
    }
    equal("rows", world.export(&to)?, wanted)?;
    run_with(&[&which, &to, "auth", "iain"], "open-sesame\n", &[])?.exits(0).map(drop)
}

fn bare(kind: &str) -> Outcome {
    let world = World::new(&[kind])?;
    let from = world.sqlite_with("source.db", Tables::Seq, &rows())?;
    let file = world.path("bare").display().to_string();
    world.run(&["--store", &from, "export", "--no-passwords", "--output", &file])?.exits(0)?;
    let [which, to] = empty(&world, kind, "target")?;
    let mut configurations = vec![to.clone()];
    if kind == "ldap" {
        // Where the server decides, it is to let nobody in either.
        let config = std::fs::read_to_string(&to)?;
        let bind = world.path("bind.toml");
        std::fs::write(&bind, config.replace("auth = \"compare\"", "auth = \"bind\""))?;
        configurations.push(bind.display().to_string());
    }
    for more in [&["--no-passwords"][..], &["--no-passwords", "--merge"]] {
        world.run(&[&[&which, &to, "import", &file], more].concat())?.exits(0)?;
        for config in &configurations {
            for name in ["iain", "bob", "hashed", "crypted"] {
                for offered in OFFERED {
                    let input = format!("{offered}\n");
                    let ran = run_with(&[&which, config, "auth", name], &input, &[])?;
                    // If no password can be seen at all, a directory may just hide them: not known.
                    let unseen = kind == "ldap" && ran.code == Some(111) && ran.err.contains("absent or hidden");
                    ensure(ran.code == Some(1) || unseen, format!("{more:?} {config} {name} {offered:?}: {ran:?}"))?;
                }
            }
        }
    }
    Ok(())
}

/// What one set of many rows may need more than as many sets of one. Unit: KiB. The rows of it, as they are read and as
/// they are sorted, would be more than 100 MB.
const MORE: u64 = 16_000;

fn one_set() -> Outcome {
    let few = peak("'user' || i, 'list'")?;
    let many = peak("'user', 'list'")?;
    ensure(many <= few + MORE, format!("{many} KiB for one set, {few} for many"))
}

/// Most memory that `export` has used for 200,000 rows of table alias with this key. Unit: KiB.
fn peak(key: &str) -> Result<u64, Failed> {
    let world = World::new(&[])?;
    let from = world.sqlite_with("source.db", Tables::Documented, &[])?;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)";
    let insert = format!(
        "INSERT INTO alias (username, alias, alias_username, alias_host) {numbers} SELECT {key}, 'to' || i, 'x.test' FROM n"
    );
    rusqlite::Connection::open(world.path("source.db"))?.execute_batch(&insert)?;
    let mut command = Command::new(program()?);
    command.args(["--store", &from, "export", "--quiet", "--output"]).arg(world.path("out"));
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let code = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let now = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = now.unwrap_or(0).max(most);
        match child.try_wait()? {
            Some(status) => break status.code(),
            None => sleep(Duration::from_millis(5)),
        }
    };
    let rows = std::fs::read_to_string(world.path("out"))?.lines().filter(|line| line.starts_with("alias\t")).count();
    ensure(code == Some(0) && rows == 200_000 && most > 0, format!("exit {code:?}, {rows} rows, {most} KiB"))?;
    Ok(most)
}
