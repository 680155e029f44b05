//! What an attempt comes to, and when it is told.

use super::super::delay::{DELAY_MAX, FREE};
use super::store::{SESAME, mailbox};
use super::*;
use qmail_lookup_backends::memory::Memory;
use qmail_lookup_core::Backend;
use qmail_lookup_core::settings::{LoginBy, Rehash};

const BY: [LoginBy; 3] = [LoginBy::Username, LoginBy::Address, LoginBy::Both];

/// Attempts that are refused, each for another reason.
const REFUSED: [(&str, &str); 9] = [
    ("nobody", "sesame"),
    ("iain", "wrong"),
    ("gone", "sesame"),
    ("away", "sesame"),
    ("gone", "wrong"),
    ("broken", "sesame"),
    ("iain", ""),
    ("iain", "sesame\0"),
    ("no\nkey", "sesame"),
];

fn settings(login: LoginBy) -> AuthSettings {
    AuthSettings { login, ..parallel(2) }
}

/// The clock's grain is a millisecond.
fn is(took: Duration, ms: u64) -> bool {
    (ms..=ms + 2).contains(&u64::try_from(took.as_millis()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_right_password_is_let_in_at_once_by_the_names_that_p7_allows() {
    let (gate, lookup) = (Arc::new(Gate::new(2)), lookup());
    let cases = [
        ("iain", [true, false, true]),
        ("IAIN", [true, false, true]),
        ("iain@virtual.com", [false, true, true]),
        ("Boss@Virtual.Com", [false, true, true]),
        ("sales@virtual.com", [false, false, false]),
        ("list@virtual.com", [false, false, false]),
        ("iain-x", [false, false, false]),
        ("iain@elsewhere.com", [false, false, false]),
    ];
    for (n, (login, expected)) in cases.into_iter().enumerate() {
        for (by, expected) in BY.into_iter().zip(expected) {
            let tried = attempt(login, "sesame", &format!("192.0.2.{n}"));
            let (reply, took) = ask(&gate, &lookup, &settings(by), tried).await;
            assert_eq!(granted(&reply), expected, "{login} {by:?} {reply:?}");
            assert!(expected || reply == Reply::No, "{login} {by:?} {reply:?}");
            assert!(is(took, if expected { 0 } else { 300 }), "{login} {by:?} {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn all_refusals_take_the_same_time() {
    let slow = |ms| odd(Behaviour::Slow(Duration::from_millis(ms)));
    for (lookup, expected) in [(lookup(), 300), (slow(299), 300), (slow(310), 600), (slow(1000), 1200)] {
        for (login, password) in REFUSED {
            for by in BY {
                let (gate, tried) = (Arc::new(Gate::new(2)), attempt(login, password, "192.0.2.1"));
                let (reply, took) = ask(&gate, &lookup, &settings(by), tried).await;
                assert_eq!(reply, Reply::No, "{login} {password}");
                // An unusable password is refused whoever offers it, so its time says nothing.
                let unusable = password.is_empty() || password.contains('\0');
                assert!(is(took, if unusable { 300 } else { expected }), "{login} {password} {by:?}: {took:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn delays_do_not_tell_a_name_that_exists_from_one_that_does_not() {
    let lookup = lookup();
    let mut all = Vec::new();
    for (login, password) in [("iain", "wrong"), ("nobody", "wrong"), ("gone", "sesame"), ("no\nkey", "wrong")] {
        let gate = Arc::new(Gate::new(2));
        let mut times = Vec::new();
        for n in 0..FREE + 5 {
            let tried = attempt(login, password, &format!("192.0.2.{n}"));
            let (reply, took) = ask(&gate, &lookup, &settings(LoginBy::Username), tried).await;
            assert_eq!(reply, Reply::No);
            times.push(took.as_millis() / 10);
            if n == FREE + 2 && password == "wrong" {
                // Its owner logs in, if it has one: nothing changes for who guesses.
                ask(&gate, &lookup, &settings(LoginBy::Username), attempt(login, "sesame", "198.51.100.1")).await;
            }
        }
        assert_eq!(times[..7], [30, 30, 30, 30, 60, 120, 180], "{login}");
        all.push(times);
    }
    assert!(all.iter().all(|times| *times == all[0]), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_can_be_locked_out_by_the_refusals_of_others() {
    let (gate, lookup, settings) = (Arc::new(Gate::new(2)), lookup(), settings(LoginBy::Username));
    for n in 0..100 {
        ask(&gate, &lookup, &settings, attempt("iain", "wrong", &format!("192.0.2.{n}"))).await;
    }
    let (reply, took) = ask(&gate, &lookup, &settings, attempt("iain", "wrong", "198.51.100.7")).await;
    assert!(reply == Reply::No && is(took, 1800), "{took:?}");
    let (reply, took) = ask(&gate, &lookup, &settings, attempt("iain", "sesame", "198.51.100.7")).await;
    assert!(granted(&reply) && is(took, 0), "a right password does not wait: {took:?}");
    let (reply, took) = ask(&gate, &lookup, &settings, attempt("iain", "wrong", "198.51.100.7")).await;
    assert!(reply == Reply::No && is(took, 300), "nor is its owner's next mistake delayed: {took:?}");
    assert!(gate.counts().delayed > 50);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_only_fails_waits_before_it_is_heard_and_a_login_ends_that() {
    let (gate, lookup, settings) = (Arc::new(Gate::new(2)), lookup(), settings(LoginBy::Username));
    for n in 0..20 {
        ask(&gate, &lookup, &settings, attempt(&format!("guess{n}"), "wrong", "2001:db8:1:1::1")).await;
    }
    let waits = {
        let (gate, lookup, settings) = (Arc::clone(&gate), lookup.clone(), settings.clone());
        tokio::spawn(async move { ask(&gate, &lookup, &settings, attempt("iain", "sesame", "2001:db8:1:1::2")).await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let counts = gate.counts();
    assert_eq!((counts.waiting, counts.verifying), (1, 0), "it holds a place in its own line, and no slot");
    let (reply, took) = waits.await.unwrap();
    assert!(granted(&reply), "{reply:?}");
    assert!(took <= DELAY_MAX + Duration::from_millis(2) && took > Duration::from_millis(500), "{took:?}");
    let (reply, took) = ask(&gate, &lookup, &settings, attempt("iain", "sesame", "2001:db8:1:1::3")).await;
    assert!(granted(&reply) && is(took, 0), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_never_a_no() {
    let settings = settings(LoginBy::Username);
    for (behaviour, least) in [
        (Behaviour::Down, 0),
        (Behaviour::AllDown, 0),
        (Behaviour::Panics, 0),
        (Behaviour::Knows, 0),
        (Behaviour::Hangs, 5000),
        (Behaviour::LetsIn("iain"), 0),
    ] {
        let (gate, lookup) = (Arc::new(Gate::new(2)), odd(behaviour));
        for (login, password) in [("info@bar.com", "sesame"), ("nobody", "sesame"), ("no\nkey", "sesame")] {
            if matches!(behaviour, Behaviour::LetsIn(_)) && login == "no\nkey" {
                continue;
            }
            let (reply, took) = ask(&gate, &lookup, &settings, attempt(login, password, "192.0.2.1")).await;
            assert!(matches!(reply, Reply::Temporary(_)), "{login} {reply:?}");
            assert!(took >= Duration::from_millis(least) && took <= Duration::from_millis(5002), "{took:?}");
            tokio::time::sleep(HASH_MAX + Duration::from_millis(10)).await;
            assert_eq!(gate.counts().verifying, 0, "the slot comes back");
        }
        let counts = gate.counts();
        assert_eq!((counts.granted, counts.refused.iter().map(|(_, n)| n).sum::<u64>()), (0, 0));
        assert!(counts.temporary >= 2);
        assert_eq!(gate.delays.remembered(), (0, 0), "no answer is no failure");
    }
    let gate = Arc::new(Gate::new(2));
    for login in ["twice", "root"] {
        let (reply, _) = ask(&gate, &lookup(), &settings, attempt(login, "sesame", "192.0.2.1")).await;
        assert!(matches!(reply, Reply::Temporary(_)), "rule K3: {login} {reply:?}");
    }
}

/// A name that can be no mailbox's takes the same way as others; were it let in, that would be nobody.
#[tokio::test(start_paused = true)]
async fn a_login_without_a_mailbox_is_refused_even_if_the_store_lets_somebody_in() {
    let (gate, lookup) = (Arc::new(Gate::new(2)), odd(Behaviour::LetsIn("iain")));
    let (reply, _) = ask(&gate, &lookup, &settings(LoginBy::Username), attempt("no\nkey", "sesame", "192.0.2.1")).await;
    assert_eq!(reply, Reply::No);
}

#[tokio::test(start_paused = true)]
async fn only_who_has_no_row_is_left_to_the_stock_program() {
    let (gate, lookup) = (Arc::new(Gate::new(2)), lookup());
    for by in BY {
        let settings = AuthSettings { fall_back: FallBack::Stock, ..settings(by) };
        for (login, password) in REFUSED {
            let (reply, took) = ask(&gate, &lookup, &settings, attempt(login, password, "")).await;
            let row = by != LoginBy::Address && !matches!(login, "nobody" | "no\nkey");
            let unusable = password.is_empty() || password.contains('\0');
            assert_eq!(reply, if row || unusable { Reply::No } else { Reply::Stock }, "{login} {password:?} {by:?}");
            assert!(took >= Duration::from_millis(299), "it waits like a refusal: {took:?}");
        }
    }
    let settings = AuthSettings { fall_back: FallBack::Stock, ..settings(LoginBy::Username) };
    let down = odd(Behaviour::Down);
    let (reply, _) = ask(&gate, &down, &settings, attempt("nobody", "sesame", "")).await;
    assert!(matches!(reply, Reply::Temporary(_)), "not knowing lets nobody in: {reply:?}");
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_is_counted_all_the_same() {
    let (gate, lookup, settings) =
        (Arc::new(Gate::new(2)), odd(Behaviour::Slow(Duration::from_secs(1))), settings(LoginBy::Username));
    let task = {
        let (gate, lookup, settings) = (Arc::clone(&gate), lookup.clone(), settings.clone());
        tokio::spawn(async move { ask(&gate, &lookup, &settings, attempt("iain", "wrong", "192.0.2.1")).await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    task.abort();
    assert!(task.await.is_err());
    assert_eq!(gate.counts().verifying, 1, "the slot is kept while the hash is computed");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let counts = gate.counts();
    assert_eq!((counts.verifying, counts.refused[1]), (0, ("wrong-password", 1)));
    assert_eq!(gate.delays.remembered(), (1, 1));
}

#[tokio::test]
async fn a_weak_hash_is_replaced_after_a_login_if_that_is_wanted() {
    let stored = |store: &Arc<dyn Backend>| {
        let store = Arc::clone(store);
        async move {
            let names = [Username::new(b"weak").unwrap()];
            let rows = store.credentials().unwrap().credentials(&names, Deadline::after(Duration::from_secs(5))).await;
            String::from_utf8_lossy(rows.unwrap()[0].password.as_ref().unwrap().expose()).into_owned()
        }
    };
    let rows = vec![mailbox("weak", "sesame", "Password", "N"), mailbox("iain", SESAME, "Crypt-Password", "N")];
    let store: Arc<dyn Backend> = Arc::new(Memory::new(rows, Arc::default()));
    let lookup = Lookup::of(&store, Arc::default());
    let gate = Arc::new(Gate::new(2));
    let off = settings(LoginBy::Username);
    let on = AuthSettings { rehash: Rehash::Sha512, ..off.clone() };
    for (settings, password) in [(&off, "sesame"), (&on, "wrong")] {
        ask(&gate, &lookup, settings, attempt("weak", password, "")).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(stored(&store).await, "sesame");
    }
    assert!(matches!(ask(&gate, &lookup, &on, attempt("weak", "sesame", "")).await.0, Reply::Ok(_)));
    for _ in 0..200 {
        if stored(&store).await != "sesame" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(stored(&store).await.starts_with("$6$"));
    assert!(matches!(ask(&gate, &lookup, &on, attempt("weak", "sesame", "")).await.0, Reply::Ok(_)));
}

/// The end of the daemon waits for it: a hash that was written is read back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hash_that_is_being_replaced_is_finished_and_none_is_begun_after() {
    let rows = vec![mailbox("weak", "sesame", "Password", "N"), mailbox("late", "sesame", "Password", "N")];
    let store: Arc<dyn Backend> = Arc::new(Memory::new(rows, Arc::default()));
    let (gate, lookup) = (Arc::new(Gate::new(2)), Lookup::of(&store, Arc::default()));
    let on = AuthSettings { rehash: Rehash::Sha512, ..settings(LoginBy::Username) };
    assert!(matches!(ask(&gate, &lookup, &on, attempt("weak", "sesame", "")).await.0, Reply::Ok(_)));
    gate.finish().await;
    assert!(matches!(ask(&gate, &lookup, &on, attempt("late", "sesame", "")).await.0, Reply::Ok(_)));
    gate.finish().await;
    let names = ["weak", "late"].map(|name| Username::new(name.as_bytes()).unwrap());
    let by = Deadline::after(Duration::from_secs(5));
    let mut strong = Vec::new();
    for name in names {
        let row = store.credentials().unwrap().credentials(&[name], by).await.unwrap();
        strong.push(row[0].password.as_ref().unwrap().expose().starts_with(b"$6$"));
    }
    assert_eq!(strong, [true, false]);
}
