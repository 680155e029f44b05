use super::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_missing_file_is_none_and_an_unreadable_one_is_named() {
    let folder = folder();
    assert_eq!(read(&folder.path().join("no")).unwrap(), None);
    let error = read(folder.path()).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot read {}: ", folder.path().display())), "{error}");
}

#[test]
fn a_file_is_replaced_by_a_new_one_with_its_owner_and_mode() {
    let folder = folder();
    let path = folder.path().join("rcpthosts");
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    assert!(replace(&path, b"a\n", 0o644).unwrap());
    nix::sys::stat::umask(before);
    assert_eq!(mode(&path), 0o644, "whatever the umask");

    fs::set_permissions(&path, Permissions::from_mode(0o4640)).unwrap();
    let is_root = nix::unistd::geteuid().is_root();
    if is_root {
        fchown(File::open(&path).unwrap(), Some(7), Some(8)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o4640)).unwrap();
    }
    let old = fs::metadata(&path).unwrap();
    assert!(replace(&path, b"b\n", 0o600).unwrap());
    let new = fs::metadata(&path).unwrap();
    assert_eq!((new.uid(), new.gid(), new.mode()), (old.uid(), old.gid(), old.mode()));
    assert!(!is_root || (new.uid(), new.gid()) == (7, 8));
    assert_ne!(new.ino(), old.ino());

    assert!(!replace(&path, b"b\n", 0o600).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().ino(), new.ino(), "what does not differ is left alone");
    assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"b\n".to_vec(), vec!["rcpthosts".to_owned()]));
}

#[test]
fn who_has_the_old_file_open_goes_on_reading_the_old_one() {
    let folder = folder();
    let path = folder.path().join("x");
    replace(&path, b"old", 0o644).unwrap();
    let open = File::open(&path).unwrap();
    replace(&path, b"new", 0o644).unwrap();
    assert_eq!(std::io::read_to_string(open).unwrap(), "old");
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_replaced() {
    let folder = folder();
    fs::create_dir(folder.path().join("real")).unwrap();
    let (link, second) = (folder.path().join("link"), folder.path().join("real/second"));
    symlink("real/second", &link).unwrap();
    symlink("file", &second).unwrap();
    for content in [b"new", b"old"] {
        assert!(replace(&link, content, 0o644).unwrap());
        assert_eq!(fs::read(folder.path().join("real/file")).unwrap(), content);
    }
    assert!(link.is_symlink() && second.is_symlink());
    assert_eq!(names(folder.path()), ["link", "real"]);

    symlink("round", folder.path().join("round")).unwrap();
    assert!(replace(&folder.path().join("round"), b"", 0o644).is_err());
}

#[test]
fn what_cannot_be_written_leaves_the_old_file_and_nothing_else() {
    let folder = folder();
    let path = folder.path().join("x");
    replace(&path, b"old", 0o644).unwrap();
    let error = replace_with(&path, 0o644, |file| {
        file.write_all(b"half")?;
        Err(Error::other("disk full"))
    });
    assert_eq!(error.unwrap_err().to_string(), format!("cannot write {}: disk full", path.display()));
    assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"old".to_vec(), vec!["x".to_owned()]));

    fs::create_dir(folder.path().join("y")).unwrap();
    assert!(replace_with(&folder.path().join("y"), 0o644, |_| Ok(())).is_err());
    assert!(replace(&folder.path().join("no/x"), b"", 0o644).is_err());
}

#[test]
fn what_killed_runs_left_is_removed_and_what_others_write_is_not() {
    let folder = folder();
    let path = folder.path().join("x");
    let us = std::process::id();
    let kept = [".x.1.qmail-lookup", ".x.one.qmail-lookup", ".x..qmail-lookup", ".y.99999999.qmail-lookup"];
    let gone = [".x.99999999.qmail-lookup".to_owned(), format!(".x.{us}.qmail-lookup")];
    for name in kept.into_iter().chain(gone.iter().map(String::as_str)) {
        fs::write(folder.path().join(name), "").unwrap();
    }
    replace(&path, b"new", 0o644).unwrap();
    let mut want = [&kept[..], &["x"]].concat();
    want.sort_unstable();
    assert_eq!(names(folder.path()), want);
}

#[test]
fn a_removed_file_is_gone_and_a_missing_one_no_trouble() {
    let folder = folder();
    let path = folder.path().join("x");
    assert!(!remove(&path).unwrap());
    fs::write(&path, "").unwrap();
    assert!(remove(&path).unwrap() && !path.exists());
    assert!(remove(folder.path()).unwrap_err().to_string().starts_with("cannot remove /"));
}

#[test]
fn only_one_process_has_the_lock() {
    let qmail = folder();
    let first = Lock::take(qmail.path()).unwrap();
    assert_eq!(mode(&memory(qmail.path())), 0o700);
    let second = Lock::take(qmail.path()).err().unwrap();
    assert_eq!(second.kind(), ErrorKind::WouldBlock);
    assert!(second.to_string().contains("it holds /"), "{second}");
    drop(first);
    fs::set_permissions(memory(qmail.path()), Permissions::from_mode(0o777)).unwrap();
    Lock::take(qmail.path()).unwrap();
    assert_eq!(mode(&memory(qmail.path())), 0o700);
    assert!(Lock::take(&qmail.path().join("no")).is_err());
}

#[test]
fn what_is_kept_in_mind_is_not_kept_where_a_link_leads() {
    let qmail = folder();
    let elsewhere = folder();
    symlink(elsewhere.path(), memory(qmail.path())).unwrap();
    assert_eq!(Lock::take(qmail.path()).err().unwrap().kind(), ErrorKind::PermissionDenied);
    assert!(names(elsewhere.path()).is_empty());
}
