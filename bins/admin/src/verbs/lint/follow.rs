//! Looks where every forward leads: loops of aliases, and targets that do not exist.

use super::Lint;
use super::ask::{AT_ONCE, Ask, End};
use super::words::{address_text, alias_key, virtual_key};
use crate::output::Failure;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use qmail_lookup_core::lint::loops::{ADDRESSES_MAX, Address, Followed, Search, Turn, from_its_first};
use qmail_lookup_core::lint::{Finding, Repair, Severity};
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{Instruction, Table, TableRow};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Most loops that are remembered, so as not to be told twice.
const TOLD_MAX: usize = 10_000;

/// Most addresses that searches are known to have begun at.
const BEGUN_MAX: usize = 50_000;

/// The rows of one page that forward to an address.
struct Forwards {
    table: Table,
    /// Of the rows, for people.
    keys: Vec<String>,
    target: Address,
}

/// What is known from all searches so far.
#[derive(Default)]
struct Known {
    followed: RefCell<Followed>,
    told: RefCell<HashSet<Vec<Address>>>,
    /// Where searches began.
    begun: RefCell<HashSet<Address>>,
}

impl Known {
    /// True unless a search began at this address already; it tells the same.
    fn begins(&self, target: &Address) -> bool {
        let mut begun = self.begun.borrow_mut();
        if begun.len() >= BEGUN_MAX {
            begun.clear();
        }
        begun.insert(Arc::clone(target))
    }
}

pub(super) async fn run(lint: &mut Lint<'_>) -> Result<(), Failure> {
    let (ask, known) = (Ask::new(lint)?, Known::default());
    table(lint, &ask, &known, Table::Alias).await?;
    if lint.session.config.rules.magic_forwarding {
        table(lint, &ask, &known, Table::Virtual).await?;
    }
    Ok(())
}

/// Every loop consists of targets of forwards, so it is enough to begin at these.
async fn table(lint: &mut Lint<'_>, ask: &Ask, known: &Known, table: Table) -> Result<(), Failure> {
    let mut pages = lint.pages(table, "following forwards").await?;
    loop {
        let rows = pages.next().await?;
        if rows.is_empty() {
            return Ok(());
        }
        let rules = &lint.session.config.rules;
        let mut forwards: Vec<Forwards> = Vec::new();
        let mut places: HashMap<Address, usize> = HashMap::new();
        for (key, target) in rows.iter().filter_map(|row| forward(row, ask, rules)) {
            let place = *places.entry(Arc::clone(&target)).or_insert(forwards.len());
            match forwards.get_mut(place) {
                Some(same) => same.keys.push(key),
                None => forwards.push(Forwards { table, keys: vec![key], target }),
            }
        }
        let found = stream::iter(forwards).map(|forwards| follow(ask, known, forwards)).buffered(AT_ONCE);
        let found: Vec<Vec<Finding>> = found.try_collect().await?;
        for finding in found.into_iter().flatten() {
            lint.report.push(finding);
        }
        lint.progress.advance(u64::try_from(rows.len()).unwrap_or(u64::MAX));
    }
}

/// The key of the row, and where it forwards to, if it does.
fn forward(row: &TableRow, ask: &Ask, rules: &RuleSettings) -> Option<(String, Address)> {
    let (key, target) = match row {
        TableRow::Alias(row) => match row.instruction(b"/", rules) {
            Ok(Instruction::Forward(target)) => (alias_key(row), target),
            Ok(_) | Err(_) => return None,
        },
        TableRow::Virtual(row) if row.username.as_deref()?.eq_ignore_ascii_case(b"forward") => {
            (virtual_key(row), row.ext.clone().filter(|ext| ext.contains(&b'@') && ext.len() > 1)?)
        }
        TableRow::Virtual(_) | TableRow::Mailbox(_) | TableRow::Rcpthosts(_) => return None,
    };
    Some((key, ask.address(&target)))
}

async fn follow(ask: &Ask, known: &Known, forwards: Forwards) -> Result<Vec<Finding>, Failure> {
    let Forwards { table, keys, target } = forwards;
    let mut findings = Vec::new();
    if let End::Nobody(why) = &ask.hop(&target).await?.end {
        let to = address_text(&target);
        findings.extend(keys.iter().map(|key| Finding {
            severity: Severity::Error,
            rule: "dangling",
            table,
            key: key.clone(),
            why: format!("forwards to {to}, whose mail bounces: {why}"),
            repair: Repair::Words(format!("correct the target, remove the row, or give {to} a mailbox or an alias")),
        }));
    }
    if known.followed.borrow().has(&target) || !known.begins(&target) {
        return Ok(findings);
    }
    let mut search = Search::new(target);
    loop {
        let turn = search.step(&mut known.followed.borrow_mut());
        match turn {
            Turn::Follow(address) => search.tell(&ask.hop(&address).await?.forwards),
            Turn::Loop(round) => findings.extend(told(ask, known, table, round).await?),
            Turn::End => return Ok(findings),
            Turn::TooMany { again: true } => return Ok(findings),
            Turn::TooMany { again: false } => {
                findings.push(Finding {
                    severity: Severity::Note,
                    rule: "loop",
                    table,
                    key: keys.into_iter().next().unwrap_or_default(),
                    why: format!("its forwards reach more than {ADDRESSES_MAX} addresses; the rest was not followed"),
                    repair: Repair::Words("look whether so long a way is meant".to_owned()),
                });
                return Ok(findings);
            }
        }
    }
}

/// The finding of a loop, unless it was told before.
async fn told(ask: &Ask, known: &Known, table: Table, round: Vec<Address>) -> Result<Option<Finding>, Failure> {
    let round = from_its_first(round);
    {
        let mut told = known.told.borrow_mut();
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        if !told.insert(round.clone()) {
            return Ok(None);
        }
    }
    let mut keeps = Vec::new();
    for address in &round {
        if ask.hop(address).await?.keeps {
            keeps.push(address_text(address));
        }
    }
    let first = round.first().map(|address| address_text(address)).unwrap_or_default();
    let mut way: Vec<String> = round.iter().map(|address| address_text(address)).collect();
    way.push(first.clone());
    let copies = match keeps.first() {
        Some(address) => format!("; {address} keeps a copy of it, and its sender gets the bounce all the same"),
        None => String::new(),
    };
    Ok(Some(Finding {
        severity: Severity::Error,
        rule: "loop",
        table,
        key: first,
        why: format!(
            "{}: mail goes round until it finds its own Delivered-To line, and bounces (5.4.6){copies}",
            way.join(" -> ")
        ),
        repair: Repair::Words("remove one of these forwards".to_owned()),
    }))
}
