//! What the documents show is what is shipped, and what the programs accept.

use super::{files, read, root, succeeds, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::program;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("text::snippets_are_parts_of_the_files_that_they_name", || {
            let mut shown = 0;
            for (document, info, text) in blocks()? {
                let Some(file) = info.split_once(' ').map(|(_, file)| file) else { continue };
                ensure(read(file)?.contains(&text), format!("{}: not in {file}:\n{text}", document.display()))?;
                shown += 1;
            }
            ensure(shown >= 4, format!("{shown} snippets"))
        }),
        trial("text::configurations_are_accepted_by_the_daemon", configurations),
        trial("text::links_lead_somewhere", || {
            for document in documents()? {
                let text = read(&document)?;
                for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                    let path = link.split('#').next().unwrap_or_default();
                    let there = path.is_empty()
                        || link.starts_with("https://")
                        || document.parent().unwrap_or(root()).join(path).exists();
                    ensure(there, format!("{}: {link}", document.display()))?;
                }
            }
            Ok(())
        }),
        trial("text::log_messages_that_are_explained_are_logged", || {
            let folders = ["bins/daemon/src", "backends/src", "core/src/rules"];
            let sources = folders.into_iter().map(sources).collect::<Result<String, _>>()?;
            let text = read("docs/daemon.md")?;
            let table = text.split_once("| message | what to do |\n").ok_or("no table of messages")?.1;
            let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).skip(1).collect();
            ensure(rows.len() > 5, "hardly any messages")?;
            for row in rows {
                let message = row.split('`').nth(1).unwrap_or_default();
                ensure(!message.is_empty() && sources.contains(message), format!("nobody logs {message:?}"))?;
            }
            Ok(())
        }),
        trial("text::commands_are_shell", || {
            let mut count = 0;
            for (_, info, text) in blocks()? {
                if info.split(' ').next() == Some("sh") {
                    succeeds(Command::new("sh").args(["-n", "-c", &text]))?;
                    count += 1;
                }
            }
            ensure(count >= 10, format!("{count} blocks of commands"))
        }),
        trial("text::metrics_that_are_named_are_told", || {
            let sources = ["metrics.rs", "http.rs"].map(|name| read(Path::new("bins/daemon/src").join(name)));
            let [metrics, http] = sources;
            let sources = [metrics?, http?].concat();
            let text = read("docs/daemon.md")?;
            let named: Vec<_> =
                text.split("`qmail_lookupd_").skip(1).filter_map(|rest| rest.split(['`', '{']).next()).collect();
            ensure(named.len() > 5, "hardly any metrics are named")?;
            for name in named {
                let stem = name.strip_suffix("_total").unwrap_or(name);
                ensure(sources.contains(&format!("\"{stem}\"")), format!("there is no qmail_lookupd_{name}"))?;
            }
            Ok(())
        }),
    ]
}

/// All sources below a folder, with broken lines of text joined.
pub(super) fn sources(folder: &str) -> Result<String, Failed> {
    let mut all = String::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(path)?;
                let joined = text.split("\\\n").enumerate();
                all.extend(joined.map(|(n, part)| if n == 0 { part } else { part.trim_start() }));
            }
        }
    }
    Ok(all)
}

fn documents() -> Result<Vec<PathBuf>, Failed> {
    let mut all: Vec<_> = files("docs")?;
    all.extend(["README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    all.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    Ok(all)
}

/// Document, what stands behind the fence, and content of every fenced block.
fn blocks() -> Result<Vec<(PathBuf, String, String)>, Failed> {
    let mut found = Vec::new();
    for document in documents()? {
        let text = read(&document)?;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(info) = line.strip_prefix("```") else { continue };
            let content: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push((document.clone(), info.to_owned(), format!("{}\n", content.join("\n"))));
        }
    }
    Ok(found)
}

fn configurations() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut count = 0;
    for (document, info, text) in blocks()? {
        if info.split(' ').next() != Some("toml") {
            continue;
        }
        let file = folder.path().join("qmail-lookup.toml");
        let store = if text.contains("[store]") { "" } else { "[store]\nkind = \"memory\"\n" };
        // Passwords are read when the configuration is: they stand somewhere else here.
        let password = folder.path().join("password");
        std::fs::write(&password, "secret\n")?;
        let lines = text.lines().map(|line| match line.split_once("password_file = ") {
            Some(_) => format!("password_file = \"{}\"\n", password.display()),
            None => format!("{line}\n"),
        });
        std::fs::write(&file, lines.collect::<String>() + store)?;
        let mut check = Command::new(program("qmail-lookupd")?);
        let done = check.arg("--config").arg(&file).arg("--check").output()?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        equal(&format!("{}\n{text}{said}", document.display()), done.status.code(), Some(0))?;
        count += 1;
    }
    ensure(count >= 3, format!("{count} configurations"))
}
