use super::*;
use crate::auth::testing::{Behaviour, lookup as store, odd};
use crate::control_files::ControlFiles;
use arc_swap::ArcSwap;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::Sources;
use qmail_lookup_core::Host;
use qmail_lookup_core::settings::FallBack;
use std::time::Duration;
use tokio::time::Instant;

fn soon() -> Deadline {
    Deadline::at((Instant::now() + Duration::from_secs(5)).into_std())
}

/// A request with these credentials.
fn request(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = vec![2, 0];
    for (tag, data) in fields {
        out.extend([*tag, u8::try_from(data.len()).unwrap()]);
        out.extend_from_slice(data);
    }
    out.push(0);
    out
}

/// A machine where this host is local.
fn local(host: &[u8]) -> Arc<Control> {
    Arc::new(Control { locals: Some(vec![Host::new(host).unwrap()]), ..Control::default() })
}

/// The response; an error comes with those that say "temporary", and with no other.
async fn told(store: &Lookup, control: &Arc<Control>, request: &[u8]) -> Vec<u8> {
    let (response, error) = lookup(store, control, request, soon()).await;
    assert_eq!(error.is_some(), response[0] == cvm::TEMPORARY, "{response:?} {error:?}");
    response
}

async fn exists(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let fields = [fields, &[(4, b"")]].concat();
    told(&store(), &local(b"local.test"), &request(&fields)).await
}

async fn logs_in(by: LoginBy, fields: &[(u8, &[u8])]) -> Vec<u8> {
    let settings = AuthSettings { login: by, ..AuthSettings::default() };
    login(&Arc::new(Gate::new(1)), &store(), &settings, &request(fields), soon()).await
}

const NO: &[u8] = b"\x64\x00\x10\x010\x00";
const ELSEWHERE: &[u8] = b"\x64\x00\x10\x011\x00";
const BAD: &[u8] = b"\x02\x00\x00";
const LATER: &[u8] = b"\x01\x00\x00";

fn iain(domain: &[u8]) -> Vec<u8> {
    let length = u8::try_from(domain.len()).unwrap();
    [b"\x00\x00\x01\x04iain\x02\x03800\x03\x03100\x05\x07/h/iain\x0e", &[length][..], domain, b"\x00"].concat()
}

fn stranger(account: &str, domain: &str) -> Vec<u8> {
    let [a, d] = [account, domain].map(|field| u8::try_from(field.len()).unwrap());
    let (account, domain) = (account.as_bytes(), domain.as_bytes());
    let ids = b"\x02\x0565534\x03\x0565534\x05\x01/\x0e";
    [b"\x00\x00\x01", &[a][..], account, ids, &[d], domain, b"\x00"].concat()
}

#[tokio::test(start_paused = true)]
async fn recipients_are_told_as_mailfront_wants_them() {
    let smtp = |account: &'static str, domain: &'static str| async move {
        exists(&[(1, account.as_bytes()), (2, domain.as_bytes())]).await
    };
    for (account, domain) in [
        ("iain", "virtual.com"),
        ("IAIN", "Virtual.COM"),
        ("boss", "virtual.com"),
        ("sales", "virtual.com"),
        ("iain-list", "local.test"),
    ] {
        assert_eq!(smtp(account, domain).await, stranger(account, domain), "as it was asked, and nobody's");
    }
    assert_eq!(smtp("unheard-of", "virtual.com").await, NO);
    assert_eq!(smtp("iain", "elsewhere.test").await, ELSEWHERE);
    assert_eq!(smtp("postmaster", "virtual.com").await, stranger("postmaster", "virtual.com"));
    assert_eq!(smtp("Files-Decide", "local.test").await, stranger("Files-Decide", "local.test"));
    assert_eq!(smtp("=virtual.com=-iain", "local.test").await, NO, "a forgery");
    assert_eq!(smtp("root", "local.test").await, LATER, "a row that rule K3 refuses");
    assert_eq!(exists(&[(1, b"iain")]).await, stranger("iain", ""));
    assert_eq!(exists(&[(1, b"iain@virtual.com")]).await, stranger("iain@virtual.com", ""));
}

#[tokio::test(start_paused = true)]
async fn an_empty_password_that_was_left_out_is_no_lookup() {
    for fields in [&[(1, &b"iain"[..])][..], &[(1, b"iain"), (2, b"virtual.com")]] {
        assert_eq!(told(&store(), &Arc::default(), &request(fields)).await, BAD);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_to_log_in_learns_nothing_at_the_lookup_socket() {
    for proof in [&[(3, &b"sesame"[..])][..], &[(3, b"")], &[(5, b"c"), (6, b"r"), (7, b"cram-md5")], &[(6, b"r")]] {
        for account in [&b"iain"[..], b"nobody"] {
            let fields = [&[(1, account), (2, &b"virtual.com"[..])], proof].concat();
            assert_eq!(exists(&fields).await, BAD);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_account_is_answered_within_the_bounds_of_the_protocol() {
    for length in [100_usize, 200, 230, 240, 250] {
        let (account, domain) = (vec![b'a'; length], vec![b'b'; length]);
        let response = exists(&[(1, &account), (2, &domain)]).await;
        assert_eq!(response, ELSEWHERE);
        let response = exists(&[(1, &account), (2, b"local.test")]).await;
        assert!(response.len() <= cvm::MAX && response[0] == 0, "{response:?}");
    }
    let account = [b'a'; 255];
    let host = [b'c'; 240];
    let locals = local(&host);
    let response = told(&store(), &locals, &request(&[(1, &account), (2, &host), (4, b"")])).await;
    assert!(response.len() <= cvm::MAX && response[0] == 0, "the domain is left out: {response:?}");
}

#[tokio::test(start_paused = true)]
async fn passwords_let_in_as_p7_says() {
    use LoginBy::{Address, Both, Username};
    let cases = [
        (Username, "iain", "mail.test", true),
        (Username, "iain", "", true),
        (Username, "boss", "virtual.com", false),
        (Address, "iain", "mail.test", false),
        (Address, "iain", "virtual.com", true),
        (Address, "iain@virtual.com", "", true),
        (Address, "boss", "virtual.com", true),
        (Address, "sales", "virtual.com", false),
        (Both, "iain", "mail.test", true),
        (Both, "boss", "virtual.com", true),
        (Both, "boss@virtual.com", "", true),
        (Both, "boss", "mail.test", false),
    ];
    for (by, account, domain, expected) in cases {
        let fields = [(1, account.as_bytes()), (2, domain.as_bytes()), (3, &b"sesame"[..]), (4, b"")];
        let response = logs_in(by, &fields).await;
        let wanted = if expected { iain(domain.as_bytes()) } else { NO.to_vec() };
        assert_eq!(response, wanted, "{by:?} {account} {domain}");
        let wrong = [(1, account.as_bytes()), (2, domain.as_bytes()), (3, &b"wrong"[..])];
        assert_eq!(logs_in(by, &wrong).await, NO, "{by:?} {account} {domain}");
    }
    let response = logs_in(Both, &[(1, b"info"), (2, b"bar.com"), (3, b"sesame")]).await;
    assert!(response.starts_with(b"\x00\x00\x01\x0cinfo@bar.com\x02"), "a mailbox whose name is an address");
}

#[tokio::test(start_paused = true)]
async fn a_login_without_a_password_is_refused() {
    for by in [LoginBy::Username, LoginBy::Address, LoginBy::Both] {
        for proof in [&[][..], &[(3, &b""[..])], &[(3, b"ses\0ame")], &[(4, b"secret")], &[(5, b"c"), (6, b"r")]] {
            let fields = [&[(1, &b"iain"[..]), (2, &b"virtual.com"[..])], proof].concat();
            let begun = Instant::now();
            assert_eq!(logs_in(by, &fields).await, NO, "{proof:?}");
            assert!(begun.elapsed() >= Duration::from_millis(300));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_logins_in_one_request_take_the_time_of_one() {
    let mut times = Vec::new();
    for (account, domain) in [(&b"iain"[..], &b"virtual.com"[..]), (b"iain", b"mail.test"), (b"nobody", b"mail.test")] {
        let begun = Instant::now();
        assert_eq!(logs_in(LoginBy::Both, &[(1, account), (2, domain), (3, b"wrong")]).await, NO);
        times.push(begun.elapsed().as_millis() / 10);
    }
    assert_eq!(times, [30, 30, 30]);
}

#[tokio::test(start_paused = true)]
async fn everything_else_is_temporary_and_comes_by_the_deadline() {
    let long = [&b"\x02\x00\x01\xff"[..], &[b'a'; 255], b"\x02\xff", &[b'a'; 255], b"\x00"].concat();
    for bad in [&b""[..], b"\x02", b"\x01\x00\x01\x01a\x00", b"\x02\x00\x00", b"\x02\x00\x01\x01a\x00x", &long] {
        assert_eq!(told(&store(), &Arc::default(), bad).await, BAD);
        let gate = Arc::new(Gate::new(1));
        assert_eq!(login(&gate, &store(), &AuthSettings::default(), bad, soon()).await, BAD);
    }
    let asked = request(&[(1, b"iain"), (2, b"virtual.com"), (4, b"")]);
    let down = odd(Behaviour::AllDown);
    assert_eq!(told(&down, &Arc::default(), &asked).await, LATER);
    let tried = request(&[(1, b"iain"), (3, b"sesame")]);
    for behaviour in [Behaviour::Down, Behaviour::AllDown, Behaviour::Panics, Behaviour::Knows, Behaviour::Hangs] {
        let (gate, begun) = (Arc::new(Gate::new(1)), Instant::now());
        assert_eq!(login(&gate, &odd(behaviour), &AuthSettings::default(), &tried, soon()).await, LATER);
        assert!(begun.elapsed() <= Duration::from_millis(5002));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_the_stock_programs_is_out_of_scope() {
    let settings = AuthSettings { fall_back: FallBack::Stock, ..AuthSettings::default() };
    let ask = |account: &'static [u8], password: &'static [u8]| {
        let settings = settings.clone();
        async move {
            let tried = request(&[(1, account), (3, password)]);
            login(&Arc::new(Gate::new(1)), &store(), &settings, &tried, soon()).await
        }
    };
    assert_eq!(ask(b"nobody", b"sesame").await, ELSEWHERE);
    assert_eq!(ask(b"iain", b"wrong").await, NO);
    assert_eq!(ask(b"nobody", b"").await, NO);
}

#[tokio::test(start_paused = true)]
async fn random_bytes_come_back() {
    let asked = [&b"\x02\x03xyz"[..], &request(&[(1, b"iain"), (2, b"elsewhere.test"), (4, b"")])[2..]].concat();
    assert_eq!(told(&store(), &Arc::default(), &asked).await, b"\x64\x03xyz\x10\x011\x00");
    let tried = [&b"\x02\x03xyz"[..], &request(&[(1, b"iain"), (3, b"wrong")])[2..]].concat();
    let gate = Arc::new(Gate::new(1));
    assert_eq!(login(&gate, &store(), &AuthSettings::default(), &tried, soon()).await, b"\x64\x03xyz\x10\x010\x00");
}

#[tokio::test]
async fn why_a_recipient_is_not_known_is_logged_counted_and_remembered() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("control")).unwrap();
    std::fs::write(home.path().join("control/locals"), "local.test\n").unwrap();
    let sources = Sources { store_url: Some("memory:".to_owned()), ..Sources::default() };
    let state = State::load(&sources, &Registry::builtin(), None).unwrap();
    let state = State { lookup: store(), control: ControlFiles::new(home.path().to_owned(), None), ..state };
    let daemon = Daemon { state: ArcSwap::from_pointee(state), ..crate::daemon::tests::daemon() };
    let ask = async |account: &[u8]| {
        let asked = request(&[(1, account), (2, b"local.test"), (4, b"")]);
        let by = Deadline::after(Duration::from_secs(20));
        recipient(&daemon, &daemon.state.load_full(), &asked, by).await
    };
    let counted = || daemon.metrics.render(&[]).contains("errors_total{why=\"misconfigured\"} 1");
    assert_eq!(ask(b"iain").await, stranger("iain", "local.test"));
    assert!(!counted());
    assert_eq!(ask(b"root").await, LATER, "a row that rule K3 refuses");
    assert!(counted());
    assert_eq!(daemon.overdue.counts(), (1, 0));
    daemon.overdue.answered(b"cvm-lookup root@local.test");
    assert_eq!(daemon.overdue.counts(), (0, 0), "it was remembered as the question that it is");
}
