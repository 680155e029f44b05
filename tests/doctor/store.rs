//! Stores: connection, privileges, and who can read their passwords.

use super::ground::{Damage, Ground};
use super::trial;
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("store::privileges_are_revoked_but_for_select", grants),
        trial("store::passwords_that_others_can_read_are_found_and_mended", secrets),
        trial("store::a_store_that_is_down_is_the_only_finding", down),
        trial("store::a_directory_is_looked_at_as_well", directory),
    ]
}

fn directory() -> Outcome {
    let ground = Ground::ldap("")?;
    ground.is_well("a directory")?;
    ground.mends(&Damage {
        name: "another one's home is not looked at",
        harm: "chown 20002 HOMES/iain",
        options: &["--user", "bob"],
        question: "no $HOME/Maildir",
        mend: "setpriv --reuid=20002 --regid=20002 --clear-groups mkdir -p -m 0700 HOMES/bob/Maildir",
    })?;
    ground.run(&format!("chown 20001 {}", ground.site.path("homes/iain").display()))?;
    ground.site.store(false)?;
    ground.finds("down", &[], CONNECTING)?;
    ground.site.store(true)?;
    ground.is_well("up again")
}

const CONNECTING: &str = "Are you sure you are connecting to it properly?";
const SELECT: &str = "SELECT privileges";
const INSECURE: &str = "The control/sqlserver file is insecure";

/// The account of the harness may do more than doctor likes.
fn select_only(ground: &Ground) -> Outcome {
    let statement = ground.finds("grants", &[], SELECT)?;
    ensure(
        statement.starts_with("REVOKE INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES ON *.* FROM "),
        statement.clone(),
    )?;
    ground.site.sql(&statement)?;
    ground.is_well("SELECT only")
}

fn grants() -> Outcome {
    select_only(&Ground::mariadb("")?)
}

fn secrets() -> Outcome {
    let ground = Ground::mariadb("")?;
    select_only(&ground)?;
    let mend = "chown 20900:20900 CONFIG && chmod 0600 CONFIG";
    for (name, harm) in [
        ("everybody reads it", "chmod 0644 CONFIG"),
        ("another group reads it", "chgrp 20002 CONFIG && chmod 0640 CONFIG"),
        ("it is another's", "chown 20002 CONFIG"),
        ("the daemon cannot read it", "chown root CONFIG && chmod 0600 CONFIG"),
    ] {
        ground.mends(&Damage { name, harm, options: &[], question: INSECURE, mend })?;
    }
    Ok(())
}

fn down() -> Outcome {
    for ground in [Ground::sqlite("")?, Ground::mariadb("[store]\ndeadline = \"2s\"")?] {
        if ground.site.mariadb.is_some() {
            select_only(&ground)?;
        }
        ground.site.store(false)?;
        ground.finds("down", &[], CONNECTING)?;
        ground.site.store(true)?;
        ground.is_well("up again")?;
    }
    Ok(())
}
