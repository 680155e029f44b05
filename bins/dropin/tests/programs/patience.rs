//! A daemon that is being restarted defers nothing and refuses nobody.

use super::daemon::{answering, getpw_answer, getpw_frame, map_frame, playing, read_frame};
use super::site::{Site, code, program};
use qmail_lookup_core::getpw::Winner;
use qmail_lookup_core::wire::socketmap::Reply;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Runs `command` while `meanwhile` happens. Returns its exit code.
fn while_it_asks(mut command: Command, meanwhile: impl FnOnce()) -> i32 {
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "it did not wait");
    meanwhile();
    child.wait().unwrap().code().unwrap()
}

fn getpw(site: &Site) -> Command {
    let mut command = site.command(program("qmail-getpw"));
    command.arg("iain");
    command
}

fn good() -> Vec<u8> {
    getpw_frame(&getpw_answer(Winner::AliasUser))
}

#[test]
fn a_daemon_that_comes_a_second_late_is_asked() {
    let site = Site::new();
    assert_eq!(while_it_asks(getpw(&site), || drop(answering(site.lookup(), good()))), 0);
}

#[test]
fn a_dead_daemons_socket_is_asked_again_when_it_is_replaced() {
    let site = Site::new();
    drop(UnixListener::bind(site.lookup()).unwrap());
    let meanwhile = || {
        let next = site.run.path().join("next.sock");
        answering(&next, good());
        fs::rename(next, site.lookup()).unwrap();
    };
    assert_eq!(while_it_asks(getpw(&site), meanwhile), 0);
}

#[test]
fn a_daemon_that_ends_before_it_answers_is_asked_again() {
    let site = Site::new();
    playing(&site.lookup(), |number, stream| {
        // Not even the question is read, then it is but not answered, then it is.
        if number > 0 {
            read_frame(stream);
        }
        if number > 3 {
            let _ = stream.write_all(&good());
        }
    });
    assert_eq!(getpw(&site).output().unwrap().status.code(), Some(0));
}

#[test]
fn a_daemon_that_ends_in_the_middle_of_its_answer_is_not_asked_again() {
    let site = Site::new();
    playing(&site.lookup(), |number, stream| {
        read_frame(stream);
        let good = good();
        let _ = stream.write_all(if number == 0 { &good[..good.len() - 1] } else { &good });
    });
    assert_eq!(code(&getpw(&site).output().unwrap()), 118);
}

#[test]
fn a_queue_that_becomes_free_in_time_is_waited_for() {
    let site = Site::new();
    let stopped = site.run.path().join("stopped.sock");
    let (listener, waiting) = super::faults::full_queue(&site.lookup());
    let meanwhile = || {
        fs::rename(site.lookup(), stopped).unwrap();
        answering(site.lookup(), good());
    };
    assert_eq!(while_it_asks(getpw(&site), meanwhile), 0);
    drop((listener, waiting));
}

#[test]
fn the_other_programs_wait_as_well() {
    let site = Site::new();
    let mut command = site.command(program("qmail-rcptcheck"));
    command.env("RECIPIENT", "nobody@virtual.com");
    assert_eq!(while_it_asks(command, || drop(answering(site.lookup(), map_frame(Reply::NotFound)))), 100);

    let offered = site.run.path().join("offered");
    fs::write(&offered, "iain\0wrong\0\0").unwrap();
    for name in ["checkpassword", "dovecot-checkpassword"] {
        let _ = fs::remove_file(site.auth());
        let mut command = site.redirected(&format!("3<'{}'", offered.display()), program(name));
        command.arg("true");
        let no = super::daemon::auth_frame(&qmail_lookup_core::wire::auth::Reply::No);
        assert_eq!(while_it_asks(command, || drop(answering(site.auth(), no))), 1, "{name}");
    }
}
