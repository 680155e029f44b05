//! The static programs under the limits that qmail sites set.

use super::daemon::{answering, auth_frame, getpw_answer, getpw_frame, map_frame};
use super::local::Mailbox;
use super::site::{Site, code, feed, program};
use qmail_lookup_core::getpw::{SixFields, Winner};
use qmail_lookup_core::wire::auth::Reply as Auth;
use qmail_lookup_core::wire::socketmap::Reply;
use std::io::Write;
use std::process::Command;

/// Each way to say "4 MB"; `softlimit` is daemontools'.
const LIMITS: [&str; 2] = ["ulimit -v 4000 && exec \"$0\" \"$@\"", "exec softlimit -m 4000000 \"$0\" \"$@\""];

#[test]
fn four_megabytes_are_enough() {
    let note = |what: &str| drop(writeln!(std::io::stderr(), "NOT TESTED: {what}"));
    if std::env::var_os("QL_DROPIN_DIR").is_none() {
        note("memory limits; run bins/dropin/build.sh and set QL_DROPIN_DIR=target/dropin");
        return;
    }
    for limit in LIMITS {
        if limit.contains("softlimit") && Command::new("softlimit").arg("true").status().is_err() {
            note("softlimit is not installed");
            continue;
        }
        // Not `under(...)` of Site: the limit is the shell's last act.
        let under = |site: &Site, before: &str, name: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", &format!("{before}{limit}")]).arg(program(name));
            command.current_dir(site.home.path()).env("QMAILHOME", site.home.path());
            command
        };
        let site = Site::new();
        let (home, uid, gid) = site.user_home("iain");
        let fields = super::daemon::six("iain", uid, gid, &home);
        let longest = SixFields { dash: b"-".into(), ext: vec![b'e'; 90_000], ..fields };
        answering(site.lookup(), getpw_frame(&getpw_answer(Winner::Mailbox(longest))));
        assert_eq!(code(&under(&site, "", "qmail-getpw").arg("x").output().unwrap()), 0, "{limit}");

        let mailbox = Mailbox::new();
        mailbox.rows(&super::local::every_kind("read line; echo \"$line\" >program"));
        let message = [&b"S: x\n\n"[..], &b"a line of forty characters and a newline\n".repeat(250_000)].concat();
        // The shell of the stand-in for qmail-queue lives under the same limit.
        mailbox.queue("read line; echo \"$line\" >queued; cat >/dev/null; cat <&1 >envelope");
        let mut command = under(&mailbox.site, "", "qmail-local");
        let output = mailbox.arguments(&mut command).stdin(mailbox.message(&message)).output().unwrap();
        assert_eq!(code(&output), 0, "{limit}: {output:?}");
        mailbox.has_all_of(&message);

        let site = Site::new();
        answering(site.lookup(), map_frame(Reply::NotFound));
        let output = under(&site, "", "qmail-rcptcheck").env("RECIPIENT", "x@y").output().unwrap();
        assert_eq!(code(&output), 100, "{limit}");
        answering(site.auth(), auth_frame(&Auth::No));
        for name in ["checkpassword", "dovecot-checkpassword"] {
            let mut command = under(&site, "exec 3<&0 0</dev/null; ", name);
            assert_eq!(code(&feed(command.arg("true"), b"iain\0wrong\0\0")), 1, "{limit} {name}");
        }
    }
}
