//! What is wrong with single rows, in tables that hold whatever was put into them.

use super::world::{Case, World, on_each};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};

pub(super) fn trials() -> Vec<Trial> {
    let cases: [Case; 11] = [
        ("the_faqs_own_rows_are_clean", clean),
        ("names_that_nobody_can_ask_for_are_errors", names),
        ("rows_that_may_not_be_used_are_errors", unusable),
        ("users_locked_out_by_a_value_are_counted", suspended),
        ("passwords_that_nobody_can_verify_are_errors", passwords),
        ("alias_rows_that_are_no_instruction_are_errors", instructions),
        ("paths_out_of_the_home_are_errors_if_they_are_refused", paths),
        ("catch_alls_of_the_other_mode_are_errors", modes),
        ("patterns_that_plain_mode_does_not_read_are_a_warning", unread_patterns),
        ("a_store_without_any_mailbox_is_an_error", empty),
        ("hosts_that_are_none_are_named", hosts),
    ];
    cases.into_iter().flat_map(|(name, case)| on_each(&format!("rows::{name}"), case)).collect()
}

/// The documented columns, of types that take anything, and no key. One mailbox stays: a store without any is not
/// believed.
pub(super) fn loosen(world: &World) -> Outcome {
    let tables = [
        ("mailbox", "username, uid, gid, home, password, password_type, suspended"),
        ("alias", "username, alias, alias_username, alias_host"),
        ("virtual", "username, ext, virtual_username, virtual_host"),
        ("rcpthosts", "host"),
    ];
    for (table, columns) in tables {
        let columns: Vec<_> = columns.split(", ").map(|name| format!("{name} varchar(300)")).collect();
        world.sql(&format!("DROP TABLE `{table}`; CREATE TABLE `{table}` ({})", columns.join(", ")))?;
    }
    mailboxes(
        world,
        &[
            "('kept','20009','20009','/nonexistent/kept','$2y$05$saltsaltsaltsaltsaltsexFYcAQ0FlXDUAhFS3lpIfrHCQNNCGy6','Crypt-Password','N')",
        ],
    )
}

/// Rows of mailboxes that have nothing wrong but what is said.
fn mailboxes(world: &World, rows: &[&str]) -> Outcome {
    let columns = "username, uid, gid, home, password, password_type, suspended";
    world.sql(&format!("INSERT INTO mailbox ({columns}) VALUES {}", rows.join(",")))
}

fn clean(world: &World) -> Outcome {
    world.sql("UPDATE mailbox SET password='abgOeLfPimXQo', password_type='Crypt-Password'")?;
    world.aliases(&[["iain", "slowlaris", ".", "/Maildir/"], ["bob", "@", ".", "/Maildir/"]])?;
    world.virtuals(&[["bob", "@", "sales", "bar.com"]])?;
    world.sql("INSERT INTO rcpthosts VALUES ('bar.com')")?;
    let done = world.lint(&["--no-homes"], &[])?.exits(0)?;
    ensure(!done.out.contains("error ") && !done.out.contains("warning "), format!("{done:#?}"))?;
    // Two DES hashes: a note, which counts only if it is asked to.
    done.says("note    P1")?;
    world.lint(&["--no-homes", "--strict"], &[])?.exits(1)?;
    Ok(())
}

fn names(world: &World) -> Outcome {
    loosen(world)?;
    let row = |name: &str| format!("({name},'20001','20001','/h','x','Password','N')");
    let rows = ["'ok'", "'ok '", "'a b'", "'\u{ef}'", "''", "NULL", "'=x'", "replace('a/b','/',char(10))"].map(row);
    mailboxes(world, &rows.each_ref().map(String::as_str))?;
    // As the column's character set stores it.
    let latin = |line: String| line.replace("\\xc3\\xaf", "\\xef");
    let found: Vec<_> = world.found(&["K1", "K3"], &[])?.into_iter().map(latin).collect();
    let want = [
        "error K1 mailbox ",
        "error K1 mailbox ",
        "error K1 mailbox \\xef",
        "error K1 mailbox a\\x0ab",
        "error K1 mailbox a\\x20b",
        "error K1 mailbox ok\\x20",
        "error K3 mailbox =x",
    ];
    equal("findings", found, want)
}

fn unusable(world: &World) -> Outcome {
    loosen(world)?;
    mailboxes(
        world,
        &[
            "('Iain','20001','20001','/h','x','Password','N')",
            "('iain','20002','20001','/h','x','Password','N')",
            "('root','0','0','/root','x','Password','N')",
            "('low','99','20001','/h','x','Password','N')",
            "('gid','20001','','/h','x','Password','N')",
            "('home','20001','20001','h','x','Password','N')",
            "('fine','20001','20001','/h','x','Password',NULL)",
            "('forward','20001','20001','/h','x','Password',NULL)",
        ],
    )?;
    let want = [
        "error K3 mailbox gid",
        "error K3 mailbox home",
        "error K3 mailbox iain",
        "error K3 mailbox low",
        "error K3 mailbox root",
    ];
    world.finds(&["K3", "V6"], &want)?;
    let magic = [("QMAIL_LOOKUP_RULES__MAGIC_FORWARDING", "true")];
    equal("with magic", world.found(&["V6"], &magic)?, ["error V6 mailbox forward"])?;
    let deny = [("QMAIL_LOOKUP_RULES__DENY_UIDS", "[20001]")];
    ensure(world.found(&["K3"], &deny)?.len() > want.len(), "a denied uid is not found")
}

fn suspended(world: &World) -> Outcome {
    loosen(world)?;
    let row = |value: &str| format!("('u{value}','20001','20001','/h','x','Password','{value}')");
    let rows = ["N", "n", "Y", "no", "0"].map(row);
    mailboxes(world, &rows.each_ref().map(String::as_str))?;
    mailboxes(world, &["('v','20001','20001','/h','x','Password','no')"])?;
    let found = world.findings(&["--no-homes"], &[])?;
    let why: Vec<_> = found.iter().filter(|f| f["rule"] == "P3").filter_map(|f| f["why"].as_str()).collect();
    ensure(why.len() == 3, format!("{why:?}"))?;
    ensure(why[0].starts_with("1 user (u0): locked out by the value '0'"), format!("{why:?}"))?;
    ensure(why[2].starts_with("2 users (uno for instance): locked out by the value 'no'"), format!("{why:?}"))?;
    // Two columns exchanged.
    mailboxes(world, &["('x','20001','20001','/h','N','Password','hunter2')"])?;
    let done = world.lint(&["--no-homes"], &[])?.exits(1)?.says("a value of 7 bytes")?;
    ensure(!done.out.contains("hunter2"), done.out.clone())
}

fn passwords(world: &World) -> Outcome {
    loosen(world)?;
    let row = |(name, password, kind): (&str, &str, &str)| {
        format!("('{name}','20001','20001','/h','{password}','{kind}','N')")
    };
    let rows = [
        ("plain", "hunter2", "Password"),
        ("des", "abgOeLfPimXQo", "Crypt-Password"),
        ("md5", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "Crypt-Password"),
        ("old", "378b243e220ca493", "MySQL-Password"),
        ("short", "378b243e220ca49", "MySQL-Password"),
        ("asplain", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "Password"),
        ("unknown", "hunter2", "Plain"),
        ("none", "", "Password"),
    ]
    .map(row);
    mailboxes(world, &rows.each_ref().map(String::as_str))?;
    world.finds(
        &["P1", "P2"],
        &[
            "error P2 mailbox asplain",
            "error P2 mailbox short",
            "error P2 mailbox unknown",
            "note P1 mailbox ",
            "note P1 mailbox ",
            "note P1 mailbox ",
            "note P1 mailbox ",
            "warning P2 mailbox ",
        ],
    )?;
    for json in [&[][..], &["--json"]] {
        let done = world.lint(&[&["--no-homes"], json].concat(), &[])?.exits(1)?;
        let shown = format!("{}{}", done.out, done.err);
        for secret in ["hunter2", "abgOeLf", "qjXMvbEw8", "378b243e"] {
            ensure(!shown.contains(secret), format!("{secret}: {shown}"))?;
        }
    }
    Ok(())
}

fn instructions(world: &World) -> Outcome {
    loosen(world)?;
    world.aliases(&[
        ["iain", "ok", ".", "/Maildir/"],
        ["iain", "blank", "", ""],
        ["iain", "dot", ".", ""],
        ["iain", "line", "./Maildir/", ""],
        ["iain", "hash", "#x", "y.org"],
        ["iain", "a b", "x", "y.org"],
        ["iain", "twice", "x", "y.org"],
        ["Iain", "Twice", "x", "y.org"],
        ["iain", "prog", "|", "true"],
    ])?;
    let all = [
        "error A2 alias iain-blank",
        "error A2 alias iain-dot",
        "error A2 alias iain-hash",
        "error A2 alias iain-line",
        "warning A3 alias iain-twice",
        "warning K1 alias iain-a\\x20b",
    ];
    world.finds(&["K1", "A2", "A3", "A6"], &all)?;
    let deny = [("QMAIL_LOOKUP_RULES__ALIAS_PROGRAMS", "deny")];
    equal("denied", world.found(&["A6"], &deny)?, ["error A6 alias iain-prog"])
}

fn paths(world: &World) -> Outcome {
    world.aliases(&[
        ["iain", "in", "/", "nonexistent/iain/Mailbox"],
        ["iain", "out", "/", "nonexistent/bob/Mailbox"],
        ["IAIN", "up", ".", "/../bob/Mailbox"],
        ["alias", "out", "/", "nonexistent/bob/Mailbox"],
    ])?;
    equal("any", world.found(&["A6"], &[])?, [""; 0])?;
    let home = [("QMAIL_LOOKUP_RULES__ALIAS_PATHS", "home")];
    let mut want = ["error A6 alias alias-out", "error A6 alias iain-out", "error A6 alias IAIN-up"];
    want.sort_unstable();
    equal("home", world.found(&["A6"], &home)?, want)
}

fn modes(world: &World) -> Outcome {
    loosen(world)?;
    world.virtuals(&[
        ["iain", "", "%", "like.com"],
        ["iain", "", "x", "like.com"],
        ["iain", "@", "", "plain.com"],
        ["iain", "", "%", "both.com"],
        ["iain", "", "", "both.com"],
        ["iain", "", "x", "two.com"],
        ["bob", "", "X", "two.com"],
        ["iain", "", "x", "same.com"],
        ["Iain", "", "x", "same.com"],
        ["", "", "x", "blank.com"],
        ["forward", "a@b.org", "x", "magic.com"],
    ])?;
    let always = ["error V3 virtual X@two.com", "error V4 virtual x@blank.com", "note V3 virtual x@same.com"];
    let rules = ["V2", "V3", "V4"];
    let of = |found: Vec<String>, rule: &str| found.into_iter().filter(|f| f.contains(rule)).collect::<Vec<_>>();
    let plain = world.found(&rules, &[])?;
    equal("plain", of(plain.clone(), " V2 "), ["error V2 virtual %@like.com", "note V2 virtual %@both.com"])?;
    let like = world.found(&rules, &[("QMAIL_LOOKUP_RULES__VIRTUAL_PATTERNS", "like")])?;
    equal("like", of(like.clone(), " V2 "), ["error V2 virtual @plain.com", "note V2 virtual @both.com"])?;
    for found in [plain, like] {
        for line in always {
            let either = line.replace("X@", "x@");
            ensure(found.iter().any(|f| f.replace("X@", "x@") == either), format!("{line}: {found:?}"))?;
        }
    }
    equal("magic", world.found(&["V6"], &[])?, ["warning V6 virtual x@magic.com"])
}

fn unread_patterns(world: &World) -> Outcome {
    world.virtuals(&[
        ["iain", "", "sales-%", "bar.com"],
        ["iain", "", "x%", "bar.com"],
        ["iain", "", "a", "bar.com"],
    ])?;
    world.finds(&["V2"], &["warning V2 virtual sales-%@bar.com"])?;
    let like = [("QMAIL_LOOKUP_RULES__VIRTUAL_PATTERNS", "like")];
    equal("with patterns", world.found(&["V2"], &like)?, [""; 0])
}

fn empty(world: &World) -> Outcome {
    world.sql("DELETE FROM mailbox")?;
    let done = world.lint(&["--no-homes"], &[])?.exits(1)?;
    done.says("error   K4 mailbox: there is no mailbox at all")?;
    Ok(())
}

fn hosts(world: &World) -> Outcome {
    loosen(world)?;
    world.virtuals(&[
        ["iain", "", "x", "a b.com"],
        ["iain", "", "x", "b/a.com"],
        ["iain", "", "x", ""],
        ["iain", "", "x", "one"],
    ])?;
    world.sql(
        "INSERT INTO rcpthosts VALUES ('Bar.com'), ('bar.com'), ('c.org.'), ('localhost'), ('mail.test'), ('.w.org')",
    )?;
    world.finds(
        &["V1", "K1"],
        &[
            "error K1 virtual x@",
            "error K1 virtual x@a\\x20b.com",
            "error V1 virtual x@b/a.com",
            "note V1 rcpthosts .w.org",
            "warning V1 rcpthosts c.org.",
            "warning V1 rcpthosts localhost",
            "warning V1 virtual x@one",
        ],
    )?;
    let wild = [("QMAIL_LOOKUP_SYNC__WILDCARDS", "true")];
    ensure(!world.found(&["V1"], &wild)?.iter().any(|f| f.contains(".w.org")), "wildcards are on")
}
