//! qmail-getpw as qmail-lspawn runs it: what each local part gives, in whatever state its descriptors are.

use super::{alias_user, six, trial};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{ALIAS, Answer, IAIN, RcptCheck, SECRET, Said, Site, VIRTUAL, example};
use std::process::{Command, Stdio};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("getpw::every_local_part_gives_its_six_fields", fields),
        trial("getpw::odd_bytes_and_lengths_never_bounce_and_never_reach_a_mailbox", odd),
        trial("getpw::a_full_or_closed_standard_output_defers", output),
        trial("getpw::without_its_other_descriptors_it_answers_all_the_same", descriptors),
        trial("getpw::four_megabytes_are_enough_for_every_program", memory),
        trial("getpw::a_panic_ends_with_the_temporary_code", panics),
        trial("getpw::a_stock_program_that_is_missing_or_ours_defers", stock),
        trial("getpw::without_stock_program_the_alias_user_is_the_daemons", no_stock),
    ]
}

fn fields() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    let iain = |dash, ext| six(&site, "iain", IAIN, dash, ext);
    let encoded = |local: &str| {
        let user = nix::unistd::User::from_name(ALIAS).ok().flatten();
        user.map(|user| {
            let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
            let home = user.dir.display().to_string();
            Answer::Fields([ALIAS, &uid, &gid, &home, "-", local].map(|field| field.as_bytes().to_vec()))
        })
    };
    let bob_smith = six(&site, "bob-smith", qmail_lookup_tests::site::BOB_SMITH, "", "");
    let sysuser = Answer::Fields(["sysuser", "1234", "1234", "/sys", "", ""].map(|field| field.as_bytes().to_vec()));
    let cases = [
        ("iain", iain("", "")),
        ("IAIN", iain("", "")),
        ("iain-", iain("-", "")),
        ("iain-work", iain("-", "work")),
        ("IAIN-Work", iain("-", "Work")),
        ("iain-a-B-c", iain("-", "a-B-c")),
        ("bob-smith", bob_smith),
        ("bob-Smith-Lists", six(&site, "bob-smith", qmail_lookup_tests::site::BOB_SMITH, "-", "Lists")),
        ("bob-jones", six(&site, "bob", qmail_lookup_tests::site::BOB, "-", "jones")),
        ("=virtual.com=-Any.One", six(&site, "virtual", VIRTUAL, "-", "Any.One")),
        // Not as sync writes it (rule V1): somebody typed that.
        ("=VIRTUAL.com=-x", alias_user("=VIRTUAL.com=-x")),
        ("=bar.com=-sales", iain("-", "work")),
        ("=bar.com=-iain", iain("", "")),
        ("sysuser", sysuser),
        ("nobody", alias_user("nobody")),
        ("No-Body", alias_user("No-Body")),
        ("broken", Answer::Deferred),
        ("broken-ext", Answer::Deferred),
        ("=removed.com=-x", Answer::Deferred),
    ];
    for (local, right) in cases {
        equal(local, site.lspawn(local)?, right)?;
    }
    for local in ["=bar.com=-nobody", "=bar.com=-Sales-x"] {
        equal(local, Some(site.lspawn(local)?), encoded(local))?;
    }
    let log = daemon.log();
    ensure(log.contains("broken"), format!("the row that is broken is not in the log: {log}"))
}

fn odd() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    let long = |length: usize| "x".repeat(length);
    let (k1, k9, k100) = (long(1000), long(9000), long(100_000));
    let many = format!("iain{}", "-x".repeat(400));
    let locals: [&[u8]; 20] = [
        b"",
        b"-",
        b"--help",
        b"-h",
        b"--",
        b"\x01",
        b"\xe4\xff",
        b" ",
        b"iain ",
        b" iain",
        b"iain\t",
        b"iain\n",
        b"iain\x7f",
        b"iain@mail.test",
        b"\"iain\"",
        b"%",
        b"=",
        b"'; DROP TABLE mailbox; --",
        k1.as_bytes(),
        b"=bar.com=sales",
    ];
    for local in locals {
        match site.lspawn(local)? {
            // Asked for as it stands, by the stock program.
            Answer::Fields([user, _, _, _, dash, ext]) => {
                let is_alias = user == ALIAS.as_bytes() && dash == b"-" && ext == local;
                ensure(is_alias, format!("{:?} reaches {user:?} {ext:?}", String::from_utf8_lossy(local)))?;
            }
            Answer::Deferred => {}
            harmful @ Answer::Harmful(_) => return Err(format!("{local:?}: {harmful:?}").into()),
        }
    }
    // What is too long to be asked for is deferred; what is only long is somebody's.
    equal("9000 bytes", site.lspawn(&k9)?, Answer::Deferred)?;
    equal("100000 bytes", site.lspawn(&k100)?, Answer::Deferred)?;
    let ext = many.strip_prefix("iain-").unwrap_or_default();
    equal("many breaks", site.lspawn(&many)?, six(&site, "iain", IAIN, "-", ext))?;
    // An extension of any bytes stays what it is.
    let Answer::Fields([user, _, _, _, dash, ext]) = site.lspawn(b"iain-\x01\xff A")? else {
        return Err("an extension of odd bytes is not delivered".into());
    };
    equal("odd extension", (&user[..], &dash[..], &ext[..]), (&b"iain"[..], &b"-"[..], &b"\x01\xff A"[..]))
}

fn output() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    for preparation in ["exec 1>/dev/full", "exec 1>&-", "exec 1</dev/null"] {
        // nobody's answer is the stock program's to write.
        for local in ["iain", "=bar.com=-nobody"] {
            let (answer, _) = site.lspawn_after(preparation, local)?;
            equal(&format!("{preparation}: {local}"), answer, Answer::Deferred)?;
        }
    }
    Ok(())
}

fn descriptors() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    for preparation in ["exec 2>&-", "exec 0<&-", "exec 0<&- 2>&- 4>&-", "exec 2>/dev/full", "ulimit -n 16"] {
        let (answer, _) = site.lspawn_after(preparation, "iain")?;
        equal(preparation, answer, six(&site, "iain", IAIN, "", ""))?;
    }
    for preparation in ["exec 0<&- 1>&- 2>&-", "exec 1>/dev/full 2>/dev/full"] {
        equal(preparation, site.rcptcheck_after(preparation, "nobody@bar.com")?, RcptCheck::Unknown)?;
        equal(preparation, site.rcptcheck_after(preparation, "iain@bar.com")?, RcptCheck::Possible)?;
    }
    for preparation in ["exec 0<&- 2>&-", "exec 2>/dev/full"] {
        equal(preparation, site.checkpassword_after(preparation, "iain", "wrong")?, Said::Exit(1))?;
        equal(preparation, site.checkpassword_after(preparation, "iain", SECRET)?, super::let_in(&site))?;
    }
    // Without descriptor 3 there is nobody to check, and nobody to let in.
    for preparation in ["exec 3<&-", "exec 3</dev/null"] {
        equal(preparation, site.checkpassword_after(preparation, "iain", SECRET)?, Said::Exit(2))?;
    }
    Ok(())
}

/// softlimit -m 4000000: data, stack, locked memory and all segments together.
const SOFTLIMIT: &str = "ulimit -d 3906 && ulimit -s 3906 && ulimit -l 3906 && ulimit -v 3906";

fn memory() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    equal("qmail-getpw", site.lspawn_after(SOFTLIMIT, "iain")?.0, six(&site, "iain", IAIN, "", ""))?;
    let long = format!("iain-{}", "x".repeat(4000));
    let right = six(&site, "iain", IAIN, "-", &"x".repeat(4000));
    equal("qmail-getpw, a long extension", site.lspawn_after(SOFTLIMIT, &long)?.0, right)?;
    equal("checkpassword", site.checkpassword_after(SOFTLIMIT, "iain", "wrong")?, Said::Exit(1))?;
    equal("qmail-rcptcheck", site.rcptcheck_after(SOFTLIMIT, "nobody@bar.com")?, RcptCheck::Unknown)?;
    equal("qmail-rcptcheck", site.rcptcheck_after(SOFTLIMIT, "iain@bar.com")?, RcptCheck::Possible)
}

fn panics() -> Outcome {
    let program = example("panics")?;
    let codes =
        [("qmail-getpw", 118), ("checkpassword", 111), ("dovecot-checkpassword", 111), ("qmail-rcptcheck", 111)];
    for (name, code) in codes {
        let mut command = Command::new(&program);
        let output = command.arg(name).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
        equal(name, output.status.code(), Some(code))?;
        ensure(output.stdout.is_empty() && output.stderr.is_empty(), format!("{name} says something: {output:?}"))?;
    }
    Ok(())
}

fn stock() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    let (program, ours) = (site.path("q/bin/qmail-getpw.stock"), site.path("q/bin/qmail-getpw"));
    std::fs::remove_file(&program)?;
    equal("missing", site.lspawn("nobody")?, Answer::Deferred)?;
    std::os::unix::fs::symlink(&ours, &program)?;
    equal("a symlink to ours", site.lspawn("nobody")?, Answer::Deferred)?;
    std::fs::remove_file(&program)?;
    std::fs::hard_link(&ours, &program)?;
    equal("a link to ours", site.lspawn("nobody")?, Answer::Deferred)?;
    std::fs::remove_file(&program)?;
    ensure(Command::new("cp").arg(&ours).arg(&program).status()?.success(), "cp")?;
    equal("a copy of ours", site.lspawn("nobody")?, Answer::Deferred)?;
    std::fs::remove_file(&program)?;
    std::fs::create_dir(&program)?;
    equal("a folder", site.lspawn("nobody")?, Answer::Deferred)?;
    std::fs::remove_dir(&program)?;
    std::fs::write(&program, "no program")?;
    equal("no program", site.lspawn("nobody")?, Answer::Deferred)?;
    equal("a mailbox needs none of it", site.lspawn("iain")?, six(&site, "iain", IAIN, "", ""))?;
    drop(daemon);
    Ok(())
}

fn no_stock() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    std::fs::remove_file(site.path("q/bin/qmail-getpw.stock"))?;
    std::fs::write(site.path("q/control/nostock"), "")?;
    let [user, uid, _, home, dash, ext] = site.lspawn("No-Body")?.fields()?;
    let real = nix::unistd::User::from_name(ALIAS)?.ok_or("no alias user")?;
    let right = (ALIAS.to_owned(), real.uid.to_string(), real.dir.display().to_string());
    equal("alias user", (user, uid, home), right)?;
    equal("extension", (&dash[..], &ext[..]), ("-", "No-Body"))
}
