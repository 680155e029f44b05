//! What others' programs make of the snippets for them.

use super::{needing, read, root, succeeds, trial};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{ensure, equal};
use std::collections::BTreeSet;
use std::process::Command;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        needing(&["doveconf"], false, "snippets::dovecot_takes_its_snippet", || {
            let folder = tempfile::tempdir()?;
            let main = folder.path().join("dovecot.conf");
            let snippet = root().join("dist/dovecot/qmail-lookup.conf.ext");
            std::fs::write(&main, format!("protocols = pop3\nssl = no\n!include {}\n", snippet.display()))?;
            let said = succeeds(Command::new("doveconf").arg("-n").arg("-c").arg(&main))?;
            let shown: Vec<_> = said.split_whitespace().collect();
            let wanted = read("dist/dovecot/qmail-lookup.conf.ext")?;
            for block in wanted.split("\n}\n").map(|block| block.lines().filter(|line| !line.starts_with('#'))) {
                let words: Vec<_> = block.flat_map(str::split_whitespace).filter(|word| *word != "}").collect();
                // It sorts the settings of a block.
                let ours: BTreeSet<_> = words.iter().collect();
                let there = words.is_empty()
                    || shown.windows(words.len()).any(|some| some.iter().collect::<BTreeSet<_>>() == ours);
                ensure(there, format!("{words:?} in\n{said}"))?;
            }
            Ok(())
        }),
        needing(&["postconf"], false, "snippets::postfix_takes_its_snippet", || {
            let folder = tempfile::tempdir()?;
            let snippet = read("dist/postfix/main.cf.example")?;
            std::fs::write(folder.path().join("main.cf"), format!("compatibility_level = 3.6\n{snippet}"))?;
            std::fs::write(folder.path().join("master.cf"), "")?;
            let said = succeeds(Command::new("postconf").arg("-n").arg("-c").arg(folder.path()))?;
            ensure(!said.contains("warning"), &said[..])?;
            for line in snippet.lines() {
                ensure(said.lines().any(|shown| shown == line), format!("{line} in\n{said}"))?;
            }
            Ok(())
        }),
        trial("snippets::postfix_is_allowed_what_it_asks", || {
            let snippet = read("dist/postfix/main.cf.example")?;
            let asked = snippet.lines().filter_map(|line| line.split_once("lookup.sock:")).map(|(_, name)| name);
            let text = read("docs/clients.md")?;
            let line = text.lines().find_map(|line| line.strip_prefix("postfix = ")).ok_or("nothing for postfix")?;
            let allowed: BTreeSet<_> = line.split('"').skip(1).step_by(2).collect();
            let asked: BTreeSet<_> = asked.chain(["recipient"]).collect();
            equal("questions", asked, allowed)
        }),
        trial("snippets::mailfronts_script_is_shell", || {
            succeeds(Command::new("sh").arg("-n").arg(root().join("dist/mailfront/smtp-run"))).map(drop)
        }),
    ]
}
