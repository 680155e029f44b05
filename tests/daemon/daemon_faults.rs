//! The daemon goes away, hangs, or is somebody else: every drop-in says "don't know", in time.

use super::{ask, back, trial};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use qmail_lookup_core::getpw::{Answer as Getpw, SixFields, Winner};
use qmail_lookup_core::settings::HomeTrouble;
use qmail_lookup_core::wire::auth::{Account, Reply};
use qmail_lookup_core::wire::{getpw, netstring, socketmap};
use qmail_lookup_tests::check::{Outcome, ensure};
use qmail_lookup_tests::site::{DAEMON, STRANGER, Site, as_user};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("daemon_faults::a_killed_daemon_defers_and_a_new_one_answers", killed),
        trial("daemon_faults::a_frozen_daemon_with_a_full_backlog_defers_and_then_answers", frozen),
        trial("daemon_faults::without_a_socket_mail_is_deferred", no_socket),
        trial("daemon_faults::a_file_in_the_place_of_the_socket_defers", plain_file),
        trial("daemon_faults::a_folder_that_is_gone_defers", no_folder),
        trial("daemon_faults::garbage_is_no_answer", || fakes(GARBAGE)),
        trial("daemon_faults::an_answer_that_is_cut_off_is_none", cut),
        trial("daemon_faults::an_answer_with_something_behind_it_is_none", trailing),
        trial("daemon_faults::a_daemon_that_hangs_up_at_once_defers", || slow(&Fake::HangsUp)),
        trial("daemon_faults::a_daemon_that_says_nothing_defers", || slow(&Fake::Silent)),
        trial("daemon_faults::half_a_frame_and_then_nothing_defers", || slow(&Fake::Half)),
        trial("daemon_faults::one_byte_a_second_defers", || slow(&Fake::Drips)),
        trial("daemon_faults::a_fake_daemon_of_another_uid_is_not_believed", not_believed),
        trial("daemon_faults::a_folder_that_others_may_write_is_not_believed", writable),
        trial("daemon_faults::a_control_file_that_others_may_write_is_not_believed_by_root", control),
    ]
}

/// The drop-ins' deadline. Source: design.md, section 5.
const LIMIT: Duration = Duration::from_secs(6);

/// Every drop-in says "don't know".
fn deferred(site: &Site) -> Outcome {
    ask(site)?.temporary_within(LIMIT)
}

/// Ours is there again, and believed.
fn right(site: &Site) -> Outcome {
    let _daemon = site.start()?;
    ask(site)?.right()
}

fn killed() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    ask(&site)?.right()?;
    daemon.kill();
    deferred(&site)?;
    right(&site)
}

fn frozen() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    daemon.signal(Signal::SIGSTOP);
    let checked = (|| {
        let mut waiting = Vec::new();
        for socket in ["lookup.sock", "auth.sock"] {
            waiting.extend(fill(&site.socket(socket))?);
        }
        let deferred = deferred(&site);
        drop(waiting);
        deferred
    })();
    daemon.signal(Signal::SIGCONT);
    checked?;
    back(&site).map(drop)
}

/// Connects until the queue of the socket is full.
fn fill(socket: &std::path::Path) -> Result<Vec<UnixStream>, Failed> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket as new};
    use std::os::fd::AsRawFd;
    let mut held = Vec::new();
    loop {
        let fd = new(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
        match connect(fd.as_raw_fd(), &UnixAddr::new(socket)?) {
            Ok(()) => held.push(UnixStream::from(fd)),
            Err(nix::errno::Errno::EAGAIN) => return Ok(held),
            Err(error) => return Err(error.into()),
        }
    }
}

fn no_socket() -> Outcome {
    deferred(&Site::sqlite("")?)
}

fn no_folder() -> Outcome {
    let site = Site::sqlite("")?;
    std::fs::remove_dir_all(site.path("run"))?;
    deferred(&site)
}

fn plain_file() -> Outcome {
    let site = Site::sqlite("")?;
    for socket in ["lookup.sock", "auth.sock"] {
        std::fs::write(site.socket(socket), "this is no socket\n")?;
    }
    deferred(&site)?;
    // The daemon makes room for its socket only where another socket is.
    for socket in ["lookup.sock", "auth.sock"] {
        std::fs::remove_file(site.socket(socket))?;
    }
    right(&site)
}

/// What somebody does who is not our daemon.
enum Fake<'a> {
    /// Says this and hangs up.
    Says(&'a [u8]),
    /// Says this and waits.
    SaysAndStays(&'a [u8]),
    /// Hangs up without a word.
    HangsUp,
    /// Says nothing.
    Silent,
    /// Says half of a good answer, and no more.
    Half,
    /// Says a good answer, a byte a second.
    Drips,
}

/// Good answers of both sockets: what would let mail and people in if it were believed.
fn good(socket: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if socket == "auth.sock" {
        let user = Account { user: b"iain".to_vec(), uid: 20_002, gid: 20_002, home: b"/".to_vec() };
        Reply::Ok(user).write(&mut out);
        return out;
    }
    let fields = |user: &[u8], id| SixFields {
        user: user.to_vec(),
        uid: id,
        gid: id,
        home: b"/".to_vec(),
        dash: b"".to_vec(),
        ext: b"".to_vec(),
    };
    let (home_missing, home_mismatch) = (HomeTrouble::Alias, HomeTrouble::Alias);
    let (winner, alias) = (Winner::Mailbox(fields(b"evil", 20_002)), Some(fields(b"alias", 10)));
    let data = getpw::encode(&Getpw { home_missing, home_mismatch, winner, alias });
    socketmap::Reply::Ok(&data).write(&mut out);
    out
}

/// Runs fakes on both sockets as the daemon's own uid, or another, while `check` looks.
fn with_fakes(site: &Site, uid: u32, fake: &Fake<'_>, check: impl FnOnce() -> Outcome) -> Outcome {
    let mut listeners = Vec::new();
    for socket in ["lookup.sock", "auth.sock"] {
        let path = site.socket(socket);
        drop(std::fs::remove_file(&path));
        // Whose socket it is the kernel tells by who made it.
        let bind = || Ok(UnixListener::bind(&path)?);
        let listener = if uid == DAEMON { as_user(uid, bind)? } else { made_elsewhere(site, socket, uid)? };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
        listener.set_nonblocking(true)?;
        listeners.push((socket, listener));
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (socket, listener) in &listeners {
            let stop = &stop;
            scope.spawn(move || accept(listener, socket, fake, stop));
        }
        let checked = check();
        stop.store(true, Ordering::Relaxed);
        checked
    })
}

/// Listens as `uid`, in a folder where it may, and puts the socket where the daemon's should be.
fn made_elsewhere(site: &Site, socket: &str, uid: u32) -> Result<UnixListener, Failed> {
    let folder = site.path("elsewhere");
    drop(std::fs::create_dir(&folder));
    chown(&folder, Some(uid), Some(uid))?;
    let path = folder.join(socket);
    let listener = as_user(uid, || Ok(UnixListener::bind(&path)?))?;
    std::fs::rename(path, site.socket(socket))?;
    Ok(listener)
}

fn accept(listener: &UnixListener, socket: &str, fake: &Fake<'_>, stop: &AtomicBool) {
    std::thread::scope(|scope| {
        while !stop.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => {
                    let good = good(socket);
                    scope.spawn(move || play(stream, &good, fake, stop));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    });
}

fn play(mut stream: UnixStream, good: &[u8], fake: &Fake<'_>, stop: &AtomicBool) {
    // What is asked is taken, so that nothing is lost by hanging up.
    drop(stream.set_nonblocking(false));
    drop(stream.set_read_timeout(Some(Duration::from_secs(1))));
    if !matches!(fake, Fake::HangsUp) {
        drop(stream.read(&mut [0; 4096]));
    }
    let mut say = |bytes: &[u8]| drop(stream.write_all(bytes));
    let stays = match fake {
        Fake::HangsUp => false,
        Fake::Says(bytes) => {
            say(bytes);
            false
        }
        Fake::SaysAndStays(bytes) => {
            say(bytes);
            true
        }
        Fake::Silent => true,
        Fake::Half => {
            say(good.get(..good.len() / 2).unwrap_or_default());
            true
        }
        Fake::Drips => {
            for byte in good {
                say(std::slice::from_ref(byte));
                let until = Instant::now() + Duration::from_secs(1);
                while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            true
        }
    };
    while stays && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Frames and no frames of which none is an answer.
const GARBAGE: &[&[u8]] = &[
    b"\0\0\0\0",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"0:,",
    b"9:NOTFOUND;",
    b"10:NOTFOUND x,",
    b"09:NOTFOUND ,",
    b"8:NOTFOUND,",
    b"9:notfound ,",
    b"9:TEMP why?,",
    b"12:TIMEOUT why?,",
    b"9:PERM why?,",
    b"12:MAYBE garbage,",
    b"999999999999999999:",
    b"99999:",
    b"5:2:no,\n",
    b"7:3:nope,,",
    b"4:1:n,,",
    b"9:9:temporary,",
    b"8:5:stock,x",
];

fn fakes(answers: &[&[u8]]) -> Outcome {
    let site = Site::sqlite("")?;
    // Whole answers, but not to getpw.
    for answer in [&b"3:OK ,"[..], b"10:OK garbage,", b"9:NOTFOUND ,", b"6:OK 1:1,,"] {
        let deferred = || site.lspawn("iain")?.deferred();
        with_fakes(&site, DAEMON, &Fake::Says(answer), deferred)?;
    }
    for answer in answers {
        let shown = String::from_utf8_lossy(answer).into_owned();
        let checked = with_fakes(&site, DAEMON, &Fake::Says(answer), || ask(&site)?.temporary_within(LIMIT));
        checked.map_err(|failed| format!("{shown:?}: {}", failed.message().unwrap_or_default()))?;
    }
    Ok(())
}

/// Good answers, but for their end.
fn cut() -> Outcome {
    let site = Site::sqlite("")?;
    for socket in ["lookup.sock", "auth.sock"] {
        let good = good(socket);
        for length in [1, 4, good.len() / 2, good.len() - 2, good.len() - 1] {
            let fake = Fake::Says(good.get(..length).unwrap_or_default());
            with_fakes(&site, DAEMON, &fake, || ask(&site)?.temporary_within(LIMIT))?;
        }
    }
    // "no", which would refuse a login and a recipient.
    for bad in [&b"6:2:no"[..], b"5:2:no,", b"9:NOTFOUND ", b"9:NOTF"] {
        with_fakes(&site, DAEMON, &Fake::Says(bad), || ask(&site)?.temporary_within(LIMIT))?;
    }
    Ok(())
}

fn trailing() -> Outcome {
    let site = Site::sqlite("")?;
    let lookup = [&good("lookup.sock")[..], b"x"].concat();
    let twice = good("auth.sock").repeat(2);
    let mut no = Vec::new();
    netstring::write(&mut no, b"2:no,");
    let no = no.repeat(2);
    for answer in [&lookup, &twice, &no, &b"9:NOTFOUND ,9:NOTFOUND ,".to_vec()] {
        with_fakes(&site, DAEMON, &Fake::SaysAndStays(answer), || ask(&site)?.temporary_within(LIMIT))?;
    }
    Ok(())
}

fn slow(fake: &Fake<'_>) -> Outcome {
    let site = Site::sqlite("")?;
    with_fakes(&site, DAEMON, fake, || deferred(&site))?;
    right(&site)
}

fn not_believed() -> Outcome {
    let site = Site::sqlite("")?;
    let answers = [good("lookup.sock"), good("auth.sock"), b"9:NOTFOUND ,".to_vec(), b"5:2:no,,".to_vec()];
    for answer in &answers {
        with_fakes(&site, STRANGER, &Fake::SaysAndStays(answer), || ask(&site)?.temporary_within(LIMIT))?;
    }
    // The daemon's own uid would have been believed: the stand-in's answers are good ones.
    let no = b"5:2:no,,".to_vec();
    with_fakes(&site, DAEMON, &Fake::SaysAndStays(&no), || {
        let refused = site.checkpassword("iain", "x")?;
        ensure(refused == qmail_lookup_tests::site::Said::Exit(1), format!("the fake of our uid: {refused:?}"))
    })?;
    with_fakes(&site, DAEMON, &Fake::SaysAndStays(b"9:NOTFOUND ,"), || {
        let unknown = site.rcptcheck("iain@bar.com")?;
        ensure(unknown == qmail_lookup_tests::site::RcptCheck::Unknown, format!("the fake of our uid: {unknown:?}"))
    })
}

fn writable() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    for mode in [0o777, 0o1777, 0o775] {
        std::fs::set_permissions(site.path("run"), std::fs::Permissions::from_mode(mode))?;
        ask(&site)?.temporary_within(LIMIT)?;
    }
    std::fs::set_permissions(site.path("run"), std::fs::Permissions::from_mode(0o755))?;
    ask(&site)?.right()
}

fn control() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let said = |what: &str, code| {
        let got = site.checkpassword("iain", "wrong")?;
        ensure(got == qmail_lookup_tests::site::Said::Exit(code), format!("{what}: {got:?}"))
    };
    let (file, folder) = (site.path("q/control/authsocket"), site.path("q/control"));
    for path in [&file, &folder] {
        for (what, mode, owner) in [("others write", 0o777, 0), ("another owner", 0o755, STRANGER)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
            chown(path, Some(owner), None)?;
            said(&format!("{} {what}", path.display()), 111)?;
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
        chown(path, Some(0), None)?;
        said("in order", 1)?;
    }
    Ok(())
}
