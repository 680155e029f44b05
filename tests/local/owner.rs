//! Owners of lists (rule A5) and senders that name their recipient (VERP).

use super::post::{MESSAGE, follow, letters, mail};
use super::world::{Store, alias_rows, clear, done, places, text_of, variable, virtual_rows, write};
use super::{both, sqlite};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::Site;

pub(super) fn trials() -> Vec<Trial> {
    let mut all = vec![
        sqlite("owner::of_a_name_without_extension_and_of_the_whole_extension", whole),
        sqlite("owner::is_never_the_default", never_default),
        sqlite("owner::changes_neither_bounces_nor_return_paths", untouched),
    ];
    all.extend(both("owner::may_be_a_row_or_a_file_and_so_may_its_default", combinations));
    all.extend(both("owner::senders_of_lists_show_no_encoding", verp));
    all
}

/// Where something is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Nowhere,
    Row,
    File,
}

fn put(site: &Site, at: Where, ext: &str, to: [&str; 2]) -> Outcome {
    match at {
        Where::Nowhere => Ok(()),
        Where::Row => alias_rows(site, &[["iain", ext, to[0], to[1]]]),
        Where::File => write(site, &format!("iain/.qmail-{ext}"), &format!("&{}@{}\n", to[0], to[1])),
    }
}

/// The sender of the one message that mail for `recipient` becomes.
fn forwarded_as(site: &Site, sender: &str, recipient: &str) -> Result<String, Failed> {
    done(recipient, &mail(site, sender, recipient)?)?;
    match &site.queued()?[..] {
        [queued] => Ok(queued.sender.clone()),
        other => Err(format!("{recipient}: not one message: {other:?}").into()),
    }
}

fn combinations(store: Store) -> Outcome {
    use Where::{File, Nowhere, Row};
    let site = store.site("")?;
    let _daemon = site.start()?;
    for list in [Row, File] {
        for owner in [Nowhere, Row, File] {
            for default in [Nowhere, Row, File] {
                site.sql("DELETE FROM alias WHERE username = 'iain'")?;
                for name in [".qmail-list", ".qmail-list-owner", ".qmail-list-owner-default"] {
                    drop(std::fs::remove_file(site.path("homes/iain").join(name)));
                }
                put(&site, list, "list", ["friend", "example.org"])?;
                put(&site, owner, "list-owner", ["boss", "example.org"])?;
                put(&site, default, "list-owner-default", ["boss", "example.org"])?;
                let right = match (owner, default) {
                    (Nowhere, _) => "s@example.org",
                    (_, Nowhere) => "Iain-List-owner@Mail.test",
                    (_, _) => "Iain-List-owner-@Mail.test-@[]",
                };
                let what = format!("list {list:?}, owner {owner:?}, default {default:?}");
                equal(&what, forwarded_as(&site, "s@example.org", "Iain-List@Mail.test")?.as_str(), right)?;
                for bounce in ["", "#@[]"] {
                    equal(&what, forwarded_as(&site, bounce, "Iain-List@Mail.test")?.as_str(), bounce)?;
                }
            }
        }
    }
    Ok(())
}

fn whole(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    site.sql("DELETE FROM alias WHERE username = 'bob'")?;
    let friend = |alias: &'static str| ["bob", alias, "friend", "example.org"];
    alias_rows(&site, &[friend(""), friend("owner"), friend("@"), friend("a-b-owner"), friend("a-owner")])?;
    equal("bob", forwarded_as(&site, "s@example.org", "Bob@mail.test")?.as_str(), "Bob-owner@mail.test")?;
    // The rows of @ are used, and the owner is still that of the extension itself.
    equal("bob-a-b", forwarded_as(&site, "s@example.org", "bob-a-b@mail.test")?.as_str(), "bob-a-b-owner@mail.test")?;
    equal("bob-a-c", forwarded_as(&site, "s@example.org", "bob-a-c@mail.test")?.as_str(), "s@example.org")?;
    alias_rows(&site, &[friend("owner-default")])?;
    equal("bob", forwarded_as(&site, "s@example.org", "bob@mail.test")?.as_str(), "bob-owner-@mail.test-@[]")?;
    // Dots of an extension are colons in the file's name, and dots in the row.
    write(&site, "bob/.qmail-x:y-owner", "&friend@example.org\n")?;
    equal("bob-x.y", forwarded_as(&site, "s@example.org", "bob-X.y@mail.test")?.as_str(), "bob-X.y-owner@mail.test")?;
    alias_rows(&site, &[friend("z.z-owner")])?;
    equal("bob-z.z", forwarded_as(&site, "s@example.org", "bob-z.Z@mail.test")?.as_str(), "bob-z.Z-owner@mail.test")
}

fn never_default(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    site.sql("DELETE FROM alias WHERE username = 'bob'")?;
    alias_rows(&site, &[["bob", "@", "friend", "example.org"]])?;
    write(&site, "bob/.qmail-default", "&friend@example.org\n")?;
    write(&site, "bob/.qmail-list-default", "&friend@example.org\n")?;
    for local in ["bob-list", "bob-x", "bob-owner", "bob-list-owner"] {
        let recipient = format!("{local}@mail.test");
        equal(local, forwarded_as(&site, "s@example.org", &recipient)?.as_str(), "s@example.org")?;
    }
    // A default of the owner alone is none either.
    alias_rows(&site, &[["bob", "list-owner-default", "friend", "example.org"]])?;
    equal("bob-list", forwarded_as(&site, "s@example.org", "bob-list@mail.test")?.as_str(), "s@example.org")
}

fn untouched(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    alias_rows(
        &site,
        &[
            ["iain", "list", "|", "env -0 >env"],
            ["iain", "list", ".", "/Maildir/"],
            ["iain", "list", "friend", "example.org"],
            ["iain", "list-owner", "boss", "example.org"],
        ],
    )?;
    for (sender, new) in [("s@example.org", "iain-list-owner@mail.test"), ("", ""), ("#@[]", "#@[]")] {
        equal(sender, forwarded_as(&site, sender, "iain-list@mail.test")?.as_str(), new)?;
        let environment = text_of(&site, "iain/env")?;
        equal("SENDER", variable(&environment, "SENDER"), Some(sender))?;
        equal("NEWSENDER", variable(&environment, "NEWSENDER"), Some(new))?;
        let text = text_of(&site, "iain/Maildir/new")?;
        ensure(text.starts_with(&format!("Return-Path: <{sender}>\n")), format!("{sender:?}: {text}"))?;
        clear(&site)?;
    }
    Ok(())
}

fn verp(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    virtual_rows(&site, &[["iain", "list", "list", "bar.com"]])?;
    alias_rows(
        &site,
        &[
            ["iain", "list", "Sales", "Bar.com"],
            ["iain", "list", "bob", "mail.test"],
            ["iain", "list", "friend", "example.org"],
            ["iain", "list-owner", ".", "/Maildir/"],
            ["iain", "list-owner-default", ".", "/Maildir/"],
        ],
    )?;
    let turns = follow(&site, "s@example.org", "list@bar.com", MESSAGE, 6)?;
    equal("letters", letters(&turns)?, "KKKR")?;
    for turn in turns.iter().skip(1) {
        equal(&turn.recipient, turn.sender.as_str(), "list-owner-@bar.com-@[]")?;
    }
    equal("places", places(&site)?, ["bob/Mailbox", "iain/Maildir/new"])?;
    let sales = text_of(&site, "iain/Maildir/new")?;
    ensure(sales.starts_with("Return-Path: <list-owner-Sales=Bar.com@bar.com>\n"), format!("Sales: {sales}"))?;
    let bob = text_of(&site, "bob/Mailbox")?;
    ensure(bob.contains("\nReturn-Path: <list-owner-bob=mail.test@bar.com>\n"), format!("bob: {bob}"))?;
    ensure(!sales.contains("=bar.com=") && !bob.contains("=bar.com=-"), "the queue's form is shown")
}
