//! Hosts come and go while mail for them keeps coming: none is relayed outward, none bounces, none is lost, and none is
//! delivered twice.

use super::Alone;
use super::ground::{Ground, Store, message, sender, word};
use super::tool::{exits, tool};
use libtest_mimic::Failed;
use qmail_lookup_core::TableRow;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{host_row, virtual_row};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) const ALONE: &[Alone] = &[("traffic::to_hosts_that_come_and_go_is_delivered_once_or_waits", traffic)];

/// Hosts that mail comes for all the time, by what becomes of them.
const STEADY: [&str; 2] = ["bar.com", "virtual.com"];
const COMING: [&str; 3] = ["come1.test", "come2.test", "come3.test"];
const GOING: [&str; 3] = ["go1.test", "go2.test", "go3.test"];
/// Hosts that go, and have no mail.
const QUIET: [&str; 2] = ["quiet1.test", "quiet2.test"];

/// More than a host has to be missed before its line goes. Unit: seconds.
const STEP: u64 = 301;

/// Clients at a time.
const CLIENTS: usize = 3;

/// A client's rest after each message: qmail has to keep up.
const REST: Duration = Duration::from_millis(100);

fn rows(host: &str) -> [TableRow; 2] {
    [virtual_row("", host, "virtual", "@"), host_row(host)]
}

fn traffic(store: Store) -> Outcome {
    let ground = Ground::new(store, "")?;
    let control = |name: &str| ground.qmail.path("control").join(name);
    std::fs::write(control("virtualdomains"), "")?;
    std::fs::write(control("rcpthosts"), "mail.test\n")?;
    ground.site.remove(&host_row(".wild.test"))?;
    for host in GOING.iter().chain(&QUIET) {
        ground.site.add(&rows(host))?;
    }
    exits("sync", &tool(&ground.site, &["sync"])?, 0)?;
    let mail = Mail::default();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| client(&ground, &mail))).collect();
        let changed = change(&ground, &mail);
        mail.ended.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        changed
    })?;
    let accepted = mail.accepted.into_inner().unwrap_or_else(PoisonError::into_inner);
    ground.qmail.settle()?;
    outward(&ground)?;
    // What waits is of hosts that have gone: it is delivered when they are back.
    let waiting = ground.qmail.deferred()?;
    let of_others: Vec<_> =
        waiting.iter().filter(|to| !GOING.iter().any(|host| to.starts_with(&format!("={host}=-")))).collect();
    equal("waiting", of_others, Vec::<&String>::new())?;
    for host in GOING {
        ground.site.add(&rows(host))?;
    }
    exits("sync", &tool(&ground.site, &["sync"])?, 0)?;
    for _ in 0..5 {
        // On a busy machine the daemon may answer too late.
        ground.qmail.retry()?;
        ground.qmail.settle()?;
        if ground.qmail.deferred()?.is_empty() {
            break;
        }
    }
    equal("still waiting", ground.qmail.deferred()?, Vec::<String>::new())?;
    outward(&ground)?;
    let found = delivered(&ground)?;
    for (word, host) in &accepted {
        ensure(found.get(word) == Some(&1), format!("{word} for {host}: delivered {:?} times", found.get(word)))?;
    }
    equal("delivered and accepted", found.len(), accepted.len())?;
    // Who was missed by nobody is gone altogether; the others may be there.
    let lines = std::fs::read_to_string(control("virtualdomains"))?;
    ensure(QUIET.iter().all(|host| !lines.contains(host)), lines.clone())?;
    ensure(COMING.iter().chain(&STEADY).all(|host| lines.contains(&format!("{host}:={host}=\n"))), lines)
}

/// What the clients share.
#[derive(Default)]
struct Mail {
    /// How many messages were tried.
    turn: AtomicUsize,
    ended: AtomicBool,
    /// The words of those that were accepted, and the hosts.
    accepted: Mutex<Vec<(String, &'static str)>>,
}

impl Mail {
    fn accepted(&self) -> MutexGuard<'_, Vec<(String, &'static str)>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until mail for `host` was accepted.
    fn reaches(&self, host: &str) -> Outcome {
        let until = Instant::now() + Duration::from_secs(60);
        while !self.accepted().iter().any(|(_, to)| *to == host) {
            ensure(Instant::now() < until, format!("no mail for {host} was accepted"))?;
            std::thread::sleep(REST);
        }
        Ok(())
    }
}

/// Sends one message after the other until it is told to end.
fn client(ground: &Ground, mail: &Mail) -> Outcome {
    let hosts: Vec<_> = STEADY.into_iter().chain(COMING).chain(GOING).collect();
    while !mail.ended.load(Ordering::Relaxed) {
        let turn = mail.turn.fetch_add(1, Ordering::Relaxed);
        let host = hosts.get(turn % hosts.len()).copied().unwrap_or_default();
        let (word, user) = (word(), if host == "bar.com" { "sales" } else { "any.one" });
        let verdicts = ground.qmail.smtp(&sender(&word), &[&format!("{user}@{host}")], &message(&word))?;
        if verdicts.first() == Some(&true) {
            mail.accepted().push((word, host));
        }
        std::thread::sleep(REST);
    }
    Ok(())
}

/// Adds and removes hosts one by one. Nobody waits for minutes: what `sync` remembers is made older.
fn change(ground: &Ground, mail: &Mail) -> Outcome {
    let sync = |what: &str| {
        let ran = tool(&ground.site, &["sync"])?;
        exits(what, &ran, 0)?;
        outward(ground)
    };
    for round in 0..COMING.len() {
        if let Some(host) = COMING.get(round) {
            ground.site.add(&rows(host))?;
        }
        sync("a host comes")?;
        for host in STEADY.iter().chain(COMING.get(round)).chain(GOING.get(round)) {
            mail.reaches(host)?;
        }
        for host in [GOING.get(round), QUIET.get(round)].into_iter().flatten() {
            for row in rows(host) {
                ground.site.remove(&row)?;
            }
        }
        for _ in 0..3 {
            sync("a host goes")?;
            older(ground)?;
            // Connections that have begun before are over.
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    sync("at the end")
}

/// Makes what `sync` remembers of missed hosts older.
fn older(ground: &Ground) -> Outcome {
    fn age(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    match (key.as_str(), value.as_u64()) {
                        ("since" | "closed", Some(seconds)) => *value = seconds.saturating_sub(STEP).into(),
                        _ => age(value),
                    }
                }
            }
            serde_json::Value::Array(list) => list.iter_mut().for_each(age),
            _ => {}
        }
    }
    let file = ground.qmail.path("qmail-lookup/sync.json");
    let mut memory = serde_json::from_slice(&std::fs::read(&file)?)?;
    age(&mut memory);
    Ok(std::fs::write(file, serde_json::to_vec(&memory)?)?)
}

/// Fails if anything has left the machine or bounced.
fn outward(ground: &Ground) -> Outcome {
    equal("relayed", ground.qmail.relayed()?, vec![])?;
    equal("bounced", ground.qmail.bounces()?, vec![])
}

/// How often each word was delivered.
fn delivered(ground: &Ground) -> Result<BTreeMap<String, usize>, Failed> {
    let mut found = BTreeMap::new();
    for folder in ["iain/Maildir/new", "virtual/Maildir/new"] {
        for file in std::fs::read_dir(ground.site.path("homes").join(folder))? {
            let text = std::fs::read_to_string(file?.path())?;
            let word = text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).ok_or("no word")?.0.to_owned();
            *found.entry(word).or_insert(0) += 1;
        }
    }
    Ok(found)
}
