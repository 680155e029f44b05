use super::*;
use qmail_lookup_core::sync::HOST_MAX;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

fn some(names: &[&str]) -> BTreeSet<Host> {
    names.iter().map(|name| Host::new(name.as_bytes()).unwrap()).collect()
}

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn names(home: &TempDir) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn assert_in_place(home: &TempDir, name: &str) {
    let path = home.path().join(name);
    let is = fs::symlink_metadata(&path).unwrap();
    assert!(is.is_file(), "{name}");
    assert_eq!((is.uid(), is.gid(), is.mode() & 0o7777), (geteuid().as_raw(), getegid().as_raw(), 0o644), "{name}");
    assert_eq!(fs::read_to_string(&path).unwrap(), CONTENT, "{name}");
}

#[test]
fn each_host_has_the_file_that_stock_qmail_local_looks_for() {
    let home = home();
    put(home.path(), &some(&["bar.com", ".wild.test"])).unwrap();
    assert_eq!(names(&home), [".qmail-=:wild:test=-default", ".qmail-=bar:com=-default"]);
    names(&home).iter().for_each(|name| assert_in_place(&home, name));
    assert_eq!(hosts(home.path()).unwrap(), some(&["bar.com", ".wild.test"]));
    assert_eq!(hosts(&home.path().join("no")).unwrap(), some(&[]));
}

#[test]
fn the_longest_host_has_a_file_and_a_longer_one_is_an_error() {
    let home = home();
    let longest = some(&[&format!("{}.com", "a".repeat(HOST_MAX - 4))]);
    put(home.path(), &longest).unwrap();
    assert_eq!((names(&home)[0].len(), hosts(home.path()).unwrap()), (255, longest));
    assert!(put(home.path(), &some(&[&"a".repeat(HOST_MAX + 1)])).is_err());
    assert!(put(&home.path().join("no"), &some(&["a.com"])).unwrap_err().to_string().starts_with("cannot open /"));
    put(&home.path().join("no"), &some(&[])).unwrap();
}

#[test]
fn files_of_other_names_are_no_hosts() {
    let home = home();
    for name in [
        ".qmail-default",
        ".qmail-=bar.com=-default",
        ".qmail-=Bar:com=-default",
        ".qmail-==-default",
        ".qmail-=a b=-default",
    ] {
        fs::write(home.path().join(name), "").unwrap();
    }
    assert_eq!(hosts(home.path()).unwrap(), some(&[]));
}

#[test]
fn what_is_right_is_left_alone_and_the_rest_is_put_right() {
    let home = home();
    let two = some(&["a.com", "b.com"]);
    put(home.path(), &two).unwrap();
    let first = home.path().join(".qmail-=a:com=-default");
    let second = home.path().join(".qmail-=b:com=-default");
    let before = fs::metadata(&first).unwrap();
    put(home.path(), &two).unwrap();
    let after = fs::metadata(&first).unwrap();
    assert_eq!((before.ino(), before.ctime_nsec()), (after.ino(), after.ctime_nsec()));

    let wrong: [(&str, &dyn Fn()); 4] = [
        ("content", &|| fs::write(&second, "./Mailbox\n").unwrap()),
        ("longer", &|| fs::write(&second, format!("{CONTENT}./Mailbox\n")).unwrap()),
        ("empty", &|| fs::write(&second, "").unwrap()),
        ("mode", &|| {
            fs::write(&second, CONTENT).unwrap();
            fs::set_permissions(&second, fs::Permissions::from_mode(0o666)).unwrap();
        }),
    ];
    for (what, spoil) in wrong {
        fs::remove_file(&second).unwrap();
        spoil();
        put(home.path(), &two).unwrap();
        assert_in_place(&home, ".qmail-=b:com=-default");
        assert_eq!(names(&home).len(), 2, "{what}");
    }
    if geteuid().is_root() {
        std::os::unix::fs::chown(&second, Some(7), None).unwrap();
        put(home.path(), &two).unwrap();
        assert_in_place(&home, ".qmail-=b:com=-default");
    }
}

#[test]
fn nothing_that_the_alias_user_lays_out_is_followed_or_waited_for() {
    let home = home();
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("shadow");
    fs::write(&victim, "secret").unwrap();
    let at = |host: &str| home.path().join(format!(".qmail-={host}=-default"));
    symlink(&victim, at("link")).unwrap();
    symlink(elsewhere.path().join("new"), at("dangling")).unwrap();
    symlink(elsewhere.path(), at("folder-link")).unwrap();
    fs::hard_link(&victim, at("hard-link")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    let all = some(&["link", "dangling", "folder-link", "hard-link", "fifo", "socket", "folder"]);

    remove(home.path(), &all).unwrap();
    assert_eq!(hosts(home.path()).unwrap(), all);
    put(home.path(), &all).unwrap();
    names(&home).iter().for_each(|name| assert_in_place(&home, name));
    assert_eq!((hosts(home.path()).unwrap(), names(&home).len()), (all, 7));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "secret");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);

    fs::create_dir(at("full")).unwrap();
    fs::write(at("full").join("x"), "").unwrap();
    let error = put(home.path(), &some(&["full"])).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot replace {}: ", at("full").display())), "{error}");
    assert_eq!(names(&home).len(), 8, "its own names are gone");
}

#[test]
fn a_file_that_cannot_be_made_takes_no_other_host_its_own() {
    let home = home();
    for host in ["b:com", "c:com"] {
        fs::create_dir_all(home.path().join(format!(".qmail-={host}=-default/x"))).unwrap();
    }
    let error = put(home.path(), &some(&["a.com", "b.com", "c.com", "d.com"])).unwrap_err().to_string();
    assert!(error.contains(".qmail-=b:com=-default") && error.ends_with("; and 1 more"), "{error}");
    assert_in_place(&home, ".qmail-=a:com=-default");
    assert_in_place(&home, ".qmail-=d:com=-default");
    assert_eq!(names(&home).len(), 4, "its own names are gone");
}

#[test]
fn only_files_with_our_content_are_removed() {
    let home = home();
    put(home.path(), &some(&["a.com", "b.com"])).unwrap();
    let own = home.path().join(".qmail-=own:com=-default");
    fs::write(&own, "./Maildir/\n").unwrap();
    remove(home.path(), &some(&["a.com", "own.com", "missing.com"])).unwrap();
    assert_eq!(names(&home), [".qmail-=b:com=-default", ".qmail-=own:com=-default"]);
    remove(&home.path().join("no"), &some(&["a.com"])).unwrap();
}

#[test]
fn what_killed_runs_left_is_removed() {
    let home = home();
    let us = std::process::id();
    let kept = [".1.net-1.qmail-lookup", ".net-1.qmail-lookup", ".99999999.net-3.qmail-lookup"];
    let gone = [
        format!(".{us}.net-1.qmail-lookup"),
        format!(".{us}.net-2.qmail-lookup"),
        ".99999999.net-2.qmail-lookup".into(),
    ];
    for name in kept.into_iter().chain(gone.iter().map(String::as_str)) {
        fs::write(home.path().join(name), "x").unwrap();
    }
    put(home.path(), &some(&["a.com"])).unwrap();
    let mut want = [&kept[..], &[".qmail-=a:com=-default"]].concat();
    want.sort_unstable();
    assert_eq!(names(&home), want);
    assert_in_place(&home, ".qmail-=a:com=-default");
}

#[test]
fn more_hosts_than_one_file_can_have_names() {
    let home = home();
    let many: BTreeSet<Host> = (0..70_000).map(|n| Host::new(format!("h{n}.test").as_bytes()).unwrap()).collect();
    put(home.path(), &many).unwrap();
    assert_eq!(hosts(home.path()).unwrap(), many);
    assert_eq!(names(&home).len(), 70_000);
}
