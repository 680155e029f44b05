//! docs/local.md says what qmail-local does and says.

use super::{needing, read, reports, succeeds, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::alias::AliasRow;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_tests::check::{ensure, equal};
use qmail_lookup_tests::site::{IAIN, Site};
use std::collections::BTreeSet;
use std::process::Command;

const DOCUMENT: &str = "docs/local.md";

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("local::rows_are_the_lines_that_are_shown", || {
            let rows = table("| alias_username | alias_host | line of a dot-qmail file |")?;
            ensure(rows.len() > 4, "hardly any rows")?;
            for row in rows {
                let [user, host, line] = <[String; 3]>::try_from(row).map_err(|row| format!("{row:?}"))?;
                let row = AliasRow {
                    alias_username: Some(user.into_bytes()),
                    alias_host: Some(host.into_bytes()),
                    ..AliasRow::default()
                };
                let read = row.instruction(b"/home/mail/iain", &RuleSettings::default());
                let read = read.map_err(|bad| format!("{bad:?}"))?;
                equal("line", String::from_utf8_lossy(&read.to_line()).into_owned(), line)?;
            }
            Ok(())
        }),
        trial("local::reports_that_are_explained_are_those_that_are_made", || {
            let described: Vec<String> = first_cells(table("| report | what to do |")?);
            let made = reports::made()?;
            ensure(made.len() > 20, format!("hardly any reports: {made:?}"))?;
            let mut explained = BTreeSet::new();
            for report in &described {
                // One may be a form of several: it stands for that of which least is left open.
                let forms = made.iter().filter(|form| reports::fits(form, report));
                let form = forms.max_by_key(|form| form.len()).ok_or_else(|| format!("nobody reports {report:?}"))?;
                explained.insert(form.clone());
            }
            equal("reports", explained, made)
        }),
        trial("local::variables_of_the_manual_page_are_those_of_programs", || {
            let source = read("bins/dropin/src/local/environment.rs")?;
            let code = source.split("#[cfg(test)]").next().unwrap_or_default();
            let name =
                |text: &&str| text.len() > 2 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
            let set: BTreeSet<_> = code.split('"').filter(name).collect();
            let page = read("docs/man/qmail-local.8")?;
            let section = page.split_once(".Sh ENVIRONMENT\n").ok_or("no ENVIRONMENT")?.1;
            let section = section.split(".It Ev QMAILQUEUE").next().unwrap_or_default();
            let described: BTreeSet<_> = section.split_ascii_whitespace().filter(name).collect();
            equal("variables", described, set)
        }),
        needing(&["setpriv"], true, "local::what_is_tried_prints_what_is_shown", || {
            let site = Site::sqlite("")?;
            let _daemon = site.start()?;
            let text = read(DOCUMENT)?;
            let (_, rest) = text.split_once("## Try it\n").ok_or("no ## Try it")?;
            let (id, home) = (IAIN.to_string(), site.path("homes/iain").display().to_string());
            let command = fenced(rest, "sh")?
                .replace("/var/qmail", &site.path("q").display().to_string())
                .replace("=800", &format!("={id}"))
                .replace("=100", &format!("={id}"))
                .replace("/home/mail/iain", &home);
            let said = succeeds(Command::new("sh").args(["-e", "-c", &command]).stdin(std::process::Stdio::null()))?;
            equal("output", said, fenced(rest, "text")?)
        }),
    ]
}

fn first_cells(rows: Vec<Vec<String>>) -> Vec<String> {
    rows.into_iter().filter_map(|row| row.into_iter().next()).collect()
}

/// The rows below a heading of a table, each as what its cells show as code; a cell without is empty.
fn table(heading: &str) -> Result<Vec<Vec<String>>, Failed> {
    let text = read(DOCUMENT)?;
    let (_, below) = text.split_once(&format!("{heading}\n")).ok_or_else(|| format!("no table {heading}"))?;
    // A bar inside a cell has a backslash before it.
    let cell = |cell: &str| cell.split('`').nth(1).unwrap_or_default().replace('\0', "|");
    let row = |line: &str| {
        let line = line.replace("\\|", "\0");
        let inner = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')).unwrap_or_default().to_owned();
        inner.split('|').map(cell).collect()
    };
    Ok(below.lines().take_while(|line| line.starts_with('|')).skip(1).map(row).collect())
}

/// The first fenced block of this kind.
fn fenced(text: &str, kind: &str) -> Result<String, Failed> {
    let (_, block) = text.split_once(&format!("\n```{kind}\n")).ok_or_else(|| format!("no block of {kind}"))?;
    Ok(block.split("```").next().unwrap_or_default().to_owned())
}
