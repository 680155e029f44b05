//! Nobody keeps the daemon from others, nor makes it large.

use crate::site::{Client, LONG, NOBODY, Site, as_user};
use std::io::{ErrorKind, Write};
use std::time::Instant;

#[test]
fn one_user_has_its_share_and_is_told_at_once() {
    let site = Site::new("connections_per_uid = 3\n[daemon.allow]\nnobody = [\"mailbox\"]");
    let daemon = site.start();
    as_user(NOBODY, &[], || {
        let mut held: Vec<Client> = (0..3).map(|_| site.connect()).collect();
        for client in &mut held {
            assert!(client.ask("mailbox", "bob").starts_with("OK "));
        }
        let mut one_too_many = site.connect();
        let said = String::from_utf8(one_too_many.frame().unwrap()).unwrap();
        assert_eq!(said, "TEMP too many connections of this user");
        assert_eq!(one_too_many.frame(), None);
        held.pop();
        let begun = Instant::now();
        while !site_answers(&site) {
            assert!(begun.elapsed() < LONG, "its place is free again");
        }
    });
    assert!(daemon.logged("too many connections of this user").contains("uid=65534"));
}

/// Whether a further connection is served; without a word if it was closed before it could ask.
fn site_answers(site: &Site) -> bool {
    let mut client = site.connect();
    let _ = client.stream.write_all(b"11:mailbox bob,");
    client.frame().is_some_and(|said| said.starts_with(b"OK "))
}

#[test]
fn many_connections_of_one_user_keep_nobody_waiting() {
    let site = Site::new("");
    let _daemon = site.start();
    let held = as_user(NOBODY, &[], || (0..500).map(|_| site.connect()).collect::<Vec<_>>());
    let begun = Instant::now();
    assert_eq!(site.ask("mailbox", "bob"), "OK bob:801:100:/home/mail/bob");
    assert!(begun.elapsed() < LONG / 10);
    drop(held);
}

#[test]
fn half_a_frame_is_not_waited_for() {
    let site = Site::new("");
    let _daemon = site.start();
    for (socket, half) in [("l", &b"15:getpw "[..]), ("a", b"30:5:au")] {
        let mut client = Client::to(&site.path(socket));
        let begun = Instant::now();
        client.send(half);
        assert_eq!(client.frame(), None);
        assert!(begun.elapsed().as_millis() >= 1500 && begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    }
}

#[test]
fn who_takes_no_reply_is_cut_off() {
    let site = Site::new("");
    let _daemon = site.start();
    let mut client = site.connect();
    let frames = b"11:mailbox bob,".repeat(1000);
    let begun = Instant::now();
    let error = loop {
        if let Err(error) = client.stream.write_all(&frames) {
            break error;
        }
        assert!(begun.elapsed() < LONG);
    };
    assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
    assert_eq!(site.ask("mailbox", "bob"), "OK bob:801:100:/home/mail/bob");
}

#[test]
fn a_burst_leaves_no_memory_behind() {
    let site = Site::new("");
    let daemon = site.start();
    let resident = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let round = || {
        let mut clients: Vec<_> = (0..300).map(|_| site.connect()).collect();
        for client in &mut clients {
            assert!(client.ask("getpw", vec![b'x'; 8000]).starts_with("OK "));
        }
        resident()
    };
    let first = round();
    let last = (0..4).map(|_| round()).max().unwrap();
    assert!(last < first + 8 * 1024, "{first} kB, then {last} kB");
}
