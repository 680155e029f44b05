//! qmail-rcptcheck.

use super::daemon::{answering, map_frame};
use super::faults;
use super::site::{Site, code, program};
use qmail_lookup_core::wire::socketmap::Reply;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

fn run(site: &Site) -> Output {
    site.command(program("qmail-rcptcheck")).env("RECIPIENT", "iain@virtual.com").output().unwrap()
}

#[test]
fn found_is_0_and_absent_is_100() {
    for (reply, wanted) in [(Reply::Ok(b""), 0), (Reply::Ok(b"some data"), 0), (Reply::NotFound, 100)] {
        let site = Site::new();
        let seen = answering(site.lookup(), map_frame(reply));
        let output = run(&site);
        assert_eq!(code(&output), wanted, "{reply:?}");
        assert!(output.stdout.is_empty() && output.stderr.is_empty());
        assert_eq!(seen.wait_for(1), [b"recipient iain@virtual.com"]);
    }
}

#[test]
fn addresses_are_asked_as_they_are() {
    let site = Site::new();
    let seen = answering(site.lookup(), map_frame(Reply::Ok(b"")));
    for address in [&b"IAIN@Virtual.COM"[..], b"no-host", b"", b"a b\"@\xff.test"] {
        let mut command = site.command(program("qmail-rcptcheck"));
        command.env("RECIPIENT", OsStr::from_bytes(address)).env("SENDER", "x@y");
        assert_eq!(code(&command.output().unwrap()), 0, "{address:?}");
        assert_eq!(seen.frames().last().unwrap(), &[b"recipient ", address].concat());
    }
}

#[test]
fn no_recipient_and_one_that_is_too_long_are_temporary() {
    let site = Site::new();
    let seen = answering(site.lookup(), map_frame(Reply::NotFound));
    let mut without = site.command(program("qmail-rcptcheck"));
    assert_eq!(code(&without.env_remove("RECIPIENT").output().unwrap()), 111);
    let mut long = site.command(program("qmail-rcptcheck"));
    assert_eq!(code(&long.env("RECIPIENT", "x".repeat(8177)).output().unwrap()), 111);
    assert!(seen.frames().is_empty());
}

#[test]
fn whatever_the_daemon_does_wrong_is_temporary() {
    let bad = [
        ("TEMP", map_frame(Reply::Temp(b"down"))),
        ("TIMEOUT", map_frame(Reply::Timeout(b"slow"))),
        ("PERM", map_frame(Reply::Perm(b"no"))),
        ("NOTFOUND with something behind it", b"11:NOTFOUND x!,".to_vec()),
        ("NOTFOUND without its space", b"8:NOTFOUND,".to_vec()),
        ("an unknown word", b"8:MAYBE xx,".to_vec()),
    ];
    for good in [map_frame(Reply::Ok(b"x")), map_frame(Reply::NotFound)] {
        faults::not_without_a_fault(111, Site::lookup, &good, run);
        faults::each_is_temporary(111, Site::lookup, &good, &bad, run);
    }
}
