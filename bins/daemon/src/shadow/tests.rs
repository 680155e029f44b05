//! A second store that behaves badly, and what is compared.

use super::*;
use crate::answer::Ground;
use crate::answer::{Said, answer};
use crate::auth::testing;
use crate::daemon::tests::{daemon, run};
use crate::peer::Peer;
use crate::question::Name;
use crate::state::State;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use qmail_lookup_backends::memory::Memory;
use qmail_lookup_config::Sources;
use qmail_lookup_core::alias::{AliasResolver, AliasRow};
use qmail_lookup_core::backend::StoreFacts;
use qmail_lookup_core::compare::Seen;
use qmail_lookup_core::getpw::{Answer, SixFields, Winner};
use qmail_lookup_core::mailbox::{MailboxResolver, MailboxRow};
use qmail_lookup_core::rcpthosts::HostRow;
use qmail_lookup_core::rules::{Deliver, Delivery, OwnerFlags, RecipientStanding};
use qmail_lookup_core::settings::{HomeTrouble, RuleSettings};
use qmail_lookup_core::virtuals::{VirtualResolver, VirtualRow};
use qmail_lookup_core::wire::auth::{Account, Reply};
use qmail_lookup_core::{
    AliasKey, Backend, Deadline, Host, LookupError, Mailbox, Standing, TableRow, Username, VirtualKey, wire,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
    beside(testing::lookup(), second, 2, |_| {})
}

/// The same with other rows of its own, another queue, and the changes of `adapt`.
fn beside(own: Lookup, second: &Arc<dyn Backend>, queue: usize, adapt: impl FnOnce(&mut Shadow)) -> Arc<Daemon> {
    let second = Lookup::of(second, Arc::new(RuleSettings::default()));
    let mut shadow = Shadow::start(second, DEADLINE, 2, queue).unwrap();
    shadow.pause = Duration::ZERO;
    adapt(&mut shadow);
    let sources = Sources { store_url: Some("memory:".to_owned()), ..Sources::default() };
    let state = State::load(&sources, &Registry::builtin(), None).unwrap();
    let shadow = Opened { shadow: Some(Arc::new(shadow)), ..Opened::default() };
    let state = ArcSwap::from_pointee(State { lookup: own, shadow, ..state });
    Arc::new(Daemon { state, ..daemon() })
}

/// Of the second store.
const DEADLINE: Duration = Duration::from_millis(300);

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

/// Waits until nothing is under way but `rest` questions; then all others are counted.
async fn idle(daemon: &Daemon, rest: usize) {
    let end = Instant::now() + Duration::from_secs(20);
    while daemon.state.load().shadow.waiting() > rest {
        assert!(Instant::now() < end, "it does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_store_that_panics_hangs_or_blocks_changes_no_answer_and_keeps_little() {
    for instead in [Instead::Panic, Instead::Hang, Instead::Block] {
        let second: Arc<dyn Backend> = Arc::new(Bad(instead));
        let daemon = over(&second);
        let begun = Instant::now();
        run(async {
            start(&daemon);
            for _ in 0..200 {
                assert!(matches!(ask(&daemon, "mailbox iain").await, Said::Ok(data) if data.starts_with(b"iain:")));
            }
            let state = daemon.state.load_full();
            assert!(state.shadow.waiting() <= 4, "{}", state.shadow.waiting());
            if let Instead::Block = instead {
                // Nothing ends there any more, so nothing more is kept.
                assert_eq!((state.shadow.waiting(), counted(&daemon, "mailbox", "dropped")), (4, 196));
                return;
            }
            let answered = Instant::now();
            until(&daemon, "mailbox", "not_asked", 4).await;
            // Two at a time, each given up soon after its deadline.
            assert!(answered.elapsed() < Duration::from_secs(3), "{:?}", answered.elapsed());
            idle(&daemon, 0).await;
            let all = ["not_asked", "dropped"].map(|verdict| counted(&daemon, "mailbox", verdict));
            assert_eq!(all.iter().sum::<u64>(), 200, "{all:?}");
            // A panic is a bug, and is counted as one.
            let panics = if let Instead::Panic = instead { all[0] } else { 0 };
            assert_eq!(daemon.metrics.panics.get(), panics);
            // There is room again.
            assert_eq!(ask(&daemon, "mailbox nobody").await, Said::NotFound);
            until(&daemon, "mailbox", "not_asked", all[0] + 1).await;
            // Nobody is asked for what had no answer, or may not be asked.
            assert!(matches!(ask(&daemon, "mailbox twice").await, Said::Temp(_)));
            assert_eq!(counted(&daemon, "mailbox", "skipped"), 1);
            assert!(matches!(ask(&daemon, "skipped iain x").await, Said::Ok(_)));
            assert!(!daemon.metrics.render(&[]).contains("question=\"skipped\",verdict=\"not_asked\""));
        });
        assert!(begun.elapsed() < Duration::from_secs(15), "it is waited for");
    }
}

/// Rows of one alias, so many that their rules take long.
fn long_alias() -> Vec<TableRow> {
    let row = |n: usize| {
        let cell = |text: &str| Some(text.as_bytes().to_vec());
        TableRow::Alias(AliasRow {
            username: cell("iain"),
            alias: cell("list"),
            alias_username: Some(format!("subscriber-{n}").into_bytes()),
            alias_host: cell("lists.test"),
            ..AliasRow::default()
        })
    };
    (0..100_000).map(row).chain([testing::mailbox("iain", testing::SESAME, "Crypt-Password", "N")]).collect()
}

fn delivery(local: &str) -> Vec<u8> {
    wire::deliver::encode_question(&Deliver {
        user: b"iain".to_vec(),
        local: format!("iain-{local}").into(),
        dash: b"-".to_vec(),
        ext: local.into(),
        domain: b"mail.test".to_vec(),
        system_home: None,
        is_local: false,
    })
}

/// The longest time for which the event loop did nothing else, until `end`.
async fn longest_pause(end: impl Fn() -> bool) -> Duration {
    let (mut longest, begun) = (Duration::ZERO, Instant::now());
    while !end() {
        assert!(begun.elapsed() < Duration::from_secs(120), "it does not end");
        let before = Instant::now();
        tokio::time::sleep(Duration::from_millis(2)).await;
        longest = longest.max(before.elapsed());
    }
    longest
}

#[test]
fn long_rules_over_either_stores_rows_keep_nobody_waiting() {
    let rows: Arc<dyn Backend> = Arc::new(Memory::new(long_alias(), Arc::default()));
    let none: Arc<dyn Backend> =
        Arc::new(Memory::new(vec![testing::mailbox("iain", testing::SESAME, "Crypt-Password", "N")], Arc::default()));
    let lookup = |store| Lookup::of(store, Arc::new(RuleSettings::default()));
    let (key, patient) = (delivery("list"), |shadow: &mut Shadow| shadow.deadline = Duration::from_secs(60));
    // The second store's rows once more after the pause; and once our own.
    for (own, second, verdict) in [(&none, &rows, "only_shadow"), (&rows, &none, "only_primary")] {
        let daemon = beside(lookup(own), second, 2, patient);
        run(async {
            start(&daemon);
            let begun = Instant::now();
            let (state, by) = (daemon.state.load_full(), Deadline::after(Duration::from_secs(60)));
            let found = crate::deliver::found(&Ground::of(&daemon, &state), &key, by).await.unwrap();
            let alone = begun.elapsed();
            // As if it had been asked: what it is like to answer is not measured here.
            let told = || Told::said(Name::Deliver, &found);
            offer(&daemon, Question::Lookup(Name::Deliver), &key, told);
            let begun = Instant::now();
            let longest = longest_pause(|| counted(&daemon, "deliver", verdict) == 1).await;
            let all = begun.elapsed();
            assert!(longest < all / 3, "{longest:?} of {all:?}, and alone {alone:?}");
        });
    }
}

#[test]
fn what_waits_is_bounded_in_bytes_too() {
    let second: Arc<dyn Backend> = Arc::new(Bad(Instead::Hang));
    let daemon = beside(testing::lookup(), &second, 100_000, |shadow| shadow.deadline = Duration::from_secs(60));
    let long = "x".repeat(8000);
    run(async {
        start(&daemon);
        for _ in 0..2000 {
            offer(&daemon, Question::Userdb, long.as_bytes(), Told::nothing);
        }
        let waiting = daemon.state.load().shadow.waiting();
        assert!((900..=BYTES / 8000).contains(&waiting), "{waiting}");
        assert_eq!(counted(&daemon, "userdb", "dropped"), 2000 - waiting as u64);
        // What waits no more has given back what it took.
        daemon.state.load().shadow.end();
        idle(&daemon, 2).await;
        until(&daemon, "userdb", "dropped", 2000 - 2).await;
        let state = daemon.state.load_full();
        let bytes = state.shadow.shadow.as_ref().unwrap().bytes.available_permits();
        assert!(bytes > BYTES - 3 * 9000, "{bytes} are free");
    });
}

/// Counts what it is asked.
struct Counting {
    inner: Arc<dyn Backend>,
    asked: AtomicUsize,
    then: Option<Instead>,
    /// True if the first question finds nothing.
    late: AtomicBool,
}

impl Counting {
    /// From the second question on it may do something else.
    async fn ask(&self) -> Result<(), LookupError> {
        match (self.asked.fetch_add(1, Ordering::Relaxed), self.then) {
            (1.., Some(instead)) => Bad(instead).behave().await,
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl MailboxResolver for Counting {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        self.ask().await?;
        if self.late.swap(false, Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        self.inner.mailboxes(names, by).await
    }
}

#[async_trait]
impl AliasResolver for Counting {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        self.inner.aliases(keys, by).await
    }
}

#[async_trait]
impl VirtualResolver for Counting {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        self.inner.virtuals(keys, by).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        self.inner.rcpthosts(hosts, by).await
    }
}

#[async_trait]
impl Backend for Counting {
    fn kind(&self) -> &'static str {
        "counting"
    }

    fn place(&self) -> String {
        "counting".to_owned()
    }

    async fn ping(&self, by: Deadline) -> Result<(), LookupError> {
        self.inner.ping(by).await
    }

    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        self.inner.any_mailbox(by).await
    }

    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        self.inner.facts(by).await
    }
}

fn counting(then: Option<Instead>) -> (Arc<Counting>, Lookup) {
    let counting =
        Arc::new(Counting { inner: testing::memory(), asked: AtomicUsize::new(0), then, late: AtomicBool::new(false) });
    let store: Arc<dyn Backend> = Arc::<Counting>::clone(&counting);
    (counting, Lookup::of(&store, Arc::new(RuleSettings::default())))
}

#[test]
fn a_second_store_that_lacks_everything_does_not_have_our_own_asked_twice() {
    let (own, lookup) = counting(None);
    let second: Arc<dyn Backend> =
        Arc::new(Memory::new(vec![testing::mailbox("other", testing::SESAME, "Crypt-Password", "N")], Arc::default()));
    let daemon = beside(lookup, &second, 1000, |_| {});
    run(async {
        start(&daemon);
        let begun = Instant::now();
        for _ in 0..500 {
            ask(&daemon, "mailbox iain").await;
        }
        let both = || ["only_primary", "unsettled"].map(|verdict| counted(&daemon, "mailbox", verdict));
        while both().iter().sum::<u64>() < 500 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", both());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let [again, unsettled] = both();
        assert_eq!(own.asked.load(Ordering::Relaxed) as u64, 500 + again);
        assert!((5..=5 * (begun.elapsed().as_secs() + 1)).contains(&again), "{again}, and {unsettled} were not");
        idle(&daemon, 0).await;
    });
}

#[test]
fn what_the_second_store_says_after_the_pause_may_settle_it() {
    let (own, lookup) = counting(None);
    let (theirs, second) = counting(None);
    // The row is there from the second question on.
    theirs.late.store(true, Ordering::Relaxed);
    let daemon = beside(lookup, &second.mailbox, 10, |_| {});
    run(async {
        start(&daemon);
        ask(&daemon, "mailbox iain").await;
        until(&daemon, "mailbox", "settled", 1).await;
        assert_eq!((own.asked.load(Ordering::Relaxed), theirs.asked.load(Ordering::Relaxed)), (1, 2));
        // What went out is said by neither any more: our own one is asked, and they are the same.
        let gone = || Told::Found(vec![("user", b"iain".to_vec())]);
        offer(&daemon, Question::Lookup(Name::Mailbox), b"iain", gone);
        until(&daemon, "mailbox", "settled", 2).await;
        assert_eq!((own.asked.load(Ordering::Relaxed), theirs.asked.load(Ordering::Relaxed)), (2, 4));
    });
}

#[test]
fn our_own_store_that_panics_or_hangs_when_it_is_asked_again_is_nothing_to_compare() {
    for instead in [Instead::Panic, Instead::Hang] {
        let (own, lookup) = counting(Some(instead));
        let second: Arc<dyn Backend> = Arc::new(Memory::new(
            vec![testing::mailbox("other", testing::SESAME, "Crypt-Password", "N")],
            Arc::default(),
        ));
        let daemon = beside(lookup, &second, 10, |_| {});
        let state = daemon.state.load_full();
        let mut config = state.config.clone();
        config.deadline = DEADLINE;
        let (lookup, shadow) = (state.lookup.clone(), state.shadow.shadow.clone());
        let sources = Sources { store_url: Some("memory:".to_owned()), ..Sources::default() };
        let loaded = State::load(&sources, &Registry::builtin(), None).unwrap();
        let shadow = Opened { shadow, ..Opened::default() };
        daemon.state.store(Arc::new(State { config, lookup, shadow, ..loaded }));
        run(async {
            start(&daemon);
            assert!(matches!(ask(&daemon, "mailbox iain").await, Said::Ok(_)));
            let begun = Instant::now();
            until(&daemon, "mailbox", "skipped", 1).await;
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
            assert_eq!(own.asked.load(Ordering::Relaxed), 2);
            idle(&daemon, 0).await;
        });
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
    let (same, absent, none) = (found(b"/a"), Told::nothing(), Vec::<&str>::new());
    assert_eq!(Verdict::of(&same, &same), (Verdict::Same, none.clone()));
    assert_eq!(Verdict::of(&same, &found(b"/b")), (Verdict::Differs, vec!["home"]));
    assert_eq!(Verdict::of(&same, &absent), (Verdict::OnlyPrimary, none.clone()));
    assert_eq!(Verdict::of(&absent, &same), (Verdict::OnlyShadow, none.clone()));
    assert_eq!(Verdict::of(&absent, &absent), (Verdict::Same, none.clone()));
    for other in [&same, &absent, &Told::Unknown] {
        assert_eq!(Verdict::of(&Told::Unknown, other), (Verdict::Skipped, none.clone()));
    }
    assert_eq!(Verdict::of(&same, &Told::Unknown), (Verdict::NotAsked, none.clone()));
    assert_eq!(Verdict::of(&absent, &Told::Unknown), (Verdict::NotAsked, none));
}

/// As `qmail-lookup compare` has it.
#[test]
fn what_is_not_ours_and_what_would_bounce_are_both_absent_and_not_the_same() {
    let recipient = |said: Said| Told::said(Name::Recipient, &said);
    let [possible, not_ours] = [&b"possible"[..], b"not-ours"].map(|word| recipient(Said::Ok(word.to_vec())));
    let bounces = recipient(Said::NotFound);
    let verdict = |ours, theirs| Verdict::of(ours, theirs);
    for absent in [&not_ours, &bounces] {
        assert_eq!(verdict(absent, absent).0, Verdict::Same);
        assert_eq!(verdict(&possible, absent).0, Verdict::OnlyPrimary);
        assert_eq!(verdict(absent, &possible).0, Verdict::OnlyShadow);
    }
    assert_eq!(verdict(&not_ours, &bounces), (Verdict::Differs, vec!["recipient"]));
    assert_eq!(verdict(&bounces, &not_ours), (Verdict::Differs, vec!["recipient"]));
    for (told, standing) in [
        (&possible, RecipientStanding::Possible),
        (&not_ours, RecipientStanding::NotOurs),
        (&bounces, RecipientStanding::Unknown),
    ] {
        let seen = Seen::of(&standing);
        assert_eq!(*told, if seen.is_absent { Told::Absent(seen.fields) } else { Told::Found(seen.fields) });
    }
}

#[test]
fn what_is_left_to_files_is_absent_whoever_owns_the_list() {
    let files = |owner| {
        let owner = OwnerFlags { owner, ..OwnerFlags::default() };
        Told::said(Name::Deliver, &Said::Delivery(wire::deliver::encode(&Delivery::Files { owner })))
    };
    let rows = Told::said(Name::Deliver, &Said::Delivery(wire::deliver::encode(&Delivery::Bounce("no".into()))));
    assert_eq!(Verdict::of(&files(true), &files(true)).0, Verdict::Same);
    assert_eq!(Verdict::of(&files(true), &files(false)), (Verdict::Differs, vec!["owner_flags"]));
    assert_eq!(Verdict::of(&rows, &files(true)).0, Verdict::OnlyPrimary);
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
        Told::Found(fields) | Told::Absent(fields) => fields.iter().map(|(name, _)| *name).collect(),
        Told::Unknown => Vec::new(),
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
    let stock = owner(Winner::Stock(b"x".to_vec()));
    assert!(matches!(stock, Told::Absent(_)), "{stock:?}");
    assert_eq!(Verdict::of(&mailbox, &stock).0, Verdict::OnlyPrimary);
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
        (Told::nothing(), Told::nothing())
    );
}
