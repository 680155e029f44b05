//! Slots are shared fairly: who guesses passwords slows down nobody but himself.

use super::super::places::LINE_MAX;
use super::store::mailbox;
use super::*;
use qmail_lookup_backends::memory::Memory;
use qmail_lookup_core::Backend;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Slots.
const PARALLEL: u16 = 2;

/// Five hundred who never stop.
fn guess(gate: &Arc<Gate>, lookup: &Lookup, stop: &Arc<AtomicBool>, heard: &Arc<AtomicU64>) {
    for n in 0..500 {
        let (gate, lookup, stop, heard) = (Arc::clone(gate), lookup.clone(), Arc::clone(stop), Arc::clone(heard));
        tokio::spawn(async move {
            while !stop.load(Relaxed) {
                let login = if n % 2 == 0 { "iain" } else { "nobody" };
                let (reply, _) = ask(&gate, &lookup, &parallel(PARALLEL), attempt(login, "guess", "203.0.113.5")).await;
                match reply {
                    Reply::No => drop(heard.fetch_add(1, Relaxed)),
                    Reply::Temporary(_) => tokio::time::sleep(Duration::from_millis(40)).await,
                    other => panic!("{other:?}"),
                }
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_guessers_do_not_slow_an_honest_login_past_a_second() {
    let (gate, lookup) = (Arc::new(Gate::new(PARALLEL)), odd(Behaviour::Slow(Duration::from_millis(50))));
    let (stop, heard) = (Arc::default(), Arc::default());
    guess(&gate, &lookup, &stop, &heard);
    for n in 0..20 {
        tokio::time::sleep(Duration::from_millis(137)).await;
        let honest = attempt("iain", "sesame", &format!("192.0.2.{n}"));
        let (reply, took) = ask(&gate, &lookup, &parallel(PARALLEL), honest).await;
        assert!(granted(&reply), "{reply:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert!(gate.counts().waiting <= LINE_MAX.try_into().unwrap());
    }
    stop.store(true, Relaxed);
    assert!(heard.load(Relaxed) > 50, "they were at it all the time");
}

/// The same with hashes and threads. Without sharing the honest login would stand behind the others for longer than
/// its deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessers_do_not_keep_out_an_honest_login() {
    const DEAR: &str = "$6$rounds=150000$saltsalt$wJ09Bi6iwlET74oC4nOApRHYMdcAakDnD5d82QR6j6RlDwyzVdkeDWKV7Xyw4Bcrb8I5d8sr/EdQN91IBPTwY0";
    let store: Arc<dyn Backend> =
        Arc::new(Memory::new(vec![mailbox("iain", DEAR, "Crypt-Password", "N")], Arc::default()));
    let (gate, lookup) = (Arc::new(Gate::new(PARALLEL)), Lookup::of(&store, Arc::default()));
    let (stop, heard) = (Arc::default(), Arc::default());
    guess(&gate, &lookup, &stop, &heard);
    for n in 0..5 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let honest = attempt("iain", "sesame", &format!("192.0.2.{n}"));
        let (reply, _) = ask(&gate, &lookup, &parallel(PARALLEL), honest).await;
        assert!(granted(&reply), "{reply:?}");
    }
    stop.store(true, Relaxed);
}

#[tokio::test(start_paused = true)]
async fn a_full_line_and_a_slot_that_comes_too_late_are_temporary() {
    let (gate, lookup) = (Arc::new(Gate::new(1)), odd(Behaviour::Slow(Duration::from_secs(1))));
    let tasks: Vec<_> = (0..LINE_MAX + 10)
        .map(|_| {
            let (gate, lookup) = (Arc::clone(&gate), lookup.clone());
            tokio::spawn(
                async move { ask(&gate, &lookup, &parallel(1), attempt("iain", "sesame", "203.0.113.5")).await },
            )
        })
        .collect();
    let mut outcomes = [0, 0, 0];
    for task in tasks {
        let (reply, took) = task.await.unwrap();
        match reply {
            Reply::Ok(_) => outcomes[0] += 1,
            Reply::Temporary(_) if took < Duration::from_millis(10) => outcomes[1] += 1,
            Reply::Temporary(_) => {
                assert!(took <= Duration::from_millis(3002), "with time left for a hash: {took:?}");
                outcomes[2] += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    let [let_in, at_once, late] = outcomes;
    assert!((3..=4).contains(&let_in), "{outcomes:?}");
    assert!((9..=10).contains(&at_once), "{outcomes:?}");
    assert_eq!(let_in + at_once + late, LINE_MAX + 10);
    assert_eq!(gate.counts().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_changed_number_of_slots_holds_from_the_next_login_on() {
    let (gate, lookup) = (Arc::new(Gate::new(1)), odd(Behaviour::Slow(Duration::from_secs(1))));
    let mut tasks = Vec::new();
    for (n, slots) in [1, 1, 1, 3, 1].into_iter().enumerate() {
        let (gate, lookup) = (Arc::clone(&gate), lookup.clone());
        let login = attempt("iain", "sesame", &format!("192.0.2.{n}"));
        tasks.push(tokio::spawn(async move { ask(&gate, &lookup, &parallel(slots), login).await }));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((gate.counts().verifying, gate.counts().waiting), (3, 2), "three ran already when it was one again");
    let mut tenths = Vec::new();
    for task in tasks {
        let (reply, took) = task.await.unwrap();
        assert!(granted(&reply), "{reply:?}");
        tenths.push((took.as_millis() + 50) / 100);
    }
    assert_eq!(tenths, [10, 10, 10, 20, 30]);
}
