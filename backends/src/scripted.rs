//! A store for the tests of layers: it answers from memory, keeps a list of what it was asked, and does as it is told.

use crate::memory::Memory;
use async_trait::async_trait;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, Authenticator, Backend, Catalog, Cell, Change, CredentialResolver,
    CredentialRow, Deadline, Editor, ErrorKind, Host, HostRow, LookupError, MailboxResolver, MailboxRow, StoreFacts,
    TableRow, Username, VirtualKey, VirtualResolver, VirtualRow,
};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What to do with a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    Answer,
    Fail,
    Panic,
    /// Never answers, whatever the deadline.
    Hang,
}

/// One statement as it came.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// Its keys as [`Debug`] has them.
    pub(crate) keys: Vec<String>,
    pub(crate) by: Deadline,
}

pub(crate) struct Scripted {
    pub(crate) memory: Memory,
    /// What to do with the next statements; beyond its end they are answered.
    pub(crate) script: Mutex<VecDeque<Does>>,
    /// Answers with every row of the table.
    pub(crate) tells_all: AtomicBool,
    pub(crate) answered: AtomicUsize,
    statements: Mutex<Vec<Statement>>,
    gate: Semaphore,
}

impl Scripted {
    /// A store that holds `rows` and answers at once.
    pub(crate) fn new(rows: Vec<TableRow>) -> Arc<Self> {
        let store = Self::held(rows);
        store.release();
        store
    }

    /// One that answers nothing before it is [released](Self::release).
    pub(crate) fn held(rows: Vec<TableRow>) -> Arc<Self> {
        Arc::new(Self {
            memory: Memory::new(rows, Arc::default()),
            script: Mutex::default(),
            tells_all: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
            statements: Mutex::default(),
            gate: Semaphore::new(0),
        })
    }

    /// From here on statements are answered.
    pub(crate) fn release(&self) {
        self.gate.add_permits(100_000);
    }

    /// Lets one statement be answered.
    pub(crate) fn release_one(&self) {
        self.gate.add_permits(1);
    }

    pub(crate) fn will(&self, does: &[Does]) {
        self.script.lock().unwrap().extend(does);
    }

    pub(crate) fn statements(&self) -> Vec<Statement> {
        self.statements.lock().unwrap().clone()
    }

    /// How many keys each statement had.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.statements().iter().map(|statement| statement.keys.len()).collect()
    }

    /// Waits until `count` statements have come.
    pub(crate) async fn came(&self, count: usize) {
        until(|| self.statements.lock().unwrap().len() >= count).await;
    }

    async fn statement<K: Debug, R>(
        &self,
        keys: &[K],
        by: Deadline,
        rows: impl Future<Output = Result<Vec<R>, LookupError>>,
        all: fn(TableRow) -> Option<R>,
    ) -> Result<Vec<R>, LookupError> {
        let keys = keys.iter().map(|key| format!("{key:?}")).collect();
        self.statements.lock().unwrap().push(Statement { keys, by });
        let does = self.script.lock().unwrap().pop_front().unwrap_or(Does::Answer);
        if let Does::Hang = does {
            std::future::pending::<()>().await;
        }
        self.gate.acquire().await.unwrap().forget();
        tokio::task::yield_now().await;
        let rows = match does {
            Does::Panic => panic!("as told"),
            Does::Fail => Err(LookupError::new(ErrorKind::Schema, "scripted", "as told")),
            Does::Answer | Does::Hang if self.tells_all.load(Ordering::SeqCst) => {
                let mut scan = self.memory.catalog().unwrap();
                Ok(everything(&mut scan, by).await.into_iter().filter_map(all).collect())
            }
            Does::Answer | Does::Hang => rows.await,
        };
        self.answered.fetch_add(1, Ordering::SeqCst);
        rows
    }
}

async fn everything(catalog: &mut &dyn Catalog, by: Deadline) -> Vec<TableRow> {
    let mut rows = Vec::new();
    for table in qmail_lookup_core::Table::ALL {
        let mut scan = catalog.scan(table, None, by).await.unwrap();
        loop {
            let some = scan.next(100, by).await.unwrap();
            if some.is_empty() {
                break;
            }
            rows.extend(some);
        }
    }
    rows
}

/// Waits until `done`.
pub(crate) async fn until(done: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Longer than any test takes.
pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

pub(crate) fn user(name: &str) -> Username {
    Username::new(name.as_bytes()).unwrap()
}

pub(crate) fn cell(text: &str) -> Cell {
    Some(text.as_bytes().to_vec())
}

/// A mailbox whose home tells it from others of its name.
pub(crate) fn mailbox(name: &str, home: &str) -> TableRow {
    let mailbox = MailboxRow { username: cell(name), home: cell(home), ..MailboxRow::default() };
    TableRow::Mailbox(CredentialRow { mailbox, ..CredentialRow::default() })
}

pub(crate) fn alias(owner: &str, ext: &str, target: &str) -> TableRow {
    let row = AliasRow { username: cell(owner), alias: cell(ext), alias_username: cell(target), ..AliasRow::default() };
    TableRow::Alias(row)
}

pub(crate) fn virtual_row(host: &str, user: Option<&str>, owner: &str) -> TableRow {
    let virtual_username = user.and_then(cell);
    TableRow::Virtual(VirtualRow { username: cell(owner), ext: None, virtual_username, virtual_host: cell(host) })
}

#[async_trait]
impl MailboxResolver for Scripted {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        let all = |row| if let TableRow::Mailbox(row) = row { Some(row.mailbox) } else { None };
        self.statement(names, by, self.memory.mailboxes(names, by), all).await
    }
}

#[async_trait]
impl AliasResolver for Scripted {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        let all = |row| if let TableRow::Alias(row) = row { Some(row) } else { None };
        self.statement(keys, by, self.memory.aliases(keys, by), all).await
    }
}

#[async_trait]
impl VirtualResolver for Scripted {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        let all = |row| if let TableRow::Virtual(row) = row { Some(row) } else { None };
        self.statement(keys, by, self.memory.virtuals(keys, by), all).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        let all = |row| if let TableRow::Rcpthosts(row) = row { Some(row) } else { None };
        self.statement(hosts, by, self.memory.rcpthosts(hosts, by), all).await
    }
}

#[async_trait]
impl Backend for Scripted {
    fn kind(&self) -> &'static str {
        "scripted"
    }

    fn place(&self) -> String {
        "scripted".to_owned()
    }

    async fn ping(&self, _by: Deadline) -> Result<(), LookupError> {
        Err(LookupError::new(ErrorKind::Refused, "scripted", "pinged"))
    }

    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        self.memory.any_mailbox(by).await
    }

    async fn facts(&self, _by: Deadline) -> Result<StoreFacts, LookupError> {
        Ok(StoreFacts { version: "7".to_owned(), ..StoreFacts::default() })
    }

    fn query_text(&self, _ask: &qmail_lookup_core::rules::Ask) -> String {
        "as scripted".to_owned()
    }

    fn change_text(&self, _change: &Change) -> Option<String> {
        Some("as scripted".to_owned())
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        self.memory.catalog()
    }

    fn editor(&self) -> Option<&dyn Editor> {
        self.memory.editor()
    }

    fn authenticator(&self) -> Option<&dyn Authenticator> {
        self.memory.authenticator()
    }

    fn credentials(&self) -> Option<&dyn CredentialResolver> {
        self.memory.credentials()
    }
}

/// Fails unless everything but the lookups is the inner store's own.
pub(crate) async fn passes_the_rest_on(layer: &dyn Backend, inner: &Scripted) {
    fn same<T: ?Sized>(a: Option<&T>, b: Option<&T>) -> bool {
        a.map(|a| std::ptr::from_ref(a).cast::<()>()) == b.map(|b| std::ptr::from_ref(b).cast::<()>())
    }
    assert_eq!((layer.kind(), layer.place().as_str()), ("scripted", "scripted"));
    assert_eq!(layer.ping(soon()).await.unwrap_err().what(), "pinged");
    assert!(layer.any_mailbox(soon()).await.unwrap());
    assert_eq!(layer.facts(soon()).await.unwrap().version, "7");
    let ask = qmail_lookup_core::rules::Ask::Mailboxes(vec![user("a")]);
    assert_eq!(layer.query_text(&ask), "as scripted");
    let row = TableRow::Rcpthosts(HostRow::default());
    assert_eq!(layer.change_text(&Change::Delete(row)).as_deref(), Some("as scripted"));
    assert!(layer.catalog().is_some() && same(layer.catalog(), inner.catalog()));
    assert!(layer.editor().is_some() && same(layer.editor(), inner.editor()));
    // Each login is the inner store's own business, with nothing in between.
    assert!(layer.authenticator().is_some() && same(layer.authenticator(), inner.authenticator()));
    assert!(same(layer.credentials(), inner.credentials()));
}
