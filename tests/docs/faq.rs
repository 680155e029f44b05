//! docs/faq.md answers every question of the qmail/MySQL FAQ, and what it shows is so.

use super::{read, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::program;
use rusqlite::Connection;
use std::path::Path;
use std::process::Command;

const DOCUMENT: &str = "docs/faq.md";

/// The FAQ's questions. Two are asked inside an answer there.
const QUESTIONS: [&str; 28] = [
    "Why was this patch developed?",
    "How actively is it developed?",
    "How do I use Mailbox delivery?",
    "checkpassword can't connect to the database",
    "How can I compile this on Solaris?",
    "I keep getting \"Temporary failure in qmail-lspawn.\" I'm using Solaris.",
    "That didn't work.",
    "I keep getting \"Temporary failure in qmail-lspawn.\" I'm not using Solaris.",
    "Are you sure the MySQL server is running?",
    "Are you sure you are connecting to it properly?",
    "Why no quota support?",
    "I see \"alert: out of memory, sleeping...\" in the log file and no deliveries happen",
    "The control/sqlserver file doesn't work",
    "The control/sqlserver file is insecure - how do I fix this?",
    "What are the consequences of not modifying that file's permissions?",
    "So you knew the control/sqlserver file was insecure - what's your excuse?",
    "How can I set up a virtual catchall?",
    "Messages to virtual domains bounce even though they're correctly set up",
    "I can't read mail by POP3: I get \"this user has no $HOME/Maildir\"",
    "How do I forward user@domain to an external address",
    "checkpassword always refuses to authenticate my users - I've checked the directory permissions",
    "I upgraded to FUNKY QUERIES and now none of my virtual domain catchalls work!",
    "I get \"MySQL misconfiguration: <some nasty sounding message>\" in the logs!",
    "I want usernames longer than 32 characters",
    "When I run qmail-getpw it hangs and then prints out details for the alias user",
    "When I run qmail-getpw it doesn't hang but prints out details for alias yet I have the user I'm querying in my \
     mailbox table!",
    "Are you going to [insert desired functionality]?",
    "Did Susan Leppard's mother know Buzz Meeks was lying dead under her house?",
];

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("faq::every_question_has_an_answer", || {
            let text = read(DOCUMENT)?;
            let sections: Vec<_> =
                text.split("\n### ").skip(1).filter_map(|section| section.split_once('\n')).collect();
            for question in QUESTIONS {
                let found = sections.iter().find(|(heading, body)| *heading == question || body.contains(question));
                let (_, body) = found.ok_or_else(|| format!("not answered: {question}"))?;
                let answer = body.split("\n## ").next().unwrap_or_default().trim();
                ensure(answer.len() > 20, format!("no answer to: {question}"))?;
            }
            // No heading that the FAQ does not have.
            for (heading, _) in sections {
                ensure(QUESTIONS.contains(&heading), format!("nobody asks {heading:?}"))?;
            }
            Ok(())
        }),
        trial("faq::doctor_asks_in_its_words", || {
            let source = read("bins/admin/src/verbs/doctor/questions.rs")?.replace("\\\"", "\"");
            let text = read(DOCUMENT)?;
            for words in [
                "The control/sqlserver file doesn't work",
                "The control/sqlserver file is insecure",
                "Are you sure you are connecting to it properly?",
                "alert: out of memory, sleeping...",
                "this user has no $HOME/Maildir",
                "checkpassword can't connect to the database",
                "although I'm listed as a best-preference MX or A",
                "I upgraded to FUNKY QUERIES and now none of my virtual domain catchalls work!",
            ] {
                ensure(source.contains(words), format!("doctor does not ask: {words}"))?;
                ensure(text.contains(words), format!("not in {DOCUMENT}: {words}"))?;
            }
            Ok(())
        }),
        trial("faq::the_catchall_that_is_shown_catches_all", || {
            explained("### How can I set up a virtual catchall?", "whoever@virtual.com", "deliver", "./Maildir/")
        }),
        trial("faq::the_forward_that_is_shown_goes_outside", || {
            let heading = "### How do I forward user@domain to an external address";
            explained(heading, "user@virtual.com", "forward", "&popaccount@hotmail.com")
        }),
    ]
}

/// Loads the tables below a heading, with a mailbox `virtual`, and asks what becomes of an address.
fn explained(heading: &str, address: &str, verdict: &str, instruction: &str) -> Outcome {
    let text = read(DOCUMENT)?;
    let (_, below) = text.split_once(heading).ok_or_else(|| format!("no {heading}"))?;
    let below = below.split("\n### ").next().unwrap_or_default();
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("store.sqlite");
    ask(&store, &["init"])?;
    let database = Connection::open(&store)?;
    database.execute_batch(
        "insert into mailbox (username, uid, gid, home) values ('virtual', '20004', '20004', '/home/mail/virtual')",
    )?;
    for table in ["virtual", "alias"] {
        let start = format!("| table {table} | | | |\n");
        let (_, rows) = below.split_once(&start).ok_or_else(|| format!("no table {table}"))?;
        let rows: Vec<_> = rows.lines().take_while(|line| line.starts_with('|')).skip(2).collect();
        ensure(!rows.is_empty(), format!("no rows of table {table}"))?;
        for row in rows {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            let [a, b, c, d] = <[&str; 4]>::try_from(cells).map_err(|cells| format!("{cells:?}"))?;
            database.execute(&format!("insert into `{table}` values (?, ?, ?, ?)"), [a, b, c, d])?;
        }
    }
    drop(database);
    let said = ask(&store, &["--json", "explain", address])?;
    let value: serde_json::Value = serde_json::from_str(&said)?;
    equal("verdict", value["verdict"].as_str(), Some(verdict))?;
    equal("instructions", value["instructions"].clone(), serde_json::json!([instruction]))
}

fn ask(store: &Path, arguments: &[&str]) -> Result<String, Failed> {
    let mut command = Command::new(program("qmail-lookup")?);
    command.arg("--store").arg(format!("sqlite:{}", store.display())).args(arguments);
    let done = command.output()?;
    let text = [&done.stdout[..], &done.stderr[..]].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    ensure(done.status.success(), text.concat())?;
    let [said, _] = text;
    Ok(said)
}
