//! Whatever qmail-getpw prints can be seen in headers, logs and bounces, and so be typed by anybody as a local part: it
//! never opens a way past the tables (rules G1, G2, V4 to V6).

use super::post::{MESSAGE, Way, mail, rewritten};
use super::world::{Store, alias_rows, clear, places, virtual_rows, write};
use super::{both, sqlite};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{ALIAS, Answer, Site};
use std::collections::BTreeSet;

pub(super) fn trials() -> Vec<Trial> {
    let mut all = vec![sqlite("typed::the_owner_forward_is_no_name_at_a_local_host", forward)];
    all.extend(both("typed::what_getpw_prints_opens_no_way_past_the_tables", everything));
    all
}

const MAGIC: &str = "[rules]\nmagic_forwarding = true";

/// Rows that forward, none of which is meant for a local part.
fn traps(site: &Site) -> Outcome {
    virtual_rows(
        site,
        &[
            ["forward", "friend@example.org", "away", "bar.com"],
            ["nobody", "list", "news", "bar.com"],
            ["nobody", "", "plain", "bar.com"],
            ["iain", "away", "afar", "bar.com"],
            ["bob-smith", "", "smith", "bar.com"],
        ],
    )?;
    let evil = |user: &'static str, alias: &'static str| [user, alias, "evil", "example.org"];
    alias_rows(
        site,
        &[
            evil(ALIAS, "info@bar.com"),
            evil(ALIAS, "news@bar.com"),
            evil(ALIAS, "plain@bar.com"),
            evil(ALIAS, "away@bar.com"),
            evil(ALIAS, "nobody@bar.com"),
            evil(ALIAS, "friend@example.org"),
            evil(ALIAS, "any.one@virtual.com"),
            evil("forward", "@"),
            evil("forward", ""),
            evil("forward", "forward"),
            evil("forward", "friend@example.org"),
        ],
    )?;
    // The net that `sync` writes against stock programs.
    let net = "|echo qmail-lookup is not in place; exit 111\n";
    write(site, "alias/.qmail-=bar:com=-default", net)?;
    write(site, "alias/.qmail-=virtual:com=-default", net)
}

const RECIPIENTS: [&str; 36] = [
    "iain@mail.test",
    "IAIN-Work@mail.test",
    "iain-@mail.test",
    "iain-a-b.c@mail.test",
    "bob-x-Y@mail.test",
    "bob-smith@mail.test",
    "bob-smith-Lists@mail.test",
    "suspended@mail.test",
    "nobody@mail.test",
    "No-Body@mail.test",
    "forward@mail.test",
    "forward-friend@example.org@mail.test",
    "info@bar.com@mail.test",
    "uucp@mail.test",
    "uucp-nobody@mail.test",
    "uucp-info@bar.com@mail.test",
    "=bar.com=-sales@mail.test",
    "=bar.com@mail.test",
    "root@mail.test",
    "sales@bar.com",
    "Sales@bar.com",
    "IAIN@bar.com",
    "info@bar.com",
    "news@bar.com",
    "plain@bar.com",
    "away@bar.com",
    "afar@bar.com",
    "smith@bar.com",
    "nobody@bar.com",
    "forward@bar.com",
    "postmaster@bar.com",
    "Any.One@virtual.com",
    "friend@example.org@virtual.com",
    "=bar.com=-sales@virtual.com",
    "forward@virtual.com",
    "info@bar.com@virtual.com",
];

/// Every field that qmail-getpw prints for [`RECIPIENTS`], and for what it has printed.
fn printed(site: &Site) -> Result<BTreeSet<String>, Failed> {
    let mut locals = BTreeSet::new();
    for recipient in RECIPIENTS {
        let Way::Local(local, _) = rewritten(site, recipient)? else { return Err("remote".into()) };
        locals.insert(local);
    }
    for _ in 0..2 {
        for local in locals.clone() {
            match site.lspawn(&local)? {
                Answer::Fields(fields) => {
                    locals.extend(fields.into_iter().map(|field| String::from_utf8_lossy(&field).into_owned()));
                }
                Answer::Deferred => {}
                harmful @ Answer::Harmful(_) => return Err(format!("{local}: {harmful:?}").into()),
            }
        }
    }
    Ok(locals)
}

/// The mailboxes with homes.
const MAILBOXES: [&str; 5] = ["iain", "bob", "bob-smith", "virtual", "suspended"];

/// The home that `local` plainly names: that of the longest mailbox (rule G2), or of the system user who is the alias
/// user. The queue's form names nobody at a local host.
fn named(local: &str) -> Option<&'static str> {
    let local = local.to_ascii_lowercase();
    let begins = |name: &str| local == name || local.starts_with(&format!("{name}-"));
    let mailbox = MAILBOXES.into_iter().filter(|name| begins(name)).max_by_key(|name| name.len());
    mailbox.or_else(|| begins(ALIAS).then_some("alias"))
}

fn everything(store: Store) -> Outcome {
    let site = store.site(MAGIC)?;
    let _daemon = site.start()?;
    traps(&site)?;
    let strings = printed(&site)?;
    for expected in ["forward", "work", "20001", "nobody-list", "=bar.com=-nobody", "friend@example.org", ALIAS] {
        ensure(strings.contains(expected), format!("qmail-getpw did not print {expected}: {strings:?}"))?;
    }
    for string in &strings {
        for typed in [string.clone(), format!("{ALIAS}-{string}"), format!("alias-{string}")] {
            // qmail-lspawn itself drops mail for nobody.
            if typed.is_empty() {
                continue;
            }
            let report = mail(&site, "s@example.org", &format!("{typed}@mail.test"))?;
            let letter = report.letter()?;
            equal(&format!("{typed}: forwarded ({report:?})"), site.queued()?, vec![])?;
            let places = places(&site)?;
            let homes: BTreeSet<&str> = places.iter().filter_map(|place| place.split('/').next()).collect();
            match named(&typed) {
                Some(home) => ensure(homes.iter().all(|&found| found == home), format!("{typed} is in {places:?}"))?,
                None => ensure(homes.is_empty() && letter != 'K', format!("{typed} is in {places:?}: {report:?}"))?,
            }
            equal(&format!("{typed} is delivered ({report:?})"), letter == 'K', places.len() == 1)?;
            clear(&site)?;
        }
    }
    // All of it was worth trying: the tables themselves lead to these.
    for (recipient, forwards) in [("away@bar.com", true), ("info@bar.com", true), ("sales@bar.com", false)] {
        let report = mail(&site, "s@example.org", recipient)?;
        equal(&format!("{recipient}: {report:?}"), (report.letter()?, !site.queued()?.is_empty()), ('K', forwards))?;
        clear(&site)?;
    }
    Ok(())
}

/// qmail-getpw prints `forward` for every recipient that magic forwarding sends away.
fn forward(store: Store) -> Outcome {
    let site = store.site(MAGIC)?;
    let _daemon = site.start()?;
    traps(&site)?;
    for typed in ["forward", "Forward", "forward-", "forward-friend@example.org", "uucp-forward", "forward-forward"] {
        for domain in ["mail.test", "MAIL.TEST"] {
            let report = site.deliver(typed, domain, "s@example.org", MESSAGE.as_bytes())?;
            equal(&format!("{typed}: {report:?}"), report.letter()?, 'D')?;
            equal(typed, (site.queued()?, places(&site)?), (vec![], vec![]))?;
        }
    }
    // A row of the alias user is its own alias of that name, and leads where the row says and nowhere else.
    alias_rows(&site, &[[ALIAS, "forward", ".", "/Maildir/"]])?;
    equal("its own row", mail(&site, "s@example.org", "forward@mail.test")?.letter()?, 'K')?;
    equal("its own row", (site.queued()?, places(&site)?), (vec![], vec!["alias/Maildir/new".to_owned()]))?;
    clear(&site)?;
    equal("magic", mail(&site, "s@example.org", "away@bar.com")?.letter()?, 'K')?;
    let to: Vec<_> = site.queued()?.into_iter().flat_map(|queued| queued.recipients).collect();
    equal("magic", (to, places(&site)?), (vec!["friend@example.org".to_owned()], vec![]))
}
