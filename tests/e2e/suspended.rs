//! Mail for suspended mailboxes, and what the alias user's default file catches.

use super::Alone;
use super::ground::{Ground, Right, Store, all_end, ended, to};
use qmail_lookup_tests::check::{Outcome, equal};

pub(super) const ALONE: &[Alone] = &[
    ("suspended::waits_or_bounces_or_is_delivered_as_it_is_set", suspended),
    ("default_file::catches_unknown_local_names_and_no_virtual_ones", default_file),
];

const BOUNCED: &str = "Sorry, this mailbox is suspended. (#5.2.1)\n";

fn suspended(store: Store) -> Outcome {
    let ground = Ground::new(store, "[rules]\nsuspended_mail = \"defer\"")?;
    ground.virtual_rows(&[["gone", "bar.com", "suspended", ""]])?;
    let first = ground.mail(&["suspended@mail.test", "gone@bar.com"])?;
    let waiting = ["=bar.com=-gone@bar.com", "suspended@mail.test"].map(str::to_owned);
    equal("waiting", (first.waiting, first.bounces, first.places), (waiting.to_vec(), vec![], vec![]))?;
    // The same mail, under another setting.
    reconfigured(&ground, "bounce")?;
    ground.qmail.retry()?;
    ground.qmail.settle()?;
    let bounces = ground.qmail.bounces()?;
    let mut recipients: Vec<_> =
        bounces.iter().map(|bounce| (bounce.recipient.as_str(), bounce.text.as_str())).collect();
    recipients.sort_unstable();
    equal("bounced", recipients, vec![("gone@bar.com", BOUNCED), ("suspended@mail.test", BOUNCED)])?;
    reconfigured(&ground, "deliver")?;
    let ends = ground.mail(&["suspended@mail.test", "gone@bar.com"])?;
    ended("delivered", &ends, &to(&["suspended/Mailbox", "suspended/Mailbox"]))
}

fn reconfigured(ground: &Ground, setting: &str) -> Outcome {
    let config = ground.site.config();
    let text = std::fs::read_to_string(&config)?;
    let lines = text.lines().map(|line| match line.starts_with("suspended_mail") {
        true => format!("suspended_mail = \"{setting}\"\n"),
        false => format!("{line}\n"),
    });
    std::fs::write(config, lines.collect::<String>())?;
    let daemon = ground.daemon.as_ref().ok_or("no daemon")?;
    let before = daemon.log().len();
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while daemon.log().len() == before && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Ok(())
}

fn default_file(store: Store) -> Outcome {
    let ground = Ground::new(store, "")?;
    ground.write("alias/.qmail-default", "./all\n")?;
    let no = |recipient| Right { bounced: recipient, ..Right::default() };
    all_end(
        &ground,
        &[
            ("who-ever@mail.test", to(&["alias/all"])),
            ("nobody@bar.com", no(&[("nobody@bar.com", "(#5.1.1)")])),
            ("=bar.com=-x@mail.test", no(&[("=bar.com=-x@mail.test", "(#5.1.1)")])),
            ("iain-none@mail.test", no(&[("iain-none@mail.test", "(#5.1.1)")])),
        ],
    )
}
