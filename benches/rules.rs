//! The rules alone: an address through them on rows in memory, with allocations counted, beside the least that any
//! implementation must do for the same answer (fold the local part, try each prefix in a hash map, copy the fields).

use divan::{AllocProfiler, Bencher, black_box};
use qmail_lookup_core::rules::{Ask, Explain, Getpw, Question, Resolution, Step, Told};
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{AliasRow, MailboxRow, VirtualRow};
use std::collections::HashMap;
use std::sync::Arc;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn cell(text: &str) -> Option<Vec<u8>> {
    Some(text.into())
}

fn mailbox() -> MailboxRow {
    MailboxRow {
        username: cell("iain"),
        uid: cell("800"),
        gid: cell("100"),
        home: cell("/home/mail/iain"),
        suspended: cell("N"),
    }
}

/// Answers every question as a store would that holds one mailbox, one alias row and one virtual row.
fn answer(ask: &Ask) -> Told {
    match ask {
        Ask::Mailboxes(_) => Told::Mailboxes(vec![mailbox()]),
        Ask::Aliases(_) => Told::Aliases(vec![AliasRow {
            username: cell("iain"),
            alias: cell("slowlaris"),
            alias_username: cell("."),
            alias_host: cell("/Maildir/"),
            seq: None,
        }]),
        Ask::Virtuals(_) => Told::Virtuals(vec![VirtualRow {
            username: cell("iain"),
            ext: cell("slowlaris"),
            virtual_username: cell("sales"),
            virtual_host: cell("virtual.com"),
        }]),
        Ask::Rcpthosts(_) => Told::Rcpthosts(Vec::new()),
    }
}

fn decide<Q: Question>(question: Q, settings: &Arc<RuleSettings>) -> Option<Q::Answer> {
    let mut resolution = Resolution::new(question, Arc::clone(settings));
    loop {
        match resolution.step() {
            Ok(Step::Done(answer)) => return Some(answer),
            Ok(Step::Ask(ask)) => {
                let told = answer(&ask);
                resolution.tell(ask, told);
            }
            Err(_) => return None,
        }
    }
}

#[divan::bench(args = ["iain", "iain-slowlaris", "=virtual.com=-sales"])]
fn getpw(bencher: Bencher, local: &str) {
    let settings = Arc::new(RuleSettings::default());
    bencher.bench(|| decide(Getpw { local: black_box(local).as_bytes().to_vec() }, &settings));
}

#[divan::bench(args = ["iain-slowlaris", "sales@virtual.com"])]
fn explain(bencher: Bencher, address: &str) {
    let settings = Arc::new(RuleSettings::default());
    let question = |address: &str| Explain {
        address: address.as_bytes().to_vec(),
        control: Arc::default(),
        alias_home: b"/var/qmail/alias".to_vec(),
    };
    bencher.bench(|| decide(question(black_box(address)), &settings));
}

/// The comparison: the FAQ's getpw without any of the checks.
#[divan::bench(args = ["iain", "iain-slowlaris"])]
fn bare_prefix_search(bencher: Bencher, local: &str) {
    let rows: HashMap<Vec<u8>, MailboxRow> = [(b"iain".to_vec(), mailbox())].into();
    bencher.bench(|| {
        let folded = black_box(local).as_bytes().to_ascii_lowercase();
        let ends = std::iter::once(folded.len())
            .chain(folded.iter().enumerate().rev().filter(|(_, b)| **b == b'-').map(|(at, _)| at));
        for end in ends {
            if let Some(row) = folded.get(..end).and_then(|prefix| rows.get(prefix)) {
                return Some((row.clone(), local.as_bytes().get(end + 1..).map(<[u8]>::to_vec)));
            }
        }
        None
    });
}
