//! qmail-getpw and the home of the mailbox that won (rule G3).

use super::daemon::{Seen, answering, getpw_answer, getpw_frame, six};
use super::site::{Site, code, program, root_or_skip};
use qmail_lookup_core::getpw::{Answer, SixFields, Winner};
use qmail_lookup_core::settings::HomeTrouble::{self, Alias, Defer};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::Output;

/// What qmail-getpw does with `fields` under these policies, and what the daemon hears.
fn run(site: &Site, fields: SixFields, home_missing: HomeTrouble, home_mismatch: HomeTrouble) -> (Output, Seen) {
    let answer = Answer { home_missing, home_mismatch, ..getpw_answer(Winner::Mailbox(fields)) };
    let _ = fs::remove_file(site.lookup());
    let seen = answering(site.lookup(), getpw_frame(&answer));
    (site.command(program("qmail-getpw")).arg("Local-Part").output().unwrap(), seen)
}

fn defers((output, seen): (Output, Seen), why: &str) {
    assert_eq!((code(&output), output.stdout.len()), (118, 0), "{output:?}");
    assert_eq!(String::from_utf8(seen.wait_for(2)[1].clone()).unwrap(), format!("skipped bob-smith {why}"));
}

fn alias((output, seen): (Output, Seen), why: &str) {
    assert_eq!(output.stdout, b"alias\x0064010\x0064011\0/var/qmail/alias\0-\0Local-Part\0", "{output:?}");
    assert_eq!(String::from_utf8(seen.wait_for(2)[1].clone()).unwrap(), format!("skipped bob-smith {why}"));
}

#[test]
fn a_missing_home_defers_unless_the_policy_says_alias() {
    let site = Site::new();
    let (home, uid, gid) = site.user_home("bob");
    fs::write(home.join("file"), "").unwrap();
    let why = "the home directory does not exist";
    for missing in [home.join("smith"), home.join("file/smith")] {
        let fields = six("bob-smith", uid, gid, &missing);
        defers(run(&site, fields.clone(), Defer, Alias), why);
        alias(run(&site, fields, Alias, Defer), why);
    }
}

#[test]
fn another_owner_defers_unless_the_policy_says_alias() {
    let site = Site::new();
    let (home, uid, gid) = site.user_home("bob-smith");
    for (row_uid, row_gid) in [(uid + 1, gid), (uid, gid + 1)] {
        let fields = six("bob-smith", row_uid, row_gid, &home);
        let why = "the home directory is owned by another uid or gid";
        defers(run(&site, fields.clone(), Alias, Defer), why);
        alias(run(&site, fields, Defer, Alias), why);
    }
}

#[test]
fn a_home_that_cannot_be_examined_always_defers() {
    let site = Site::new();
    let (bob, uid, gid) = site.user_home("bob");
    let circle = bob.join("circle");
    symlink(&circle, &circle).unwrap();
    for home in [circle, bob.join("x".repeat(300))] {
        defers(run(&site, six("bob-smith", uid, gid, &home), Alias, Alias), "the home directory cannot be examined");
    }
}

#[test]
fn a_home_behind_a_closed_door_always_defers() {
    let site = Site::new();
    let (bob, uid, gid) = site.user_home("bob");
    fs::create_dir(bob.join("smith")).unwrap();
    fs::set_permissions(&bob, fs::Permissions::from_mode(0o000)).unwrap();
    let answer = Answer {
        home_missing: Alias,
        home_mismatch: Alias,
        ..getpw_answer(Winner::Mailbox(six("bob-smith", uid, gid, &bob.join("smith"))))
    };
    let seen = answering(site.lookup(), getpw_frame(&answer));
    fs::set_permissions(site.lookup(), fs::Permissions::from_mode(0o666)).unwrap();
    let ours = site.installed("qmail-getpw");
    let mut command = site.command(&ours);
    if root_or_skip("qmail-getpw as another user than the one that runs the tests") {
        command.uid(65_533).gid(65_533);
    }
    let output = command.arg("Local-Part").output().unwrap();
    fs::set_permissions(&bob, fs::Permissions::from_mode(0o755)).unwrap();
    defers((output, seen), "the home directory cannot be examined");
}

#[test]
fn a_home_behind_a_symlink_is_the_directory_it_leads_to() {
    let site = Site::new();
    let (home, uid, gid) = site.user_home("iain");
    let link = site.run.path().join("link");
    symlink(&home, &link).unwrap();
    let (output, seen) = run(&site, six("iain", uid, gid, &link), Defer, Defer);
    assert_eq!(output.stdout, format!("iain\0{uid}\0{gid}\0{}\0\0\0", link.display()).into_bytes());
    assert_eq!(seen.frames().len(), 1, "nothing was skipped");
}
