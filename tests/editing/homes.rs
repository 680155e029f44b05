//! Homes are made as the user whose they are, and no symbolic link is followed on the way.

use crate::cli::{Run, program, run};
use libtest_mimic::{Failed, Trial};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::server::mariadb;
use qmail_lookup_tests::site::{self, Site};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A uid and a gid that nobody has.
const UID: u32 = 20_311;
const GID: u32 = 20_312;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("a_home_is_made_with_its_maildir_and_its_owner", whole),
        trial("what_is_there_is_kept", kept),
        trial("a_link_at_any_component_is_refused", links),
        trial("a_link_that_is_swapped_in_leads_nowhere", swapped),
        trial("only_one_directory_is_made_as_root_and_only_where_nobody_interferes", as_root),
        trial("what_is_in_the_way_is_named", in_the_way),
        trial("the_child_has_no_other_groups", groups),
        trial("a_new_mailbox_gets_its_home", added),
        trial("a_file_server_that_is_silent_is_not_waited_for", silent),
        trial("no_home_is_made_for_a_row_that_is_too_wide", wide),
    ]
}

fn trial(name: &str, run: fn(&Ground) -> Outcome) -> Trial {
    site::trial(&format!("editing::homes::{name}"), move || run(&Ground::new()?))
}

/// A folder that root alone may write, with one inside that is the user's.
struct Ground {
    folder: TempDir,
}

impl Ground {
    fn new() -> Result<Self, Failed> {
        let folder = tempfile::Builder::new().prefix("ql.").tempdir_in("/var/lib")?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let ground = Self { folder };
        ground.own("users")?;
        Ok(ground)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a directory of the user.
    fn own(&self, name: &str) -> Result<PathBuf, Failed> {
        let path = self.path(name);
        fs::create_dir_all(&path)?;
        chown(&path, Some(UID), Some(GID))?;
        Ok(path)
    }
}

fn make(home: &Path, as_root: bool) -> Result<Run, Failed> {
    let (uid, gid) = (UID.to_string(), GID.to_string());
    let home = home.to_str().ok_or("path")?;
    let mut args = vec!["make-home", "--uid", &uid, "--gid", &gid];
    args.extend(as_root.then_some("--as-root"));
    args.extend(["--", home]);
    run(&args)
}

/// Fails unless it is a directory of the user, for nobody else.
fn is_private(path: &Path) -> Outcome {
    let found = fs::symlink_metadata(path)?;
    let seen = (found.is_dir(), found.uid(), found.gid(), found.mode() & 0o7777);
    equal(&path.display().to_string(), seen, (true, UID, GID, 0o700))
}

fn whole(ground: &Ground) -> Outcome {
    let home = ground.path("users/iain");
    let done = make(&home, false)?.exits(0)?.json()?;
    for name in ["", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"] {
        is_private(&home.join(name))?;
    }
    equal("made", done["made"].as_array().map(Vec::len), Some(5))?;
    let again = make(&home, false)?.exits(0)?.json()?;
    equal("made again", again["made"].as_array().map(Vec::len), Some(0))
}

fn kept(ground: &Ground) -> Outcome {
    let home = ground.own("users/iain")?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o750))?;
    ground.own("users/iain/Maildir")?;
    ground.own("users/iain/Maildir/cur")?;
    fs::write(home.join("Maildir/cur/1.2.3"), "a message\n")?;
    make(&home, false)?.exits(0)?;
    equal("message", fs::read_to_string(home.join("Maildir/cur/1.2.3"))?.as_str(), "a message\n")?;
    equal("mode", fs::metadata(&home)?.mode() & 0o7777, 0o750)?;
    is_private(&home.join("Maildir/new"))
}

/// The folders of a home two levels below the user's own, and what is in the home.
const COMPONENTS: [&str; 6] =
    ["users/a", "users/a/b", "users/a/b/home", "users/a/b/home/Maildir", "users/a/b/home/Maildir/tmp", "users"];

fn links(ground: &Ground) -> Outcome {
    for (n, component) in COMPONENTS.iter().enumerate() {
        let outside = ground.own(&format!("outside{n}"))?;
        // What a path would lead to behind the link.
        for inner in ["a", "a/b", "b", "home", "Maildir"] {
            ground.own(&format!("outside{n}/{inner}"))?;
        }
        let before = listing(&outside)?;
        for level in ["users", "users/a", "users/a/b", "users/a/b/home", "users/a/b/home/Maildir"] {
            ground.own(level)?;
        }
        let place = ground.path(component);
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        symlink(&outside, &place)?;
        let said = make(&ground.path("users/a/b/home"), false)?.exits(1)?.json()?;
        let why = said["why"].as_str().unwrap_or_default();
        ensure(why.contains("symbolic link") && why.contains(&place.display().to_string()), why)?;
        equal(component, listing(&outside)?, before)?;
        fs::remove_file(&place)?;
    }
    Ok(())
}

/// Every path below, with its owner and mode.
fn listing(folder: &Path) -> Result<Vec<(PathBuf, u32, u32)>, Failed> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let found = fs::symlink_metadata(&path)?;
        all.push((path.clone(), found.uid(), found.mode()));
        if found.is_dir() {
            all.extend(listing(&path)?);
        }
    }
    all.sort();
    Ok(all)
}

/// The user puts a link in the place of each of his directories, and takes it away again, as fast as he can.
fn swapped(ground: &Ground) -> Outcome {
    for (n, component) in COMPONENTS.iter().take(4).enumerate() {
        let outside = ground.own(&format!("outside{n}"))?;
        // Root's, so that whatever is made there has been made by following the link.
        for inner in ["b", "b/home", "home", "Maildir"] {
            fs::create_dir_all(outside.join(inner))?;
            chown(outside.join(inner), Some(UID), Some(GID))?;
        }
        let place = ground.path(component);
        let link = ground.path("users/link");
        symlink(&outside, &link)?;
        let stop = AtomicBool::new(false);
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = renameat2(AT_FDCWD, &place, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE);
                }
            });
            let outcome = (0..60).try_for_each(|_| {
                for level in ["users/a", "users/a/b", "users/a/b/home"] {
                    let _ = ground.own(level);
                }
                let code = make(&ground.path("users/a/b/home"), false)?.code;
                ensure(matches!(code, Some(0 | 1 | 111)), format!("exit {code:?}"))
            });
            stop.store(true, Ordering::Relaxed);
            outcome
        });
        outcome?;
        // The link may be at either place now; what was outside may only have been reached through it by `own`.
        let made = listing(&outside)?.into_iter().filter(|(path, ..)| path.ends_with("tmp")).count();
        equal(component, made, 0)?;
        for path in [&place, &link] {
            if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
                fs::remove_file(path)?;
            } else if path.exists() {
                fs::remove_dir_all(path)?;
            }
        }
    }
    Ok(())
}

fn as_root(ground: &Ground) -> Outcome {
    let home = ground.path("iain");
    equal("result", make(&home, false)?.exits(1)?.json()?["result"].as_str(), Some("parent"))?;
    ensure(!home.exists(), "made by whom?")?;
    make(&home, true)?.exits(0)?;
    is_private(&home)?;
    make(&home, false)?.exits(0)?;
    let refused = |home: &Path, word: &str| -> Outcome {
        let said = make(home, true)?.exits(1)?.json()?;
        let why = said["why"].as_str().unwrap_or_default().to_owned();
        ensure(why.contains(word) && !home.exists(), why)
    };
    refused(&ground.path("no/such"), "missing")?;
    refused(&ground.path("users/iain"), "root's alone")?;
    let sticky = ground.path("sticky");
    fs::create_dir(&sticky)?;
    fs::set_permissions(&sticky, fs::Permissions::from_mode(0o1777))?;
    refused(&sticky.join("iain"), "root's alone")?;
    fs::create_dir(sticky.join("deep"))?;
    refused(&sticky.join("deep/iain"), "root's alone")?;
    symlink(ground.folder.path(), ground.path("link"))?;
    refused(&ground.path("link/other"), "symbolic link")
}

fn in_the_way(ground: &Ground) -> Outcome {
    let refused = |home: &Path, words: &[&str]| -> Outcome {
        let said = make(home, false)?.exits(1)?.json()?;
        let why = said["why"].as_str().unwrap_or_default().to_owned();
        ensure(words.iter().all(|word| why.contains(word)), why)
    };
    fs::write(ground.path("users/file"), "")?;
    refused(&ground.path("users/file"), &["not a directory", "users/file"])?;
    refused(&ground.path("users/file/x"), &["not a directory", "users/file"])?;
    let roots = ground.path("users/roots");
    fs::create_dir(&roots)?;
    refused(&roots, &["belongs to uid 0"])?;
    let open = ground.own("users/open")?;
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777))?;
    refused(&open, &["everybody may write"])?;
    let closed = ground.path("closed");
    fs::create_dir(&closed)?;
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700))?;
    refused(&closed.join("x"), &["may not", "closed"])?;
    refused(Path::new("relative/home"), &["not an absolute path"])?;
    refused(&ground.path("users/../other"), &["'..'"])?;
    let locked = ground.own("users/locked")?;
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500))?;
    refused(&locked, &["users/locked/Maildir", "its owner may not write"])?;
    ensure(!ground.path("other").exists(), "made in spite of ..")
}

/// Root's further groups would let a mailbox write where its own gid may not.
fn groups(ground: &Ground) -> Outcome {
    const GROUP: u32 = 20_313;
    let shared = ground.path("shared");
    fs::create_dir(&shared)?;
    chown(&shared, Some(0), Some(GROUP))?;
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o770))?;
    let home = shared.join("iain");
    let mut command = Command::new("setpriv");
    command.arg(format!("--groups={GROUP}")).arg(program()?).arg("make-home");
    command.args([format!("--uid={UID}"), format!("--gid={GID}")]).arg("--").arg(&home);
    let done = command.stdin(Stdio::null()).output()?;
    equal("exit", done.status.code(), Some(1))?;
    let said: serde_json::Value = serde_json::from_slice(&done.stdout)?;
    equal("result", said["result"].as_str(), Some("refused"))?;
    ensure(!home.exists(), "made with one of root's groups")
}

fn add<'a>(config: &'a str, name: &'a str, home: &'a str) -> Vec<&'a str> {
    let ids = ["--uid", "20311", "--gid", "20312"];
    [&["--config", config, "user", "add", name], &ids[..], &["--home", home, "--create-home", "--no-password"]].concat()
}

fn added(ground: &Ground) -> Outcome {
    let site = Site::sqlite("")?;
    let (config, home) = (site.config().display().to_string(), ground.path("dora"));
    let shown = home.display().to_string();
    run(&add(&config, "dora", &shown))?.exits(0)?.says("mailbox dora added")?.says(&format!("{shown} made"))?;
    for name in ["", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"] {
        is_private(&home.join(name))?;
    }
    run(&["--config", &config, "user", "show", "dora"])?.exits(0)?.says(&shown).map(drop)
}

fn silent(ground: &Ground) -> Outcome {
    let site = Site::sqlite("")?;
    let (config, home) = (site.config().display().to_string(), ground.path("users/dora").display().to_string());
    let mut command = Command::new("timeout");
    command.args(["60", "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=mkdirat"]);
    command.args(["-e", "inject=mkdirat:delay_enter=16000000"]).arg(program()?).args(add(&config, "dora", &home));
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // strace itself stays until the delay is over.
    let mut said = Vec::new();
    for line in BufReader::new(child.stderr.take().ok_or("no standard error")?).lines() {
        said.push((begun.elapsed(), line?));
    }
    let done = child.wait_with_output()?;
    ensure(done.status.code() == Some(111) && done.stdout.is_empty(), format!("{done:?}"))?;
    let line = said.iter().find(|(_, line)| line.contains("users/dora: not made within 10 s"));
    let (at, line) = line.ok_or(format!("{said:?}"))?;
    ensure(
        *at < Duration::from_secs(14) && line.contains("how much of it is there is not known"),
        format!("{said:?}"),
    )?;
    run(&["--config", &config, "user", "show", "dora"])?.exits(1).map(drop)
}

fn wide(ground: &Ground) -> Outcome {
    if mariadb::missing().is_some() {
        return Ok(());
    }
    let site = Site::mariadb("")?;
    site.sql("ALTER TABLE mailbox MODIFY username varchar(32) CHARACTER SET ascii NOT NULL")?;
    let (config, name, home) = (site.config().display().to_string(), "d".repeat(33), ground.path("dora"));
    let done = run(&add(&config, &name, &home.display().to_string()))?.exits(1)?;
    done.complains(&["column username", "varchar(32)", "33 characters", "nothing was changed"])?;
    ensure(!home.exists(), "a home without a row")
}
