//! Control files and programs.

use super::ground::{Damage, Ground};
use super::trial;
use libtest_mimic::Trial;
use qmail_lookup_tests::check::Outcome;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("files::each_damage_is_found_alone_and_mended_by_its_command", mended),
        trial("files::stock_programs_in_place_are_found_and_mended_by_install", stock),
        trial("files::a_stock_program_that_is_gone_is_named", gone),
    ]
}

fn mended() -> Outcome {
    let ground = Ground::sqlite("")?;
    ground.is_well("untouched")?;
    let (lspawn, memory) = ("Temporary failure in qmail-lspawn", "alert: out of memory, sleeping");
    let (hangs, login) = ("it hangs and then prints out details", "checkpassword can't connect");
    for (name, harm, question, mend) in [
        ("qmail-getpw", "chmod 0700 Q/bin/qmail-getpw", lspawn, "chmod o+x Q/bin/qmail-getpw"),
        ("qmail-local", "chmod 0700 Q/bin/qmail-local", lspawn, "chmod o+x Q/bin/qmail-local"),
        ("the stock program", "chmod 0700 Q/bin/qmail-getpw.stock", lspawn, "chmod o+rx Q/bin/qmail-getpw.stock"),
        ("bin", "chmod 0700 Q/bin", lspawn, "chmod o+x Q/bin"),
        ("lookupsocket", "chmod 0600 Q/control/lookupsocket", memory, "chmod o+r Q/control/lookupsocket"),
        ("rcpthosts", "chmod 0600 Q/control/rcpthosts", memory, "chmod o+r Q/control/rcpthosts"),
        ("control", "chmod 0700 Q/control", memory, "chmod o+x Q/control"),
        ("another socket", "echo /nowhere >Q/control/lookupsocket", hangs, "printf '%s\\n' RUN/lookup.sock >"),
        ("no socket", "rm Q/control/lookupsocket", hangs, "printf '%s\\n' RUN/lookup.sock >Q/control/lookupsocket"),
        ("socket out of reach", "chmod 0700 RUN", hangs, "chmod o+x RUN"),
        ("socket for qmailp only", "chgrp 60 RUN && chmod 0750 RUN", "qmail-local -n", "chmod o+x RUN"),
        ("socket for root only", "chmod 0600 RUN/lookup.sock", hangs, "chmod o+w RUN/lookup.sock"),
        ("another's folder", "chmod 0777 RUN", hangs, "chmod go-w RUN"),
        ("another auth socket", "echo /nowhere >Q/control/authsocket", login, "printf '%s\\n' RUN/auth.sock >"),
        ("others' control", "chmod 0777 Q/control", login, "chmod go-w Q/control"),
        ("short queuelifetime", "echo 3600 >Q/control/queuelifetime", "queuelifetime", "echo 604800 >Q/control/queu"),
    ] {
        ground.mends(&Damage { name, harm, options: &[], question, mend })?;
    }
    Ok(())
}

fn stock() -> Outcome {
    let ground = Ground::sqlite("")?;
    let question = "Temporary failure in qmail-lspawn";
    let stock = |name: &str| format!("cp Q/bin/{name}.stock Q/bin/new && mv Q/bin/new Q/bin/{name}");
    let both = format!("{} && {}", stock("qmail-getpw"), stock("qmail-local"));
    for (name, harm) in [("after an upgrade", both), ("qmail-local", stock("qmail-local"))] {
        let mend = "qmail-lookup --config CONFIG install";
        ground.mends(&Damage { name, harm: &harm, options: &[], question, mend })?;
    }
    Ok(())
}

fn gone() -> Outcome {
    let ground = Ground::sqlite("")?;
    let question = "Temporary failure in qmail-lspawn";
    for name in ["qmail-getpw", "qmail-local"] {
        let path = ground.site.path("q/bin").join(format!("{name}.stock"));
        let away = ground.site.path("away");
        std::fs::rename(&path, &away)?;
        ground.finds(name, &[], question)?;
        // Ours in its place is no help either: it would run itself.
        std::fs::copy(ground.site.path("q/bin").join(name), &path)?;
        ground.finds("ours", &[], question)?;
        std::fs::rename(&away, &path)?;
    }
    let path = ground.site.path("q/bin/qmail-getpw.stock");
    std::fs::remove_file(&path)?;
    ground.run(&format!("touch {}", ground.site.path("q/control/nostock").display()))?;
    ground.is_well("a qmail without a stock qmail-getpw")
}
