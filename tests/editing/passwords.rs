//! Passwords: where they come from, what they become, and that nobody sees them.

use super::ground::{Ground, PASSWORD, begin, end, on_each, on_slapd, on_sql, on_sqlite, until_it_reads};
use crate::cli::program;
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

pub(super) fn trials() -> Vec<Trial> {
    [
        on_each("a_new_password_logs_in", "", forms),
        on_each("a_password_is_asked_for_twice_and_not_shown", "", prompt),
        on_each("unusable_passwords_are_refused", "", unusable),
        on_each("a_row_that_changed_meanwhile_is_left", "", meanwhile),
        on_sql("a_store_that_keeps_something_else", "", spoiled),
        on_sql("columns_that_are_too_narrow", "", narrow),
        on_slapd("a_bind_carries_utf_8_alone", "", bound),
    ]
    .into_iter()
    .flatten()
    .chain([
        on_sqlite("a_terminal_of_any_character_set", "", latin),
        on_sqlite("a_signal_leaves_the_terminal_as_it_was", "", signals),
        on_sqlite("lines_may_end_as_on_other_systems", "", carriage_return),
        on_sqlite("nobody_looks_into_its_memory", "", private),
    ])
    .collect()
}

fn line() -> String {
    format!("{PASSWORD}\n")
}

fn forms(g: &Ground) -> Outcome {
    // OpenLDAP takes argon2 only with a module.
    let all: &[(&str, &str)] = match g.site.slapd {
        Some(_) => &[("yescrypt", "yescrypt"), ("sha512", "sha512-crypt")],
        None => &[("yescrypt", "yescrypt"), ("sha512", "sha512-crypt"), ("argon2", "argon2")],
    };
    for (hash, form) in all {
        g.run_with(&["user", "passwd", "iain", "--hash", hash], &line())?.exits(0)?.says("new password")?;
        g.run_with(&["auth", "iain"], &line())?.exits(0)?;
        g.run_with(&["auth", "iain"], "open sesame\n")?.exits(1)?;
        g.run(&["user", "show", "iain"])?.exits(0)?.says(form)?;
        let export = g.run(&["user", "show", "iain", "--json"])?.exits(0)?;
        ensure(!export.out.contains('$'), "a hash is shown")?;
    }
    if g.site.slapd.is_some() {
        // The server does not know it, so the one before stays.
        let refused = g.run_with(&["user", "passwd", "iain", "--hash", "argon2"], "another one\n")?;
        if refused.code == Some(1) {
            refused.complains(&["does not work", "put back"])?;
            g.run_with(&["auth", "iain"], &line())?.exits(0)?;
        }
    }
    g.run_with(&["user", "passwd", "nobody"], &line())?.exits(1)?.complains(&["no mailbox nobody"]).map(drop)
}

fn prompt(g: &Ground) -> Outcome {
    let mut terminal = g.at_a_terminal(&["user", "passwd", "iain"])?;
    terminal.until("New password: ")?;
    terminal.types(PASSWORD)?;
    terminal.until("Again: ")?;
    terminal.types(PASSWORD)?;
    let (shown, code) = terminal.end()?;
    equal("exit", code, Some(0))?;
    ensure(!shown.contains(PASSWORD) && shown.contains("new password"), shown)?;
    g.run_with(&["auth", "iain"], &line())?.exits(0)?;
    let mut terminal = g.at_a_terminal(&["user", "passwd", "iain"])?;
    terminal.until("New password: ")?;
    terminal.types("one")?;
    terminal.until("Again: ")?;
    terminal.types("two")?;
    let (shown, code) = terminal.end()?;
    ensure(code == Some(100) && shown.contains("not the same"), shown)?;
    g.run_with(&["auth", "iain"], &line())?.exits(0).map(drop)
}

fn unusable(g: &Ground) -> Outcome {
    let long = format!("{}\n", "x".repeat(512));
    for (input, word) in [("", "no password"), ("\n", "empty"), ("a\0b\n", "NUL"), (long.as_str(), "longer")] {
        g.run_with(&["user", "passwd", "iain"], input)?.exits(100)?.complains(&[word])?;
    }
    g.run_with(&["auth", "iain"], "open sesame\n")?.exits(0).map(drop)
}

fn meanwhile(g: &Ground) -> Outcome {
    let child = begin(g, &["user", "passwd", "iain"])?;
    until_it_reads(&child)?;
    // Nobody sees a password in the list of processes either.
    let words = std::fs::read(format!("/proc/{}/cmdline", child.id()))?;
    ensure(!String::from_utf8_lossy(&words).contains(PASSWORD), "a password among the arguments")?;
    g.run(&["user", "suspend", "iain"])?.exits(0)?;
    end(child, line())?.exits(1)?.complains(&["changed by somebody else", "nothing was changed"])?;
    g.run(&["user", "resume", "iain"])?.exits(0)?;
    g.run_with(&["auth", "iain"], "open sesame\n")?.exits(0).map(drop)
}

fn spoiled(g: &Ground) -> Outcome {
    let trigger = match g.site.mariadb {
        Some(_) => {
            "CREATE TRIGGER spoil BEFORE UPDATE ON mailbox FOR EACH ROW SET NEW.password = LOWER(LEFT(NEW.password, 20))"
        }
        None => {
            "CREATE TRIGGER spoil AFTER UPDATE ON mailbox BEGIN UPDATE mailbox SET password = substr(NEW.password, 1, 20) \
             WHERE username = NEW.username AND password = NEW.password AND length(NEW.password) > 20; END"
        }
    };
    g.site.sql(trigger)?;
    g.run_with(&["user", "passwd", "iain"], &line())?.exits(1)?.complains(&["password", "nothing was changed"])?;
    g.run_with(&["auth", "iain"], "open sesame\n")?.exits(0).map(drop)
}

fn narrow(g: &Ground) -> Outcome {
    if g.site.mariadb.is_none() {
        // Declared widths mean nothing there.
        return Ok(());
    }
    g.site.sql("ALTER TABLE mailbox MODIFY password varchar(100)")?;
    // Only the shorter of the two fits.
    g.run_with(&["user", "passwd", "iain"], &line())?.exits(0)?;
    g.site.sql("UPDATE mailbox SET password = 'open sesame', password_type = 'Password' WHERE username = 'iain'")?;
    g.site.sql("ALTER TABLE mailbox MODIFY password varchar(41)")?;
    let words = ["password", "varchar(41)", "ALTER TABLE mailbox MODIFY password"];
    g.run(&["user", "passwd", "iain"])?.exits(1)?.complains(&words)?;
    g.site.sql(
        "ALTER TABLE mailbox MODIFY password varchar(255), MODIFY password_type enum('Password','MySQL-Password')",
    )?;
    let words = ["password_type", "Crypt-Password", "ALTER TABLE mailbox MODIFY password_type"];
    g.run(&["user", "passwd", "iain"])?.exits(1)?.complains(&words)?;
    g.run_with(&["auth", "iain"], "open sesame\n")?.exits(0).map(drop)
}

fn latin(g: &Ground) -> Outcome {
    let typed = b"caf\xe9-sol\n";
    let mut terminal = g.at_a_terminal(&["user", "passwd", "iain"])?;
    terminal.until("New password: ")?;
    terminal.sends(typed)?;
    terminal.until("Again: ")?;
    terminal.sends(typed)?;
    equal("exit", terminal.end()?.1, Some(0))?;
    end(begin(g, &["auth", "iain"])?, typed)?.exits(0)?;
    end(begin(g, &["auth", "iain"])?, "caf\u{fffd}-sol\n")?.exits(1)?;
    let mut terminal = g.at_a_terminal(&["auth", "iain"])?;
    terminal.until("Password: ")?;
    terminal.sends(typed)?;
    let (shown, code) = terminal.end()?;
    equal("exit", code, Some(0))?;
    ensure(!shown.contains("sol"), shown)
}

fn signals(g: &Ground) -> Outcome {
    let args = ["user", "passwd", "iain"];
    let after = "; echo \"code $?\"; stty -a";
    for (before, key, code) in
        [("trap : INT; ", &b"\x03"[..], "code 130"), ("timeout --foreground --preserve-status 2 ", b"", "code 143")]
    {
        let mut terminal = g.shell_at_a_terminal(before, &args, after)?;
        terminal.until("New password: ")?;
        terminal.sends(key)?;
        let (shown, _) = terminal.end()?;
        ensure(shown.contains(code) && shown.contains(" echo ") && shown.contains("susp = ^Z"), shown)?;
    }
    g.run_with(&["auth", "iain"], "open sesame\n")?.exits(0).map(drop)
}

fn carriage_return(g: &Ground) -> Outcome {
    g.run_with(&["user", "passwd", "iain"], &format!("{PASSWORD}\r\n"))?.exits(0)?;
    for line in [format!("{PASSWORD}\n"), format!("{PASSWORD}\r\n"), format!("{PASSWORD}\r")] {
        g.run_with(&["auth", "iain"], &line)?.exits(0)?;
    }
    g.run_with(&["user", "passwd", "iain"], "x\r\r\n")?.exits(100)?.complains(&["carriage return"])?;
    g.run_with(&["user", "passwd", "iain"], "\r\n")?.exits(100)?.complains(&["empty"]).map(drop)
}

fn bound(g: &Ground) -> Outcome {
    let home = g.home("bob");
    let add = ["user", "add", "carol", "--uid", "20002", "--gid", "20002", "--home", &home];
    for args in [&["user", "passwd", "iain"][..], &add] {
        end(begin(g, args)?, b"caf\xe9\n")?.exits(1)?.complains(&["UTF-8", "nothing was changed"])?;
    }
    g.run(&["user", "show", "carol"])?.exits(1)?;
    g.run_with(&["auth", "iain"], "open sesame\n")?.exits(0).map(drop)
}

fn private(g: &Ground) -> Outcome {
    // What root may not be refused, another uid may.
    let tool = g.site.path("tool");
    std::fs::copy(program()?, &tool)?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=20311", "--regid=20311", "--clear-groups"]).arg(&tool).args(["auth", "iain"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let seen = until_it_reads(&child).and_then(|()| {
        let of = |name: &str| format!("/proc/{}/{name}", child.id());
        let limits = std::fs::read_to_string(of("limits"))?;
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default().to_owned();
        equal("core", core.split_whitespace().nth(4), Some("0"))?;
        equal("the kernel gives it to root if it is not dumpable", std::fs::metadata(of("environ"))?.uid(), 0)
    });
    child.kill()?;
    child.wait()?;
    seen
}
