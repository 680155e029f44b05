//! What each question of the lookup socket is answered.

use crate::site::Site;
use qmail_lookup_core::getpw::Winner;
use qmail_lookup_core::rules::{Deliver, Delivery};
use qmail_lookup_core::wire::{self, socketmap};
use std::io::Write;

#[test]
fn getpw_names_the_mailbox_and_the_alias_user() {
    let site = Site::new("");
    let _daemon = site.start();
    let getpw = |local: &str| {
        let said = site.ask("getpw", local);
        wire::getpw::decode(said.strip_prefix("OK ").expect(&said).as_bytes()).unwrap()
    };
    let found = getpw("iain-Work");
    let alias = found.alias.unwrap();
    assert_eq!((&alias.user[..], alias.uid, &alias.ext[..]), (&b"nobody"[..], 65534, &b"iain-Work"[..]));
    let Winner::Mailbox(fields) = found.winner else { panic!("no mailbox") };
    assert_eq!(
        (&fields.user[..], fields.uid, &fields.dash[..], &fields.ext[..]),
        (&b"iain"[..], 800, &b"-"[..], &b"Work"[..])
    );
    assert_eq!(getpw("nosuch").winner, Winner::Stock(b"nosuch".to_vec()));
    assert!(matches!(getpw("=virtual.test=-BOB").winner, Winner::Mailbox(fields) if fields.user == b"bob"));
    assert_eq!(getpw("=virtual.test=-nosuch").winner, Winner::AliasUser);
    let said = site.ask("getpw", "rootish");
    assert!(said.starts_with("TEMP data: misconfiguration (rule K3)"), "{said}");
}

#[test]
fn a_thousand_questions_at_once_are_answered_in_their_order() {
    let site = Site::new("");
    let _daemon = site.start();
    let mut client = site.connect();
    let mut sent = Vec::new();
    for n in 0..1000 {
        socketmap::write_question(&mut sent, "getpw", format!("bob-{n}").as_bytes());
        if n % 100 == 7 {
            socketmap::write_question(&mut sent, "nosuch", b"");
        }
    }
    let mut writer = client.stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    for n in 0..1000 {
        let said = client.frame().unwrap();
        let answer = wire::getpw::decode(said.strip_prefix(b"OK ").unwrap()).unwrap();
        assert!(matches!(answer.winner, Winner::Mailbox(fields) if fields.ext == n.to_string().as_bytes()), "{n}");
        if n % 100 == 7 {
            assert!(client.frame().unwrap().starts_with(b"PERM "));
        }
    }
    writing.join().unwrap();
}

#[test]
fn hosts_recipients_and_virtual_addresses() {
    let site = Site::new("");
    let _daemon = site.start();
    for (name, key, expected) in [
        ("rcpthosts", "Virtual.TEST", "OK virtual.test"),
        ("rcpthosts", "a.wild.test", "OK .wild.test"),
        ("rcpthosts", "other.test", "NOTFOUND "),
        ("recipient", "iain@virtual.test", "OK possible"),
        ("recipient", "nosuch@virtual.test", "NOTFOUND "),
        ("recipient", "nosuch@local.test", "OK possible"),
        ("recipient", "x@elsewhere.test", "OK not-ours"),
        ("virtual", "work@virtual.test", "OK iain-work"),
        ("virtual", "bob@virtual.test", "OK bob"),
        ("virtual", "nosuch@virtual.test", "NOTFOUND "),
        ("mailbox", "Iain", "OK iain:800:100:/home/mail/iain"),
        ("mailbox", "nosuch", "NOTFOUND "),
        ("skipped", "bob the home directory does not exist", "OK "),
        ("nosuch", "x", "PERM no question is called nosuch"),
        ("", "x", "PERM a question without a name"),
    ] {
        assert_eq!(site.ask(name, key), expected, "{name} {key}");
    }
}

#[test]
fn postfix_is_told_what_its_maps_can_hold() {
    let site = Site::new("");
    let _daemon = site.start();
    for (name, key, expected) in [
        ("virtual_mailbox", "iain@virtual.test", "OK /home/mail/iain/Maildir/"),
        ("virtual_mailbox", "bob@virtual.test", "OK /home/mail/bob/Maildir/"),
        ("virtual_mailbox", "mixed@virtual.test", "OK /home/mail/iain/Copy/"),
        ("virtual_mailbox", "work@virtual.test", "NOTFOUND "),
        ("virtual_mailbox", "nosuch@virtual.test", "NOTFOUND "),
        ("virtual_alias", "work@virtual.test", "OK iain@work.test"),
        ("virtual_alias", "mixed@virtual.test", "OK a@b.test,mixed@virtual.test"),
        ("virtual_alias", "iain@virtual.test", "NOTFOUND "),
        ("virtual_uid", "bob@virtual.test", "OK 801"),
        ("virtual_gid", "bob@virtual.test", "OK 100"),
        ("virtual_gid", "x@elsewhere.test", "NOTFOUND "),
    ] {
        assert_eq!(site.ask(name, key), expected, "{name} {key}");
    }
    let said = site.ask("virtual_mailbox", "nosuch@local.test");
    assert!(said.starts_with("TEMP ") && said.contains("files decide"), "{said}");
    let said = site.ask("virtual_mailbox", "prog@virtual.test");
    assert!(said.starts_with("TEMP ") && said.contains("program"), "{said}");
    let said = site.ask("virtual_mailbox", "odd@virtual.test");
    assert!(said.starts_with("TEMP data: misconfiguration (rule A2)"), "{said}");
}

#[test]
fn locals_are_read_again_while_it_runs() {
    let site = Site::new("");
    let _daemon = site.start();
    assert_eq!(site.ask("recipient", "nosuch@virtual.test"), "NOTFOUND ");
    std::fs::write(site.path("qmail/control/locals"), "local.test\nvirtual.test\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(site.ask("recipient", "nosuch@virtual.test"), "OK possible");
}

#[test]
fn the_administrators_line_in_virtualdomains_wins() {
    let site = Site::new("");
    std::fs::write(site.path("qmail/control/virtualdomains"), "nosuch@virtual.test:shop\nby.test:bob\n").unwrap();
    let _daemon = site.start();
    for (address, expected) in [
        ("nosuch@virtual.test", "OK possible"),
        ("nosuch2@virtual.test", "NOTFOUND "),
        ("x@by.test", "OK possible"),
        ("x@elsewhere.test", "OK not-ours"),
    ] {
        assert_eq!(site.ask("recipient", address), expected, "{address}");
    }
    assert_eq!(site.ask("virtual_mailbox", "x@by.test"), "OK /home/mail/bob/Maildir/");
}

#[test]
fn control_files_that_hang_are_temporary_and_nobody_else_waits() {
    let site = Site::new("");
    let text = std::fs::read_to_string(site.path("conf.toml")).unwrap();
    std::fs::write(site.path("conf.toml"), text.replacen("[store]\n", "[store]\ndeadline = \"1s\"\n", 1)).unwrap();
    let mut daemon = site.start();
    assert!(site.ask("getpw", "iain").starts_with("OK "));
    let threads = || std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().count();
    let before = threads();
    let path = site.path("qmail/control/virtualdomains");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut clients: Vec<_> = (0..20).map(|_| site.connect()).collect();
    let mut question = Vec::new();
    socketmap::write_question(&mut question, "recipient", b"iain@virtual.test");
    clients.iter_mut().for_each(|client| client.send(&question));
    assert!(site.ask("getpw", "iain").starts_with("OK "));
    for client in &mut clients {
        let said = String::from_utf8(client.frame().unwrap()).unwrap();
        assert!(said.starts_with("TIMEOUT "), "{said}");
    }
    assert!(threads() < before + 10, "{} threads, {before} before", threads());
    assert_eq!(daemon.stop(), Some(0), "and it ends");
}

/// The key of a question for the delivery of `user` and `ext`.
pub(crate) fn deliver(user: &str, ext: &str) -> Vec<u8> {
    let local = if ext.is_empty() { user.to_owned() } else { format!("{user}-{ext}") };
    wire::deliver::encode_question(&Deliver {
        user: user.into(),
        local: local.into_bytes(),
        dash: if ext.is_empty() { b"".to_vec() } else { b"-".to_vec() },
        ext: ext.into(),
        domain: b"local.test".to_vec(),
        system_home: None,
        is_local: false,
    })
}

#[test]
fn deliver_gives_instructions_or_leaves_it_to_files() {
    let site = Site::new("");
    let _daemon = site.start();
    let said = |user: &str, ext: &str| site.ask("deliver", deliver(user, ext));
    let decoded = |said: String| wire::deliver::decode(said.strip_prefix("OK ").expect(&said).as_bytes()).unwrap();
    assert!(matches!(decoded(said("iain", "work")), Delivery::Rows { instructions, .. } if instructions.len() == 1));
    assert!(matches!(decoded(said("bob", "x")), Delivery::Files { .. }));
    assert!(matches!(decoded(said("nobody", "nosuch")), Delivery::Files { .. }));
    assert!(said("iain", "bogus").starts_with("TEMP data: misconfiguration (rule A2)"));
    assert!(site.ask("deliver", "iain").starts_with("PERM "));
}

#[test]
fn odd_frames_end_the_connection_and_long_ones_are_not_waited_for() {
    let site = Site::new("");
    let _daemon = site.start();
    for bad in [&b"hello"[..], b"99999:", b"5:getpwX", b"0000000"] {
        let mut client = site.connect();
        client.send(bad);
        assert!(client.frame().unwrap().starts_with(b"PERM "), "{bad:?}");
        assert_eq!(client.frame(), None);
    }
    let mut client = site.connect();
    let longest = vec![b'x'; 8192 - 6];
    assert!(client.ask("getpw", longest).starts_with("OK "), "a local part that can be no key is the stock program's");
}

#[test]
fn skipped_mailboxes_are_logged_without_breaking_the_line() {
    let site = Site::new("");
    let daemon = site.start();
    site.ask("skipped", "bob\n the home\ndirectory");
    let line = daemon.logged("passed a mailbox over");
    assert!(line.contains("bob\\x0a") && line.contains("home\\x0adirectory"), "{line}");
}
