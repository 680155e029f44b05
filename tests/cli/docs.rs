//! What the documents show works as it is shown.

use super::{program, trial};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{ensure, equal};
use std::process::{Command, Stdio};

const README: &str = include_str!("../../README.md");

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("docs::the_readmes_sqlite_example_runs_line_by_line", || {
            let folder = tempfile::tempdir()?;
            let programs = program()?.parent().ok_or("no folder")?.display().to_string();
            let lines: Vec<_> =
                README.lines().filter(|line| line.starts_with("    ") && line.contains("mail.db")).collect();
            equal("lines", lines.len(), 4)?;
            for line in lines {
                // The sqlite3 shell is not everywhere; its statement is what counts.
                if let Some(statement) = line.trim().strip_prefix("sqlite3 mail.db ") {
                    rusqlite::Connection::open(folder.path().join("mail.db"))?
                        .execute_batch(statement.trim_matches('"'))?;
                    continue;
                }
                let mut shell = Command::new("sh");
                shell.args(["-c", line]).current_dir(folder.path()).env("PATH", format!("{programs}:/usr/bin:/bin"));
                let done = shell.stdin(Stdio::null()).output()?;
                ensure(done.status.success(), format!("{line}: {done:?}"))?;
            }
            Ok(())
        }),
        trial("docs::the_readme_names_every_verb", || {
            for verb in super::usage::VERBS {
                ensure(README.contains(&format!("`{verb}")), format!("README.md does not name {verb}"))?;
            }
            Ok(())
        }),
    ]
}
