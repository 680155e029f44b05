//! Nobody knows how mail is delivered: all of it waits, none bounces, and afterwards all of it is delivered, once.

use super::Alone;
use super::ground::{Ground, Right, Store, ended, to, unknown};
use libtest_mimic::Failed;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::time::{Duration, Instant};

pub(super) const ALONE: &[Alone] = &[
    ("outage::of_the_store_makes_all_mail_wait_until_it_is_back", store_gone),
    ("outage::of_the_daemon_makes_all_mail_wait_until_it_is_back", daemon_gone),
    ("outage::restarts_of_the_daemon_and_of_qmail_send_lose_nothing", restarts),
];

/// Makes the stores give up soon.
const QUICK: &str = "[store]\ndeadline = \"1s\"";

/// Longest way back of a store.
const RECOVERY: Duration = Duration::from_secs(60);

fn queue() -> Vec<(&'static str, Right<'static>)> {
    vec![
        ("iain@mail.test", to(&["iain/Mailbox"])),
        ("iain-work@mail.test", to(&["iain/Maildir/new"])),
        ("iain-file@mail.test", to(&["iain/file"])),
        ("bob-any@mail.test", to(&["bob/Catchall/new"])),
        ("sales@bar.com", to(&["iain/Maildir/new"])),
        ("any.one@virtual.com", to(&["virtual/Maildir/new"])),
        ("known@mail.test", to(&["alias/known"])),
        ("nobody@mail.test", unknown(&[("nobody@mail.test", "(#5.1.1)")])),
        ("nobody@bar.com", unknown(&[("nobody@bar.com", "(#5.1.1)")])),
    ]
}

fn ground(store: Store) -> Result<Ground, Failed> {
    let ground = Ground::new(store, QUICK)?;
    ground.write("iain/.qmail-file", "./file\n")?;
    ground.write("alias/.qmail-known", "./known\n")?;
    Ok(ground)
}

/// Puts all of it into the queue, where it has to stay.
fn all_wait(ground: &Ground) -> Result<Vec<String>, Failed> {
    let words = queue().iter().map(|(recipient, _)| ground.inject(&[recipient])).collect::<Result<Vec<_>, _>>()?;
    for round in 0..2 {
        if round > 0 {
            ground.qmail.retry()?;
        }
        ground.qmail.settle()?;
        let bounced: Vec<_> =
            ground.qmail.bounces()?.into_iter().map(|bounce| (bounce.recipient, bounce.text)).collect();
        equal("bounced", bounced, Vec::<(String, String)>::new())?;
        for ((recipient, _), word) in queue().iter().zip(&words) {
            let ends = ground.qmail.ends(word)?;
            equal(recipient, (ends.places, ends.waiting.len()), (vec![], 1))?;
        }
    }
    Ok(words)
}

/// All of it ends as it should, each once.
fn all_end(ground: &Ground, words: &[String]) -> Outcome {
    let until = Instant::now() + RECOVERY;
    loop {
        ground.qmail.retry()?;
        ground.qmail.settle()?;
        let left = ground.qmail.deferred()?;
        if left.is_empty() {
            break;
        }
        ensure(Instant::now() < until, format!("{left:?} still wait"))?;
        std::thread::sleep(Duration::from_millis(200));
    }
    for ((recipient, right), word) in queue().iter().zip(words) {
        ended(recipient, &ground.qmail.ends(word)?, right)?;
    }
    Ok(())
}

fn store_gone(store: Store) -> Outcome {
    let ground = ground(store)?;
    ground.site.store(false)?;
    let words = all_wait(&ground);
    ground.site.store(true)?;
    all_end(&ground, &words?)
}

fn daemon_gone(store: Store) -> Outcome {
    let mut ground = ground(store)?;
    ground.daemon.take().ok_or("no daemon")?.kill();
    let words = all_wait(&ground)?;
    ground.daemon = Some(ground.site.start()?);
    all_end(&ground, &words)
}

fn restarts(store: Store) -> Outcome {
    let mut ground = ground(store)?;
    let words = queue().iter().map(|(recipient, _)| ground.inject(&[recipient])).collect::<Result<Vec<_>, _>>()?;
    ground.daemon.take().ok_or("no daemon")?.stop();
    let more = queue().iter().map(|(recipient, _)| ground.inject(&[recipient])).collect::<Result<Vec<_>, _>>()?;
    ground.daemon = Some(ground.site.start()?);
    ground.qmail.settle()?;
    equal("deferred by a restart of the daemon", ground.qmail.deferred()?, Vec::<String>::new())?;
    for words in [&words, &more] {
        for ((recipient, right), word) in queue().iter().zip(words) {
            ended(recipient, &ground.qmail.ends(word)?, right)?;
        }
    }
    // Of what is under way when qmail-send is asked to end, all is seen to its end; the rest is found at the next start.
    let words = queue().iter().map(|(recipient, _)| ground.inject(&[recipient])).collect::<Result<Vec<_>, _>>()?;
    ground.qmail.stop();
    let more = queue().iter().map(|(recipient, _)| ground.inject(&[recipient])).collect::<Result<Vec<_>, _>>()?;
    ground.qmail.start()?;
    ground.qmail.settle()?;
    all_end(&ground, &words)?;
    all_end(&ground, &more)
}
