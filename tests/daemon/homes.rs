//! Rule G3: a mailbox whose home is not in order. Its mail waits, or goes to the alias user; it never goes to the mailbox
//! whose name is shorter.

use super::{six, trial};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{ALIAS, Answer, BOB, BOB_SMITH, SECRET, Said, Site};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("homes::a_home_that_is_not_in_order_defers_and_never_reaches_a_shorter_name", defer),
        trial("homes::by_policy_the_alias_user_gets_it_and_never_a_shorter_name", alias),
        trial("homes::who_logs_in_without_a_home_in_order_is_told_to_come_back", logins),
    ]
}

/// What may be wrong with bob-smith's home, and whether the alias user may get his mail then.
const WRONGS: [(&str, bool); 7] = [
    ("missing", true),
    ("another uid", true),
    ("another gid", true),
    ("bob's", true),
    ("a parent that nobody may enter", false),
    ("a loop of links", false),
    ("a dangling link", true),
];

/// Breaks the home, lets `check` look, and repairs it.
fn with(site: &Site, wrong: &str, check: impl FnOnce() -> Outcome) -> Outcome {
    let home = site.path("homes/bob-smith");
    let row = |home: &str| site.sql(&format!("UPDATE mailbox SET home = '{home}' WHERE username = 'bob-smith'"));
    match wrong {
        "missing" => fs::remove_dir(&home)?,
        "another uid" => chown(&home, Some(BOB), None)?,
        "another gid" => chown(&home, None, Some(BOB))?,
        "bob's" => chown(&home, Some(BOB), Some(BOB))?,
        "a parent that nobody may enter" => {
            let inner = site.path("closed/bob-smith");
            fs::create_dir_all(&inner)?;
            chown(&inner, Some(BOB_SMITH), Some(BOB_SMITH))?;
            fs::set_permissions(site.path("closed"), fs::Permissions::from_mode(0o700))?;
            row(&inner.display().to_string())?;
        }
        "a loop of links" => {
            fs::remove_dir(&home)?;
            symlink(&home, &home)?;
        }
        _ => {
            fs::remove_dir(&home)?;
            symlink(site.path("homes/nowhere"), &home)?;
        }
    }
    let checked = check();
    drop((fs::remove_dir(&home), fs::remove_file(&home), fs::remove_dir_all(site.path("closed"))));
    fs::create_dir(&home)?;
    chown(&home, Some(BOB_SMITH), Some(BOB_SMITH))?;
    row(&home.display().to_string())?;
    checked
}

fn defer() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    for (wrong, _) in WRONGS {
        with(&site, wrong, || {
            for local in ["bob-smith", "bob-smith-lists", "BOB-Smith"] {
                equal(&format!("{wrong}: {local}"), site.lspawn(local)?, Answer::Deferred)?;
            }
            equal("bob himself", site.lspawn("bob")?, six(&site, "bob", BOB, "", ""))?;
            equal("bob's other mail", site.lspawn("bob-jones")?, six(&site, "bob", BOB, "-", "jones"))
        })?;
        equal("repaired", site.lspawn("bob-smith")?, six(&site, "bob-smith", BOB_SMITH, "", ""))?;
    }
    // Nobody waits for that line.
    let until = Instant::now() + Duration::from_secs(5);
    while !daemon.log().contains("passed a mailbox over") && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("passed a mailbox over")).unwrap_or_default();
    ensure(line.contains("bob-smith"), format!("the mailbox that was passed over is not in the log: {log}"))
}

fn alias() -> Outcome {
    let site = Site::sqlite("[rules]\nhome_missing = \"alias\"\nhome_mismatch = \"alias\"")?;
    let _daemon = site.start()?;
    for (wrong, goes_to_alias) in WRONGS {
        with(&site, wrong, || {
            for local in ["bob-smith", "bob-Smith-Lists"] {
                let answer = site.lspawn(local)?;
                if !goes_to_alias {
                    equal(&format!("{wrong}: {local}"), answer, Answer::Deferred)?;
                    continue;
                }
                let [user, _, _, _, dash, ext] = answer.fields()?;
                let got = (&user[..], &dash[..], &ext[..]);
                equal(&format!("{wrong}: {local}"), got, (ALIAS, "-", local))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn logins() -> Outcome {
    let site = Site::sqlite("")?;
    let _daemon = site.start()?;
    for (wrong, _) in WRONGS {
        // Root may enter everywhere: to it that home is in order.
        if wrong == "a parent that nobody may enter" {
            continue;
        }
        with(&site, wrong, || {
            equal(wrong, site.checkpassword("bob-smith", SECRET)?, Said::Exit(111))?;
            equal(&format!("{wrong}, and a wrong password"), site.checkpassword("bob-smith", "no")?, Said::Exit(1))
        })?;
    }
    let home = site.path("homes/bob-smith").display().to_string();
    let right = Said::In(format!("{BOB_SMITH} {BOB_SMITH} bob-smith {home}"));
    equal("repaired", site.checkpassword("bob-smith", SECRET)?, right)
}
