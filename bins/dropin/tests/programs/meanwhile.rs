//! qmail-local while something else happens: to the message, the home, the time.

use super::daemon::{map_frame, playing, read_frame};
use super::local::{MESSAGE, Mailbox, SAVES, every_kind, program_row, text};
use super::site::{code, program};
use qmail_lookup_core::rules::{Delivery, OwnerFlags};
use qmail_lookup_core::wire::{deliver, socketmap::Reply};
use std::fs;
use std::io::Write;

#[test]
fn a_program_that_is_left_behind_with_the_message_tears_none() {
    let mailbox = Mailbox::new();
    mailbox.queue("cat >message; cat <&1 >envelope");
    fs::write(mailbox.home.join("go"), "").unwrap();
    // It goes on reading, and so moves the position that all who inherit descriptor 0 share.
    let behind = "exec 3<&0; while [ -e go ]; do head -c 999 <&3 || break; done >/dev/null 2>&1 & ";
    let [maildir, mbox, forward, ..] = every_kind("");
    mailbox.rows(&[program_row(behind), maildir, mbox, forward]);
    let message = [&b"Subject: long\n\n"[..], &b"a line like all others\n".repeat(1_000_000)].concat();
    let output = mailbox.command("2>&1").stdin(mailbox.message(&message)).output().unwrap();
    let left = fs::remove_file(mailbox.home.join("go"));
    assert_eq!(code(&output), 0, "{output:?}");
    left.unwrap();
    let mail = fs::read_dir(mailbox.home.join("Maildir/new")).unwrap().next().unwrap().unwrap().path();
    let queued = mailbox.site.home.path().join("message");
    for (file, end) in [(mail, ""), (mailbox.home.join("Mailbox"), "\n"), (queued, "")] {
        let found = fs::read(&file).unwrap();
        assert!(found.ends_with(&[&message[..], end.as_bytes()].concat()), "{}: {}", file.display(), found.len());
    }
}

#[test]
fn a_message_that_becomes_shorter_waits() {
    let [maildir, mbox, forward, ..] = every_kind("");
    for instruction in [maildir, mbox, forward] {
        let mailbox = Mailbox::new();
        mailbox.queue(SAVES);
        let file = mailbox.site.run.path().join("message");
        mailbox.rows(&[
            program_row(&format!("head -c 30 '{0}' >cut; cat cut >'{0}'; rm cut", file.display())),
            instruction,
        ]);
        let output = mailbox.run();
        assert_eq!(code(&output), 111, "{output:?}");
        assert_eq!(fs::metadata(file).unwrap().len(), 30);
        // No envelope, and no mail; an mbox that is empty.
        let envelope = fs::read(mailbox.site.home.path().join("envelope")).unwrap_or_default();
        let mbox = fs::read(mailbox.home.join("Mailbox")).unwrap_or_default();
        let maildir = fs::read_dir(mailbox.home.join("Maildir/new")).unwrap().count();
        assert_eq!((envelope.len(), mbox.len(), maildir), (0, 0, 0), "{output:?}");
    }
}

#[test]
fn an_alarm_of_its_callers_does_not_end_it() {
    let mailbox = Mailbox::new();
    mailbox.rows(&[program_row("sleep 3; cat >program")]);
    let ours = program("qmail-local");
    let mut command = mailbox.site.command("/usr/bin/perl");
    command.args(["-e", "alarm 1; exec { $ARGV[0] } @ARGV"]).arg(ours);
    let output = mailbox.arguments(&mut command).stdin(mailbox.message(MESSAGE)).output().unwrap();
    assert_eq!(code(&output), 0, "{output:?}");
    assert_eq!(mailbox.read("program").as_bytes(), MESSAGE);
}

#[test]
fn in_a_home_that_is_removed_meanwhile_no_file_is_missing() {
    for (dash, ext) in [("", ""), ("-", "x")] {
        let mailbox = Mailbox::new();
        mailbox.queue(SAVES);
        let (home, frame) = (
            mailbox.home.clone(),
            map_frame(Reply::Ok(&deliver::encode(&Delivery::Files { owner: OwnerFlags::default() }))),
        );
        playing(&mailbox.site.lookup(), move |_, stream| {
            read_frame(stream);
            fs::remove_dir_all(&home).unwrap();
            stream.write_all(&frame).unwrap();
        });
        let mut command = mailbox.site.command(program("qmail-local"));
        command.args(["--", "iain"]).arg(&mailbox.home).args(["iain", dash, ext, "host.test", "s@t.test", "&a@x.test"]);
        command.env_remove("QMAILQUEUE").stdin(mailbox.message(MESSAGE));
        let output = command.output().unwrap();
        let said = "Home directory has been removed. (#4.3.0)\n";
        assert_eq!((code(&output), text(&output).as_str()), (111, said), "{dash}{ext}");
        assert!(!mailbox.site.home.path().join("envelope").exists());
    }
}
