//! Manual pages say what the programs say of themselves: options, verbs, exit codes, keys of the configuration.

use super::{files, needing, read, root, succeeds, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::program;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Page, source of the program's exit codes, and the enum there.
const EXITS: [(&str, &str, &str); 7] = [
    ("qmail-lookup.8", "bins/admin/src/exit.rs", "Exit"),
    ("qmail-lookupd.8", "bins/daemon/src/exit.rs", "Exit"),
    ("qmail-getpw.8", "bins/dropin/src/exit.rs", "GetpwExit"),
    ("qmail-local.8", "bins/dropin/src/exit.rs", "LocalExit"),
    ("checkpassword.8", "bins/dropin/src/exit.rs", "CheckpasswordExit"),
    ("dovecot-checkpassword.8", "bins/dropin/src/exit.rs", "DovecotExit"),
    ("qmail-rcptcheck.8", "bins/dropin/src/exit.rs", "RcptcheckExit"),
];

pub(super) fn trials() -> Vec<Trial> {
    vec![
        needing(&["mandoc"], false, "man::pages_are_clean", || {
            for page in files("docs/man")? {
                let said = succeeds(Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page))?;
                // Whether other packages' pages are installed is none of its business.
                let said: Vec<_> = said.lines().filter(|line| !line.contains("outdated mandoc.db")).collect();
                ensure(said.is_empty(), format!("{}: {said:?}", page.display()))?;
            }
            Ok(())
        }),
        trial("man::every_program_has_a_page", || {
            let mut programs: Vec<_> = files("bins/dropin/src/bin")?;
            programs.extend(["qmail-lookup", "qmail-lookupd"].map(|name| Path::new(name).to_owned()));
            for program in programs {
                let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let text = page(&format!("{name}.8"))?;
                ensure(text.contains(&format!(".Nm {name}\n")), format!("{name}.8 is about something else"))?;
            }
            Ok(())
        }),
        trial("man::options_and_verbs_are_those_of_the_help", options),
        trial("man::exit_codes_are_those_of_the_programs", || {
            for (name, source, of) in EXITS {
                let section = section(&page(name)?, ".Sh EXIT STATUS")?;
                let codes = items(&section).into_iter().filter(|item| item.parse::<u8>().is_ok()).collect();
                equal(name, exits(&read(source)?, of)?, codes)?;
            }
            Ok(())
        }),
        trial("man::keys_are_those_of_the_example", || {
            let text = page("qmail-lookup.toml.5")?;
            let mut described = BTreeSet::new();
            let mut table = None;
            for line in text.lines().take_while(|line| *line != ".Sh FILES") {
                if let Some(heading) = line.strip_prefix(".Ss ") {
                    table = Some(heading.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or_default());
                }
                let keys = line.strip_prefix(".It Ic ").unwrap_or_default();
                let names = keys.split(" , Ic ").filter(|name| !name.is_empty());
                described.extend(table.into_iter().flat_map(|table| names.clone().map(move |name| join(table, name))));
            }
            equal("keys", keys_of(&read("config/qmail-lookup.example.toml")?), described)?;
            ensure(text.contains(".Ss [daemon.allow]\n"), "no [daemon.allow]")
        }),
        trial("man::pages_refer_to_pages_that_are_there", || {
            for path in files("docs/man")? {
                for line in read(&path)?.lines() {
                    let Some((name, rest)) = line.strip_prefix(".Xr ").and_then(|line| line.split_once(' ')) else {
                        continue;
                    };
                    let number = rest.get(..1).unwrap_or_default();
                    let there = root().join(format!("docs/man/{name}.{number}")).is_file() || name == "systemd";
                    ensure(there, format!("{}: {line}", path.display()))?;
                }
            }
            Ok(())
        }),
    ]
}

fn page(name: &str) -> Result<String, Failed> {
    read(Path::new("docs/man").join(name))
}

/// The lines between a heading and the next one.
fn section(page: &str, heading: &str) -> Result<String, Failed> {
    let after = page.split_once(&format!("{heading}\n")).ok_or_else(|| format!("no {heading}"))?.1;
    Ok(after.split("\n.Sh ").next().unwrap_or_default().to_owned())
}

/// What stands behind `.It` in each line.
fn items(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| line.strip_prefix(".It ")).map(str::to_owned).collect()
}

/// The numbers of an enum.
fn exits(source: &str, of: &str) -> Result<BTreeSet<String>, Failed> {
    let after = source.split_once(&format!("pub enum {of} {{\n")).ok_or_else(|| format!("no enum {of}"))?.1;
    let body = after.split("\n}").next().unwrap_or_default();
    let codes: BTreeSet<_> = body
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = "))
        .map(|(_, n)| n.to_owned())
        .collect();
    ensure(codes.len() > 1, format!("no numbers in {of}"))?;
    Ok(codes)
}

/// `table.key` of every key in the example, also of those left out. Tables of one role count as `[store]`; what stands
/// in `[daemon.allow]` are names of users.
fn keys_of(example: &str) -> BTreeSet<String> {
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in example.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut table);
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            && table != "daemon.allow"
        {
            keys.insert(join(if table.starts_with("store.") { "store" } else { &table }, key));
        }
    }
    keys
}

fn join(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

fn options() -> Outcome {
    for name in ["qmail-lookup", "qmail-lookupd"] {
        let (program, page) = (program(name)?, page(&format!("{name}.8"))?);
        let help = succeeds(Command::new(&program).arg("--help"))?;
        let mut options = long_options(&help);
        let verbs: Vec<_> = section_of_help(&help, "Commands:");
        for verb in &verbs {
            ensure(page.contains(&format!(".It Ic {verb}")), format!("{name}: verb {verb} is not described"))?;
            if verb == "help" {
                continue;
            }
            let help = succeeds(Command::new(&program).args([verb, "--help"]))?;
            options.extend(long_options(&help));
            for edit in section_of_help(&help, "Commands:").iter().filter(|edit| *edit != "help") {
                ensure(page.contains(&format!(".It Ic {verb} {edit}")), format!("{verb} {edit} is not described"))?;
                options.extend(long_options(&succeeds(Command::new(&program).args([verb, edit, "--help"]))?));
            }
        }
        let described: BTreeSet<_> =
            page.lines().filter_map(|line| line.strip_prefix(".It Ic ")?.split(' ').next()).collect();
        let verbs: BTreeSet<_> = verbs.iter().map(String::as_str).collect();
        equal("verbs", described, verbs)?;
        let described: BTreeSet<_> = page.split("Fl -").skip(1).map(first_word).collect();
        equal(name, described, options)?;
    }
    Ok(())
}

/// The first words of the lines of a section.
fn section_of_help(help: &str, heading: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| line.starts_with("  "));
    lines.filter(|line| !line.starts_with("   ")).map(|line| first_word(line.trim())).collect()
}

fn long_options(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
    lines.filter_map(|line| line.split("--").nth(1)).map(first_word).collect()
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_lowercase() || matches!(c, '-' | '0'..='9')).collect()
}
