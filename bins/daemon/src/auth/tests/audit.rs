//! The line of the log.

use super::*;
use qmail_lookup_core::settings::LoginBy;
use std::io::Write;
use std::sync::Mutex;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_one_line_per_attempt_and_no_secret_in_it() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).without_time();
    let subscriber = subscriber.with_max_level(tracing::Level::TRACE).finish();
    let _on = tracing::subscriber::set_default(subscriber);
    let gate = Arc::new(Gate::new(1));
    let settings = AuthSettings { login: LoginBy::Both, ..AuthSettings::default() };
    let stock = AuthSettings { fall_back: FallBack::Stock, ..settings.clone() };
    let (fine, down) = (lookup(), odd(Behaviour::Down));
    let cases = [
        (&fine, &settings, "boss@virtual.com", "sesame", "outcome=\"granted\" mailbox=\"iain\" service=\"pop3\""),
        (&fine, &settings, "iain", "hunter2", "outcome=\"refused\" reason=\"wrong-password\" mailbox=\"iain\" service"),
        (&fine, &settings, "gone", "sesame", "outcome=\"refused\" reason=\"suspended\" mailbox=\"gone\" service"),
        (
            &fine,
            &settings,
            "broken",
            "hunter2",
            "outcome=\"refused\" reason=\"unverifiable\" mailbox=\"broken\" service",
        ),
        (&fine, &settings, "hunter2", "hunter2", "outcome=\"refused\" reason=\"unknown\" service=\"pop3\""),
        (&fine, &settings, "hunter2@virtual.com", "hunter2", "outcome=\"refused\" reason=\"unknown\" service=\"pop3\""),
        (&fine, &settings, "hunter2", "", "outcome=\"refused\" reason=\"unusable-password\" service=\"pop3\""),
        (&fine, &stock, "hunter2", "hunter2", "outcome=\"stock\" service=\"pop3\""),
        (&down, &settings, "hunter2", "hunter2", "outcome=\"temporary\" reason=\"odd: down\" service=\"pop3\""),
        (&fine, &settings, "twice", "hunter2", "outcome=\"temporary\" reason=\"data: misconfiguration (rule K3)"),
    ];
    for (lookup, settings, login, password, expected) in cases {
        log.0.lock().unwrap().clear();
        ask(&gate, lookup, settings, attempt(login, password, "192.0.2.1")).await;
        let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(lines.lines().filter(|line| line.contains("audit:")).count(), 1, "{lines}");
        assert!(lines.contains(expected), "{login}: {lines}");
        assert!(lines.contains("remote=\"192.0.2.1\" ms="), "{lines}");
        assert!(!lines.contains("hunter2") && !lines.contains("sesame"), "{lines}");
    }
    log.0.lock().unwrap().clear();
    let forged =
        Attempt { service: b"pop3\noutcome=granted".to_vec(), remote: vec![b'\x1b'; 500], ..attempt("x", "x", "") };
    ask(&gate, &fine, &settings, forged).await;
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(lines.contains("pop3\\\\x0aoutcome=granted") || lines.contains("pop3\\x0aoutcome=granted"), "{lines}");
    assert!(lines.len() < 1000 && !lines.contains('\x1b'), "{lines}");
    assert_eq!(gate.counts().refused.iter().map(|(_, n)| n).sum::<u64>(), 7);
}
