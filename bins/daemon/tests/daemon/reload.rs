//! HUP.

use crate::site::{NOBODY, Site, as_user};

#[test]
fn a_good_configuration_takes_the_place_of_the_old_one() {
    let site = Site::new("");
    let daemon = site.start();
    let ask = || as_user(NOBODY, &[], || site.ask("mailbox", "bob"));
    assert_eq!(ask(), "TEMP not allowed");
    let mut before = site.connect();
    site.configure("log_level = \"debug\"\n[daemon.allow]\nnobody = [\"mailbox\"]");
    daemon.signal(libc::SIGHUP);
    daemon.wait_for("RELOADING=1");
    daemon.wait_for("READY=1");
    assert_eq!(ask(), "OK bob:801:100:/home/mail/bob");
    assert_eq!(before.ask("mailbox", "bob"), "OK bob:801:100:/home/mail/bob", "a connection from before goes on");
    daemon.logged("the configuration was read again");
    daemon.logged("answered");
}

#[test]
fn a_bad_one_changes_nothing_and_is_named() {
    let site = Site::new("[daemon.allow]\nnobody = [\"mailbox\"]");
    let mut daemon = site.start();
    for bad in ["connections = 1", "nonsense = 1", "[daemon.allow]\nnobody = [\"deliver\"]", "= ="] {
        site.configure(bad);
        daemon.signal(libc::SIGHUP);
        daemon.wait_for("READY=1");
        assert_eq!(as_user(NOBODY, &[], || site.ask("mailbox", "bob")), "OK bob:801:100:/home/mail/bob", "{bad}");
    }
    let line = daemon.logged("cannot be used; the old one stays");
    assert!(line.contains("conf.toml:11:") && line.contains("daemon.connections"), "{line}");
    std::fs::remove_file(site.path("conf.toml")).unwrap();
    daemon.signal(libc::SIGHUP);
    daemon.wait_for("READY=1");
    assert_eq!(site.ask("mailbox", "bob"), "OK bob:801:100:/home/mail/bob");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn what_takes_a_restart_is_said() {
    let site = Site::new("");
    let daemon = site.start();
    let socket = site.path("m");
    site.configure(&format!("metrics = \"unix:{}\"", socket.display()));
    daemon.signal(libc::SIGHUP);
    daemon.wait_for("READY=1");
    daemon.logged("daemon.metrics has changed: that takes a restart");
    assert!(!socket.exists());
}
