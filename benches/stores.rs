//! Lookups per second through our stores beside the same driver without our code, in one run: rusqlite with a prepared
//! statement on a connection per thread, and a bare sqlx connection per task. Rounds alternate, the median counts.
//!
//! `cargo bench -p qmail-lookup-benches --bench stores [-- sqlite|mysql|ldap]`

use qmail_lookup_backends::registry::{OpenContext, Registry, Settings};
use qmail_lookup_core::rules::Getpw;
use qmail_lookup_core::{Backend, Deadline, Lookup, Table, TableOptions, TableRow, Username};
use qmail_lookup_tests::load::ldap as load;
use qmail_lookup_tests::server::mariadb::{MariaDb, PASSWORD, USER};
use qmail_lookup_tests::server::process;
use qmail_lookup_tests::server::slapd::{self, Certificate, Schema, Slapd};
use rusqlite::OpenFlags;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Mailboxes in the table.
const USERS: u64 = 100_000;
/// Mailboxes in the directory; filling it takes longer.
const LDAP_USERS: u64 = 10_000;
/// Length of one round.
const ROUND: Duration = Duration::from_millis(1500);
/// Rounds of each contender; the median counts.
const ROUNDS: usize = 3;
/// Concurrent callers.
const CALLERS: [usize; 3] = [1, 8, 64];

type Any = Box<dyn Error + Send + Sync>;
type Result<T> = std::result::Result<T, Any>;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|arg| arg == name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = std::io::stdout();
    writeln!(out, "{:8} {:>7} {:>12} {:>12} {:>7}", "store", "callers", "bare/s", "ours/s", "ratio")?;
    if is_wanted("sqlite") {
        sqlite(&runtime, &mut out)?;
    }
    if is_wanted("mysql") {
        mysql(&runtime, &mut out)?;
    }
    if is_wanted("ldap") {
        ldap(&runtime, &mut out)?;
    }
    process::clear_away();
    Ok(())
}

fn name(n: u64, users: u64) -> String {
    // A fixed stride visits all names in an order that no cache likes.
    format!("user{}", (n * 7919) % users)
}

fn settings(pairs: &[(&str, serde_json::Value)]) -> Settings {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

fn open(kind: &str, pairs: &[(&str, serde_json::Value)]) -> Result<Arc<dyn Backend>> {
    let registry = Registry::builtin();
    let entry = registry.find(kind).ok_or("unknown kind")?;
    (entry.open)(settings(pairs), &OpenContext::default()).map_err(|error| format!("{error:?}").into())
}

fn sqlite(runtime: &Runtime, out: &mut impl Write) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bench.db");
    let store = open("sqlite", &[("path", path.display().to_string().into())])?;
    let editor = store.editor().ok_or("no editor")?;
    runtime.block_on(editor.create_tables(
        &Table::ALL,
        TableOptions::default(),
        Deadline::after(Duration::from_secs(10)),
    ))?;
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {USERS})
         INSERT INTO mailbox(username, uid, gid, home) SELECT 'user' || i, 1000, 1000, '/home/user' || i FROM n"
    );
    rusqlite::Connection::open(&path)?.execute_batch(&fill)?;
    for callers in CALLERS {
        let bare = || bare_sqlite(&path, callers);
        let ours = || through_ours(runtime, &store, callers);
        report(out, "sqlite", callers, bare, ours)?;
        // The same statement where an event loop may use it: off the loop, on the runtime's blocking threads.
        let bare = || runtime.block_on(blocking_sqlite(&path, callers));
        report(out, "sqlite*", callers, bare, ours)?;
    }
    Ok(())
}

fn mysql(runtime: &Runtime, out: &mut impl Write) -> Result<()> {
    let server =
        MariaDb::start(&[]).map_err(|failed| failed.message().unwrap_or("MariaDB does not start").to_owned())?;
    let socket = server.socket().to_owned();
    let options = MySqlConnectOptions::new().socket(&socket).username("root").ssl_mode(MySqlSslMode::Disabled);
    runtime.block_on(async { options.connect().await?.execute("CREATE DATABASE q").await.map(|_| ()) })?;
    let store = open(
        "mysql",
        &[
            ("servers", vec![format!("unix:{}", socket.display())].into()),
            ("user", USER.into()),
            ("password", PASSWORD.into()),
            ("database", "q".into()),
        ],
    )?;
    let editor = store.editor().ok_or("no editor")?;
    runtime.block_on(editor.create_tables(
        &Table::ALL,
        TableOptions::default(),
        Deadline::after(Duration::from_secs(10)),
    ))?;
    let fill = format!(
        "INSERT INTO mailbox(username, uid, gid, home)
         SELECT CONCAT('user', seq), 1000, 1000, CONCAT('/home/user', seq) FROM seq_0_to_{}",
        USERS - 1
    );
    let options = options.database("q");
    runtime.block_on(async { options.connect().await?.execute(AssertSqlSafe(fill)).await.map(|_| ()) })?;
    for callers in CALLERS {
        let bare = || runtime.block_on(bare_mysql(&options, callers));
        let ours = || through_ours(runtime, &store, callers);
        report(out, "mysql", callers, bare, ours)?;
    }
    Ok(())
}

fn ldap(runtime: &Runtime, out: &mut impl Write) -> Result<()> {
    let said = |failed: libtest_mimic::Failed| failed.message().unwrap_or("slapd does not start").to_owned();
    let server = Slapd::start(Schema::Native, Certificate::Good).map_err(said)?;
    let cell = |text: String| Some(text.into_bytes());
    let row = |n: u64| {
        let cells = [format!("user{n}"), "1000".into(), "1000".into(), format!("/home/user{n}"), "x".into()];
        let rest = ["Password".to_owned(), "N".to_owned()];
        TableRow::from_cells(Table::Mailbox, cells.into_iter().chain(rest).map(cell))
    };
    let rows: Vec<_> = (0..LDAP_USERS).map(row).collect();
    load::create(&server, "bench", load::Names::ByKey, &rows).map_err(said)?;
    let store = load::at(&server, "bench").map_err(said)?;
    for callers in CALLERS {
        let bare = || runtime.block_on(bare_ldap(&server, callers));
        let ours = || through_ours(runtime, &store, callers);
        report(out, "ldap", callers, bare, ours)?;
    }
    // However many dashes, a local part is one question, and a question about mailboxes is one search.
    let lookup = Lookup::of(&store, Arc::default());
    let local = b"user1-a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q".to_vec();
    let (answer, trace) = runtime.block_on(lookup.explain(Getpw { local }, Deadline::after(Duration::from_secs(5))));
    answer?;
    writeln!(out, "ldap: {} question(s) for a local part with 17 dashes", trace.asked.len())?;
    Ok(())
}

/// Searches pipelined over one connection by all callers.
async fn bare_ldap(server: &Slapd, callers: usize) -> Result<u64> {
    let (connection, mut ldap) = ldap3::LdapConnAsync::new(&server.ldapi()).await?;
    tokio::spawn(async move { drop(connection.drive().await) });
    ldap.simple_bind(slapd::USER, slapd::PASSWORD).await?.success()?;
    let until = Instant::now() + ROUND;
    let base = format!("ou=mailbox,{}", load::base("bench"));
    let tasks = (0..callers).map(|caller| {
        let (mut ldap, base) = (ldap.clone(), base.clone());
        tokio::spawn(async move {
            let (mut count, start) = (0, caller as u64 * 1000);
            while Instant::now() < until {
                let filter = format!("(&(objectClass=qlookMailbox)(qlookUser={}))", name(start + count, LDAP_USERS));
                let attributes = ["qlookUser", "qlookUid", "qlookGid", "qlookHome", "qlookSuspended"];
                let (found, _) = ldap.search(&base, ldap3::Scope::Subtree, &filter, attributes).await?.success()?;
                if found.len() != 1 {
                    return Err(format!("{} entries", found.len()).into());
                }
                count += 1;
            }
            Ok::<u64, Any>(count)
        })
    });
    let mut total = 0;
    for task in tasks.collect::<Vec<_>>() {
        total += task.await??;
    }
    ldap.unbind().await?;
    Ok(total)
}

/// Alternates the two and prints the medians of lookups per second.
fn report(
    out: &mut impl Write,
    store: &str,
    callers: usize,
    bare: impl Fn() -> Result<u64>,
    ours: impl Fn() -> Result<u64>,
) -> Result<()> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(bare()?);
        with.push(ours()?);
    }
    let per_second = |mut counts: Vec<u64>| {
        counts.sort_unstable();
        counts.get(counts.len() / 2).copied().unwrap_or(0) * 1000 / u64::try_from(ROUND.as_millis()).unwrap_or(1)
    };
    let (without, with) = (per_second(without), per_second(with));
    let percent = (with * 100).checked_div(without).unwrap_or(0);
    writeln!(out, "{store:8} {callers:>7} {without:>12} {with:>12} {:>7}", format!("{percent}%"))?;
    Ok(())
}

fn through_ours(runtime: &Runtime, store: &Arc<dyn Backend>, callers: usize) -> Result<u64> {
    let users = if store.kind() == "ldap" { LDAP_USERS } else { USERS };
    runtime.block_on(async {
        let count = Arc::new(AtomicU64::new(0));
        let until = Instant::now() + ROUND;
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let (store, count) = (Arc::clone(store), Arc::clone(&count));
                tokio::spawn(async move {
                    let mut n = caller as u64 * 1000;
                    while Instant::now() < until {
                        let key = Username::new(name(n, users).as_bytes()).ok_or("no key")?;
                        let rows = store.mailboxes(&[key], Deadline::after(Duration::from_secs(5))).await?;
                        if rows.len() != 1 {
                            return Err(format!("{} rows", rows.len()).into());
                        }
                        count.fetch_add(1, Ordering::Relaxed);
                        n += 1;
                    }
                    Ok::<(), Any>(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(count.load(Ordering::Relaxed))
    })
}

/// The bare statement.
fn one(db: &rusqlite::Connection, name: String) -> Result<()> {
    let mut statement =
        db.prepare_cached("SELECT username, uid, gid, home, suspended FROM mailbox WHERE username = ?1")?;
    let row = statement
        .query_row([name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?, row.get::<_, String>(3)?)))?;
    if row.0.is_empty() { Err("an empty name".into()) } else { Ok(()) }
}

fn bare_sqlite(path: &Path, callers: usize) -> Result<u64> {
    let stop = AtomicBool::new(false);
    let stop = &stop;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..callers)
            .map(|caller| {
                scope.spawn(move || -> Result<u64> {
                    let db = rusqlite::Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
                    let (mut count, start) = (0, caller as u64 * 1000);
                    while !stop.load(Ordering::Relaxed) {
                        one(&db, name(start + count, USERS))?;
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        std::thread::sleep(ROUND);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).sum()
    })
}

/// One connection, kept by whichever blocking thread comes, for each caller.
async fn blocking_sqlite(path: &Path, callers: usize) -> Result<u64> {
    let until = Instant::now() + ROUND;
    let tasks = (0..callers).map(|caller| {
        let path = path.to_owned();
        tokio::spawn(async move {
            let mut db = rusqlite::Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let (mut count, start) = (0, caller as u64 * 1000);
            while Instant::now() < until {
                let wanted = name(start + count, USERS);
                db = tokio::task::spawn_blocking(move || -> Result<rusqlite::Connection> {
                    one(&db, wanted)?;
                    Ok(db)
                })
                .await??;
                count += 1;
            }
            Ok::<u64, Any>(count)
        })
    });
    let mut total = 0;
    for task in tasks.collect::<Vec<_>>() {
        total += task.await??;
    }
    Ok(total)
}

async fn bare_mysql(options: &MySqlConnectOptions, callers: usize) -> Result<u64> {
    let mut connections = Vec::new();
    for _ in 0..callers {
        connections.push(options.connect().await?);
    }
    let until = Instant::now() + ROUND;
    let tasks = connections.into_iter().enumerate().map(|(caller, mut connection)| {
        tokio::spawn(async move {
            let (mut count, start) = (0, caller as u64 * 1000);
            while Instant::now() < until {
                let sql = "SELECT username, uid, gid, home, suspended FROM mailbox WHERE username = ?";
                let row = sqlx::query(sql).bind(name(start + count, USERS)).fetch_one(&mut connection).await?;
                let _: String = row.try_get(3)?;
                count += 1;
            }
            Ok::<u64, Any>(count)
        })
    });
    let mut total = 0;
    for task in tasks.collect::<Vec<_>>() {
        total += task.await??;
    }
    Ok(total)
}
