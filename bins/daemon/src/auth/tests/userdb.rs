//! Questions without a password.

use super::*;
use qmail_lookup_core::settings::LoginBy;

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
    let ended = answered::<()>(async { panic!("as told") }, soon()).await;
    assert_eq!(ended, Err("the question ended early".to_owned()));
    let late = answered::<()>(std::future::pending(), soon()).await;
    assert_eq!(late, Err("no answer before the deadline".to_owned()));
}
