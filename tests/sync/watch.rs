//! `sync --watch`.

use super::ground::{Ground, on_both, on_mariadb, on_sqlite};
use super::send::wait_for;
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::fs::File;
use std::path::PathBuf;
use std::process::Child;

const QUICK: &str = "[sync]\ninterval = \"1s\"";

const SLOW: &str = "[store]\ndeadline = \"3s\"\n[sync]\ninterval = \"1s\"";

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = on_both("watch::changes_are_written_and_told_once", QUICK, changes);
    trials.push(on_mariadb("watch::a_store_that_is_slow_is_read_all_the_same", SLOW, slow));
    trials.push(on_sqlite("watch::trouble_is_told_once_and_the_end_of_it_is_seen", QUICK, trouble));
    trials
}

/// A `sync --watch`, and what it prints.
struct Watch {
    process: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Watch {
    fn start(ground: &Ground) -> Result<Self, Failed> {
        let (out, err) = (ground.site.path("watch.out"), ground.site.path("watch.err"));
        let mut command = ground.command(&[], &["--watch"])?;
        let process = command.stdout(File::create(&out)?).stderr(File::create(&err)?).spawn()?;
        Ok(Self { process, out, err })
    }

    fn out(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap_or_default()
    }

    fn err(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// Waits until it has said `text`.
    fn says(&self, text: &str) -> Outcome {
        wait_for(|| self.out().contains(text) || self.err().contains(text))
            .map_err(|_| format!("{text:?} expected: {} {}", self.out(), self.err()).into())
    }

    /// Ends it, as its supervisor does.
    fn end(mut self) -> Outcome {
        kill(Pid::from_raw(i32::try_from(self.process.id())?), Signal::SIGTERM)?;
        equal("it ends", self.process.wait()?.code(), Some(0))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn changes(ground: &Ground) -> Outcome {
    let (_daemon, send) = (ground.site.start()?, ground.start_send()?);
    ground.add(&["a.test", "mail.test"])?;
    let watch = Watch::start(ground)?;
    watch.says("added: a.test to rcpthosts\n")?;
    watch.says("refused: table virtual, host mail.test: ")?;
    ground.add(&["b.test"])?;
    watch.says("added: b.test to rcpthosts\n")?;
    wait_for(|| send.signals() == 4)?;
    // A control file is a reason to look, too.
    std::fs::write(ground.control("virtualdomains"), format!("new.test:bob\n{}", ground.text("virtualdomains")))?;
    ground.add_virtual(b"new.test")?;
    watch.says("refused: table virtual, host new.test: ")?;
    ground.remove(b"b.test")?;
    watch.says("waiting: b.test leaves rcpthosts")?;
    ground.age(301)?;
    // It sleeps until the time has come, unless it is woken.
    File::options().write(true).open(ground.control("me"))?.set_modified(std::time::UNIX_EPOCH)?;
    watch.says("removed: b.test from rcpthosts\n")?;
    let out = watch.out();
    for once in
        ["added: a.test to virtualdomains", "refused: table virtual, host mail.test", "removed: b.test from rcpthosts"]
    {
        equal(once, out.matches(once).count(), 1)?;
    }
    equal("no trouble", watch.err(), "")?;
    watch.end()
}

/// Each table can be read within the deadline, both together cannot.
fn slow(ground: &Ground) -> Outcome {
    let (_daemon, _send) = (ground.site.start()?, ground.start_send()?);
    ground.add(&["a.test"])?;
    for (table, columns) in [("rcpthosts", "host"), ("virtual", "username, ext, virtual_username, virtual_host")] {
        ground.sql(&format!(
            "RENAME TABLE `{table}` TO kept_{table}; \
             CREATE VIEW `{table}` AS SELECT {columns} FROM kept_{table}, (SELECT SLEEP(1.6) AS n) AS slow"
        ))?;
    }
    let watch = Watch::start(ground)?;
    watch.says("added: a.test to rcpthosts")?;
    ground.sql("INSERT INTO kept_rcpthosts VALUES ('mail.test'), ('none.test')")?;
    watch.says("undecided: none.test")?;
    equal("no trouble", watch.err(), "")?;
    watch.end()
}

fn trouble(ground: &Ground) -> Outcome {
    let _send = ground.start_send()?;
    ground.add(&["a.test"])?;
    let watch = Watch::start(ground)?;
    watch.says("while qmail-lookupd does not run, mail waits in the queue")?;
    watch.says("added: a.test to rcpthosts")?;
    ground.site.store(false)?;
    watch.says("store.sqlite")?;
    // Two turns and more.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let err = watch.err();
    equal(&err, err.lines().filter(|line| line.contains("store.sqlite")).count(), 1)?;
    equal(&err, err.lines().filter(|line| line.contains("qmail-lookupd")).count(), 1)?;
    ground.site.store(true)?;
    ground.add(&["b.test"])?;
    watch.says("added: b.test to rcpthosts")?;
    ensure(ground.sync(&["--no-hup"])?.code != Some(100), "another run is possible meanwhile")?;
    watch.end()
}
