//! What was there before is given back.

use super::ground::{BOTH, Ground, Qmail, same, texts, trial};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("back::exactly_what_was_there_comes_back", exactly),
        trial("back::without_what_was_written_down_the_stock_programs_come_back", forgotten),
        trial("back::the_configuration_may_be_gone", no_configuration),
        trial("back::without_a_stock_program_nothing_is_taken_away", nothing_to_give),
        trial("back::programs_stay_while_the_queue_holds_mail_of_virtual_hosts", queue),
        trial("back::the_safety_net_goes_and_other_files_of_the_alias_user_stay", net),
        trial("back::a_damaged_memory_is_not_believed", damaged),
    ]
}

/// What stands there, of control files only what a file that was written anew can have.
fn comparable(qmail: &Qmail<'_>) -> Result<BTreeMap<String, super::ground::Entry>, libtest_mimic::Failed> {
    let all = qmail.snapshot()?.into_iter();
    Ok(all
        .map(|(name, entry)| {
            let entry = if name.starts_with("control/") { entry.content_and_rights() } else { entry };
            (name, entry)
        })
        .collect())
}

fn exactly(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    chown(qmail.control("lookupsocket"), Some(7), Some(12))?;
    std::fs::set_permissions(qmail.bin("qmail-local"), std::fs::Permissions::from_mode(0o4711))?;
    let before = comparable(&qmail)?;
    for round in ["once", "twice"] {
        qmail.install(&[])?.exits(0)?;
        if round == "twice" {
            qmail.install(&[])?.exits(0)?;
        }
        qmail.uninstall(&[])?.exits(0)?.says("uninstalled\n")?;
        same(round, &comparable(&qmail)?, &before)?;
    }
    qmail.uninstall(&[])?.exits(0)?.says("uninstalled already\n")?;
    same("again", &comparable(&qmail)?, &before)
}

fn forgotten(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let before = qmail.snapshot()?;
    qmail.install(&[])?.exits(0)?;
    std::fs::remove_dir_all(qmail.path("qmail-lookup"))?;
    // What a run before has written down is not what was there.
    std::fs::write(qmail.path("queue/local/7"), "T=bar.com=-sales@bar.com\0")?;
    let held = qmail.uninstall(&["--json"])?.exits(111)?;
    std::fs::remove_file(qmail.path("queue/local/7"))?;
    let done = qmail.uninstall(&["--json"])?.exits(0)?;
    let text = format!("{} does not say what was in control/", qmail.path("qmail-lookup/installed.json").display());
    let warned = |run: &crate::cli::Run| -> Outcome {
        let warned = texts(run, "warnings")?;
        ensure(warned.iter().any(|one| one.starts_with(&text)), format!("{warned:?}"))
    };
    warned(&held)?;
    warned(&done)?;
    let after = qmail.snapshot()?;
    for name in BOTH.map(|name| format!("bin/{name}")) {
        equal("back", after.get(&name), before.get(&name))?;
        ensure(!after.contains_key(&format!("{name}.stock")), "stock is left over")?;
    }
    ensure(after.contains_key("control/authsocket"), "nobody knows what was there before")
}

fn no_configuration(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let before = comparable(&qmail)?;
    qmail.install(&[])?.exits(0)?;
    std::fs::remove_file(ground.site.config())?;
    qmail.uninstall(&[])?.exits(0)?.says("warning: ")?;
    same("back", &comparable(&qmail)?, &before)
}

fn nothing_to_give(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    for name in BOTH {
        let stock = qmail.bin(&format!("{name}.stock"));
        let away = qmail.path("away");
        std::fs::rename(&stock, &away)?;
        let before = qmail.snapshot()?;
        let refused = qmail.uninstall(&["--json"])?.exits(1)?;
        equal(name, texts(&refused, "refused")?, [format!("{} is not there", stock.display())])?;
        same(name, &qmail.snapshot()?, &before)?;
        std::fs::copy(qmail.bin(name), &stock)?;
        let refused = qmail.uninstall(&["--json"])?.exits(1)?;
        equal(name, texts(&refused, "refused")?, [format!("{} is one of ours", stock.display())])?;
        std::fs::rename(&away, &stock)?;
    }
    qmail.uninstall(&[])?.exits(0)?;
    Ok(())
}

fn queue(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    let held = qmail.path("queue/local/7");
    std::fs::write(&held, "Diain@mail.test\0T=bar.com=-sales@bar.com\0")?;
    let refused = qmail.uninstall(&[])?;
    refused.exits(111)?.complains(&["bar.com", "run uninstall again"])?;
    for name in BOTH {
        ensure(qmail.is_ours(name)?, format!("{name} was taken away"))?;
    }
    // Delivered, though another of the same message is not; and nothing virtual.
    std::fs::write(&held, "Tiain@mail.test\0D=bar.com=-sales@bar.com\0")?;
    qmail.uninstall(&[])?.exits(0)?;
    for name in BOTH {
        ensure(!qmail.is_ours(name)?, format!("{name} is still ours"))?;
    }
    Ok(())
}

fn net(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    let content = "|echo qmail-lookup is not in place; exit 111\n";
    for (name, content) in
        [(".qmail-=bar:com=-default", content), (".qmail-=mine:test=-default", "./Mailbox\n"), (".qmail-x", content)]
    {
        std::fs::write(qmail.path("alias").join(name), content)?;
    }
    qmail.uninstall(&[])?.exits(0)?;
    let mut left: Vec<_> = std::fs::read_dir(qmail.path("alias"))?
        .map(|entry| Ok(entry?.file_name().display().to_string()))
        .collect::<Result<_, std::io::Error>>()?;
    left.sort();
    equal("left", left, [".qmail-=mine:test=-default", ".qmail-x"])
}

fn damaged(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    let memory = qmail.path("qmail-lookup/installed.json");
    for bad in ["", "{", "{\"version\":2,\"programs\":{},\"files\":{},\"leaving\":false}", "[]"] {
        std::fs::write(&memory, bad)?;
        let before = qmail.snapshot()?;
        for run in [qmail.install(&[])?, qmail.uninstall(&[])?] {
            run.exits(111)?.complains(&[&memory.display().to_string()])?;
            same(bad, &qmail.snapshot()?, &before)?;
        }
    }
    Ok(())
}
