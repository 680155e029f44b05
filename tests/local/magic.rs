//! MAGIC FORWARDING (rule V6): mail goes where the row says, and never round for ever.

use super::post::{MESSAGE, Turn, follow, letters, mail};
use super::world::{
    NO_MAILBOX, Store, alias_rows, bounced, clear, deferred, done, nothing, places, virtual_rows, write,
};
use super::{both, sqlite};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{ALIAS, Queued};

pub(super) fn trials() -> Vec<Trial> {
    let mut all = vec![
        sqlite("magic::is_off_until_it_is_asked_for", off),
        sqlite("magic::stops_mail_that_has_come_through_too_many_machines", hops),
        sqlite("magic::ends_where_the_way_back_hides_it", hidden),
        sqlite("magic::leaves_the_sender_alone_whatever_lists_the_alias_user_has", sender),
        sqlite("magic::defers_what_is_no_address_to_forward_to", bad),
        sqlite("magic::rows_that_forward_to_each_other_end_too", rows),
    ];
    all.extend(both("magic::forwards_with_a_line_that_says_so", forwards));
    all.extend(both("magic::ends_where_it_leads_back", rings));
    all
}

const MAGIC: &str = "[rules]\nmagic_forwarding = true";

const LOOPING: &str = "This message is looping: it already has my Delivered-To line. (#5.4.6)\n";

fn forwards(store: Store) -> Outcome {
    let site = store.site(MAGIC)?;
    let _daemon = site.start()?;
    virtual_rows(&site, &[["forward", "Friend@Example.org", "away", "bar.com"]])?;
    virtual_rows(&site, &[["forward", "iain@bar.com", "back", "virtual.com"]])?;
    // None of these is asked.
    write(&site, "alias/.qmail-forward", "./wrong\n")?;
    write(&site, "alias/.qmail-default", "./wrong\n")?;
    alias_rows(&site, &[[ALIAS, "forward", ".", "/wrong"], [ALIAS, "@", ".", "/wrong"]])?;
    for (sender, recipient) in [("s@example.org", "Away@Bar.com"), ("", "away@bar.com"), ("#@[]", "AWAY@bar.com")] {
        let report = mail(&site, sender, recipient)?;
        done(recipient, &report)?;
        ensure(report.text.starts_with("did 0+1+0\nqp "), format!("{report:?}"))?;
        let forwarded = Queued {
            sender: sender.to_owned(),
            recipients: vec!["Friend@Example.org".to_owned()],
            message: format!("Delivered-To: {recipient}\n{MESSAGE}"),
        };
        equal(recipient, site.queued()?, [forwarded])?;
        equal(recipient, places(&site)?, Vec::<String>::new())?;
    }
    let turns = follow(&site, "s@example.org", "back@virtual.com", MESSAGE, 5)?;
    equal("to a mailbox of ours", letters(&turns)?, "KK")?;
    equal("to a mailbox of ours", places(&site)?, ["iain/Mailbox"])
}

/// The last turn is the bounce of a loop, and all before it were forwards.
fn looped(what: &str, turns: &[Turn], most: usize) -> Outcome {
    ensure(turns.len() <= most, format!("{what}: {} turns: {turns:#?}", turns.len()))?;
    let (last, before) = turns.split_last().ok_or("no turn")?;
    ensure(letters(before)?.chars().all(|letter| letter == 'K'), format!("{what}: {turns:#?}"))?;
    let report = last.report.as_ref().ok_or("the last turn is remote")?;
    bounced(what, report, LOOPING)
}

fn rings(store: Store) -> Outcome {
    let site = store.site(MAGIC)?;
    let _daemon = site.start()?;
    virtual_rows(
        &site,
        &[
            ["forward", "self@bar.com", "self", "bar.com"],
            ["forward", "b@virtual.com", "a", "bar.com"],
            ["forward", "C@Bar.com", "b", "virtual.com"],
            ["forward", "A@bar.com", "c", "bar.com"],
            ["forward", "iain-round@mail.test", "round", "bar.com"],
        ],
    )?;
    alias_rows(&site, &[["iain", "round", "Round", "Bar.com"]])?;
    for (start, most) in [
        ("self@bar.com", 2),
        ("Self@bar.com", 3),
        ("SELF@BAR.COM", 3),
        ("a@bar.com", 5),
        ("A@bar.com", 4),
        ("B@Virtual.Com", 5),
        ("c@bar.com", 5),
        ("round@bar.com", 4),
        ("ROUND@bar.com", 4),
    ] {
        let turns = follow(&site, "s@example.org", start, MESSAGE, 20)?;
        looped(start, &turns, most)?;
        ensure(turns.len() > 1, format!("{start}: bounced at once: {turns:#?}"))?;
        nothing(&site, start)?;
    }
    // Nobody gets a new loop by writing the name in yet another way.
    let mut message = MESSAGE.to_owned();
    for (turn, recipient) in ["self@bar.com", "Self@bar.com", "sELF@bar.com", "seLf@BAR.com"].into_iter().enumerate() {
        let turns = follow(&site, "s@example.org", recipient, &message, 20)?;
        looped(recipient, &turns, 3)?;
        message = turns.last().map(|turn| turn.message.clone()).unwrap_or_default();
        ensure(message.matches("Delivered-To: ").count() <= 2 + turn, format!("{recipient}: {message}"))?;
    }
    Ok(())
}

fn hops(store: Store) -> Outcome {
    let site = store.site(MAGIC)?;
    let _daemon = site.start()?;
    virtual_rows(&site, &[["forward", "friend@example.org", "away", "bar.com"]])?;
    alias_rows(&site, &[["iain", "both", ".", "/box"], ["iain", "both", "friend", "example.org"]])?;
    let through = |machines: usize| format!("{}{MESSAGE}", "Received: from a by b;\n\tsome day\n".repeat(machines));
    let sent = |recipient: &str, message: &str| follow(&site, "s@example.org", recipient, message, 3);
    for recipient in ["away@bar.com", "iain-both@mail.test"] {
        let turns = sent(recipient, &through(100))?;
        let report = turns.first().and_then(|turn| turn.report.clone()).ok_or("remote")?;
        bounced(recipient, &report, "(#5.4.6)")?;
        nothing(&site, recipient)?;
        equal(recipient, letters(&sent(recipient, &through(99))?)?, "KR")?;
        clear(&site)?;
    }
    // What is not forwarded is delivered, however it has come.
    equal("a mailbox", letters(&sent("iain-work@mail.test", &through(300))?)?, "K")?;
    equal("a mailbox", places(&site)?, ["iain/Maildir/new"])?;
    clear(&site)?;
    // The body is not the header.
    let body = format!("Subject: test\n\n{}", through(300));
    equal("in the body", letters(&sent("away@bar.com", &body)?)?, "KR")
}

/// The alias user may have a list of the name that qmail-getpw prints; it is another thing.
fn sender(store: Store) -> Outcome {
    for by_row in [true, false] {
        let site = store.site(MAGIC)?;
        let _daemon = site.start()?;
        virtual_rows(&site, &[["forward", "friend@example.org", "away", "bar.com"]])?;
        if by_row {
            alias_rows(&site, &[[ALIAS, "forward", "all", "mail.test"], [ALIAS, "forward-owner", ".", "/Maildir/"]])?;
        } else {
            write(&site, "alias/.qmail-forward", "&all@mail.test\n")?;
            write(&site, "alias/.qmail-forward-owner", "./Maildir/\n")?;
        }
        done("away", &mail(&site, "s@example.org", "away@bar.com")?)?;
        let queued: Vec<_> = site.queued()?.into_iter().map(|queued| (queued.sender, queued.recipients)).collect();
        let right = ("s@example.org".to_owned(), vec!["friend@example.org".to_owned()]);
        equal(&format!("the list by row: {by_row}"), queued, [right])?;
    }
    Ok(())
}

/// A machine elsewhere sends everything back, and takes the lines away that would tell.
fn hidden(store: Store) -> Outcome {
    let site = store.site(MAGIC)?;
    let _daemon = site.start()?;
    virtual_rows(&site, &[["forward", "friend@example.org", "away", "bar.com"]])?;
    let mut message = MESSAGE.to_owned();
    for turn in 0..150 {
        let turns = follow(&site, "s@example.org", "away@bar.com", &message, 3)?;
        if letters(&turns)? == "D" {
            let report = turns.first().and_then(|turn| turn.report.clone()).ok_or("remote")?;
            bounced("away", &report, "(#5.4.6)")?;
            return ensure(turn > 50, format!("bounced after {turn} turns"));
        }
        equal("turns", letters(&turns)?, "KR")?;
        let came = turns.last().map(|turn| turn.message.clone()).unwrap_or_default();
        let kept: String = came.split_inclusive('\n').filter(|line| !line.starts_with("Delivered-To: ")).collect();
        message = format!("Received: from mail.test by example.org\n{kept}");
    }
    Err("still under way after 150 turns".into())
}

fn off(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    virtual_rows(&site, &[["forward", "friend@example.org", "away", "bar.com"]])?;
    virtual_rows(&site, &[["forward", "@", "", "virtual.net"]])?;
    let report = mail(&site, "s@example.org", "away@bar.com")?;
    bounced("away", &report, NO_MAILBOX)?;
    nothing(&site, "away")
}

fn bad(store: Store) -> Outcome {
    let site = store.site(MAGIC)?;
    let _daemon = site.start()?;
    write(&site, "alias/.qmail-default", "./wrong\n")?;
    for (ext, recipient) in [
        ("friend", "x@bar.com"),
        ("", "x@bar.com"),
        ("@example.org", "x@bar.com"),
        ("friend@", "x@bar.com"),
        ("|touch ran@example.org", "x@bar.com"),
        ("two words@example.org", "x@bar.com"),
        ("@", "x@bar.com"),
        // Or anybody could send anything anywhere.
        ("@", "victim@example.net@bar.com"),
    ] {
        site.sql("DELETE FROM `virtual` WHERE username = 'forward'")?;
        virtual_rows(&site, &[["forward", ext, if ext == "@" { "" } else { "x" }, "bar.com"]])?;
        deferred(&format!("{ext} {recipient}"), &mail(&site, "s@example.org", recipient)?, "")?;
        nothing(&site, ext)?;
    }
    site.sql("DELETE FROM `virtual` WHERE username = 'forward'")?;
    virtual_rows(&site, &[["forward", "friend@example.org", "x", "bar.com"]])?;
    done("in order", &mail(&site, "s@example.org", "x@bar.com")?)?;
    clear(&site)?;
    let home = site.path("homes/bob").display().to_string();
    site.sql(&format!(
        "INSERT INTO mailbox (username, uid, gid, home, password, password_type, suspended)
         VALUES ('forward', '20002', '20002', '{home}', 'x', 'Password', 'N')"
    ))?;
    deferred("a mailbox of that name", &mail(&site, "s@example.org", "x@bar.com")?, "")?;
    nothing(&site, "a mailbox of that name")
}

/// Loops of rows and files need no magic.
fn rows(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    alias_rows(
        &site,
        &[
            ["iain", "a", "bob-B", "mail.test"],
            ["iain", "one", "iain-One", "mail.test"],
            [ALIAS, "info@bar.com", "info", "bar.com"],
        ],
    )?;
    site.sql("DELETE FROM alias WHERE username = 'bob'")?;
    write(&site, "bob/.qmail-default", "&IAIN-a@mail.test\n")?;
    for (start, most) in
        [("iain-a@mail.test", 4), ("bob-x@mail.test", 4), ("iain-one@mail.test", 3), ("INFO@bar.com", 3)]
    {
        let turns = follow(&site, "s@example.org", start, MESSAGE, 20)?;
        looped(start, &turns, most)?;
        nothing(&site, start)?;
    }
    Ok(())
}
