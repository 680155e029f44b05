//! docs/lint.md and docs/sync.md say what lint reports and what sync writes.

use super::text::sources;
use super::{read, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::sync::block::Marked;
use qmail_lookup_tests::check::{ensure, equal};
use std::collections::BTreeSet;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("rules::those_that_lint_reports_are_those_that_are_explained", || {
            let explained = explained()?;
            let all = sources("core/src/lint")? + &sources("bins/admin/src/verbs/lint")?;
            let reported = reported(&all);
            ensure(reported.len() > 12, format!("hardly any rules: {reported:?}"))?;
            let missing: Vec<_> = reported.difference(&explained).collect();
            ensure(missing.is_empty(), format!("not explained: {missing:?}"))?;
            // What the rules themselves call a misconfiguration is reported under the rule's own name.
            let rules = sources("core/src")?;
            for rule in explained.difference(&reported) {
                ensure(rules.contains(&format!("\"{rule}\"")), format!("nobody reports {rule}"))?;
            }
            Ok(())
        }),
        trial("rules::the_block_that_is_shown_is_the_one_that_is_written", || {
            let shown = block("docs/sync.md", "The hosts stand in a block")?;
            let (own, _) = shown.split_once('#').ok_or("no block")?;
            let written = Marked::own_only(own.into()).write(["virtual.example:=virtual.example="]);
            equal("file", written.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()), Some(shown))
        }),
        trial("rules::the_safety_net_that_is_shown_is_the_one_that_is_written", || {
            let shown = block("docs/sync.md", "## Safety net")?;
            let written = read("bins/admin/src/qmail/net.rs")?;
            let line = format!("CONTENT: &str = \"{}\\n\"", shown.trim_end());
            ensure(written.contains(&line), format!("nobody writes {shown}"))
        }),
    ]
}

/// The first cells of all tables that begin with `rule`.
fn explained() -> Result<BTreeSet<String>, Failed> {
    let text = read("docs/lint.md")?;
    let mut found = BTreeSet::new();
    for table in text.split("| rule | table |").skip(1) {
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        found.extend(rows.filter_map(|row| Some(row.split('|').nth(1)?.trim().to_owned())));
    }
    Ok(found)
}

/// The names of rules in `code`: the first text behind a severity, if only the name of its field stands between, and
/// something else comes behind it.
fn reported(code: &str) -> BTreeSet<String> {
    let rule = |rest: &str| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).trim_start().strip_prefix(',')?;
        let rest = rest.trim_start();
        let rest = rest.strip_prefix("rule:").map_or(rest, str::trim_start);
        let (name, rest) = rest.strip_prefix('"')?.split_once('"')?;
        rest.starts_with(',').then(|| name.to_owned())
    };
    code.split("Severity::").skip(1).filter_map(rule).collect()
}

/// The first fenced block behind `heading`.
fn block(document: &str, heading: &str) -> Result<String, Failed> {
    let text = read(document)?;
    let (_, below) = text.split_once(heading).ok_or_else(|| format!("no {heading}"))?;
    let (_, block) = below.split_once("\n```text\n").ok_or("no block")?;
    Ok(block.split("```").next().unwrap_or_default().to_owned())
}
