//! What checkpassword runs: as whom, where, with what.

use super::daemon::{answering, auth_frame, ok_account};
use super::site::{Site, USER, code, copy, feed, ignores, is_root, program, root_or_skip};
use qmail_lookup_core::wire::auth::Reply;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Output;

const OFFERED: &[u8] = b"Iain@Virtual.com\0secret\0stamp\0";

fn lines(output: &Output) -> Vec<String> {
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(ToOwned::to_owned).collect()
}

/// Whatever checkpassword runs, as the user that owns the home.
fn run(site: &Site, script: &str) -> Output {
    let (home, uid, gid) = site.user_home("iain");
    answering(site.auth(), ok_account("iain", uid, gid, &home));
    site.login(program("checkpassword"), &["sh", "-c", script], OFFERED)
}

#[test]
fn it_is_the_user_and_nobody_else() {
    if !root_or_skip("checkpassword becomes the user") {
        return;
    }
    let site = Site::new();
    let output = run(&site, "grep -E '^(Uid|Gid|Groups|CapInh|CapPrm|CapEff)' /proc/self/status | tr '\\t' ' '; pwd");
    let all = [USER; 4].map(|id| id.to_string()).join(" ");
    let (none, home) = ("0000000000000000", site.run.path().join("iain").display().to_string());
    let caps = ["CapInh", "CapPrm", "CapEff"].map(|name| format!("{name}: {none}"));
    let ids = [format!("Uid: {all}"), format!("Gid: {all}"), format!("Groups: {USER} ")];
    assert_eq!(lines(&output), [&ids[..], &caps[..], &[home]].concat());
}

#[test]
fn it_cannot_become_root_again() {
    if !root_or_skip("nobody becomes root again") {
        return;
    }
    let site = Site::new();
    let output = run(
        &site,
        "setpriv --reuid 0 true 2>/dev/null && echo root; setpriv --regid 0 true 2>/dev/null && echo root; echo end",
    );
    assert_eq!(lines(&output), ["end"]);
    // A process that keeps the right to change its uid is not handed over.
    fs::remove_file(site.auth()).unwrap();
    answering(site.auth(), ok_account("iain", USER, USER, &site.run.path().join("iain")));
    let mut command = site.redirected("3<&0 0</dev/null", "setpriv");
    command.arg("--securebits=+no_setuid_fixup").arg(program("checkpassword")).args(["sh", "-c", "echo let in"]);
    let output = feed(&mut command, OFFERED);
    assert_eq!((code(&output), lines(&output).len()), (111, 0));
}

#[test]
fn environment_descriptors_and_signals_are_in_order() {
    if !is_root() {
        let _ = root_or_skip("a user with other groups");
    }
    let site = Site::new();
    let (home, uid, gid) = site.user_home("iain");
    answering(site.auth(), ok_account("iain", uid, gid, &home));
    let script = "echo \"$USER $HOME $SHELL $KEPT\"; grep SigIgn /proc/self/status; ls /proc/self/fd | xargs";
    let mut command = site.redirected("3<&0 0</dev/null 8</dev/null", program("checkpassword"));
    command.args(["sh", "-c", script]).env("KEPT", "kept").env("USER", "popup").env("HOME", "/").env("SHELL", "/x");
    let lines = lines(&feed(&mut command, OFFERED));
    assert_eq!(lines[0], format!("iain {} /bin/sh kept", home.display()));
    assert!(!ignores(&lines[1]), "{}", lines[1]);
    // 8 is the caller's and stays, as does what the tests' own caller left open; nothing is added, and 3 is gone.
    let mut without_ours = site.redirected("0</dev/null 3<&- 8</dev/null", "sh");
    let plain = without_ours.args(["-c", "ls /proc/self/fd | xargs"]).output().unwrap();
    assert_eq!(lines[2], String::from_utf8(plain.stdout).unwrap().trim_end());
    assert!(lines[2].ends_with('8'), "{}", lines[2]);
}

#[test]
fn its_exit_code_is_ours_and_no_alarm_ends_it() {
    let site = Site::new();
    let output = run(&site, "sleep 9; exit 7");
    assert_eq!(code(&output), 7);
}

#[test]
fn a_program_that_is_not_there_is_temporary() {
    let site = Site::new();
    let (home, uid, gid) = site.user_home("iain");
    answering(site.auth(), ok_account("iain", uid, gid, &home));
    for missing in ["no-such-program", "/no/such/program", ""] {
        let output = site.login(program("checkpassword"), &[missing], OFFERED);
        assert_eq!((code(&output), lines(&output).len()), (111, 0));
    }
}

#[test]
fn without_roots_rights_only_the_user_himself_is_let_in() {
    if !root_or_skip("checkpassword as a user that is not root") {
        return;
    }
    let site = Site::new();
    let (home, uid, gid) = site.user_home("iain");
    let ours = site.installed("checkpassword");
    for (row_uid, row_gid, wanted) in [(uid, gid, 0), (uid + 1, gid, 111), (uid, gid + 1, 111)] {
        let _ = fs::remove_file(site.auth());
        answering(site.auth(), ok_account("iain", row_uid, row_gid, &home));
        open_to_all(&site.auth());
        let mut command = site.redirected("3<&0 0</dev/null", &ours);
        command.args(["sh", "-c", "pwd"]).uid(uid).gid(gid);
        let output = feed(&mut command, OFFERED);
        assert_eq!(code(&output), wanted, "{output:?}");
        let let_in = if wanted == 0 { format!("{}\n", home.display()) } else { String::new() };
        assert_eq!(String::from_utf8(output.stdout).unwrap(), let_in);
    }
}

fn open_to_all(socket: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).unwrap();
}

#[test]
fn the_stock_checkpassword_gets_the_same_bytes_and_arguments() {
    let site = Site::new();
    answering(site.auth(), auth_frame(&Reply::Stock));
    let ours = site.installed("checkpassword");
    site.script("checkpassword.stock", "printf '%s,' \"$#\" \"$@\"; cat <&3 | od -An -c | tr -d ' \\n'; exit 9");
    let output = site.login(&ours, &["prog", "a b"], b"root\0pass\0stamp\0\0rest");
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap(), r"2,prog,a b,root\0pass\0stamp\0\0rest");
    assert_eq!(code(&output), 9);
    // The longest that there can be fits the pipe.
    site.script("checkpassword.stock", "wc -c <&3");
    let longest = [&b"a\0"[..], &[b'p'; 508], b"\0\0"].concat();
    assert_eq!(lines(&site.login(&ours, &["prog"], &longest)), ["512"]);
}

#[test]
fn ourselves_as_the_stock_checkpassword_is_temporary() {
    let site = Site::new();
    answering(site.auth(), auth_frame(&Reply::Stock));
    let ours = site.installed("checkpassword");
    let stock = ours.with_file_name("checkpassword.stock");
    let temporary = || {
        let output = site.login(&ours, &["echo", "let in"], OFFERED);
        assert_eq!((code(&output), lines(&output).len()), (111, 0));
    };
    temporary();
    fs::hard_link(&ours, &stock).unwrap();
    temporary();
    fs::remove_file(&stock).unwrap();
    copy(&ours, &stock);
    temporary();
    fs::remove_file(&stock).unwrap();
    site.executable("checkpassword.stock", "echo let in");
    temporary();
}

#[test]
fn while_it_asks_others_of_its_uid_cannot_read_its_memory() {
    let site = Site::new(); // nobody answers
    for name in ["checkpassword", "dovecot-checkpassword"] {
        let ours = site.installed(name);
        let offered = site.run.path().join("offered");
        fs::write(&offered, OFFERED).unwrap();
        let mut command = site.redirected(&format!("3<'{}'", offered.display()), &ours);
        if is_root() {
            command.uid(USER).gid(USER);
        }
        let mut child = command.arg("true").spawn().unwrap();
        let owner = || fs::metadata(format!("/proc/{}/mem", child.id())).unwrap().uid();
        // The kernel gives the memory of such a process to root.
        let closed = (0..300).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            owner() == 0
        });
        let waits = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(closed && waits, "{name}");
    }
}
