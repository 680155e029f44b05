//! systemd's own judgement of the unit files.

use super::{files, needing, read, succeeds, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{ensure, equal};
use qmail_lookup_tests::site::program;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Greatest exposure of each service; systemd's unit is tenths. What keeps qmail in step has to be root.
const EXPOSURE_MAX: [(&str, u32); 2] = [("qmail-lookupd.service", 20), ("qmail-lookup-sync.service", 30)];

pub(super) fn trials() -> Vec<Trial> {
    vec![
        needing(&["systemd-analyze"], false, "units::systemd_has_nothing_to_say_about_them", || {
            let (folder, units) = installed()?;
            let mut verify = Command::new("systemd-analyze");
            let said = succeeds(verify.args(["--man=no", "--recursive-errors=no", "verify"]).args(&units))?;
            ensure(said.trim().is_empty(), said)?;
            drop(folder);
            Ok(())
        }),
        needing(&["systemd-analyze"], false, "units::the_services_expose_little", || {
            let (folder, _) = installed()?;
            for (name, most) in EXPOSURE_MAX {
                let mut security = Command::new("systemd-analyze");
                security.args(["security", "--offline=true", "--no-pager", &format!("--threshold={most}")]);
                succeeds(security.arg(folder.path().join(name)))?;
            }
            Ok(())
        }),
        trial("units::the_run_script_of_sync_leaves_it_the_same_powers", || {
            let unit = read("dist/systemd/qmail-lookup-sync.service")?;
            let bounding = value(&unit, "CapabilityBoundingSet").ok_or("no CapabilityBoundingSet")?;
            let powers: BTreeSet<_> =
                bounding.split(' ').map(|name| name.replace("CAP_", "+").to_lowercase()).collect();
            let script = read("dist/daemontools/qmail-lookup-sync/run")?;
            let (_, set) = script.split_once("--bounding-set=-all,").ok_or("no bounding set")?;
            let kept: BTreeSet<_> = set.split(' ').next().unwrap_or_default().split(',').map(str::to_owned).collect();
            equal("capabilities", kept, powers)?;
            let started = value(&unit, "ExecStart").ok_or("no ExecStart")?;
            ensure(script.trim_end().ends_with(&started), "the run script starts something else")
        }),
        needing(&["systemd-tmpfiles", "setpriv"], true, "units::the_folder_of_the_sockets_is_the_daemons", || {
            let root = tempfile::tempdir()?;
            std::fs::create_dir(root.path().join("etc"))?;
            for (name, line) in
                [("passwd", "qmail-lookup:x:4711:4712::/:/bin/false\n"), ("group", "qmail-lookup:x:4712:\n")]
            {
                std::fs::write(root.path().join("etc").join(name), line)?;
            }
            let conf = super::root().join("dist/systemd/tmpfiles.conf");
            succeeds(
                Command::new("systemd-tmpfiles")
                    .arg("--create")
                    .arg(format!("--root={}", root.path().display()))
                    .arg(conf),
            )?;
            let made = std::fs::metadata(root.path().join("run/qmail-lookup"))?;
            use std::os::unix::fs::MetadataExt;
            equal("mode, uid, gid", (made.mode() & 0o7777, made.uid(), made.gid()), (0o755, 4711, 4712))
        }),
        trial("units::sockets_are_named_as_the_daemon_knows_them", || {
            let names = read("bins/daemon/src/accept.rs")?;
            let (mut found, mut known) = (BTreeSet::new(), BTreeSet::new());
            for line in names.lines().filter_map(|line| line.trim().strip_prefix("Self::")) {
                known.extend(line.split('"').nth(1).map(str::to_owned));
            }
            for unit in files("dist/systemd")? {
                let text = read(&unit)?;
                let Some(name) = value(&text, "FileDescriptorName") else { continue };
                equal("path", value(&text, "ListenStream"), Some(format!("/run/qmail-lookup/{name}.sock")))?;
                // Who may connect to the sockets for logins is for the kernel to decide, too.
                let login = name.ends_with("auth");
                equal("mode", value(&text, "SocketMode").as_deref(), Some(if login { "0660" } else { "0666" }))?;
                equal("group", value(&text, "SocketGroup").is_some(), login)?;
                found.insert(name);
            }
            equal("names", found, known)
        }),
    ]
}

fn value(unit: &str, key: &str) -> Option<String> {
    unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
}

/// Copies of the units that run the program built here, and the snippet for passwords in its place.
fn installed() -> Result<(TempDir, Vec<PathBuf>), Failed> {
    let folder = tempfile::tempdir()?;
    let mut units = Vec::new();
    for file in files("dist/systemd")? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut text = read(&file)?;
        for name in ["qmail-lookup", "qmail-lookupd"] {
            text = text.replace(&format!("/usr/sbin/{name} "), &format!("{} ", program(name)?.display()));
        }
        let place = match &name[..] {
            "password.conf" => folder.path().join("qmail-lookupd.service.d").join(&name),
            "tmpfiles.conf" => continue,
            _ => folder.path().join(&name),
        };
        std::fs::create_dir_all(place.parent().unwrap_or(folder.path()))?;
        std::fs::write(&place, text)?;
        if name != "password.conf" {
            units.push(place);
        }
    }
    equal("units", units.len(), 6)?;
    Ok((folder, units))
}
