//! A package's upgrade puts the stock programs back: virtual mail waits, and is delivered when `install` has run again.

use super::Alone;
use super::ground::{Ground, Store, ended, to, unknown};
use super::tool::{exits, install, tool};
use qmail_lookup_tests::check::{Outcome, ensure, equal};

pub(super) const ALONE: &[Alone] =
    &[("upgrade::of_qmail_makes_virtual_mail_wait_until_install_has_run_again", upgrade)];

fn upgrade(store: Store) -> Outcome {
    let ground = Ground::new(store, "")?;
    let control = |name: &str| ground.qmail.path("control").join(name);
    std::fs::write(control("virtualdomains"), "")?;
    std::fs::write(control("rcpthosts"), "mail.test\n")?;
    ground.site.remove(&qmail_lookup_tests::site::host_row(".wild.test"))?;
    ground.write("alias/.qmail-default", "./wrong\n")?;
    exits("install", &install(&ground.site)?, 0)?;
    exits("sync", &tool(&ground.site, &["sync"])?, 0)?;
    let mail = || {
        let to = ["sales@bar.com", "Any.one@virtual.com", "nobody@bar.com"];
        to.map(|recipient| ground.inject(&[recipient])).into_iter().collect::<Result<Vec<_>, _>>()
    };
    let right = [to(&["iain/Maildir/new"]), to(&["virtual/Maildir/new"]), unknown(&[("nobody@bar.com", "(#5.1.1)")])];
    let before = mail()?;
    ground.qmail.settle()?;
    for (word, right) in before.iter().zip(&right) {
        ended("before", &ground.qmail.ends(word)?, right)?;
    }
    ground.qmail.put_stock()?;
    let during = mail()?;
    for _ in 0..2 {
        ground.qmail.settle()?;
        for word in &during {
            let ends = ground.qmail.ends(word)?;
            equal(
                "during",
                (ends.places, ends.bounces, ends.relayed, ends.waiting.len()),
                (vec![], vec![], vec![], 1),
            )?;
        }
        ground.qmail.retry()?;
    }
    ground.qmail.settle()?;
    let log = std::fs::read_to_string(ground.qmail.path("log/send"))?;
    ensure(log.contains("qmail-lookup is not in place"), format!("the log does not say why: {log}"))?;
    let ran = tool(&ground.site, &["sync"])?;
    exits("sync, which has to say so", &ran, 1)?;
    exits("install again", &install(&ground.site)?, 0)?;
    ground.qmail.retry()?;
    ground.qmail.settle()?;
    for (word, right) in during.iter().zip(&right) {
        ended("afterwards", &ground.qmail.ends(word)?, right)?;
    }
    exits("sync", &tool(&ground.site, &["sync"])?, 0)
}
