//! `alias`, `virtual` and `rcpthost`: adding, listing, deleting, and what is refused.

use super::ground::{Ground, on_each, on_sql};
use crate::cli::run;
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::process::{Command, Stdio};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![Trial::test("editing::completion_scripts_are_read_by_their_shells", completion)];
    trials.extend(
        [
            on_each("instructions", "", instructions),
            on_each("bad_instructions_are_refused", "", refused),
            on_each("virtual_addresses", "", virtuals),
            on_each("patterns_of_virtual_addresses", "[rules]\nvirtual_patterns = \"like\"", patterns),
            on_each("hosts", "", hosts),
            on_each("users_called_like_verbs", "", verbs),
            on_sql("numbers_go_on", "", numbers),
            on_each("a_store_that_is_down", "[store]\ndeadline = \"1s\"", down),
        ]
        .into_iter()
        .flatten(),
    );
    trials
}

fn instructions(g: &Ground) -> Outcome {
    g.run(&["alias", "add", "IAIN", "List", "./Maildir/", "|true", "&friend@example.org"])?.exits(0)?.says("3")?;
    let of_list = |lines: Vec<String>| lines.into_iter().filter(|line| line.starts_with("iain\tlist\t")).count();
    equal("rows", of_list(g.lines(&["alias", "list", "iain"])?), 3)?;
    equal("rows of all", of_list(g.lines(&["alias", "list"])?), 3)?;
    equal("asked", g.lines(&["alias", "iain", "list"])?.len(), 3)?;
    g.run(&["alias", "del", "iain", "list", "|false"])?.exits(1)?.complains(&["line 1", "nothing was changed"])?;
    g.run(&["alias", "del", "iain", "list", "friend@example.org", "|true", "--dry-run"])?.exits(0)?;
    g.run(&["alias", "del", "iain", "list", "friend@example.org", "|true"])?.exits(0)?.says("2")?;
    equal("asked again", g.lines(&["alias", "iain", "list"])?, ["./Maildir/"])?;
    g.run(&["alias", "del", "iain", "list"])?.exits(0)?;
    g.run(&["alias", "iain", "list"])?.exits(1)?;
    g.run(&["alias", "del", "iain", "list"])?.exits(1)?.complains(&["no rows"])?;
    g.run(&["alias", "add", "iain", "", "./Maildir/"])?.exits(0)?;
    equal("the default", g.lines(&["alias", "iain"])?, ["./Maildir/"])
}

fn refused(g: &Ground) -> Outcome {
    g.run(&["alias", "add", "iain", "x", "# comment"])?.exits(100)?.complains(&["comment", "nothing was changed"])?;
    g.run(&["alias", "add", "iain", "a b", "./M/"])?.exits(100)?;
    g.only_by_force(&["alias", "add", "iain", "x", "nobody-at-all@mail.test"], "dangling")?;
    // What was wrong before stops no other edit.
    g.run(&["alias", "add", "iain", "y", "./Maildir/"])?.exits(0)?;
    g.run(&["alias", "del", "iain", "x"])?.exits(0)?;
    g.only_by_force(&["alias", "add", "iain", "y", "./Maildir/"], "A3")?;
    g.run(&["alias", "add", "iain", "one", "bob-two@mail.test"])?.exits(0)?;
    g.only_by_force(&["alias", "add", "bob", "two", "iain-one@mail.test"], "loop")?;
    g.only_by_force(&["alias", "add", "no-mailbox", "x", "./Maildir/"], "dangling")?;
    // Rows that nobody reads may go one by one.
    g.run(&["alias", "add", "no-mailbox", "x", "./Other/", "--force"])?.exits(0)?;
    g.run(&["alias", "del", "no-mailbox", "x", "./Other/"])?.exits(0)?;
    g.run(&["alias", "add", "uucp", "postmaster", "iain@mail.test"])?.exits(0).map(drop)
}

fn virtuals(g: &Ground) -> Outcome {
    g.run(&["virtual", "add", "Info@NEW.test", "iain", "work"])?.exits(0)?;
    g.run(&["virtual", "info@new.test"])?.exits(0)?.says("iain")?.says("work")?;
    equal("listed", g.lines(&["virtual", "list", "new.test"])?, ["info@new.test\tiain\twork"])?;
    g.run(&["virtual", "add", "info@new.test", "iain", "work"])?.exits(1)?.complains(&["already"])?;
    g.only_by_force(&["virtual", "add", "info@new.test", "bob"], "V3")?;
    g.run(&["virtual", "del", "info@new.test", "bob"])?.exits(0)?;
    g.only_by_force(&["virtual", "add", "x@new.test", "nobody-there"], "dangling")?;
    g.run(&["virtual", "add", "@new.test", "virtual", "@"])?.exits(0)?;
    g.run(&["virtual", "any.body@new.test"])?.exits(0)?.says("virtual")?.says("any.body")?;
    g.run(&["virtual", "del", "@new.test"])?.exits(0)?;
    g.run(&["virtual", "any.body@new.test"])?.exits(1)?;
    g.run(&["virtual", "del", "@new.test"])?.exits(1)?;
    g.run(&["virtual", "add", "new.test", "iain"])?.exits(100)?;
    g.run(&["virtual", "add", "x@bad host", "iain"])?.exits(1)?;
    ensure(g.lines(&["virtual", "list"])?.len() >= 6, "the whole table")
}

fn patterns(g: &Ground) -> Outcome {
    g.run(&["virtual", "add", "@new.test", "virtual", "@"])?.exits(0)?;
    equal("listed", g.lines(&["virtual", "list", "new.test"])?, ["%@new.test\tvirtual\t@"])?;
    g.run(&["virtual", "x@new.test"])?.exits(0)?.says("virtual")?;
    g.run(&["virtual", "del", "@new.test"])?.exits(0).map(drop)
}

fn hosts(g: &Ground) -> Outcome {
    // A host that nobody serves.
    g.only_by_force(&["rcpthost", "add", "Lost.test"], "V7")?;
    g.run(&["rcpthost", "lost.test"])?.exits(0)?;
    g.run(&["rcpthost", "add", "LOST.test"])?.exits(1)?.complains(&["already"])?;
    equal("listed", g.lines(&["rcpthost", "list"])?.iter().filter(|host| *host == "lost.test").count(), 1)?;
    g.run(&["rcpthost", "del", "lost.test"])?.exits(0)?;
    g.run(&["rcpthost", "del", "lost.test"])?.exits(1)?;
    // Served first, accepted then; and the other way round.
    g.run(&["virtual", "add", "info@new.test", "iain"])?.exits(0)?;
    g.run(&["rcpthost", "add", "new.test"])?.exits(0)?;
    g.only_by_force(&["virtual", "del", "info@new.test"], "V7")?;
    g.run(&["virtual", "add", "info@new.test", "iain"])?.exits(0)?;
    g.run(&["rcpthost", "del", "new.test"])?.exits(0)?;
    g.run(&["virtual", "del", "info@new.test"])?.exits(0).map(drop)
}

fn verbs(g: &Ground) -> Outcome {
    let home = g.home("bob");
    for name in ["add", "list", "del"] {
        let add = ["user", "add", name, "--uid", "20002", "--gid", "20002", "--home", &home, "--no-password"];
        g.run(&add)?.exits(0)?;
        g.run(&["alias", "add", "--", name, "x", "./Maildir/"])?.exits(0)?;
        equal(name, g.lines(&["alias", "--", name, "x"])?, ["./Maildir/"])?;
    }
    Ok(())
}

fn numbers(g: &Ground) -> Outcome {
    let plain = match g.site.mariadb {
        Some(_) => "ALTER TABLE alias ADD seq INT NULL; UPDATE alias SET seq = 7 WHERE alias = 'work'",
        None => "ALTER TABLE alias ADD seq INTEGER; UPDATE alias SET seq = 7 WHERE alias = 'work'",
    };
    g.site.sql(plain)?;
    // By their classes the program would come first.
    g.run(&["alias", "add", "iain", "work", "&friend@example.org", "|true"])?.exits(0)?;
    let lines = g.lines(&["alias", "iain", "work"])?;
    equal("order", lines, ["./Maildir/", "&friend@example.org", "|true"])
}

fn down(g: &Ground) -> Outcome {
    g.site.store(false)?;
    for args in [
        &["user", "list"][..],
        &["user", "suspend", "iain"],
        &["user", "del", "iain"],
        &["user", "add", "carol", "--uid", "9", "--gid", "9", "--home", "/h", "--no-password"],
        &["alias", "add", "iain", "x", "./M/"],
        &["virtual", "del", "sales@bar.com"],
        &["rcpthost", "add", "new.test", "--force"],
    ] {
        g.run(args)?.exits(111)?;
    }
    g.site.store(true)
}

fn completion() -> Outcome {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completion", shell])?.exits(0)?.says("qmail-lookup")?.says("suspend")?.out;
        ensure(!script.contains("make-home"), "a hidden verb is offered")?;
        if shell != "bash" {
            continue;
        }
        let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = bash.stdin.take() {
            std::io::Write::write_all(&mut stdin, script.as_bytes())?;
        }
        let done = bash.wait_with_output()?;
        ensure(done.status.success() && done.stderr.is_empty(), String::from_utf8_lossy(&done.stderr))?;
        // What is offered behind `user`.
        let ask = format!(
            "{script}\nCOMP_WORDS=(qmail-lookup user su); COMP_CWORD=2; _qmail__lookup qmail-lookup su user; echo \"${{COMPREPLY[@]}}\""
        );
        let offered = Command::new("bash").args(["-c", &ask]).env("PATH", "/usr/bin:/bin").output()?;
        equal("offered", String::from_utf8_lossy(&offered.stdout).trim(), "suspend")?;
    }
    Ok(())
}
