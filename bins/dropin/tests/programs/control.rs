//! Which control file is read, and when it is believed.

use super::daemon::{answering, auth_frame, map_frame};
use super::site::{Site, code, program, root_or_skip};
use qmail_lookup_core::wire::auth::Reply as Auth;
use qmail_lookup_core::wire::socketmap::Reply;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

/// What qmail-rcptcheck says; the daemon says that there is no such recipient.
fn asks(site: &Site) -> bool {
    let output = site.command(program("qmail-rcptcheck")).env("RECIPIENT", "x@y").output().unwrap();
    match code(&output) {
        100 => true,
        111 => false,
        other => panic!("{other}"),
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn only_the_first_line_counts_and_trailing_blanks_do_not() {
    let site = Site::new();
    answering(site.lookup(), map_frame(Reply::NotFound));
    let file = site.home.path().join("control/lookupsocket");
    fs::write(&file, format!("{} \t\nsomething else\n", site.lookup().display())).unwrap();
    assert!(asks(&site));
    fs::write(&file, site.lookup().as_os_str().as_encoded_bytes()).unwrap();
    assert!(asks(&site), "without a line's end");
    fs::write(&file, format!("\n{}\n", site.lookup().display())).unwrap();
    assert!(!asks(&site), "an empty first line");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(!asks(&site), "a directory");
}

#[test]
fn a_relative_home_is_no_home() {
    let site = Site::new();
    answering(site.lookup(), map_frame(Reply::NotFound));
    let mut command = site.command(program("qmail-rcptcheck"));
    let output = command.env("RECIPIENT", "x@y").env("QMAILHOME", ".").output().unwrap();
    assert_eq!(code(&output), 111);
}

#[test]
fn getpw_reads_the_control_file_of_its_working_directory() {
    let (site, other) = (Site::new(), Site::new());
    answering(
        site.lookup(),
        super::daemon::getpw_frame(&super::daemon::getpw_answer(qmail_lookup_core::getpw::Winner::AliasUser)),
    );
    let mut command = site.command(program("qmail-getpw"));
    assert_eq!(code(&command.arg("x").env("QMAILHOME", other.home.path()).output().unwrap()), 0);
}

#[test]
fn logins_are_never_asked_over_the_lookup_socket() {
    let site = Site::new();
    let lookup = answering(site.lookup(), auth_frame(&Auth::No));
    let auth = answering(site.auth(), auth_frame(&Auth::No));
    for name in ["checkpassword", "dovecot-checkpassword"] {
        assert_eq!(code(&site.login(program(name), &["true"], b"iain\0secret\0\0")), 1);
    }
    assert_eq!((lookup.frames().len(), auth.frames().len()), (0, 2));
}

#[test]
fn root_believes_only_a_control_file_that_is_roots() {
    if !root_or_skip("control files of others") {
        return;
    }
    let site = Site::new();
    answering(site.lookup(), map_frame(Reply::NotFound));
    let control = site.home.path().join("control");
    let file = control.join("lookupsocket");
    for path in [&file, &control, &site.home.path().to_owned()] {
        assert!(asks(&site));
        let before = fs::metadata(path).unwrap().permissions().mode();
        mode(path, before | 0o002);
        assert!(!asks(&site), "others may write {}", path.display());
        mode(path, before | 0o020);
        assert!(asks(&site), "root's group may write {}", path.display());
        chown(path, None, Some(100)).unwrap();
        assert!(!asks(&site), "a group may write {}", path.display());
        mode(path, before);
        assert!(asks(&site), "a group may read {}", path.display());
        chown(path, Some(20_001), None).unwrap();
        assert!(!asks(&site), "{} is another's", path.display());
        chown(path, Some(0), Some(0)).unwrap();
    }
    // A link that somebody else may turn.
    let theirs = site.run.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(20_001), Some(20_001)).unwrap();
    symlink(site.home.path(), theirs.join("qmail")).unwrap();
    let mut command = site.command(program("qmail-rcptcheck"));
    let output = command.env("RECIPIENT", "x@y").env("QMAILHOME", theirs.join("qmail")).output().unwrap();
    assert_eq!(code(&output), 111);
}

#[test]
fn who_is_not_root_takes_the_control_file_as_it_is() {
    if !root_or_skip("another user reads the control files") {
        return;
    }
    let site = Site::new();
    answering(site.lookup(), map_frame(Reply::NotFound));
    mode(&site.lookup(), 0o666);
    chown(site.home.path(), Some(20_001), None).unwrap();
    let ours = site.installed("qmail-rcptcheck");
    let output = site.command(ours).env("RECIPIENT", "x@y").uid(20_002).gid(20_002).output().unwrap();
    assert_eq!(code(&output), 100);
}
