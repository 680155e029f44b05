//! Rows that change between qmail-getpw and qmail-local: whoever was known all the time is never told to be unknown.

use super::post::mail;
use super::sqlite;
use super::world::{Store, alias_rows, clear, deferred, done, nothing, places, virtual_rows, write};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{ALIAS, Local, Site};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        sqlite("changes::of_the_owner_give_nobody_the_mail_of_others", owner),
        sqlite("changes::of_a_mailbox_that_goes_or_comes_bounce_nothing", mailbox),
        sqlite("changes::of_what_the_alias_user_has_bounce_nothing", alias_user),
        sqlite("changes::of_magic_forwarding_bounce_nothing", magic),
        sqlite("changes::of_an_unknown_recipient_that_becomes_known_wait", known),
    ]
}

fn routed(site: &Site, local: &str, domain: &str) -> Result<Local, Failed> {
    site.routed(local, domain, "s@example.org")?.ok_or_else(|| "qmail-getpw defers".into())
}

fn owner(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    let sales = routed(&site, "=bar.com=-Sales", "bar.com")?;
    site.sql("UPDATE `virtual` SET username = 'bob', ext = 'x' WHERE virtual_username = 'sales'")?;
    deferred("bob's now", &sales.run(&site)?, "Unable to look up how mail is delivered")?;
    nothing(&site, "bob's now")?;
    done("routed anew", &mail(&site, "s@example.org", "Sales@bar.com")?)?;
    equal("routed anew", places(&site)?, ["bob/Catchall/new"])?;
    clear(&site)?;
    // Nobody's now: the one who had it gets it.
    site.sql("DELETE FROM `virtual` WHERE virtual_username = 'sales'")?;
    done("as routed", &sales.run(&site)?)?;
    equal("as routed", places(&site)?, ["iain/Maildir/new"])
}

fn mailbox(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    let (work, jones) = (routed(&site, "iain-work", "mail.test")?, routed(&site, "bob-jones", "mail.test")?);
    let home = site.path("homes/bob-smith").display().to_string();
    site.sql(&format!(
        "DELETE FROM mailbox WHERE username = 'iain';
         INSERT INTO mailbox (username, uid, gid, home, password, password_type, suspended)
         VALUES ('bob-jones', '20003', '20003', '{home}', 'x', 'Password', 'N')"
    ))?;
    deferred("iain is gone", &work.run(&site)?, "(#4.3.0)")?;
    nothing(&site, "iain is gone")?;
    deferred("bob's before", &jones.run(&site)?, "Unable to look up how mail is delivered")?;
    nothing(&site, "bob's before")?;
    done("his own now", &mail(&site, "s@example.org", "bob-jones@mail.test")?)?;
    equal("his own now", places(&site)?, ["bob-smith/Mailbox"])
}

/// Not a bounce: delivered, or tried again, and then it is routed anew.
fn no_bounce(site: &Site, what: &str, delivery: &Local) -> Outcome {
    let report = delivery.run(site)?;
    ensure(report.letter()? != 'D', format!("{what}: {report:?}"))?;
    equal(&format!("{what}: {report:?}"), report.letter()? == 'K', places(site)? != Vec::<String>::new())?;
    clear(site)
}

/// Old data is put in order: an alias of the alias user becomes a mailbox's.
fn alias_user(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    write(&site, "alias/.qmail-nobody-files", "./Maildir/\n")?;
    alias_rows(&site, &[[ALIAS, "info@bar.com", "real", "bar.com"]])?;
    virtual_rows(&site, &[["nobody", "files", "files", "bar.com"]])?;
    let info = routed(&site, "=bar.com=-info", "bar.com")?;
    let files = routed(&site, "=bar.com=-files", "bar.com")?;
    site.sql("UPDATE `virtual` SET username = 'iain', ext = 'work' WHERE virtual_username IN ('info', 'files')")?;
    site.sql(&format!("DELETE FROM alias WHERE username = '{ALIAS}'"))?;
    no_bounce(&site, "files", &files)?;
    no_bounce(&site, "info", &info)?;
    for recipient in ["info@bar.com", "files@bar.com"] {
        done(recipient, &mail(&site, "s@example.org", recipient)?)?;
        equal(recipient, places(&site)?, ["iain/Maildir/new"])?;
        clear(&site)?;
    }
    Ok(())
}

fn magic(store: Store) -> Outcome {
    let site = store.site("[rules]\nmagic_forwarding = true")?;
    let _daemon = site.start()?;
    virtual_rows(&site, &[["forward", "friend@example.org", "away", "bar.com"]])?;
    let away = routed(&site, "=bar.com=-away", "bar.com")?;
    site.sql("UPDATE `virtual` SET username = 'iain', ext = 'work' WHERE virtual_username = 'away'")?;
    no_bounce(&site, "back from abroad", &away)?;
    let back = routed(&site, "=bar.com=-away", "bar.com")?;
    site.sql("UPDATE `virtual` SET username = 'forward', ext = 'friend@example.org' WHERE virtual_username = 'away'")?;
    no_bounce(&site, "abroad again", &back)
}

fn known(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    write(&site, "alias/.qmail-default", "./wrong\n")?;
    let new = routed(&site, "=bar.com=-new", "bar.com")?;
    virtual_rows(&site, &[["iain", "work", "new", "bar.com"]])?;
    deferred("new", &new.run(&site)?, "(#4.3.0)")?;
    nothing(&site, "new")?;
    done("new", &mail(&site, "s@example.org", "new@bar.com")?)?;
    equal("new", places(&site)?, ["iain/Maildir/new"])
}
