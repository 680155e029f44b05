//! docs/local.md says what qmail-local does and says.

use super::{needing, read, reports, root, succeeds, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::alias::AliasRow;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{IAIN, Site, dropin};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
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
        trial("local::it_is_put_in_place_and_taken_back_as_shown", in_place_and_back),
    ]
}

fn in_place_and_back() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (bin, ours) = (folder.path().join("bin"), dropin("qmail-local")?);
    std::fs::create_dir(&bin)?;
    std::fs::write(bin.join("qmail-local"), "stock")?;
    std::fs::set_permissions(bin.join("qmail-local"), PermissionsExt::from_mode(0o711))?;
    let text = read(DOCUMENT)?;
    let (_, rest) = text.split_once("## Put it in place\n").ok_or("no ## Put it in place")?;
    let (first, back) = rest.split_once("The way back").ok_or("no way back")?;
    let run = |block: String| {
        let block = block
            .replace("/var/qmail", &folder.path().display().to_string())
            .replace("$OLDPWD/target/dropin/qmail-local", &ours.display().to_string());
        succeeds(Command::new("sh").args(["-e", "-c", &block]).current_dir(root()))
    };
    let is = |name: &str, content: &Path, mode: u32| {
        let path = bin.join(name);
        ensure(std::fs::read(&path)? == std::fs::read(content)?, format!("{name} is something else"))?;
        equal(name, std::fs::metadata(&path)?.permissions().mode() & 0o7777, mode)
    };
    let stock = folder.path().join("stock");
    std::fs::write(&stock, "stock")?;
    // Once more is no worse: ours is not kept as the stock program.
    for _ in 0..2 {
        run(fenced(first, "sh")?)?;
        is("qmail-local", &ours, 0o755)?;
        is("qmail-local.stock", &stock, 0o711)?;
        equal("files", std::fs::read_dir(&bin)?.count(), 2)?;
    }
    run(fenced(back, "sh")?)?;
    is("qmail-local", &stock, 0o711)
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
