//! Homes, as deliveries find them.

use super::world::World;
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::trial;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("lint::homes::each_fault_of_a_home_is_named_and_its_command_mends_it", faults),
        trial("lint::homes::a_home_in_order_is_no_finding_and_others_are_not_looked_at", fine),
        trial("lint::homes::a_file_on_the_way_or_a_loop_of_links_is_told", odd),
        trial("lint::homes::no_command_gives_away_or_opens_what_is_not_the_mailboxs", foreign),
        trial("lint::homes::homes_that_are_all_missing_are_no_reason_to_make_them", unmounted),
        trial("lint::homes::what_the_settings_give_to_the_alias_user_is_a_warning", policy),
    ]
}

/// A world whose mailboxes have homes of this folder.
fn world() -> Result<World, Failed> {
    let world = World::sqlite()?;
    std::fs::create_dir(world.path("homes"))?;
    std::fs::set_permissions(world.path("homes"), Permissions::from_mode(0o755))?;
    world.sql("DELETE FROM mailbox")?;
    Ok(world)
}

fn mailbox(world: &World, name: &str, uid: u32) -> Outcome {
    let home = world.path("homes").join(name);
    let sql = |text: &str| text.replace('\'', "''");
    let row = format!("('{}', '{uid}', '{uid}', '{}')", sql(name), sql(&home.display().to_string()));
    world.sql(&format!("INSERT INTO mailbox (username, uid, gid, home) VALUES {row}"))
}

fn home(world: &World, name: &str, uid: u32, mode: u32) -> Outcome {
    mailbox(world, name, uid)?;
    let home = world.path("homes").join(name);
    std::fs::create_dir(&home)?;
    chown(&home, Some(uid), Some(uid))?;
    Ok(std::fs::set_permissions(&home, Permissions::from_mode(mode))?)
}

/// `SEVERITY KEY`, and the repairs.
fn found(world: &World, env: &[(&str, &str)]) -> Result<(Vec<String>, Vec<String>), Failed> {
    let all = world.findings(&[], env)?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let g3 = all.iter().filter(|finding| finding["rule"] == "G3");
    let mut found: Vec<(String, String)> = g3
        .map(|finding| (format!("{} {}", text(&finding["severity"]), text(&finding["key"])), text(&finding["repair"])))
        .collect();
    found.sort();
    Ok(found.into_iter().unzip())
}

fn faults() -> Outcome {
    let world = world()?;
    mailbox(&world, "missing", 20_101)?;
    home(&world, "of'others", 20_102, 0o700)?;
    chown(world.path("homes/of'others"), Some(20_102), Some(20_199))?;
    home(&world, "open", 20_103, 0o707)?;
    home(&world, "group", 20_104, 0o770)?;
    home(&world, "sticky", 20_105, 0o1700)?;
    std::fs::create_dir(world.path("homes/closed"))?;
    std::fs::set_permissions(world.path("homes/closed"), Permissions::from_mode(0o700))?;
    home(&world, "closed/below", 20_106, 0o700)?;
    home(&world, "maildir", 20_107, 0o700)?;
    home(&world, "unsearchable", 20_108, 0o600)?;
    world.aliases(&[["maildir", "", ".", "/Maildir/"]])?;
    let (lines, repairs) = found(&world, &[])?;
    let want = [
        "error closed/below",
        "error maildir",
        "error missing",
        "error of'others",
        "error open",
        "error sticky",
        "error unsearchable",
        "warning group",
    ];
    equal("findings", &lines, &want.map(str::to_owned).to_vec())?;
    for (line, repair) in lines.iter().zip(&repairs) {
        // There is no maildirmake here.
        let repair = if line == "error maildir" {
            ensure(repair.contains("--reuid=20107") && repair.contains("maildirmake"), repair.clone())?;
            format!("mkdir -p {0}/tmp {0}/new", world.path("homes/maildir/Maildir").display())
        } else {
            repair.clone()
        };
        let done = Command::new("/bin/sh").args(["-c", &repair]).status()?;
        ensure(done.success(), format!("{line}: {repair}"))?;
    }
    equal("mended", found(&world, &[])?.0, [""; 0])
}

fn fine() -> Outcome {
    let world = world()?;
    home(&world, "iain", 20_101, 0o700)?;
    mailbox(&world, "bob", 20_102)?;
    std::fs::create_dir(world.path("elsewhere"))?;
    std::fs::rename(world.path("homes/iain"), world.path("elsewhere/iain"))?;
    symlink("../elsewhere/iain", world.path("homes/iain"))?;
    equal("findings", found(&world, &[])?.0, ["error bob"])?;
    let all = world.findings(&["--no-homes"], &[])?;
    ensure(!all.iter().any(|finding| finding["rule"] == "G3"), format!("{all:?}"))
}

fn odd() -> Outcome {
    let world = world()?;
    mailbox(&world, "file", 20_101)?;
    std::fs::write(world.path("homes/file"), "")?;
    chown(world.path("homes/file"), Some(20_101), Some(20_101))?;
    mailbox(&world, "file/below", 20_102)?;
    mailbox(&world, "round", 20_103)?;
    symlink(Path::new("round"), world.path("homes/round"))?;
    let (lines, _) = found(&world, &[])?;
    equal("findings", lines, ["error file", "error file/below", "warning round"])
}

fn policy() -> Outcome {
    let world = world()?;
    mailbox(&world, "missing", 20_101)?;
    home(&world, "other", 20_102, 0o700)?;
    chown(world.path("homes/other"), Some(20_103), None)?;
    let alias = [("QMAIL_LOOKUP_RULES__HOME_MISSING", "alias"), ("QMAIL_LOOKUP_RULES__HOME_MISMATCH", "alias")];
    equal("findings", found(&world, &alias)?.0, ["warning missing", "warning other"])
}

/// The findings about homes: key, kind of repair, repair.
fn repairs(world: &World) -> Result<Vec<[String; 3]>, Failed> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let all = world.findings(&[], &[])?;
    let of = all.iter().filter(|finding| finding["rule"] == "G3");
    Ok(of.map(|finding| ["key", "repair_kind", "repair"].map(|name| text(&finding[name]))).collect())
}

fn foreign() -> Outcome {
    let world = world()?;
    let place = |name: &str| world.path("homes").join(name);
    // A link in the place of a home: to a file of the system's, to another's home, to something closed.
    for (name, uid, target) in [
        ("shadow", 20_101, Path::new("/etc/shadow").to_owned()),
        ("others", 20_102, place("victim")),
        ("deep", 20_103, world.path("closed/in")),
    ] {
        mailbox(&world, name, uid)?;
        symlink(target, place(name))?;
    }
    home(&world, "victim", 20_104, 0o700)?;
    std::fs::create_dir_all(world.path("closed/in"))?;
    chown(world.path("closed/in"), Some(20_103), Some(20_103))?;
    std::fs::set_permissions(world.path("closed"), Permissions::from_mode(0o700))?;
    // A home that the row only says to be one.
    let columns = "mailbox (username, uid, gid, home)";
    world.sql(&format!("INSERT INTO {columns} VALUES ('etc', '20105', '20105', '/etc')"))?;
    world.sql(&format!("INSERT INTO {columns} VALUES ('passwd', '20106', '20106', '/etc/passwd')"))?;
    // Names that show as others.
    home(&world, "\u{202e}nigol", 20_107, 0o707)?;
    world.sql("UPDATE mailbox SET username='login' WHERE uid='20107'")?;
    let found = repairs(&world)?;
    equal("findings", found.len(), 6)?;
    for [key, kind, repair] in &found {
        ensure(kind == "words", format!("{key}: {repair}"))?;
        let is_link = ["shadow", "others", "deep"].contains(&key.as_str());
        ensure(is_link == repair.contains("is a link to"), format!("{key}: {repair}"))?;
        ensure(repair.is_ascii(), repair.clone())?;
    }
    Ok(())
}

fn unmounted() -> Outcome {
    let world = world()?;
    mailbox(&world, "iain", 20_101)?;
    let command =
        |world: &World| Ok::<_, Failed>(repairs(world)?.into_iter().map(|[_, kind, _]| kind).collect::<Vec<_>>());
    equal("one", command(&world)?, vec!["command".to_owned()])?;
    mailbox(&world, "bob", 20_102)?;
    equal("all", command(&world)?, vec!["words".to_owned(); 2])?;
    ensure(repairs(&world)?[0][2].contains("mounted?"), "the reason is not told")?;
    home(&world, "carol", 20_103, 0o700)?;
    equal("not all", command(&world)?, vec!["command".to_owned(); 2])?;
    // The folder of the homes itself is not there.
    mailbox(&world, "gone/dave", 20_104)?;
    let of_dave = repairs(&world)?.into_iter().find(|[key, ..]| key == "gone/dave").ok_or("not found")?;
    ensure(of_dave[1] == "words" && of_dave[2].contains("mounted?"), format!("{of_dave:?}"))
}
