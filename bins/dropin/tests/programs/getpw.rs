//! qmail-getpw: its answer, its arguments and its descriptors.

use super::daemon::{answering, getpw_answer, getpw_frame, six};
use super::faults;
use super::site::{Site, code, program};
use qmail_lookup_core::getpw::{Answer, SixFields, Winner};
use qmail_lookup_core::wire::socketmap::Reply;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

/// A site whose daemon answers with a mailbox in order, and the bytes that qmail-lspawn is to get.
fn answered(site: &Site) -> Vec<u8> {
    let (home, uid, gid) = site.user_home("iain");
    let fields = SixFields { dash: b"-".into(), ext: b"Work-\xff\x01 x".into(), ..six("iain", uid, gid, &home) };
    answering(site.lookup(), getpw_frame(&getpw_answer(Winner::Mailbox(fields))));
    [format!("iain\0{uid}\0{gid}\0{}\0-\0", home.display()).as_bytes(), b"Work-\xff\x01 x\0"].concat()
}

#[test]
fn six_fields_byte_by_byte_for_the_local_part_as_it_is() {
    let site = Site::new();
    let (home, uid, gid) = site.user_home("iain");
    let answer = getpw_answer(Winner::Mailbox(six("iain", uid, gid, &home)));
    let seen = answering(site.lookup(), getpw_frame(&answer));
    let output = site.command(program("qmail-getpw")).arg(OsStr::from_bytes(b"Iain \x01\"\xff@")).output().unwrap();
    assert_eq!(code(&output), 0, "{output:?}");
    assert_eq!(output.stdout, format!("iain\0{uid}\0{gid}\0{}\0\0\0", home.display()).into_bytes());
    assert!(output.stderr.is_empty());
    assert_eq!(seen.wait_for(1), [b"getpw Iain \x01\"\xff@"]);

    let site = Site::new();
    let wanted = answered(&site);
    assert_eq!(site.command(program("qmail-getpw")).arg("x").output().unwrap().stdout, wanted);
}

#[test]
fn an_answer_that_is_larger_than_a_pipe_arrives_whole() {
    let site = Site::new();
    let (home, uid, gid) = site.user_home("iain");
    let fields = SixFields { ext: vec![b'e'; 90_000], dash: b"-".into(), ..six("iain", uid, gid, &home) };
    let wanted = fields.encode().unwrap();
    answering(site.lookup(), getpw_frame(&getpw_answer(Winner::Mailbox(fields))));
    assert_eq!(site.command(program("qmail-getpw")).arg("iain").output().unwrap().stdout, wanted);
}

#[test]
fn the_alias_user_only_if_the_daemon_says_so() {
    let site = Site::new();
    answering(site.lookup(), getpw_frame(&getpw_answer(Winner::AliasUser)));
    let output = site.command(program("qmail-getpw")).arg("Local-Part").output().unwrap();
    assert_eq!(output.stdout, b"alias\x0064010\x0064011\0/var/qmail/alias\0-\0Local-Part\0");

    let site = Site::new();
    let nobody = Answer { alias: None, ..getpw_answer(Winner::AliasUser) };
    answering(site.lookup(), getpw_frame(&nobody));
    let output = site.command(program("qmail-getpw")).arg("Local-Part").output().unwrap();
    assert_eq!((code(&output), output.stdout.len()), (118, 0));
}

/// A good frame of exactly this length.
fn filling(length: usize) -> Vec<u8> {
    let frame = |ext: usize| {
        let answer = getpw_answer(Winner::AliasUser);
        let alias = answer.alias.clone().map(|alias| SixFields { ext: vec![b'e'; ext], ..alias });
        getpw_frame(&Answer { alias, ..answer })
    };
    (0..length).map(frame).find(|frame| frame.len() == length).unwrap()
}

#[test]
fn whatever_the_daemon_does_wrong_defers() {
    let run = |site: &Site| site.command(program("qmail-getpw")).arg("iain").output().unwrap();
    let good = getpw_frame(&getpw_answer(Winner::AliasUser));
    let map = |reply: Reply<'_>| super::daemon::map_frame(reply);
    let bad = [
        ("a byte behind a frame that fills one read", [&filling(4096)[..], b"x"].concat()),
        ("TEMP", map(Reply::Temp(b"down"))),
        ("TIMEOUT", map(Reply::Timeout(b"slow"))),
        ("PERM", map(Reply::Perm(b"no"))),
        ("NOTFOUND", map(Reply::NotFound)),
        ("OK without data", map(Reply::Ok(b""))),
        ("another version", map(Reply::Ok(b"1:2,5:defer,5:defer,0:,0:,"))),
        ("no version", map(Reply::Ok(b"5:defer,5:defer,0:,0:,"))),
        ("an unknown word", b"8:MAYBE xx,".to_vec()),
        ("root", map(Reply::Ok(b"1:1,5:defer,5:defer,29:4:root,1:0,1:0,5:/root,0:,0:,,0:,"))),
    ];
    faults::not_without_a_fault(118, Site::lookup, &good, run);
    faults::each_is_temporary(118, Site::lookup, &good, &bad, run);
}

#[test]
fn other_arguments_defer_without_a_question() {
    let site = Site::new();
    let seen = answering(site.lookup(), getpw_frame(&getpw_answer(Winner::AliasUser)));
    let long = "x".repeat(8177);
    for arguments in [&[][..], &["a", "b"], &["a", "b", "c"], &[&long]] {
        let output = site.command(program("qmail-getpw")).args(arguments).output().unwrap();
        assert_eq!(code(&output), 118);
        assert!(output.stdout.is_empty() && output.stderr.is_empty());
    }
    assert!(seen.frames().is_empty());
    assert_eq!(code(&site.command(program("qmail-getpw")).arg(&long[1..]).output().unwrap()), 0);
}

#[test]
fn an_answer_that_cannot_be_written_defers() {
    let site = Site::new();
    answered(&site);
    for redirection in [">&-", "</dev/null >&- 2>&-", ">/dev/full", "1</dev/null"] {
        let status = site.redirected(redirection, program("qmail-getpw")).arg("x").status().unwrap();
        assert_eq!(status.code(), Some(118), "{redirection}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = site.command(program("qmail-getpw")).arg("x").stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(118), "a pipe without a reader");
}

#[test]
fn descriptor_0_is_not_touched_and_2_need_not_be_there() {
    let site = Site::new();
    let wanted = answered(&site);
    let path = site.run.path().join("commands");
    std::fs::write(&path, "0123456789").unwrap();
    let mut file = File::open(&path).unwrap();
    file.seek(SeekFrom::Start(5)).unwrap();
    let output = site.command(program("qmail-getpw")).arg("x").stdin(file.try_clone().unwrap()).output().unwrap();
    assert_eq!((output.stdout, file.stream_position().unwrap()), (wanted.clone(), 5));

    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"commands").unwrap();
    drop(writer);
    let output = site.command(program("qmail-getpw")).arg("x").stdin(reader.try_clone().unwrap()).output().unwrap();
    let mut left = String::new();
    reader.read_to_string(&mut left).unwrap();
    assert_eq!((output.stdout, &left[..]), (wanted.clone(), "commands"));

    for redirection in ["<&-", "2>&-", "2</dev/null", "<&- 2>&-"] {
        let output = site.redirected(redirection, program("qmail-getpw")).arg("x").output().unwrap();
        assert_eq!(output.stdout, wanted, "{redirection}");
    }
}

#[test]
fn nothing_is_written_to_a_standard_error_that_is_no_terminal() {
    let site = Site::new();
    let log = site.run.path().join("log");
    for arguments in [&[][..], &["x"]] {
        std::fs::write(site.home.path().join("control/lookupsocket"), "").unwrap();
        let stderr = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let status = site.command(program("qmail-getpw")).args(arguments).stdout(Stdio::null()).stderr(stderr).status();
        assert_eq!(status.unwrap().code(), Some(118));
    }
    assert_eq!(std::fs::read(&log).unwrap(), b"");
}
