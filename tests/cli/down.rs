//! A store that is down: every verb ends within its deadline, with 111 and one line that names the server.

use super::mariadb::{Site, needs_server};
use super::{Run, run, run_with, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure};
use std::time::{Duration, Instant};

const VERBS: &[&[&str]] = &[
    &["getpw", "iain"],
    &["getpw", "--null", "iain"],
    &["getpw", "=virtual.com=-x"],
    &["mailbox", "iain"],
    &["alias", "iain", "x"],
    &["virtual", "x@virtual.com"],
    &["rcpthost", "virtual.com"],
    &["auth", "iain"],
    &["explain", "iain"],
    &["explain", "x@virtual.com", "--json"],
    &["check"],
    &["init"],
];

/// Every verb, as `ask` asks it: 111, one line with `words`, not much later than the deadline of 1 s.
pub(super) fn every_verb_is_temporary(words: &[&str], ask: impl Fn(&[&str]) -> Result<Run, Failed>) -> Outcome {
    for verb in VERBS {
        let begun = Instant::now();
        let done = ask(verb)?;
        let took = begun.elapsed();
        done.exits(111)
            .and_then(|done| done.complains(words))
            .map_err(|failed| -> Failed { format!("{verb:?}: {}", failed.message().unwrap_or_default()).into() })?;
        ensure(took < Duration::from_secs(4), format!("{verb:?} took {took:?} with a deadline of 1 s"))?;
    }
    Ok(())
}

fn all_temporary(url: &str, words: &[&str]) -> Outcome {
    let deadline = [("QMAIL_LOOKUP_STORE__DEADLINE", "1s")];
    every_verb_is_temporary(words, |verb| run_with(&[&["--store", url], verb].concat(), "secret\n", &deadline))
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("down::nothing_listens", || {
            all_temporary("mysql://qmail@127.0.0.1:1/q", &["127.0.0.1:1"])?;
            all_temporary("mysql://qmail@localhost/q?socket=/nonexistent/s", &["/nonexistent/s"])
        }),
        trial("down::a_peer_that_says_nothing", || {
            let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
            let place = silent.local_addr()?.to_string();
            all_temporary(&format!("mysql://qmail@{place}/q"), &[&place])
        }),
        needs_server("down::a_server_that_stopped_and_came_back", || {
            let site = Site::new()?;
            let socket = site.server.socket().display().to_string();
            site.run(&["getpw", "iain"])?.exits(0)?;
            site.server.kill();
            all_temporary(&site.url(), &[&socket])?;
            site.server.run()?;
            site.run(&["getpw", "iain"])?.exits(0)?;
            site.server.freeze();
            let frozen = all_temporary(&site.url(), &[&socket]);
            site.server.thaw();
            frozen?;
            site.run(&["getpw", "iain"])?.exits(0)?;
            Ok(())
        }),
        trial("down::a_locked_sqlite_file", || {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("mail.db");
            let url = format!("sqlite:{}", path.display());
            run(&["--store", &url, "init"])?.exits(0)?;
            let db = rusqlite::Connection::open(&path)?;
            db.execute_batch("insert into mailbox values ('iain',800,100,'/h','secret','Password','N')")?;
            run(&["--store", &url, "getpw", "iain"])?.exits(0)?;
            db.execute_batch("begin exclusive")?;
            let place = path.display().to_string();
            let locked = all_temporary(&url, &[&place]);
            db.execute_batch("rollback")?;
            locked?;
            run(&["--store", &url, "getpw", "iain"])?.exits(0)?;
            Ok(())
        }),
    ]
}
