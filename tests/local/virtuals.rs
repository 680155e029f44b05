//! Recipients of virtual hosts: nobody sees how they stand in the queue, and nobody gets round table virtual by typing
//! that (rules V1 to V5).

use super::post::{MESSAGE, follow, letters, mail};
use super::world::{
    NO_MAILBOX, Store, alias_rows, bounced, clear, delivered, done, nothing, places, text_of, variable, virtual_rows,
    write,
};
use super::{both, sqlite};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{ALIAS, Queued, Site};

pub(super) fn trials() -> Vec<Trial> {
    let mut all = vec![
        sqlite("virtuals::that_are_typed_in_the_queues_form_bounce", forged),
        sqlite("virtuals::of_a_wildcard_host_are_delivered_under_their_own_host", wildcard),
        sqlite("virtuals::postmaster_is_the_alias_users_unless_a_row_says_otherwise", postmaster),
        sqlite("virtuals::of_a_host_without_rows_wait_or_bounce", removed),
    ];
    all.extend(both("virtuals::show_no_encoding_to_anybody", shown));
    all.extend(both("virtuals::of_a_catch_all_keep_what_was_typed", catch_all));
    all.extend(both("virtuals::that_are_unknown_bounce_whatever_the_alias_user_has", unknown));
    all.extend(both("virtuals::of_old_data_are_forwarded_by_rows_for_the_address", old_data));
    all
}

/// Fails if anything that was delivered, forwarded or reported shows how a recipient stands in the queue.
fn no_leak(what: &str, site: &Site, queued: &[Queued], report: &str) -> Outcome {
    let delivered = delivered(site)?;
    let mut texts: Vec<&str> = delivered.iter().flat_map(|(name, text)| [&name[..], text]).collect();
    texts.push(report);
    for Queued { sender, recipients, message } in queued {
        texts.extend([sender, message].map(String::as_str));
        texts.extend(recipients.iter().map(String::as_str));
    }
    for text in texts {
        let shows = ["=bar.com=", "=virtual.com=", "=.wild.test="].into_iter().find(|form| text.contains(form));
        ensure(shows.is_none(), format!("{what} shows {shows:?}: {text}"))?;
    }
    Ok(())
}

fn shown(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    site.sql("DELETE FROM alias WHERE username = 'iain'")?;
    alias_rows(
        &site,
        &[
            ["iain", "work", "|", "env -0 >env; cat >message"],
            ["iain", "work", ".", "/box"],
            ["iain", "work", ".", "/Maildir/"],
            ["iain", "work", "friend", "example.org"],
            ["iain", "work-owner", ".", "/Maildir/"],
        ],
    )?;
    let report = mail(&site, "who-ever@example.org", "Sales@Bar.com")?;
    ensure(report.text.starts_with("did 2+1+1\nqp "), format!("{report:?}"))?;
    let queued = site.queued()?;
    no_leak("Sales@Bar.com", &site, &queued, &report.text)?;
    equal("places", places(&site)?, ["iain/Maildir/new", "iain/box", "iain/env", "iain/message"])?;
    let environment = text_of(&site, "iain/env")?;
    for (name, value) in [
        ("USER", "iain"),
        ("LOCAL", "Sales"),
        ("HOST", "Bar.com"),
        ("RECIPIENT", "Sales@Bar.com"),
        ("DTLINE", "Delivered-To: Sales@Bar.com\n"),
        ("RPLINE", "Return-Path: <who-ever@example.org>\n"),
        ("EXT", "work"),
        ("EXT2", ""),
        ("SENDER", "who-ever@example.org"),
        ("NEWSENDER", "Sales-owner@Bar.com"),
    ] {
        equal(name, variable(&environment, name), Some(value))?;
    }
    equal("DEFAULT", variable(&environment, "DEFAULT"), None)?;
    let head = format!("Return-Path: <who-ever@example.org>\nDelivered-To: Sales@Bar.com\n{MESSAGE}");
    equal("maildir", text_of(&site, "iain/Maildir/new")?, head.as_str())?;
    ensure(text_of(&site, "iain/box")?.contains(&head), "mbox")?;
    equal("program", text_of(&site, "iain/message")?, MESSAGE)?;
    let forwarded = Queued {
        sender: "Sales-owner@Bar.com".to_owned(),
        recipients: vec!["friend@example.org".to_owned()],
        message: format!("Delivered-To: Sales@Bar.com\n{MESSAGE}"),
    };
    equal("forwarded", queued, [forwarded])?;
    clear(&site)?;
    // The owner of the mailbox by its own name, and one with no extension.
    done("IAIN@bar.com", &mail(&site, "", "IAIN@bar.com")?)?;
    let text = text_of(&site, "iain/Mailbox")?;
    ensure(text.contains("\nReturn-Path: <>\nDelivered-To: IAIN@bar.com\n"), format!("mbox: {text}"))?;
    no_leak("IAIN@bar.com", &site, &[], "")
}

fn catch_all(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    site.sql("DELETE FROM alias WHERE username = 'virtual'")?;
    alias_rows(&site, &[["virtual", "@", "|", "env -0 >env"], ["virtual", "@", ".", "/Maildir/"]])?;
    for typed in ["Any.One-At-All", "x", "a=b", "=bar.com=x", "with@at", "iain", "-", "it's", "\u{e9}t\u{e9}"] {
        done(typed, &mail(&site, "s@example.org", &format!("{typed}@Virtual.com"))?)?;
        let environment = text_of(&site, "virtual/env")?;
        for (name, value) in [("LOCAL", typed), ("EXT", typed), ("DEFAULT", typed), ("HOST", "Virtual.com")] {
            equal(&format!("{name} of {typed}"), variable(&environment, name), Some(value))?;
        }
        let text = text_of(&site, "virtual/Maildir/new")?;
        ensure(text.contains(&format!("\nDelivered-To: {typed}@Virtual.com\n")), format!("{typed}: {text}"))?;
        clear(&site)?;
    }
    // The queue's form of another host's recipient is here one more name that somebody made up.
    done("forged", &mail(&site, "s@example.org", "=bar.com=-sales@virtual.com")?)?;
    equal("forged", places(&site)?, ["virtual/Maildir/new", "virtual/env"])
}

/// Everything that the alias user could catch mail with.
fn nets(site: &Site) -> Outcome {
    for name in [".qmail-default", ".qmail-=bar:com=-default", ".qmail-=bar:com=-nobody", ".qmail-nobody"] {
        write(site, &format!("alias/{name}"), "./Maildir/\n&evil@example.org\n")?;
    }
    alias_rows(site, &[[ALIAS, "@", "evil", "example.org"], [ALIAS, "=bar.com=-nobody", "evil", "example.org"]])
}

fn unknown(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    nets(&site)?;
    for unknown in ["nobody", "Nobody", "sales-x", "iain-work", "x", "", "bob", "=bar.com=-sales", "root"] {
        let report = mail(&site, "s@example.org", &format!("{unknown}@Bar.com"))?;
        equal(&format!("{unknown}@Bar.com"), (report.code, report.text.as_str()), (Some(100), NO_MAILBOX))?;
    }
    nothing(&site, "unknown recipients")
}

fn forged(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    nets(&site)?;
    for typed in ["=bar.com=-sales", "=bar.com=-iain", "=virtual.com=-x", "=bar.com=-nobody", "=virtual.com=-"] {
        let report = mail(&site, "s@example.org", &format!("{typed}@mail.test"))?;
        equal(typed, (report.code, report.text.as_str()), (Some(100), NO_MAILBOX))?;
        // As it would come by a line of the administrator's, or by one that has been changed.
        for domain in ["virtual.com", "bar.com"].into_iter().filter(|domain| !typed.contains(domain)) {
            let report = site.deliver(typed, domain, "s@example.org", MESSAGE.as_bytes())?;
            equal(&format!("{typed} for {domain}"), (report.code, report.text.as_str()), (Some(100), NO_MAILBOX))?;
        }
    }
    let report = mail(&site, "s@example.org", "=virtual.com=-x@bar.com")?;
    equal("at another virtual host", (report.code, report.text.as_str()), (Some(100), NO_MAILBOX))?;
    nothing(&site, "forged recipients")
}

fn wildcard(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    let file = site.path("q/control/virtualdomains");
    let lines = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("{lines}.wild.test:=.wild.test=\n"))?;
    virtual_rows(&site, &[["iain", "wild", "sales", ".wild.test"]])?;
    alias_rows(&site, &[["iain", "wild", "|", "env -0 >env"], ["iain", "wild", ".", "/Maildir/"]])?;
    for host in ["a.wild.test", "Deep.Below.Wild.Test"] {
        let report = mail(&site, "s@example.org", &format!("Sales@{host}"))?;
        done(host, &report)?;
        no_leak(host, &site, &[], &report.text)?;
        let environment = text_of(&site, "iain/env")?;
        equal("LOCAL", variable(&environment, "LOCAL"), Some("Sales"))?;
        equal("HOST", variable(&environment, "HOST"), Some(host))?;
        let text = text_of(&site, "iain/Maildir/new")?;
        ensure(text.contains(&format!("\nDelivered-To: Sales@{host}\n")), format!("{host}: {text}"))?;
        clear(&site)?;
    }
    for (local, domain) in [("=.wild.test=-sales", "wild.test"), ("=.wild.test=-sales", "evilwild.test")] {
        bounced(domain, &site.deliver(local, domain, "s@example.org", MESSAGE.as_bytes())?, NO_MAILBOX)?;
    }
    bounced("unknown", &mail(&site, "s@example.org", "other@a.wild.test")?, NO_MAILBOX)?;
    nothing(&site, "hosts beside the wildcard")?;
    done("a list's", &mail(&site, "list-@lists.test-@[]", "Sales@A.wild.test")?)?;
    let text = text_of(&site, "iain/Maildir/new")?;
    ensure(text.starts_with("Return-Path: <list-Sales=A.wild.test@lists.test>\n"), format!("a list's: {text}"))
}

fn postmaster(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    bounced("nobody's", &mail(&site, "s@example.org", "Postmaster@bar.com")?, NO_MAILBOX)?;
    write(&site, "alias/.qmail-postmaster", "./Maildir/\n")?;
    write(&site, "alias/.qmail-=bar:com=-postmaster", "./wrong\n")?;
    done("a file", &mail(&site, "s@example.org", "Postmaster@bar.com")?)?;
    let text = text_of(&site, "alias/Maildir/new")?;
    ensure(text.contains("\nDelivered-To: Postmaster@bar.com\n"), format!("a file: {text}"))?;
    clear(&site)?;
    alias_rows(&site, &[[ALIAS, "postmaster", "iain", "bar.com"]])?;
    let turns = follow(&site, "s@example.org", "POSTMASTER@bar.com", MESSAGE, 5)?;
    equal("rows", letters(&turns)?, "KK")?;
    equal("rows", places(&site)?, ["iain/Mailbox"])?;
    no_leak("rows", &site, &[], "")?;
    clear(&site)?;
    virtual_rows(&site, &[["bob", "", "postmaster", "bar.com"]])?;
    done("a row of its own", &mail(&site, "s@example.org", "postmaster@bar.com")?)?;
    equal("a row of its own", places(&site)?, ["bob/Mailbox"])
}

fn old_data(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    virtual_rows(&site, &[["iain", "work", "real", "bar.com"], ["nobody", "list", "news", "bar.com"]])?;
    alias_rows(
        &site,
        &[
            [ALIAS, "info@bar.com", "real", "bar.com"],
            [ALIAS, "nobody-list", "|", "env -0 >env"],
            [ALIAS, "nobody-list", "info", "bar.com"],
            [ALIAS, "nobody-list-owner", ".", "/Maildir/"],
        ],
    )?;
    let turns = follow(&site, "s@example.org", "Info@Bar.com", MESSAGE, 5)?;
    equal("info", letters(&turns)?, "KK")?;
    let text = text_of(&site, "iain/Maildir/new")?;
    let head = "Return-Path: <s@example.org>\nDelivered-To: real@bar.com\nDelivered-To: Info@Bar.com\n";
    equal("info", text, format!("{head}{MESSAGE}"))?;
    no_leak("info", &site, &[], "")?;
    clear(&site)?;
    let turns = follow(&site, "s@example.org", "News@bar.com", MESSAGE, 5)?;
    equal("news", letters(&turns)?, "KKK")?;
    let senders: Vec<_> = turns.iter().map(|turn| turn.sender.as_str()).collect();
    equal("news", senders, ["s@example.org", "News-owner@bar.com", "News-owner@bar.com"])?;
    let environment = text_of(&site, "alias/env")?;
    for (name, value) in [("LOCAL", "News"), ("EXT", "nobody-list"), ("RECIPIENT", "News@bar.com"), ("USER", ALIAS)] {
        equal(name, variable(&environment, name), Some(value))?;
    }
    no_leak("news", &site, &[], "")?;
    for turn in &turns {
        no_leak("news", &site, &[], &format!("{turn:?}"))?;
    }
    // The row is the address's and not a name that can be typed at a local host.
    clear(&site)?;
    for typed in ["nobody-here", "info@bar.com", &format!("{ALIAS}-info@bar.com"), "info"] {
        bounced(typed, &mail(&site, "s@example.org", &format!("{typed}@mail.test"))?, NO_MAILBOX)?;
    }
    nothing(&site, "typed at a local host")
}

fn removed(store: Store) -> Outcome {
    for (setting, ends) in [("", 'Z'), ("[rules]\nremoved_host = \"bounce\"", 'D')] {
        let site = store.site(setting)?;
        let _daemon = site.start()?;
        nets(&site)?;
        // It was routed before its rows went.
        let delivery = site.routed("=bar.com=-sales", "bar.com", "s@example.org")?.ok_or("qmail-getpw defers")?;
        site.sql("DELETE FROM `virtual` WHERE virtual_host = 'bar.com'")?;
        let late = delivery.run(&site)?;
        equal(&format!("{setting:?}, routed before: {late:?}"), late.letter()?, ends_late(ends))?;
        let report = mail(&site, "s@example.org", "sales@bar.com")?;
        equal(&format!("{setting:?}: {report:?}"), report.letter()?, ends)?;
        clear_own(&site)?;
    }
    Ok(())
}

/// Mail that was routed to iain before his host went is his or waits; the alias user never gets it.
fn ends_late(ends: char) -> char {
    if ends == 'Z' { 'Z' } else { 'K' }
}

fn clear_own(site: &Site) -> Result<(), Failed> {
    let strangers: Vec<_> = places(site)?.into_iter().filter(|place| !place.starts_with("iain/")).collect();
    equal("delivered", strangers, Vec::<String>::new())?;
    equal("forwarded", site.queued()?, vec![])
}
