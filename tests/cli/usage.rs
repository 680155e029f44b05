//! Options, help, and what is refused before any store is asked.

use super::{run, run_with, trial};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::ensure;
use std::process::{Command, Stdio};

pub(super) const VERBS: &[&str] = &[
    "demo",
    "init",
    "getpw",
    "mailbox",
    "alias",
    "virtual",
    "rcpthost",
    "auth",
    "explain",
    "check",
    "user",
    "compare",
    "migrate",
    "export",
    "import",
    "completion",
];

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("usage::help_has_every_verb_and_examples", || {
            let mut help = run(&["--help"])?.exits(0)?.says("Examples:")?.says("Exit status: 0 yes")?;
            for verb in VERBS {
                help = help.says(verb)?;
                run(&[*verb, "--help"])?.exits(0)?.says("--store")?;
            }
            run(&["--version"])?.exits(0)?.says("qmail-lookup ")?;
            Ok(())
        }),
        trial("usage::wrong_usage_is_100_and_never_2", || {
            for args in [
                &["nonsense"][..],
                &[],
                &["getpw"],
                &["getpw", "a", "b"],
                &["--store"],
                &["init", "--username-width", "0"],
            ] {
                run(args)?.exits(100)?;
            }
            run(&["--store", "sqlite:/nowhere/x.db", "virtual", "no-at-sign"])?
                .exits(100)?
                .complains(&["USER@HOST"])?;
            Ok(())
        }),
        trial("usage::a_url_with_a_password_is_refused_and_not_repeated", || {
            let refused = run(&["--store", "mysql://qmail:hunter2@localhost/qmail", "getpw", "iain"])?.exits(100)?;
            let refused = refused.complains(&["password"])?;
            ensure(!refused.err.contains("hunter2") && !refused.out.contains("hunter2"), format!("{refused:?}"))
        }),
        trial("usage::an_unknown_kind_of_store_names_the_known_ones", || {
            run(&["--store", "oracle:x", "check"])?.exits(100)?.complains(&["--store", "mysql", "sqlite"])?;
            Ok(())
        }),
        trial("usage::no_store_at_all_says_how_to_choose_one", || {
            let env = [("QMAIL_LOOKUP_QMAIL", "/nonexistent")];
            run_with(&["getpw", "iain"], "", &env)?.exits(100)?.complains(&["--store", "--config", "--sqlserver"])?;
            Ok(())
        }),
        trial("usage::a_missing_configuration_file_is_named", || {
            run(&["--config", "/nonexistent/q.toml", "check"])?.exits(100)?.complains(&["/nonexistent/q.toml"])?;
            run(&["--sqlserver", "/nonexistent/sqlserver", "check"])?
                .exits(100)?
                .complains(&["/nonexistent/sqlserver"])?;
            Ok(())
        }),
        trial("usage::the_demonstration_shows_the_faqs_decisions", || {
            let demo = run(&["demo"])?.exits(0)?;
            let demo = demo
                .says("iain 800 100 /home/mail/iain '-' 'slowlaris'")?
                .says("iain-sanity 800 100 /home/mail/sanity")?;
            let demo =
                demo.says("&address@external.com")?.says("no mailbox here by that name")?.says("granted as dmp")?;
            demo.says("temporary: misconfiguration (rule A2)")?.says("refused: suspended")?;
            let json = run(&["demo", "--json"])?.exits(0)?.json()?;
            let count = json["decisions"].as_array().map_or(0, Vec::len);
            ensure(count == 18, format!("{count} decisions"))
        }),
        trial("usage::an_answer_that_cannot_be_written_is_no_yes", || {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
            let status = Command::new(super::program()?).arg("demo").stdout(full).stderr(Stdio::null()).status()?;
            ensure(status.code() == Some(111), format!("{status:?}"))
        }),
    ]
}
