//! What qmail-local and SMTP are told.

use super::tables::Tables;
use crate::control::{Control, VirtualDomains};
use crate::key::Host;
use crate::rules::{Deliver, Delivery, Explain, NO_MAILBOX, Recipient, RecipientStanding, Route, Set, Verdict};
use crate::settings::{RemovedHost, RuleSettings, SuspendedMail};
use std::sync::Arc;

fn tables() -> Tables {
    Tables::default()
        .mailbox("iain", "/home/iain")
        .mailbox("bob", "/home/bob")
        .mailbox("bob-smith", "/home/bob-smith")
        .mailbox("virtual", "/home/virtual")
        .alias("iain", "work", ".", "/Maildir/")
        .alias("iain", "work-owner", "iain", "")
        .alias("iain", "@", "|", "catch-all")
        .alias("bob", "smith", "leak", "to.bob")
        .alias("virtual", "@", ".", "/virtual/")
        .alias("alias", "help", "bob", "")
        .alias("alias", "info@bar.com", "real", "bar.com")
        .alias("daemon", "", "root", "")
        .virtuals("virtual", "@", "", "virtual.com")
        .virtuals("info@bar.com", "", "info", "bar.com")
        .virtuals("forward", "friend@example.org", "away", "bar.com")
        .virtuals("iain", "work", "sales", ".wild.test")
        .virtuals("Daemon", "X", "system", "bar.com")
}

/// qmail-local's arguments, as `user local dash ext domain`.
fn deliver_by(tables: &Tables, words: [&str; 5], settings: &RuleSettings) -> String {
    let [user, local, dash, ext, domain] = words.map(|word| word.as_bytes().to_vec());
    let asked = Deliver { user, local, dash, ext, domain, system_home: Some(b"/sys".to_vec()) };
    let found = match tables.decide(asked, settings, true) {
        Ok(found) => found,
        Err(bad) => return format!("{} {}", bad.rule, bad.table),
    };
    let row = if found.mailbox.is_some() { "" } else { " (no row)" };
    let what = match found.delivery {
        Delivery::Rows { instructions, owner, .. } => {
            let lines: Vec<_> = instructions.iter().map(|i| String::from_utf8(i.to_line()).unwrap()).collect();
            format!("{}{}", lines.join(" "), if owner.owner { " +owner" } else { "" })
        }
        Delivery::Files { .. } => "files".to_owned(),
        Delivery::Bounce(text) if text == NO_MAILBOX => "bounce 5.1.1".to_owned(),
        Delivery::Bounce(text) => format!("bounce {text}"),
        Delivery::Defer(text) => format!("defer {text}"),
    };
    what + row
}

fn deliver(words: [&str; 5]) -> String {
    deliver_by(&tables(), words, &RuleSettings::default())
}

#[test]
fn a_recipient_gets_the_rows_of_the_mailbox_that_getpw_named() {
    assert_eq!(deliver(["iain", "iain-work", "-", "work", "mail.test"]), "./Maildir/ +owner");
    assert_eq!(deliver(["iain", "Iain-Other", "-", "Other", "mail.test"]), "|catch-all");
    assert_eq!(deliver(["iain", "iain", "", "", "mail.test"]), "files");
    assert_eq!(deliver(["bob-smith", "bob-smith", "", "", "mail.test"]), "files", "nothing of bob's");
    assert_eq!(deliver(["virtual", "=virtual.com=-Any.One", "-", "Any.One", "Virtual.COM"]), "./virtual/");
    assert_eq!(deliver(["iain", "=.wild.test=-sales", "-", "work", "a.wild.test"]), "./Maildir/ +owner");
}

#[test]
fn the_alias_user_gets_his_rows_and_an_unknown_recipient_bounces_before_any_row() {
    assert_eq!(deliver(["alias", "help", "-", "help", "mail.test"]), "&bob (no row)");
    assert_eq!(deliver(["alias", "nobody", "-", "nobody", "mail.test"]), "files (no row)");
    assert_eq!(deliver(["alias", "=bar.com=-info", "-", "info@bar.com", "bar.com"]), "&real@bar.com (no row)");
    let unknown = "=bar.com=-nobody";
    assert_eq!(deliver(["alias", unknown, "-", unknown, "bar.com"]), "bounce 5.1.1 (no row)");
    // The very same text as an ordinary extension is not encoded, and not a bounce.
    assert_eq!(deliver(["alias", "x=bar.com=-nobody", "-", "x=bar.com=-nobody", "mail.test"]), "files (no row)");
}

#[test]
fn an_encoded_recipient_at_another_host_is_forged_and_bounces() {
    let forged = "=virtual.com=-robot";
    assert_eq!(deliver(["alias", forged, "-", forged, "mail.test"]), "bounce 5.1.1 (no row)");
    let wild = "=.wild.test=-sales";
    assert_eq!(deliver(["alias", wild, "-", wild, "wild.test"]), "bounce 5.1.1 (no row)");
    assert_eq!(deliver(["alias", wild, "-", wild, "notwild.test"]), "bounce 5.1.1 (no row)");
    // qmail-getpw does not know the domain, and has named the owner.
    assert_eq!(deliver(["virtual", forged, "-", "robot", "mail.test"]), "bounce 5.1.1");
    assert_eq!(deliver(["iain", wild, "-", "work", "mail.test"]), "bounce 5.1.1");
    assert_eq!(deliver(["user with blanks", forged, "", "", "mail.test"]), "bounce 5.1.1 (no row)");
}

#[test]
fn a_known_recipient_that_was_routed_as_an_unknown_one_waits() {
    // A stock qmail-getpw has come back, or the row is a moment old.
    let known = "=.wild.test=-sales";
    let text = deliver(["alias", known, "-", known, "a.wild.test"]);
    assert!(text.starts_with("defer ") && text.contains("(#4.3.0)"), "{text}");
    // So it does if the rows have changed between the two programs, and it would bounce.
    assert_eq!(deliver(["alias", known, "-", "forward", "a.wild.test"]), text);
    assert_eq!(deliver(["alias", known, "-", "x", "a.wild.test"]), text);
    assert_eq!(deliver(["bob", known, "-", "x", "a.wild.test"]) + " (no row)", text);
    // Whom else it was given to has rows for it, or delivers by a file that need not be there.
    assert_eq!(deliver(["bob", known, "-", "smith", "a.wild.test"]), "&leak@to.bob");
    assert_eq!(deliver(["bob", known, "", "", "a.wild.test"]), "files");
    // Its owner's home is in trouble, and home_missing = alias.
    assert_eq!(deliver(["alias", known, "-", "sales@.wild.test", "a.wild.test"]), "files (no row)");
}

#[test]
fn what_getpw_has_printed_is_no_way_around_table_virtual() {
    let magic = RuleSettings { magic_forwarding: true, ..RuleSettings::default() };
    for typed in ["info@bar.com", "forward", "forward-friend@example.org", "away@bar.com", "@"] {
        for settings in [&magic, &RuleSettings::default()] {
            assert_eq!(deliver_by(&tables(), ["alias", typed, "-", typed, "mail.test"], settings), "files (no row)");
            let to_alias = format!("alias-{typed}");
            let words = ["alias", &to_alias, "-", typed, "mail.test"];
            assert_eq!(deliver_by(&tables(), words, settings), "files (no row)", "{typed}");
        }
    }
    for typed in ["=virtual.com=-robot", "=bar.com=-nobody"] {
        let to_alias = format!("alias-{typed}");
        assert_eq!(deliver(["alias", &to_alias, "-", typed, "mail.test"]), "bounce 5.1.1 (no row)");
    }
    // An extension that is an @ is one of those that the catch-all is for, as no file has that name.
    assert_eq!(deliver(["iain", "iain-@", "-", "@", "mail.test"]), "|catch-all");
    let asked = Deliver {
        user: b"iain".to_vec(),
        local: b"iain-@".to_vec(),
        dash: b"-".to_vec(),
        ext: b"@".to_vec(),
        domain: b"mail.test".to_vec(),
        system_home: None,
    };
    let found = tables().decide(asked, &RuleSettings::default(), true).unwrap();
    assert!(matches!(found.delivery, Delivery::Rows { set: Set::Default, .. }));
}

#[test]
fn whom_users_cdb_or_the_system_named_gets_his_own_rows() {
    assert_eq!(deliver(["iain", "sales", "-", "work", "mail.test"]), "./Maildir/ +owner", "by users/cdb");
    assert_eq!(deliver(["daemon", "daemon", "", "", "mail.test"]), "&root (no row)", "a system user");
    assert_eq!(deliver(["daemon", "daemon-x", "-", "x", "mail.test"]), "files (no row)");
    // The home of bob-smith is in trouble, and home_missing = alias.
    assert_eq!(deliver(["alias", "bob-smith", "-", "bob-smith", "mail.test"]), "files (no row)");
    assert_eq!(deliver(["user with blanks", "x", "", "", "mail.test"]), "files (no row)");
    // A virtual host's row names a system user: the stock program finds him in `daemon-X`.
    assert_eq!(deliver(["daemon", "=bar.com=-system", "-", "X", "bar.com"]), "files (no row)");
    assert!(deliver(["daemon", "=bar.com=-system", "-", "other", "bar.com"]).starts_with("defer "));
}

#[test]
fn magic_forwarding_and_suspension_are_honoured() {
    let magic = RuleSettings { magic_forwarding: true, ..RuleSettings::default() };
    let away = ["alias", "=bar.com=-away", "-", "forward", "bar.com"];
    assert_eq!(deliver_by(&tables(), away, &magic), "&friend@example.org (no row)");
    assert!(deliver(away).starts_with("defer "), "switched off since: the next time getpw names another");
    let mut suspended = tables();
    suspended.mailbox[0].suspended = Some(b"Y".to_vec());
    let bounce = RuleSettings { suspended_mail: SuspendedMail::Bounce, ..RuleSettings::default() };
    for words in [["iain", "iain-work", "-", "work", "mail.test"], ["iain", "sales", "-", "work", "mail.test"]] {
        assert!(deliver_by(&suspended, words, &bounce).starts_with("bounce Sorry, this mailbox is suspended"));
    }
}

/// mail.test is local; and these lines of control/virtualdomains.
fn control(lines: &[(&str, &str)]) -> Arc<Control> {
    let line = |(key, prepend): &(&str, &str)| (key.as_bytes().to_vec(), prepend.as_bytes().to_vec());
    let virtual_domains: VirtualDomains = lines.iter().map(line).collect();
    Arc::new(Control { locals: Some(vec![Host::new(b"mail.test").unwrap()]), virtual_domains })
}

#[test]
fn a_recipient_is_unknown_only_if_it_would_bounce() {
    let control = control(&[]);
    let ask = |address: &str| {
        let question = Recipient { address: address.into(), control: Arc::clone(&control) };
        tables().decide(question, &RuleSettings::default(), true).unwrap()
    };
    use RecipientStanding::{NotOurs, Possible, Unknown};
    for (address, want) in [
        ("iain@mail.test", Possible),
        ("nobody@mail.test", Possible),
        ("any@virtual.com", Possible),
        ("info@bar.com", Possible),
        ("postmaster@bar.com", Possible),
        ("nobody@bar.com", Unknown),
        ("Nobody@BAR.com", Unknown),
        ("=bar.com=-x@mail.test", Unknown),
        ("x@elsewhere.org", NotOurs),
        ("iain", Possible),
    ] {
        assert_eq!(ask(address), want, "{address}");
    }
}

#[test]
fn the_administrators_lines_in_virtualdomains_come_before_rows() {
    use RecipientStanding::{NotOurs, Possible, Unknown};
    let ask_of = |lines: &[(&str, &str)], address: &str, settings: &RuleSettings| {
        let question = Recipient { address: address.into(), control: control(lines) };
        tables().decide(question, settings, true).map_err(|bad| bad.rule)
    };
    let ask = |lines: &[(&str, &str)], address: &str| ask_of(lines, address, &RuleSettings::default());
    let ours = ("bar.com", "=bar.com=");
    for (lines, address, want) in [
        // Our own lines change nothing.
        (&[ours][..], "info@bar.com", Possible),
        (&[ours], "Nobody@Bar.com", Unknown),
        (&[(".wild.test", "=.wild.test=")], "sales@a.wild.test", Possible),
        (&[(".wild.test", "=.wild.test=")], "nobody@a.wild.test", Unknown),
        (&[("info@bar.com", "=bar.com=")], "info@bar.com", Possible),
        // The administrator's: a system user or the alias user, a mailbox, a host by another name, another machine.
        (&[ours, ("nobody@bar.com", "shop")], "nobody@BAR.com", Possible),
        (&[ours, ("nobody@bar.com", "shop")], "other@bar.com", Unknown),
        (&[("bar.com", "bob")], "nobody@bar.com", Possible),
        (&[(".com", "bob")], "nobody@bar.com", Possible),
        (&[("", "bob")], "nobody@bar.com", Possible),
        (&[ours, ("", "bob")], "nobody@bar.com", Unknown),
        (&[("other.test", "=bar.com=")], "nobody@other.test", Unknown),
        (&[("other.test", "=bar.com=")], "info@other.test", Unknown),
        (&[("bar.com", "")], "info@bar.com", NotOurs),
        // Local beats virtual, and a host without a line is as it would be without the file.
        (&[("mail.test", "")], "iain@mail.test", Possible),
        (&[("x.test", "bob")], "nobody@bar.com", Unknown),
        (&[("x.test", "bob")], "x@elsewhere.org", NotOurs),
    ] {
        assert_eq!(ask(lines, address), Ok(want), "{lines:?} {address}");
    }
    // A line that is left of a host without rows: as its delivery, deferred or bounced.
    let left = [("gone.test", "=gone.test=")];
    assert_eq!(ask(&left, "x@gone.test"), Err("V5"));
    let bounce = RuleSettings { removed_host: RemovedHost::Bounce, ..RuleSettings::default() };
    assert_eq!(ask_of(&left, "x@gone.test", &bounce), Ok(Unknown));
}

#[test]
fn explain_follows_the_lines_of_virtualdomains() {
    let explain = |lines: &[(&str, &str)], address: &str| {
        let question = Explain { address: address.into(), control: control(lines), alias_home: b"/a".to_vec() };
        tables().decide(question, &RuleSettings::default(), true).unwrap()
    };
    let outcome = explain(&[("bar.com", "bob")], "nobody@bar.com");
    assert_eq!(outcome.verdict, Verdict::Files);
    assert!(
        matches!(&outcome.route, Some(Route::Mailbox { mailbox, ext, .. })
        if mailbox.username.as_str() == "bob" && ext == b"nobody"),
        "{outcome:?}"
    );
    let outcome = explain(&[("sales@bar.com", "Shop")], "Sales@Bar.com");
    assert_eq!(outcome.route, Some(Route::Stock { local: b"Shop-Sales".to_vec() }), "cases stay as they are");
    assert_eq!(explain(&[("bar.com", "")], "info@bar.com").verdict, Verdict::NotOurs);
}
