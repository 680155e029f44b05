//! The FAQ's own examples, rule by rule.

use super::tables::{Tables, cell};
use crate::control::Control;
use crate::getpw::Owner;
use crate::key::Host;
use crate::rules::{Accepted, Delivery, Explain, Getpw, Login, NO_MAILBOX, Outcome, Verdict};
use crate::settings::{
    LoginBy, RcpthostsOnly, RemovedHost, RuleSettings, SuspendedMail, UnknownVirtual, VirtualPatterns,
};
use std::sync::Arc;

fn faq() -> Tables {
    Tables::default()
        .mailbox("iain", "/home/mail/iain")
        .mailbox("iain-sanity", "/home/mail/sanity")
        .mailbox("virtual", "/home/mail/virtual")
        .alias("iain", "slowlaris", ".", "/Maildir/")
        .alias("virtual", "@", ".", "/Maildir/")
        .alias("iain", "bogus", "", "")
        .virtuals("virtual", "@", "", "virtual.com")
        .virtuals("iain", "work", "sales", "sillydomain.com")
}

fn getpw(tables: &Tables, local: &str, settings: &RuleSettings) -> String {
    let answers =
        [false, true].map(|noise| match tables.decide(Getpw { local: local.as_bytes().to_vec() }, settings, noise) {
            Ok(Owner::Mailbox { mailbox, dash, ext }) => {
                format!("{} {}{}", mailbox.username, String::from_utf8_lossy(dash), String::from_utf8_lossy(&ext))
            }
            Ok(Owner::AliasUser { ext }) => format!("alias user -{}", String::from_utf8_lossy(&ext)),
            Ok(Owner::Stock { local }) => format!("stock {}", String::from_utf8_lossy(&local)),
            Err(bad) => format!("{} {}.{}", bad.rule, bad.table, bad.column),
        });
    assert_eq!(answers[0], answers[1], "rows that were not asked for must change nothing: {local}");
    answers[0].clone()
}

fn explain(tables: &Tables, address: &str, settings: &RuleSettings) -> Result<Outcome, &'static str> {
    let locals = Some(vec![Host::new(b"mail.test").unwrap()]);
    let control = Arc::new(Control { locals, ..Control::default() });
    let question = Explain { address: address.as_bytes().to_vec(), control, alias_home: b"/var/qmail/alias".to_vec() };
    tables.decide(question, settings, true).map_err(|bad| bad.rule)
}

fn lines(outcome: &Outcome) -> Vec<String> {
    match &outcome.delivery {
        Some(Delivery::Rows { instructions, .. }) => {
            instructions.iter().map(|i| String::from_utf8(i.to_line()).unwrap()).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn g_the_longest_mailbox_wins_and_the_rest_is_the_extension() {
    let (tables, settings) = (faq(), RuleSettings::default());
    let cases = [
        ("iain", "iain "),
        ("IAIN", "iain "),
        ("iain-sanity", "iain-sanity "),
        ("iain-slowlaris", "iain -slowlaris"),
        ("Iain-SlowLaris", "iain -SlowLaris"),
        ("iain-sanity-x", "iain-sanity -x"),
        ("iain-", "iain -"),
        ("iain--x", "iain --x"),
        ("-iain", "stock -iain"),
        ("iainx", "stock iainx"),
        ("nobody-here", "stock nobody-here"),
        ("", "stock "),
    ];
    for (local, want) in cases {
        assert_eq!(getpw(&tables, local, &settings), want, "{local}");
    }
}

#[test]
fn k1_an_unusable_candidate_removes_only_itself() {
    let (tables, settings) = (faq(), RuleSettings::default());
    assert_eq!(getpw(&tables, "iain-ïx y", &settings), "iain -ïx y");
    let long = format!("iain-{}", "x".repeat(300));
    assert_eq!(getpw(&tables, &long, &settings), format!("iain -{}", "x".repeat(300)));
    assert_eq!(getpw(&tables, "=virtual.com=-ïx", &settings), "virtual -ïx");
    let outcome = explain(&tables, "virtual-ïx@mail.test", &settings).unwrap();
    assert_eq!(lines(&outcome), ["./Maildir/"], "alias @ still applies");
}

#[test]
fn k3_only_the_row_that_is_used_is_judged() {
    let mut tables = faq();
    tables.mailbox[1].uid = cell("0");
    let settings = RuleSettings::default();
    assert_eq!(getpw(&tables, "iain", &settings), "iain ");
    assert_eq!(getpw(&tables, "iain-sanity", &settings), "K3 mailbox.uid");
    assert_eq!(getpw(&tables, "iain-sanity-x", &settings), "K3 mailbox.uid");
    let twice = faq().mailbox("Iain", "/elsewhere");
    assert_eq!(getpw(&twice, "iain-x", &settings), "K3 mailbox.username");
}

#[test]
fn v_exact_rows_then_the_catch_all() {
    let (tables, settings) = (faq(), RuleSettings::default());
    assert_eq!(getpw(&tables, "=virtual.com=-Any.One", &settings), "virtual -Any.One");
    assert_eq!(getpw(&tables, "=virtual.com=-", &settings), "virtual ");
    assert_eq!(getpw(&tables, "=sillydomain.com=-SALES", &settings), "iain -work");
    assert_eq!(getpw(&tables, "=sillydomain.com=-made-up", &settings), "alias user -=sillydomain.com=-made-up");
    assert_eq!(getpw(&tables, "=sillydomain.com=-Postmaster", &settings), "alias user -postmaster");
    assert_eq!(getpw(&tables, "=gone.com=-x", &settings), "V5 virtual.");
    let bounce = RuleSettings { removed_host: RemovedHost::Bounce, ..settings.clone() };
    assert_eq!(getpw(&tables, "=gone.com=-x", &bounce), "alias user -=gone.com=-x");
    let mailbox = RuleSettings { unknown_virtual: UnknownVirtual::Mailbox, ..settings };
    assert_eq!(getpw(&tables, "=sillydomain.com=-Iain", &mailbox), "iain ");
    assert_eq!(getpw(&tables, "=sillydomain.com=-iain-x", &mailbox), "alias user -=sillydomain.com=-iain-x");
}

#[test]
fn v2_funky_queries_need_the_faqs_update_and_plain_mode_must_not_have_it() {
    let plain = RuleSettings::default();
    let like = RuleSettings { virtual_patterns: VirtualPatterns::Like, ..plain.clone() };
    let blank = faq();
    let updated = faq().virtuals("virtual", "@", "%", "virtual.com");
    let updated = Tables {
        virtuals: updated.virtuals.into_iter().filter(|r| r.virtual_username != cell("")).collect(),
        ..updated
    };
    assert_eq!(getpw(&blank, "=virtual.com=-x", &plain), "virtual -x");
    assert_eq!(getpw(&blank, "=virtual.com=-x", &like), "V2 virtual.virtual_username");
    assert_eq!(getpw(&updated, "=virtual.com=-x", &like), "virtual -x");
    assert_eq!(getpw(&updated, "=virtual.com=-x", &plain), "V2 virtual.virtual_username");
    let ranked = updated
        .virtuals("iain", "a", "in%", "virtual.com")
        .virtuals("iain", "b", "inf_", "virtual.com")
        .virtuals("iain", "c", "info", "virtual.com");
    assert_eq!(getpw(&ranked, "=virtual.com=-info", &like), "iain -c");
    assert_eq!(getpw(&ranked, "=virtual.com=-infx", &like), "iain -b");
    assert_eq!(getpw(&ranked, "=virtual.com=-inn", &like), "iain -a");
    assert_eq!(getpw(&ranked, "=virtual.com=-x", &like), "virtual -x");
}

#[test]
fn v3_rows_that_agree_count_once_and_others_are_a_misconfiguration() {
    let settings = RuleSettings::default();
    let same = faq().virtuals("IAIN", "work", "Sales", "SillyDomain.com");
    assert_eq!(getpw(&same, "=sillydomain.com=-sales", &settings), "iain -work");
    let other = faq().virtuals("virtual", "work", "sales", "sillydomain.com");
    assert_eq!(getpw(&other, "=sillydomain.com=-sales", &settings), "V3 virtual.username");
    let blank = faq().virtuals("", "", "info", "sillydomain.com");
    assert_eq!(getpw(&blank, "=sillydomain.com=-info", &settings), "V4 virtual.username");
}

#[test]
fn v4_an_owner_that_is_no_mailbox_is_an_alias_or_resolved_as_addressed() {
    let settings = RuleSettings::default();
    let tables = faq()
        .virtuals("info@bar.com", "", "info", "bar.com")
        .alias("alias", "info@bar.com", "real", "bar.com")
        .virtuals("iain-sanity-x", "", "one", "bar.com")
        .virtuals("nobody", "ext", "two", "bar.com")
        .virtuals("list", "", "three", "bar.com")
        .alias("alias", "three@bar.com", "someone", "example.org");
    assert_eq!(getpw(&tables, "=bar.com=-info", &settings), "alias user -info@bar.com");
    assert_eq!(getpw(&tables, "=bar.com=-one", &settings), "iain-sanity -x");
    assert_eq!(getpw(&tables, "=bar.com=-two", &settings), "stock nobody-ext");
    assert_eq!(getpw(&tables, "=bar.com=-three", &settings), "alias user -list");
    let outcome = explain(&tables, "three@bar.com", &settings).unwrap();
    assert_eq!((outcome.verdict, lines(&outcome)), (Verdict::Forward, vec!["&someone@example.org".to_owned()]));
}

#[test]
fn v6_magic_forwarding_only_when_it_is_on() {
    let tables = faq().virtuals("forward", "popaccount@hotmail.com", "user", "virtual2.com");
    let off = RuleSettings::default();
    let on = RuleSettings { magic_forwarding: true, ..off.clone() };
    assert_eq!(getpw(&tables, "=virtual2.com=-user", &off), "stock forward-popaccount@hotmail.com");
    assert_eq!(getpw(&tables, "=virtual2.com=-user", &on), "alias user -forward");
    assert_eq!(lines(&explain(&tables, "user@virtual2.com", &on).unwrap()), ["&popaccount@hotmail.com"]);
    let with_user = tables.clone().mailbox("forward", "/home/forward");
    assert_eq!(getpw(&with_user, "=virtual2.com=-user", &on), "V6 virtual.username");
    assert_eq!(getpw(&with_user, "=virtual2.com=-user", &off), "forward -popaccount@hotmail.com");
    let open_relay = faq().virtuals("forward", "@", "", "virtual2.com");
    assert_eq!(getpw(&open_relay, "=virtual2.com=-victim@evil.example", &on), "V6 virtual.ext");
    let no_host = faq().virtuals("forward", "popaccount", "user", "virtual2.com");
    assert_eq!(getpw(&no_host, "=virtual2.com=-user", &on), "V6 virtual.ext");
}

#[test]
fn a_instructions_come_from_exact_rows_then_the_catch_all_then_files() {
    let (tables, settings) =
        (faq().alias("iain", "@", "catch", "all.org").alias("iain", "list-owner", "me", ""), RuleSettings::default());
    let of = |address: &str| explain(&tables, address, &settings).map(|o| (o.verdict, lines(&o)));
    assert_eq!(of("iain-slowlaris@mail.test"), Ok((Verdict::Deliver, vec!["./Maildir/".to_owned()])));
    assert_eq!(of("iain-other@mail.test"), Ok((Verdict::Forward, vec!["&catch@all.org".to_owned()])));
    assert_eq!(of("iain@mail.test"), Ok((Verdict::Files, vec![])), "@ is no default for the bare name");
    assert_eq!(of("iain-bogus@mail.test"), Err("A2"));
    assert_eq!(of("anything@virtual.com"), Ok((Verdict::Deliver, vec!["./Maildir/".to_owned()])));
    let list = explain(&tables, "iain-list@mail.test", &settings).unwrap();
    let Some(Delivery::Rows { owner, .. }) = list.delivery else { panic!() };
    assert!(owner.owner && !owner.owner_default);
    let other = explain(&tables, "iain-x@mail.test", &settings).unwrap();
    let Some(Delivery::Rows { owner, .. }) = other.delivery else { panic!() };
    assert!(!owner.owner, "@ never counts as an owner");
}

#[test]
fn explain_knows_what_is_not_ours() {
    let settings = RuleSettings::default();
    let tables = faq().rcpthost("old.example");
    let of = |address: &str, settings: &RuleSettings| explain(&tables, address, settings).map(|o| o.verdict);
    assert_eq!(of("x@elsewhere.example", &settings), Ok(Verdict::NotOurs));
    assert_eq!(of("iain@old.example", &settings), Ok(Verdict::NotOurs));
    let local = RuleSettings { rcpthosts_only: RcpthostsOnly::Local, ..settings.clone() };
    assert_eq!(of("iain@old.example", &local), Ok(Verdict::Files));
    assert_eq!(getpw(&tables, "=old.example=-Iain-X", &local), "iain -X", "sync writes such hosts, so getpw is asked");
    assert_eq!(getpw(&tables, "=old.example=-iain", &settings), "V5 virtual.");
    let made_up = explain(&tables, "made-up@sillydomain.com", &settings).unwrap();
    assert_eq!((made_up.verdict, made_up.delivery), (Verdict::Bounce, Some(Delivery::Bounce(NO_MAILBOX.into()))));
    let forged = explain(&tables, "=virtual.com=-iain@mail.test", &settings).unwrap();
    assert_eq!(forged.verdict, Verdict::Bounce);
}

#[test]
fn p3_mail_for_a_suspended_mailbox_follows_the_setting() {
    let mut tables = faq().alias("iain", "", ".", "/Maildir/");
    tables.mailbox[0].suspended = cell("Y");
    let verdict = |suspended_mail| {
        let settings = RuleSettings { suspended_mail, ..RuleSettings::default() };
        explain(&tables, "iain@mail.test", &settings).unwrap().verdict
    };
    assert_eq!(verdict(SuspendedMail::Deliver), Verdict::Deliver);
    assert_eq!(verdict(SuspendedMail::Defer), Verdict::Temporary);
    assert_eq!(verdict(SuspendedMail::Bounce), Verdict::Bounce);
    tables.mailbox[0].suspended = cell("bounce");
    let settings = RuleSettings::default();
    assert_eq!(explain(&tables, "iain@mail.test", &settings).unwrap().verdict, Verdict::Bounce);
}

#[test]
fn p7_a_login_is_an_exact_name_or_an_exact_address() {
    let (tables, settings) = (faq().virtuals("iain", "", "boss", "sillydomain.com"), RuleSettings::default());
    let login = |typed: &str, by| {
        let question = Login { typed: typed.as_bytes().to_vec(), by };
        tables.decide(question, &settings, true).unwrap().map(|name| name.to_string())
    };
    let iain = Some("iain".to_owned());
    assert_eq!(login("Iain", LoginBy::Username), iain);
    assert_eq!(login("Boss@SillyDomain.com", LoginBy::Address), iain);
    assert_eq!(login("boss@sillydomain.com", LoginBy::Both), iain);
    assert_eq!(login("iain", LoginBy::Both), iain);
    assert_eq!(login("iain", LoginBy::Address), None);
    assert_eq!(login("sales@sillydomain.com", LoginBy::Address), None, "its ext is not blank");
    assert_eq!(login("anyone@virtual.com", LoginBy::Address), None, "a catch-all is nobody's address");
    assert_eq!(login("ia in", LoginBy::Username), None);
}

#[test]
fn r1_host_then_suffixes() {
    let (tables, settings) = (Tables::default().rcpthost("bar.com").rcpthost(".Wild.test"), RuleSettings::default());
    let hit = |host: &str| {
        let question = Accepted { host: host.as_bytes().to_vec() };
        tables.decide(question, &settings, true).unwrap().map(|key| key.to_string())
    };
    assert_eq!(hit("BAR.com").as_deref(), Some("bar.com"));
    assert_eq!(hit("a.b.wild.test").as_deref(), Some(".wild.test"));
    assert_eq!(hit("wild.test"), None);
    assert_eq!(hit("x.bar.com"), None);
    assert_eq!(hit("bar.com."), None);
}
