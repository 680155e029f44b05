//! Homes and maildirs, tried as the user of the row; and logins.

use super::ground::{Damage, Ground, Send};
use super::trial;
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::process::Command;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("homes::each_damage_is_found_alone_and_mended_by_its_command", mended),
        trial("homes::one_closed_folder_above_all_homes_is_told_once", above),
        trial("homes::no_command_reaches_what_an_owner_has_linked_to", links),
        trial("homes::whoever_looks_first_has_to_get_there_too", looker),
        trial("homes::the_alias_users_home_is_looked_at", alias),
        trial("homes::homes_that_are_all_gone_are_not_made", unmounted),
        trial("homes::a_maildir_that_mail_needs_is_missed", default_delivery),
        trial("logins::each_mailbox_that_nobody_can_log_in_to_is_told", malformed),
        trial("logins::a_statement_mends_a_row_of_any_name", names),
        trial("homes::the_mailbox_that_is_named_needs_a_maildir_and_a_password", named),
        trial("homes::nobody_but_root_is_told_more_than_he_can_see", not_root),
    ]
}

const ALIAS: &str = "prints out details for alias yet";
const ALIAS_USER: &str = "alias user's home";
const MAILDIR: &str = "this user has no $HOME/Maildir";

fn mended() -> Outcome {
    let ground = Ground::sqlite("")?;
    let maildir = "setpriv --reuid=20001 --regid=20001 --clear-groups mkdir -p";
    ground.run(&format!("{maildir} {0}/tmp {0}/new {0}/cur", ground.site.path("homes/iain/Maildir").display()))?;
    ground.is_well("a maildir")?;
    for (name, harm, question, mend) in [
        ("another uid", "chown 20002 HOMES/iain", ALIAS, "chown -h 20001:20001 HOMES/iain"),
        ("another gid", "chgrp 20002 HOMES/iain", ALIAS, "chown -h 20001:20001 HOMES/iain"),
        ("no home", "rmdir HOMES/bob-smith", ALIAS, "install -d -m 0700 -o 20003 -g 20003 HOMES/bob-smith"),
        ("a home that everybody can write", "chmod o+w HOMES/bob", MAILDIR, "chmod o-w HOMES/bob"),
        ("a sticky home", "chmod +t HOMES/bob", MAILDIR, "chmod -t HOMES/bob"),
        ("a home without search", "chmod 0600 HOMES/bob", MAILDIR, "chmod u+x HOMES/bob"),
        (
            "new/ read-only",
            "chmod 0500 HOMES/iain/Maildir/new",
            MAILDIR,
            "setpriv --reuid=20001 --regid=20001 --clear-groups chmod u+rwx HOMES/iain/Maildir/new",
        ),
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
    ground.mends(&Damage { name: "homes", harm, options: &[], question: ALIAS, mend: "chmod o+x HOMES" })?;
    Ok(())
}

fn links() -> Outcome {
    let ground = Ground::sqlite("")?;
    let maildir = "setpriv --reuid=20001 --regid=20001 --clear-groups mkdir -p";
    let (iain, bob) = (ground.site.path("homes/iain"), ground.site.path("homes/bob"));
    ground.run(&format!("{maildir} {0}/Maildir/tmp {0}/Maildir/cur", iain.display()))?;
    ground.run(&format!("chmod 0700 {1} && ln -s {1}/Maildir/new {0}/Maildir/new", iain.display(), bob.display()))?;
    ground.run(&format!("mkdir -p {}/Maildir/new", bob.display()))?;
    let mend = ground.finds("new/", &["--user", "iain"], MAILDIR)?;
    ensure(mend.contains("new is a link to ") && !mend.starts_with("ch") && !mend.contains(" && "), mend)?;
    let system = ground.site.path("q/control/me");
    ground.run(&format!("mv {0} {0}.own && ln -s {1} {0}", iain.display(), system.display()))?;
    let mend = ground.finds("a home", &["--user", "iain"], ALIAS)?;
    ensure(mend.contains("iain is a link to ") && !mend.starts_with("chown"), mend)?;
    // Root's directory in a column by mistake.
    ground.site.sql(&format!("UPDATE mailbox SET home = '{}' WHERE username = 'iain'", system.display()))?;
    let mend = ground.finds("control/me", &["--user", "iain"], ALIAS)?;
    ensure(!mend.starts_with("ch"), mend)
}

fn looker() -> Outcome {
    let ground = Ground::sqlite("")?;
    ground.mends(&Damage {
        name: "a folder that qmailp's group cannot search",
        harm: "chgrp 60 HOMES && chmod 0701 HOMES",
        options: &[],
        question: ALIAS,
        mend: "chmod g+x HOMES",
    })
}

fn alias() -> Outcome {
    let ground = Ground::sqlite("")?;
    for (name, harm, mend) in [
        ("everybody's", "chmod 0777 Q/alias", "chmod o-w Q/alias"),
        ("root's alone", "chmod 0700 Q/alias", "chmod o+x Q/alias"),
        ("sticky", "chmod +t Q/alias", "chmod -t Q/alias"),
    ] {
        ground.mends(&Damage { name, harm, options: &[], question: ALIAS_USER, mend })?;
    }
    ground.users(&ground.site.path("nowhere/alias"), "")?;
    let mend = ground.finds("gone", &[], ALIAS_USER)?;
    ensure(mend.contains("is its file system mounted?"), mend)
}

fn unmounted() -> Outcome {
    let ground = Ground::sqlite("")?;
    let homes = ground.site.path("homes").display().to_string();
    for (harm, back) in [
        (format!("mv {homes} {homes}.away"), format!("mv {homes}.away {homes}")),
        (format!("mv {homes} {homes}.away && mkdir {homes}"), format!("rmdir {homes} && mv {homes}.away {homes}")),
    ] {
        ground.run(&harm)?;
        let mend = ground.finds(&harm, &[], ALIAS)?;
        equal("mend", mend.as_str(), "is their file system mounted?")?;
        ground.run(&back)?;
        ground.is_well(&back)?;
    }
    ground.run(&format!("mv {homes} {homes}.away"))?;
    let mend = ground.finds("one", &["--user", "bob"], ALIAS)?;
    ensure(mend.ends_with("is its file system mounted?"), mend)
}

fn default_delivery() -> Outcome {
    let mut ground = Ground::sqlite("")?;
    let own = "setpriv --reuid=20002 --regid=20002 --clear-groups touch HOMES/bob/.qmail";
    ground.run(&own.replace("HOMES", &ground.site.path("homes").display().to_string()))?;
    ground.site.sql("INSERT INTO alias VALUES ('iain', '', '.', '/Mailbox')")?;
    ground.is_well("./Mailbox, or not known")?;
    ground.send = None;
    std::fs::remove_file(ground.site.path("q/ready"))?;
    ground.site.script("q/bin/qmail-lspawn", "exec >/dev/null 2>&1\nwhile kill -0 $PPID; do sleep 0.2; done")?;
    let lspawn = ground.site.path("q/bin/qmail-lspawn");
    ground.send = Some(Send::start(&ground.site, &format!("{{ {} ./Maildir/ & }}", lspawn.display()))?);
    let said = ground.ask(&[])?;
    let told = |name: &str| said.wrong.iter().any(|(_, what, _)| what.starts_with(&format!("mailbox {name}: ")));
    ensure(said.wrong.iter().all(|(question, ..)| question.contains(MAILDIR)), format!("{said:#?}"))?;
    // iain has rows of the blank alias, bob a file.
    ensure(told("bob-smith") && !told("bob") && !told("iain"), format!("{said:#?}"))?;
    for (_, _, mend) in &said.wrong {
        ground.run(mend)?;
    }
    ground.is_well("maildirs")
}

const REFUSES: &str = "always refuses to authenticate";

fn malformed() -> Outcome {
    let ground = Ground::sqlite("")?;
    ground.site.sql("UPDATE mailbox SET password_type = 'Crypt-Password', password = '$2b$10$cutoff'")?;
    let said = ground.ask(&[])?;
    let rows = said.wrong.iter().filter(|(question, ..)| question.contains(REFUSES));
    ensure(rows.clone().all(|(_, _, mend)| mend == "set a new password"), format!("{said:#?}"))?;
    equal("mailboxes", rows.count(), 5)
}

fn names() -> Outcome {
    let ground = Ground::sqlite("")?;
    let home = ground.site.path("homes/bob").display().to_string();
    for name in ["o''hara", "back\\slash", "a\"b$c`d"] {
        ground.site.sql(&format!(
            "INSERT INTO mailbox VALUES ('{name}', '20002', '20002', '{home}', '$1$sdfsdf$asdffffffffffffffffff/', \
             'Password', 'N')"
        ))?;
        ground.mends(&Damage { name, harm: ":", options: &[], question: REFUSES, mend: "UPDATE " })?;
    }
    Ok(())
}

fn named() -> Outcome {
    let ground = Ground::sqlite("")?;
    let one = ["--user", "IAIN"];
    let mend = "setpriv --reuid=20001 --regid=20001 --clear-groups mkdir -p -m 0700 HOMES/iain/Maildir";
    ground.mends(&Damage { name: "no maildir", harm: ":", options: &one, question: MAILDIR, mend })?;
    let refuses = "always refuses to authenticate";
    for (set, mend) in [
        ("suspended = 'Y'", "UPDATE "),
        ("password_type = 'Password', password = '$1$sdfsdf$asdffffffffffffffffff/'", "UPDATE "),
    ] {
        ground.site.sql(&format!("UPDATE mailbox SET {set} WHERE username = 'iain'"))?;
        ground.mends(&Damage { name: set, harm: ":", options: &one, question: refuses, mend })?;
    }
    let said = ground.ask(&["--user", "nobody-here"])?;
    let what = said.wrong.first().map(|(_, what, _)| what.as_str());
    ensure(what == Some("there is no mailbox 'nobody-here'"), format!("{said:#?}"))?;
    let said = ground.ask(&["--user", "a;reboot"])?;
    let mend = said.wrong.first().map(|(_, _, mend)| mend.clone()).unwrap_or_default();
    let wanted = format!("qmail-lookup --config {} getpw -- 'a;reboot'", ground.site.config().display());
    ensure(mend.ends_with(&wanted), format!("{said:#?}"))
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
