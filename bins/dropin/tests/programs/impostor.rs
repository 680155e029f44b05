//! Who may answer: root, and the owner of the socket's directory.

use super::daemon::{answering, map_frame};
use super::faults::impostor;
use super::site::{Site, code, program, root_or_skip};
use qmail_lookup_core::wire::socketmap::Reply;
use std::os::unix::fs::{chown, symlink};

fn verdict(site: &Site) -> i32 {
    code(&site.command(program("qmail-rcptcheck")).env("RECIPIENT", "x@y").output().unwrap())
}

#[test]
fn the_owner_of_the_sockets_directory_is_believed_and_another_is_not() {
    if !root_or_skip("daemons that run as other users") {
        return;
    }
    let site = Site::new();
    let kept = impostor(&site, &site.lookup(), &map_frame(Reply::NotFound));
    assert_eq!(verdict(&site), 111, "the directory is root's");
    chown(site.run.path(), Some(65_533), None).unwrap();
    assert_eq!(verdict(&site), 111, "the directory is a third user's");
    chown(site.run.path(), Some(65_534), None).unwrap();
    assert_eq!(verdict(&site), 100, "the directory is the daemon's");
    drop(kept);
}

#[test]
fn root_is_believed_in_another_users_directory() {
    if !root_or_skip("a directory of another user") {
        return;
    }
    let site = Site::new();
    answering(site.lookup(), map_frame(Reply::NotFound));
    chown(site.run.path(), Some(65_534), None).unwrap();
    assert_eq!(verdict(&site), 100);
}

#[test]
fn a_directory_behind_a_symlink_is_the_one_that_counts() {
    let site = Site::new();
    answering(site.lookup(), map_frame(Reply::NotFound));
    let link = site.home.path().join("run");
    symlink(site.run.path(), &link).unwrap();
    site.control("lookupsocket", &link.join("lookup.sock"));
    assert_eq!(verdict(&site), 100);
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(site.run.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(verdict(&site), 111);
}

#[test]
fn a_directory_that_anybody_could_have_made_is_not_believed() {
    if !root_or_skip("a directory of another user below a shared one") {
        return;
    }
    let site = Site::new();
    // What was root's directory below a shared one has gone, and another user is the first to make it again.
    let shared = std::env::temp_dir();
    let theirs = tempfile::tempdir_in(&shared).unwrap();
    let socket = theirs.path().join("s");
    site.control("lookupsocket", &socket);
    let kept = impostor(&site, &socket, &map_frame(Reply::NotFound));
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(theirs.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    chown(theirs.path(), Some(65_534), None).unwrap();
    assert_eq!(verdict(&site), 111);
    drop(kept);
    // In a directory of root's it is the daemon's.
    let site = Site::new();
    let kept = impostor(&site, &site.lookup(), &map_frame(Reply::NotFound));
    chown(site.run.path(), Some(65_534), None).unwrap();
    assert_eq!(verdict(&site), 100);
    drop(kept);
}

#[test]
fn a_symlink_that_anybody_could_have_made_is_not_believed() {
    if !root_or_skip("symlinks of another user below a shared directory") {
        return;
    }
    let site = Site::new();
    // A stranger's own directory, where he listens, and no other program reaches it through a shared directory.
    let theirs = site.run.path().join("theirs");
    make(&theirs, 0o755, 65_534);
    let kept = impostor(&site, &theirs.join("s"), &map_frame(Reply::NotFound));
    site.control("lookupsocket", &theirs.join("s"));
    assert_eq!(verdict(&site), 100, "by its own name it is his");
    let shared = tempfile::tempdir_in(std::env::temp_dir()).unwrap();
    make(shared.path(), 0o1777, 0);
    // What was root's directory here has gone.
    let link = shared.path().join("ql");
    let asked = || {
        site.control("lookupsocket", &link.join("s"));
        verdict(&site)
    };
    as_stranger("ln", &["-s".as_ref(), theirs.as_os_str(), link.as_os_str()]);
    assert_eq!(asked(), 111, "his symlink");
    // In the middle: root's symlink leads over his.
    let roots = site.home.path().join("run");
    symlink(&link, &roots).unwrap();
    site.control("lookupsocket", &roots.join("s"));
    assert_eq!(verdict(&site), 111, "his symlink behind root's");
    std::fs::remove_file(&link).unwrap();
    // One that root once made in his directory he may take along.
    let open = shared.path().join("his");
    make(&open, 0o755, 65_534);
    symlink(&theirs, open.join("l")).unwrap();
    as_stranger("mv", &[open.join("l").as_os_str(), link.as_os_str()]);
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&link.symlink_metadata().unwrap()), 0);
    assert_eq!(asked(), 111, "root's symlink, put there by him");
    std::fs::remove_file(&link).unwrap();
    // Where only root can put symlinks they are good.
    let link = site.home.path().join("link");
    symlink(&theirs, &link).unwrap();
    site.control("lookupsocket", &link.join("s"));
    assert_eq!(verdict(&site), 100, "root's symlink in root's directory");
    drop(kept);
}

fn make(directory: &std::path::Path, mode: u32, uid: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(directory).unwrap();
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(mode)).unwrap();
    chown(directory, Some(uid), Some(uid)).unwrap();
}

fn as_stranger(program: &str, arguments: &[&std::ffi::OsStr]) {
    use std::os::unix::process::CommandExt;
    let status = std::process::Command::new(program).args(arguments).uid(65_534).gid(65_534).status().unwrap();
    assert!(status.success(), "{program}");
}
