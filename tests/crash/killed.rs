//! Killed at any system call.

use super::ground::{Ground, Kind, for_each, message};
use super::{Shared, strace, traced};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure};
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) fn trials(shared: &Shared) -> Vec<Trial> {
    let trial = |kind: Kind| {
        let name = format!("killed::at_any_call_a_delivery_is_whole_or_comes_again::{}", kind.ext());
        traced(&name, shared, move |ground| killed(ground, kind))
    };
    Kind::EACH.map(trial).into()
}

fn killed(ground: &Ground, kind: Kind) -> Outcome {
    let message = message(100_000);
    let (calls, hits) = (strace::calls(ground, kind, &message)?, AtomicUsize::new(0));
    for_each(&calls, 4, |(call, n)| {
        let home = ground.home()?;
        let at = format!("{} killed at {call} {n}", kind.ext());
        let mut delivery = ground.delivery(&home, kind.ext(), &message);
        strace::under(&mut delivery, &home, &format!("-e inject={call}:signal=SIGKILL:when={n}"));
        let report = delivery.run(&ground.site)?;
        let of = |failed: libtest_mimic::Failed| format!("{at}: {}: {report:?}", failed.message().unwrap_or_default());
        hits.fetch_add(usize::from(strace::log(&home)?.contains("killed by SIGKILL")), Ordering::Relaxed);
        let letter = report.letter()?;
        ensure(letter != 'D', format!("{at}: bounced: {report:?}"))?;
        let copies = home.copies(kind.ext(), &message).map_err(of)?;
        if letter == 'K' {
            copies.of(kind).map_err(of)?;
        }
        Ok(ground.retry(&home, kind, &message).map_err(of)?)
    })?;
    let (hits, all) = (hits.into_inner(), calls.len());
    ensure(hits * 10 >= all * 9, format!("only {hits} of {all} were killed"))
}
