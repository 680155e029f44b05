//! Long messages in little memory.

use super::ground::{Ground, Kind, for_each, message};
use super::running::Running;
use super::{Shared, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure};

/// Length of a long message. Unit: bytes.
const LONG: usize = 50_000_000;

/// What a long message may need more than a short one. Unit: bytes.
const MORE: u64 = 2_000_000;

/// The whole address space of qmail-local and of what it runs. Unit: kB. The shell and cat need most of it.
const SPACE: &str = "ulimit -v 12000";

pub(super) fn trials(shared: &Shared) -> Vec<Trial> {
    let kinds: [(&str, fn() -> Vec<u8>); 3] = [
        ("memory::a_message_of_50_mb_needs_no_more", || message(LONG)),
        ("memory::a_line_of_50_mb_needs_no_more", || one_line(b'x')),
        ("memory::a_line_of_50_mb_of_quote_marks_needs_no_more", || one_line(b'>')),
    ];
    let mut trials: Vec<Trial> =
        kinds.map(|(name, make)| trial(name, shared, move |ground| all_kinds(ground, &make()))).into();
    trials.push(trial("memory::too_little_of_it_never_bounces", shared, too_little));
    trials
}

/// From where it just starts to where it has enough.
fn too_little(ground: &Ground) -> Outcome {
    let limits: Vec<u32> = (1500..2600).step_by(20).collect();
    let text = message(200_000);
    for kind in [Kind::Mbox, Kind::Maildir] {
        for_each(&limits, 4, |limit| {
            let home = ground.home()?;
            let mut delivery = ground.delivery(&home, kind.ext(), &text);
            delivery.before = format!("ulimit -v {limit}");
            let report = delivery.run(&ground.site)?;
            let copies = home.copies(kind.ext(), &text)?;
            match report.letter()? {
                'K' => copies.of(kind),
                'Z' => ground.retry(&home, kind, &text),
                _ => Err(format!("{} with {limit} kB: {report:?}", kind.ext()).into()),
            }
        })?;
    }
    Ok(())
}

fn one_line(byte: u8) -> Vec<u8> {
    let mut text = b"Subject: long\n\n".to_vec();
    text.resize(LONG, byte);
    // At the end it becomes clear whether the marks are to be one more.
    if byte == b'>' {
        text.extend_from_slice(b"From here\n");
    }
    text
}

fn all_kinds(ground: &Ground, long: &[u8]) -> Outcome {
    for kind in Kind::SINGLE {
        let before = peak(ground, kind, &message(1000), ":")?;
        let after = peak(ground, kind, long, ":")?;
        let what = kind.ext();
        ensure(after <= before + MORE, format!("{what}: {after} bytes of memory, for a short message {before}"))?;
        peak(ground, kind, long, SPACE)?;
    }
    Ok(())
}

/// Most memory that qmail-local itself has used, as far as seen: it is looked at every millisecond.
fn peak(ground: &Ground, kind: Kind, message: &[u8], before: &str) -> Result<u64, Failed> {
    let home = ground.home()?;
    let mut delivery = ground.delivery(&home, kind.ext(), message);
    before.clone_into(&mut delivery.before);
    let mut running = Running::start(&delivery, &ground.site)?;
    let most = std::cell::Cell::new(0);
    running.wait_until(|running| {
        most.set(most.get().max(running.peak().unwrap_or_default()));
        false
    })?;
    let report = running.end()?;
    ensure(report.code == Some(0), format!("{} with {before}: {report:?}", kind.ext()))?;
    home.copies(kind.ext(), message)?.of(kind)?;
    ensure(most.get() > 0 || message.len() < LONG, "it was over before it was looked at")?;
    Ok(most.get())
}
