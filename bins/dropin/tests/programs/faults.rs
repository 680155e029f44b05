//! Everything that a daemon can do wrong. A program gives its temporary code for each, in time, and prints nothing.

use super::daemon::{playing, read_frame};
use super::site::{Site, code, copy, example, is_root, root_or_skip};
use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

/// The deadline is 6 seconds; the rest is for machines under load.
const AT_MOST: Duration = Duration::from_secs(20);

/// A way to prepare a site. What it returns is kept until the program has ended.
type Prepare = Box<dyn Fn(&Site, &Path) -> Box<dyn std::any::Any> + Send + Sync>;

/// Runs the program once per fault, all at the same time. `socket` is where it asks, `good` what it would take for an
/// answer, and `bad` what the daemon may say and what is no answer.
pub(crate) fn each_is_temporary(
    temporary: i32,
    socket: fn(&Site) -> PathBuf,
    good: &[u8],
    bad: &[(&'static str, Vec<u8>)],
    run: impl Fn(&Site) -> Output + Sync,
) {
    let mut faults = faults(good);
    for (name, answer) in bad {
        let answer = answer.clone();
        faults.push((name, says(move |stream| stream.write_all(&answer))));
    }
    thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> = faults
            .into_iter()
            .map(|(name, prepare)| {
                scope.spawn(move || {
                    let site = Site::new();
                    let kept = prepare(&site, &socket(&site));
                    let started = Instant::now();
                    let output = run(&site);
                    drop(kept);
                    assert_eq!(output.status.code(), Some(temporary), "{name}: {output:?}");
                    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{name}: {output:?}");
                    assert!(started.elapsed() < AT_MOST, "{name}: {:?}", started.elapsed());
                })
            })
            .collect();
        running.into_iter().for_each(|fault| fault.join().unwrap());
    });
}

/// The right answer is taken, so that none of the faults is a fault of the test.
pub(crate) fn not_without_a_fault(
    temporary: i32,
    socket: fn(&Site) -> PathBuf,
    good: &[u8],
    run: impl Fn(&Site) -> Output,
) {
    let site = Site::new();
    super::daemon::answering(socket(&site), good.to_vec());
    assert_ne!(code(&run(&site)), temporary);
}

fn faults(good: &[u8]) -> Vec<(&'static str, Prepare)> {
    let quiet = |_: &Site, _: &Path| -> Box<dyn std::any::Any> { Box::new(()) };
    let half = good[..good.len() / 2].to_vec();
    let (first, second, drip) = (half.clone(), half, good.to_vec());
    let (extra, twice) = ([good, b"x"].concat(), [good, good].concat());
    let whole = good.to_vec();
    let mut found: Vec<(&'static str, Prepare)> = vec![
        ("no socket", Box::new(quiet)),
        (
            "no directory",
            Box::new(|site, _| {
                site.control("lookupsocket", "/nonexistent/lookup.sock".as_ref());
                site.control("authsocket", "/nonexistent/auth.sock".as_ref());
                Box::new(())
            }),
        ),
        ("a file in place of the socket", Box::new(|_, socket| Box::new(fs::write(socket, "").is_ok()))),
        ("a socket of a dead daemon", Box::new(|_, socket| Box::new(UnixListener::bind(socket).is_ok()))),
        ("a full queue and nobody who accepts", Box::new(|_, socket| Box::new(full_queue(socket)))),
        ("nothing", says(|_| Ok(()))),
        ("half a frame, then the end", says_and_ends(move |stream| stream.write_all(&first))),
        ("half a frame, then silence", says(move |stream| stream.write_all(&second))),
        ("the end", says_and_ends(|_| Ok(()))),
        (
            "one byte every other second",
            says(move |stream| {
                for byte in &drip {
                    stream.write_all(&[*byte])?;
                    thread::sleep(Duration::from_secs(2));
                }
                Ok(())
            }),
        ),
        ("a byte behind the frame", says(move |stream| stream.write_all(&extra))),
        ("two frames", says(move |stream| stream.write_all(&twice))),
        ("garbage", says(|stream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"))),
        ("NULs", says(|stream| stream.write_all(&[0; 5000]))),
        ("digits without end", says(|stream| stream.write_all(&[b'1'; 50_000]))),
        ("a frame that is too long", says(|stream| stream.write_all(b"100001:"))),
        ("an empty frame", says(|stream| stream.write_all(b"0:,"))),
        ("an empty control file", control("")),
        ("a relative path", control("run/lookup.sock\n")),
        ("a path that is too long", control(&format!("/{}\n", "x".repeat(200)))),
    ];
    for (name, mode) in [("a group that may write", 0o775), ("everybody may write", 0o757), ("a sticky one", 0o1777)] {
        let whole = whole.clone();
        found.push((
            name,
            Box::new(move |site, socket| {
                fs::set_permissions(site.run.path(), fs::Permissions::from_mode(mode)).unwrap();
                super::daemon::answering(socket, whole.clone());
                Box::new(())
            }),
        ));
    }
    if root_or_skip("an answer of another user's process is not believed") && is_root() {
        found.push(("another user's process", Box::new(move |site, socket| Box::new(impostor(site, socket, &whole)))));
    }
    found
}

/// A daemon that does this with every question and keeps the connection open.
fn says(play: impl Fn(&mut UnixStream) -> std::io::Result<()> + Send + Sync + Clone + 'static) -> Prepare {
    Box::new(move |_, socket| {
        let play = play.clone();
        playing(socket, move |_, stream| {
            read_frame(stream);
            let _ = play(stream);
            while read_any(stream) {}
        });
        Box::new(())
    })
}

/// The same, but it hangs up.
fn says_and_ends(play: impl Fn(&mut UnixStream) -> std::io::Result<()> + Send + Sync + Clone + 'static) -> Prepare {
    Box::new(move |_, socket| {
        let play = play.clone();
        playing(socket, move |_, stream| {
            read_frame(stream);
            let _ = play(stream);
        });
        Box::new(())
    })
}

fn read_any(stream: &mut UnixStream) -> bool {
    std::io::Read::read(stream, &mut [0; 64]).is_ok_and(|count| count > 0)
}

fn control(content: &str) -> Prepare {
    let content = content.to_owned();
    Box::new(move |site, _| {
        for name in ["lookupsocket", "authsocket"] {
            fs::write(site.home.path().join("control").join(name), &content).unwrap();
        }
        Box::new(())
    })
}

/// A listener whose queue has no place left.
#[allow(unsafe_code)] // std chooses the length of the queue
pub(crate) fn full_queue(socket: &Path) -> (UnixListener, UnixStream) {
    let listener = UnixListener::bind(socket).unwrap();
    // SAFETY: the descriptor is a bound socket, and open; the call touches no memory.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let waiting = UnixStream::connect(socket).unwrap(); // takes the only place
    (listener, waiting)
}

/// A process that is ended when dropped.
pub(crate) struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Another user's process that gives `answer` to everybody at `socket`. Only as root.
pub(crate) fn impostor(site: &Site, socket: &Path, answer: &[u8]) -> Ended {
    let own = site.run.path().join("own");
    fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(65_534), Some(65_534)).unwrap();
    fs::write(own.join("answer"), answer).unwrap();
    copy(&example("impostor"), &own.join("impostor"));
    let mut command = Command::new(own.join("impostor"));
    let child = command.arg(own.join("sock")).arg(own.join("answer")).uid(65_534).gid(65_534).spawn().unwrap();
    let child = Ended(child);
    while UnixStream::connect(own.join("sock")).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    fs::rename(own.join("sock"), socket).unwrap();
    child
}
