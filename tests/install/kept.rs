//! What could cost a qmail its programs, or everybody their mail, is refused.

use super::ground::{Ground, copy, trial};
use super::refused::refusals;
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::dropin;
use std::os::unix::fs::{PermissionsExt, symlink};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("kept::a_program_that_is_a_link_to_the_kept_one", entangled),
        trial("kept::half_an_upgrade_never_takes_the_place_of_what_is_kept", half),
        trial("kept::a_checkpassword_that_is_qmails_own_program", own),
        trial("kept::a_control_folder_that_not_everybody_can_search", closed),
    ]
}

fn entangled(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("to-stock")?;
    qmail.install(&[])?.exits(0)?;
    // The stock program is back, as somebody made it quickly.
    std::fs::remove_file(qmail.bin("qmail-local"))?;
    symlink("qmail-local.stock", qmail.bin("qmail-local"))?;
    let refused = refusals(&qmail, &[])?;
    ensure(refused.len() == 1 && refused[0].contains("of which one name is a symlink"), format!("{refused:?}"))?;
    let stock = std::fs::read(qmail.bin("qmail-local.stock"))?;
    qmail.uninstall(&[])?.exits(0)?;
    let back = qmail.bin("qmail-local");
    ensure(std::fs::symlink_metadata(&back)?.is_file() && std::fs::read(&back)? == stock, "the program is lost")?;

    let qmail = ground.qmail("from-stock")?;
    symlink("qmail-local", qmail.bin("qmail-local.stock"))?;
    let refused = refusals(&qmail, &[])?;
    ensure(refused.len() == 1 && refused[0].contains("of which one name is a symlink"), format!("{refused:?}"))?;
    qmail.uninstall(&[])?;
    ensure(std::fs::read(qmail.bin("qmail-local"))? == stock, "the program is lost")?;

    // Both lead to a third file: a package's upgrade has made its link again.
    let qmail = ground.qmail("both")?;
    std::fs::rename(qmail.bin("qmail-local"), qmail.bin("real"))?;
    symlink("real", qmail.bin("qmail-local"))?;
    qmail.install(&[])?.exits(0)?;
    std::fs::remove_file(qmail.bin("qmail-local"))?;
    symlink("real", qmail.bin("qmail-local"))?;
    qmail.install(&[])?.exits(0)?;
    ensure(qmail.is_ours("qmail-local")?, "not in place")?;
    qmail.uninstall(&[])?.exits(0)?;
    equal("back", std::fs::read_link(qmail.bin("qmail-local"))?.as_os_str(), "real")
}

fn half(ground: &Ground) -> Outcome {
    for (n, (content, mode)) in [("", 0o755), ("text", 0o755), ("#!/bin/sh\n", 0o644)].into_iter().enumerate() {
        let qmail = ground.qmail(&format!("qmail{n}"))?;
        qmail.install(&[])?.exits(0)?;
        let stock = std::fs::read(qmail.bin("qmail-local.stock"))?;
        std::fs::remove_file(qmail.bin("qmail-local"))?;
        std::fs::write(qmail.bin("qmail-local"), content)?;
        std::fs::set_permissions(qmail.bin("qmail-local"), std::fs::Permissions::from_mode(mode))?;
        let wanted = format!("{} is no program that can be run (half an upgrade?)", qmail.bin("qmail-local").display());
        equal(content, refusals(&qmail, &[])?, [wanted])?;
        ensure(std::fs::read(qmail.bin("qmail-local.stock"))? == stock, "the stock program is lost")?;
        // Nor is it given back.
        std::fs::rename(qmail.bin("qmail-local"), qmail.bin("qmail-local.stock"))?;
        copy(&dropin("qmail-local")?, &qmail.bin("qmail-local"))?;
        qmail.uninstall(&[])?.exits(1)?.says("is no program that can be run")?;
        ensure(qmail.is_ours("qmail-local")?, "given back")?;
    }
    Ok(())
}

fn own(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let link = ground.site.path("checkpassword");
    symlink(qmail.bin("qmail-smtpd"), &link)?;
    symlink(qmail.bin(""), ground.site.path("sbin"))?;
    let paths = [qmail.bin("qmail-local"), qmail.bin("qmail-getpw"), link, ground.site.path("sbin/qmail-smtpd")];
    for path in paths {
        let shown = path.display().to_string();
        let refused = refusals(&qmail, &["--checkpassword", &shown])?;
        ensure(
            refused.len() == 1 && refused[0].contains("is no checkpassword, but qmail's own"),
            format!("{refused:?}"),
        )?;
        qmail.install(&[])?.exits(0)?;
        let refused = refusals(&qmail, &["--checkpassword", &shown])?;
        ensure(refused.len() == 1, format!("{refused:?}"))?;
        qmail.uninstall(&[])?.exits(0)?;
    }
    // Where it is does not matter.
    qmail.script("checkpassword", "exit 1")?;
    let shown = qmail.bin("checkpassword").display().to_string();
    qmail.install(&["--checkpassword", &shown])?.exits(0)?;
    Ok(())
}

fn closed(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let before = std::fs::metadata(qmail.control(""))?.permissions();
    std::fs::set_permissions(qmail.control(""), std::fs::Permissions::from_mode(0o750))?;
    let refused = refusals(&qmail, &[])?;
    equal("number", refused.len(), 1)?;
    ensure(refused[0].contains("cannot search or run") && refused[0].contains("/control"), format!("{refused:?}"))?;
    qmail.install(&[])?.says("chmod o+x ")?;
    std::fs::set_permissions(qmail.control(""), before)?;
    qmail.install(&[])?.exits(0)?;
    Ok(())
}
