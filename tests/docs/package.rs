//! dist/install.sh: what it puts where.

use super::{files, read, root, succeeds, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{dropin, program};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("package::everything_gets_its_place_once_and_again", placed),
        trial("package::nothing_is_copied_if_something_is_not_built", || {
            let folder = tempfile::tempdir()?;
            let said = install(&folder.path().join("there"), folder.path()).output()?;
            equal("status", said.status.code(), Some(1))?;
            let text = String::from_utf8_lossy(&said.stderr).into_owned();
            ensure(text.contains("cargo build --release"), text)?;
            ensure(!folder.path().join("there").exists(), "something was copied")
        }),
        trial("package::units_and_run_scripts_start_programs_where_they_are_put", || {
            let there = run()?;
            let mut started = BTreeSet::new();
            let units = files("dist/systemd")?;
            let scripts =
                ["qmail-lookupd", "qmail-lookup-sync"].map(|name| Path::new("dist/daemontools").join(name).join("run"));
            for file in units.into_iter().chain(scripts) {
                let text = read(file)?;
                let code = text.lines().filter(|line| !line.starts_with('#'));
                let words = code.flat_map(|line| line.split(['=', ' '])).filter(|word| word.starts_with("/usr/"));
                started.extend(words.map(str::to_owned));
            }
            equal("programs", started.len(), 2)?;
            for path in started {
                ensure(there.contains_key(&path), format!("{path} is not put there"))?;
            }
            Ok(())
        }),
    ]
}

fn placed() -> Outcome {
    let there = run()?;
    let executable = |path: &str| {
        ["/usr/sbin/", "/usr/lib/qmail-lookup/", "/usr/share/qmail-lookup/"]
            .iter()
            .any(|folder| path.starts_with(folder))
            || path.ends_with("/smtp-run")
    };
    for (path, mode) in &there {
        equal(path, *mode, if executable(path) { 0o755 } else { 0o644 })?;
    }
    // What other files and the programs themselves count on.
    let mut wanted: Vec<String> = [
        "/usr/sbin/qmail-lookup",
        "/usr/sbin/qmail-lookupd",
        "/usr/lib/tmpfiles.d/qmail-lookup.conf",
        "/usr/share/doc/qmail-lookup/qmail-lookup.example.toml",
        "/usr/share/doc/qmail-lookup/docs/installation.md",
    ]
    .map(str::to_owned)
    .into();
    let names = |folder: &str| -> Result<Vec<String>, Failed> {
        Ok(files(folder)?.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect())
    };
    wanted.extend(names("bins/dropin/src/bin")?.iter().map(|name| format!("/usr/lib/qmail-lookup/{name}")));
    for file in files("docs/man")? {
        let (name, section) = (file.file_name().unwrap_or_default(), file.extension().unwrap_or_default());
        wanted.push(format!("/usr/share/man/man{}/{}", section.to_string_lossy(), name.to_string_lossy()));
    }
    for unit in files("dist/systemd")? {
        let name = unit.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with(".conf") {
            wanted.push(format!("/usr/lib/systemd/system/{name}"));
        }
    }
    for service in ["qmail-lookupd", "qmail-lookup-sync"] {
        wanted.extend(["run", "log/run"].map(|run| format!("/usr/share/qmail-lookup/daemontools/{service}/{run}")));
    }
    for path in wanted {
        ensure(there.contains_key(&path), format!("{path} is missing"))?;
    }
    // What the document says of places.
    let text = read("docs/installation.md")?;
    let table = text.split_once("| what | where |\n").ok_or("no table of places")?.1;
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).skip(1).collect();
    ensure(rows.len() > 4, "hardly any places")?;
    for row in rows {
        for folder in row.split('|').nth(2).unwrap_or_default().split('`').skip(1).step_by(2) {
            let used = there.keys().any(|path| path.starts_with(&format!("{folder}/")));
            ensure(used, format!("nothing is put below {folder}"))?;
        }
    }
    // The tool's help tells the same folder.
    let help = succeeds(Command::new(program("qmail-lookup")?).args(["install", "--help"]))?;
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure(words.contains("[default: /usr/lib/qmail-lookup]"), help)
}

/// Runs it twice, the second time over files of others, and gives every file's mode by its path below DESTDIR.
fn run() -> Result<BTreeMap<String, u32>, Failed> {
    let folder = tempfile::tempdir()?;
    let (built, there) = (folder.path().join("built"), folder.path().join("there"));
    std::fs::create_dir_all(built.join("release"))?;
    for name in ["qmail-lookup", "qmail-lookupd"] {
        std::os::unix::fs::symlink(program(name)?, built.join("release").join(name))?;
    }
    std::os::unix::fs::symlink(dropin("qmail-getpw")?.parent().ok_or("no folder")?, built.join("dropin"))?;
    let told = succeeds(&mut install(&there, &built))?;
    let first = all(&there)?;
    let told: BTreeSet<_> = told.lines().map(str::to_owned).collect();
    equal("what is told", told, first.keys().map(|path| format!("{}{path}", there.display())).collect())?;
    let place = there.join("usr/lib/qmail-lookup/qmail-getpw");
    std::fs::write(&place, "another version")?;
    std::fs::set_permissions(&place, PermissionsExt::from_mode(0o600))?;
    succeeds(&mut install(&there, &built))?;
    equal("the second time", all(&there)?, first.clone())?;
    ensure(std::fs::read(&place)? == std::fs::read(dropin("qmail-getpw")?)?, "the old program is still there")?;
    Ok(first)
}

fn install(there: &Path, built: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg(root().join("dist/install.sh")).env("DESTDIR", there).env("BUILT", built).env_remove("PROFILE");
    command
}

fn all(top: &Path) -> Result<BTreeMap<String, u32>, Failed> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![PathBuf::from(top)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(top)?.display().to_string();
                found.insert(format!("/{below}"), std::fs::metadata(&path)?.permissions().mode() & 0o7777);
            }
        }
    }
    Ok(found)
}
