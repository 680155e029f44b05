//! Directory servers that refuse, hang, or die.

mod schema;
mod tls;

use super::proxied::{Proxied, answer_cut, cut_once, drips, stalls};
use super::{LATE, SHORT, answers, discreet, fails, knows_nothing, questions, recovers, right_or_nothing, rows, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{AuthAnswer, Backend, Deadline, ErrorKind, LookupError, Secret, TableRow, Username};
use qmail_lookup_tests::check::{Outcome, block_on, ensure, must_fail};
use qmail_lookup_tests::load::ldap::{Names, at, create, with};
use qmail_lookup_tests::model::Question;
use qmail_lookup_tests::proxy::{Mode, Proxy};
use qmail_lookup_tests::server::slapd::{self, Certificate, PASSWORD, Schema, Slapd, USER};
use qmail_lookup_tests::subjects::ldap::native_server;
use serde_json::Value;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    if slapd::missing().is_some() {
        return Vec::new(); // said loudly by the subject
    }
    let trial = |sentence, run| trial("ldap", sentence, run);
    let mut trials = vec![
        trial("a_socket_that_is_not_there_is_not_absent", || nobody_at("ldapi://%2Fnonexistent%2Fldapi")),
        trial("a_refused_port_is_not_absent", refused_port),
        trial("a_socket_without_a_server_is_not_absent", stale_socket),
        trial("a_server_that_never_answers_is_not_absent", never_answers),
        trial("a_server_that_hangs_up_at_once_is_not_absent", hangs_up),
        trial("a_server_that_speaks_something_else_is_not_absent", something_else),
        trial("the_first_answer_cut_at_any_byte_is_not_absent", first_answer_cut),
        trial("an_answer_cut_in_its_first_bytes_is_never_absent", || {
            answer_cut(on_the_way("first-bytes")?, &[0, 1, 2, 5, 9, 14])
        }),
        trial("an_answer_cut_further_on_is_never_absent", || {
            answer_cut(on_the_way("further-on")?, &[40, 77, 150, 260, 420])
        }),
        trial("a_connection_cut_in_an_answer_is_made_again_or_is_an_error", || cut_once(on_the_way("once")?)),
        trial("an_answer_that_stalls_is_not_absent", || stalls(on_the_way("stalls")?, &[0, 10])),
        trial("an_answer_that_drips_is_not_absent", || drips(on_the_way("drips")?)),
        trial("a_frozen_server_is_not_absent_and_recovers", frozen),
        trial("a_server_killed_under_load_is_never_absent_and_recovers", || dies(Slapd::kill)),
        trial("a_server_stopped_under_load_is_never_absent_and_recovers", || dies(Slapd::stop)),
        trial("the_first_question_after_a_restart_is_answered", restarted),
        trial("a_wrong_password_is_not_absent", || stranger(USER, "wrong")),
        trial("an_unknown_account_is_not_absent", || stranger("cn=nobody,dc=test", PASSWORD)),
        trial("a_login_that_nobody_can_decide_is_not_refused", || logins("compare")),
        trial("a_login_that_nobody_can_decide_is_not_refused_by_bind", || logins("bind")),
        trial("the_second_server_answers_when_the_first_refuses", second_server),
        trial("a_frozen_first_server_is_never_absent", frozen_first),
    ];
    trials.extend(schema::trials());
    trials.extend(tls::trials());
    trials
}

const NAMES: Names = Names::ByNumber;
const GONE: &[ErrorKind] = &[ErrorKind::Unreachable];
const GONE_OR_LATE: &[ErrorKind] = &[ErrorKind::Unreachable, ErrorKind::Timeout];

fn held() -> Vec<TableRow> {
    rows(&NAMES.shape())
}

/// A base of its own on the shared server, for changes that disturb nobody else.
fn base(name: &str) -> Result<(&'static Slapd, String), Failed> {
    let (server, name) = (native_server()?, format!("outage-{name}"));
    create(server, &name, NAMES, &held())?;
    Ok((server, name))
}

/// A server of its own, for outages of the server itself.
fn server() -> Result<Slapd, Failed> {
    let server = Slapd::start(Schema::Native, Certificate::Good)?;
    create(&server, "qmail", NAMES, &held())?;
    Ok(server)
}

/// A store at these addresses; passwords are compared, so that its questions need one sort of connection.
fn store(servers: &[&str], name: &str) -> Result<Arc<dyn Backend>, Failed> {
    with(servers, USER, PASSWORD, name, &[compare()])
}

fn compare() -> (&'static str, Value) {
    ("auth", "compare".into())
}

fn nobody_at(address: &str) -> Outcome {
    knows_nothing(&*store(&[address], "qmail")?, GONE)
}

fn refused_port() -> Outcome {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?.to_string();
    drop(listener);
    nobody_at(&format!("ldap://{address}"))
}

fn stale_socket() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path)?);
    nobody_at(&format!("ldapi://{}", path.display().to_string().replace('/', "%2F")))
}

/// A proxy before the shared server, and the store behind it.
fn proxied(name: &str) -> Result<(Proxy, Arc<dyn Backend>), Failed> {
    let (server, name) = base(name)?;
    let proxy = Proxy::start(&server.socket())?;
    let store = store(&[&format!("ldap://{}", proxy.address())], &name)?;
    Ok((proxy, store))
}

fn never_answers() -> Outcome {
    let (proxy, store) = proxied("silent")?;
    proxy.set(Mode::Silent);
    for question in &questions()[..4] {
        fails(&*store, question, GONE_OR_LATE)?;
    }
    proxy.set(Mode::Pass);
    recovers(&*store, &held())
}

fn hangs_up() -> Outcome {
    let (proxy, store) = proxied("hangs-up")?;
    proxy.set(Mode::Refuse);
    knows_nothing(&*store, GONE)?;
    proxy.set(Mode::Pass);
    recovers(&*store, &held())
}

/// Somebody who answers whatever comes with what is no LDAP.
fn something_else() -> Outcome {
    for said in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\0\0\0\0\0\0\0\0", b"\x30\x84\xff\xff\xff\xff\x02\x01"] {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = format!("ldap://{}", listener.local_addr()?);
        std::thread::spawn(move || {
            use std::io::{Read, Write};
            for mut client in listener.incoming().flatten() {
                drop(client.read(&mut [0; 512]));
                drop(client.write_all(said));
                // Longer than anybody waits.
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_secs(30));
                    drop(client);
                });
            }
        });
        let store = store(&[&address], "qmail")?;
        for question in &questions()[..2] {
            fails(&*store, question, &[ErrorKind::Unreachable, ErrorKind::Timeout, ErrorKind::Refused])?;
        }
    }
    Ok(())
}

fn first_answer_cut() -> Outcome {
    let (proxy, store) = proxied("first")?;
    for bytes in [0, 1, 2, 5, 9, 13, 14, 20, 40, 60] {
        proxy.set(Mode::CutAfter(bytes));
        for question in &questions()[..2] {
            fails(&*store, question, GONE_OR_LATE)?;
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
    let old = at(&server, "qmail")?;
    answers(&*old, &held)?;
    server.freeze();
    for question in &questions()[..4] {
        fails(&*old, question, GONE_OR_LATE)?;
    }
    // Stores that never had a connection hang elsewhere.
    let tcp = store(&[&server.ldap()], "qmail")?;
    let fresh = [at(&server, "qmail")?, tcp];
    for store in &fresh {
        fails(&**store, &Question::mailboxes(["nobody"]), GONE_OR_LATE)?;
    }
    server.thaw();
    recovers(&*old, &held)?;
    fresh.iter().try_for_each(|store| recovers(&**store, &held))?;
    server.kill();
    Ok(())
}

/// Callers that ask without a pause, while the server goes away and comes back.
fn dies(kill: fn(&Slapd)) -> Outcome {
    let (server, held) = (server()?, Arc::new(held()));
    let store = at(&server, "qmail")?;
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

/// Nobody asked while it was away: then nobody needs to know.
fn restarted() -> Outcome {
    let (server, held) = (server()?, held());
    let stores = [at(&server, "qmail")?, store(&[&server.ldap()], "qmail")?];
    for away in [Slapd::stop, Slapd::kill] {
        stores.iter().try_for_each(|store| answers(&**store, &held))?;
        away(&server);
        server.run()?;
        stores.iter().try_for_each(|store| answers(&**store, &held))?;
    }
    server.kill();
    Ok(())
}

fn stranger(dn: &str, password: &str) -> Outcome {
    let server = native_server()?;
    knows_nothing(&*with(&[&server.ldapi()], dn, password, "qmail", &[compare()])?, &[ErrorKind::Refused])
}

/// Right and wrong passwords alike: "refused" would be an answer.
fn logins(auth: &'static str) -> Outcome {
    let server = server()?;
    let auth = [("auth", auth.into())];
    let open = |password: &str, base: &str| with(&[&server.ldapi()], USER, password, base, &auth);
    let good = open(PASSWORD, "qmail")?;
    let all = |store: &dyn Backend| -> Outcome {
        for (name, password) in [("iain", "sesame"), ("iain", "wrong"), ("nobody", "sesame")] {
            let begin = Instant::now();
            let error = must_fail(&format!("login of {name}"), login(store, name, password)?)?;
            ensure(begin.elapsed() < SHORT + LATE, format!("{:?}", begin.elapsed()))?;
            discreet(&error)?;
        }
        Ok(())
    };
    let works = || -> Outcome {
        let granted = matches!(login(&*good, "iain", "sesame")?, Ok(AuthAnswer::Granted(_)));
        ensure(granted, "a right password is refused")?;
        ensure(matches!(login(&*good, "iain", "wrong")?, Ok(AuthAnswer::Refused(_))), "a wrong one is not")
    };
    works()?;
    all(&*open("wrong", "qmail")?)?;
    all(&*open(PASSWORD, "no-such-base")?)?;
    server.freeze();
    let frozen = all(&*good);
    server.thaw();
    frozen?;
    server.kill();
    all(&*good)?;
    server.run()?;
    let until = Instant::now() + Duration::from_secs(20);
    while let Err(failed) = works() {
        ensure(Instant::now() < until, failed.message().unwrap_or_default())?;
        std::thread::sleep(Duration::from_millis(100));
    }
    server.kill();
    Ok(())
}

fn login(store: &dyn Backend, name: &str, password: &str) -> Result<Result<AuthAnswer, LookupError>, Failed> {
    let who = Username::new(name.as_bytes()).ok_or("no key")?;
    let authenticator = store.authenticator().ok_or("no authenticator")?;
    let offered = Secret::new(password.as_bytes().to_vec());
    Ok(block_on(authenticator.authenticate(&who, &offered, Deadline::after(SHORT))))
}

fn second_server() -> Outcome {
    let ((server, name), held) = (base("second")?, held());
    let nobody = "ldapi://%2Fnonexistent%2Fldapi";
    answers(&*store(&[nobody, &server.ldapi()], &name)?, &held)?;
    answers(&*store(&[&server.ldapi(), nobody], &name)?, &held)
}

fn frozen_first() -> Outcome {
    let ((server, name), held) = (base("frozen-first")?, held());
    let proxy = Proxy::start(&server.socket())?;
    proxy.set(Mode::Silent);
    let store = store(&[&format!("ldap://{}", proxy.address()), &server.ldapi()], &name)?;
    for _ in 0..3 {
        right_or_nothing(&*store, &held)?;
    }
    proxy.set(Mode::Pass);
    recovers(&*store, &held)
}
