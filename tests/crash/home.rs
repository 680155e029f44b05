//! Homes that are not there, or not to be entered.

use super::ground::{Ground, Home, Kind, message};
use super::{Shared, trial};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

pub(super) fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        trial("home::one_that_cannot_be_entered_defers", shared, unusable),
        trial("home::maildirs_and_files_that_cannot_be_used_defer", shared, targets),
    ]
}

fn unusable(ground: &Ground) -> Outcome {
    let message = message(500);
    let real = ground.home()?;
    let deferred = |what: &str, path: &Path| -> Outcome {
        let mut delivery = ground.delivery(&real, Kind::Mbox.ext(), &message);
        delivery.words[1] = path.as_os_str().as_bytes().to_vec();
        let report = delivery.run(&ground.site)?;
        real.deferred(what, &report, Kind::Mbox.ext(), &message)?;
        let told = report.text.contains("(#4.") && report.text.ends_with(")\n") && report.text.lines().count() == 1;
        ensure(told, format!("{what}: one line with a temporary code expected: {report:?}"))
    };
    let at = |name: &str| real.path(name);
    symlink(at("nowhere"), at("dead"))?;
    symlink(at("two"), at("one"))?;
    symlink(at("one"), at("two"))?;
    std::fs::write(at("file"), "")?;
    std::fs::create_dir(at("closed"))?;
    std::fs::set_permissions(at("closed"), PermissionsExt::from_mode(0o700))?;
    chown(at("closed"), Some(0), Some(0))?;
    std::fs::create_dir(at("closed/inner"))?;
    let long = "x".repeat(300);
    let names = ["nowhere", "dead", "one", "file", "closed", "closed/inner", "file/inner", &long];
    for name in names {
        deferred(name, &at(name))?;
    }
    for (what, mode) in [("writable for all", 0o757), ("sticky", 0o1755), ("of mode 0", 0)] {
        std::fs::set_permissions(at(""), PermissionsExt::from_mode(mode))?;
        deferred(what, &at(""))?;
    }
    std::fs::set_permissions(at(""), PermissionsExt::from_mode(0o755))?;
    ground.retry(&real, Kind::Mbox, &message)
}

fn targets(ground: &Ground) -> Outcome {
    let message = message(500);
    type Spoil = fn(&Home) -> std::io::Result<()>;
    let spoils: [(Kind, &str, Spoil); 8] = [
        (Kind::Maildir, "no maildir", |home| std::fs::remove_dir_all(home.path("Maildir/new"))),
        (Kind::Maildir, "no tmp/", |home| {
            std::fs::rename(home.path("Maildir/tmp"), home.path("t"))?;
            symlink(home.path("nowhere"), home.path("Maildir/tmp"))
        }),
        (Kind::Maildir, "a closed new/", |home| mode(&home.path("Maildir/new"), 0)),
        (Kind::Maildir, "a closed tmp/", |home| mode(&home.path("Maildir/tmp"), 0o500)),
        (Kind::Maildir, "a file in its place", |home| {
            std::fs::remove_dir_all(home.path("Maildir/tmp"))?;
            std::fs::write(home.path("Maildir/tmp"), "")
        }),
        (Kind::Mbox, "an mbox of another's", |home| mode(&home.path("Mailbox"), 0o400)),
        (Kind::Mbox, "a folder in its place", |home| {
            std::fs::remove_file(home.path("Mailbox"))?;
            std::fs::create_dir(home.path("Mailbox"))
        }),
        (Kind::Mbox, "a loop of links in its place", |home| {
            std::fs::remove_file(home.path("Mailbox"))?;
            symlink("Mailbox", home.path("Mailbox"))
        }),
    ];
    for (kind, what, spoil) in spoils {
        let home = ground.home()?;
        spoil(&home)?;
        let report = ground.delivery(&home, kind.ext(), &message).run(&ground.site)?;
        ensure(report.code == Some(111), format!("{what}: 111 expected: {report:?}"))?;
        let left = [home.path("Maildir/tmp"), home.path("t"), home.path("Maildir/new")];
        for folder in left {
            let count = std::fs::read_dir(&folder).map(Iterator::count).unwrap_or_default();
            ensure(count == 0, format!("{what}: {count} files in {}", folder.display()))?;
        }
    }
    Ok(())
}

fn mode(path: &Path, mode: u32) -> std::io::Result<()> {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode))
}
