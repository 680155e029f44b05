//! Programs are put in place, and stay there.

use super::ground::{BOTH, Ground, OLD_SOCKET, programs, same, texts, trial};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{IAIN, dropin};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("put::ours_are_in_place_and_the_stock_programs_beside_them", in_place),
        trial("put::a_second_time_changes_nothing", twice),
        trial("put::a_dry_run_shows_every_step_and_changes_nothing", dry_run),
        trial("put::rights_are_those_of_the_stock_program_and_everybody_can_run_it", rights),
        trial("put::after_an_upgrade_of_qmail_its_new_programs_are_the_stock_ones", upgraded),
        trial("put::another_version_of_ours_is_replaced_and_the_stock_one_is_not_touched", our_upgrade),
        trial("put::checkpassword_too_if_it_is_asked_for", checkpassword),
        trial("put::a_checkpassword_that_was_set_uid_is_a_warning", set_uid),
        trial("put::whatever_the_folder_and_the_descriptors_are_it_runs_in", wherever),
        trial("put::without_a_stock_qmail_getpw_control_nostock_says_so", nostock),
        trial("put::the_whole_site_delivers_with_what_was_put_in_place", delivers),
        trial("put::a_daemon_that_does_not_answer_is_a_loud_warning", no_daemon),
    ]
}

fn in_place(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let before = qmail.snapshot()?;
    qmail.install(&[])?.exits(0)?.says("installed\n")?;
    let after = qmail.snapshot()?;
    for name in BOTH {
        ensure(qmail.is_ours(name)?, format!("{name} is not ours"))?;
        equal("stock", after.get(&format!("bin/{name}.stock")), before.get(&format!("bin/{name}")))?;
    }
    for (name, socket) in [("lookupsocket", "lookup.sock"), ("authsocket", "auth.sock")] {
        let path = qmail.control(name);
        equal(name, std::fs::read_to_string(&path)?, format!("{}\n", ground.site.socket(socket).display()))?;
        let is = std::fs::metadata(path)?;
        equal(name, (is.mode() & 0o7777, is.uid()), (0o644, 0))?;
    }
    let memory = std::fs::metadata(qmail.path("qmail-lookup"))?;
    equal("memory", (memory.mode() & 0o7777, memory.uid()), (0o700, 0))?;
    ensure(!qmail.control("nostock").exists(), "there is a stock qmail-getpw")
}

fn twice(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    let once = qmail.snapshot()?;
    equal("steps", texts(&qmail.install(&["--json"])?.exits(0)?, "steps")?, [""; 0])?;
    qmail.install(&[])?.exits(0)?.says("installed already\n")?;
    same("twice", &qmail.snapshot()?, &once)
}

fn dry_run(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let before = qmail.snapshot()?;
    let shown = qmail.install(&["--dry-run", "--json"])?.exits(0)?;
    same("install", &qmail.snapshot()?, &before)?;
    let said = qmail.install(&["--dry-run"])?.exits(0)?;
    same("install", &qmail.snapshot()?, &before)?;
    let done = texts(&qmail.install(&["--json"])?.exits(0)?, "steps")?;
    equal("steps", texts(&shown, "steps")?, done.clone())?;
    equal("number of steps", done.len(), 7)?;
    for step in &done {
        said.out.contains(&format!("would {step}\n")).then_some(()).ok_or_else(|| format!("{step}: {said:?}"))?;
    }
    let installed = qmail.snapshot()?;
    let shown = qmail.uninstall(&["--dry-run", "--json"])?.exits(0)?;
    same("uninstall", &qmail.snapshot()?, &installed)?;
    equal("steps", texts(&shown, "steps")?, texts(&qmail.uninstall(&["--json"])?.exits(0)?, "steps")?)
}

fn rights(ground: &Ground) -> Outcome {
    for (n, (mode, owner, wanted)) in [
        (0o711, (0, 0), 0o711),
        (0o755, (0, 12), 0o755),
        (0o4755, (0, 0), 0o755),
        (0o777, (7, 12), 0o755),
        (0o701, (0, 12), 0o711),
    ]
    .into_iter()
    .enumerate()
    {
        let qmail = ground.qmail(&format!("qmail{n}"))?;
        let path = qmail.bin("qmail-local");
        chown(&path, Some(owner.0), Some(owner.1))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        qmail.install(&[])?.exits(0)?;
        let is = std::fs::metadata(&path)?;
        equal("rights", (is.mode() & 0o7777, (is.uid(), is.gid())), (wanted, owner))?;
        equal("stock", std::fs::metadata(qmail.bin("qmail-local.stock"))?.mode() & 0o7777, mode)?;
        qmail.runs("qmail-local", IAIN)?;
        // Rights that somebody has taken away come back.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
        qmail.install(&[])?.exits(0)?;
        equal("again", std::fs::metadata(&path)?.mode() & 0o7777, wanted)?;
    }
    Ok(())
}

fn upgraded(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    // In place, and by rename.
    qmail.script("qmail-getpw", "echo new")?;
    std::fs::write(qmail.bin("new"), "#!/bin/sh\necho new\n")?;
    std::fs::set_permissions(qmail.bin("new"), std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(qmail.bin("new"), qmail.bin("qmail-local"))?;
    let new = qmail.snapshot()?;
    qmail.install(&[])?.exits(0)?;
    let after = qmail.snapshot()?;
    for name in BOTH {
        ensure(qmail.is_ours(name)?, format!("{name} is not ours"))?;
        equal("stock", after.get(&format!("bin/{name}.stock")), new.get(&format!("bin/{name}")))?;
    }
    qmail.uninstall(&[])?.exits(0)?;
    let back = qmail.snapshot()?;
    for name in BOTH {
        equal("back", back.get(&format!("bin/{name}")), new.get(&format!("bin/{name}")))?;
    }
    // Nobody has run install since: what qmail's upgrade brought stays.
    qmail.install(&[])?.exits(0)?;
    qmail.script("qmail-getpw", "echo newer")?;
    let newer = qmail.snapshot()?;
    qmail.uninstall(&[])?.exits(0)?;
    let back = qmail.snapshot()?;
    equal("newer", back.get("bin/qmail-getpw"), newer.get("bin/qmail-getpw"))?;
    ensure(!back.keys().any(|name| name.ends_with(".stock")), format!("{:?}", back.keys()))
}

fn our_upgrade(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    let before = qmail.snapshot()?;
    // An earlier version, which a program that runs just now still has open.
    let path = qmail.bin("qmail-local");
    let mut old = std::fs::read(&path)?;
    old.extend_from_slice(b"old");
    std::fs::write(&path, old)?;
    let running = std::fs::File::open(&path)?;
    qmail.install(&[])?.exits(0)?;
    ensure(qmail.is_ours("qmail-local")?, "the old one is still there")?;
    let now = std::fs::metadata(&path)?;
    ensure(now.ino() != running.metadata()?.ino(), "it was written in place")?;
    equal("stock", qmail.snapshot()?.get("bin/qmail-local.stock"), before.get("bin/qmail-local.stock"))
}

fn checkpassword(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let (folder, linked) = (ground.site.path("sbin"), ground.site.path("sbin/checkpassword"));
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("real"), "#!/bin/sh\nexit 1\n")?;
    std::fs::set_permissions(folder.join("real"), std::fs::Permissions::from_mode(0o700))?;
    // A symlink is kept as one.
    symlink("real", &linked)?;
    let path = linked.display().to_string();
    qmail.install(&["--checkpassword", &path])?.exits(0)?;
    equal("ours", std::fs::read(&linked)?, std::fs::read(dropin("checkpassword")?)?)?;
    ensure(std::fs::symlink_metadata(&linked)?.is_file(), "a symlink")?;
    equal("stock", std::fs::read_link(folder.join("checkpassword.stock"))?.as_os_str(), "real")?;
    equal("twice", texts(&qmail.install(&["--checkpassword", &path, "--json"])?.exits(0)?, "steps")?, [""; 0])?;
    // Without naming it again it is remembered.
    qmail.install(&[])?.exits(0)?;
    qmail.uninstall(&[])?.exits(0)?;
    equal("back", std::fs::read_link(&linked)?.as_os_str(), "real")?;
    ensure(std::fs::symlink_metadata(folder.join("checkpassword.stock")).is_err(), "stock is left over")?;
    let none = folder.join("missing/none").display().to_string();
    let refused = qmail.install(&["--checkpassword", &none, "--json"])?.exits(1)?;
    equal("no folder", texts(&refused, "refused")?, [format!("there is no {none}")])?;
    let none = folder.join("none").display().to_string();
    let refused = qmail.install(&["--checkpassword", &none, "--json"])?.exits(1)?;
    equal("none", texts(&refused, "refused")?, [format!("there is no {none}")])
}

fn set_uid(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let path = ground.site.path("checkpassword");
    std::fs::write(&path, "#!/bin/sh\nexit 1\n")?;
    let shown = path.display().to_string();
    for (mode, warnings) in [(0o755, 0), (0o4755, 1), (0o2755, 1)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        let run = qmail.install(&["--checkpassword", &shown, "--json", "--dry-run"])?.exits(0)?;
        let warned = texts(&run, "warnings")?;
        equal("warned", warned.iter().filter(|text| text.contains("is set-uid or set-gid")).count(), warnings)?;
    }
    Ok(())
}

fn wherever(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let (folder, path) = (programs()?, ground.site.path("checkpassword"));
    std::fs::write(&path, "#!/bin/sh\nexit 1\n")?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    let (parent, name) = (folder.parent().ok_or("no parent")?, folder.file_name().ok_or("no name")?);
    // checkpassword would wait for what comes by descriptor 3.
    let login = ground.site.path("login");
    let body = "cd \"$1\" && mkfifo \"$2\" && exec 3<>\"$2\" && shift 2 && exec \"$@\"";
    let wrapper = ["sh".into(), "-c".into(), body.into(), "sh".into(), parent.into(), login.into()];
    let (name, shown) = (name.to_string_lossy(), path.display().to_string());
    let words = ["--programs", &name, "--checkpassword", &shown];
    qmail.run_below(&wrapper, "install", &words)?.exits(0)?;
    ensure(qmail.is_ours("qmail-local")? && qmail.is_ours("qmail-getpw")?, "not in place")?;
    equal("checkpassword", std::fs::read(&path)? == std::fs::read(dropin("checkpassword")?)?, true)
}

fn nostock(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    std::fs::remove_file(qmail.bin("qmail-getpw"))?;
    let before = qmail.snapshot()?;
    qmail.install(&[])?.exits(0)?.says("warning: there is no stock qmail-getpw")?;
    ensure(qmail.control("nostock").is_file() && qmail.is_ours("qmail-getpw")?, "not in place")?;
    qmail.install(&[])?.exits(0)?.says("installed already")?;
    // It goes when a stock program comes.
    qmail.script("qmail-getpw.stock", "exit 111")?;
    qmail.install(&[])?.exits(0)?;
    ensure(!qmail.control("nostock").exists(), "there is a stock program now")?;
    std::fs::remove_file(qmail.bin("qmail-getpw.stock"))?;
    let lost = qmail.install(&["--json"])?.exits(1)?;
    let text = format!("there is no {}", qmail.bin("qmail-getpw.stock").display());
    equal("one that was there and is gone", texts(&lost, "refused")?, [text])?;

    let other = ground.qmail("other")?;
    std::fs::remove_file(other.bin("qmail-getpw"))?;
    other.install(&[])?.exits(0)?;
    other.uninstall(&[])?.exits(0)?;
    let names = |snapshot: &std::collections::BTreeMap<String, _>| snapshot.keys().cloned().collect::<Vec<_>>();
    equal("as before", names(&other.snapshot()?), names(&before))
}

fn delivers(ground: &Ground) -> Outcome {
    // The site's own home, which the stand-in for qmail-lspawn uses.
    let site = &ground.site;
    let daemon = site.start()?;
    for name in ["qmail-getpw", "qmail-local"] {
        std::fs::remove_file(site.path("q/bin").join(name))?;
    }
    std::fs::rename(site.path("q/bin/qmail-getpw.stock"), site.path("q/bin/qmail-getpw"))?;
    site.script("q/bin/qmail-local", "exit 100")?;
    site.script("q/bin/qmail-lspawn", "exit 111")?;
    let qmail = super::ground::Qmail { site, home: site.path("q") };
    let done = qmail.install(&["--json"])?.exits(0)?;
    let users = "this machine has no user qmaild, qmaill, qmailq, qmailr, qmails";
    equal("warnings", texts(&done, "warnings")?, if has_qmail_users()? { vec![] } else { vec![users.to_owned()] })?;
    let [user, uid, ..] = site.lspawn("iain-work")?.fields()?;
    equal("mailbox", (user.as_str(), uid), ("iain", IAIN.to_string()))?;
    let [user, ..] = site.lspawn("sysuser-x")?.fields()?;
    equal("system user", user.as_str(), "sysuser")?;
    let home = site.path("homes/iain").display().to_string();
    let words = ["iain", &home, "iain-mbox", "-", "mbox", "mail.test", "s@example.org"];
    std::fs::write(site.path("homes/iain/.qmail-mbox"), "./Mailbox\n")?;
    let report = qmail_lookup_tests::site::Local::new((IAIN, IAIN), words).run(site)?;
    equal("delivery", report.letter()?, 'K')?;
    daemon.stop();
    Ok(())
}

fn has_qmail_users() -> Result<bool, libtest_mimic::Failed> {
    Ok(nix::unistd::User::from_name("qmaild")?.is_some())
}

fn no_daemon(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    let said = qmail.install(&["--json"])?.exits(0)?;
    let warned = texts(&said, "warnings")?;
    ensure(warned.iter().any(|text| text.starts_with("qmail-lookupd does not answer at ")), format!("{warned:?}"))?;
    equal("old socket", std::fs::read_to_string(qmail.control("lookupsocket"))? == OLD_SOCKET, false)?;
    Ok(())
}
