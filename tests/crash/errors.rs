//! Every error at every system call.

use super::ground::{EARLIER, Ground, Home, Kind, for_each, message};
use super::strace::{self, Call};
use super::{Shared, traced};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure};
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) fn trials(shared: &Shared) -> Vec<Trial> {
    let trial = |kind: Kind| {
        let name = format!("errors::at_any_call_defer_and_leave_nothing_half::{}", kind.ext());
        traced(&name, shared, move |ground| failing(ground, kind))
    };
    let mut trials: Vec<Trial> = Kind::EACH.map(trial).into();
    trials.push(traced("errors::that_stay_defer_and_leave_nothing_half", shared, lasting));
    trials.push(traced("errors::in_undoing_an_mbox_are_borne", shared, undoing));
    trials
}

/// The errors that `call` may give. What means "there is none" is not among them: that is an answer.
fn errors(call: &str, kind: Kind) -> &'static [&'static str] {
    match call {
        "write" | "writev" | "pwrite64" | "pwritev" | "copy_file_range" | "sendfile" | "splice" => {
            &["EIO", "ENOSPC", "EDQUOT", "EINTR", "EAGAIN", "ESTALE", "EFBIG"]
        }
        "fsync" | "fdatasync" | "sync_file_range" => &["EIO", "ENOSPC", "EDQUOT", "EINTR", "ESTALE"],
        "open" | "openat" | "link" | "linkat" | "rename" | "renameat" | "renameat2" => {
            &["EIO", "ENOSPC", "EDQUOT", "EINTR", "ESTALE", "EACCES", "ENFILE", "ENOMEM"]
        }
        "read" | "pread64" | "readv" | "recvfrom" | "recvmsg" | "lseek" | "flock" | "ftruncate" | "chdir"
        | "fchdir" => &["EIO", "EINTR", "EAGAIN", "ESTALE"],
        "stat" | "fstat" | "lstat" | "newfstatat" | "statx" => &["EIO", "EINTR", "ESTALE", "EACCES", "ENOMEM"],
        "fork" | "vfork" | "clone" | "clone3" => &["EAGAIN", "ENOMEM"],
        "pipe" | "pipe2" | "dup" | "dup2" | "dup3" | "fcntl" | "socket" => &["EMFILE", "ENFILE", "EINTR"],
        "execve" => &["EIO", "ENOMEM", "EAGAIN", "ETXTBSY"],
        "mmap" | "mremap" | "mprotect" => &["ENOMEM"],
        // Without memory it gives the old end of the heap, and no error.
        "brk" => &[],
        // strace does not close what it makes fail to close; who waits for the end of a pipe then waits for ever.
        "close" if matches!(kind, Kind::Mbox | Kind::Maildir) => &["EIO", "EINTR"],
        // They do not return, or do not fail.
        "close" | "close_range" | "exit" | "exit_group" | "rt_sigreturn" | "rt_sigaction" | "rt_sigprocmask"
        | "getpid" | "gettid" | "getppid" | "getuid" | "geteuid" | "umask" | "munmap" | "sigaltstack" | "futex" => &[],
        _ => &["EIO", "EINTR"],
    }
}

/// A call that goes wrong, and the error it gives.
type Trouble<'a> = (&'a Call, &'a str);

fn failing(ground: &Ground, kind: Kind) -> Outcome {
    let message = message(100_000);
    let calls = strace::calls(ground, kind, &message)?;
    let all: Vec<Trouble<'_>> =
        calls.iter().flat_map(|call| errors(&call.0, kind).iter().map(move |&error| (call, error))).collect();
    each(ground, kind, &message, &all, "")
}

/// From some call on, all calls of that name fail: a disk that is gone, no descriptor, no process.
fn lasting(ground: &Ground) -> Outcome {
    let message = message(100_000);
    for kind in [Kind::Mbox, Kind::Maildir] {
        let calls = strace::calls(ground, kind, &message)?;
        // For ever interrupted, or told to try again, nobody is.
        let error = |call: &Call| errors(&call.0, kind).iter().find(|&&error| !matches!(error, "EINTR" | "EAGAIN"));
        let all: Vec<Trouble<'_>> = calls.iter().filter_map(|call| Some((call, *error(call)?))).collect();
        each(ground, kind, &message, &all, "+")?;
    }
    Ok(())
}

fn each(ground: &Ground, kind: Kind, message: &[u8], all: &[Trouble<'_>], from_then_on: &str) -> Outcome {
    let hits = AtomicUsize::new(0);
    for_each(all, 4, |&((call, n), error)| {
        let home = ground.home()?;
        let mut delivery = ground.delivery(&home, kind.ext(), message);
        strace::under(&mut delivery, &home, &format!("-e inject={call}:error={error}:when={n}{from_then_on}"));
        let report = delivery.run(&ground.site)?;
        hits.fetch_add(usize::from(strace::log(&home)?.contains("(INJECTED)")), Ordering::Relaxed);
        let of = |failed: Failed| {
            let why = failed.message().unwrap_or_default();
            format!("{}, {call} {n}{from_then_on} gives {error}: {why}: {report:?}", kind.ext())
        };
        Ok(judge(ground, &home, kind, message, report.code).map_err(of)?)
    })?;
    let (hits, all) = (hits.into_inner(), all.len());
    ensure(hits * 10 >= all * 9, format!("only {hits} of {all} calls were made to fail"))
}

fn judge(ground: &Ground, home: &Home, kind: Kind, message: &[u8], code: Option<i32>) -> Outcome {
    let copies = home.copies(kind.ext(), message)?;
    match code {
        Some(0) => copies.of(kind),
        Some(111) => ground.retry(home, kind, message),
        other => Err(format!("0 or 111 expected, not {other:?}").into()),
    }
}

/// The file is full, and cannot be cut back at once.
fn undoing(ground: &Ground) -> Outcome {
    let message = message(500_000);
    for error in ["EINTR", "EIO"] {
        let home = ground.home()?;
        let mut delivery = ground.delivery(&home, Kind::Mbox.ext(), &message);
        let options = format!("-e inject=write:error=ENOSPC:when=3 -e inject=ftruncate:error={error}:when=1");
        strace::under(&mut delivery, &home, &options);
        let report = delivery.run(&ground.site)?;
        let tried = strace::log(&home)?.matches("ftruncate(").count();
        ensure(report.code == Some(111) && tried > 1, format!("{error}: {tried} attempts: {report:?}"))?;
        match error {
            "EINTR" => home.deferred(error, &report, Kind::Mbox.ext(), &message)?,
            // Nothing can be done; but what was there before is.
            _ => ensure(std::fs::read(home.path("Mailbox"))?.starts_with(EARLIER), "other mail is damaged")?,
        }
    }
    Ok(())
}
