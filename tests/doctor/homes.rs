//! Homes and maildirs, tried as the user of the row; and logins.

use super::ground::{Damage, Ground};
use super::trial;
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure};
use std::process::Command;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("homes::each_damage_is_found_alone_and_mended_by_its_command", mended),
        trial("homes::one_closed_folder_above_all_homes_is_told_once", above),
        trial("homes::the_mailbox_that_is_named_needs_a_maildir_and_a_password", named),
        trial("homes::nobody_but_root_is_told_more_than_he_can_see", not_root),
    ]
}

const ALIAS: &str = "prints out details for alias yet";
const MAILDIR: &str = "this user has no $HOME/Maildir";

fn mended() -> Outcome {
    let ground = Ground::sqlite("")?;
    let maildir = "setpriv --reuid=20001 --regid=20001 --clear-groups mkdir -p";
    ground.run(&format!("{maildir} {0}/tmp {0}/new {0}/cur", ground.site.path("homes/iain/Maildir").display()))?;
    ground.is_well("a maildir")?;
    for (name, harm, question, mend) in [
        ("another uid", "chown 20002 HOMES/iain", ALIAS, "chown 20001:20001 HOMES/iain"),
        ("another gid", "chgrp 20002 HOMES/iain", ALIAS, "chown 20001:20001 HOMES/iain"),
        ("no home", "rmdir HOMES/bob-smith", ALIAS, "install -d -m 0700 -o 20003 -g 20003 HOMES/bob-smith"),
        ("a home that everybody can write", "chmod o+w HOMES/bob", MAILDIR, "chmod o-w HOMES/bob"),
        ("a sticky home", "chmod +t HOMES/bob", MAILDIR, "chmod -t HOMES/bob"),
        ("a home without search", "chmod 0600 HOMES/bob", MAILDIR, "chmod u+x HOMES/bob"),
        ("new/ read-only", "chmod 0500 HOMES/iain/Maildir/new", MAILDIR, "chmod u+rwx HOMES/iain/Maildir/new"),
        (
            "a maildir of root's",
            "chown -R root HOMES/iain/Maildir",
            MAILDIR,
            "chown -hR 20001:20001 HOMES/iain/Maildir",
        ),
        (
            "no cur/",
            "rmdir HOMES/iain/Maildir/cur",
            MAILDIR,
            "setpriv --reuid=20001 --regid=20001 --clear-groups mkdir",
        ),
    ] {
        ground.mends(&Damage { name, harm, options: &[], question, mend })?;
    }
    Ok(())
}

fn above() -> Outcome {
    let ground = Ground::sqlite("")?;
    let harm = "chmod 0700 HOMES";
    ground.mends(&Damage { name: "homes", harm, options: &[], question: MAILDIR, mend: "chmod o+x HOMES" })
}

fn named() -> Outcome {
    let ground = Ground::sqlite("")?;
    let one = ["--user", "IAIN"];
    let mend = "setpriv --reuid=20001 --regid=20001 --clear-groups mkdir -p -m 0700 HOMES/iain/Maildir";
    ground.mends(&Damage { name: "no maildir", harm: ":", options: &one, question: MAILDIR, mend })?;
    let refuses = "always refuses to authenticate";
    for (set, mend) in [
        ("suspended = 'Y'", "UPDATE mailbox SET suspended = 'N' WHERE username = 'iain';"),
        (
            "password_type = 'Password', password = '$1$sdfsdf$asdffffffffffffffffff/'",
            "UPDATE mailbox SET password_type = 'Crypt-Password' WHERE username = 'iain';",
        ),
    ] {
        ground.site.sql(&format!("UPDATE mailbox SET {set} WHERE username = 'iain'"))?;
        ground.mends(&Damage { name: set, harm: ":", options: &one, question: refuses, mend })?;
    }
    let said = ground.ask(&["--user", "nobody-here"])?;
    let what = said.wrong.first().map(|(_, what, _)| what.as_str());
    ensure(what == Some("there is no mailbox 'nobody-here'"), format!("{said:#?}"))
}

fn not_root() -> Outcome {
    let ground = Ground::sqlite("")?;
    ground.run(&format!("chmod 0644 CONFIG && chmod o+r {}", ground.site.path("db/store.sqlite").display()))?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=20901", "--regid=20901", "--clear-groups"]);
    let tool = qmail_lookup_tests::site::program("qmail-lookup")?;
    // The folder of the build may be closed to others.
    let copy = ground.site.path("qmail-lookup");
    ensure(Command::new("cp").arg(tool).arg(&copy).status()?.success(), "cp")?;
    command.arg(copy).arg("--config").arg(ground.site.config()).args(["--json", "doctor"]);
    let done = command.env_clear().output()?;
    let said = super::ground::Said::read(done.status.code(), &done.stdout, &done.stderr)?;
    ensure(said.wrong.is_empty() && said.code == Some(111), format!("{said:#?}"))?;
    let as_root = said.unknown.iter().filter(|(_, _, mend)| mend == "run it as root").count();
    ensure(as_root >= 3, format!("{said:#?}"))
}
