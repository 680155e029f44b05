//! The order of servers, against servers made of atomics.

use super::*;
use crate::workers::tests::{Ask, Stub};

fn pair() -> (Arc<Stub>, Arc<Stub>, Failover<Arc<Stub>>) {
    let (one, two) = (Arc::new(Stub::new("one")), Arc::new(Stub::new("two")));
    let both = Failover::new(vec![Arc::clone(&one), Arc::clone(&two)], 2);
    (one, two, both)
}

fn asked(stub: &Stub) -> usize {
    stub.asked.load(Ordering::SeqCst)
}

async fn ask(servers: &Failover<Arc<Stub>>, again: Again) -> Result<u32, LookupError> {
    servers.ask(Ask::Echo(7), Deadline::after(Duration::from_secs(2)), again).await
}

async fn until(mut done: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !done().await {
        assert!(since.elapsed() < Duration::from_secs(8));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_first_server_is_preferred_and_found_again() {
    let (one, two, both) = pair();
    assert_eq!(ask(&both, Again::Allowed).await.unwrap(), 7);
    assert_eq!((asked(&one), asked(&two)), (1, 0));
    one.set(&one.refuses, true);
    one.drop_connections();
    for _ in 0..20 {
        assert_eq!(ask(&both, Again::Allowed).await.unwrap(), 7);
    }
    assert_eq!(asked(&two), 20);
    one.set(&one.refuses, false);
    until(async || {
        ask(&both, Again::Allowed).await.unwrap();
        asked(&one) > 1
    })
    .await;
}

#[tokio::test]
async fn a_silent_first_server_leaves_time_for_the_next() {
    let (one, two, both) = pair();
    one.set(&one.hangs, true);
    let since = Instant::now();
    assert_eq!(ask(&both, Again::Allowed).await.unwrap(), 7);
    assert!(since.elapsed() < Duration::from_secs(2));
    let since = Instant::now();
    for _ in 0..10 {
        assert_eq!(ask(&both, Again::Never).await.unwrap(), 7);
    }
    assert!(since.elapsed() < Duration::from_secs(1), "only the first question pays");
    assert_eq!(asked(&two), 11);
}

#[tokio::test]
async fn a_login_that_was_sent_is_not_sent_to_another_server() {
    let (one, two, both) = pair();
    ask(&both, Again::Never).await.unwrap();
    one.drop_connections();
    assert_eq!(ask(&both, Again::Never).await.unwrap_err().place(), "one");
    assert_eq!(asked(&two), 0);
    assert_eq!(ask(&both, Again::Allowed).await.unwrap(), 7);
}

#[tokio::test]
async fn a_servers_own_error_is_final() {
    let (_, two, both) = pair();
    let wrong = both.ask(Ask::Wrong, Deadline::after(Duration::from_secs(2)), Again::Allowed).await;
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Schema);
    assert_eq!(asked(&two), 0);
}

#[tokio::test]
async fn if_all_are_down_the_error_names_each_and_either_is_found_again() {
    let (one, two, both) = pair();
    for stub in [&one, &two] {
        stub.set(&stub.refuses, true);
    }
    for _ in 0..20 {
        let since = Instant::now();
        let error = ask(&both, Again::Allowed).await.unwrap_err();
        assert_eq!(error.what(), "no server could be asked: one: refused; two: refused");
        assert_eq!((error.kind(), error.place()), (ErrorKind::Unreachable, "one, two"));
        assert!(since.elapsed() < Duration::from_secs(1));
    }
    two.set(&two.refuses, false);
    until(async || ask(&both, Again::Allowed).await.is_ok()).await;
    assert!(both.ping(Deadline::after(Duration::from_secs(2))).await.is_ok());
}

#[test]
fn time_is_shared_among_those_that_may_answer() {
    let by = || Deadline::after(Duration::from_secs(12));
    let seconds = |n, working, all| share(by(), n, working, all).left().as_secs_f64().round();
    assert_eq!([seconds(0, 1, 1), seconds(0, 2, 2), seconds(1, 2, 2), seconds(0, 3, 3)], [12.0, 6.0, 12.0, 4.0]);
    assert_eq!([seconds(0, 1, 2), seconds(0, 0, 2), seconds(1, 1, 3)], [9.0, 6.0, 6.0]);
}
