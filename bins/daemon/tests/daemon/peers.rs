//! Who may ask what.

use crate::questions::deliver;
use crate::site::{Client, NOBODY, Site, as_user};
use std::os::unix::fs::MetadataExt;

#[test]
fn who_has_no_right_is_deferred_and_named_in_the_log() {
    let site = Site::new("[daemon.allow]\nnobody = [\"mailbox\"]");
    let daemon = site.start();
    let as_nobody = |name: &str, key: &str| as_user(NOBODY, &[], || site.ask(name, key));
    assert_eq!(as_nobody("mailbox", "bob"), "OK bob:801:100:/home/mail/bob");
    for name in ["getpw", "skipped", "rcpthosts", "recipient", "virtual", "virtual_mailbox", "virtual_uid"] {
        assert_eq!(as_nobody(name, "bob"), "TEMP not allowed", "{name}");
    }
    let line = daemon.logged("a question that is not allowed");
    assert!(line.contains("uid=65534") && line.contains("question=\"getpw\"") && line.contains("pid="), "{line}");
    assert_eq!(as_user(4242, &[], || site.ask("mailbox", "bob")), "TEMP not allowed");
}

#[test]
fn only_root_is_told_what_an_error_names() {
    let site = Site::new("[daemon.allow]\nnobody = [\"mailbox\"]");
    let daemon = site.start();
    let said = as_user(NOBODY, &[], || site.ask("mailbox", "rootish"));
    assert_eq!(said, "TEMP try again later; see the log of qmail-lookupd");
    daemon.logged("misconfiguration (rule K3)");
    std::fs::rename(site.path("mail.db"), site.path("away.db")).unwrap();
    assert!(site.ask("mailbox", "bob").starts_with("TEMP sqlite "));
    assert_eq!(as_user(NOBODY, &[], || site.ask("mailbox", "bob")), said);
}

#[test]
fn delivery_is_told_to_its_own_user_and_others_learn_nothing() {
    let site = Site::new("");
    let daemon = site.start();
    let ask = |uid: u32, user: &str, ext: &str| as_user(uid, &[], || site.ask("deliver", deliver(user, ext)));
    assert!(ask(800, "iain", "work").starts_with("OK "));
    assert!(ask(NOBODY, "nobody", "x").starts_with("OK "), "the alias user");
    let refused = ask(801, "iain", "work");
    assert_eq!(refused, "TEMP try again later; see the log of qmail-lookupd");
    // Rows, none, a misconfigured row, no such user, a bad mailbox row: all the same.
    for (user, ext) in
        [("iain", ""), ("iain", "nosuch"), ("iain", "bogus"), ("nosuch", ""), ("rootish", ""), ("root", "")]
    {
        assert_eq!(ask(801, user, ext), refused, "{user} {ext}");
    }
    assert_eq!(ask(800, "iain", "bogus"), refused);
    let line = daemon.logged("a question that is not allowed");
    assert!(line.contains("uid=801") && line.contains("question=\"deliver\""), "{line}");
    daemon.logged("rule A2");
    let errors = daemon.log().lines().filter(|line| line.contains("rule A2")).count();
    assert_eq!(errors, 1, "logged for its own user only: {}", daemon.log());
}

#[test]
fn the_sockets_for_logins_are_for_root_and_one_group() {
    let site = Site::new("auth_group = \"nogroup\"");
    let daemon = site.start();
    let file = std::fs::metadata(site.path("a")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.gid()), (0o660, 65534));
    let connect =
        |groups: &[u32]| as_user(4242, groups, || std::os::unix::net::UnixStream::connect(site.path("a")).is_ok());
    assert!(connect(&[65534]) && connect(&[7, 65534]) && !connect(&[7]));
    // Also whoever came by the file's mode is asked for the group.
    let login = |groups: &[u32]| as_user(4242, groups, || crate::logins::login(&site.path("a"), "iain", "wrong"));
    assert_eq!(login(&[7, 65534]), ["no"]);
    std::fs::set_permissions(site.path("a"), std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(login(&[7]), ["temporary", "not allowed"]);
    let line = daemon.logged("a question that is not allowed");
    assert!(line.contains("auth1") && line.contains("uid=4242"), "{line}");
    let many: Vec<u32> = (1000..1200).chain([65534]).collect();
    assert_eq!(login(&many), ["no"], "a process of many groups");
    let _ = Client::to(&site.path("l"));
}
