use super::*;
use crate::sync::around::Files;
use proptest::prelude::*;
use std::time::Duration;

fn choices() -> Choices {
    Choices {
        only: Vec::new(),
        except: Vec::new(),
        deny: Vec::new(),
        wildcards: false,
        rcpthosts_only: RcpthostsOnly::Ask,
        shrink: 20,
        grow: 1000,
        removed_grace: Duration::from_secs(7 * 86_400),
    }
}

fn around() -> Around {
    let some = |text: &str| Some(text.as_bytes().to_vec());
    Around::read(&Files {
        me: some("me.test\n"),
        locals: some("mail.test\nlocalhost\n"),
        smtproutes: some("relay.test:10.0.0.1\nin.deep.test:x\n"),
        virtualdomains: some("bob.test:bob\nsame.test:=same.test=\n"),
        rcpthosts: some("mail.test\nmine.test\n"),
        morercpthosts: None,
    })
    .unwrap()
}

fn rows(virtuals: &[&str], rcpthosts: &[&str]) -> Rows {
    let mut rows = Rows::default();
    virtuals.iter().for_each(|cell| rows.add(Table::Virtual, Some(cell.as_bytes())));
    rcpthosts.iter().for_each(|cell| rows.add(Table::Rcpthosts, Some(cell.as_bytes())));
    rows
}

fn judged(virtuals: &[&str], rcpthosts: &[&str], choices: &Choices) -> Wanted {
    Wanted::judge(&rows(virtuals, rcpthosts), &around(), choices)
}

fn hosts(names: &[&str]) -> Vec<Host> {
    names.iter().map(|name| Host::new(name.as_bytes()).unwrap()).collect()
}

fn texts(hosts: &BTreeSet<Host>) -> Vec<String> {
    hosts.iter().map(ToString::to_string).collect()
}

fn reason(wanted: &Wanted, host: &str) -> Option<Reason> {
    wanted.refused.iter().find(|refused| refused.host == host.as_bytes()).map(|refused| refused.reason.clone())
}

#[test]
fn hostile_hosts_are_refused_and_named() {
    let long = format!("{}.test", "a".repeat(234));
    let hostile =
        ["", "a:b.test", "a\nb.test", "a=b.test", "#a.test", " a.test", "a.test ", "a\0.test", "m\u{fc}.test"];
    let more = [".", "..a.test", "a..test", "a.test.", "test", ".test", ".wild.test", "a/b.test", "*.test", &long];
    let all: Vec<_> = hostile.into_iter().chain(more).collect();
    let wanted = judged(&all, &all, &choices());
    assert!(wanted.routed.is_empty() && wanted.accepted.is_empty() && wanted.undecided.is_empty(), "{wanted:?}");
    assert_eq!(wanted.refused.len(), 2 * all.len(), "each of them, in each table");
    assert_eq!(reason(&wanted, ""), Some(Reason::Empty));
    assert_eq!(reason(&wanted, "a\nb.test"), Some(Reason::NoHost));
    assert_eq!(reason(&wanted, ".test"), Some(Reason::OneLabel));
    assert_eq!(reason(&wanted, ".wild.test"), Some(Reason::Wildcard));
    assert_eq!(reason(&wanted, &long), Some(Reason::TooLong));
    let mut null = Rows::default();
    null.add(Table::Virtual, None);
    assert_eq!(Wanted::judge(&null, &around(), &choices()).refused.len(), 1);
}

#[test]
fn what_qmail_knows_already_is_left_to_it() {
    let wanted = judged(&["mail.test", "me.test", "relay.test", "bob.test", "same.test", "Good.Test"], &[], &choices());
    assert_eq!(texts(&wanted.routed), ["good.test"]);
    assert_eq!(reason(&wanted, "mail.test"), Some(Reason::Local));
    assert_eq!(reason(&wanted, "me.test"), Some(Reason::Me));
    assert_eq!(reason(&wanted, "relay.test"), Some(Reason::Relayed));
    assert_eq!(reason(&wanted, "bob.test"), Some(Reason::OwnLine(b"bob".to_vec())));
    assert_eq!(texts(&wanted.own), ["same.test"], "it is as it should be");
    assert_eq!(wanted.refused.len(), 4);
    assert_eq!(texts(&wanted.unaccepted), ["good.test", "same.test"]);
}

#[test]
fn hosts_of_table_rcpthosts_only_wait_for_a_decision() {
    let accepted = ["mail.test", "localhost", "v.test", "relay.test", "bob.test", "old.test", "me.test"];
    let wanted = |only| judged(&["v.test"], &accepted, &Choices { rcpthosts_only: only, ..choices() });
    let sure = ["bob.test", "localhost", "mail.test", "relay.test", "v.test"];
    let asked = wanted(RcpthostsOnly::Ask);
    assert_eq!(texts(&asked.undecided), ["me.test", "old.test"]);
    assert_eq!(texts(&asked.accepted), sure);
    assert_eq!(texts(&asked.routed), ["v.test"]);
    assert!(asked.unaccepted.is_empty() && asked.refused.is_empty());
    let relay = wanted(RcpthostsOnly::Relay);
    assert_eq!(relay.accepted.len(), 7);
    assert_eq!(texts(&relay.routed), ["v.test"]);
    let local = wanted(RcpthostsOnly::Local);
    assert_eq!(texts(&local.routed), ["old.test", "v.test"]);
    assert_eq!(local.accepted.len(), 6);
    assert_eq!(reason(&local, "me.test"), Some(Reason::Me));
}

#[test]
fn wildcards_take_nothing_that_is_another_s() {
    let choices =
        Choices { wildcards: true, deny: hosts(&["x.bad.test"]), except: hosts(&[".y.other.test"]), ..choices() };
    let all = [".wild.test", ".bad.test", ".other.test", ".deep.test", "a.wild.test", ".y.other.test"];
    let wanted = judged(&all, &[".wild.test", ".bad.test"], &choices);
    assert_eq!(texts(&wanted.routed), [".wild.test", "a.wild.test"]);
    assert_eq!(texts(&wanted.accepted), [".wild.test"]);
    assert!(wanted.unaccepted.is_empty(), "below .wild.test");
    for (host, below) in [(".bad.test", "x.bad.test"), (".other.test", ".y.other.test"), (".deep.test", "in.deep.test")]
    {
        assert!(matches!(reason(&wanted, host), Some(Reason::Covers(of, _)) if of.as_str() == below), "{host}");
    }
    let below = judged(&[".wild.test"], &["a.wild.test"], &choices);
    assert_eq!(texts(&below.accepted), ["a.wild.test"], "routed by the suffix");
    let above = judged(&["a.wild.test"], &[".wild.test"], &choices);
    assert_eq!(texts(&above.undecided), [".wild.test"], "the rest of it would be relayed");
}

#[test]
fn a_refused_virtual_host_is_no_host_of_table_rcpthosts_only() {
    let long = format!("{}.test", "a".repeat(234));
    let virtuals = [".deep.test", "me.test", &long, ".other.test"];
    let accepted = [".deep.test", "x.deep.test", "me.test", &long, "x.other.test", "old.test"];
    for only in [RcpthostsOnly::Ask, RcpthostsOnly::Relay, RcpthostsOnly::Local] {
        let except = hosts(&["y.other.test"]);
        let choices = Choices { wildcards: true, except, rcpthosts_only: only, ..choices() };
        let wanted = judged(&virtuals, &accepted, &choices);
        let refused = wanted.refused.iter().filter(|refused| refused.table == Table::Rcpthosts).count();
        assert_eq!(refused, 5, "{only:?} {wanted:?}");
        assert_eq!(wanted.accepted.len() + wanted.undecided.len(), 1, "old.test, {only:?}");
        assert_eq!(wanted.relayed.len(), usize::from(only == RcpthostsOnly::Relay));
    }
}

#[test]
fn a_host_in_the_block_is_kept_when_a_control_file_says_otherwise() {
    let all = ["mail.test", "me.test", "relay.test", ".deep.test", "bob.test"];
    let choices = Choices { wildcards: true, ..choices() };
    let mut around = around();
    around.routed = hosts(&all).into_iter().collect();
    let wanted = Wanted::judge(&rows(&all, &all), &around, &choices);
    assert_eq!(texts(&wanted.routed), [".deep.test", "mail.test", "me.test", "relay.test"]);
    assert_eq!(wanted.kept.len(), 4);
    assert_eq!(wanted.refused.len(), 1, "your own line counts");
    assert_eq!(wanted.accepted.len(), 5);
    let denied = Choices { deny: hosts(&["in.deep.test"]), ..choices };
    assert_eq!(Wanted::judge(&rows(&all, &all), &around, &denied).kept.len(), 3, "who denies it has thought of it");
}

#[test]
fn other_machines_hosts_are_not_there() {
    let mine = Choices { only: hosts(&["a.test", ".b.test"]), except: hosts(&["x.b.test"]), ..choices() };
    let all = ["a.test", "y.b.test", "x.b.test", "b.test", "c.test"];
    let wanted = judged(&all, &all, &mine);
    assert_eq!(texts(&wanted.routed), ["a.test", "y.b.test"]);
    assert_eq!(texts(&wanted.accepted), ["a.test", "y.b.test"]);
    assert!(wanted.refused.is_empty() && wanted.undecided.is_empty());
    let denied = Choices { deny: hosts(&["a.test", ".b.test"]), ..choices() };
    let wanted = judged(&all, &all, &denied);
    assert_eq!(texts(&wanted.routed), ["b.test", "c.test"]);
    assert_eq!(wanted.refused.len(), 6);
}

proptest! {
    #[test]
    fn every_row_ends_somewhere(
        virtuals in proptest::collection::btree_set("[ab.:=\u{e4}]{0,5}|(mail|bob|me|relay)\\.test", 0..12),
        rcpthosts in proptest::collection::btree_set("[ab.]{0,5}|(mail|bob|me|old)\\.test", 0..12),
        wildcards: bool,
        decided in 0..3,
    ) {
        let only = [RcpthostsOnly::Ask, RcpthostsOnly::Local, RcpthostsOnly::Relay][usize::try_from(decided).unwrap()];
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
        let (virtuals, rcpthosts) = (list(&virtuals), list(&rcpthosts));
        let refs = |list: &[String]| list.iter().map(String::as_bytes).map(<[u8]>::to_vec).collect::<BTreeSet<_>>();
        let rows = Rows { virtuals: refs(&virtuals), rcpthosts: refs(&rcpthosts) };
        let around = around();
        let wanted = Wanted::judge(&rows, &around, &Choices { wildcards, rcpthosts_only: only, ..choices() });
        let refused = |table, raw: &Vec<u8>| wanted.refused.iter().any(|r| r.table == table && r.host == *raw);
        let has = |set: &BTreeSet<Host>, raw: &[u8]| set.iter().any(|host| host.as_bytes() == raw);
        for raw in &rows.virtuals {
            let places = [refused(Table::Virtual, raw), has(&wanted.routed, raw) || has(&wanted.own, raw)];
            let local = only == RcpthostsOnly::Local && rows.rcpthosts.contains(raw);
            prop_assert!(places == [true, false] || places == [false, true] || local, "{:?} {:?}", raw, places);
        }
        for raw in &rows.rcpthosts {
            let places =
                [refused(Table::Rcpthosts, raw), has(&wanted.accepted, raw), has(&wanted.undecided, raw)];
            prop_assert_eq!(places.iter().filter(|&&here| here).count(), 1, "{:?}", raw);
        }
        for host in &wanted.routed {
            prop_assert!(is_host_key(host.as_bytes()) && !around.is_local(host) && !around.is_me(host));
            prop_assert!(!around.own_routes.contains_key(host.as_bytes()));
        }
    }
}
