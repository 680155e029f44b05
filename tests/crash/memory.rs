//! Long messages in little memory.

use super::ground::{EARLIER, Ground, Home, Kind, entries, for_each, message};
use super::running::Running;
use super::{Shared, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Length of a long message. Unit: bytes.
const LONG: usize = 50_000_000;

/// What a long message may need more than a short one. Unit: bytes.
const MORE: u64 = 2_000_000;

/// The whole address space of qmail-local and of what it runs. Unit: kB. The shell and cat need most of it.
const SPACE: &str = "ulimit -v 12000";

type Make = fn() -> Vec<u8>;

pub(super) fn trials(shared: &Shared) -> Vec<Trial> {
    let kinds: [(&str, Make); 3] = [
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
        let (enough, noticed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        for_each(&limits, 4, |limit| {
            let home = ground.home()?;
            let mut delivery = ground.delivery(&home, kind.ext(), &text);
            delivery.before = format!("ulimit -v {limit}");
            let report = delivery.run(&ground.site)?;
            let copies = home.copies(kind.ext(), &text)?;
            match report.letter()? {
                'K' => {
                    enough.fetch_add(1, Ordering::Relaxed);
                    copies.of(kind)
                }
                'Z' => {
                    // With less than its main needs to begin, the kernel ends it.
                    noticed.fetch_add(usize::from(report.code == Some(111)), Ordering::Relaxed);
                    ground.retry(&home, kind, &text)
                }
                _ => Err(format!("{} with {limit} kB: {report:?}", kind.ext()).into()),
            }
        })?;
        let counts = (enough.into_inner(), noticed.into_inner());
        // A maildir needs hardly more than the program itself.
        ensure(
            counts.0 > 0 && (counts.1 > 0 || kind == Kind::Maildir),
            format!("{}: these limits show nothing: {counts:?}", kind.ext()),
        )?;
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

/// Most memory that qmail-local itself has used until it said that the message is delivered. Unit: bytes.
fn peak(ground: &Ground, kind: Kind, message: &[u8], before: &str) -> Result<u64, Failed> {
    let home = ground.home()?;
    let mut delivery = ground.delivery(&home, kind.ext(), message);
    before.clone_into(&mut delivery.before);
    let mut running = Running::start_to_wait(&delivery, &ground.site)?;
    let delivered = running.wait_until(|_| has_arrived(&home, kind, message.len()))?;
    let most = running.peak();
    let report = running.end()?;
    ensure(delivered && report.code == Some(0), format!("{} with {before}: {report:?}", kind.ext()))?;
    home.copies(kind.ext(), message)?.of(kind)?;
    most.ok_or_else(|| "nobody knows how much memory it used".into())
}

fn has_arrived(home: &Home, kind: Kind, length: usize) -> bool {
    let is_any = |folder: &str, begin: &str| {
        let found = entries(&home.path(folder)).unwrap_or_default();
        found.iter().any(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin)))
    };
    match kind {
        Kind::Mbox | Kind::All => {
            let found = std::fs::metadata(home.path("Mailbox")).map(|found| found.len()).unwrap_or_default();
            usize::try_from(found).is_ok_and(|found| found > length + EARLIER.len())
        }
        Kind::Maildir => is_any("Maildir/new", ""),
        Kind::Forward => is_any("queue", "done."),
        Kind::Program => is_any("", "got."),
    }
}
