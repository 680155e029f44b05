//! Who may ask what: uids decide, and nothing can be learnt by asking.

use super::trial;
use libtest_mimic::{Failed, Trial};
use nix::unistd::User;
use qmail_lookup_core::rules::{Deliver, Delivery};
use qmail_lookup_core::wire::auth::{Question, Reply};
use qmail_lookup_core::wire::{deliver, netstring, socketmap};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{
    ALIAS, Answer, BOB, DAEMON, Daemon, IAIN, QMAILD, QMAILP, SECRET, STRANGER, Site, VIRTUAL, as_member, as_user,
    connect, read_frame,
};
use std::io::Write;
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("peers::who_has_no_right_is_told_nothing_and_is_logged", rights),
        trial("peers::a_getpw_that_may_not_ask_defers", deferred),
        trial("peers::deliveries_are_told_to_their_user_and_to_nobody_else", deliveries),
        trial("peers::users_of_users_assign_get_their_files_if_that_is_allowed", files_of_nobody),
        trial("peers::who_may_not_ask_cannot_tell_what_there_is", same_words),
        trial("peers::no_login_and_no_order_is_taken_at_the_lookup_socket", lookup_socket),
        trial("peers::the_auth_socket_is_for_root_and_its_group", auth_socket),
        trial("peers::a_group_may_log_users_in_and_no_more", auth_group),
    ]
}

fn uid(name: &str) -> Result<u32, Failed> {
    Ok(User::from_name(name)?.ok_or(format!("no user {name}"))?.uid.as_raw())
}

/// One question of `uid`.
fn asks(daemon: &Daemon, uid: u32, name: &str, key: &[u8]) -> Result<String, Failed> {
    let answer = as_user(uid, || daemon.lookup(name, key))?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Waits for the line.
fn logged(daemon: &Daemon, words: &[&str]) -> Outcome {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let log = daemon.log();
        if log.lines().any(|line| words.iter().all(|word| line.contains(word))) {
            return Ok(());
        }
        ensure(Instant::now() < until, format!("no line with {words:?}: {log}"))?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

const QUESTIONS: [(&str, &str); 9] = [
    ("getpw", "iain"),
    ("rcpthosts", "bar.com"),
    ("recipient", "iain@bar.com"),
    ("virtual", "sales@bar.com"),
    ("mailbox", "iain"),
    ("virtual_mailbox", "iain@bar.com"),
    ("virtual_alias", "sales@bar.com"),
    ("virtual_uid", "iain@bar.com"),
    ("skipped", "iain for fun"),
];

fn rights() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    let (qmailp, qmaild) = (uid(QMAILP)?, uid(QMAILD)?);
    for (name, key) in QUESTIONS {
        for (who, may) in [
            (STRANGER, false),
            (IAIN, false),
            (DAEMON, false),
            (qmailp, matches!(name, "getpw" | "skipped")),
            (qmaild, matches!(name, "rcpthosts" | "recipient")),
            (0, true),
        ] {
            let got = asks(&daemon, who, name, key.as_bytes())?;
            let right =
                if may { !got.starts_with("TEMP ") && !got.starts_with("PERM ") } else { got.starts_with("TEMP ") };
            ensure(right, format!("{who} asks {name} {key}: {got}"))?;
            ensure(may || !got.contains("iain"), format!("{who} asks {name} {key} and learns {got}"))?;
        }
    }
    logged(&daemon, &[&STRANGER.to_string(), "getpw"])
}

fn deferred() -> Outcome {
    let site = Site::sqlite("")?;
    // What the site gives its stand-in for qmailp is taken back.
    let text = std::fs::read_to_string(site.config())?.replace(&format!("{QMAILP} = [\"getpw\"]"), "");
    std::fs::write(site.config(), text)?;
    let daemon = site.start()?;
    for local in ["iain", "nobody", "=bar.com=-sales"] {
        equal(local, site.lspawn(local)?, Answer::Deferred)?;
    }
    logged(&daemon, &[&uid(QMAILP)?.to_string(), "getpw"])
}

fn key(user: &str, ext: &str) -> Vec<u8> {
    let dash = if ext.is_empty() { "" } else { "-" };
    let local = if user == ALIAS { ext.to_owned() } else { format!("{user}{dash}{ext}") };
    deliver::encode_question(&Deliver {
        user: user.into(),
        local: local.into(),
        dash: if user == ALIAS { b"-".to_vec() } else { dash.into() },
        ext: ext.into(),
        domain: b"mail.test".to_vec(),
        system_home: None,
        is_local: false,
    })
}

fn delivery(daemon: &Daemon, uid: u32, user: &str, ext: &str) -> Result<Option<Delivery>, Failed> {
    let answer = as_user(uid, || daemon.lookup("deliver", &key(user, ext)))?;
    match socketmap::Reply::read(&answer).map_err(|error| error.0)? {
        socketmap::Reply::Ok(data) => Ok(Some(deliver::decode(data).map_err(|error| error.0)?)),
        socketmap::Reply::Temp(_) => Ok(None),
        other => Err(format!("{uid} asks deliver {user} {ext}: {other:?}").into()),
    }
}

fn deliveries() -> Outcome {
    let site = Site::sqlite("")?;
    site.sql(&format!("INSERT INTO alias (username, alias, alias_username, alias_host) VALUES ('{ALIAS}', 'list', 'friend', 'example.org')"))?;
    let daemon = site.start()?;
    let rows = |delivery: Option<Delivery>, words: &str| match delivery {
        Some(Delivery::Rows { instructions, .. }) => {
            let lines: Vec<_> =
                instructions.iter().map(|line| String::from_utf8_lossy(&line.to_line()).into_owned()).collect();
            equal("instructions", lines.join(";"), words)
        }
        other => Err(format!("{words} expected: {other:?}").into()),
    };
    let root = 0;
    let alias = uid(ALIAS)?;
    rows(delivery(&daemon, IAIN, "iain", "work")?, "./Maildir/")?;
    rows(delivery(&daemon, IAIN, "iain", "away")?, "&friend@example.org")?;
    rows(delivery(&daemon, root, "iain", "secret")?, "|private")?;
    rows(delivery(&daemon, BOB, "bob", "any")?, "./Catchall/")?;
    rows(delivery(&daemon, VIRTUAL, "virtual", "x")?, "./Maildir/")?;
    // No rows: his own files decide.
    ensure(matches!(delivery(&daemon, IAIN, "iain", "")?, Some(Delivery::Files { .. })), "iain's files")?;
    // The alias user is the alias user's uid, and a system user is his own.
    rows(delivery(&daemon, alias, ALIAS, "list")?, "&friend@example.org")?;
    ensure(
        matches!(delivery(&daemon, alias, ALIAS, "nobody")?, Some(Delivery::Files { .. })),
        "the alias user's files",
    )?;
    let own = delivery(&daemon, uid("daemon")?, "daemon", "x")?;
    ensure(matches!(own, Some(Delivery::Files { .. })), format!("a system user: {own:?}"))?;
    for (who, user, ext) in [
        (BOB, "iain", "work"),
        (IAIN, "bob", "any"),
        (STRANGER, "iain", "secret"),
        (uid(QMAILP)?, "iain", "work"),
        (alias, "iain", "work"),
        (DAEMON, "iain", "work"),
        (IAIN, ALIAS, "list"),
        (IAIN, "daemon", "x"),
        (uid("daemon")?, "iain", "work"),
        (IAIN, "root", ""),
    ] {
        equal(&format!("{who} asks for {user}"), delivery(&daemon, who, user, ext)?, None)?;
    }
    logged(&daemon, &[&STRANGER.to_string(), "deliver"])
}

/// Lines as vpopmail writes them: the user is a host, and no mailbox.
fn files_of_nobody() -> Outcome {
    let site = Site::sqlite("[daemon.allow]\nlp = [\"deliver_files\"]")?;
    site.sql("INSERT INTO alias (username, alias, alias_username, alias_host) VALUES ('rows.test', 'x', '.', '/M/')")?;
    let daemon = site.start()?;
    let lp = uid("lp")?;
    let files = delivery(&daemon, lp, "example.com", "joe")?;
    ensure(matches!(files, Some(Delivery::Files { .. })), format!("its files: {files:?}"))?;
    for (who, user) in [(STRANGER, "example.com"), (lp, "rows.test"), (lp, "iain"), (lp, "daemon"), (lp, ALIAS)] {
        equal(&format!("{who} asks for {user}"), delivery(&daemon, who, user, "x")?, None)?;
    }
    Ok(())
}

/// Existing or not, broken or not, with alias or without: the answer is the same.
fn same_words() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    let users = [
        ("iain", "work"),
        ("iain", "none"),
        ("bob", "x"),
        ("broken", "x"),
        ("nobody-here", "x"),
        ("root", "x"),
        (ALIAS, "x"),
    ];
    let mut answers = Vec::new();
    for (user, ext) in users {
        answers.push(asks(&daemon, STRANGER, "deliver", &key(user, ext))?);
    }
    answers.dedup();
    equal("different answers", answers.len(), 1)?;
    ensure(answers.iter().all(|answer| answer.starts_with("TEMP ")), format!("{answers:?}"))
}

/// The answer to these bytes at a socket; empty if there is none.
fn raw(site: &Site, socket: &str, bytes: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut stream = connect(&site.socket(socket))?;
    stream.write_all(bytes)?;
    Ok(read_frame(&mut stream).unwrap_or_default())
}

fn lookup_socket() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    let (login, password) = (&b"iain"[..], SECRET.as_bytes());
    let questions = [
        Question::Login { login, password, service: b"test", remote: b"" },
        Question::Userdb { login },
        Question::Flush,
        Question::Trust,
    ];
    for question in questions {
        let mut frame = Vec::new();
        question.write(&mut frame);
        let answer = raw(&site, "lookup.sock", &frame)?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        ensure(text.is_empty() || text.starts_with("PERM "), format!("the lookup socket says {text}"))?;
        ensure(!text.contains(SECRET), "the lookup socket repeats a password")?;
    }
    for name in ["auth1", "userdb", "flush", "trust"] {
        let key = netstring::list(&[login, password, b"test", b""]);
        let text = String::from_utf8_lossy(&daemon.lookup(name, &key)?).into_owned();
        ensure(text.starts_with("PERM ") && !text.contains(SECRET), format!("{name}: {text}"))?;
    }
    // And no question of the lookup socket is one at the auth socket.
    let mut frame = Vec::new();
    socketmap::write_question(&mut frame, "getpw", b"iain");
    let answer = raw(&site, "auth.sock", &frame)?;
    ensure(!String::from_utf8_lossy(&answer).contains("20001"), "the auth socket answers getpw")?;
    let log = daemon.log();
    ensure(!log.contains("granted") && !log.contains(SECRET), format!("a login at the lookup socket: {log}"))
}

fn auth_socket() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    ensure(matches!(daemon.login("iain", SECRET)?, Reply::Ok(_)), "root logs iain in")?;
    for who in [STRANGER, IAIN, uid(QMAILP)?, uid(QMAILD)?] {
        // The file's mode keeps them out.
        let answer = as_user(who, || Ok(daemon.login("iain", SECRET)));
        ensure(answer?.is_err(), format!("{who} may connect to the auth socket"))?;
    }
    // Were its mode wrong, the daemon would still refuse.
    std::fs::set_permissions(site.socket("auth.sock"), std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    let words = |reply: Reply| match reply {
        Reply::Temporary(why) => Ok(why),
        other => Err(Failed::from(format!("{other:?}"))),
    };
    for who in [STRANGER, IAIN, DAEMON] {
        let right = words(as_user(who, || daemon.login("iain", SECRET))?)?;
        let wrong = words(as_user(who, || daemon.login("iain", "wrong"))?)?;
        let unknown = words(as_user(who, || daemon.login("nobody-here", "wrong"))?)?;
        ensure(right == wrong && wrong == unknown, format!("{who} is told different things"))?;
        words(as_user(who, || daemon.auth(Question::Userdb { login: b"iain" }))?)?;
        if who != DAEMON {
            words(as_user(who, || daemon.auth(Question::Flush))?)?;
            words(as_user(who, || daemon.auth(Question::Trust))?)?;
        }
    }
    logged(&daemon, &[&STRANGER.to_string(), "auth1"])
}

fn auth_group() -> Outcome {
    let group = nix::unistd::Group::from_name("tty")?.ok_or("no group tty")?.gid.as_raw();
    let mut site = Site::sqlite("[daemon]\nauth_group = \"tty\"")?;
    site.groups.push(group);
    let daemon = site.start()?;
    let mode = std::fs::metadata(site.socket("auth.sock"))?;
    equal("group of the auth socket", std::os::unix::fs::MetadataExt::gid(&mode), group)?;
    equal("mode", std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o7777, 0o660)?;
    let member = as_group(group, || daemon.login("iain", SECRET))?;
    ensure(matches!(member, Reply::Ok(_)), format!("a member of the group: {member:?}"))?;
    let flush = as_group(group, || daemon.auth(Question::Flush))?;
    ensure(matches!(flush, Reply::Temporary(_)), format!("a member of the group: {flush:?}"))?;
    let userdb = as_group(group, || daemon.auth(Question::Userdb { login: b"iain" }))?;
    ensure(matches!(userdb, Reply::Temporary(_)), format!("a member of the group: {userdb:?}"))
}

/// As a stranger whose group this is.
fn as_group<T: Send>(group: u32, work: impl FnOnce() -> Result<T, Failed> + Send) -> Result<T, Failed> {
    as_member(STRANGER, group, work)
}
