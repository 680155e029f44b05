//! A second store that behaves badly, and what is compared.

use super::*;
use crate::answer::{Said, answer};
use crate::auth::testing;
use crate::daemon::tests::{daemon, run};
use crate::peer::Peer;
use crate::question::Name;
use crate::state::State;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use qmail_lookup_config::{Sources, Stores};
use qmail_lookup_core::alias::{AliasResolver, AliasRow};
use qmail_lookup_core::backend::StoreFacts;
use qmail_lookup_core::getpw::{Answer, SixFields, Winner};
use qmail_lookup_core::mailbox::{MailboxResolver, MailboxRow};
use qmail_lookup_core::rcpthosts::HostRow;
use qmail_lookup_core::settings::{HomeTrouble, RuleSettings};
use qmail_lookup_core::virtuals::{VirtualResolver, VirtualRow};
use qmail_lookup_core::wire::auth::{Account, Reply};
use qmail_lookup_core::{
    AliasKey, Backend, Deadline, Host, LookupError, Mailbox, Standing, Username, VirtualKey, wire,
};
use std::time::Instant;

/// What a store does instead of answering.
#[derive(Clone, Copy)]
enum Instead {
    Panic,
    /// Never ends, and lets others go on.
    Hang,
    /// Keeps its thread.
    Block,
}

struct Bad(Instead);

impl Bad {
    async fn behave<T>(&self) -> Result<T, LookupError> {
        match self.0 {
            Instead::Panic => panic!("as told"),
            Instead::Hang => std::future::pending().await,
            Instead::Block => loop {
                std::thread::sleep(Duration::from_secs(60));
            },
        }
    }
}

#[async_trait]
impl MailboxResolver for Bad {
    async fn mailboxes(&self, _: &[Username], _: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        self.behave().await
    }
}

#[async_trait]
impl AliasResolver for Bad {
    async fn aliases(&self, _: &[AliasKey], _: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        self.behave().await
    }
}

#[async_trait]
impl VirtualResolver for Bad {
    async fn virtuals(&self, _: &[VirtualKey], _: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        self.behave().await
    }

    async fn rcpthosts(&self, _: &[Host], _: Deadline) -> Result<Vec<HostRow>, LookupError> {
        self.behave().await
    }
}

#[async_trait]
impl Backend for Bad {
    fn kind(&self) -> &'static str {
        "bad"
    }

    fn place(&self) -> String {
        "bad".to_owned()
    }

    async fn ping(&self, _: Deadline) -> Result<(), LookupError> {
        self.behave().await
    }

    async fn any_mailbox(&self, _: Deadline) -> Result<bool, LookupError> {
        self.behave().await
    }

    async fn facts(&self, _: Deadline) -> Result<StoreFacts, LookupError> {
        self.behave().await
    }
}

/// A daemon over rows in memory, with `second` behind it: two questions at once, and two more may wait.
fn over(second: &Arc<dyn Backend>) -> Arc<Daemon> {
    let one = || Arc::clone(second);
    let stores = remote::stores(&Stores { mailbox: one(), alias: one(), virtuals: one() }, 2).unwrap();
    let deadline = Duration::from_millis(300);
    let shadow =
        Shadow { pause: Duration::ZERO, ..Shadow::new(stores.lookup(&RuleSettings::default()), deadline, 2, 2) };
    let sources = Sources { store_url: Some("memory:".to_owned()), ..Sources::default() };
    let state = State::load(&sources, &Registry::builtin(), None).unwrap();
    let shadow = Opened { shadow: Some(Arc::new(shadow)), ..Opened::default() };
    let state = ArcSwap::from_pointee(State { lookup: testing::lookup(), shadow, ..state });
    Arc::new(Daemon { state, ..daemon() })
}

async fn ask(daemon: &Daemon, content: &str) -> Said {
    let (peer, by) = (Peer { uid: 0, gid: 0, pid: 1 }, Deadline::after(Duration::from_secs(20)));
    answer(daemon, peer, None, content.into(), by).await
}

fn counted(daemon: &Daemon, question: &str, verdict: &str) -> u64 {
    let series = format!("qmail_lookupd_shadow_answers_total{{question=\"{question}\",verdict=\"{verdict}\"}} ");
    daemon.metrics.render(&[]).lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0)
}

/// Waits until so many are counted.
async fn until(daemon: &Daemon, question: &str, verdict: &str, number: u64) {
    let end = Instant::now() + Duration::from_secs(20);
    while counted(daemon, question, verdict) < number {
        assert!(Instant::now() < end, "no {number} {verdict}: {}", daemon.metrics.render(&[]));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_store_that_panics_hangs_or_blocks_changes_no_answer_and_keeps_little() {
    for instead in [Instead::Panic, Instead::Hang, Instead::Block] {
        let second: Arc<dyn Backend> = Arc::new(Bad(instead));
        let daemon = over(&second);
        let ended = Instant::now();
        run(async {
            start(&daemon);
            for _ in 0..200 {
                assert!(matches!(ask(&daemon, "mailbox iain").await, Said::Ok(data) if data.starts_with(b"iain:")));
            }
            let state = daemon.state.load_full();
            assert!(state.shadow.waiting() <= 4, "{}", state.shadow.waiting());
            until(&daemon, "mailbox", "not_asked", 4).await;
            assert_eq!(state.shadow.waiting(), 0);
            let all = ["not_asked", "dropped"].map(|verdict| counted(&daemon, "mailbox", verdict));
            assert_eq!(all.iter().sum::<u64>(), 200, "{all:?}");
            // There is room again, and a blocked thread has not got more than its turns.
            assert_eq!(ask(&daemon, "mailbox nobody").await, Said::NotFound);
            until(&daemon, "mailbox", "not_asked", all[0] + 1).await;
            // Nobody is asked for what had no answer, or may not be asked.
            assert!(matches!(ask(&daemon, "mailbox twice").await, Said::Temp(_)));
            assert_eq!((counted(&daemon, "mailbox", "skipped"), daemon.metrics.panics.get()), (1, 0));
            assert!(matches!(ask(&daemon, "skipped iain x").await, Said::Ok(_)));
            assert!(!daemon.metrics.render(&[]).contains("question=\"skipped\",verdict=\"not_asked\""));
        });
        assert!(ended.elapsed() < Duration::from_secs(15), "it is waited for");
    }
}

#[test]
fn what_waits_when_another_state_comes_is_dropped() {
    let second: Arc<dyn Backend> = Arc::new(Bad(Instead::Hang));
    let daemon = over(&second);
    run(async {
        start(&daemon);
        for _ in 0..4 {
            ask(&daemon, "mailbox iain").await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        daemon.state.load().shadow.end();
        until(&daemon, "mailbox", "dropped", 2).await;
        until(&daemon, "mailbox", "not_asked", 2).await;
    });
}

#[test]
fn the_same_rows_are_the_same_answers() {
    let daemon = over(&testing::memory());
    run(async {
        start(&daemon);
        let questions = [
            ("getpw", "iain-x"),
            ("getpw", "nobody"),
            ("rcpthosts", "virtual.com"),
            ("recipient", "boss@virtual.com"),
            ("virtual", "sales@virtual.com"),
            ("mailbox", "iain"),
        ];
        for (name, key) in questions {
            let before = counted(&daemon, name, "same");
            ask(&daemon, &format!("{name} {key}")).await;
            until(&daemon, name, "same", before + 1).await;
        }
    });
}

#[test]
fn the_verdict_is_by_fields_and_by_who_has_an_answer() {
    let found = |home: &[u8]| Told::Found(vec![("uid", b"7".to_vec()), ("home", home.to_vec())]);
    let (same, none) = (found(b"/a"), Vec::<&str>::new());
    assert_eq!(Verdict::of(&same, &same), (Verdict::Same, none.clone()));
    assert_eq!(Verdict::of(&same, &found(b"/b")), (Verdict::Differs, vec!["home"]));
    assert_eq!(Verdict::of(&same, &Told::Absent), (Verdict::OnlyPrimary, none.clone()));
    assert_eq!(Verdict::of(&Told::Absent, &same), (Verdict::OnlyShadow, none.clone()));
    assert_eq!(Verdict::of(&Told::Absent, &Told::Absent), (Verdict::Same, none.clone()));
    for other in [&same, &Told::Absent, &Told::Unknown] {
        assert_eq!(Verdict::of(&Told::Unknown, other), (Verdict::Skipped, none.clone()));
    }
    assert_eq!(Verdict::of(&same, &Told::Unknown), (Verdict::NotAsked, none.clone()));
    assert_eq!(Verdict::of(&Told::Absent, &Told::Unknown), (Verdict::NotAsked, none));
}

#[test]
fn long_values_are_kept_as_hashes_that_tell_them_apart() {
    let hasher = RandomState::new();
    let long = |last: u8| Told::Found(vec![("text", [&[b'x'; 500][..], &[last]].concat()), ("uid", b"800".to_vec())]);
    let (one, other) = (long(1).shortened(&hasher), long(2).shortened(&hasher));
    assert_eq!(one, long(1).shortened(&hasher));
    assert_eq!(Verdict::of(&one, &other), (Verdict::Differs, vec!["text"]));
    let Told::Found(fields) = one else { panic!("not found") };
    assert!(fields.iter().all(|(_, value)| value.len() <= 32) && fields.contains(&("uid", b"800".to_vec())));
}

fn names(told: &Told) -> Vec<&'static str> {
    match told {
        Told::Found(fields) => fields.iter().map(|(name, _)| *name).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn answers_have_fields_with_names() {
    let user = SixFields {
        user: b"iain".to_vec(),
        uid: 800,
        gid: 100,
        home: b"/h".to_vec(),
        dash: b"-".to_vec(),
        ext: b"x".to_vec(),
    };
    let owner = |winner| {
        let (home_missing, home_mismatch) = (HomeTrouble::Defer, HomeTrouble::Alias);
        let answer = Answer { home_missing, home_mismatch, winner, alias: Some(user.clone()) };
        Told::said(Name::Getpw, &Said::Ok(wire::getpw::encode(&answer)))
    };
    let mailbox = owner(Winner::Mailbox(user.clone()));
    assert_eq!(names(&mailbox), ["owner", "user", "uid", "gid", "home", "dash", "ext"]);
    assert_eq!(owner(Winner::Stock(b"x".to_vec())), Told::Absent);
    assert_eq!(Verdict::of(&owner(Winner::AliasUser), &mailbox).0, Verdict::Differs);
    let text = Told::said(Name::Mailbox, &Said::Ok(b"a:b:800:100:/home/a:b".to_vec()));
    let fields = [("user", &b"a:b"[..]), ("uid", b"800"), ("gid", b"100"), ("home", b"/home/a:b")];
    assert_eq!(text, Told::Found(fields.map(|(name, value)| (name, value.to_vec())).to_vec()));
    for said in [Said::Temp("x".into()), Said::Timeout("x".into()), Said::Perm("x".into())] {
        assert_eq!(Told::said(Name::Virtual, &said), Told::Unknown);
    }
}

#[test]
fn a_login_is_its_mailbox_and_only_if_it_was_let_in() {
    let account = Account { user: b"iain".to_vec(), uid: 800, gid: 100, home: b"/h".to_vec() };
    let mailbox = |standing| Mailbox {
        username: Username::new(b"iain").unwrap(),
        uid: 800,
        gid: 100,
        home: b"/h".to_vec(),
        standing,
    };
    let told = Told::login(&Reply::Ok(account.clone()));
    assert_eq!(told, Told::mailbox(true, &mailbox(Standing::Active)));
    let suspended = Told::mailbox(true, &mailbox(Standing::Suspended));
    assert_eq!(Verdict::of(&told, &suspended), (Verdict::Differs, vec!["standing"]));
    assert_eq!(Told::login(&Reply::No), Told::Unknown);
    assert_eq!(Told::userdb(&Reply::Ok(account)), Told::mailbox(false, &mailbox(Standing::Suspended)));
    assert_eq!(
        (Told::userdb(&Reply::No), Told::mailbox(false, &mailbox(Standing::Bounced))),
        (Told::Absent, Told::Absent)
    );
}
