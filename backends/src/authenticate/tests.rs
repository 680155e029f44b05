use super::CompareAuthenticator;
use async_trait::async_trait;
use qmail_lookup_core::{
    AuthAnswer, Authenticator, CredentialResolver, CredentialRow, Deadline, LookupError, MailboxRow, Refusal, Secret,
    Username,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// SHA-512 crypt with 400000 rounds, of "sesame": more than 0.1 s anywhere, and far from what everything else takes.
const DEAR: &str = "$6$rounds=400000$saltsaltsaltsalt$\
    gbHcPfH72/XfwxDryv/TiStMlBKBksPichauMkQs8Jra1bhzD/m7ri5fe9GOxcFR9r9v30TjSND.Ohq79.AKM/";

struct Rows(Vec<CredentialRow>);

#[async_trait]
impl CredentialResolver for Rows {
    async fn credentials(&self, names: &[Username], _by: Deadline) -> Result<Vec<CredentialRow>, LookupError> {
        let asked = |row: &&CredentialRow| names.iter().any(|name| name.matches(row.mailbox.username.as_deref()));
        Ok(self.0.iter().filter(asked).cloned().collect())
    }
}

fn row(name: &str, stored: &str, kind: &str, suspended: &str) -> CredentialRow {
    let cell = |text: &str| Some(text.as_bytes().to_vec());
    let mailbox = MailboxRow {
        username: cell(name),
        uid: cell("1000"),
        gid: cell("1000"),
        home: cell("/home/x"),
        suspended: cell(suspended),
    };
    CredentialRow { mailbox, password: Some(secret(stored)), password_type: cell(kind) }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn store(rows: Vec<CredentialRow>) -> CompareAuthenticator {
    CompareAuthenticator::new(Arc::new(Rows(rows)), Arc::default())
}

/// The answer, and how long it took.
async fn ask(store: &CompareAuthenticator, who: &str, offered: &str) -> (AuthAnswer, Duration) {
    let begin = Instant::now();
    let by = Deadline::after(Duration::from_secs(60));
    let answer = store.authenticate(&Username::new(who.as_bytes()).unwrap(), &secret(offered), by).await;
    (answer.unwrap(), begin.elapsed())
}

/// The shortest of a few tries: the machine may be busy.
async fn shortest(store: &CompareAuthenticator, who: &str, refusal: Refusal) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let (answer, took) = ask(store, who, "wrong").await;
        assert_eq!(answer, AuthAnswer::Refused(refusal), "{who}");
        least = least.min(took);
    }
    least
}

#[tokio::test]
async fn unknown_wrong_suspended_and_unverifiable_take_the_same_time() {
    let store = store(vec![
        row("iain", DEAR, "Crypt-Password", "N"),
        row("gone", DEAR, "Crypt-Password", "Y"),
        row("broken", "", "Crypt-Password", "N"),
    ]);
    let (answer, known) = ask(&store, "gone", "sesame").await;
    assert_eq!(answer, AuthAnswer::Refused(Refusal::Suspended));
    let wrong = shortest(&store, "iain", Refusal::WrongPassword).await.min(known);
    for (who, refusal) in [("nobody", Refusal::Unknown), ("broken", Refusal::Unverifiable)] {
        let took = shortest(&store, who, refusal).await;
        assert!(took > wrong / 4, "{who}: {took:?}, a wrong password takes {wrong:?}");
    }
    assert!(wrong > Duration::from_millis(10), "the hash is too cheap for this test: {wrong:?}");
}

#[tokio::test]
async fn the_decoy_never_lets_anybody_in() {
    let store = store(vec![
        row("iain", "sesame", "Password", "N"),
        row("broken", "", "Password", "N"),
        row("odd", "sesame", "Passwort", "N"),
    ]);
    assert_eq!(ask(&store, "nobody", "sesame").await.0, AuthAnswer::Refused(Refusal::Unknown));
    assert!(matches!(ask(&store, "iain", "sesame").await.0, AuthAnswer::Granted(_)));
    // The decoy is iain's now, and its password is offered.
    assert_eq!(ask(&store, "nobody", "sesame").await.0, AuthAnswer::Refused(Refusal::Unknown));
    for who in ["broken", "odd"] {
        assert_eq!(ask(&store, who, "sesame").await.0, AuthAnswer::Refused(Refusal::Unverifiable), "{who}");
    }
    assert_eq!(ask(&store, "nobody", "").await.0, AuthAnswer::Refused(Refusal::Unknown));
    assert!(
        matches!(ask(&store, "iain", "sesame").await.0, AuthAnswer::Granted(_)),
        "the decoy stands in nobody's way"
    );
}

#[tokio::test]
async fn the_decoy_follows_what_was_compared_last() {
    let store = store(vec![row("cheap", "sesame", "Password", "N"), row("dear", DEAR, "Crypt-Password", "N")]);
    let kept = |store: &CompareAuthenticator| store.decoy.0.lock().unwrap().clone();
    assert_eq!(kept(&store), None);
    drop(ask(&store, "nobody", "x").await);
    assert_eq!(kept(&store), None);
    drop(ask(&store, "cheap", "x").await);
    assert_eq!(kept(&store), Some((secret("sesame"), Some(b"Password".to_vec()))));
    drop(ask(&store, "dear", "x").await);
    drop(ask(&store, "nobody", "x").await);
    assert_eq!(kept(&store), Some((secret(DEAR), Some(b"Crypt-Password".to_vec()))));
}
