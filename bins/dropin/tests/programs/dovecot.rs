//! dovecot-checkpassword, by the tables of Dovecot's interface.

use super::daemon::{answering, auth_frame, ok_account};
use super::faults;
use super::site::{Site, code, feed, program};
use qmail_lookup_core::wire::auth::{Account, Question, Reply};
use std::path::Path;
use std::process::Output;

const OFFERED: &[u8] = b"Iain\0secret\0\0";
const LOOKUP: &[u8] = b"Iain\0\0\0";

/// Runs it with `variables`; the reply program prints what it was given.
fn run(site: &Site, offered: &[u8], variables: &[(&str, &str)]) -> Output {
    let reply = site.script(
        "reply",
        "echo \"$USER:$HOME:$userdb_uid:$userdb_gid:$EXTRA:${AUTHORIZED-unset}:$ORIG_UID\"; echo four >&4",
    );
    let mut command = site.redirected("3<&0 0</dev/null 4>four", program("dovecot-checkpassword"));
    command.arg(reply).env("ORIG_UID", "106").envs(variables.iter().copied());
    feed(&mut command, offered)
}

fn account(site: &Site) -> Vec<u8> {
    answered_as(site, "iain", Path::new("/home/mail/iain"))
}

fn answered_as(_: &Site, user: &str, home: &Path) -> Vec<u8> {
    ok_account(user, 800, 100, home)
}

fn printed(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap().trim_end()
}

#[test]
fn a_right_password_runs_the_reply_program_as_ourselves() {
    let site = Site::new();
    let seen = answering(site.auth(), account(&site));
    let variables = [("SERVICE", "pop3"), ("TCPREMOTEIP", "192.0.2.7"), ("EXTRA", "userdb_mail userdb_uid")];
    let output = run(&site, OFFERED, &variables);
    let wanted = "iain:/home/mail/iain:800:100:userdb_mail userdb_uid userdb_gid:unset:106";
    assert_eq!((code(&output), printed(&output)), (0, wanted), "{output:?}");
    let asked = Question::Login { login: b"Iain", password: b"secret", service: b"pop3", remote: b"192.0.2.7" };
    assert!(Question::read(&seen.frames()[0]).unwrap() == asked);
    assert_eq!(std::fs::read(site.home.path().join("four")).unwrap(), b"four\n", "descriptor 4 stays open");

    let output = run(&site, OFFERED, &[("AUTH_SERVICE", "imap"), ("AUTH_RIP", "::1"), ("AUTHORIZED", "")]);
    assert_eq!(printed(&output), "iain:/home/mail/iain:800:100:userdb_uid userdb_gid::106");
    let asked = Question::Login { login: b"Iain", password: b"secret", service: b"imap", remote: b"::1" };
    assert!(Question::read(&seen.frames()[1]).unwrap() == asked);
}

#[test]
fn a_lookup_names_no_password_and_says_so() {
    let site = Site::new();
    let seen = answering(site.auth(), account(&site));
    for offered in [LOOKUP, OFFERED] {
        let output = run(&site, offered, &[("AUTHORIZED", "1")]);
        assert_eq!(printed(&output), "iain:/home/mail/iain:800:100:userdb_uid userdb_gid:2:106");
        assert!(Question::read(&seen.frames().pop().unwrap()).unwrap() == Question::Userdb { login: b"Iain" });
    }
}

#[test]
fn codes_by_mode() {
    let replies = [Reply::No, Reply::Stock, Reply::Temporary(b"down".to_vec()), Reply::Done(Vec::new())];
    for (reply, password, lookup) in
        replies.iter().zip([(1, 3), (1, 111), (111, 111), (111, 111)]).map(|(reply, (p, l))| (reply, p, l))
    {
        let site = Site::new();
        answering(site.auth(), auth_frame(reply));
        for (variables, wanted) in [(&[][..], password), (&[("AUTHORIZED", "1")], lookup)] {
            let output = run(&site, OFFERED, variables);
            assert_eq!((code(&output), printed(&output)), (wanted, ""), "{reply:?} {variables:?}");
            assert!(output.stderr.is_empty());
        }
    }
}

#[test]
fn what_is_not_understood_is_temporary_and_asks_nothing() {
    let site = Site::new();
    let seen = answering(site.auth(), account(&site));
    for variables in [
        &[("AUTHORIZED", "2")][..],
        &[("AUTHORIZED", "0")],
        &[("AUTHORIZED", "yes")],
        &[("AUTHORIZED", "1"), ("CREDENTIALS_LOOKUP", "1"), ("SCHEME", "CRYPT")],
        &[("CREDENTIALS_LOOKUP", "1")],
    ] {
        let output = run(&site, OFFERED, variables);
        assert_eq!((code(&output), printed(&output)), (111, ""), "{variables:?}");
    }
    for offered in [&b""[..], b"iain\0secret", &[b'x'; 600]] {
        assert_eq!(code(&run(&site, offered, &[])), 111, "{offered:?}");
    }
    let ours = program("dovecot-checkpassword");
    assert_eq!(code(&site.login(&ours, &[], OFFERED)), 111, "no program");
    assert_eq!(code(&site.redirected("3<&-", &ours).arg("true").output().unwrap()), 111, "no descriptor 3");
    assert!(seen.frames().is_empty());
}

#[test]
fn what_would_break_the_reply_is_temporary() {
    for (user, home) in [("ia\tin", "/home"), ("ia\nin", "/home"), ("iain", "/ho\tme"), ("iain", "/home\nx")] {
        let site = Site::new();
        let account = Account { user: user.into(), uid: 800, gid: 100, home: home.into() };
        answering(site.auth(), auth_frame(&Reply::Ok(account)));
        let output = run(&site, OFFERED, &[]);
        assert_eq!((code(&output), printed(&output)), (111, ""), "{user:?} {home:?}");
    }
}

#[test]
fn the_reply_program_keeps_our_uid_and_gets_default_signals() {
    let site = Site::new();
    answering(site.auth(), account(&site));
    let uid = |output: Output| String::from_utf8(output.stdout).unwrap();
    let ours = std::process::Command::new("id").output().unwrap();
    let output = site.login(program("dovecot-checkpassword"), &["id"], OFFERED);
    assert_eq!(uid(output), uid(ours));
    let script = "grep SigIgn /proc/self/status; ls /proc/self/fd | xargs";
    let output = site.login(program("dovecot-checkpassword"), &["sh", "-c", script], OFFERED);
    let output = uid(output);
    let (signals, descriptors) = output.split_once('\n').unwrap();
    assert!(!super::site::ignores(signals), "{signals}");
    let mut without_ours = site.redirected("0</dev/null 3<&-", "sh");
    assert_eq!(descriptors, uid(without_ours.args(["-c", "ls /proc/self/fd | xargs"]).output().unwrap()));
    let missing = site.login(program("dovecot-checkpassword"), &["/no/such/program"], OFFERED);
    assert_eq!(code(&missing), 111);
}

#[test]
fn whatever_the_daemon_does_wrong_is_temporary() {
    let no = auth_frame(&Reply::No);
    for variables in [&[][..], &[("AUTHORIZED", "1")]] {
        let run = |site: &Site| run(site, OFFERED, variables);
        faults::not_without_a_fault(111, Site::auth, &no, run);
        faults::each_is_temporary(111, Site::auth, &no, &[("NOTFOUND", b"9:NOTFOUND ,".to_vec())], run);
    }
}
