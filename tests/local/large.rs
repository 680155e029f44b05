//! Sets of very many rows: a list of some thousands is none too long for a dot-qmail file, and so none for rows.

use super::post::mail;
use super::world::{Store, alias_rows, clear, deferred, done, nothing, places, text_of};
use super::{both, sqlite};
use libtest_mimic::Trial;
use qmail_lookup_core::wire::deliver::ANSWER_MAX;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::Site;

pub(super) fn trials() -> Vec<Trial> {
    let mut all = vec![
        sqlite("large::sets_above_the_limit_wait_and_the_log_says_why", limit),
        sqlite("large::sets_below_the_limit_are_carried_out", below),
    ];
    all.extend(both("large::lists_of_five_thousand_go_out_as_one_message", list));
    all
}

const SUBSCRIBERS: usize = 5000;

fn subscriber(n: usize) -> String {
    format!("somebody.with.a.name-{n:05}@department-{}.some-university.example.org", n % 100)
}

fn list(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    let row = |n: usize| {
        let address = subscriber(n);
        let (local, host) = address.split_once('@').unwrap_or_default();
        format!("('iain', 'list', '{local}', '{host}')")
    };
    let rows: Vec<_> = (0..SUBSCRIBERS).map(row).collect();
    site.sql(&format!("INSERT INTO alias (username, alias, alias_username, alias_host) VALUES {}", rows.join(", ")))?;
    alias_rows(&site, &[["iain", "list", ".", "/archive"], ["iain", "list-owner", ".", "/owner"]])?;
    let report = mail(&site, "s@example.org", "iain-list@mail.test")?;
    done("list", &report)?;
    ensure(report.text.starts_with("did 1+5000+0\nqp "), format!("{report:?}"))?;
    equal("archive", places(&site)?, ["iain/archive"])?;
    let [queued] = &site.queued()?[..] else { return Err("not one message for all subscribers".into()) };
    equal("sender", queued.sender.as_str(), "iain-list-owner@mail.test")?;
    let all: Vec<_> = (0..SUBSCRIBERS).map(subscriber).collect();
    ensure(queued.recipients == all, format!("{} recipients, not each once", queued.recipients.len()))
}

/// Length of one program. Unit: bytes. The kernel takes twice as much as one argument.
const PROGRAM: usize = 64_000;

/// Adds `count` long programs to the set `(iain, alias)`.
fn programs(site: &Site, alias: &str, count: usize) -> Outcome {
    let row = |n: usize| format!("('iain', '{alias}', '|', 'echo {n} >>ran; : {}')", "x".repeat(PROGRAM));
    let rows: Vec<_> = (0..count).map(row).collect();
    site.sql(&format!("INSERT INTO alias (username, alias, alias_username, alias_host) VALUES {}", rows.join(", ")))
}

fn limit(store: Store) -> Outcome {
    let site = store.site("")?;
    let daemon = site.start()?;
    programs(&site, "large", ANSWER_MAX / PROGRAM + 10)?;
    alias_rows(&site, &[["iain", "large", ".", "/box"], ["iain", "large", "friend", "example.org"]])?;
    deferred("too large", &mail(&site, "s@example.org", "iain-large@mail.test")?, "(#4.3.0)\n")?;
    nothing(&site, "too large")?;
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("alias rows of iain: too many for one delivery"));
    let line = line.ok_or_else(|| format!("not in the log: {log}"))?;
    ensure(line.contains("misconfigur"), format!("not called a misconfiguration: {line}"))?;
    // Mail of others, and the user's own for other names, is as it was.
    done("work", &mail(&site, "s@example.org", "iain-work@mail.test")?)?;
    equal("work", places(&site)?, ["iain/Maildir/new"])?;
    clear(&site)?;
    site.sql("DELETE FROM alias WHERE alias = 'large' AND alias_username = '|'")?;
    done("without programs", &mail(&site, "s@example.org", "iain-large@mail.test")?)?;
    equal("without programs", places(&site)?, ["iain/box"])
}

fn below(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    for (alias, count) in [("ten", 10), ("twenty", 20), ("most", ANSWER_MAX / (PROGRAM + 100))] {
        programs(&site, alias, count)?;
        alias_rows(&site, &[["iain", alias, ".", "/box"], ["iain", alias, "friend", "example.org"]])?;
        done(alias, &mail(&site, "s@example.org", &format!("iain-{alias}@mail.test"))?)?;
        equal(alias, places(&site)?, ["iain/box", "iain/ran"])?;
        equal(alias, text_of(&site, "iain/ran")?.lines().count(), count)?;
        equal(alias, site.queued()?.len(), 1)?;
        clear(&site)?;
    }
    Ok(())
}
