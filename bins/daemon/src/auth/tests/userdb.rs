//! Questions without a password.

use super::*;
use qmail_lookup_backends::memory::Memory;
use qmail_lookup_core::settings::{LoginBy, RuleSettings};
use qmail_lookup_core::{Backend, TableRow, VirtualRow};

#[tokio::test(start_paused = true)]
async fn mailboxes_are_found_by_the_names_that_p7_allows() {
    let lookup = lookup();
    let user = |login: &'static str, by| {
        let lookup = lookup.clone();
        async move {
            let settings = AuthSettings { login: by, ..AuthSettings::default() };
            match userdb(&lookup, &settings, login.as_bytes(), soon()).await {
                Reply::Ok(account) => String::from_utf8(account.user).unwrap(),
                Reply::No => "no".to_owned(),
                Reply::Temporary(_) => "temporary".to_owned(),
                other => panic!("{other:?}"),
            }
        }
    };
    for (login, by, expected) in [
        ("Iain", LoginBy::Username, "iain"),
        ("iain-x", LoginBy::Username, "no"),
        ("nobody", LoginBy::Username, "no"),
        ("no\nkey", LoginBy::Username, "no"),
        ("boss@virtual.com", LoginBy::Username, "no"),
        ("boss@virtual.com", LoginBy::Address, "iain"),
        ("boss@virtual.com", LoginBy::Both, "iain"),
        ("sales@virtual.com", LoginBy::Both, "no"),
        ("info@bar.com", LoginBy::Both, "info@bar.com"),
        ("gone", LoginBy::Username, "gone"),
        ("away", LoginBy::Username, "no"),
        ("broken", LoginBy::Username, "broken"),
        ("root", LoginBy::Username, "temporary"),
        ("twice", LoginBy::Username, "temporary"),
    ] {
        assert_eq!(user(login, by).await, expected, "{login} {by:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_never_a_no() {
    for login in ["iain", "nobody", "no\nkey"] {
        let lookup = odd(Behaviour::AllDown);
        let reply = userdb(&lookup, &AuthSettings::default(), login.as_bytes(), soon()).await;
        assert!(matches!(reply, Reply::Temporary(_)), "{login} {reply:?}");
    }
    let words = |error: LookupError| error.to_string();
    let ended = answered::<()>(async { panic!("as told") }, soon()).await.map_err(words);
    assert_eq!(ended, Err("qmail-lookupd: a bug: the question ended early".to_owned()));
    let late = answered::<()>(std::future::pending(), soon()).await.map_err(words);
    assert_eq!(late, Err("qmail-lookupd: no answer before the deadline".to_owned()));
}

/// People type passwords where the login belongs.
#[tokio::test(start_paused = true)]
async fn why_there_is_no_answer_does_not_repeat_what_was_typed() {
    let row = |owner: &str| {
        let cell = |text: &str| Some(text.as_bytes().to_vec());
        let (username, ext) = (cell(owner), cell(""));
        TableRow::Virtual(VirtualRow { username, ext, virtual_username: cell(""), virtual_host: cell("two.test") })
    };
    let rows = ["iain", "gone"].map(|name| store::mailbox(name, store::SESAME, "Crypt-Password", "N"));
    let rows = rows.into_iter().chain([row("iain"), row("gone")]).collect();
    let store: Arc<dyn Backend> = Arc::new(Memory::new(rows, Arc::default()));
    let lookup = Lookup::of(&store, Arc::new(RuleSettings::default()));
    let typed = Login { typed: b"tr0ub4dor@two.test".to_vec(), by: LoginBy::Both };
    let quoted = lookup.decide(typed, soon()).await.map_err(|error| error.to_string());
    assert!(quoted.is_err_and(|words| words.contains("tr0ub4dor")), "or there is nothing to keep back");
    let settings = AuthSettings { login: LoginBy::Both, ..AuthSettings::default() };
    match userdb(&lookup, &settings, b"tr0ub4dor@two.test", soon()).await {
        Reply::Temporary(why) => assert_eq!(why, b"data: misconfigured"),
        other => panic!("{other:?}"),
    }
}
