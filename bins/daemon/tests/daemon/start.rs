//! Start, lock, files, end.

use crate::site::{Client, LONG, PASSWORD, Site, program};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn output(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.stderr(Stdio::piped()).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn it_is_ready_when_it_says_so_and_ends_when_it_is_told_to() {
    let site = Site::new("");
    let mut daemon = site.start();
    let mode = |name: &str| std::fs::metadata(site.path(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("l"), mode("a"), mode("l.lock")), (0o666, 0o600, 0o600));
    assert_eq!(site.ask("rcpthosts", "virtual.test"), "OK virtual.test");
    let mut idle = site.connect();
    assert_eq!(daemon.stop(), Some(0));
    daemon.wait_for("STOPPING=1");
    assert_eq!(idle.frame(), None);
    assert!(!site.path("l").exists() && !site.path("a").exists());
    assert!(site.path("l.lock").exists(), "whoever unlinks it lets a second one in");
}

#[test]
fn a_second_one_is_told_who_runs_and_changes_nothing() {
    let site = Site::new("");
    let daemon = site.start();
    let (code, said) = output(&mut site.command());
    assert_eq!(code, Some(111));
    let expected = format!("another qmail-lookupd (process {}) is running: it holds ", daemon.pid());
    assert!(said.contains(&expected), "{said}");
    assert_eq!(site.ask("rcpthosts", "virtual.test"), "OK virtual.test");
}

#[test]
fn what_a_killed_one_left_is_replaced() {
    let site = Site::new("");
    let mut first = site.start();
    first.signal(libc::SIGKILL);
    first.ended();
    assert!(site.path("l").exists());
    let mut second = site.start();
    assert_eq!(site.ask("rcpthosts", "virtual.test"), "OK virtual.test");
    assert_eq!(second.stop(), Some(0));
}

#[test]
fn the_file_of_another_is_not_removed() {
    let site = Site::new("");
    let mut daemon = site.start();
    std::fs::remove_file(site.path("l")).unwrap();
    let _other = UnixListener::bind(site.path("l")).unwrap();
    assert_eq!(daemon.stop(), Some(0));
    assert!(site.path("l").exists() && !site.path("a").exists());
}

#[test]
fn a_question_in_flight_is_answered_before_the_end() {
    let site = Site::new("");
    let mut daemon = site.start();
    let blocker = rusqlite::Connection::open(site.path("mail.db")).unwrap();
    blocker.execute_batch("begin exclusive").unwrap();
    let mut client = site.connect();
    client.send(b"22:rcpthosts virtual.test,");
    // It has the question, and waits for the store.
    std::thread::sleep(Duration::from_millis(300));
    daemon.signal(libc::SIGTERM);
    daemon.wait_for("STOPPING=1");
    blocker.execute_batch("rollback").unwrap();
    assert_eq!(client.frame().as_deref(), Some(&b"OK virtual.test"[..]));
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn a_store_that_hangs_does_not_keep_it() {
    let site = Site::new("");
    let mut daemon = site.start();
    let blocker = rusqlite::Connection::open(site.path("mail.db")).unwrap();
    blocker.execute_batch("begin exclusive").unwrap();
    let mut client = site.connect();
    client.send(b"22:rcpthosts virtual.test,");
    let begun = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    assert!(begun.elapsed() < LONG / 2);
    let told = client.frame();
    assert!(told.as_ref().is_none_or(|said| said.starts_with(b"TIMEOUT ")), "{told:?}");
}

#[test]
fn a_store_that_hangs_is_a_timeout_and_never_an_answer() {
    let site = Site::new("");
    let text = std::fs::read_to_string(site.path("conf.toml")).unwrap();
    std::fs::write(site.path("conf.toml"), text.replace("canary", "deadline = \"500ms\"\ncanary")).unwrap();
    let _daemon = site.start();
    let blocker = rusqlite::Connection::open(site.path("mail.db")).unwrap();
    blocker.execute_batch("begin exclusive").unwrap();
    for name in ["rcpthosts", "getpw", "mailbox", "virtual", "recipient", "virtual_uid"] {
        let said = site.ask(name, "nosuch@virtual.test");
        assert!(said.starts_with("TIMEOUT ") || said.starts_with("TEMP "), "{name}: {said}");
    }
    blocker.execute_batch("rollback").unwrap();
    assert_eq!(site.ask("recipient", "nosuch@virtual.test"), "NOTFOUND ");
}

#[test]
fn what_may_pass_is_111_and_what_may_not_is_100() {
    let site = Site::new("");
    let away = site.path("away/l");
    let text = std::fs::read_to_string(site.path("conf.toml")).unwrap();
    let moved = text.replace(site.path("l").to_str().unwrap(), away.to_str().unwrap());
    std::fs::write(site.path("conf.toml"), moved).unwrap();
    let (code, said) = output(&mut site.command());
    assert_eq!(code, Some(111), "{said}");
    assert!(said.contains("away/l"), "{said}");
    std::fs::write(site.path("conf.toml"), text.replace("canary", "canarie")).unwrap();
    let (code, said) = output(&mut site.command());
    assert_eq!(code, Some(100));
    assert!(said.contains("conf.toml:5:") && said.contains("canary"), "{said}");
    let (code, said) = output(program().args(["--store", &format!("mysql://u:{PASSWORD}@localhost/db")]));
    assert_eq!(code, Some(100));
    assert!(!said.contains(PASSWORD), "{said}");
    assert_eq!(output(program().arg("--nosuch")).0, Some(100));
    assert_eq!(output(program().arg("--help").stdout(Stdio::null())).0, Some(0));
}

#[test]
fn check_reads_and_judges_and_listens_to_nothing() {
    let site = Site::new("[daemon.allow]\nno-such-user-here = [\"getpw\"]");
    let (code, said) = output(site.command().arg("--check"));
    assert_eq!(code, Some(0));
    assert!(said.contains("no user no-such-user-here") && said.contains("can be used"), "{said}");
    assert!(!site.path("l").exists() && !site.path("l.lock").exists());
}

#[test]
fn nobody_can_read_its_memory_not_even_its_own_user() {
    let site = Site::new("");
    std::fs::set_permissions(site.path(""), std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::set_permissions(site.path("conf.toml"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = site.command();
    command.uid(12345).gid(12345);
    let daemon = site.start_with(command);
    let owner = |file: &str| std::fs::metadata(format!("/proc/{}/{file}", daemon.pid())).unwrap().uid();
    assert_eq!((owner("environ"), owner("maps")), (0, 0), "the kernel gives them to root if it is not dumpable");
    assert_eq!(Client::to(&site.path("l")).ask("rcpthosts", "virtual.test"), "OK virtual.test");
    daemon.logged("others may write to");
}
