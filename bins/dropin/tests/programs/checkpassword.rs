//! checkpassword: descriptor 3, the question and the exit codes.

use super::daemon::{answering, auth_frame, ok_account};
use super::faults;
use super::site::{Site, code, program};
use qmail_lookup_core::wire::auth::{Question, Reply};
use qmail_lookup_core::wire::netstring;
use std::process::Output;

const OFFERED: &[u8] = b"iain\0secret\0<1.2@host>\0";

fn run(site: &Site) -> Output {
    site.login(program("checkpassword"), &["/bin/sh", "-c", "echo let in"], OFFERED)
}

fn silent(output: &Output) -> i32 {
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    code(output)
}

#[test]
fn each_verdict_has_its_code() {
    let verdicts = [
        (auth_frame(&Reply::No), 1),
        (auth_frame(&Reply::Temporary(b"down".to_vec())), 111),
        (auth_frame(&Reply::Done(b"flushed".to_vec())), 111),
        (auth_frame(&Reply::Stock), 111),
    ];
    for (frame, wanted) in verdicts {
        let site = Site::new();
        answering(site.auth(), frame);
        assert_eq!(silent(&run(&site)), wanted);
    }
}

#[test]
fn whatever_the_daemon_does_wrong_is_temporary() {
    let list = |fields: &[&[u8]]| {
        let mut frame = Vec::new();
        netstring::write(&mut frame, &netstring::list(fields));
        frame
    };
    let bad = [
        ("root", list(&[b"ok", b"root", b"0", b"0", b"/"])),
        ("no gid", list(&[b"ok", b"iain", b"800", b"", b"/"])),
        ("no home", list(&[b"ok", b"iain", b"800", b"100", b""])),
        ("an answer of the lookup socket", b"9:NOTFOUND ,".to_vec()),
        ("no with a reason", list(&[b"no", b"because"])),
        ("NO", list(&[b"NO"])),
    ];
    let no = auth_frame(&Reply::No);
    faults::not_without_a_fault(111, Site::auth, &no, run);
    faults::each_is_temporary(111, Site::auth, &no, &bad, run);
}

#[test]
fn the_daemon_is_asked_for_what_was_offered() {
    let site = Site::new();
    let seen = answering(site.auth(), auth_frame(&Reply::No));
    let longest = [&b"a\0"[..], &[b'p'; 508], b"\0\0"].concat();
    assert_eq!(longest.len(), 512);
    let cases: [(&[u8], &[u8], &[u8]); 5] = [
        (OFFERED, b"iain", b"secret"),
        (b"Iain@Virtual.COM\0\xff p:w,\0\0more\0and more", b"Iain@Virtual.COM", b"\xff p:w,"),
        (b"iain\0\0\0", b"iain", b""),
        (b"\0\0\0", b"", b""),
        (&longest, b"a", &[b'p'; 508]),
    ];
    for (offered, login, password) in cases {
        let output = site.login(program("checkpassword"), &["/usr/bin/qmail-pop3d", "Maildir"], offered);
        assert_eq!(silent(&output), 1);
        let frame = seen.frames().pop().unwrap();
        let wanted = Question::Login { login, password, service: b"qmail-pop3d", remote: b"" };
        assert!(Question::read(&frame).unwrap() == wanted, "{}", String::from_utf8_lossy(&frame));
    }
}

#[test]
fn the_clients_address_is_named_if_it_is_one() {
    let site = Site::new();
    let seen = answering(site.auth(), auth_frame(&Reply::No));
    for (value, wanted) in [
        ("192.0.2.7", &b"192.0.2.7"[..]),
        ("2001:db8::7", b"2001:db8::7"),
        ("fe80::1%eth0", b"fe80::1"),
        ("localhost", b""),
        ("1.2.3.4; evil", b""),
    ] {
        let mut command = site.redirected("3<&0 0</dev/null", program("checkpassword"));
        command.arg("pop3d").env("TCPREMOTEIP", value);
        assert_eq!(code(&super::site::feed(&mut command, OFFERED)), 1);
        let frame = seen.frames().pop().unwrap();
        let asked = Question::read(&frame).unwrap();
        assert!(matches!(asked, Question::Login { service: b"pop3d", remote, .. } if remote == wanted), "{value}");
    }
}

#[test]
fn misuse_is_2_and_asks_nothing() {
    let site = Site::new();
    let seen = answering(site.auth(), auth_frame(&Reply::No));
    let ours = program("checkpassword");
    let too_long = [&b"a\0"[..], &[b'p'; 509], b"\0\0"].concat();
    for offered in [&b""[..], b"iain", b"iain\0secret", b"iain\0secret\0", b"iain\0secret\0stamp", &too_long] {
        assert_eq!(silent(&site.login(&ours, &["true"], offered)), 2, "{offered:?}");
    }
    assert_eq!(silent(&site.login(&ours, &[], OFFERED)), 2, "no program");
    let closed = site.redirected("3<&-", &ours).arg("true").output().unwrap();
    assert_eq!(silent(&closed), 2, "descriptor 3 is closed");
    let unreadable = site.redirected("3</", &ours).arg("true").output().unwrap();
    assert_eq!(silent(&unreadable), 111, "descriptor 3 is a directory");
    assert!(seen.frames().is_empty());
}

#[test]
fn authorized_means_nothing_here() {
    let site = Site::new();
    let seen = answering(site.auth(), auth_frame(&Reply::No));
    let mut command = site.redirected("3<&0 0</dev/null", program("checkpassword"));
    command.arg("true").env("AUTHORIZED", "1");
    assert_eq!(code(&super::site::feed(&mut command, OFFERED)), 1);
    assert!(matches!(Question::read(&seen.frames()[0]).unwrap(), Question::Login { password: b"secret", .. }));
}

#[test]
fn closed_standard_descriptors_change_nothing() {
    let site = Site::new();
    answering(site.auth(), auth_frame(&Reply::No));
    for redirections in ["3<&0 0<&-", "3<&0 1>&-", "3<&0 2>&-", "3<&0 0<&- 1>&- 2>&-"] {
        let mut command = site.redirected(redirections, program("checkpassword"));
        assert_eq!(code(&super::site::feed(command.arg("true"), OFFERED)), 1, "{redirections}");
    }
}

#[test]
fn whose_home_is_not_in_order_is_not_let_in() {
    let site = Site::new();
    let (home, uid, gid) = site.user_home("iain");
    std::fs::write(home.join("file"), "").unwrap();
    let root = super::site::root_or_skip("homes with another owner");
    let mut cases = vec![ok_account("iain", uid, gid, &home.join("missing")), ok_account("iain", uid + 1, gid, &home)];
    cases.push(ok_account("iain", uid, gid + 1, &home));
    if root {
        let owned = |path: &std::path::Path| std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
        owned(&home.join("file"));
        cases.push(ok_account("iain", uid, gid, &home.join("file")));
    }
    for frame in cases {
        let _ = std::fs::remove_file(site.auth());
        answering(site.auth(), frame);
        assert_eq!(silent(&run(&site)), 111);
    }
}
