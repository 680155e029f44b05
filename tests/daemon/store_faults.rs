//! The store goes away, hangs, or answers nonsense; then it comes back.

use super::{BACK_MAX, LATE, QUICK, Verdict, all_temporary, ask, ask_sockets, back, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::server::mariadb::{self, MariaDb, PASSWORD, USER, query};
use qmail_lookup_tests::site::{Answer, Daemon, Site};
use sqlx::Row;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("store_faults::a_locked_sqlite_file_defers_and_comes_back", locked),
        trial("store_faults::a_sqlite_file_that_is_gone_defers_and_comes_back", gone),
        trial("store_faults::a_replaced_sqlite_file_counts_at_once_and_is_never_half_read", replaced),
        trial("store_faults::an_emptied_sqlite_file_defers", emptied_sqlite),
    ];
    if may_mount() {
        trials.push(trial("store_faults::a_full_disk_is_never_a_wrong_answer", full_disk));
    } else {
        let loud = "daemon::store_faults::a_full_disk_is_never_a_wrong_answer (needs to mount a tmpfs)";
        trials.push(Trial::test(loud, || Ok(())).with_ignored_flag(true));
    }
    if mariadb::missing().is_some() {
        return trials; // said loudly by the subject
    }
    trials.extend([
        trial("store_faults::a_server_that_is_stopped_defers_and_comes_back", || dies(MariaDb::stop)),
        trial("store_faults::a_server_that_is_killed_defers_and_comes_back", || dies(MariaDb::kill)),
        trial("store_faults::a_frozen_server_defers_and_comes_back", frozen),
        trial("store_faults::a_server_that_is_not_there_at_the_start_defers_and_comes", late_start),
        trial("store_faults::connections_killed_under_load_are_never_a_wrong_answer", killed_connections),
        trial("store_faults::a_server_without_a_free_connection_defers_and_comes_back", no_connection),
        trial("store_faults::an_emptied_mailbox_table_defers", emptied_mailboxes),
        trial("store_faults::an_emptied_virtual_table_bounces_nothing", emptied_virtuals),
        trial("store_faults::a_wrong_schema_defers_and_comes_back", wrong_schema),
        trial("store_faults::a_dropped_column_defers_what_needs_it", dropped_column),
        trial("store_faults::a_store_that_lost_most_rows_is_not_believed_until_trust", lost_rows),
    ]);
    trials
}

/// A site on a MariaDB, and its daemon; all is well.
fn well(more: &str) -> Result<(Site, Daemon), Failed> {
    let site = Site::mariadb(more)?;
    let daemon = site.start()?;
    ask_sockets(&site, &daemon)?.right()?;
    Ok((site, daemon))
}

fn server(site: &Site) -> Result<&MariaDb, Failed> {
    Ok(site.mariadb.as_ref().ok_or("no server")?)
}

/// All is well again. Time is counted from the call.
fn recovered(site: &Site, daemon: &Daemon) -> Outcome {
    back(site)?;
    ask_sockets(site, daemon)?.right()
}

fn dies(end: fn(&MariaDb)) -> Outcome {
    let (site, daemon) = well(QUICK)?;
    for _ in 0..2 {
        end(server(&site)?);
        all_temporary(&site, &daemon)?;
        server(&site)?.run()?;
        recovered(&site, &daemon)?;
    }
    Ok(())
}

fn frozen() -> Outcome {
    let (site, daemon) = well(QUICK)?;
    server(&site)?.freeze();
    let during = all_temporary(&site, &daemon);
    server(&site)?.thaw();
    during?;
    recovered(&site, &daemon)
}

fn late_start() -> Outcome {
    let site = Site::mariadb(QUICK)?;
    server(&site)?.stop();
    let daemon = site.start()?;
    all_temporary(&site, &daemon)?;
    server(&site)?.run()?;
    recovered(&site, &daemon)
}

/// Process ids of the daemon's connections.
fn connections(server: &MariaDb) -> Result<Vec<i64>, Failed> {
    let list =
        format!("SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE user = '{USER}' AND db = 'qmail'");
    query(&mut server.connect()?, &list)?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn killed_connections() -> Outcome {
    let (site, daemon) = well(QUICK)?;
    let server = server(&site)?;
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let killed = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..4).map(|_| scope.spawn(|| ask_until(&daemon, &stop, &asked))).collect();
        let mut killed = 0;
        let killing = (|| {
            // The machine may be busy: until enough was asked.
            let until = Instant::now() + Duration::from_secs(6);
            while (killed < 20 || asked.load(Ordering::Relaxed) < 400) && Instant::now() < until {
                let ids = connections(server)?;
                killed += ids.len();
                // It may have gone by itself meanwhile.
                ids.iter().for_each(|id| drop(server.sql(&format!("KILL CONNECTION {id}"))));
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok::<_, Failed>(killed)
        })();
        stop.store(true, Ordering::Relaxed);
        for asker in askers {
            asker.join().map_err(|_| "an asking thread panicked")??;
        }
        killing
    })?;
    let asked = asked.into_inner();
    ensure(killed >= 20 && asked >= 100, format!("only {killed} connections were killed during {asked} questions"))?;
    recovered(&site, &daemon)
}

/// Asks until `stop`; an answer is right or temporary.
fn ask_until(daemon: &Daemon, stop: &AtomicBool, asked: &AtomicUsize) -> Outcome {
    let cases: [(&str, &str, &[u8]); 4] = [
        ("recipient", "iain@bar.com", b"OK possible"),
        ("recipient", "nobody@bar.com", b"NOTFOUND "),
        ("rcpthosts", "x.wild.test", b"OK .wild.test"),
        ("mailbox", "nobody", b"NOTFOUND "),
    ];
    for (name, key, right) in cases.into_iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let got = daemon.lookup(name, key.as_bytes())?;
        let temporary = got.starts_with(b"TEMP ") || got.starts_with(b"TIMEOUT ");
        let shown = String::from_utf8_lossy(&got);
        ensure(temporary || got == right, format!("{name} {key}: {shown}"))?;
        asked.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn no_connection() -> Outcome {
    let (site, daemon) = well(QUICK)?;
    let server = server(&site)?;
    // The least that the server allows; the administrator has one more.
    server.sql("SET GLOBAL max_connections = 10")?;
    let until = Instant::now() + Duration::from_secs(20);
    let mut held = Vec::new();
    while ask(&site)?.temporary() < 7 {
        // What the daemon loses is taken by us.
        for id in connections(server)? {
            drop(server.sql(&format!("KILL CONNECTION {id}")));
        }
        while let Ok(one) = limited(server) {
            held.push(one);
        }
        ensure(Instant::now() < until, "the daemon always finds a connection")?;
    }
    all_temporary(&site, &daemon)?;
    drop(held);
    recovered(&site, &daemon)
}

/// A connection of somebody who is not the administrator.
fn limited(server: &MariaDb) -> Result<sqlx::mysql::MySqlConnection, Failed> {
    use sqlx::ConnectOptions;
    let options = sqlx::mysql::MySqlConnectOptions::new();
    let options = options.socket(server.socket()).username(USER).password(PASSWORD);
    let options = options.ssl_mode(sqlx::mysql::MySqlSslMode::Disabled);
    qmail_lookup_tests::check::block_on(async {
        Ok(tokio::time::timeout(Duration::from_secs(5), options.connect()).await??)
    })
}

fn emptied_mailboxes() -> Outcome {
    let (site, daemon) = well(QUICK)?;
    site.sql("CREATE TABLE kept AS SELECT * FROM mailbox; DELETE FROM mailbox")?;
    let round = ask_sockets(&site, &daemon)?;
    for name in ["getpw", "login", "socket login", "recipient known"] {
        let all = round.verdicts(name).all(|verdict| *verdict == Verdict::Temporary);
        ensure(all, format!("{name} although no mailbox is left: {round:#?}"))?;
    }
    site.sql("INSERT INTO mailbox SELECT * FROM kept")?;
    recovered(&site, &daemon)
}

fn emptied_virtuals() -> Outcome {
    let (site, daemon) = well(QUICK)?;
    site.sql("CREATE TABLE kept AS SELECT * FROM virtual; DELETE FROM virtual")?;
    for local in ["=bar.com=-sales", "=bar.com=-nobody", "=virtual.com=-x"] {
        equal(local, site.lspawn(local)?, Answer::Deferred)?;
    }
    for address in ["sales@bar.com", "nobody@bar.com", "x@virtual.com"] {
        let got = daemon.lookup("recipient", address.as_bytes())?;
        ensure(!got.starts_with(b"NOTFOUND"), format!("{address} is refused"))?;
    }
    equal("a mailbox", site.lspawn("bob")?, super::six(&site, "bob", qmail_lookup_tests::site::BOB, "", ""))?;
    site.sql("INSERT INTO virtual SELECT * FROM kept")?;
    recovered(&site, &daemon)
}

fn wrong_schema() -> Outcome {
    let (site, daemon) = well(QUICK)?;
    let tables = ["mailbox", "alias", "virtual", "rcpthosts"];
    let rename = |from: &str, to: &str| {
        let renames: Vec<_> = tables.iter().map(|table| format!("{table}{from} TO {table}{to}")).collect();
        site.sql(&format!("RENAME TABLE {}", renames.join(", ")))
    };
    rename("", "_away")?;
    all_temporary(&site, &daemon)?;
    rename("_away", "")?;
    recovered(&site, &daemon)
}

fn dropped_column() -> Outcome {
    let (site, daemon) = well(QUICK)?;
    site.sql("CREATE TABLE kept AS SELECT * FROM mailbox; ALTER TABLE mailbox DROP COLUMN uid")?;
    let round = ask_sockets(&site, &daemon)?;
    for name in ["getpw", "login", "socket login", "recipient known"] {
        let all = round.verdicts(name).all(|verdict| *verdict == Verdict::Temporary);
        ensure(all, format!("{name} although a column is gone: {round:#?}"))?;
    }
    site.sql("DROP TABLE mailbox; CREATE TABLE mailbox AS SELECT * FROM kept")?;
    recovered(&site, &daemon)
}

/// A restore of an old copy: the canary is there, and most of the others are not.
fn lost_rows() -> Outcome {
    let (site, daemon) = well(QUICK)?;
    let row = |n: usize| format!("('many{n}', '20001', '20001', '/h', 'x', 'Password', 'N')");
    let rows: Vec<_> = (0..60).map(row).collect();
    let columns = "username, uid, gid, home, password, password_type, suspended";
    site.sql(&format!("INSERT INTO mailbox ({columns}) VALUES {}", rows.join(",")))?;
    let mailbox = |n: usize| daemon.lookup("mailbox", format!("many{n}").as_bytes());
    for n in (0..60).cycle().take(300) {
        ensure(mailbox(n)?.starts_with(b"OK "), "a mailbox is not found")?;
    }
    site.sql("DELETE FROM mailbox WHERE username LIKE 'many%'")?;
    let until = Instant::now() + Duration::from_secs(8);
    let mut absent = 0;
    for n in (0..60).cycle() {
        match mailbox(n)? {
            answer if answer.starts_with(b"NOTFOUND") => absent += 1,
            _ => break,
        }
        ensure(Instant::now() < until, format!("{absent} mailboxes are gone, and each is believed"))?;
    }
    equal("somebody who never was", site.lspawn("nobody")?, Answer::Deferred)?;
    ensure(absent < 60, format!("{absent} of 60 mails would have bounced"))?;
    let iain = super::six(&site, "iain", qmail_lookup_tests::site::IAIN, "", "");
    equal("who is there", site.lspawn("iain")?, iain)?;
    // Reading the configuration again is no reason to believe it, be it another one.
    for more in ["", "[rules]\nsuspended_mail = \"defer\""] {
        site.reconfigure(&format!("{QUICK}\n{more}"))?;
        let before = daemon.log().matches("the configuration was read again").count();
        daemon.signal(nix::sys::signal::Signal::SIGHUP);
        while daemon.log().matches("the configuration was read again").count() == before {
            ensure(Instant::now() < until + LATE, "HUP does nothing")?;
            std::thread::sleep(Duration::from_millis(20));
        }
        equal("after HUP", site.lspawn("nobody")?, Answer::Deferred)?;
    }
    daemon.auth(qmail_lookup_core::wire::auth::Question::Trust)?;
    equal("after trust", mailbox(1)?, b"NOTFOUND ".to_vec())
}

fn locked() -> Outcome {
    let site = Site::sqlite(QUICK)?;
    let daemon = site.start()?;
    ask_sockets(&site, &daemon)?.right()?;
    let writer = rusqlite::Connection::open(site.path("db/store.sqlite"))?;
    writer.execute_batch("BEGIN EXCLUSIVE")?;
    all_temporary(&site, &daemon)?;
    writer.execute_batch("ROLLBACK")?;
    recovered(&site, &daemon)
}

fn gone() -> Outcome {
    let site = Site::sqlite(QUICK)?;
    let daemon = site.start()?;
    ask_sockets(&site, &daemon)?.right()?;
    let (file, away) = (site.path("db/store.sqlite"), site.path("db/away"));
    std::fs::rename(&file, &away)?;
    all_temporary(&site, &daemon)?;
    // Half a file, or somebody else's, is no store either.
    std::fs::write(
        &file,
        "no database at all, but of a length that is more than that of a header, which is 100 bytes.......",
    )?;
    all_temporary(&site, &daemon)?;
    std::fs::remove_file(&file)?;
    std::fs::rename(&away, &file)?;
    recovered(&site, &daemon)
}

fn emptied_sqlite() -> Outcome {
    let site = Site::sqlite(QUICK)?;
    let daemon = site.start()?;
    let iain = super::six(&site, "iain", qmail_lookup_tests::site::IAIN, "", "");
    equal("before", site.lspawn("iain")?, iain.clone())?;
    site.sql("CREATE TABLE kept AS SELECT * FROM mailbox; DELETE FROM mailbox")?;
    for local in ["iain", "nobody"] {
        equal(local, site.lspawn(local)?, Answer::Deferred)?;
    }
    ensure(!daemon.login("iain", "wrong")?.eq(&qmail_lookup_core::wire::auth::Reply::No), "a login is refused")?;
    site.sql("INSERT INTO mailbox SELECT * FROM kept")?;
    equal("after", site.lspawn("iain")?, iain)
}

fn replaced() -> Outcome {
    let site = Site::sqlite(QUICK)?;
    let daemon = site.start()?;
    let (file, next) = (site.path("db/store.sqlite"), site.path("db/next"));
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..2).map(|_| scope.spawn(|| ask_until(&daemon, &stop, &asked))).collect();
        let replacing = (|| {
            for n in 0..20 {
                std::fs::copy(&file, &next)?;
                let sql = format!("UPDATE mailbox SET home = '/new/{n}' WHERE username = 'bob'");
                rusqlite::Connection::open(&next)?.execute_batch(&sql)?;
                std::os::unix::fs::chown(&next, Some(qmail_lookup_tests::site::DAEMON), None)?;
                std::fs::rename(&next, &file)?;
                let right = format!("OK bob:20002:20002:/new/{n}");
                equal("the new file", String::from_utf8_lossy(&daemon.lookup("mailbox", b"bob")?), right)?;
            }
            Ok::<_, Failed>(())
        })();
        stop.store(true, Ordering::Relaxed);
        for asker in askers {
            asker.join().map_err(|_| "an asking thread panicked")??;
        }
        replacing
    })?;
    let asked = asked.into_inner();
    ensure(asked > 20, format!("only {asked} questions were asked meanwhile"))?;
    ask_sockets(&site, &daemon)?.right()
}

fn may_mount() -> bool {
    let mut command = Command::new("unshare");
    command.args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).stdin(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Unmounts when dropped.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

fn full_disk() -> Outcome {
    let site = Site::sqlite(QUICK)?;
    let (folder, spare) = (site.path("db"), site.path("store.spare"));
    std::fs::rename(folder.join("store.sqlite"), &spare)?;
    let owner = qmail_lookup_tests::site::DAEMON;
    let options = format!("size=512k,uid={owner},gid={owner},mode=755");
    let status = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(&folder).status()?;
    ensure(status.success(), "no tmpfs can be mounted")?;
    let _mounted = Mounted(folder.clone());
    std::fs::copy(&spare, folder.join("store.sqlite"))?;
    std::os::unix::fs::chown(folder.join("store.sqlite"), Some(owner), Some(owner))?;
    // A reader of such a file writes beside it.
    site.sql("PRAGMA journal_mode = WAL")?;
    let daemon = site.start()?;
    ask_sockets(&site, &daemon)?.right()?;
    // Now nobody can write anything any more, and whoever starts anew finds no room.
    let filler = folder.join("filler");
    drop(std::fs::write(&filler, vec![b'x'; 1 << 20]));
    ask_sockets(&site, &daemon)?;
    daemon.stop();
    for name in ["store.sqlite-wal", "store.sqlite-shm"] {
        drop(std::fs::remove_file(folder.join(name)));
    }
    drop(std::fs::OpenOptions::new().append(true).open(&filler).map(|mut file| {
        use std::io::Write;
        drop(file.write_all(&vec![b'x'; 1 << 20]));
    }));
    let daemon = site.start()?;
    let during = ask_sockets(&site, &daemon)?;
    ensure(during.temporary() > 0, format!("the disk is not full: {during:#?}"))?;
    std::fs::remove_file(&filler)?;
    let begun = Instant::now();
    recovered(&site, &daemon)?;
    ensure(begun.elapsed() < BACK_MAX + LATE, "the room is not used")
}
