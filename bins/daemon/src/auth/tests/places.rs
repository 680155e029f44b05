//! The places of `places.rs`.

use super::super::origin::Origin;
use super::super::places::{LINE_MAX, Place, Places};
use super::*;
use tokio::task::JoinHandle;

fn address(n: u32) -> Origin {
    Origin::V4(n.into())
}

fn account(n: u64) -> Origin {
    Origin::Account(b"cvm".to_vec(), n)
}

/// All that this origin gets.
fn all(places: &Arc<Places>, origin: &Origin) -> Vec<Place> {
    std::iter::from_fn(|| places.enter(origin)).take(2000).collect()
}

#[test]
fn a_line_has_an_end_and_others_do_not_see_it() {
    let places = Places::new();
    let mut held = all(&places, &address(1));
    assert_eq!(held.len(), LINE_MAX);
    assert!(places.enter(&address(2)).is_some());
    held.pop();
    assert!(places.enter(&address(1)).is_some());
    drop(held);
    assert_eq!(places.load(), (0, 0));
    places.set(20);
    assert_eq!(all(&places, &address(1)).len(), 5, "where there is little room, one has a quarter of it at most");
}

#[tokio::test(start_paused = true)]
async fn when_all_is_taken_the_newest_of_the_longest_line_is_sent_away() {
    let places = Places::new();
    places.set(40);
    let mut held: Vec<_> = (1..=4).map(|n| all(&places, &address(n))).collect();
    assert_eq!(places.load(), (40, 4));
    let newest: Vec<_> = held.iter_mut().map(|line| line.pop().unwrap()).collect();
    let newest: Vec<JoinHandle<_>> =
        newest.into_iter().map(|place| tokio::spawn(place.hold(std::future::pending::<()>()))).collect();
    let honest = all(&places, &address(5));
    assert_eq!((honest.len(), places.load()), (8, (40, 5)), "all are as long as each other, or one longer");
    for gone in newest {
        assert_eq!(gone.await.unwrap(), None);
    }
    assert!(places.enter(&address(1)).is_none(), "a long line gets nothing by it");
    drop((held, honest));
    assert_eq!(places.load(), (0, 0));
}

#[test]
fn names_without_an_address_leave_half_of_all_to_those_with_one() {
    let places = Places::new();
    places.set(40);
    let mut held: Vec<_> = (0..100).filter_map(|n| places.enter(&account(n))).collect();
    assert_eq!(held.len(), 20);
    held.truncate(11);
    held.extend(all(&places, &account(0)));
    assert_eq!(places.load(), (20, 11), "a line of ten, and ten others");
    assert!(places.enter(&account(50)).is_some(), "the long one makes room");
    let addresses: Vec<_> = (0..20).filter_map(|n| places.enter(&address(n))).collect();
    assert_eq!(addresses.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_done_counts_and_its_place_is_free() {
    let places = Places::new();
    assert_eq!(places.enter(&address(1)).unwrap().hold(async { 7 }).await, Some(7));
    assert_eq!(places.load(), (0, 0));
}

/// Refusals hold their connections until they are told, up to two seconds: they count.
#[tokio::test(start_paused = true)]
async fn refusals_that_wait_to_be_told_count_for_the_bound_of_their_line() {
    let (gate, lookup) = (Arc::new(Gate::new(2)), lookup());
    let ask_from = |remote: &'static str, password: &'static str| {
        let (gate, lookup) = (Arc::clone(&gate), lookup.clone());
        tokio::spawn(async move { ask(&gate, &lookup, &parallel(2), attempt("iain", password, remote)).await })
    };
    for password in ["wrong", ""] {
        let tasks: Vec<_> = (0..500).map(|_| ask_from("203.0.113.5", password)).collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(gate.places.load(), (LINE_MAX, 1));
        let (honest, took) = ask_from("192.0.2.1", "sesame").await.unwrap();
        assert!(granted(&honest) && took < Duration::from_millis(300), "{honest:?} {took:?}");
        let (mut told, mut at_once) = (0, 0);
        for task in tasks {
            match task.await.unwrap() {
                (Reply::No, _) => told += 1,
                (Reply::Temporary(_), took) if took < Duration::from_millis(20) => at_once += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((told, at_once), (LINE_MAX, 500 - LINE_MAX), "{password:?}");
        assert_eq!(gate.places.load(), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_sent_away_is_told_so_at_once() {
    let (gate, lookup) = (Arc::new(Gate::new(2)), lookup());
    gate.make_room(8);
    let mut tasks = Vec::new();
    for n in [1, 1, 2, 2, 3, 3, 4, 4, 5] {
        let (gate, lookup, remote) = (Arc::clone(&gate), lookup.clone(), format!("192.0.2.{n}"));
        let guess = attempt("nobody", "wrong", &remote);
        tasks.push(tokio::spawn(async move { ask(&gate, &lookup, &parallel(2), guess).await }));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut away = Vec::new();
    for (n, task) in tasks.into_iter().enumerate() {
        match task.await.unwrap() {
            (Reply::No, took) => assert!(took >= Duration::from_millis(299), "{took:?}"),
            (Reply::Temporary(_), took) => {
                assert!(took < Duration::from_millis(20), "{took:?}");
                away.push(n);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(away[..], [1 | 3 | 5 | 7]), "the newest of a long line: {away:?}");
    assert_eq!(gate.places.load(), (0, 0));
    assert_eq!((gate.counts().temporary, gate.counts().verifying), (1, 0));
}

/// CVM tells no address: 64 who wait for one account keep out nobody else.
#[tokio::test(start_paused = true)]
async fn without_an_address_the_accounts_have_lines_of_their_own() {
    let (gate, lookup) = (Arc::new(Gate::new(2)), odd(Behaviour::Slow(Duration::from_millis(20))));
    let mut guesses = Vec::new();
    for _ in 0..200 {
        let (gate, lookup) = (Arc::clone(&gate), lookup.clone());
        guesses.push(tokio::spawn(
            async move { ask(&gate, &lookup, &parallel(2), attempt("nobody", "wrong", "")).await.0 },
        ));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (reply, took) = ask(&gate, &lookup, &parallel(2), attempt("Iain", "sesame", "")).await;
    assert!(granted(&reply) && took < Duration::from_secs(1), "{reply:?} {took:?}");
    let mut late = 0;
    for guess in guesses {
        late += usize::from(matches!(guess.await.unwrap(), Reply::Temporary(_)));
    }
    assert!(late >= 200 - LINE_MAX, "{late}");
}
