//! The rules against the naive model, on small tables where everything collides.

use super::model;
use super::tables::{Tables, cell};
use crate::alias::AliasRow;
use crate::key::Username;
use crate::limits::BREAKS_MAX;
use crate::mailbox::MailboxRow;
use crate::rcpthosts::HostRow;
use crate::rules::{Explain, Getpw, candidates};
use crate::settings::{RcpthostsOnly, RemovedHost, RuleSettings, UnknownVirtual, VirtualPatterns};
use crate::virtuals::VirtualRow;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;

const NAMES: [&str; 12] = ["a", "A", "b", "a-b", "a-b-a", "-a", "forward", "postmaster", "alias", "a-", "=h=-a", "ï"];
const USERS: [&str; 11] = ["", "a", "b", "B", "a-b", "%", "a%", "_", "a\\_", "postmaster", "forward"];
const EXTS: [&str; 8] = ["", "@", "b", "B", "a-b", "x@y", "@y", "b c"];
const HOSTS: [&str; 4] = ["h", "H", ".h", "x.h"];

fn tables() -> impl Strategy<Value = Tables> {
    let mailbox =
        (select(&NAMES[..]), select(&["800", "0", "x"][..]), select(&["/h", "h"][..])).prop_map(|(name, uid, home)| {
            MailboxRow { username: cell(name), uid: cell(uid), gid: cell("100"), home: cell(home), suspended: None }
        });
    let alias =
        (select(&["alias", "ALIAS", "a"][..]), select(&["a", "a-b", "b@h", "a@h", "@"][..])).prop_map(|(user, ext)| {
            AliasRow {
                username: cell(user),
                alias: cell(ext),
                alias_username: cell("."),
                alias_host: cell("/M/"),
                seq: None,
            }
        });
    let row = (select(&NAMES[..]), select(&EXTS[..]), select(&USERS[..]), select(&HOSTS[..])).prop_map(
        |(name, ext, user, host)| VirtualRow {
            username: cell(name),
            ext: cell(ext),
            virtual_username: cell(user),
            virtual_host: cell(host),
        },
    );
    let host = select(&["g", ".h", "H"][..]).prop_map(|host| HostRow { host: cell(host) });
    let list = |max| proptest::collection::SizeRange::from(0..max);
    (
        proptest::collection::vec(mailbox, list(4)),
        proptest::collection::vec(alias, list(3)),
        proptest::collection::vec(row, list(5)),
        proptest::collection::vec(host, list(3)),
    )
        .prop_map(|(mailbox, alias, virtuals, rcpthosts)| Tables { mailbox, alias, virtuals, rcpthosts })
}

fn local() -> impl Strategy<Value = String> {
    let user = prop_oneof![
        select(&NAMES[..]).prop_map(str::to_owned),
        select(&USERS[..]).prop_map(str::to_owned),
        "[ab_%-]{0,5}"
    ];
    let encoded =
        (select(&["h", ".h", "x.h", "g", "H"][..]), user.clone()).prop_map(|(host, user)| format!("={host}=-{user}"));
    prop_oneof![user, encoded]
}

fn settings() -> impl Strategy<Value = RuleSettings> {
    (any::<[bool; 5]>(), select(&["-", "-+", "+"][..])).prop_map(
        |([like, mailbox, bounce, magic_forwarding, local], breaks)| RuleSettings {
            virtual_patterns: if like { VirtualPatterns::Like } else { VirtualPatterns::Plain },
            unknown_virtual: if mailbox { UnknownVirtual::Mailbox } else { UnknownVirtual::Bounce },
            removed_host: if bounce { RemovedHost::Bounce } else { RemovedHost::Defer },
            rcpthosts_only: if local { RcpthostsOnly::Local } else { RcpthostsOnly::Ask },
            magic_forwarding,
            break_chars: breaks.to_owned(),
            ..RuleSettings::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_agree_with_the_naive_model(tables in tables(), local in local(), settings in settings()) {
        let question = Getpw { local: local.clone().into_bytes() };
        let ours = tables.decide(question.clone(), &settings, false).map_err(|_| ());
        let noisy = tables.decide(question, &settings, true).map_err(|_| ());
        prop_assert_eq!(&ours, &noisy, "rows that were not asked for changed the answer");
        prop_assert_eq!(ours, model::getpw(&tables, local.as_bytes(), &settings));
    }

    #[test]
    fn explain_ends_and_agrees_with_itself_whatever_else_comes_back(tables in tables(), local in local(), settings in settings()) {
        let question = Explain { address: format!("{local}@h").into_bytes(), control: Arc::default(), alias_home: b"/a".to_vec() };
        let ours = tables.decide(question.clone(), &settings, false).map_err(|bad| bad.rule);
        prop_assert_eq!(ours, tables.decide(question, &settings, true).map_err(|bad| bad.rule));
    }

    #[test]
    fn any_bytes_at_all_are_decided(local in proptest::collection::vec(any::<u8>(), 0..300), tables in tables()) {
        let _ = tables.decide(Getpw { local }, &RuleSettings::default(), true);
    }

    #[test]
    fn candidates_shrink_and_are_prefixes(local in "[ab-]{0,60}") {
        let tried = candidates(local.as_bytes(), b"-");
        prop_assert!(tried.len() <= BREAKS_MAX + 1);
        prop_assert!(tried.windows(2).all(|pair| pair[0].name.as_bytes().len() > pair[1].name.as_bytes().len()));
        prop_assert!(tried.iter().all(|c| local.as_bytes().starts_with(c.name.as_bytes())));
        prop_assert_eq!(tried.first().map(|c| c.name.clone()), Username::new(local.as_bytes()).or_else(|| tried.first().map(|c| c.name.clone())));
    }
}
