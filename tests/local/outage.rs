//! Nobody knows how mail is delivered: it waits, and nothing is delivered, forwarded or run. Afterwards all of it is.

use super::post::MESSAGE;
use super::world::{NO_MAILBOX, Store, clear, deferred, done, nothing, places, write};
use super::{both, sqlite};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use qmail_lookup_core::Instruction;
use qmail_lookup_core::rules::{Delivery, OwnerFlags, Set};
use qmail_lookup_core::wire::{deliver, netstring, socketmap};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{BOB, DAEMON, Local, STRANGER, Site, as_user};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    let mut all = vec![
        sqlite("outage::without_the_daemon_all_mail_waits", no_daemon),
        sqlite("outage::of_a_frozen_daemon_makes_all_mail_wait", frozen),
        sqlite("outage::garbage_is_no_answer", garbage),
        sqlite("outage::somebody_elses_daemon_is_not_believed", not_believed),
        sqlite("outage::a_stranger_is_told_nothing", stranger),
        sqlite("outage::a_restart_in_the_middle_defers_nothing", restart),
        sqlite("outage::a_burst_for_one_user_defers_nothing", burst),
        sqlite("outage::the_user_and_root_can_look_without_delivering", looking),
    ];
    all.extend(both("outage::of_the_store_makes_all_mail_wait", store_gone));
    all
}

/// Makes the stores give up soon.
const QUICK: &str = "[store]\ndeadline = \"1s\"";

/// The drop-ins' deadline of 6 s, on a busy machine.
const LATEST: Duration = Duration::from_secs(20);

/// Recipients as they stand in the queue, with their domains, and where their mail is put; nothing for a bounce.
const QUEUE: [(&str, &str, Option<&str>); 9] = [
    ("iain", "mail.test", Some("iain/Mailbox")),
    ("iain-work", "mail.test", Some("iain/Maildir/new")),
    ("iain-file", "mail.test", Some("iain/file")),
    ("bob-any", "mail.test", Some("bob/Catchall/new")),
    ("=bar.com=-Sales", "bar.com", Some("iain/Maildir/new")),
    ("=virtual.com=-x", "Virtual.com", Some("virtual/Maildir/new")),
    ("local-alias", "mail.test", Some("alias/Maildir/new")),
    ("nobody", "mail.test", None),
    ("=bar.com=-nobody", "bar.com", None),
];

/// [`QUEUE`], routed while all is well.
fn routed(site: &Site) -> Result<Vec<(Local, Option<&'static str>)>, Failed> {
    write(site, "iain/.qmail-file", "./file\n")?;
    write(site, "alias/.qmail-local-alias", "./Maildir/\n")?;
    let route = |(local, domain, place)| {
        let delivery = site.routed(local, domain, "s@example.org")?.ok_or("qmail-getpw defers")?;
        Ok((delivery, place))
    };
    QUEUE.into_iter().map(route).collect()
}

/// All of it waits, told so in time.
fn all_wait(site: &Site, queue: &[(Local, Option<&str>)]) -> Outcome {
    std::thread::scope(|scope| {
        let one = |delivery: Local| {
            let begun = Instant::now();
            let report = delivery.run(site)?;
            let (what, took) = (String::from_utf8_lossy(&delivery.words[2]).into_owned(), begun.elapsed());
            deferred(&what, &report, "(#4.3.0)\n")?;
            ensure(report.text.lines().count() == 1, format!("{what}: one line expected: {report:?}"))?;
            ensure(took < LATEST, format!("{what} took {took:?}"))
        };
        let waiting: Vec<_> = queue
            .iter()
            .map(|(delivery, _)| (delivery.clone(), one))
            .map(|(d, one)| scope.spawn(move || one(d)))
            .collect();
        waiting.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a delivery panicked")?)
    })?;
    nothing(site, "while nothing is known")
}

/// All of it is delivered or bounced as it should be.
fn all_end(site: &Site, queue: &[(Local, Option<&str>)]) -> Outcome {
    for (delivery, place) in queue {
        let what = String::from_utf8_lossy(&delivery.words[2]).into_owned();
        // The way back takes its time.
        let until = Instant::now() + LATEST;
        let mut report = delivery.run(site)?;
        while report.letter()? == 'Z' && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
            report = delivery.run(site)?;
        }
        match place {
            Some(place) => {
                done(&what, &report)?;
                equal(&what, places(site)?, [*place])?;
            }
            None => equal(&what, (report.code, report.text.as_str()), (Some(100), NO_MAILBOX))?,
        }
        clear(site)?;
    }
    Ok(())
}

fn no_daemon(store: Store) -> Outcome {
    let site = store.site("")?;
    let daemon = site.start()?;
    let queue = routed(&site)?;
    daemon.kill();
    all_wait(&site, &queue)?;
    // Nor is an address that is no address.
    let file = site.path("q/control/lookupsocket");
    let named = std::fs::read_to_string(&file)?;
    let daemon = site.start()?;
    for text in ["", "\n", "relative/lookup.sock\n", "/nowhere/lookup.sock\n"] {
        std::fs::write(&file, text)?;
        all_wait(&site, queue.get(..1).unwrap_or_default())?;
    }
    std::fs::write(&file, named)?;
    all_end(&site, &queue)?;
    drop(daemon);
    Ok(())
}

fn frozen(store: Store) -> Outcome {
    let site = store.site("")?;
    let daemon = site.start()?;
    let queue = routed(&site)?;
    daemon.signal(Signal::SIGSTOP);
    let waited = all_wait(&site, &queue);
    daemon.signal(Signal::SIGCONT);
    waited?;
    all_end(&site, &queue)
}

fn store_gone(store: Store) -> Outcome {
    let site = store.site(QUICK)?;
    let _daemon = site.start()?;
    let queue = routed(&site)?;
    site.store(false)?;
    let waited = all_wait(&site, &queue);
    site.store(true)?;
    waited?;
    all_end(&site, &queue)
}

/// Answers everybody with `answer`, as `uid`, while `check` looks.
fn with_fake(site: &Site, uid: u32, answer: &[u8], check: impl FnOnce() -> Outcome) -> Outcome {
    let (folder, path) = (site.path("elsewhere"), site.socket("lookup.sock"));
    drop(std::fs::create_dir(&folder));
    chown(&folder, Some(uid), Some(uid))?;
    let made = folder.join("lookup.sock");
    // Whose socket it is the kernel tells by who made it.
    let listener = as_user(uid, || Ok(UnixListener::bind(&made)?))?;
    std::fs::rename(&made, &path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
    listener.set_nonblocking(true)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let Ok((mut stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                drop(stream.set_nonblocking(false));
                drop(stream.set_read_timeout(Some(Duration::from_secs(1))));
                drop(stream.read(&mut [0; 4096]));
                drop(stream.write_all(answer));
            }
        });
        let checked = check();
        stop.store(true, Ordering::Relaxed);
        checked
    })
}

fn ok(data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    socketmap::Reply::Ok(data).write(&mut frame);
    frame
}

/// A good answer: iain's mail for this extension goes into a file.
fn good() -> Vec<u8> {
    let instructions = vec![Instruction::Mbox(b"./believed".to_vec())];
    deliver::encode(&Delivery::Rows { set: Set::Exact, instructions, owner: OwnerFlags::default() })
}

fn garbage(store: Store) -> Outcome {
    let site = store.site("")?;
    let daemon = site.start()?;
    let mut queue = routed(&site)?;
    daemon.stop();
    queue.truncate(2);
    let none = Delivery::Rows { set: Set::Exact, instructions: Vec::new(), owner: OwnerFlags::default() };
    let mut twice = ok(&good());
    twice.extend(ok(&good()));
    let good_frame = ok(&good());
    let mut raw = Vec::new();
    netstring::write(&mut raw, &good());
    let answers: Vec<Vec<u8>> = vec![
        b"\0\0\0\0".to_vec(),
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        b"9:NOTFOUND ,".to_vec(),
        b"8:NOTFOUND,".to_vec(),
        b"3:OK ,".to_vec(),
        b"10:OK garbage,".to_vec(),
        b"9:TEMP why?,".to_vec(),
        b"12:TIMEOUT why?,".to_vec(),
        b"9:PERM why?,".to_vec(),
        b"999999999999999999:".to_vec(),
        ok(b"1:1,"),
        ok(&netstring::list(&[b"1", b"files", b"", b"", b"x"])),
        ok(&netstring::list(&[b"2", b"files", b"", b"", b""])),
        // Instructions of which there is none would eat the mail.
        ok(&deliver::encode(&none)),
        raw,
        twice,
        good_frame.get(..good_frame.len() - 1).unwrap_or_default().to_vec(),
        good_frame.get(..good_frame.len() / 2).unwrap_or_default().to_vec(),
    ];
    for answer in answers {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let checked = with_fake(&site, DAEMON, &answer, || all_wait(&site, &queue));
        checked.map_err(|failed| format!("{shown:?}: {}", failed.message().unwrap_or_default()))?;
    }
    // A good one is believed, so the others were refused for what they are.
    with_fake(&site, DAEMON, &ok(&good()), || {
        let (delivery, _) = queue.first().ok_or("no delivery")?;
        done("a good answer", &delivery.run(&site)?)?;
        equal("a good answer", places(&site)?, ["iain/believed"])
    })?;
    clear(&site)?;
    let _daemon = site.start()?;
    all_end(&site, &queue)
}

fn not_believed(store: Store) -> Outcome {
    let site = store.site("")?;
    let daemon = site.start()?;
    let mut queue = routed(&site)?;
    daemon.stop();
    queue.truncate(2);
    let bounce = deliver::encode(&Delivery::Bounce("no".into()));
    for answer in [good(), bounce] {
        with_fake(&site, STRANGER, &ok(&answer), || all_wait(&site, &queue))?;
        with_fake(&site, BOB, &ok(&answer), || all_wait(&site, &queue))?;
    }
    let _daemon = site.start()?;
    for mode in [0o777, 0o1777, 0o775] {
        std::fs::set_permissions(site.path("run"), std::fs::Permissions::from_mode(mode))?;
        all_wait(&site, &queue)?;
    }
    std::fs::set_permissions(site.path("run"), std::fs::Permissions::from_mode(0o755))?;
    all_end(&site, &queue)
}

fn stranger(store: Store) -> Outcome {
    let site = store.site("")?;
    let daemon = site.start()?;
    let queue = routed(&site)?;
    for id in [STRANGER, BOB] {
        for (delivery, _) in &queue {
            let [user, _, local, ..] = &delivery.words;
            if user == b"bob" && id == BOB {
                continue;
            }
            for options in [vec![], vec!["-n".to_owned()]] {
                let report = Local { ids: (id, id), options, ..delivery.clone() }.run(&site)?;
                let what = format!("uid {id} for {}", String::from_utf8_lossy(local));
                deferred(&what, &report, "(#4.3.0)\n")?;
                // Nothing of the rows is told.
                for secret in ["Maildir", "Catchall", "file"] {
                    ensure(!report.text.contains(secret), format!("{what}: {report:?}"))?;
                }
            }
        }
    }
    nothing(&site, "strangers")?;
    let log = daemon.log();
    ensure(log.contains(&STRANGER.to_string()), format!("the refusal is not in the log: {log}"))?;
    all_end(&site, &queue)
}

const PARALLEL: usize = 10;
const EACH: usize = 12;

fn restart(store: Store) -> Outcome {
    let site = store.site("")?;
    let daemon = site.start()?;
    let cases = [
        ("iain", "mail.test", "iain/Mailbox"),
        ("iain-work", "mail.test", "iain/Maildir/new"),
        ("=virtual.com=-x", "virtual.com", "virtual/Maildir/new"),
        ("bob-x", "mail.test", "bob/Catchall/new"),
    ];
    let ended = AtomicUsize::new(0);
    let mut next = None;
    std::thread::scope(|scope| {
        let deliver = |n: usize| {
            for (local, domain, _) in cases.iter().cycle().skip(n).take(EACH) {
                let report = site.deliver(local, domain, "s@example.org", MESSAGE.as_bytes())?;
                done(local, &report)?;
                ended.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, Failed>(())
        };
        let threads: Vec<_> = (0..PARALLEL).map(|n| scope.spawn(move || deliver(n))).collect();
        let until = Instant::now() + LATEST;
        while ended.load(Ordering::Relaxed) < PARALLEL && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        daemon.stop();
        std::thread::sleep(Duration::from_millis(700));
        let during = ended.load(Ordering::Relaxed);
        next = Some(site.start()?);
        for thread in threads {
            thread.join().map_err(|_| "a delivery panicked")??;
        }
        ensure(during < PARALLEL * EACH, "all was delivered before the restart")
    })?;
    let mails =
        super::world::delivered(&site)?.iter().map(|(_, text)| text.matches("\nhello\n").count()).sum::<usize>();
    equal("each once", mails, PARALLEL * EACH)?;
    let mut places = places(&site)?;
    places.dedup();
    let mut right = cases.map(|(_, _, place)| place);
    right.sort_unstable();
    equal("places", places, right)
}

/// qmail-lspawn's most at a time. Source: conf-spawn.
const SPAWN_MAX: usize = 120;

/// All virtual users of a site may share one uid.
fn burst(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    let delivery = site.routed("=virtual.com=-x", "virtual.com", "s@example.org")?.ok_or("qmail-getpw defers")?;
    std::thread::scope(|scope| {
        let each: Vec<_> = (0..SPAWN_MAX).map(|_| scope.spawn(|| done("one of many", &delivery.run(&site)?))).collect();
        each.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a delivery panicked")?)
    })?;
    equal("delivered", places(&site)?, vec!["virtual/Maildir/new"; SPAWN_MAX])
}

fn looking(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    let queue = routed(&site)?;
    for (delivery, place) in &queue {
        let what = String::from_utf8_lossy(&delivery.words[2]).into_owned();
        for ids in [delivery.ids, (0, 0)] {
            let looked = Local { ids, options: vec!["-n".to_owned()], ..delivery.clone() }.run(&site)?;
            match place {
                Some(place) => {
                    done(&what, &looked)?;
                    let name = place.strip_suffix("/new").unwrap_or(place).rsplit('/').next().unwrap_or_default();
                    let shown = looked.text.starts_with(&format!("maildir ./{name}/\n"))
                        || looked.text.starts_with(&format!("mbox ./{name}\n"));
                    ensure(shown && looked.text.ends_with("\ndid 1+0+0\n"), format!("{what}: {looked:?}"))?;
                }
                None => equal(&what, (looked.code, looked.text.as_str()), (Some(100), NO_MAILBOX))?,
            }
        }
    }
    nothing(&site, "-n")
}
