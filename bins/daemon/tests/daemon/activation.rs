//! Sockets that the service manager passes.

use crate::logins::login;
use crate::site::{Client, PASSWORD, Site};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

#[test]
fn they_are_served_and_their_files_stay_as_they_are() {
    let site = Site::new("");
    let (lookup, auth) = (site.path("their-l"), site.path("their-a"));
    let listen = |path| -> Stdio {
        let listener = UnixListener::bind(path).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o604)).unwrap();
        OwnedFd::from(listener).into()
    };
    // A shell, because the variables name its process, and it becomes the daemon.
    let script = "exec 3<&0 4<&1 0</dev/null 1>&2; LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=lookup:auth; \
                  export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; exec \"$@\"";
    let ours = site.command();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "sh"]).arg(ours.get_program()).args(ours.get_args());
    command.stdin(listen(&lookup)).stdout(listen(&auth));
    let mut daemon = site.start_with(command);
    assert_eq!(Client::to(&lookup).ask("rcpthosts", "virtual.test"), "OK virtual.test");
    assert_eq!(login(&auth, "iain", PASSWORD)[0], "ok");
    assert!(!site.path("l").exists() && !site.path("a").exists(), "ours are not made then");
    assert_eq!(daemon.stop(), Some(0));
    for path in [&lookup, &auth] {
        assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o604);
    }
}

#[test]
fn what_is_no_listening_socket_is_refused() {
    let site = Site::new("");
    let script = "exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=lookup; \
                  export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; exec \"$@\"";
    let ours = site.command();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "sh"]).arg(ours.get_program()).args(ours.get_args());
    let out = command.output().unwrap();
    assert_eq!(out.status.code(), Some(100));
    assert!(String::from_utf8_lossy(&out.stderr).contains("lookup is no listening stream socket"));
}
