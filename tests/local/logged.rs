//! What is wrong with rows stands in the daemon's log, whoever else asks how much of what.

use super::post::mail;
use super::sqlite;
use super::world::{Store, alias_rows, deferred, nothing, virtual_rows};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::rules::Deliver;
use qmail_lookup_core::wire::{deliver, socketmap};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{BOB, Site, as_user, connect, read_frame};
use std::io::Write;
use std::time::Instant;

pub(super) fn trials() -> Vec<Trial> {
    vec![sqlite("logged::one_user_with_many_names_does_not_hide_what_is_wrong_with_anothers_rows", flood)]
}

/// Questions of one user. More than the daemon remembers at a time of what it has said.
const QUESTIONS: usize = 400;

/// Bob asks about recipients of a host whose rows are wrong, each with a name of its own. All are told the same.
fn made_up(site: &Site, host: &str, names: std::ops::Range<usize>) -> Outcome {
    let mut stream = connect(&site.socket("lookup.sock"))?;
    let question = |n: usize| {
        let local = format!("={host}=-made-up-{n}").into_bytes();
        let asked = Deliver {
            user: b"bob".to_vec(),
            ext: local.clone(),
            local,
            dash: b"-".to_vec(),
            domain: host.into(),
            system_home: None,
            is_local: false,
        };
        let mut frame = Vec::new();
        socketmap::write_question(&mut frame, "deliver", &deliver::encode_question(&asked));
        frame
    };
    for n in names {
        stream.write_all(&question(n))?;
        let answer = String::from_utf8_lossy(&read_frame(&mut stream)?).into_owned();
        ensure(answer.starts_with("TEMP ") && !answer.contains("made-up"), format!("{n}: {answer}"))?;
    }
    Ok(())
}

fn flood(store: Store) -> Outcome {
    let site = store.site("")?;
    let daemon = site.start()?;
    // Different owners for one and the same name, and different extensions.
    virtual_rows(
        &site,
        &[
            ["iain", "", "", "two.test"],
            ["bob", "", "", "two.test"],
            ["iain", "a", "", "exts.test"],
            ["iain", "b", "", "exts.test"],
        ],
    )?;
    alias_rows(&site, &[["iain", "bad", "", ""]])?;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let half = QUESTIONS / 2;
        let asking = [("two.test", 0..half), ("exts.test", half..QUESTIONS)]
            .map(|(host, names)| scope.spawn(|| as_user(BOB, || made_up(&site, host, names))));
        asking.into_iter().try_for_each(|thread| thread.join().map_err(|_| Failed::from("a thread panicked"))?)
    })?;
    // At once, while all of it is remembered.
    deferred("iain", &mail(&site, "s@example.org", "iain-bad@mail.test")?, "(#4.3.0)")?;
    nothing(&site, "rows that are wrong")?;
    let log = daemon.log();
    let of_iain = log.lines().any(|line| line.contains("misconfigur") && line.contains("(iain, bad)"));
    ensure(of_iain, format!("what is wrong with iain's rows is not in the log: {log}"))?;
    let made_up = log.lines().filter(|line| line.contains("no answer") && line.contains("made-up-")).count();
    let seconds = usize::try_from(begun.elapsed().as_secs())?;
    ensure(made_up >= 1, format!("bob's questions are not in the log: {log}"))?;
    ensure(made_up <= seconds + 2, format!("{made_up} lines for the made-up names in {seconds} s: {log}"))?;
    equal("the daemon is there", daemon.lookup("rcpthosts", b"nowhere.test")?, b"NOTFOUND ".to_vec())
}
