//! qmail-local: what its programs, qmail-queue and qmail-lspawn see of it.

use super::daemon::{Seen, answering, map_frame};
use super::site::{Site, code, feed, program};
use qmail_lookup_core::Instruction;
use qmail_lookup_core::rules::{Delivery, OwnerFlags, Set};
use qmail_lookup_core::wire::{deliver, socketmap::Reply};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output};

pub(crate) const MESSAGE: &[u8] = b"From: a@b.test\nSubject: x\n\nline one\nline two, without its end";

/// A user with a home, in a qmail home.
pub(crate) struct Mailbox {
    pub(crate) site: Site,
    pub(crate) home: PathBuf,
}

impl Mailbox {
    pub(crate) fn new() -> Self {
        let site = Site::new();
        let (home, ..) = site.user_home("iain");
        for folder in ["", "tmp", "new", "cur"] {
            fs::create_dir(home.join("Maildir").join(folder)).unwrap();
        }
        Self { site, home }
    }

    /// A daemon that says these.
    pub(crate) fn rows(&self, instructions: &[Instruction]) -> Seen {
        let (set, owner) = (Set::Exact, OwnerFlags::default());
        self.says(&Delivery::Rows { set, instructions: instructions.to_vec(), owner })
    }

    fn says(&self, delivery: &Delivery) -> Seen {
        let _ = fs::remove_file(self.site.lookup());
        answering(self.site.lookup(), map_frame(Reply::Ok(&deliver::encode(delivery))))
    }

    /// qmail-queue, whose working directory is qmail's home.
    pub(crate) fn queue(&self, script: &str) {
        self.site.script("qmail-queue", script);
    }

    pub(crate) fn message(&self, text: &[u8]) -> File {
        let path = self.site.run.path().join("message");
        fs::write(&path, text).unwrap();
        File::open(path).unwrap()
    }

    /// qmail-local's arguments as qmail-lspawn gives them.
    pub(crate) fn arguments<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.args(["--", "iain"]).arg(&self.home).args(["iain-x", "-", "x", "Host.test", "s@t.test", "./Mailbox"]);
        command.env_remove("QMAILQUEUE").env_remove("DEFAULT")
    }

    /// qmail-local, run by a shell that has `redirections`.
    pub(crate) fn command(&self, redirections: &str) -> Command {
        let mut command = self.site.redirected(redirections, program("qmail-local"));
        self.arguments(&mut command).stdin(self.message(MESSAGE));
        command
    }

    pub(crate) fn run(&self) -> Output {
        self.command("3>&-").output().unwrap()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.home.join(name)).unwrap()).unwrap()
    }

    /// Every instruction of [`every_kind`] was carried out with all of the message.
    pub(crate) fn has_all_of(&self, message: &[u8]) {
        let folder =
            |name| fs::read_dir(self.home.join("Maildir").join(name)).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(folder("tmp").count(), 0);
        let mails: Vec<_> = folder("new").collect();
        assert_eq!(mails.len(), 1, "{mails:?}");
        assert!(fs::read(&mails[0]).unwrap().ends_with(message));
        let mbox = fs::read(self.home.join("Mailbox")).unwrap();
        assert!(mbox.ends_with(&[message.trim_ascii_end(), b"\n\n"].concat()));
        assert!(message.starts_with(self.read("program").trim_end().as_bytes()));
        let home = self.site.home.path();
        assert_eq!(fs::read(home.join("envelope")).unwrap(), b"Fs@t.test\0Ta@x.test\0Tb@x.test\0\0");
        assert_eq!(fs::read_to_string(home.join("queued")).unwrap(), "Delivered-To: iain-x@Host.test\n");
    }

    /// Nothing but what was there at the beginning.
    fn has_nothing(&self) {
        let names = |path: PathBuf| -> Vec<_> { fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name()).collect() };
        assert_eq!(names(self.home.clone()), ["Maildir"]);
        for folder in ["tmp", "new", "cur"] {
            assert_eq!(names(self.home.join("Maildir").join(folder)).len(), 0, "{folder}");
        }
        assert!(!self.site.home.path().join("envelope").exists());
    }
}

/// One instruction of each kind, the maildir first, and two forwards.
pub(crate) fn every_kind(program: &str) -> [Instruction; 5] {
    [
        Instruction::Maildir(b"./Maildir/".to_vec()),
        Instruction::Mbox(b"./Mailbox".to_vec()),
        Instruction::Forward(b"a@x.test".to_vec()),
        Instruction::Program(program.into()),
        Instruction::Forward(b"b@x.test".to_vec()),
    ]
}

pub(crate) fn program_row(script: &str) -> Instruction {
    Instruction::Program(script.into())
}

pub(crate) fn text(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) const SAVES: &str = "read line; echo \"$line\" >queued; cat >/dev/null; cat <&1 >envelope";

#[test]
fn a_program_reads_the_message_in_the_home_and_speaks_in_the_report() {
    let mailbox = Mailbox::new();
    mailbox.rows(&[
        program_row("read first; echo \"$first\" >first; echo said; echo complained >&2"),
        program_row("cat >second; echo \"$0 $# $(pwd) $(umask)\""),
    ]);
    let output = mailbox.command("2>&1").output().unwrap();
    assert_eq!(code(&output), 0);
    let home = mailbox.home.display();
    assert_eq!(text(&output), format!("said\ncomplained\n/bin/sh 0 {home} 0077\ndid 0+0+2\n"));
    assert_eq!((mailbox.read("first").as_str(), mailbox.read("second").as_bytes()), ("From: a@b.test\n", MESSAGE));
}

#[test]
fn its_environment_is_the_inherited_one_and_ours_which_wins() {
    let mailbox = Mailbox::new();
    let show = "printf '%s,' \"$KEPT\" \"$EXT\" \"$HOME\" \"$HOST\" \"$SENDER\"; env | grep -c ^EXT=";
    mailbox.rows(&[program_row(show), Instruction::Forward(b"a@x.test".to_vec())]);
    mailbox.queue(&format!("{SAVES}; {{ {show}; }} >&2"));
    let mut command = mailbox.command("2>&1");
    let output = command.env("KEPT", "kept =").env("EXT", "old").env("HOME", "/").output().unwrap();
    let shown = format!("kept =,x,{},Host.test,s@t.test,1\n", mailbox.home.display());
    let said = text(&output);
    assert!(said.starts_with(&format!("{shown}{shown}did 0+1+1\nqp ")), "{said}");
}

#[test]
fn programs_and_qmail_queue_see_no_descriptor_or_signal_of_ours() {
    let mailbox = Mailbox::new();
    let look = "ls /proc/self/fd | xargs; grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2";
    mailbox.rows(&[program_row(&format!("exec >seen; {look}")), Instruction::Forward(b"a@x.test".to_vec())]);
    mailbox.queue(&format!("{SAVES}; exec >seen; {look}"));
    // Others than ignored ones come to a program as they came to us; blocked ones, none.
    let ours = program("qmail-local");
    let mut command = mailbox.site.redirected("3</dev/null 4</dev/null 6</dev/null 9>/dev/null", "env");
    command.args(["--block-signal=USR1,ALRM,CHLD", "--ignore-signal=PIPE,ALRM,XFSZ,CHLD"]).arg(ours);
    let output = mailbox.arguments(&mut command).stdin(mailbox.message(MESSAGE)).output().unwrap();
    assert_eq!(code(&output), 0, "{output:?}");
    let in_order = |seen: &str, descriptors: &str| {
        let [found, blocked, ignored] = seen.lines().collect::<Vec<_>>()[..] else { panic!("{seen}") };
        let signals = |mask| u64::from_str_radix(mask, 16).unwrap();
        let bit = |signal: i32| 1_u64 << (signal - 1);
        let ours = [libc::SIGPIPE, libc::SIGALRM, libc::SIGXFSZ, libc::SIGCHLD].map(bit).iter().sum::<u64>();
        assert_eq!((found, signals(blocked), signals(ignored) & ours), (descriptors, 0, 0), "{seen}");
    };
    // What ls opens itself is one more.
    in_order(&mailbox.read("seen"), "0 1 2 3");
    in_order(&fs::read_to_string(mailbox.site.home.path().join("seen")).unwrap(), "0 1 2 3 6");
}

#[test]
fn a_program_that_ends_badly_is_the_last() {
    let mailbox = Mailbox::new();
    mailbox.queue(SAVES);
    for (script, wanted, said) in [
        ("echo no; exit 100", 100, "no\n"),
        ("echo later; exit 111", 111, "later\n"),
        ("exit 101", 111, ""),
        ("exit 127", 111, ""),
        ("kill -9 $$", 111, "Aack, child crashed. (#4.3.0)\n"),
        ("kill -PIPE $$", 111, "Aack, child crashed. (#4.3.0)\n"),
        ("no-such-command 2>/dev/null", 111, ""),
    ] {
        mailbox.rows(&[Instruction::Forward(b"a@x.test".to_vec()), program_row(script), program_row("cat >after")]);
        let output = mailbox.run();
        assert_eq!((code(&output), text(&output).as_str()), (wanted, said), "{script}");
        mailbox.has_nothing();
    }
}

#[test]
fn after_99_only_the_forwards_seen_so_far_are_sent() {
    let mailbox = Mailbox::new();
    mailbox.queue(SAVES);
    let forward = |address: &str| Instruction::Forward(address.into());
    mailbox.rows(&[forward("a@x.test"), program_row("exit 99"), forward("b@x.test"), program_row("cat >after")]);
    let output = mailbox.run();
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(text(&output).starts_with("did 0+1+1\nqp "), "{output:?}");
    assert_eq!(fs::read(mailbox.site.home.path().join("envelope")).unwrap(), b"Fs@t.test\0Ta@x.test\0\0");
    assert!(!mailbox.home.join("after").exists());
}

#[test]
fn qmail_queue_is_run_in_qmails_home_and_another_where_the_environment_says_so() {
    let mailbox = Mailbox::new();
    mailbox.rows(&[Instruction::Forward(b"a@x.test".to_vec())]);
    let who = |name: &str| format!("{SAVES}; echo {name} $0 $# $$ \"$(pwd)\" >&2");
    mailbox.queue(&who("stock"));
    mailbox.site.script("other", &who("other"));
    let qmail = mailbox.site.home.path().display();
    for (named, says) in [(None, "stock bin/qmail-queue"), (Some("bin/other"), "other bin/other")] {
        let mut command = mailbox.command("2>&1");
        command.envs(named.map(|name| ("QMAILQUEUE", name)));
        let said = text(&command.output().unwrap());
        let pid = said.trim_end().rsplit(' ').next().unwrap();
        assert_eq!(said, format!("{says} 0 {pid} {qmail}\ndid 0+1+0\nqp {pid}\n"));
    }
    // Not by PATH, not by a shell, not another one in its place.
    mailbox.site.executable("text", "exit 0");
    for named in ["", "other", "true", "bin/text", "/nonexistent/qq", "bin"] {
        let output = mailbox.command("2>&1").env("QMAILQUEUE", named).output().unwrap();
        let said = "Unable to forward message: unable to exec qq (#4.3.0).\n";
        assert_eq!((code(&output), text(&output).as_str()), (111, said), "{named:?}");
    }
}

#[test]
fn what_qmail_queue_says_is_what_the_sender_is_told() {
    let mailbox = Mailbox::new();
    mailbox.rows(&[Instruction::Forward(b"a@x.test".to_vec())]);
    for (script, wanted, why) in [
        ("exit 53", 111, "qq write error or disk full (#4.3.0)"),
        ("exit 31", 100, "mail server permanently rejected message (#5.3.0)"),
        ("printf 'Dnot you (#5.7.1)' >&6; exit 82", 100, "not you (#5.7.1)"),
        ("printf 'Znot now (#4.7.1)' >&6; exit 82", 111, "not now (#4.7.1)"),
        ("kill -9 $$", 111, "qq crashed (#4.3.0)"),
    ] {
        mailbox.queue(&format!("{SAVES}; {script}"));
        let output = mailbox.run();
        let said = format!("Unable to forward message: {why}.\n");
        assert_eq!((code(&output), text(&output)), (wanted, said), "{script}");
    }
}

#[test]
fn every_instruction_is_carried_out_whatever_of_the_report_is_closed() {
    for closed in ["3>&-", "1>&-", "2>&-", "1>&- 2>&-", "1>/dev/full 2>&1"] {
        let mailbox = Mailbox::new();
        mailbox.queue(SAVES);
        mailbox.rows(&every_kind("cat >program"));
        let output = mailbox.command(closed).output().unwrap();
        assert_eq!(code(&output), 0, "{closed}: {output:?}");
        mailbox.has_all_of(MESSAGE);
        assert_eq!(mailbox.read("program").as_bytes(), MESSAGE);
    }
}

#[test]
fn without_a_message_nothing_is_delivered() {
    let mailbox = Mailbox::new();
    mailbox.queue(SAVES);
    mailbox.rows(&every_kind("cat >program"));
    for closed in ["0<&-", "0<&- 1>&-", "0<&- 2>&-", "0<&- 1>&- 2>&-", "0</", "0>/dev/null"] {
        let output = mailbox.command(closed).output().unwrap();
        assert_eq!(code(&output), 111, "{closed}: {output:?}");
        mailbox.has_nothing();
    }
    // A pipe cannot be read twice.
    let mut command = mailbox.site.command(program("qmail-local"));
    let output = feed(mailbox.arguments(&mut command), MESSAGE);
    assert_eq!((code(&output), text(&output)), (111, "Unable to rewind message. (#4.3.0)\n".to_owned()));
    mailbox.has_nothing();
}

#[test]
fn a_maildir_that_is_cut_at_a_nul_is_still_one() {
    let mailbox = Mailbox::new();
    fs::write(mailbox.home.join(".qmail-x"), "./Maildir\0x/\n").unwrap();
    mailbox.says(&Delivery::Files { owner: OwnerFlags::default() });
    let output = mailbox.run();
    assert_eq!((code(&output), text(&output).as_str()), (0, "did 1+0+0\n"));
    assert_eq!(fs::read_dir(mailbox.home.join("Maildir/new")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(&mailbox.home).unwrap().count(), 2);
}

#[test]
fn too_few_descriptors_wait_and_leave_nothing_half_done() {
    let mut codes = Vec::new();
    for most in 4..=20 {
        let mailbox = Mailbox::new();
        mailbox.queue(SAVES);
        mailbox.rows(&[program_row("exit 0"), Instruction::Forward(b"a@x.test".to_vec())]);
        let output = mailbox.command(&format!("3>&-; ulimit -n {most}")).output().unwrap();
        let envelope = fs::read(mailbox.site.home.path().join("envelope")).unwrap_or_default();
        let queued = envelope == b"Fs@t.test\0Ta@x.test\0\0";
        assert_eq!(
            (code(&output), envelope.is_empty()),
            if queued { (0, false) } else { (111, true) },
            "{most}: {output:?}"
        );
        codes.push(code(&output));
    }
    // Neither all nor none, or this tests nothing.
    assert_eq!((codes.first(), codes.last()), (Some(&111), Some(&0)), "{codes:?}");
}

#[test]
fn no_answer_and_every_refusal_wait() {
    let mailbox = Mailbox::new();
    let waits = |why: &str| {
        let output = mailbox.run();
        let said = text(&output);
        assert_eq!(code(&output), 111, "{why}: {output:?}");
        assert!(said.starts_with("Unable to look up how mail is delivered: "), "{why}: {said}");
        assert!(said.ends_with(". (#4.3.0)\n"), "{why}: {said}");
        mailbox.has_nothing();
    };
    waits("no daemon");
    let rows =
        Delivery::Rows { set: Set::Exact, instructions: every_kind("true").into(), owner: OwnerFlags::default() };
    let (whole, empty) = (deliver::encode(&rows), Instruction::Program(Vec::new()));
    let broken = Delivery::Rows { set: Set::Exact, instructions: vec![empty], owner: OwnerFlags::default() };
    for (why, answer) in [
        ("TEMP", map_frame(Reply::Temp(b"down"))),
        ("TIMEOUT", map_frame(Reply::Timeout(b"slow"))),
        ("PERM", map_frame(Reply::Perm(b"no"))),
        ("NOTFOUND", map_frame(Reply::NotFound)),
        ("half an answer", map_frame(Reply::Ok(&whole[..whole.len() / 2]))),
        ("an instruction that is none", map_frame(Reply::Ok(&deliver::encode(&broken)))),
        ("nothing", map_frame(Reply::Ok(b""))),
    ] {
        let _ = fs::remove_file(mailbox.site.lookup());
        answering(mailbox.site.lookup(), answer);
        waits(why);
    }
    // The daemon's own deferral and bounce are words for word.
    for (said, wanted) in [(Delivery::Defer("x (#4.3.0)".into()), 111), (Delivery::Bounce("x (#4.3.0)".into()), 100)] {
        mailbox.says(&said);
        let output = mailbox.run();
        assert_eq!((code(&output), text(&output).as_str()), (wanted, "x (#4.3.0)\n"));
    }
}

#[test]
fn what_qmail_lspawn_never_says_bounces_with_the_usage() {
    let mailbox = Mailbox::new();
    let seen = mailbox.rows(&every_kind("true"));
    let home = mailbox.home.to_str().unwrap();
    let relative = ["iain", "iain", "iain", "", "", "host.test", "", ""];
    for words in [&[][..], &["-n"], &["-x"], &["iain", home, "iain", "", "", "host.test", ""], &relative] {
        let output = mailbox.site.command(program("qmail-local")).args(words).output().unwrap();
        assert_eq!(code(&output), 100, "{words:?}");
        assert!(text(&output).contains("qmail-local: usage: qmail-local [ -nN ] user homedir"), "{words:?}");
    }
    assert!(seen.frames().is_empty());
    mailbox.has_nothing();
}
