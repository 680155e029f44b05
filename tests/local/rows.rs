//! Alias rows: what they do is what the dot-qmail file of that extension would do (rules A1 to A5).

use super::post::{MESSAGE, mail};
use super::world::{
    Store, alias_rows, bounced, clear, deferred, delivered, done, make_maildir, nothing, places, text_of, variable,
    write,
};
use super::{both, sqlite};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{Report, Site};
use std::os::unix::fs::PermissionsExt;

pub(super) fn trials() -> Vec<Trial> {
    let mut all = vec![
        sqlite("rows::programs_get_the_message_and_say_how_it_goes_on", programs),
        sqlite("rows::of_one_set_are_in_order_of_their_numbers", numbered),
        sqlite("rows::are_not_read_as_text_of_a_file", typed),
        sqlite("rows::of_other_extensions_may_be_wrong", others),
        sqlite("rows::that_forward_do_what_the_queue_says", queue),
    ];
    all.extend(both("rows::of_each_kind_are_carried_out", kinds));
    all.extend(both("rows::of_one_set_run_programs_first_and_keep_duplicates", order));
    all.extend(both("rows::set_the_default_as_files_do", default));
    all.extend(both("rows::that_are_misconfigured_run_nothing_at_all", misconfigured));
    all
}

pub(super) const SENDER: &str = "sender@example.org";

pub(super) fn sent(site: &Site, recipient: &str) -> Result<Report, Failed> {
    mail(site, SENDER, recipient)
}

/// What `-n` prints for a recipient.
pub(super) fn printed(site: &Site, local: &str) -> Result<String, Failed> {
    let mut delivery = site.routed(local, "mail.test", SENDER)?.ok_or("qmail-getpw defers")?;
    delivery.options = vec!["-n".to_owned()];
    let report = delivery.run(site)?;
    done("-n", &report)?;
    Ok(report.text)
}

fn kinds(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    let away = site.path("homes/iain/else").display().to_string();
    alias_rows(&site, &[["iain", "mbox", ".", "/box"], ["iain", "path", "/", away.trim_start_matches('/')]])?;
    alias_rows(&site, &[["iain", "bare", "somebody", ""]])?;
    let head = |to: &str| format!("Return-Path: <{SENDER}>\nDelivered-To: {to}@mail.test\n{MESSAGE}");

    let report = sent(&site, "Iain-Work@mail.test")?;
    equal("maildir", (report.code, report.text.as_str()), (Some(0), "did 1+0+0\n"))?;
    equal("maildir", delivered(&site)?, vec![("iain/Maildir/new".to_owned(), head("Iain-Work"))])?;
    clear(&site)?;

    equal("mbox", sent(&site, "iain-mbox@mail.test")?.text, "did 1+0+0\n")?;
    let text = text_of(&site, "iain/box")?;
    let (from, rest) = text.split_once('\n').unwrap_or_default();
    ensure(from.starts_with(&format!("From {SENDER} ")), format!("From_ line: {from:?}"))?;
    equal("mbox", rest, format!("{}\n", head("iain-mbox")))?;
    clear(&site)?;

    equal("a path", sent(&site, "iain-path@mail.test")?.text, "did 1+0+0\n")?;
    equal("a path", places(&site)?, ["iain/else"])?;
    clear(&site)?;

    for (local, to) in [("iain-away", "friend@example.org"), ("iain-bare", "somebody")] {
        let report = sent(&site, &format!("{local}@mail.test"))?;
        ensure(report.text.starts_with("did 0+1+0\nqp "), format!("{local}: {report:?}"))?;
        let [queued] = &site.queued()?[..] else { return Err("not one message in the queue".into()) };
        equal("envelope", (queued.sender.as_str(), &queued.recipients[..]), (SENDER, &[to.to_owned()][..]))?;
        equal("message", queued.message.as_str(), format!("Delivered-To: {local}@mail.test\n{MESSAGE}"))?;
    }
    nothing(&site, "forwards")?;
    for (local, text) in [
        ("iain-work", "maildir ./Maildir/\ndid 1+0+0\n"),
        ("iain-mbox", "mbox ./box\ndid 1+0+0\n"),
        ("iain-away", "forward friend@example.org\ndid 0+1+0\n"),
        ("iain-secret", "program private\ndid 0+0+1\n"),
        ("bob-any", "maildir ./Catchall/\ndid 1+0+0\n"),
    ] {
        equal(local, printed(&site, local)?, text)?;
    }
    nothing(&site, "-n")
}

fn programs(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    for (alias, program) in [
        ("whole", "cat >got; pwd >where; id -u >who"),
        ("says", "echo said; echo also said >&2"),
        ("soft", "echo later; exit 111"),
        ("odd", "exit 1"),
        ("hard", "echo never; exit 100"),
        ("killed", "kill -9 $$"),
        ("stops", "exit 99"),
    ] {
        alias_rows(&site, &[["iain", alias, "|", program], ["iain", alias, ".", "/box"]])?;
        alias_rows(&site, &[["iain", alias, "friend", "example.org"]])?;
    }
    done("whole", &sent(&site, "iain-whole@mail.test")?)?;
    equal("stdin", text_of(&site, "iain/got")?, MESSAGE)?;
    equal("directory", text_of(&site, "iain/where")?.trim_end(), site.path("homes/iain").display().to_string())?;
    equal("uid", text_of(&site, "iain/who")?, "20001\n")?;
    clear(&site)?;
    let said = sent(&site, "iain-says@mail.test")?;
    done("says", &said)?;
    ensure(said.text.starts_with("said\nalso said\ndid 1+1+1\nqp "), format!("its words: {said:?}"))?;
    clear(&site)?;
    deferred("soft", &sent(&site, "iain-soft@mail.test")?, "later\n")?;
    deferred("odd", &sent(&site, "iain-odd@mail.test")?, "")?;
    bounced("hard", &sent(&site, "iain-hard@mail.test")?, "never\n")?;
    deferred("killed", &sent(&site, "iain-killed@mail.test")?, "(#4.3.0)")?;
    // The rows behind them were not reached; 99 says that they need not be.
    let stopped = sent(&site, "iain-stops@mail.test")?;
    equal("99", (stopped.code, stopped.text.as_str()), (Some(0), "did 0+0+1\n"))?;
    nothing(&site, "behind the program")
}

fn order(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    let rows = [
        ["iain", "set", "zoe", "example.org"],
        ["iain", "set", ".", "/box"],
        ["iain", "set", "zoe", "example.org"],
        ["iain", "set", "|", "ls >before"],
        ["iain", "set", ".", "/box"],
        ["iain", "set", "adam", "example.org"],
        ["iain", "set", ".", "/Maildir/"],
    ];
    alias_rows(&site, &rows)?;
    let lines = "program ls >before\nmaildir ./Maildir/\nmbox ./box\nmbox ./box\nforward adam@example.org\n\
                 forward zoe@example.org\nforward zoe@example.org\ndid 3+3+1\n";
    equal("-n", printed(&site, "iain-set")?, lines)?;
    let report = sent(&site, "iain-set@mail.test")?;
    ensure(report.text.starts_with("did 3+3+1\nqp "), format!("{report:?}"))?;
    equal("places", places(&site)?, ["iain/Maildir/new", "iain/before", "iain/box"])?;
    ensure(!text_of(&site, "iain/before")?.contains("box"), "the program did not run first")?;
    equal("twice", text_of(&site, "iain/box")?.matches("\nSubject: test\n").count(), 2)?;
    let [queued] = &site.queued()?[..] else { return Err("not one message for all forwards".into()) };
    equal("recipients", &queued.recipients[..], ["adam@example.org", "zoe@example.org", "zoe@example.org"])
}

fn numbered(store: Store) -> Outcome {
    let site = store.site("")?;
    site.sql(
        "ALTER TABLE alias ADD COLUMN seq INTEGER; INSERT INTO alias (username, alias, alias_username, alias_host, seq)
         VALUES ('iain', 'set', '|', 'exit 99', 30), ('iain', 'set', '.', '/never', 40),
         ('iain', 'set', 'last', 'example.org', 20), ('iain', 'set', 'first', 'example.org', 9),
         ('iain', 'set', '.', '/box', -1)",
    )?;
    let _daemon = site.start()?;
    let lines = "mbox ./box\nforward first@example.org\nforward last@example.org\nprogram exit 99\nmbox ./never\n\
                 did 2+2+1\n";
    equal("-n", printed(&site, "iain-set")?, lines)?;
    let report = sent(&site, "iain-set@mail.test")?;
    ensure(report.text.starts_with("did 1+2+1\nqp "), format!("{report:?}"))?;
    // What stands before a 99 is done, forwards too.
    equal("places", places(&site)?, ["iain/box"])?;
    let [queued] = &site.queued()?[..] else { return Err("not one message for all forwards".into()) };
    equal("recipients", &queued.recipients[..], ["first@example.org", "last@example.org"])
}

fn default(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    site.sql("DELETE FROM alias WHERE username = 'bob'")?;
    alias_rows(&site, &[["bob", "@", "|", "env -0 >env"], ["bob", "exact", "|", "env -0 >env"]])?;
    alias_rows(&site, &[["bob", "my-default", "|", "env -0 >env"]])?;
    write(&site, "bob/.qmail-default", "./wrong\n")?;
    for (ext, default) in [
        ("Some.Thing-Else", Some("Some.Thing-Else")),
        ("x", Some("x")),
        ("Exact", None),
        ("exact-more", Some("exact-more")),
        ("My-Default", Some("Default")),
        ("@", Some("@")),
    ] {
        done(ext, &sent(&site, &format!("Bob-{ext}@Mail.Test"))?)?;
        let environment = text_of(&site, "bob/env")?;
        equal(&format!("DEFAULT of {ext}"), variable(&environment, "DEFAULT"), default)?;
        let local = format!("Bob-{ext}");
        for (name, value) in [
            ("EXT", ext.to_owned()),
            ("USER", "bob".to_owned()),
            ("HOME", site.path("homes/bob").display().to_string()),
            ("LOCAL", local.clone()),
            ("HOST", "Mail.Test".to_owned()),
            ("HOST2", "Mail".to_owned()),
            ("RECIPIENT", format!("{local}@Mail.Test")),
            ("DTLINE", format!("Delivered-To: {local}@Mail.Test\n")),
            ("RPLINE", format!("Return-Path: <{SENDER}>\n")),
            ("SENDER", SENDER.to_owned()),
            ("NEWSENDER", SENDER.to_owned()),
        ] {
            equal(&format!("{name} of {ext}"), variable(&environment, name), Some(value.as_str()))?;
        }
        clear(&site)?;
    }
    Ok(())
}

fn misconfigured(store: Store) -> Outcome {
    let site = store.site("")?;
    let daemon = site.start()?;
    let bad: [[&str; 2]; 8] = [
        ["", ""],
        ["", "example.org"],
        [".", ""],
        ["|", " "],
        ["./Maildir/", ""],
        ["&friend", "example.org"],
        ["two words", "example.org"],
        ["friend", "tab\there.org"],
    ];
    write(&site, "iain/.qmail-bad", "./wrong\n")?;
    write(&site, "iain/.qmail-default", "./wrong\n")?;
    for [user, host] in bad {
        site.sql("DELETE FROM alias WHERE username = 'iain'")?;
        alias_rows(&site, &[["iain", "bad", "|", "touch ran"], ["iain", "bad", ".", "/Maildir/"]])?;
        alias_rows(&site, &[["iain", "bad", "adam", "example.org"], ["iain", "bad", user, host]])?;
        let what = format!("row {user:?} {host:?}");
        deferred(&what, &sent(&site, "iain-bad@mail.test")?, "(#4.3.0)")?;
        nothing(&site, &what)?;
        // Mail of others is as it was.
        done("bob", &sent(&site, "bob-x@mail.test")?)?;
        clear(&site)?;
    }
    let log = daemon.log();
    ensure(log.contains("misconfiguration"), format!("not in the log: {log}"))
}

/// A set is judged alone: nobody waits for rows that he has no use for.
fn others(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    alias_rows(
        &site,
        &[
            ["iain", "@", "", ""],
            ["iain", "work-owner", "", ""],
            ["iain", "", "&bad", "x"],
            ["bob", "good", ".", "/good"],
        ],
    )?;
    done("iain-work", &sent(&site, "iain-work@mail.test")?)?;
    equal("iain-work", places(&site)?, ["iain/Maildir/new"])?;
    clear(&site)?;
    done("bob-good", &sent(&site, "bob-good@mail.test")?)?;
    equal("bob-good", places(&site)?, ["bob/good"])?;
    clear(&site)?;
    for recipient in ["iain@mail.test", "iain-other@mail.test", "iain-work-owner@mail.test", "iain@bar.com"] {
        deferred(recipient, &sent(&site, recipient)?, "(#4.3.0)")?;
    }
    nothing(&site, "rows that are wrong")
}

/// Mail that the queue does not take is not lost, and comes back only if the queue says so.
fn queue(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    alias_rows(&site, &[["iain", "both", ".", "/box"], ["iain", "both", "friend", "example.org"]])?;
    let program = site.path("q/bin/qmail-queue");
    let good = std::fs::read_to_string(&program)?;
    for (body, letter) in
        [("exit 53", 'Z'), ("exit 31", 'D'), ("exit 1", 'Z'), ("kill -9 $$", 'Z'), ("cat >/dev/null; exit 11", 'D')]
    {
        // By rename: a program that is written while it is run is no test.
        site.script("q/bin/new", body)?;
        std::fs::rename(site.path("q/bin/new"), &program)?;
        let report = sent(&site, "iain-both@mail.test")?;
        equal(&format!("{body}: {report:?}"), report.letter()?, letter)?;
        ensure(report.text.starts_with("Unable to forward message: "), format!("{body}: {report:?}"))?;
    }
    std::fs::remove_file(&program)?;
    equal("no program", sent(&site, "iain-both@mail.test")?.letter()?, 'Z')?;
    std::fs::write(site.path("q/bin/new"), good)?;
    std::fs::set_permissions(site.path("q/bin/new"), std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(site.path("q/bin/new"), &program)?;
    // What was in the mailbox before comes again with the retry, as qmail's users know it.
    equal("before", text_of(&site, "iain/box")?.matches("\nhello\n").count(), 6)?;
    clear(&site)?;
    done("good", &sent(&site, "iain-both@mail.test")?)?;
    equal("good", site.queued()?.len(), 1)
}

/// Rows hold what lines of a file could not, or would mean something else.
fn typed(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    alias_rows(
        &site,
        &[
            ["iain", "a", "user", "host/"],
            ["iain", "b", ".", "/ box with blanks"],
            ["iain", "c", "|", "# a comment; touch ran"],
            ["iain", "d", "friend", "#example.org"],
        ],
    )?;
    done("a", &sent(&site, "iain-a@mail.test")?)?;
    done("d", &sent(&site, "iain-d@mail.test")?)?;
    let mut to: Vec<_> = site.queued()?.into_iter().flat_map(|queued| queued.recipients).collect();
    to.sort();
    equal("forwards", to, ["friend@#example.org", "user@host/"])?;
    done("c", &sent(&site, "iain-c@mail.test")?)?;
    nothing(&site, "forwards and a comment of the shell")?;
    make_maildir(&site, "iain/ x")?;
    done("b", &sent(&site, "iain-b@mail.test")?)?;
    equal("blanks", places(&site)?, ["iain/ box with blanks"])
}
