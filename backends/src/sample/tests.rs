//! Over rows in memory, edited behind the layer's back.

mod following;

use super::track::{SAMPLE_MIN, Track};
use super::{PAUSE, Sampled};
use crate::memory::Memory;
use async_trait::async_trait;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, AuthAnswer, Authenticator, Backend, Change, Deadline, Editor, ErrorKind, Ext,
    Host, HostRow, LookupError, MailboxResolver, MailboxRow, Refusal, Secret, Table, TableRow, Username, VirtualKey,
    VirtualResolver, VirtualRow, VirtualUser,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Rows in memory, with a count of the statements and a way to break.
struct Store {
    inner: Memory,
    asked: AtomicUsize,
    broken: AtomicBool,
}

impl Store {
    fn ask(&self) -> Result<&Memory, LookupError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let broken = || Err(LookupError::new(ErrorKind::Unreachable, "here", "broken"));
        if self.broken.load(Ordering::SeqCst) { broken() } else { Ok(&self.inner) }
    }
}

#[async_trait]
impl MailboxResolver for Store {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        self.ask()?.mailboxes(names, by).await
    }
}

#[async_trait]
impl AliasResolver for Store {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        self.ask()?.aliases(keys, by).await
    }
}

#[async_trait]
impl VirtualResolver for Store {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        self.ask()?.virtuals(keys, by).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        self.ask()?.rcpthosts(hosts, by).await
    }
}

crate::layer::layer! { Store }

/// A store of 40 rows in each table, behind the layer.
struct Site {
    store: Arc<Store>,
    layer: Sampled,
}

const ROWS: usize = 40;

/// Long enough that no test ends before the second check is allowed, or short enough that it always is.
const NEVER: Duration = Duration::from_secs(3600);
const AT_ONCE: Duration = Duration::ZERO;

fn cell(text: impl Into<String>) -> Option<Vec<u8>> {
    Some(text.into().into_bytes())
}

fn row(table: Table, n: usize) -> TableRow {
    let name = format!("User{n}");
    let cells = match table {
        Table::Mailbox => {
            let text = [&name, "1000", "1000", "/home/x", "sesame", "Password", "N"];
            text.map(cell).to_vec()
        }
        Table::Alias => vec![cell(name), cell("ext"), cell("somebody"), cell(""), None],
        Table::Virtual => vec![cell("x.example"), cell(name), cell("somebody"), cell("")],
        Table::Rcpthosts => vec![cell(format!("Host{n}.example"))],
    };
    TableRow::from_cells(table, cells)
}

impl Site {
    fn new(pause: Duration) -> Self {
        let rows: Vec<_> = Table::ALL.iter().flat_map(|&table| (0..ROWS).map(move |n| row(table, n))).collect();
        let inner = Memory::new(rows, Arc::default());
        let store = Arc::new(Store { inner, asked: AtomicUsize::new(0), broken: AtomicBool::new(false) });
        let layer = Sampled::with_pause(Arc::<Store>::clone(&store), pause);
        Self { store, layer }
    }

    /// One that has seen every row of `table` a few times, and some keys without one.
    async fn known(table: Table, pause: Duration) -> Self {
        let site = Self::new(pause);
        for n in 0..10 * ROWS {
            site.finds(table, n % ROWS).await;
            if n % 10 == 0 {
                assert_eq!(site.asks(table, ROWS + n).await.map_err(|e| e.to_string()), Ok(false));
            }
        }
        assert!(!site.layer.distrusted());
        site
    }

    /// Whether the key of row n has a row.
    async fn asks(&self, table: Table, n: usize) -> Result<bool, LookupError> {
        let (by, name) = (Deadline::after(Duration::from_secs(30)), format!("user{n}"));
        let user = Username::new(name.as_bytes()).unwrap();
        Ok(match table {
            Table::Mailbox => !self.layer.mailboxes(&[user], by).await?.is_empty(),
            Table::Alias => {
                let key = AliasKey { username: user, alias: Ext::new(b"ext").unwrap() };
                !self.layer.aliases(&[key], by).await?.is_empty()
            }
            Table::Virtual => {
                let keys = virtual_keys(&name);
                let rows = self.layer.virtuals(&keys, by).await?;
                rows.iter().any(|row| {
                    keys[0].host().matches(row.virtual_host.as_deref()) && {
                        VirtualUser::new(name.as_bytes()).unwrap().matches(row.virtual_username.as_deref())
                    }
                })
            }
            Table::Rcpthosts => {
                let host = Host::new(format!("host{n}.example").as_bytes()).unwrap();
                !self.layer.rcpthosts(&[host], by).await?.is_empty()
            }
        })
    }

    async fn finds(&self, table: Table, n: usize) {
        assert!(self.asks(table, n).await.unwrap(), "row {n} of {table}");
    }

    /// Asks for rows that were never there until the store is distrusted, at most `max` times. Returns how many of
    /// them were answered.
    async fn notices(&self, table: Table, max: usize) -> usize {
        for n in 0..max {
            if self.asks(table, 1000 + n).await.is_err() {
                assert!(self.layer.distrusted());
                return n;
            }
        }
        max
    }

    async fn remove(&self, table: Table, rows: impl IntoIterator<Item = usize>) {
        self.edit(rows.into_iter().map(|n| Change::Delete(row(table, n))).collect()).await;
    }

    async fn restore(&self, table: Table, rows: impl IntoIterator<Item = usize>) {
        self.edit(rows.into_iter().map(|n| Change::Insert(row(table, n))).collect()).await;
    }

    async fn edit(&self, changes: Vec<Change>) {
        self.store.inner.apply(&changes, Deadline::after(NEVER)).await.unwrap();
    }

    fn statements(&self) -> usize {
        self.store.asked.load(Ordering::SeqCst)
    }
}

fn virtual_keys(name: &str) -> Vec<VirtualKey> {
    let host = Host::new(b"x.example").unwrap();
    let exact = |user: &str| VirtualKey::Exact { host: host.clone(), user: VirtualUser::new(user.as_bytes()).unwrap() };
    vec![exact(name), exact(""), exact("%"), VirtualKey::Any { host: host.clone() }]
}

#[tokio::test]
async fn in_each_table_more_than_half_gone_is_distrust_until_it_is_back() {
    for table in Table::ALL {
        let site = Site::known(table, AT_ONCE).await;
        site.remove(table, 0..ROWS).await;
        let answered = site.notices(table, 64).await;
        assert!(answered < 32, "{table}: {answered} keys were answered \"none\" before it was noticed");
        let error = site.asks(table, 3).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
        assert!(error.what().contains(&format!(" in table {table} ")) && error.what().starts_with(char::is_numeric));
        assert!(error.help().unwrap().contains("qmail-lookup trust"));
        // No none of another table is believed either; what is there is.
        let other = if table == Table::Mailbox { Table::Alias } else { Table::Mailbox };
        assert!(site.asks(other, 1000).await.is_err());
        site.finds(other, 0).await;
        assert!(site.layer.any_mailbox(Deadline::after(NEVER)).await.is_err());

        site.restore(table, 0..ROWS / 2 - 4).await;
        assert!(site.asks(table, ROWS - 1).await.is_err(), "{table}: less than half is back");
        site.finds(table, 0).await;
        site.restore(table, ROWS / 2 - 4..ROWS).await;
        assert!(!site.asks(table, 1000).await.unwrap(), "{table}: all is back");
        assert!(!site.layer.distrusted());
        site.finds(table, 7).await;
        assert!(site.layer.any_mailbox(Deadline::after(NEVER)).await.unwrap());
    }
}

#[tokio::test]
async fn the_none_that_was_seen_before_the_rows_came_back_is_not_used() {
    for table in Table::ALL {
        let site = Arc::new(Site::known(table, AT_ONCE).await);
        site.remove(table, 0..ROWS).await;
        site.notices(table, 64).await;
        let turn = match table {
            Table::Mailbox => site.layer.mailbox.turn.lock().await,
            Table::Alias => site.layer.alias.turn.lock().await,
            Table::Virtual => site.layer.virtuals.turn.lock().await,
            Table::Rcpthosts => site.layer.rcpthosts.turn.lock().await,
        };
        let asked = site.statements();
        let other = Arc::clone(&site);
        let task = tokio::spawn(async move { other.asks(table, 5).await });
        while site.statements() == asked {
            tokio::task::yield_now().await;
        }
        // It has its "none", and waits for its turn to check. Whoever then notices that all is back gets the row.
        site.restore(table, 0..ROWS).await;
        drop(turn);
        assert!(task.await.unwrap().unwrap(), "{table}: what was missing a moment ago was used");
        assert!(!site.layer.distrusted());
    }
}

#[tokio::test]
async fn less_than_half_gone_is_no_distrust() {
    for table in Table::ALL {
        let site = Site::known(table, AT_ONCE).await;
        site.remove(table, 0..ROWS / 2 - 4).await;
        assert_eq!(site.notices(table, 200).await, 200, "{table}");
        assert!(!site.asks(table, 0).await.unwrap() && !site.layer.distrusted());
        // They are gone, and the rest goes soon after: that is not an ordinary removal any more.
        site.remove(table, ROWS / 2 - 4..ROWS - 10).await;
        assert!(site.notices(table, 64).await < 64, "{table}");
    }
}

#[tokio::test]
async fn keys_that_are_removed_one_by_one_while_others_come_trip_nothing() {
    let site = Site::known(Table::Mailbox, AT_ONCE).await;
    for n in 0..6 {
        site.remove(Table::Mailbox, [n]).await;
        site.restore(Table::Mailbox, [500 + n]).await;
        site.finds(Table::Mailbox, 500 + n).await;
        assert!(!site.asks(Table::Mailbox, n).await.unwrap());
        for other in 10..ROWS {
            site.finds(Table::Mailbox, other).await;
        }
    }
    assert_eq!(site.notices(Table::Mailbox, 200).await, 200);
}

#[tokio::test]
async fn a_run_of_unknown_names_costs_one_statement_in_a_pause() {
    for table in Table::ALL {
        let site = Site::known(table, NEVER).await;
        let before = site.statements();
        assert_eq!(site.notices(table, 2000).await, 2000, "{table}");
        let extra = site.statements() - before - 2000;
        // The check, and the question that waited for it once more.
        assert!((1..=2).contains(&extra), "{table}: {extra} statements too many");
    }
}

#[tokio::test]
async fn a_run_of_unknown_names_does_not_hide_the_loss() {
    let site = Site::known(Table::Mailbox, AT_ONCE).await;
    assert_eq!(site.notices(Table::Mailbox, 20_000).await, 20_000);
    for n in 0..ROWS {
        site.finds(Table::Mailbox, n).await;
    }
    site.remove(Table::Mailbox, 0..ROWS).await;
    assert!(site.notices(Table::Mailbox, 65).await <= 64);
}

#[tokio::test]
async fn trust_forgets_what_is_gone() {
    for table in Table::ALL {
        let site = Site::known(table, NEVER).await;
        assert!(!site.layer.trust());
        let site = Site::known(table, AT_ONCE).await;
        site.remove(table, 0..ROWS - SAMPLE_MIN).await;
        site.notices(table, 64).await;
        assert!(site.layer.distrusted() && site.layer.trust() && !site.layer.distrusted());
        assert_eq!(site.notices(table, 500).await, 500, "{table}");
        // And it learns anew.
        for _ in 0..20 {
            for n in ROWS - SAMPLE_MIN..ROWS {
                site.finds(table, n).await;
            }
        }
        site.remove(table, ROWS - SAMPLE_MIN..ROWS).await;
        assert!(site.notices(table, 65).await < 65, "{table}");
    }
}

#[tokio::test]
async fn too_small_a_sample_decides_nothing() {
    let site = Site::new(AT_ONCE);
    for n in 0..100 {
        site.finds(Table::Mailbox, n % (SAMPLE_MIN - 1)).await;
    }
    site.remove(Table::Mailbox, 0..ROWS).await;
    let before = site.statements();
    assert_eq!(site.notices(Table::Mailbox, 200).await, 200);
    assert_eq!(site.statements() - before, 200);
}

#[tokio::test]
async fn an_error_during_the_check_decides_nothing_and_refuses_the_none() {
    let site = Site::known(Table::Virtual, AT_ONCE).await;
    let by = Deadline::after(NEVER);
    // The question itself is answered, and the check fails: between them the store breaks.
    site.remove(Table::Virtual, 0..ROWS).await;
    for key in 0..64 {
        site.layer.virtuals.note(&virtual_keys(&format!("gone{key}"))[..1], 0);
    }
    site.store.broken.store(true, Ordering::SeqCst);
    let refused = site.layer.believe(Some(&site.layer.virtuals), by).await.err().expect("nothing is known");
    assert_eq!(refused.kind(), ErrorKind::Unreachable);
    assert!(!site.layer.distrusted());
    site.store.broken.store(false, Ordering::SeqCst);
    assert_eq!(site.asks(Table::Virtual, 0).await.unwrap_err().kind(), ErrorKind::Misconfigured);
    assert!(site.layer.distrusted());
    // Nor does an error end a distrust.
    site.store.broken.store(true, Ordering::SeqCst);
    assert!(site.asks(Table::Virtual, 0).await.is_err() && site.layer.distrusted());
    site.store.broken.store(false, Ordering::SeqCst);
    site.restore(Table::Virtual, 0..ROWS).await;
    site.finds(Table::Virtual, 0).await;
}

#[tokio::test]
async fn a_failed_check_is_not_repeated_within_the_pause() {
    let site = Site::known(Table::Mailbox, NEVER).await;
    let by = Deadline::after(NEVER);
    for n in 0..64 {
        site.layer.mailbox.note(&[Username::new(format!("gone{n}").as_bytes()).unwrap()], 0);
    }
    site.store.broken.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert!(site.layer.believe(Some(&site.layer.mailbox), by).await.is_err());
    }
    site.store.broken.store(false, Ordering::SeqCst);
    let before = site.statements();
    // The suspicion stands, and what is known of it is the error.
    assert_eq!(site.asks(Table::Mailbox, 1000).await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(site.statements() - before, 1);
    for n in 0..64 {
        site.finds(Table::Mailbox, n % ROWS).await;
    }
    assert!(!site.asks(Table::Mailbox, 1000).await.unwrap(), "nobody is suspicious any more");
}

#[tokio::test]
async fn unknown_logins_are_nones_too() {
    let site = Site::known(Table::Mailbox, AT_ONCE).await;
    let login = async |name: &str| {
        let (who, by) = (Username::new(name.as_bytes()).unwrap(), Deadline::after(NEVER));
        site.layer.authenticate(&who, &Secret::new(b"sesame".to_vec()), by).await
    };
    assert!(matches!(login("user1").await, Ok(AuthAnswer::Granted(_))));
    assert!(matches!(login("nobody").await, Ok(AuthAnswer::Refused(Refusal::Unknown))));
    site.remove(Table::Mailbox, 1..ROWS).await;
    let mut answered = 0;
    while login(&format!("user{}", 1 + answered)).await.is_ok() {
        answered += 1;
        assert!(answered < 32);
    }
    assert!(site.layer.distrusted());
    assert!(matches!(login("user0").await, Ok(AuthAnswer::Granted(_))));
    site.restore(Table::Mailbox, 1..ROWS).await;
    // The first one is the one that finds out, and was told "unknown" before that.
    assert!(login("nobody").await.is_err());
    assert!(matches!(login("nobody").await, Ok(AuthAnswer::Refused(Refusal::Unknown))));
}

#[tokio::test]
async fn in_distrust_an_exact_virtual_row_needs_no_catch_all() {
    let site = Site::known(Table::Virtual, AT_ONCE).await;
    site.remove(Table::Virtual, 4..ROWS).await;
    site.notices(Table::Virtual, 64).await;
    let by = Deadline::after(NEVER);
    site.finds(Table::Virtual, 2).await;
    let keys = virtual_keys("user2");
    // Of these no row is the exact one, though the host has some.
    assert!(site.layer.virtuals(&keys[1..], by).await.is_err());
    let patterns = VirtualKey::Patterns { host: Host::new(b"x.example").unwrap() };
    assert!(site.layer.virtuals(std::slice::from_ref(&patterns), by).await.is_err());
    assert!(site.layer.virtuals(&[keys[0].clone(), patterns], by).await.is_ok());
}

#[tokio::test]
async fn callers_that_come_during_a_check_wait_for_it() {
    let site = Arc::new(Site::known(Table::Mailbox, NEVER).await);
    site.remove(Table::Mailbox, 0..ROWS).await;
    let held = site.layer.mailbox.turn.lock().await;
    let mut tasks = Vec::new();
    for n in 0..40 {
        let site = Arc::clone(&site);
        tasks.push(tokio::spawn(async move { site.asks(Table::Mailbox, n).await }));
    }
    // Those that come late in the run are suspicious, and wait.
    while tasks.iter().filter(|task| task.is_finished()).count() < 5 {
        tokio::task::yield_now().await;
    }
    assert!(!site.layer.distrusted());
    drop(held);
    let mut refused = 0;
    for task in tasks {
        refused += usize::from(task.await.unwrap().is_err());
    }
    assert!(refused > 20 && site.layer.distrusted(), "{refused} were refused");
    let short = Deadline::after(Duration::from_millis(20));
    let _held = site.layer.mailbox.turn.lock().await;
    let late = site.layer.mailboxes(&[Username::new(b"user1").unwrap()], short).await;
    assert!(late.is_err());
}

#[tokio::test]
async fn distrust_is_told_once_each_time() {
    let site = Site::known(Table::Rcpthosts, AT_ONCE).await;
    let told = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&told);
    site.layer.on_distrust(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    for times in 1..3 {
        site.remove(Table::Rcpthosts, 0..ROWS).await;
        site.notices(Table::Rcpthosts, 65).await;
        assert!(site.asks(Table::Rcpthosts, 0).await.is_err());
        assert_eq!(told.load(Ordering::SeqCst), times);
        site.restore(Table::Rcpthosts, 0..ROWS).await;
        for n in 0..4 * ROWS {
            site.finds(Table::Rcpthosts, n % ROWS).await;
        }
        assert!(!site.asks(Table::Rcpthosts, 1000).await.unwrap() && !site.layer.distrusted());
    }
}

#[tokio::test]
async fn a_statement_with_many_keys_counts_each_of_them() {
    let site = Site::known(Table::Mailbox, AT_ONCE).await;
    site.remove(Table::Mailbox, 0..ROWS).await;
    let names: Vec<_> = (0..100).filter_map(|n| Username::new(format!("user{n}").as_bytes())).collect();
    let by = Deadline::after(NEVER);
    assert!(site.layer.mailboxes(&names, by).await.is_err(), "the first statement with so many nones is noticed");
    site.restore(Table::Mailbox, 0..ROWS).await;
    assert_eq!(site.layer.mailboxes(&names, by).await.unwrap().len(), ROWS);
}

#[test]
fn what_is_gone_for_long_was_removed_and_does_not_add_up() {
    let track: Track<Username> = Track::new(PAUSE);
    let names: Vec<_> = (0..32).filter_map(|n| Username::new(format!("user{n}").as_bytes())).collect();
    for _ in 0..20 {
        track.note(&names, u64::MAX);
    }
    let error = |_| LookupError::new(ErrorKind::Misconfigured, "x", "x");
    let (mut now, hour) = (Instant::now(), Duration::from_secs(3700));
    // A fifth of those that are left goes away every few hours: never distrust, until too few are left to tell.
    for left in [26, 21, 17, 14, 11, 9, 7, 5] {
        for _ in 0..2 {
            let found = track.learn(&names, |name| names[..left].contains(name), now, error);
            assert!(!found.lost, "{left} left: {found:?}");
            now += hour;
        }
    }
    assert!(!track.is_lost());
}

#[test]
fn the_sample_is_bounded_and_takes_new_keys_in() {
    let track: Track<Username> = Track::new(AT_ONCE);
    let name = |n: usize| Username::new(format!("user{n}").as_bytes()).unwrap();
    let sample = |track: &Track<Username>| match track.due(Instant::now()) {
        super::Due::Ask(keys) => keys,
        super::Due::Known(_) => Vec::new(),
    };
    for n in 0..2000 {
        track.note(&[name(n % 200)], 1);
    }
    let old = sample(&track);
    assert_eq!(old.len(), 64);
    let mut unique = old.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), 64);
    for n in 10_000..30_000 {
        track.note(&[name(n)], 1);
    }
    let new = sample(&track);
    let kept = new.iter().filter(|key| old.contains(key)).count();
    assert_eq!(new.len(), 64);
    assert!(kept < 32, "{kept} of the keys of long ago");
}
