//! MariaDB servers that refuse, hang, or die.

mod schema;
mod tls;
mod written;

use super::proxied::{Proxied, answer_cut, cut_once, drips, stalls};
use super::{answers, fails, knows_nothing, questions, recovers, right_or_nothing, rows, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Backend, ErrorKind, TableRow};
use qmail_lookup_tests::check::{Outcome, ensure, equal, must_fail};
use qmail_lookup_tests::load::mysql::{Tables, at, create, with};
use qmail_lookup_tests::model::{Question, soon};
use qmail_lookup_tests::proxy::{Mode, Proxy};
use qmail_lookup_tests::server::mariadb::{self, MariaDb, PASSWORD, USER, query, run};
use qmail_lookup_tests::subjects;
use sqlx::Row;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(super) fn trials() -> Vec<Trial> {
    if mariadb::missing().is_some() {
        return Vec::new(); // said loudly by the subject
    }
    let trial = |sentence, run| trial("mariadb", sentence, run);
    let mut trials = vec![
        trial("a_socket_that_is_not_there_is_not_absent", || nobody_at("unix:/nonexistent/mysqld.sock")),
        trial("a_refused_port_is_not_absent", refused_port),
        trial("a_socket_without_a_server_is_not_absent", stale_socket),
        trial("a_server_that_never_greets_is_not_absent", never_greets),
        trial("a_server_that_hangs_up_at_once_is_not_absent", hangs_up),
        trial("a_greeting_cut_at_any_byte_is_not_absent", greeting_cut),
        trial("an_answer_cut_in_its_first_bytes_is_never_absent", || {
            answer_cut(on_the_way("first_bytes")?, &[0, 1, 3, 4, 5, 9, 14])
        }),
        trial("an_answer_cut_further_on_is_never_absent", || {
            answer_cut(on_the_way("further_on")?, &[40, 77, 150, 260, 420])
        }),
        trial("a_connection_cut_in_an_answer_is_made_again_or_is_an_error", || cut_once(on_the_way("once")?)),
        trial("an_answer_that_stalls_is_not_absent", || stalls(on_the_way("stalls")?, &[0, 40])),
        trial("an_answer_that_drips_is_not_absent", || drips(on_the_way("drips")?)),
        trial("a_frozen_server_is_not_absent_and_recovers", frozen),
        trial("a_server_killed_under_load_is_never_absent_and_recovers", || dies(MariaDb::kill)),
        trial("a_server_stopped_under_load_is_never_absent_and_recovers", || dies(MariaDb::stop)),
        trial("killed_connections_are_never_absent", killed_connections),
        trial("a_killed_query_is_not_absent", killed_query),
        trial("a_locked_table_is_not_absent_and_its_neighbours_answer", locked_table),
        trial("too_many_connections_are_not_absent", too_many_connections),
        trial("the_second_server_answers_when_the_first_refuses", second_server),
        trial("a_frozen_first_server_is_never_absent", frozen_first),
        trial("the_first_server_is_asked_again_when_it_is_back", fail_back),
    ];
    trials.extend(schema::trials());
    trials.extend(tls::trials());
    trials.extend(written::trials());
    trials
}

const TABLES: Tables = Tables::Utf8mb4("utf8mb4_general_ci");
const GONE: &[ErrorKind] = &[ErrorKind::Unreachable];
const GONE_OR_LATE: &[ErrorKind] = &[ErrorKind::Unreachable, ErrorKind::Timeout];

fn held() -> Vec<TableRow> {
    rows(&TABLES.shape())
}

/// A database of its own on the shared server, for changes that disturb nobody else.
fn database(name: &str) -> Result<(&'static MariaDb, String), Failed> {
    let (server, name) = (subjects::main_server()?, format!("outage_{name}"));
    create(server, &name, TABLES, &held())?;
    Ok((server, name))
}

/// A server of its own, for outages of the server itself.
fn server() -> Result<MariaDb, Failed> {
    // What was committed shall survive a kill: the usual setting of the test servers writes once a second only.
    let server = MariaDb::start(&["--innodb-flush-log-at-trx-commit=2"])?;
    create(&server, "qmail", TABLES, &held())?;
    Ok(server)
}

fn nobody_at(address: &str) -> Outcome {
    knows_nothing(&*with(&[address], USER, PASSWORD, "qmail")?, GONE)
}

fn refused_port() -> Outcome {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?.to_string();
    drop(listener);
    nobody_at(&address)
}

fn stale_socket() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path)?);
    nobody_at(&format!("unix:{}", path.display()))
}

/// A proxy before the shared server, and the store behind it.
fn proxied(name: &str) -> Result<(Proxy, Arc<dyn Backend>), Failed> {
    let (server, database) = database(name)?;
    let proxy = Proxy::start(server.socket())?;
    let store = with(&[&proxy.address()], USER, PASSWORD, &database)?;
    Ok((proxy, store))
}

fn never_greets() -> Outcome {
    let (proxy, store) = proxied("silent")?;
    proxy.set(Mode::Silent);
    for question in &questions()[..4] {
        fails(&*store, question, GONE_OR_LATE)?;
    }
    proxy.set(Mode::Pass);
    recovers(&*store, &held())
}

fn hangs_up() -> Outcome {
    let (proxy, store) = proxied("hangs_up")?;
    proxy.set(Mode::Refuse);
    knows_nothing(&*store, GONE)?;
    proxy.set(Mode::Pass);
    recovers(&*store, &held())
}

fn greeting_cut() -> Outcome {
    let (proxy, store) = proxied("greeting")?;
    for bytes in [0, 1, 3, 4, 5, 20, 60, 90, 100, 110, 120] {
        proxy.set(Mode::CutAfter(bytes));
        for question in &questions()[..2] {
            fails(&*store, question, &[ErrorKind::Unreachable, ErrorKind::Timeout, ErrorKind::Refused])?;
        }
    }
    proxy.set(Mode::Pass);
    recovers(&*store, &held())
}

/// A store behind a proxy, as the outages on the way want it.
fn on_the_way(name: &str) -> Result<Proxied, Failed> {
    proxied(name).map(|(proxy, store)| (proxy, store, held()))
}

fn frozen() -> Outcome {
    let (server, held) = (server()?, held());
    let store = at(server.socket(), "qmail")?;
    answers(&*store, &held)?;
    server.freeze();
    for question in &questions()[..4] {
        fails(&*store, question, GONE_OR_LATE)?;
    }
    // A store that never had a connection hangs elsewhere.
    let fresh = at(server.socket(), "qmail")?;
    fails(&*fresh, &Question::mailboxes(["nobody"]), GONE_OR_LATE)?;
    server.thaw();
    recovers(&*store, &held)?;
    recovers(&*fresh, &held)?;
    server.kill();
    Ok(())
}

/// Callers that ask without a pause, while the server goes away and comes back.
fn dies(kill: fn(&MariaDb)) -> Outcome {
    let (server, held) = (server()?, Arc::new(held()));
    let store = at(server.socket(), "qmail")?;
    answers(&*store, &held)?;
    let stop = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..3)
        .map(|_| {
            let (store, held, stop) = (Arc::clone(&store), Arc::clone(&held), Arc::clone(&stop));
            std::thread::spawn(move || -> Result<usize, String> {
                let mut failed = 0;
                while !stop.load(Ordering::Relaxed) {
                    let round = right_or_nothing(&*store, &held);
                    failed += round.map_err(|failed| failed.message().unwrap_or_default().to_owned())?;
                }
                Ok(failed)
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    kill(&server);
    std::thread::sleep(Duration::from_millis(300));
    knows_nothing(&*store, GONE_OR_LATE)?;
    server.run()?;
    recovers(&*store, &held)?;
    stop.store(true, Ordering::Relaxed);
    let mut failed = 0;
    for thread in asking {
        failed += thread.join().map_err(|_| "the asking thread panicked")??;
    }
    server.kill();
    ensure(failed > 0, "nobody noticed that the server was gone")
}

/// Process ids of the connections to a database.
fn connections(server: &MariaDb, database: &str) -> Result<Vec<i64>, Failed> {
    let list = format!(
        "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE db = '{database}' AND user = '{USER}'"
    );
    query(&mut server.connect()?, &list)?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn killed_connections() -> Outcome {
    let ((server, database), held) = (database("killed")?, held());
    let store = at(server.socket(), &database)?;
    for _ in 0..5 {
        answers(&*store, &held)?;
        let ids = connections(server, &database)?;
        ensure(!ids.is_empty(), "the store keeps no connection")?;
        for id in ids {
            drop(server.sql(&format!("KILL CONNECTION {id}")));
        }
        right_or_nothing(&*store, &held)?;
        recovers(&*store, &held)?;
    }
    Ok(())
}

fn killed_query() -> Outcome {
    let ((server, database), held) = (database("killed_query")?, held());
    let store = at(server.socket(), &database)?;
    answers(&*store, &held)?;
    let mut admin = server.connect()?;
    run(&mut admin, &format!("USE {database}; LOCK TABLES mailbox WRITE"))?;
    let asked = Arc::clone(&store);
    let asking = std::thread::spawn(move || Question::mailboxes(["nobody"]).put(&*asked, soon()));
    std::thread::sleep(Duration::from_millis(500));
    for id in connections(server, &database)? {
        drop(server.sql(&format!("KILL QUERY {id}")));
    }
    let answer = asking.join().map_err(|_| "the question panicked")?;
    run(&mut admin, "UNLOCK TABLES")?;
    must_fail("a killed query", answer)?;
    recovers(&*store, &held)
}

fn locked_table() -> Outcome {
    let ((server, database), held) = (database("locked")?, held());
    let store = at(server.socket(), &database)?;
    answers(&*store, &held)?;
    let mut admin = server.connect()?;
    run(&mut admin, &format!("USE {database}; LOCK TABLES mailbox WRITE"))?;
    fails(&*store, &Question::mailboxes(["iain"]), &[ErrorKind::Timeout])?;
    let neighbours = questions().into_iter().filter(|question| !matches!(question, Question::Mailboxes(_)));
    for question in neighbours {
        let came = question.put(&*store, soon())?;
        equal(&format!("{question:?}"), question.counting(&came), question.counting(&held))?;
    }
    fails(&*store, &Question::mailboxes(["nobody"]), &[ErrorKind::Timeout])?;
    run(&mut admin, "UNLOCK TABLES")?;
    recovers(&*store, &held)
}

fn too_many_connections() -> Outcome {
    let ((server, database), held) = (database("many")?, held());
    server.sql("CREATE USER ql_few@localhost IDENTIFIED BY 'limited' WITH MAX_USER_CONNECTIONS 1")?;
    server.sql(&format!("GRANT SELECT ON {database}.* TO ql_few@localhost"))?;
    let address = format!("unix:{}", server.socket().display());
    let first = with(&[&address], "ql_few", "limited", &database)?;
    fails_or_answers(&*first, &held)?;
    let second = with(&[&address], "ql_few", "limited", &database)?;
    fails(
        &*second,
        &Question::mailboxes(["nobody"]),
        &[ErrorKind::Overloaded, ErrorKind::Refused, ErrorKind::Unreachable],
    )?;
    fails_or_answers(&*second, &held)
}

fn fails_or_answers(store: &dyn Backend, held: &[TableRow]) -> Outcome {
    right_or_nothing(store, held).map(drop)
}

fn second_server() -> Outcome {
    let ((server, database), held) = (database("second")?, held());
    let good = format!("unix:{}", server.socket().display());
    let store = with(&["unix:/nonexistent/mysqld.sock", &good], USER, PASSWORD, &database)?;
    answers(&*store, &held)?;
    // A server that answers "refused" is no reason to bounce, and none to believe the other one is wrong.
    let store = with(&[&good, "unix:/nonexistent/mysqld.sock"], USER, PASSWORD, &database)?;
    answers(&*store, &held)
}

/// Two servers that can be told apart by the home of the same mailbox.
fn fail_back() -> Outcome {
    let one = |home: &str| -> Result<MariaDb, Failed> {
        let server = server()?;
        server.sql(&format!("UPDATE qmail.mailbox SET home='{home}' WHERE username='iain'"))?;
        Ok(server)
    };
    let (first, second) = (one("/first")?, one("/second")?);
    let addresses = [&first, &second].map(|server| format!("unix:{}", server.socket().display()));
    let store = with(&addresses.each_ref().map(String::as_str), USER, PASSWORD, "qmail")?;
    let home = || -> Result<Vec<u8>, Failed> {
        let came = Question::mailboxes(["iain"]).put(&*store, soon())?;
        let homes: Vec<_> = came.iter().filter_map(|row| row.cells().get(3).copied().flatten()).collect();
        Ok(homes.concat())
    };
    equal("at first", home()?, b"/first".to_vec())?;
    first.kill();
    equal("while the first is away", home()?, b"/second".to_vec())?;
    first.run()?;
    let until = std::time::Instant::now() + Duration::from_secs(40);
    while home()? != b"/first" {
        ensure(std::time::Instant::now() < until, "still the second server 40 s after the first came back")?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn frozen_first() -> Outcome {
    let ((server, database), held) = (database("frozen_first")?, held());
    let proxy = Proxy::start(server.socket())?;
    proxy.set(Mode::Silent);
    let good = format!("unix:{}", server.socket().display());
    let store = with(&[&proxy.address(), &good], USER, PASSWORD, &database)?;
    for _ in 0..3 {
        right_or_nothing(&*store, &held)?;
    }
    proxy.set(Mode::Pass);
    recovers(&*store, &held)
}
