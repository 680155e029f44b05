//! The auth socket and the CVM sockets, as far as they are connections: what decides a login is tested with it.

use crate::site::{Client, NOBODY, PASSWORD, Site, as_user};
use qmail_lookup_core::wire::{auth::Question, netstring};
use std::io::Read;
use std::path::Path;

fn ask(path: &Path, question: Question<'_>) -> Vec<String> {
    let mut client = Client::to(path);
    let mut out = Vec::new();
    question.write(&mut out);
    client.send(&out);
    let said = client.frame().unwrap();
    assert_eq!(client.frame(), None, "one question per connection");
    netstring::fields(&said).unwrap().iter().map(|field| String::from_utf8(field.to_vec()).unwrap()).collect()
}

pub(crate) fn login(path: &Path, login: &str, password: &str) -> Vec<String> {
    let (login, password) = (login.as_bytes(), password.as_bytes());
    ask(path, Question::Login { login, password, service: b"pop3", remote: b"192.0.2.1" })
}

#[test]
fn logins_and_users() {
    let site = Site::new("");
    let daemon = site.start();
    let socket = site.path("a");
    assert_eq!(login(&socket, "iain", PASSWORD), ["ok", "iain", "800", "100", "/home/mail/iain"]);
    assert_eq!(login(&socket, "iain", "wrong"), ["no"]);
    assert_eq!(login(&socket, "sleepy", PASSWORD), ["no"]);
    assert_eq!(login(&socket, "nosuch", PASSWORD), ["no"]);
    assert_eq!(ask(&socket, Question::Userdb { login: b"bob" }), ["ok", "bob", "801", "100", "/home/mail/bob"]);
    assert_eq!(ask(&socket, Question::Userdb { login: b"nosuch" }), ["no"]);
    assert_eq!(login(&socket, "rootish", PASSWORD)[0], "temporary");
    let log = daemon.log();
    assert!(log.contains("login granted") && log.contains("login refused"), "{log}");
    assert!(!log.contains(PASSWORD) && !log.contains("nosuch"), "{log}");
}

#[test]
fn a_store_that_is_away_refuses_nobody() {
    let site = Site::new("auth_group = \"nogroup\"");
    let _daemon = site.start();
    std::fs::rename(site.path("mail.db"), site.path("away.db")).unwrap();
    let said = login(&site.path("a"), "iain", PASSWORD);
    assert!(said[0] == "temporary" && said[1].contains("mail.db"), "{said:?}");
    let generic = ["temporary", "try again later; see the log of qmail-lookupd"];
    assert_eq!(as_user(4242, &[65534], || login(&site.path("a"), "iain", PASSWORD)), generic);
    std::fs::rename(site.path("away.db"), site.path("mail.db")).unwrap();
    assert_eq!(login(&site.path("a"), "iain", PASSWORD)[0], "ok");
}

#[test]
fn users_and_management_have_rights_of_their_own() {
    let site = Site::new("auth_group = \"nogroup\"\n[daemon.allow]\nnobody = [\"userdb\"]\n[cache]\nttl = \"60s\"");
    let _daemon = site.start();
    let socket = site.path("a");
    assert_eq!(as_user(NOBODY, &[], || ask(&socket, Question::Userdb { login: b"bob" }))[0], "ok");
    let refused = ["temporary", "not allowed"];
    assert_eq!(as_user(4242, &[65534], || ask(&socket, Question::Userdb { login: b"bob" })), refused);
    assert_eq!(as_user(NOBODY, &[], || ask(&socket, Question::Flush)), refused);
    assert_eq!(as_user(NOBODY, &[], || ask(&socket, Question::Trust)), refused);
    assert_eq!(ask(&socket, Question::Flush), ["done", "the cache was emptied"]);
    assert_eq!(ask(&socket, Question::Trust), ["done", "the stores were believed anyway"]);
}

#[test]
fn flush_lets_an_edit_be_seen() {
    let site = Site::new("[cache]\nttl = \"600s\"");
    let _daemon = site.start();
    assert_eq!(site.ask("mailbox", "bob"), "OK bob:801:100:/home/mail/bob");
    let store = rusqlite::Connection::open(site.path("mail.db")).unwrap();
    store.execute_batch("update mailbox set home = '/new' where username = 'bob'").unwrap();
    assert_eq!(site.ask("mailbox", "bob"), "OK bob:801:100:/home/mail/bob");
    ask(&site.path("a"), Question::Flush);
    assert_eq!(site.ask("mailbox", "bob"), "OK bob:801:100:/new");
}

#[test]
fn what_is_no_question_is_answered_with_nothing_or_temporary() {
    let site = Site::new("");
    let _daemon = site.start();
    let mut client = Client::to(&site.path("a"));
    client.send(b"hello");
    assert_eq!(client.frame(), None);
    let mut client = Client::to(&site.path("a"));
    client.send(b"10:4:what,0:,,");
    assert!(client.frame().unwrap().starts_with(b"9:temporary,"));
    // Two frames at once.
    let mut client = Client::to(&site.path("a"));
    client.send(b"8:5:flush,,8:5:flush,,");
    assert_eq!(client.frame(), None);
}

#[test]
fn cvm_is_answered_on_separate_sockets() {
    let folder = Site::new("");
    let (lookup, auth) = (folder.path("cl"), folder.path("ca"));
    folder.configure(&format!(
        "cvm_lookup_socket = \"{}\"\ncvm_auth_socket = \"{}\"",
        lookup.display(),
        auth.display()
    ));
    let _daemon = folder.start();
    let ask = |path: &Path, request: &[u8]| {
        let mut client = Client::to(path);
        client.send(request);
        let mut said = Vec::new();
        client.stream.read_to_end(&mut said).unwrap();
        said
    };
    let request = b"\x02\x00\x01\x04iain\x02\x0cvirtual.test\x04\x00\x00";
    let said = ask(&lookup, request);
    assert_eq!(said[..8], *b"\x00\x00\x01\x04iain");
    assert_eq!(ask(&auth, request)[0], 100, "a lookup is no login");
    assert_eq!(ask(&lookup, b"\x02\x00\x01\x06nosuch\x02\x0cvirtual.test\x04\x00\x00")[0], 100);
    assert_eq!(ask(&auth, b"\x02\x00\x01\x04iain\x03\x0dcanary-secret\x00")[..8], *b"\x00\x00\x01\x04iain");
    assert_eq!(ask(&auth, b"\x02\x00\x01\x04iain\x03\x05wrong\x00")[0], 100);
    assert_eq!(ask(&auth, b"\x01garbage\x00")[0], 2);
    let asked_by_nobody = as_user(NOBODY, &[], || ask(&lookup, request));
    assert_eq!(asked_by_nobody, [1, 0, 0], "not allowed is temporary");
}
