//! Any local part or address, and any rows: the rules end, and rows that nobody asked for change nothing.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use qmail_lookup_core::rules::{Ask, Explain, Getpw, Question, Resolution, Step, Told};
use qmail_lookup_core::settings::{RuleSettings, VirtualPatterns};
use qmail_lookup_core::{AliasRow, Cell, HostRow, MailboxRow, VirtualRow};
use std::sync::Arc;

#[derive(Debug, Arbitrary)]
struct Input {
    local: Vec<u8>,
    like: bool,
    magic: bool,
    mailbox: Vec<[Cell; 5]>,
    alias: Vec<[Cell; 5]>,
    virtuals: Vec<[Cell; 4]>,
    hosts: Vec<Cell>,
}

fn told(input: &Input, ask: &Ask) -> Told {
    match ask {
        Ask::Mailboxes(_) => Told::Mailboxes(
            input
                .mailbox
                .iter()
                .cloned()
                .map(|[username, uid, gid, home, suspended]| MailboxRow { username, uid, gid, home, suspended })
                .collect(),
        ),
        Ask::Aliases(_) => Told::Aliases(
            input
                .alias
                .iter()
                .cloned()
                .map(|[username, alias, alias_username, alias_host, seq]| AliasRow {
                    username,
                    alias,
                    alias_username,
                    alias_host,
                    seq,
                })
                .collect(),
        ),
        Ask::Virtuals(_) => Told::Virtuals(
            input
                .virtuals
                .iter()
                .cloned()
                .map(|[username, ext, virtual_username, virtual_host]| VirtualRow {
                    username,
                    ext,
                    virtual_username,
                    virtual_host,
                })
                .collect(),
        ),
        Ask::Rcpthosts(_) => Told::Rcpthosts(input.hosts.iter().cloned().map(|host| HostRow { host }).collect()),
    }
}

fn drive<Q: Question>(question: Q, input: &Input, settings: &Arc<RuleSettings>) {
    let mut resolution = Resolution::new(question, Arc::clone(settings));
    for _ in 0..12 {
        match resolution.step() {
            Ok(Step::Done(_)) | Err(_) => return,
            Ok(Step::Ask(ask)) => {
                let told = told(input, &ask);
                resolution.tell(ask, told);
            }
        }
    }
    panic!("the rules did not end");
}

fuzz_target!(|input: Input| {
    let settings = Arc::new(RuleSettings {
        virtual_patterns: if input.like { VirtualPatterns::Like } else { VirtualPatterns::Plain },
        magic_forwarding: input.magic,
        ..RuleSettings::default()
    });
    drive(Getpw { local: input.local.clone() }, &input, &settings);
    let explain = Explain { address: input.local.clone(), control: Arc::default(), alias_home: b"/alias".to_vec() };
    drive(explain, &input, &settings);
});
