//! What `init --print` prints for LDAP is taken by the server's own tools, in both forms.

use super::{run, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::ensure;
use qmail_lookup_tests::server::slapd::missing;
use qmail_lookup_tests::server::{find, process};
use std::path::Path;
use std::process::{Command, Stdio};

pub(super) fn trials() -> Vec<Trial> {
    if missing().is_some() {
        return Vec::new(); // said loudly by the subject
    }
    vec![
        trial("ldap::the_printed_schema_loads_into_slapd_conf", || {
            let (folder, [schema, _]) = printed("printed-conf")?;
            std::fs::write(folder.join("qmail-lookup.schema"), schema)?;
            let include = format!("include {}\n", folder.join("qmail-lookup.schema").display());
            configuration(&folder, &include)?;
            let mut test = tool("slaptest", &folder)?;
            succeed(test.args(["-u", "-f", "slapd.conf"]))
        }),
        trial("ldap::the_printed_schema_loads_into_cn_config", || {
            let (folder, [_, ldif]) = printed("printed-config")?;
            std::fs::write(folder.join("qmail-lookup.ldif"), ldif)?;
            std::fs::create_dir(folder.join("slapd.d"))?;
            configuration(&folder, "")?;
            succeed(tool("slaptest", &folder)?.args(["-f", "slapd.conf", "-F", "slapd.d"]))?;
            succeed(tool("slapadd", &folder)?.args(["-F", "slapd.d", "-n", "0", "-l", "qmail-lookup.ldif"]))?;
            succeed(tool("slaptest", &folder)?.args(["-u", "-F", "slapd.d"]))?;
            let config = tool("slapcat", &folder)?.args(["-F", "slapd.d", "-n", "0"]).output()?;
            ensure(String::from_utf8_lossy(&config.stdout).contains("qlookMailbox"), "the schema is not there")
        }),
    ]
}

/// A folder, and the two forms of the schema as they are printed.
fn printed(name: &str) -> Result<(std::path::PathBuf, [String; 2]), Failed> {
    let all = run(&["--store", "ldap:ldap://127.0.0.1:1/dc=test", "init", "--print"])?.exits(0)?.out;
    let part = |from: &str, to: &str| -> Result<String, Failed> {
        let rest = all.split(from).nth(1).ok_or_else(|| format!("no {from:?} in {all}"))?;
        Ok(format!("# {}", rest.split(to).next().unwrap_or_default()))
    };
    Ok((process::folder(name)?, [part("# ---- Part 1", "# ---- Part 2")?, part("# ---- Part 2", "# ---- Part 3")?]))
}

/// A server without a database: only the schema is judged.
fn configuration(folder: &Path, more: &str) -> Result<(), Failed> {
    let core = ["/etc/ldap/schema", "/etc/openldap/schema"].map(|at| Path::new(at).join("core.schema"));
    let core = core.iter().find(|file| file.is_file()).ok_or("core.schema is not installed")?;
    std::fs::write(
        folder.join("slapd.conf"),
        format!("include {}\n{more}database config\nrootpw x\n", core.display()),
    )?;
    Ok(())
}

fn tool(name: &str, folder: &Path) -> Result<Command, Failed> {
    let mut command = Command::new(find(name).ok_or_else(|| format!("{name} is not installed"))?);
    command.current_dir(folder).stdin(Stdio::null());
    Ok(command)
}

fn succeed(command: &mut Command) -> Result<(), Failed> {
    let done = command.output()?;
    ensure(done.status.success(), format!("{command:?}: {}", String::from_utf8_lossy(&done.stderr)))
}
