//! Mail for suspended mailboxes (rule P3).

use super::post::mail;
use super::world::{Store, alias_rows, bounced, clear, deferred, done, nothing, places, virtual_rows, write};
use super::{both, sqlite};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, equal};
use qmail_lookup_tests::site::Site;

pub(super) fn trials() -> Vec<Trial> {
    let mut all = vec![
        sqlite("suspended::waits_if_it_is_to_be_deferred", defer),
        sqlite("suspended::a_cell_that_says_bounce_bounces_whatever_the_setting", cell),
    ];
    all.extend(both("suspended::is_delivered_unless_the_setting_says_otherwise", deliver));
    all.extend(both("suspended::comes_back_if_it_is_to_bounce", bounce));
    all
}

const BOUNCED: &str = "Sorry, this mailbox is suspended. (#5.2.1)\n";

/// Every way to the suspended mailbox, and where its mail is put.
const WAYS: [(&str, &str); 5] = [
    ("suspended@mail.test", "suspended/Mailbox"),
    ("Suspended-rows@mail.test", "suspended/Maildir/new"),
    ("suspended-file@mail.test", "suspended/file"),
    ("gone@bar.com", "suspended/Mailbox"),
    ("rows@bar.com", "suspended/Maildir/new"),
];

fn fill(site: &Site) -> Outcome {
    virtual_rows(site, &[["suspended", "", "gone", "bar.com"], ["suspended", "rows", "rows", "bar.com"]])?;
    alias_rows(site, &[["suspended", "rows", ".", "/Maildir/"]])?;
    write(site, "suspended/.qmail-file", "./file\n")
}

fn deliver(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    fill(&site)?;
    for (recipient, place) in WAYS {
        done(recipient, &mail(&site, "s@example.org", recipient)?)?;
        equal(recipient, places(&site)?, [place])?;
        clear(&site)?;
    }
    Ok(())
}

fn defer(store: Store) -> Outcome {
    let site = store.site("[rules]\nsuspended_mail = \"defer\"")?;
    let _daemon = site.start()?;
    fill(&site)?;
    for (recipient, _) in WAYS {
        deferred(recipient, &mail(&site, "s@example.org", recipient)?, "Mailbox is suspended. (#4.2.1)\n")?;
    }
    nothing(&site, "deferred")?;
    site.sql("UPDATE mailbox SET suspended = 'N' WHERE username = 'suspended'")?;
    for (recipient, place) in WAYS {
        done(recipient, &mail(&site, "s@example.org", recipient)?)?;
        equal(recipient, places(&site)?, [place])?;
        clear(&site)?;
    }
    Ok(())
}

fn bounce(store: Store) -> Outcome {
    let site = store.site("[rules]\nsuspended_mail = \"bounce\"")?;
    let _daemon = site.start()?;
    fill(&site)?;
    for (recipient, _) in WAYS {
        bounced(recipient, &mail(&site, "s@example.org", recipient)?, BOUNCED)?;
    }
    nothing(&site, "bounced")?;
    done("another", &mail(&site, "s@example.org", "iain@mail.test")?)?;
    equal("another", places(&site)?, ["iain/Mailbox"])
}

fn cell(store: Store) -> Outcome {
    for setting in ["deliver", "defer", "bounce"] {
        let site = store.site(&format!("[rules]\nsuspended_mail = \"{setting}\""))?;
        let _daemon = site.start()?;
        fill(&site)?;
        // The documented table knows no such word; the tables of others do.
        site.sql(
            "PRAGMA ignore_check_constraints = 1; UPDATE mailbox SET suspended = 'bounce' WHERE username = 'suspended'",
        )?;
        for (recipient, _) in WAYS {
            bounced(recipient, &mail(&site, "s@example.org", recipient)?, BOUNCED)?;
        }
        nothing(&site, setting)?;
    }
    Ok(())
}
