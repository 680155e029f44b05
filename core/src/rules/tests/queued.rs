//! What qmail-local and SMTP are told.

use super::tables::Tables;
use crate::control::{Control, VirtualDomains};
use crate::key::Host;
use crate::rules::{Deliver, Delivery, Explain, NO_MAILBOX, Recipient, RecipientStanding, Route, Set, Verdict};
use crate::settings::{HomeTrouble, RemovedHost, RuleSettings, SuspendedMail};
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
        .virtuals("alias", "@", "", "cat.test")
}

/// qmail-local's arguments, as `user local dash ext domain`.
fn deliver_by(tables: &Tables, words: [&str; 5], settings: &RuleSettings) -> String {
    let [user, local, dash, ext, domain] = words.map(|word| word.as_bytes().to_vec());
    let asked = Deliver { user, local, dash, ext, domain, system_home: Some(b"/sys".to_vec()), is_local: false };
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

/// What is wrong is one thing for each user, whatever senders type.
const OTHERWISE: [&str; 2] = ["G2 mailbox", "V4 virtual"];

#[test]
fn a_known_recipient_that_was_routed_otherwise_waits() {
    let [plain, virtual_host] = OTHERWISE;
    // A stock qmail-getpw has come back.
    let known = "=.wild.test=-sales";
    assert_eq!(deliver(["alias", known, "-", known, "a.wild.test"]), virtual_host);
    assert_eq!(deliver(["alias", "iain", "-", "iain", "mail.test"]), plain);
    assert_eq!(deliver(["bob", "bob-smith", "-", "smith", "mail.test"]), plain);
    // The rows have changed between the two programs.
    for (user, dash, ext) in [("alias", "-", "forward"), ("alias", "-", "x"), ("bob", "-", "smith"), ("bob", "", "")] {
        assert_eq!(deliver([user, known, dash, ext, "a.wild.test"]), virtual_host, "{user} {ext}");
    }
    assert_eq!(deliver(["iain", "=bar.com=-info", "-", "work", "bar.com"]), virtual_host);
    // It is unknown now: whoever had it gets it.
    assert_eq!(deliver(["iain", "=bar.com=-gone", "-", "work", "bar.com"]), "./Maildir/ +owner");
    assert_eq!(deliver(["iain", "iain", "-", "work", "mail.test"]), "./Maildir/ +owner", "users/cdb says so");
}

#[test]
fn mail_of_a_mailbox_whose_home_is_in_trouble_is_the_alias_users() {
    let alias = RuleSettings { home_mismatch: HomeTrouble::Alias, ..RuleSettings::default() };
    let tables = tables().alias("alias", "sales@.wild.test", "boss", "");
    for (local, ext, domain, want) in [
        ("iain", "iain", "mail.test", "files (no row)"),
        ("=.wild.test=-sales", "sales@.wild.test", "a.wild.test", "&boss (no row)"),
        ("=.wild.test=-sales", "x", "a.wild.test", OTHERWISE[1]),
    ] {
        assert_eq!(deliver_by(&tables, ["alias", local, "-", ext, domain], &alias), want);
        assert!(OTHERWISE.contains(&&*deliver(["alias", local, "-", ext, domain])), "not asked for");
    }
}

#[test]
fn a_virtual_recipient_at_a_local_host_is_forged() {
    let asked = |is_local| Deliver {
        user: b"iain".to_vec(),
        local: b"=.wild.test=-sales".to_vec(),
        dash: b"-".to_vec(),
        ext: b"work".to_vec(),
        domain: b"mail.wild.test".to_vec(),
        system_home: None,
        is_local,
    };
    let decide = |asked: Deliver| tables().decide(asked, &RuleSettings::default(), true).unwrap().delivery;
    assert_eq!(decide(asked(true)), Delivery::Bounce(NO_MAILBOX.into()));
    assert!(matches!(decide(asked(false)), Delivery::Rows { .. }));
}

#[test]
fn what_comes_back_from_the_recipients_of_a_list_goes_to_its_owner() {
    let tables = tables().alias("bob", "list-owner-default", ".", "/bounces/").alias("bob", "@", ".", "/rest/").alias(
        "bob",
        "owner-default",
        ".",
        "/mine/",
    );
    let set = |ext: &str| {
        let asked = Deliver {
            user: b"bob".to_vec(),
            local: format!("bob-{ext}").into(),
            dash: b"-".to_vec(),
            ext: ext.into(),
            domain: b"mail.test".to_vec(),
            system_home: None,
            is_local: false,
        };
        match tables.decide(asked, &RuleSettings::default(), true).unwrap().delivery {
            Delivery::Rows { set: Set::Default(begin), instructions, .. } => {
                format!("{} {}", String::from_utf8(instructions[0].to_line()).unwrap(), &ext[begin..])
            }
            other => format!("{other:?}"),
        }
    };
    assert_eq!(set("list-owner-friend=ex.org"), "./bounces/ friend=ex.org");
    assert_eq!(set("List-Owner-Friend=ex.org"), "./bounces/ Friend=ex.org");
    assert_eq!(set("list-owner-a-owner-b=c"), "./bounces/ a-owner-b=c");
    assert_eq!(set("owner-friend=ex.org"), "./mine/ friend=ex.org");
    assert_eq!(set("list-friend=ex.org"), "./rest/ list-friend=ex.org");
    assert_eq!(set("listowner-friend"), "./rest/ listowner-friend");
    assert_eq!(set("list-owner-"), "./bounces/ ");
}

#[test]
fn an_owner_is_found_whatever_stands_before_the_extension() {
    for dash in ["-", "-/", "+", ""] {
        assert_eq!(deliver(["iain", "list", dash, "work", "mail.test"]), "./Maildir/ +owner", "{dash}");
    }
    let tables = tables().alias("bob", "owner", "boss", "");
    for words in [["bob", "bob", "", "", "mail.test"], ["bob", "bob-", "-", "", "mail.test"]] {
        let [user, local, dash, ext, domain] = words.map(|word| word.as_bytes().to_vec());
        let asked = Deliver { user, local, dash, ext, domain, system_home: None, is_local: false };
        let found = tables.decide(asked, &RuleSettings::default(), true).unwrap();
        assert!(matches!(found.delivery, Delivery::Files { owner } if owner.owner), "{found:?}");
    }
}

#[test]
fn what_users_cdb_says_is_done_whatever_the_rows_say() {
    // The same user, cut otherwise.
    assert_eq!(deliver(["iain", "iain-work", "-/", "work", "mail.test"]), "./Maildir/ +owner");
    assert_eq!(deliver(["iain", "iain", "-", "", "mail.test"]), "files");
    assert_eq!(deliver(["bob", "bob-x", "", "smith", "mail.test"]), "&leak@to.bob");
    let tables = tables().mailbox("broken", "not absolute");
    assert_eq!(
        deliver_by(&tables, ["iain", "broken-x", "-", "work", "mail.test"], &RuleSettings::default()),
        "./Maildir/ +owner"
    );
    assert_eq!(deliver_by(&tables, ["bob", "iain-lists-x", "-", "x", "mail.test"], &RuleSettings::default()), "files");
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
    // Whatever could be found in the files that sync keeps for the stock programs.
    for typed in ["=virtual.com=-robot", "=bar.com=-nobody", "=Virtual.COM=-x", "=virtual:com=-x", "=bar:Com=-"] {
        let to_alias = format!("alias-{typed}");
        assert_eq!(deliver(["alias", &to_alias, "-", typed, "mail.test"]), "bounce 5.1.1 (no row)");
        let behind = format!("=cat.test=-{typed}");
        assert_eq!(deliver(["alias", &behind, "-", typed, "cat.test"]), "bounce 5.1.1 (no row)");
    }
    // A catch-all that leads to the alias user is no way either.
    assert_eq!(deliver(["alias", "=cat.test=-info@bar.com", "-", "info@bar.com", "cat.test"]), "files (no row)");
    // An extension that is an @ is one of those that the catch-all is for, as no file has that name.
    assert_eq!(deliver(["iain", "iain-@", "-", "@", "mail.test"]), "|catch-all");
    let asked = Deliver {
        user: b"iain".to_vec(),
        local: b"iain-@".to_vec(),
        dash: b"-".to_vec(),
        ext: b"@".to_vec(),
        domain: b"mail.test".to_vec(),
        system_home: None,
        is_local: false,
    };
    let found = tables().decide(asked, &RuleSettings::default(), true).unwrap();
    assert!(matches!(found.delivery, Delivery::Rows { set: Set::Default(0), .. }));
}

#[test]
fn whom_users_cdb_or_the_system_named_gets_his_own_rows() {
    assert_eq!(deliver(["iain", "sales", "-", "work", "mail.test"]), "./Maildir/ +owner", "by users/cdb");
    assert_eq!(deliver(["daemon", "daemon", "", "", "mail.test"]), "&root (no row)", "a system user");
    assert_eq!(deliver(["daemon", "daemon-x", "-", "x", "mail.test"]), "files (no row)");
    assert_eq!(deliver(["user with blanks", "x", "", "", "mail.test"]), "files (no row)");
    // A virtual host's row names a system user: the stock program finds him in `daemon-X`.
    assert_eq!(deliver(["daemon", "=bar.com=-system", "-", "X", "bar.com"]), "files (no row)");
    assert_eq!(deliver(["daemon", "=bar.com=-system", "-", "other", "bar.com"]), "V4 virtual");
}

#[test]
fn magic_forwarding_and_suspension_are_honoured() {
    let magic = RuleSettings { magic_forwarding: true, ..RuleSettings::default() };
    let away = ["alias", "=bar.com=-away", "-", "forward", "bar.com"];
    assert_eq!(deliver_by(&tables(), away, &magic), "&friend@example.org (no row)");
    assert_eq!(deliver(away), "V4 virtual", "switched off since: the next time getpw names another");
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
