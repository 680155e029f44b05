//! What is refused, all of it at once, and what is only said.

use super::ground::{Entry, Ground, Qmail, copy, programs, same, texts, trial, with_settings};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{self, Site, dropin, example};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

pub(super) fn trials() -> Vec<Trial> {
    let plain_percent =
        |ground: &Ground| catch_all(ground, "'%'", "'%' row", "update `virtual` set virtual_username=''");
    let like_blank =
        |ground: &Ground| catch_all(ground, "''", "blank row", "update `virtual` set virtual_username='%'");
    let mut trials = vec![
        trial("refused::everything_is_said_at_once_and_nothing_is_changed", at_once),
        trial("refused::a_line_for_everybody_in_users_cdb", everybody),
        trial("refused::a_damaged_users_cdb_is_not_known", damaged),
        trial("refused::lines_that_contradict_rows_are_warnings", contradict),
        trial("refused::a_patched_qmail_is_named", patched),
        trial("refused::ours_is_never_the_stock_program", ours_as_stock),
        trial("refused::programs_that_are_not_ours_or_do_not_run", foreign),
        trial("refused::a_folder_that_is_no_qmail", no_qmail),
        trial("refused::a_store_that_is_away_is_not_known", away),
        trial("refused::two_at_a_time", two),
        trial("refused::bytes_of_users_cdb_do_not_reach_the_terminal", terminal),
        trial("refused::users_that_are_missing", missing_users),
        trial("refused::catch_alls_of_the_other_mode::plain::sqlite", plain_percent),
        with_settings(
            "refused::catch_alls_of_the_other_mode::like::sqlite",
            "[rules]\nvirtual_patterns = \"like\"",
            like_blank,
        ),
    ];
    trials.push(site::trial("install::refused::catch_alls_of_the_other_mode::plain::mariadb", move || {
        plain_percent(&Ground { site: Site::mariadb("")? })
    }));
    trials.push(site::trial("install::refused::catch_alls_of_the_other_mode::like::mariadb", move || {
        like_blank(&Ground { site: Site::mariadb("[rules]\nvirtual_patterns = \"like\"")? })
    }));
    trials
}

/// All but the folder of the lock.
fn rest(qmail: &Qmail<'_>) -> Result<BTreeMap<String, Entry>, Failed> {
    let all = qmail.snapshot()?.into_iter();
    Ok(all.filter(|(name, _)| !name.starts_with("qmail-lookup")).collect())
}

/// The refusals, after a look that nothing was changed.
pub(super) fn refusals(qmail: &Qmail<'_>, more: &[&str]) -> Result<Vec<String>, Failed> {
    let before = rest(qmail)?;
    let run = qmail.install(&[&["--json"], more].concat())?.exits(1)?;
    same("refused", &rest(qmail)?, &before)?;
    let said = qmail.install(more)?.exits(1)?.says("nothing was changed\n")?;
    let refused = texts(&run, "refused")?;
    for text in &refused {
        ensure(said.out.contains(&format!("refused: {text}: ")), format!("{text}: {said:?}"))?;
    }
    Ok(refused)
}

/// A users/cdb with these lines of users/assign, `=name:user:uid` or `+name:user:uid`.
fn assign(qmail: &Qmail<'_>, lines: &[&str]) -> Outcome {
    let mut database = cdb2::CDBWriter::create(qmail.path("users/cdb"))?;
    for line in lines {
        let fields: Vec<_> = line[1..].split(':').collect();
        let [name, user, uid] = fields[..] else { return Err("not three fields".into()) };
        let end = if line.starts_with('=') { "\0" } else { "" };
        let data = [user, uid, uid, "/home", "-", "", ""].join("\0");
        database.add(format!("!{name}{end}").as_bytes(), data.as_bytes())?;
    }
    database.add(b"", b"")?;
    Ok(database.finish()?)
}

fn at_once(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    assign(&qmail, &["+:alias:7"])?;
    ground
        .site
        .sql("INSERT INTO virtual (username, ext, virtual_username, virtual_host) VALUES ('bob','','%','p.test')")?;
    qmail.script("qmail-local.stock", "exit 0")?;
    std::fs::remove_file(qmail.bin("qmail-local.stock"))?;
    copy(&dropin("qmail-local")?, &qmail.bin("qmail-local.stock"))?;
    std::fs::write(qmail.bin("qmail-send"), "\x7fELF control/sqlserver")?;
    std::fs::set_permissions(qmail.bin("qmail-getpw"), std::fs::Permissions::from_mode(0o750))?;
    let refused = refusals(&qmail, &[])?;
    for text in
        ["for everybody", "'%' row", "not the stock program", "of a patched qmail", "cannot be run by every user"]
    {
        ensure(refused.iter().any(|one| one.contains(text)), format!("{text}: {refused:#?}"))?;
    }
    equal("number", refused.len(), 5)
}

fn everybody(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    assign(&qmail, &["=bob:bob:20002", "+:alias:7"])?;
    let refused = refusals(&qmail, &[])?;
    equal("number", refused.len(), 1)?;
    ensure(refused[0].contains("users/cdb") && refused[0].contains("+:alias:7:"), format!("{refused:?}"))?;
    // The exact line of an empty local part is for nobody.
    assign(&qmail, &["=:alias:7"])?;
    qmail.install(&[])?.exits(0)?;
    Ok(())
}

fn damaged(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    assign(&qmail, &["+:alias:7"])?;
    let whole = std::fs::read(qmail.path("users/cdb"))?;
    let before = rest(&qmail)?.len();
    for bad in [&whole[..whole.len() - 1], &whole[..100], b""] {
        std::fs::write(qmail.path("users/cdb"), bad)?;
        let run = qmail.install(&[])?.exits(111)?.says("users/cdb")?.says("nothing was changed\n")?;
        equal(&format!("{run:?}"), rest(&qmail)?.len(), before)?;
    }
    Ok(())
}

fn contradict(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    assign(
        &qmail,
        &[
            "+bob-:bob:20002",
            "=iain:bob:20002",
            "=good:iain:20001",
            "+virtual-:virtual:20004",
            "=vp:vpopmail:4711",
            "=sys:games:5",
            "=who:iain:9999",
            "=iain-list:games:5",
            "=iain-own:iain:20001",
            "+=bar.com=-:games:5",
        ],
    )?;
    let run = qmail.install(&["--json"])?.exits(0)?;
    let warned: Vec<_> = texts(&run, "warnings")?.into_iter().filter(|text| text.contains("users/cdb")).collect();
    equal(
        "warnings",
        warned,
        [
            "users/cdb gives mail of mailbox bob-smith to another: +bob-:bob:20002:",
            "users/cdb gives mail of mailbox iain to another: =iain-list:games:5:",
            "users/cdb gives mail of mailbox iain to another: =iain:bob:20002:",
            "users/cdb gives mail of virtual host bar.com to another: +=bar.com=-:games:5:",
            "users/cdb names iain, who is no mailbox and no system user of uid 9999: =who:iain:9999:",
            "users/cdb names vpopmail, who is no mailbox and no system user of uid 4711: =vp:vpopmail:4711:",
        ],
    )?;
    ground.site.reconfigure("[daemon.allow]\nlp = [\"deliver_files\"]")?;
    let lp = nix::unistd::User::from_name("lp")?.ok_or("no lp")?.uid;
    assign(&qmail, &[&format!("=vp:vpopmail:{lp}")])?;
    let warned = texts(&qmail.install(&["--json"])?.exits(0)?, "warnings")?;
    ensure(!warned.iter().any(|text| text.contains("users/cdb")), format!("{warned:?}"))
}

fn patched(ground: &Ground) -> Outcome {
    for name in ["qmail-getpw", "qmail-local", "qmail-send", "qmail-smtpd", "qmail-lspawn"] {
        for word in ["control/sqlserver", "libmysqlclient.so.21", "libmariadb.so.3"] {
            let qmail = ground.qmail(&format!("{name}-{}", &word[..9].replace('/', "-")))?;
            std::fs::write(qmail.bin(name), format!("\x7fELF {} {word} x", "x".repeat(200_000)))?;
            let wanted = format!("{} is of a patched qmail", qmail.bin(name).display());
            equal(name, refusals(&qmail, &[])?, [wanted])?;
        }
    }
    Ok(())
}

fn ours_as_stock(ground: &Ground) -> Outcome {
    for name in super::ground::BOTH {
        let qmail = ground.qmail(name)?;
        let stock = qmail.bin(&format!("{name}.stock"));
        copy(&dropin(name)?, &stock)?;
        let wanted = format!("{} is not the stock program, but one of ours", stock.display());
        equal("beside the stock program", refusals(&qmail, &[])?, [wanted.clone()])?;
        std::fs::rename(&stock, qmail.bin(name))?;
        copy(&dropin(name)?, &stock)?;
        equal("beside ours", refusals(&qmail, &[])?, [wanted])?;
    }
    // Ours in place, and nobody knows what was there.
    let qmail = ground.qmail("alone")?;
    for name in super::ground::BOTH {
        std::fs::remove_file(qmail.bin(name))?;
        copy(&dropin(name)?, &qmail.bin(name))?;
    }
    let wanted = format!("there is no {}", qmail.bin("qmail-getpw.stock").display());
    equal("alone", refusals(&qmail, &[])?, [wanted])
}

fn foreign(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let folder = ground.site.path("programs");
    std::fs::create_dir(&folder)?;
    let path = folder.display().to_string();
    let refused = |wanted: [&str; 2]| -> Outcome {
        let found = refusals(&qmail, &["--programs", &path])?;
        equal("number", found.len(), 2)?;
        for (text, wanted) in found.iter().zip(wanted) {
            ensure(text.contains(wanted), format!("{wanted}: {text}"))?;
        }
        Ok(())
    };
    refused(["No such file", "No such file"])?;
    // Each in the place of the other.
    copy(&dropin("qmail-local")?, &folder.join("qmail-getpw"))?;
    copy(&dropin("qmail-getpw")?, &folder.join("qmail-local"))?;
    refused(["not the qmail-local", "not the qmail-getpw"])?;
    for name in super::ground::BOTH {
        std::fs::remove_file(folder.join(name))?;
        copy(&example("impostor")?, &folder.join(name))?;
    }
    refused(["not the qmail-local", "not the qmail-getpw"])?;
    // Ours, but for another system; and ours, but it cannot be run.
    let broken = |from: &[u8]| [b"\x7fELF but not for this machine", from].concat();
    for name in super::ground::BOTH {
        std::fs::write(folder.join(name), broken(&std::fs::read(programs()?.join(name))?))?;
    }
    refused(["cannot run", "cannot run"])?;
    for name in super::ground::BOTH {
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o644))?;
    }
    refused(["is no program", "is no program"])
}

fn no_qmail(ground: &Ground) -> Outcome {
    for missing in ["bin/qmail-lspawn", "control"] {
        let qmail = ground.qmail(&missing.replace('/', "-"))?;
        std::fs::rename(qmail.path(missing), qmail.path("away"))?;
        let refused = refusals(&qmail, &[])?;
        equal("number", refused.len(), 1)?;
        ensure(refused[0].ends_with(&format!("there is no {missing}")), format!("{refused:?}"))?;
        ensure(!qmail.path("qmail-lookup").exists(), "a folder was made where no qmail is")?;
        qmail.uninstall(&[])?.exits(1)?.says("is not the home of a qmail")?;
    }
    // Only root may.
    let qmail = ground.qmail("qmail")?;
    std::fs::set_permissions(ground.site.config(), std::fs::Permissions::from_mode(0o644))?;
    let stranger = ["setpriv", "--reuid=20901", "--regid=20901", "--clear-groups", "--"].map(Into::into);
    let run = qmail.run_below(&stranger, "install", &[])?.exits(1)?.says("run this as root")?;
    ensure(!qmail.path("qmail-lookup").exists(), format!("{run:?}"))?;
    Ok(())
}

fn away(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    std::fs::write(qmail.bin("qmail-send"), "\x7fELF sqlserver")?;
    ground.site.store(false)?;
    let before = rest(&qmail)?;
    let run = qmail.install(&["--json"])?.exits(111)?;
    same("away", &rest(&qmail)?, &before)?;
    equal("refused", texts(&run, "refused")?.len(), 1)?;
    ensure(!texts(&run, "unknown")?.is_empty(), "the store is not named")?;
    qmail.script("qmail-send", "exit 111")?;
    qmail.install(&[])?.exits(111)?.says("not known: ")?;
    ground.site.store(true)?;
    qmail.install(&[])?.exits(0)?;
    // To go back needs no store.
    ground.site.store(false)?;
    qmail.uninstall(&[])?.exits(0)?;
    Ok(())
}

fn two(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    let lock = std::fs::File::options().write(true).open(qmail.path("qmail-lookup/lock"))?;
    lock.lock()?;
    for run in [qmail.install(&[])?, qmail.uninstall(&[])?] {
        run.exits(111)?.complains(&["another qmail-lookup"])?;
    }
    drop(lock);
    qmail.uninstall(&[])?.exits(0)?;
    Ok(())
}

fn missing_users(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let config = std::fs::read_to_string(ground.site.config())?;
    let (alias, asker) = (format!("\"{}\"", site::ALIAS), format!("\n{} = [\"getpw\"]", site::QMAILP));
    ensure(config.contains(&alias) && config.contains(&asker), "another configuration")?;
    std::fs::write(ground.site.config(), config.replace(&alias, "\"nobody-here\"").replace(&asker, ""))?;
    let refused = refusals(&qmail, &[])?;
    let mut wanted = vec!["this machine has no user 'nobody-here' (rules.alias_user)"];
    if nix::unistd::User::from_name("qmailp")?.is_none() {
        wanted.push("this machine has no user 'qmailp', as whom qmail-getpw is run");
    }
    equal("users", refused, wanted)
}

/// `user` is the catch-all of the other mode, as SQL has it.
fn catch_all(ground: &Ground, user: &str, what: &str, help: &str) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let row = |host: &str, user: &str| {
        ground.site.sql(&format!(
            "INSERT INTO `virtual` (username, ext, virtual_username, virtual_host) VALUES ('bob','',{user},{host})"
        ))
    };
    // Some sites' columns take NULL.
    for statement in [
        "DELETE FROM `virtual` WHERE virtual_username = ''",
        "CREATE TABLE other AS SELECT * FROM `virtual`",
        "DROP TABLE `virtual`",
        "CREATE TABLE `virtual` (username varchar(32), ext varchar(255), virtual_username varchar(32), \
         virtual_host varchar(255))",
        "INSERT INTO `virtual` SELECT username, ext, virtual_username, virtual_host FROM other",
    ] {
        ground.site.sql(statement)?;
    }
    // With both rows whoever is meant is found.
    for user in ["''", "'%'"] {
        row("'both.test'", user)?;
    }
    qmail.install(&["--dry-run"])?.exits(0)?;
    row("'A.test'", user)?;
    row("'z.test'", user)?;
    row("NULL", "'%'")?;
    row("NULL", "''")?;
    if user == "''" {
        row("'null.test'", "NULL")?;
        row("'many.test'", "''")?;
        row("'many.test'", "'%%'")?;
    } else {
        row("'null.test'", "'%'")?;
        row("'many.test'", "'%'")?;
        row("'Many.test'", "NULL")?;
    }
    let refused = qmail.install(&["--json"])?.exits(1)?;
    let texts = texts(&refused, "refused")?;
    equal("number", texts.len(), 1)?;
    ensure(texts[0].contains(what) && texts[0].contains("a.test and 2 more hosts"), format!("{texts:?}"))?;
    let json = refused.json()?;
    let said = json["refused"][0]["help"].as_str().ok_or("no help")?;
    let statement = said.find("update ").and_then(|at| said.get(at..)).ok_or(said)?;
    ensure(statement.starts_with(help), said)?;
    // It mends exactly that: nothing has two catch-alls of one form now.
    ground.site.sql(statement)?;
    qmail.install(&["--dry-run"])?.exits(0)?;
    let linted = qmail.run_below(&[], "lint", &["--no-homes", "--json"])?;
    let linted = linted.json()?;
    for rule in ["V2", "V3"] {
        for severity in ["error", "warning"] {
            equal(rule, linted["counts"][rule][severity].as_u64(), None)?;
        }
    }
    Ok(())
}

fn terminal(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    assign(&qmail, &["=sys:\x1b[2Jno\nbody:4711", "=iain-\x1b[2J:games:5"])?;
    let run = qmail.install(&[])?.exits(0)?;
    ensure(run.out.contains("4711") && run.out.contains(":games:5:"), format!("{run:?}"))?;
    ensure(!run.out.contains('\x1b') && !run.out.contains("no\nbody"), format!("{run:?}"))
}
