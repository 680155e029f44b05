//! The workers against a server made of atomics: what is tested is theirs alone.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Instant;

/// A server in this process.
#[derive(Default)]
pub(crate) struct Stub {
    pub(crate) name: String,
    /// Refuses connections.
    pub(crate) refuses: AtomicBool,
    /// Accepts everything and answers nothing.
    pub(crate) hangs: AtomicBool,
    /// Connections of an earlier generation are broken.
    pub(crate) generation: AtomicUsize,
    /// More than this many connections at once are refused, unless it is 0.
    pub(crate) most: usize,
    pub(crate) connects: AtomicUsize,
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) asked: AtomicUsize,
}

pub(crate) struct StubConn {
    generation: usize,
    open: Arc<AtomicUsize>,
}

impl Drop for StubConn {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ask {
    Echo(u32),
    Sleep(Duration),
    Panic,
    Wrong,
}

impl Stub {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    pub(crate) fn set(&self, flag: &AtomicBool, to: bool) {
        flag.store(to, Ordering::SeqCst);
    }

    pub(crate) fn drop_connections(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    fn error(&self, kind: ErrorKind, what: &str) -> LookupError {
        LookupError::new(kind, self.name.clone(), what)
    }

    async fn hang(&self) {
        while self.hangs.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[async_trait::async_trait]
impl Connector for Arc<Stub> {
    type Conn = StubConn;
    type Request = Ask;
    type Reply = u32;

    fn place(&self) -> &str {
        &self.name
    }

    async fn connect(&self, _: Deadline) -> Result<StubConn, LookupError> {
        self.connects.fetch_add(1, Ordering::SeqCst);
        self.hang().await;
        if self.refuses.load(Ordering::SeqCst) {
            return Err(self.error(ErrorKind::Unreachable, "refused"));
        }
        if self.open.fetch_add(1, Ordering::SeqCst) >= self.most && self.most > 0 {
            self.open.fetch_sub(1, Ordering::SeqCst);
            return Err(self.error(ErrorKind::Overloaded, "too many connections"));
        }
        Ok(StubConn { generation: self.generation.load(Ordering::SeqCst), open: Arc::clone(&self.open) })
    }

    async fn run(&self, conn: &mut StubConn, ask: &Ask, _: Deadline) -> Result<u32, Failure> {
        self.hang().await;
        if conn.generation != self.generation.load(Ordering::SeqCst) {
            return Err(Failure::Lost(self.error(ErrorKind::Unreachable, "broken")));
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        match ask {
            Ask::Echo(n) => Ok(*n),
            Ask::Sleep(time) => {
                tokio::time::sleep(*time).await;
                Ok(0)
            }
            Ask::Panic => panic!("as asked"),
            Ask::Wrong => Err(Failure::Answered(self.error(ErrorKind::Schema, "no such table"))),
        }
    }

    async fn alive(&self, conn: &mut StubConn, _: Deadline) -> bool {
        self.hang().await;
        conn.generation == self.generation.load(Ordering::SeqCst)
    }

    async fn close(&self, _: StubConn) {}
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

fn workers(connections: usize) -> (Arc<Stub>, Workers<Arc<Stub>>) {
    let stub = Arc::new(Stub::new("stub"));
    (Arc::clone(&stub), Workers::new(stub, connections))
}

async fn echo(workers: &Workers<Arc<Stub>>, n: u32) -> Result<u32, Failure> {
    workers.ask(Arc::new(Ask::Echo(n)), soon(), Again::Allowed).await
}

#[tokio::test]
async fn a_broken_connection_costs_a_lookup_nothing_and_is_never_used_for_a_login() {
    let (stub, workers) = workers(1);
    assert_eq!(stub.connects.load(Ordering::SeqCst), 0);
    assert_eq!(echo(&workers, 1).await.unwrap(), 1);
    stub.drop_connections();
    assert_eq!(echo(&workers, 2).await.unwrap(), 2);
    stub.drop_connections();
    let login = workers.ask(Arc::new(Ask::Echo(3)), soon(), Again::Never).await;
    assert!(matches!(login, Err(Failure::Lost(_))), "sent once, over a connection that was used a moment ago");
    stub.drop_connections();
    assert_eq!(echo(&workers, 4).await.unwrap(), 4);
    stub.drop_connections();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(workers.ask(Arc::new(Ask::Echo(5)), soon(), Again::Never).await.unwrap(), 5, "pinged first");
}

#[tokio::test]
async fn a_question_that_timed_out_leaves_no_connection_behind() {
    let (stub, workers) = workers(1);
    let slow = Arc::new(Ask::Sleep(Duration::from_secs(60)));
    let failed = workers.ask(slow, Deadline::after(Duration::from_millis(100)), Again::Allowed).await.unwrap_err();
    assert!(matches!(&failed, Failure::Lost(error) if error.kind() == ErrorKind::Timeout), "{failed:?}");
    assert_eq!(echo(&workers, 7).await.unwrap(), 7);
    assert_eq!((stub.connects.load(Ordering::SeqCst), stub.open.load(Ordering::SeqCst)), (2, 1));
}

#[tokio::test]
async fn an_error_of_the_server_keeps_the_connection_and_is_final() {
    let (stub, workers) = workers(1);
    for _ in 0..3 {
        let failed = workers.ask(Arc::new(Ask::Wrong), soon(), Again::Allowed).await;
        assert!(matches!(failed, Err(Failure::Answered(_))));
    }
    assert_eq!((stub.connects.load(Ordering::SeqCst), stub.asked.load(Ordering::SeqCst)), (1, 3));
}

#[tokio::test]
async fn one_failed_connect_answers_for_all_and_the_server_is_found_again() {
    let (stub, workers) = workers(4);
    stub.set(&stub.refuses, true);
    for _ in 0..50 {
        let failed = echo(&workers, 1).await.unwrap_err();
        assert!(matches!(&failed, Failure::NotSent(error) if error.what() == "refused"), "{failed:?}");
    }
    let tried = stub.connects.load(Ordering::SeqCst);
    assert!(tried < 10, "{tried} connects for 50 questions");
    stub.set(&stub.refuses, false);
    let since = Instant::now();
    while echo(&workers, 1).await.is_err() {
        assert!(since.elapsed() < Duration::from_secs(4));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn fewer_connections_than_wanted_still_answer_everything() {
    let stub = Arc::new(Stub { most: 1, ..Stub::new("small") });
    let workers = Arc::new(Workers::new(Arc::clone(&stub), 4));
    let all = (0..100).map(|n| {
        let workers = Arc::clone(&workers);
        tokio::spawn(async move { echo(&workers, n).await.map_err(Failure::into_error) })
    });
    for (n, answer) in (0..).zip(futures_util::future::join_all(all).await) {
        assert_eq!(answer.unwrap().unwrap(), n);
    }
}

#[tokio::test]
async fn who_waits_for_anothers_attempt_to_connect_leaves_it_the_time() {
    let mut fastest = Duration::MAX;
    // The machine may be busy, but not each time.
    for _ in 0..3 {
        let (stub, workers) = workers(3);
        stub.set(&stub.refuses, true);
        assert!(echo(&workers, 0).await.is_err());
        stub.set(&stub.refuses, false);
        // The next attempt is welcome, and takes a while; meanwhile there are questions for every worker.
        tokio::time::sleep(Duration::from_millis(600)).await;
        stub.set(&stub.hangs, true);
        let answering = Arc::clone(&stub);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            answering.set(&answering.hangs, false);
        });
        let begun = Instant::now();
        let answers = futures_util::future::join_all((0..6).map(|n| echo(&workers, n))).await;
        assert_eq!(answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        fastest = fastest.min(begun.elapsed());
    }
    // As long as an attempt keeps others from trying, if they keep it from going on.
    assert!(fastest < Duration::from_millis(900), "{fastest:?}");
}

#[tokio::test]
async fn a_panic_costs_one_answer() {
    let (_, workers) = workers(1);
    assert!(workers.ask(Arc::new(Ask::Panic), soon(), Again::Allowed).await.is_err());
    assert_eq!(echo(&workers, 3).await.unwrap(), 3);
}

#[tokio::test]
async fn a_caller_that_goes_away_harms_nobody() {
    let (stub, workers) = workers(1);
    for n in 0..20 {
        let slow = workers.ask(Arc::new(Ask::Sleep(Duration::from_millis(20))), soon(), Again::Allowed);
        assert!(tokio::time::timeout(Duration::from_millis(5), slow).await.is_err());
        assert_eq!(echo(&workers, n).await.unwrap(), n);
    }
    assert_eq!(stub.connects.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_full_queue_is_an_error_at_once_and_what_waited_too_long_is_never_sent() {
    let (stub, workers) = workers(1);
    stub.set(&stub.hangs, true);
    let by = Deadline::after(Duration::from_millis(300));
    let many = (0..QUEUE_MAX + 200).map(|_| workers.ask(Arc::new(Ask::Echo(1)), by, Again::Never));
    let failed = futures_util::future::join_all(many).await;
    let full = failed.iter().filter(|f| matches!(f, Err(Failure::NotSent(e)) if e.what().contains("waiting already")));
    assert!((190..=200).contains(&full.count()));
    stub.set(&stub.hangs, false);
    let since = Instant::now();
    while echo(&workers, 1).await.is_err() {
        assert!(since.elapsed() < Duration::from_secs(4));
    }
    assert!(stub.asked.load(Ordering::SeqCst) <= 2, "an expired login was sent");
}

#[test]
fn workers_outlive_no_runtime_and_no_runtime_needs_another() {
    let (_, workers) = workers(2);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for n in 0..5 {
        assert_eq!(runtime().block_on(echo(&workers, n)).unwrap(), n);
    }
    let (one, two) = (runtime(), runtime());
    for n in 0..6 {
        let turn = if n % 2 == 0 { &one } else { &two };
        assert_eq!(turn.block_on(echo(&workers, n)).unwrap(), n);
    }
}
