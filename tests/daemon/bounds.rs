//! Whoever takes more than his share keeps nobody else waiting.

use super::{six, trial};
use libtest_mimic::{Failed, Trial};
use nix::unistd::User;
use qmail_lookup_core::wire::auth::{Question, Reply};
use qmail_lookup_core::wire::socketmap;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{Daemon, IAIN, QMAILD, SECRET, STRANGER, Site, as_member, as_user, connect, read_frame};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("bounds::a_thousand_silent_connections_of_one_uid_keep_nobody_waiting", || crowd(b"")),
        trial("bounds::a_thousand_half_frames_of_one_uid_keep_nobody_waiting", || crowd(b"30:getpw iai")),
        trial("bounds::half_a_frame_is_cut_after_two_seconds", half_frames),
        trial("bounds::who_takes_no_replies_is_cut_and_keeps_nobody_waiting", slow_readers),
        trial("bounds::a_frame_of_ten_megabytes_is_refused_and_takes_no_memory", huge),
        trial("bounds::a_thousand_silent_connections_of_qmaild_keep_nobody_waiting", || privileged(QMAILD, "root")),
        trial("bounds::a_thousand_silent_connections_of_root_keep_nobody_waiting", || privileged("root", QMAILD)),
        trial("bounds::five_hundred_guessers_do_not_slow_an_honest_login", guessers),
        trial("bounds::five_hundred_guessers_behind_one_uid_keep_out_no_other_address", guessers_of_one_uid),
    ]
}

/// What an honest question may take. Source: issue "a second".
const SECOND: Duration = Duration::from_secs(1);

/// The middle one of the times of five runs: the machine may be busy, but not all the time.
fn median(mut run: impl FnMut() -> Outcome) -> Result<Duration, Failed> {
    let mut times = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        run()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(2).copied().unwrap_or_default())
}

/// qmail's programs are answered, right and soon.
fn nobody_waits(site: &Site, daemon: &Daemon) -> Outcome {
    let right = six(site, "iain", IAIN, "", "");
    let took = median(|| equal("iain", site.lspawn("iain")?, right.clone()))?;
    ensure(took < SECOND, format!("qmailp waits for {took:?}"))?;
    let took = median(|| equal("root", daemon.lookup("rcpthosts", b"bar.com")?, b"OK bar.com".to_vec()))?;
    ensure(took < SECOND, format!("root waits for {took:?}"))?;
    let took = median(|| {
        let reply = daemon.login("iain", SECRET)?;
        ensure(matches!(reply, Reply::Ok(_)), format!("a login: {reply:?}"))
    })?;
    ensure(took < SECOND, format!("a login waits for {took:?}"))
}

/// 1000 connections of a stranger.
fn crowd(says: &[u8]) -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    let held = as_user(STRANGER, || thousand(&site, says))?;
    nobody_waits(&site, &daemon)?;
    let text = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    ensure(text.contains("VmRSS"), "the daemon is gone")?;
    let log = daemon.log();
    ensure(log.contains("too many connections of this user"), format!("not in the log: {log}"))?;
    // Those that were not let in were told so, and not that something is absent.
    let mut told = 0;
    for mut stream in held {
        stream.set_nonblocking(true)?;
        let mut text = Vec::new();
        drop(stream.read_to_end(&mut text));
        if !text.is_empty() {
            let text = String::from_utf8_lossy(&text).into_owned();
            ensure(text.contains(":TEMP "), format!("one too many is told {text}"))?;
            told += 1;
        }
    }
    // All but the 255 of one user.
    ensure(told >= 700, format!("only {told} of 1000 were refused"))?;
    nobody_waits(&site, &daemon)
}

/// 1000 connections to the lookup socket on which `says` was said.
fn thousand(site: &Site, says: &[u8]) -> Result<Vec<UnixStream>, Failed> {
    let mut held = Vec::new();
    for _ in 0..1000 {
        let mut stream = connect(&site.socket("lookup.sock"))?;
        // Those that were one too many are closed already.
        drop(stream.write_all(says));
        held.push(stream);
    }
    Ok(held)
}

fn uid(name: &str) -> Result<u32, Failed> {
    Ok(User::from_name(name)?.ok_or(format!("no user {name}"))?.uid.as_raw())
}

/// As many connections as there may be, all of root or qmaild; `other` is the other one.
fn privileged(greedy: &str, other: &str) -> Outcome {
    let site = Site::sqlite("[daemon]\nconnections = 1000")?;
    let daemon = site.start()?;
    let (greedy, other) = (uid(greedy)?, uid(other)?);
    let held = as_user(greedy, || thousand(&site, b""))?;
    let right = six(&site, "iain", IAIN, "", "");
    let took = median(|| equal("iain", site.lspawn("iain")?, right.clone()))?;
    ensure(took < SECOND, format!("qmailp waits for {took:?}"))?;
    let took = median(|| {
        let answer = as_user(other, || daemon.lookup("rcpthosts", b"bar.com"))?;
        equal("the other one", answer, b"OK bar.com".to_vec())
    })?;
    ensure(took < SECOND, format!("the other one waits for {took:?}"))?;
    let took = median(|| {
        let reply = daemon.login("iain", SECRET)?;
        ensure(matches!(reply, Reply::Ok(_)), format!("a login: {reply:?}"))
    })?;
    ensure(took < SECOND, format!("a login waits for {took:?}"))?;
    // Who may ask nothing is not told that there is no room, but that he may not ask.
    let answer = as_user(STRANGER, || daemon.lookup("rcpthosts", b"bar.com"))?;
    equal("a stranger", String::from_utf8_lossy(&answer).into_owned(), "TEMP not allowed".to_owned())?;
    drop(held);
    nobody_waits(&site, &daemon)
}

fn half_frames() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    let halves: [(&str, &[u8]); 5] = [
        ("lookup.sock", b"1"),
        ("lookup.sock", b"10:getpw ia"),
        ("lookup.sock", b"10:getpw iain"),
        ("auth.sock", b"3"),
        ("auth.sock", b"60:5:auth1,4:iain,"),
    ];
    let mut streams = Vec::new();
    for (socket, half) in halves {
        let mut stream = connect(&site.socket(socket))?;
        stream.write_all(half)?;
        streams.push((stream, half));
    }
    let begun = Instant::now();
    // A byte now and then is no reason to wait for longer.
    let mut slow = connect(&site.socket("lookup.sock"))?;
    let mut sent = 0;
    for byte in b"8000:recipient ".iter().chain(std::iter::repeat(&b'x')).take(60) {
        if slow.write_all(&[*byte]).is_err() {
            break;
        }
        sent += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    ensure(sent < 60, "a frame may take 6 seconds, byte by byte")?;
    for (mut stream, half) in streams {
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        let rest = String::from_utf8_lossy(&rest).into_owned();
        let shown = String::from_utf8_lossy(half).into_owned();
        ensure(!rest.contains("OK") && !rest.contains("NOTFOUND"), format!("{shown}: {rest}"))?;
    }
    ensure(begun.elapsed() < Duration::from_secs(12), format!("cut after {:?} only", begun.elapsed()))?;
    nobody_waits(&site, &daemon)
}

fn slow_readers() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    daemon.login("iain", SECRET)?;
    let before = memory(&daemon)?;
    let qmaild = uid(QMAILD)?;
    let cut = std::thread::scope(|scope| {
        let asking = scope.spawn(|| as_user(qmaild, || never_read(&site, 3)));
        let checked = nobody_waits(&site, &daemon);
        let cut = asking.join().map_err(|_| "a thread panicked")??;
        checked.map(|()| cut)
    })?;
    equal("connections that were cut", cut, 3)?;
    let grown = memory(&daemon)?.saturating_sub(before);
    ensure(grown < 20_000, format!("{grown} kB for connections that are not read"))?;
    nobody_waits(&site, &daemon)
}

/// Asks as much as is taken over so many connections, and reads nothing. How many were ended by the daemon.
fn never_read(site: &Site, connections: usize) -> Result<usize, Failed> {
    let mut question = Vec::new();
    socketmap::write_question(&mut question, "rcpthosts", b"bar.com");
    let questions = question.repeat(1000);
    let mut held = Vec::new();
    for _ in 0..connections {
        let stream = connect(&site.socket("lookup.sock"))?;
        stream.set_nonblocking(true)?;
        // Where in the questions it is, and whether it was cut.
        held.push((stream, 0, false));
    }
    let until = Instant::now() + Duration::from_secs(25);
    while held.iter().any(|(_, _, cut)| !cut) && Instant::now() < until {
        for (stream, at, cut) in &mut held {
            match stream.write(questions.get(*at..).unwrap_or_default()) {
                Ok(taken) => *at = (*at + taken) % questions.len(),
                Err(error) => *cut |= error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(held.iter().filter(|(_, _, cut)| *cut).count())
}

/// Memory that the daemon holds. Unit: kB.
fn memory(daemon: &Daemon) -> Result<u64, Failed> {
    let text = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

fn huge() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    daemon.login("iain", SECRET)?;
    let before = memory(&daemon)?;
    let bytes = vec![b'x'; 10_000_000];
    for begin in ["10000000:", "99999:", "8193:", "8200:getpw "] {
        for socket in ["lookup.sock", "auth.sock"] {
            let mut streams = Vec::new();
            for _ in 0..4 {
                let mut stream = connect(&site.socket(socket))?;
                drop(stream.write_all(begin.as_bytes()).and_then(|()| stream.write_all(&bytes)));
                streams.push(stream);
            }
            for mut stream in streams {
                let answer = read_frame(&mut stream).unwrap_or_default();
                let text = String::from_utf8_lossy(&answer).into_owned();
                let refused = text.is_empty() || text.starts_with("PERM ") || text.contains("temporary");
                ensure(refused, format!("{socket}: {begin}: {text}"))?;
            }
        }
    }
    let grown = memory(&daemon)?.saturating_sub(before);
    ensure(grown < 20_000, format!("{grown} kB more after frames that are too long"))?;
    nobody_waits(&site, &daemon)
}

/// Takes some 40 ms to verify; nobody's password.
const COSTLY: &str = "$6$rounds=20000$saltsaltsaltsalt$";

/// Makes guesses at bob's password cost something.
fn costly(site: &Site) -> Outcome {
    let stored = format!("{COSTLY}{}", "a".repeat(86));
    site.sql(&format!(
        "UPDATE mailbox SET password = '{stored}', password_type = 'Crypt-Password' WHERE username = 'bob'"
    ))
}

fn guessers() -> Outcome {
    let site = Site::sqlite("")?;
    costly(&site)?;
    besieged(&site.start()?)
}

/// As behind Dovecot: one uid, which is not root, asks for everybody. There are more guessers than connections for
/// logins, and than connections of one uid.
fn guessers_of_one_uid() -> Outcome {
    let group = nix::unistd::Group::from_name("tty")?.ok_or("no group tty")?.gid.as_raw();
    let daemon = "[daemon]\nauth_group = \"tty\"\nconnections = 512\nconnections_per_uid = 64";
    let mut site = Site::sqlite(daemon)?;
    site.groups.push(group);
    costly(&site)?;
    let daemon = site.start()?;
    // Threads are what the thread that starts them is.
    as_member(STRANGER, group, || besieged(&daemon))
}

/// 500 guessers from one address, and honest logins from others.
fn besieged(daemon: &Daemon) -> Outcome {
    let guess = |password: &[u8]| {
        daemon.auth(Question::Login { login: b"bob", password, service: b"guess", remote: b"198.51.100.66" })
    };
    let begun = Instant::now();
    equal("one guess", guess(b"0")?, Reply::No)?;
    let alone = begun.elapsed();
    let (stop, tried) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (stop, tried, guess) = (&stop, &tried, &guess);
    std::thread::scope(|scope| {
        let guessers: Vec<_> = (0..500)
            .map(|n: u32| {
                let small = std::thread::Builder::new().stack_size(256 * 1024);
                small.spawn_scoped(scope, move || {
                    while !stop.load(Ordering::Relaxed) {
                        // Nobody is let in; who is told to come back later does.
                        match guess(n.to_string().as_bytes()) {
                            Ok(Reply::No | Reply::Temporary(_)) => {}
                            other => return Err(Failed::from(format!("a guess: {other:?}"))),
                        }
                        tried.fetch_add(1, Ordering::Relaxed);
                        let until = Instant::now() + Duration::from_secs(1);
                        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                            std::thread::sleep(Duration::from_millis(200));
                        }
                    }
                    Ok(())
                })
            })
            .collect::<Result<_, _>>()?;
        let honest = (|| {
            let until = Instant::now() + Duration::from_secs(10);
            while tried.load(Ordering::Relaxed) < 400 && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
            let mut address = 0;
            let took = median(|| {
                address += 1;
                let (login, password, remote) = (&b"iain"[..], SECRET.as_bytes(), format!("203.0.113.{address}"));
                let question = Question::Login { login, password, service: b"pop3", remote: remote.as_bytes() };
                let reply = daemon.auth(question)?;
                ensure(matches!(reply, Reply::Ok(_)), format!("an honest login: {reply:?}"))
            })?;
            ensure(took < SECOND, format!("an honest login takes {took:?}; one guess alone {alone:?}"))
        })();
        stop.store(true, Ordering::Relaxed);
        for guesser in guessers {
            guesser.join().map_err(|_| "a guesser panicked")??;
        }
        honest
    })?;
    let tried = tried.load(Ordering::Relaxed);
    ensure(tried >= 400, format!("only {tried} guesses"))
}
