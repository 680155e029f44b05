//! What `compare` compares: two stores and not one, under whose rules, and what its answers cannot tell.

use super::compare::{base_rows, changed, compare, compare_with, found, rows, sqlite_of, two_stores};
use crate::cli::run_with;
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::Table;
use qmail_lookup_core::compare::UNKNOWN;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn file(folder: &Path, name: &str, text: &str) -> Result<String, Failed> {
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

fn variables() -> Outcome {
    let (_folder, left, right) = two_stores(&base_rows())?;
    for name in ["QMAIL_LOOKUP_STORE__PASSWORD", "QMAIL_LOOKUP_STORE__ALIAS__PATH", "QMAIL_LOOKUP_STORE"] {
        let done = compare_with(&left, &right, &[], "", &[(name, "/open-sesame.db")])?.exits(100)?;
        done.complains(&[&format!("{name}: would mean both sides"), "password_file"])?;
    }
    compare_with(&left, &right, &[], "", &[("QMAIL_LOOKUP_RULES__BREAK", "+")])?.exits(0)?;
    for (option, value) in [("--store", &*left), ("--sqlserver", "/nonexistent")] {
        compare(&left, &right, &[option, value])?.exits(100)?.complains(&[option, "--from", "--to"])?;
    }
    let odd = OsStr::from_bytes(b"/tmp/\xff.toml");
    let done = run_with(&[OsStr::new("compare"), "--from".as_ref(), left.as_ref(), "--to".as_ref(), odd], "", &[])?;
    done.exits(100)?.complains(&["--to: not UTF-8"]).map(drop)
}

fn one_store() -> Outcome {
    let (folder, left, _) = two_stores(&base_rows())?;
    let (path, link) = (folder.path().join("left.db"), folder.path().join("link.db"));
    std::os::unix::fs::symlink(&path, &link)?;
    let hard = folder.path().join("hard.db");
    std::fs::hard_link(&path, &hard)?;
    for other in [&path, &link, &hard] {
        compare(&left, &format!("sqlite:{}", other.display()), &[])?.exits(100)?.complains(&["the same store"])?;
    }
    // Nothing is asked: there is no server.
    let server = |user: &str, database: &str| format!("mysql://{user}@localhost/{database}?socket=/nonexistent/s");
    compare(&server("one", "q"), &server("two", "q"), &[])?.exits(100)?.complains(&["the same store"])?;
    compare(&server("one", "q"), &server("one", "r"), &[])?.exits(111)?;
    let ldap = |name: &str, base: &str, connections: u8| {
        let store = "[store]\nkind = \"ldap\"\nservers = [\"ldap://127.0.0.1:1\"]\nauth = \"compare\"";
        file(folder.path(), name, &format!("{store}\nbase = \"{base}\"\nconnections = {connections}\n"))
    };
    let (one, same, other) = (ldap("a.toml", "o=q", 1)?, ldap("b.toml", "o=q", 2)?, ldap("c.toml", "o=r", 1)?);
    compare(&one, &same, &[])?.exits(100)?.complains(&["the same store"])?;
    compare(&one, &other, &[])?.exits(111)?;
    // The same rows may mean something else under other rules.
    let rules = format!("[store]\nkind = \"sqlite\"\npath = \"{}\"\n[rules]\nmin_uid = 801\n", path.display());
    let rules = file(folder.path(), "rules.toml", &rules)?;
    let plain = format!("[store]\nkind = \"sqlite\"\npath = \"{}\"\n", path.display());
    let plain = file(folder.path(), "plain.toml", &plain)?;
    compare(&plain, &rules, &[])?
        .exits(1)?
        .complains(&["note: --from and --to have the same store for: mailbox, alias, virtual"])
        .map(drop)
}

fn whose_rules() -> Outcome {
    let (folder, left, right) = two_stores(&base_rows())?;
    let toml = |name: &str, rules: &str| {
        let path = folder.path().join(format!("{name}.db"));
        let text = format!("[store]\nkind = \"sqlite\"\npath = \"{}\"\n{rules}", path.display());
        file(folder.path(), &format!("{name}.toml"), &text)
    };
    let (from, to) = (toml("left", "")?, toml("right", "")?);
    let strict = file(folder.path(), "strict.toml", "[rules]\nmin_uid = 900\n")?;
    let asked = |from: &str, to: &str| {
        let args = ["--config", &strict, "--keys", "-", "--json"];
        let done = compare_with(from, to, &args, "mailbox:iain\n", &[])?.json()?;
        Ok::<_, Failed>(done["summary"]["mailbox"].clone())
    };
    for (from, to) in [(&from, &to), (&left, &right), (&from, &right)] {
        equal(from, &asked(from, to)?["misconfigured_on_both_sides"], 1)?;
    }
    // A file with rules keeps them, and so does the other file.
    let own = toml("right", "[rules]\nbreak = \"+\"\n")?;
    equal("own rules", &asked(&from, &own)?["same"], 1)?;
    equal("a URL beside own rules", &asked(&left, &own)?["differs"], 1)
}

fn warnings() -> Outcome {
    let folder = tempfile::tempdir()?;
    let of = |name: &str| {
        let text = "[store]\nkind = \"mysql\"\nservers = [\"unix:/nonexistent/s\"]\nuser = \"q\"\n";
        file(folder.path(), name, &format!("{text}database = \"{}\"\npassword = \"open-sesame\"\n", &name[..1]))
    };
    let (from, to) = (of("a.toml")?, of("b.toml")?);
    for name in [&from, &to] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(name, std::fs::Permissions::from_mode(0o644))?;
    }
    let done = compare(&from, &to, &[])?.exits(111)?;
    let said = |name: &String| done.err.matches(&format!("warning: {name}: ")).count();
    equal("each once", (said(&from), said(&to)), (1, 1))
}

/// The same misconfiguration on both sides hides nothing else.
fn misconfigured_rows() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut base = changed(Table::Mailbox, &["iain"], 1, "0");
    base.push((Table::Virtual, vec!["bar.test", "both", "iain", ""]));
    base.push((Table::Virtual, vec!["bar.test", "both", "bob", ""]));
    let left = sqlite_of(folder.path(), "left", &rows(&base))?;
    let like_left = sqlite_of(folder.path(), "like", &rows(&base))?;
    let json = compare(&left, &like_left, &["--json"])?.exits(0)?.json()?;
    equal("none differs", found(&json), Vec::<String>::new())?;
    equal("mailboxes", &json["summary"]["mailbox"]["misconfigured_on_both_sides"], 1)?;
    equal("mailboxes", &json["summary"]["mailbox"]["same"], 2)?;
    let alike = compare(&left, &like_left, &[])?.exits(0)?.says("the same, but misconfigured on both sides")?;
    alike.says("note: ")?.says("both bad")?;
    let change = |table: Table, find: &[&str], column: usize, value: &'static str| {
        let mut all = base.clone();
        let row = all.iter_mut().find(|(other, cells)| *other == table && cells.starts_with(find));
        if let Some(cell) = row.and_then(|(_, cells)| cells.get_mut(column)) {
            *cell = value;
        }
        all
    };
    for (n, (cells, want)) in [
        (change(Table::Mailbox, &["iain"], 3, "/home/other"), "mailbox iain differs home"),
        (change(Table::Alias, &["iain", "list"], 3, "example.com"), "alias iain list differs alias_host"),
        (change(Table::Virtual, &["bar.test", "both", "iain"], 3, "x"), "address both@bar.test differs ext"),
    ]
    .into_iter()
    .enumerate()
    {
        let right = sqlite_of(folder.path(), &format!("right{n}"), &rows(&cells))?;
        let json = compare(&left, &right, &["--json"])?.exits(1)?.json()?;
        let names = found(&json);
        ensure(names.iter().any(|name| name == want), format!("{want}: {names:#?}"))?;
        // By key there are no rows: it is said that nothing is known of them.
        let done = compare_with(&left, &right, &["--keys", "-"], "mailbox:iain\n", &[])?.exits(0)?;
        done.says("no difference, but misconfigured on both sides")?.says("do that with --all")?;
    }
    // An instruction that only one side has.
    let mut fewer = base.clone();
    fewer.retain(|(table, cells)| *table != Table::Alias || !cells.starts_with(&["iain", "@"]));
    let right = sqlite_of(folder.path(), "fewer", &rows(&fewer))?;
    let names = found(&compare(&left, &right, &["--json"])?.exits(1)?.json()?);
    ensure(names.iter().any(|name| name == "alias iain @ only_left"), format!("{names:#?}"))
}

fn a_host_without_usable_users() -> Outcome {
    let mut cells = base_rows();
    cells.push((Table::Virtual, vec!["new.test", "two words", "iain", ""]));
    let (_folder, left, right) = two_stores(&cells)?;
    let json = compare(&left, &right, &["--json"])?.exits(1)?.json()?;
    let names = found(&json);
    let want = format!("address {UNKNOWN}@new.test ");
    ensure(names.iter().any(|name| name.starts_with(&want)), format!("{want}: {names:#?}"))?;
    equal("rows", &json["rows_without_usable_key"]["right"], 1)
}

fn a_log_of_the_old_patch() -> Outcome {
    let (_folder, left, right) = two_stores(&changed(Table::Virtual, &["bar.test", "sales"], 2, "bob"))?;
    let log = "starting delivery 1: msg 17 to local sales@bar.test\n";
    let json = compare_with(&left, &right, &["--from-log", "-", "--json"], log, &[])?.exits(1)?.json()?;
    let names = found(&json);
    ensure(names.iter().any(|name| name.starts_with("address sales@bar.test differs owner")), format!("{names:#?}"))
}

fn keys() -> Outcome {
    let (folder, left, right) = two_stores(&base_rows())?;
    for (bad, why) in [
        ("iain\nmailbx:iain\n", "standard input:2: an unknown word"),
        ("password:iain\n", "standard input:1: passwords"),
        ("# a\n\nm\0ailbox\n", "standard input:3: not text"),
        (&"x".repeat(70_000), "standard input:1: longer"),
    ] {
        compare_with(&left, &right, &["--keys", "-"], bad, &[])?.exits(100)?.complains(&[why])?;
    }
    let path = folder.path().join("keys");
    std::fs::write(&path, b"iain\ni\xe4in\n")?;
    let path = path.display().to_string();
    compare(&left, &right, &["--keys", &path])?.exits(100)?.complains(&[&format!("{path}:2: not text")])?;
    let ask = "nobody\nmailbox:nobody\nmailbox:iain\n";
    let json = compare_with(&left, &right, &["--keys", "-", "--json"], ask, &[])?.exits(0)?.json()?;
    for (kind, same, absent) in [("mailbox", 1, 1), ("local", 0, 1)] {
        equal(kind, &json["summary"][kind]["same"], same)?;
        equal(kind, &json["summary"][kind]["absent_on_both_sides"], absent)?;
    }
    compare_with(&left, &right, &["--keys", "-"], ask, &[])?.says("2 question(s) are about what neither").map(drop)
}

pub(super) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Outcome| Trial::test(format!("moving::compare::sides::{name}"), run);
    vec![
        trial("what_would_mean_both_sides_is_refused", variables),
        trial("one_store_is_not_compared_with_itself", one_store),
        trial("each_side_has_rules", whose_rules),
        trial("warnings_of_both_sides_are_shown", warnings),
        trial("misconfigured_rows_hide_nothing", misconfigured_rows),
        trial("a_host_counts_without_a_usable_user", a_host_without_usable_users),
        trial("a_log_of_the_old_patch", a_log_of_the_old_patch),
        trial("lines_that_are_no_keys_are_errors", keys),
    ]
}
