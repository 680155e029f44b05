//! Hosts that meet: a wildcard with a local host below it, and a host whose catch-all leads to the alias user. What
//! somebody types for the one is no way to the rows of the other (rules V1, V4, V5, A1).

use super::post::{MESSAGE, mail};
use super::world::{
    NO_MAILBOX, Store, alias_rows, bounced, clear, deferred, done, nothing, places, virtual_rows, write,
};
use super::{both, sqlite};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, equal};
use qmail_lookup_tests::site::{ALIAS, Site};
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    let mut all = vec![sqlite("hosts::that_are_local_below_a_wildcard_have_none_of_its_recipients", local_below)];
    all.extend(both("hosts::with_a_catch_all_for_the_alias_user_lead_to_no_other_address", alias_users));
    all
}

/// How long the daemon may go on with what it has read of control/locals, on a busy machine.
const READ_AGAIN: Duration = Duration::from_secs(20);

fn control(site: &Site, name: &str, text: &str) -> Outcome {
    Ok(std::fs::write(site.path("q/control").join(name), text)?)
}

fn local_below(store: Store) -> Outcome {
    let site = store.site("")?;
    control(&site, "locals", "mail.test\nmail.wild.test\n")?;
    control(&site, "virtualdomains", ".wild.test:=.wild.test=\n")?;
    virtual_rows(&site, &[["iain", "work", "sales", ".wild.test"], ["virtual", "@", "", ".wild.test"]])?;
    alias_rows(&site, &[[ALIAS, "@", ".", "/wrong"], [ALIAS, "=.wild.test=-sales", ".", "/wrong"]])?;
    write(&site, "alias/.qmail-default", "./wrong\n")?;
    let _daemon = site.start()?;
    for typed in
        ["=.wild.test=-sales", "=.wild.test=-Sales", "=.wild.test=-x", "=.wild.test=-", "=.wild.test=-postmaster"]
    {
        for host in ["mail.wild.test", "Mail.Wild.TEST"] {
            let report = mail(&site, "s@example.org", &format!("{typed}@{host}"))?;
            equal(&format!("{typed}@{host}"), (report.code, report.text.as_str()), (Some(100), NO_MAILBOX))?;
        }
    }
    nothing(&site, "typed at the local host")?;
    for (recipient, place) in [
        ("sales@a.wild.test", "iain/Maildir/new"),
        ("Sales@below.mail.Wild.test", "iain/Maildir/new"),
        ("x@a.wild.test", "virtual/Maildir/new"),
        // Nothing is wrong with the local host's own.
        ("iain@mail.wild.test", "iain/Mailbox"),
        ("sales@mail.wild.test", "alias/wrong"),
    ] {
        done(recipient, &mail(&site, "s@example.org", recipient)?)?;
        equal(recipient, places(&site)?, [place])?;
        clear(&site)?;
    }
    // Who cannot read what is local does not know.
    let read = || site.deliver("=.wild.test=-sales", "mail.wild.test", "s@example.org", MESSAGE.as_bytes());
    let until = Instant::now() + READ_AGAIN;
    let locals = site.path("q/control/locals");
    std::fs::rename(&locals, site.path("q/control/kept"))?;
    std::fs::create_dir(&locals)?;
    let mut report = read()?;
    while report.letter()? == 'D' && Instant::now() < until {
        report = read()?;
    }
    deferred("a folder", &report, "(#4.3.0)")?;
    nothing(&site, "a folder")?;
    // It is local no more: qmail-send itself sends its recipients by the wildcard.
    std::fs::remove_dir(&locals)?;
    control(&site, "locals", "mail.test\n")?;
    while report.letter()? != 'K' && Instant::now() < until {
        report = read()?;
    }
    done("local no more", &report)?;
    equal("local no more", places(&site)?, ["iain/Maildir/new"])
}

fn alias_users(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    site.sql("DELETE FROM `virtual` WHERE virtual_host = 'virtual.com'")?;
    virtual_rows(&site, &[[ALIAS, "@", "", "virtual.com"], ["nobody", "list", "news", "bar.com"]])?;
    let evil = |alias: &'static str| [ALIAS, alias, "evil", "example.org"];
    alias_rows(&site, &[evil("info@bar.com"), evil("news@bar.com"), evil("plain@bar.com"), evil("@bar.com")])?;
    // All of these are somebody's own, and lead there.
    alias_rows(&site, &[[ALIAS, "own", ".", "/own"], [ALIAS, "whole@virtual.com", ".", "/whole"]])?;
    for user in
        ["info@bar.com", "Info@Bar.com", "news@bar.com", "plain@bar.com", "@bar.com", "info@bar.com@virtual.com"]
    {
        for typed in [user.to_owned(), format!("{ALIAS}-{user}"), format!("=bar.com=-{user}")] {
            let report = mail(&site, "s@example.org", &format!("{typed}@virtual.com"))?;
            equal(&typed, (report.code, report.text.as_str()), (Some(100), NO_MAILBOX))?;
        }
    }
    nothing(&site, "addresses of another host")?;
    for (recipient, place) in [("Own@Virtual.com", "alias/own"), ("Whole@virtual.com", "alias/whole")] {
        done(recipient, &mail(&site, "s@example.org", recipient)?)?;
        equal(recipient, places(&site)?, [place])?;
        clear(&site)?;
    }
    // The addresses themselves, where they belong.
    done("info", &mail(&site, "s@example.org", "info@bar.com")?)?;
    done("news", &mail(&site, "s@example.org", "news@bar.com")?)?;
    equal("forwarded", site.queued()?.len(), 2)?;
    bounced("plain", &mail(&site, "s@example.org", "plain@bar.com")?, NO_MAILBOX)
}
