//! Lists whose senders name each recipient: what comes back finds its way to the rows of the list's owner, as it finds
//! its way to the file of that name (rules A1, A5).

use super::post::{MESSAGE, expanded, mail};
use super::world::{
    NO_MAILBOX, Store, alias_rows, bounced, clear, done, make_maildir, nothing, places, text_of, variable,
    virtual_rows, write,
};
use super::{both, sqlite};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, equal};
use qmail_lookup_tests::site::Site;

pub(super) fn trials() -> Vec<Trial> {
    let mut all = vec![
        sqlite("verp::bounces_of_a_list_at_a_virtual_host_come_back_by_a_pattern", patterns),
        sqlite("verp::bounces_of_a_list_in_files_come_back_to_its_file", files),
        sqlite("verp::rows_of_other_names_that_end_in_default_stand_for_themselves", others),
        sqlite("verp::the_longest_name_of_an_owner_is_the_one", longest),
    ];
    all.extend(both("verp::bounces_of_a_list_come_back_to_the_rows_of_its_owner", rows));
    all.extend(both("verp::bounces_of_a_list_at_a_virtual_host_come_back_by_the_catch_all", catch_all));
    all
}

/// Subscribers, and what stands for them in what comes back.
const SUBSCRIBERS: [[&str; 2]; 2] = [["friend", "ex.org"], ["Any.One-else", "Sub.Ex.org"]];

/// The program of the list's owner: it leaves what it was told in the home.
const PROGRAM: &str = "env -0 >env; cat >bounce";

/// The rows of a list that `user` has.
fn list(site: &Site, user: &str) -> Outcome {
    for [local, host] in SUBSCRIBERS {
        alias_rows(site, &[[user, "list", local, host]])?;
    }
    alias_rows(site, &[[user, "list-owner", ".", "/owner"], [user, "list-owner-default", "|", PROGRAM]])
}

/// A message to the list `local@domain` in the home `home` goes out, and comes back from every subscriber; `ext` is the
/// extension under which the home has the list.
fn round_trip(site: &Site, home: &str, local: &str, domain: &str, ext: &str) -> Outcome {
    done(local, &mail(site, "s@example.org", &format!("{local}@{domain}"))?)?;
    let [queued] = &site.queued()?[..] else { return Err("not one message for all subscribers".into()) };
    let mut to = queued.recipients.clone();
    to.sort();
    let mut right = SUBSCRIBERS.map(|[local, host]| format!("{local}@{host}"));
    right.sort();
    equal("subscribers", &to[..], &right[..])?;
    equal("sender", queued.sender.as_str(), format!("{local}-owner-@{domain}-@[]"))?;
    equal("the list itself", places(site)?, Vec::<String>::new())?;
    for [name, host] in SUBSCRIBERS {
        let back = expanded(&queued.sender, name, host);
        equal("expanded", back.as_str(), format!("{local}-owner-{name}={host}@{domain}"))?;
        for sender in ["", "#@[]", "mailer@ex.org"] {
            done(&back, &mail(site, sender, &back)?)?;
            equal(&format!("forwarded from {back}"), site.queued()?, vec![])?;
            equal(&back, places(site)?, [format!("{home}/bounce"), format!("{home}/env")])?;
            let environment = text_of(site, &format!("{home}/env"))?;
            let default = format!("{name}={host}");
            for (variable_name, value) in [
                ("DEFAULT", default.clone()),
                ("EXT", format!("{ext}-owner-{default}")),
                ("LOCAL", format!("{local}-owner-{default}")),
                ("HOST", domain.to_owned()),
                ("SENDER", sender.to_owned()),
                ("NEWSENDER", sender.to_owned()),
            ] {
                let found = variable(&environment, variable_name);
                equal(&format!("{variable_name} of {back}"), found, Some(value.as_str()))?;
            }
            equal(&back, text_of(site, &format!("{home}/bounce"))?, MESSAGE)?;
            clear(site)?;
        }
    }
    // Who writes to the owner writes to the owner.
    done("owner", &mail(site, "s@example.org", &format!("{local}-owner@{domain}"))?)?;
    equal("owner", places(site)?, [format!("{home}/owner")])?;
    clear(site)
}

fn rows(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    site.sql("DELETE FROM alias WHERE username = 'bob'")?;
    list(&site, "bob")?;
    round_trip(&site, "bob", "bob-list", "mail.test", "list")?;
    round_trip(&site, "bob", "Bob-List", "Mail.test", "List")?;
    // In front of the catch-all, which gets the rest.
    alias_rows(&site, &[["bob", "@", ".", "/Catchall/"]])?;
    write(&site, "bob/.qmail-list-owner-default", "./wrong\n")?;
    round_trip(&site, "bob", "bob-list", "mail.test", "list")?;
    for rest in
        ["bob-lists-owner-friend=ex.org", "bob-list-friend=ex.org", "bob-list-ownerfriend", "bob-x-list-owner-a=b"]
    {
        done(rest, &mail(&site, "", &format!("{rest}@mail.test"))?)?;
        equal(rest, places(&site)?, ["bob/Catchall/new"])?;
        clear(&site)?;
    }
    // Rows of one subscriber are before those of all.
    alias_rows(&site, &[["bob", "list-owner-friend=ex.org", ".", "/friends"]])?;
    done("friend", &mail(&site, "", "bob-list-owner-Friend=ex.org@mail.test")?)?;
    equal("friend", places(&site)?, ["bob/friends"])?;
    clear(&site)?;
    // A list that has all of the name.
    site.sql("DELETE FROM alias WHERE username = 'bob'")?;
    for [local, host] in SUBSCRIBERS {
        alias_rows(&site, &[["bob", "", local, host]])?;
    }
    alias_rows(&site, &[["bob", "owner", ".", "/owner"], ["bob", "owner-default", "|", PROGRAM]])?;
    done("bob", &mail(&site, "s@example.org", "bob@mail.test")?)?;
    let senders: Vec<_> = site.queued()?.into_iter().map(|queued| queued.sender).collect();
    equal("bob", senders, ["bob-owner-@mail.test-@[]"])?;
    done("bob", &mail(&site, "", "bob-owner-friend=ex.org@mail.test")?)?;
    equal("bob", variable(&text_of(&site, "bob/env")?, "DEFAULT"), Some("friend=ex.org"))
}

fn catch_all(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    site.sql("DELETE FROM alias WHERE username = 'virtual'")?;
    list(&site, "virtual")?;
    round_trip(&site, "virtual", "list", "virtual.com", "list")?;
    round_trip(&site, "virtual", "List", "Virtual.com", "List")?;
    alias_rows(&site, &[["virtual", "@", ".", "/Maildir/"]])?;
    round_trip(&site, "virtual", "list", "virtual.com", "list")
}

fn patterns(store: Store) -> Outcome {
    let site = store.site("[rules]\nvirtual_patterns = \"like\"")?;
    virtual_rows(&site, &[["bob", "@", "list", "bar.com"], ["bob", "@", "list-%", "bar.com"]])?;
    let _daemon = site.start()?;
    list(&site, "bob")?;
    round_trip(&site, "bob", "list", "bar.com", "list")?;
    round_trip(&site, "bob", "LIST", "BAR.com", "LIST")?;
    site.sql("DELETE FROM alias WHERE username = 'bob' AND alias = '@'")?;
    round_trip(&site, "bob", "list", "bar.com", "list")
}

fn files(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    virtual_rows(&site, &[["iain", "@", "", "bar.com"]])?;
    let subscribers = SUBSCRIBERS.map(|[local, host]| format!("&{local}@{host}\n")).concat();
    write(&site, "iain/.qmail-list", &subscribers)?;
    write(&site, "iain/.qmail-list-owner", "./owner\n")?;
    write(&site, "iain/.qmail-list-owner-default", &format!("|{PROGRAM}\n"))?;
    write(&site, "iain/.qmail-default", "./wrong\n")?;
    round_trip(&site, "iain", "iain-list", "mail.test", "list")?;
    round_trip(&site, "iain", "list", "bar.com", "list")
}

fn others(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    for alias in ["list-default", "default", "list-owners-default", "co-owner-x-default", "listowner-default"] {
        alias_rows(&site, &[["iain", alias, ".", "/named"]])?;
        done(alias, &mail(&site, "", &format!("iain-{alias}@mail.test"))?)?;
        equal(alias, places(&site)?, ["iain/named"])?;
        clear(&site)?;
    }
    for local in ["list-x", "x", "list-owners-x", "co-owner-x-y", "listowner-x", "list-owner"] {
        bounced(local, &mail(&site, "", &format!("iain-{local}@mail.test"))?, NO_MAILBOX)?;
    }
    nothing(&site, "names that nobody has")
}

fn longest(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    make_maildir(&site, "iain/Long")?;
    alias_rows(
        &site,
        &[
            ["iain", "a-owner-default", "|", "env -0 >short"],
            ["iain", "a-owner-b-owner-default", "|", "env -0 >long"],
            ["iain", "a-owner-b-owner-default", ".", "/Long/"],
        ],
    )?;
    for (local, place, default) in [
        ("iain-a-owner-c=ex.org", "iain/short", "c=ex.org"),
        ("iain-a-owner-b-c=ex.org", "iain/short", "b-c=ex.org"),
        ("iain-A-Owner-B-Owner-C=ex.org", "iain/long", "C=ex.org"),
        ("iain-a-owner-c-owner-d", "iain/short", "c-owner-d"),
    ] {
        done(local, &mail(&site, "", &format!("{local}@mail.test"))?)?;
        equal(local, variable(&text_of(&site, place)?, "DEFAULT"), Some(default))?;
        let at: &[&str] = if place == "iain/long" { &["iain/Long/new", place] } else { &[place] };
        equal(local, places(&site)?, at)?;
        clear(&site)?;
    }
    Ok(())
}
