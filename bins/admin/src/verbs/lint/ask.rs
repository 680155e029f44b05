//! Where the mail of an address goes from here: the rules' own verdict, and what this machine adds to it.

use super::Lint;
use super::machine::{Machine, path};
use crate::output::Failure;
use crate::qmail::files;
use qmail_lookup_backends::coalesce::Coalesce;
use qmail_lookup_backends::memory::Memory;
use qmail_lookup_config::control;
use qmail_lookup_core::control::{Control, first_line};
use qmail_lookup_core::error::printable;
use qmail_lookup_core::key::fold;
use qmail_lookup_core::lint::loops::Address;
use qmail_lookup_core::rules::{Delivery, Explain, Instructions, Question, Route};
use qmail_lookup_core::{Backend, Deadline, Instruction, Lookup, Misconfiguration, TableRow, VirtualRow};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// Questions that are under way at once; the stores join them to few statements.
pub(super) const AT_ONCE: usize = 32;

/// Most forwards that are remembered, of all addresses together; and most addresses, and hosts.
const KEPT_MAX: usize = 20_000;

/// Statements of one table that a store is sent at once.
const STATEMENTS: usize = 2;

/// Where the mail of an address goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Away from this machine.
    NotOurs,
    /// To somebody here.
    Somebody,
    /// To nobody: it bounces, for this reason.
    Nobody(String),
    /// It waits, or that cannot be seen. Rows that contradict the rules are reported by themselves.
    Unknown,
}

/// One step of a way.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) end: End,
    /// Where rows forward it, in lower case.
    pub(super) forwards: Vec<Address>,
    /// True if the rows also deliver it here.
    pub(super) keeps: bool,
}

/// Asks the stores, many questions at once.
pub(super) struct Ask {
    pub(super) lookup: Lookup,
    pub(super) control: Arc<Control>,
    pub(super) machine: Machine,
    alias_home: PathBuf,
    /// What qmail-send puts behind an address without host.
    bare_host: Option<Vec<u8>>,
    /// False if homes are not to be looked at.
    homes: bool,
    deadline: Duration,
    hops: RefCell<Hops>,
    /// Hosts that are neither local nor virtual.
    foreign: RefCell<HashSet<Vec<u8>>>,
}

#[derive(Default)]
struct Hops {
    /// Also those that are being asked for: who comes meanwhile waits for the same answer.
    known: HashMap<Address, Rc<OnceCell<Rc<Hop>>>>,
    forwards: usize,
}

impl Ask {
    /// Reads the control files; asks nobody yet.
    ///
    /// # Errors
    /// If a control file is there and cannot be read.
    pub(super) fn new(lint: &Lint<'_>) -> Result<Self, Failure> {
        let unreadable = |error: std::io::Error| Failure::temporary(error.to_string());
        let control = Arc::new(control::control(&lint.qmail).map_err(unreadable)?);
        let mut bare_host = None;
        for name in ["envnoathost", "me"] {
            let content = files::read(&lint.qmail.join("control").join(name)).map_err(unreadable)?;
            bare_host = bare_host.or_else(|| first_line(&content.unwrap_or_default()).map(fold));
        }
        let config = &lint.session.config;
        Ok(Self {
            lookup: joined(&lint.session.lookup),
            control,
            machine: Machine::new(&config.rules.break_chars),
            alias_home: lint.qmail.join("alias"),
            bare_host,
            homes: !lint.options.no_homes,
            deadline: config.deadline,
            hops: RefCell::default(),
            foreign: RefCell::default(),
        })
    }

    /// The deadline of a question that is asked now.
    pub(super) fn by(&self) -> Deadline {
        Deadline::after(self.deadline)
    }

    /// Decides a question by the rules.
    ///
    /// # Errors
    /// If a store does not answer.
    pub(super) async fn judge<Q: Question>(&self, question: Q) -> Result<Result<Q::Answer, Misconfiguration>, Failure> {
        Ok(self.lookup.judge(question, self.by()).await?)
    }

    /// [`Ask::judge`] as if `row` were all of table virtual: what other rows of its host say costs nothing then, however
    /// many there are.
    ///
    /// # Errors
    /// If a store does not answer.
    pub(super) async fn judge_alone<Q: Question>(
        &self,
        row: &VirtualRow,
        question: Q,
    ) -> Result<Result<Q::Answer, Misconfiguration>, Failure> {
        let rules = &self.lookup.settings;
        let only = Memory::new(vec![TableRow::Virtual(row.clone())], Arc::clone(rules));
        let lookup = Lookup { virtuals: Arc::new(only), ..self.lookup.clone() };
        Ok(lookup.judge(question, self.by()).await?)
    }

    /// An address as a row names it, in lower case and with its host.
    pub(super) fn address(&self, written: &[u8]) -> Address {
        match &self.bare_host {
            Some(host) if !written.contains(&b'@') => [&fold(written)[..], b"@", host].concat().into(),
            _ => fold(written).into(),
        }
    }

    /// Where the mail of `address` goes.
    ///
    /// # Errors
    /// If a store or the system does not answer.
    pub(super) async fn hop(&self, address: &Address) -> Result<Rc<Hop>, Failure> {
        let place = {
            let mut hops = self.hops.borrow_mut();
            if hops.known.len() >= KEPT_MAX || hops.forwards >= KEPT_MAX {
                *hops = Hops::default();
            }
            Rc::clone(hops.known.entry(Arc::clone(address)).or_default())
        };
        let hop = place.get_or_try_init(|| async {
            let hop = Rc::new(self.new_hop(address).await?);
            let mut hops = self.hops.borrow_mut();
            hops.forwards = hops.forwards.saturating_add(hop.forwards.len());
            Ok::<_, Failure>(hop)
        });
        hop.await.cloned()
    }

    async fn new_hop(&self, address: &Address) -> Result<Hop, Failure> {
        let ends = |end| Hop { end, forwards: Vec::new(), keeps: false };
        let host = address.iter().rposition(|&b| b == b'@').and_then(|at| address.get(at + 1..));
        // A line of control/virtualdomains can be about one address of a host.
        let host = host.filter(|_| self.control.virtual_domains.find(address).is_none());
        if host.is_some_and(|host| self.foreign.borrow().contains(host)) {
            return Ok(ends(End::NotOurs));
        }
        let question = Explain {
            address: address.to_vec(),
            control: Arc::clone(&self.control),
            alias_home: self.alias_home.as_os_str().as_encoded_bytes().to_vec(),
        };
        let Ok(outcome) = self.judge(question).await? else { return Ok(ends(End::Unknown)) };
        let (Some(route), Some(delivery)) = (outcome.route, outcome.delivery) else {
            let mut foreign = self.foreign.borrow_mut();
            if foreign.len() >= KEPT_MAX {
                foreign.clear();
            }
            foreign.extend(host.map(<[u8]>::to_vec));
            return Ok(ends(End::NotOurs));
        };
        self.of_delivery(&route, delivery).await
    }

    /// What the rows, the system users and the files make of a route.
    ///
    /// # Errors
    /// If a store or the system does not answer.
    pub(super) async fn of_delivery(&self, route: &Route, delivery: Delivery) -> Result<Hop, Failure> {
        let mut delivery = delivery;
        let mut home = None;
        match route {
            Route::Stock { local } => match self.machine.person(local).await? {
                Some(person) => {
                    let dash: &[u8] = if person.ext.is_empty() { b"" } else { b"-" };
                    home = Some((person.home.clone(), dash, person.ext.clone()));
                    let (username, ext, alias_home) = (person.name, person.ext, person.home);
                    match self.judge(Instructions { username, ext, alias_home }).await? {
                        Ok(Some(rows)) => delivery = rows,
                        Ok(None) => {}
                        Err(_) => return Ok(Hop { end: End::Unknown, forwards: Vec::new(), keeps: false }),
                    }
                }
                None => home = Some((self.alias_home_bytes(), b"-", local.clone())),
            },
            Route::AliasUser { ext, .. } => home = Some((self.alias_home_bytes(), b"-", ext.clone())),
            Route::Mailbox { mailbox, dash, ext } => home = Some((mailbox.home.clone(), dash, ext.clone())),
            Route::Unknown | Route::Forward(_) => {}
        }
        let ends = |end| Hop { end, forwards: Vec::new(), keeps: false };
        Ok(match delivery {
            Delivery::Rows { instructions, .. } => self.of_rows(&instructions),
            Delivery::Bounce(words) => ends(End::Nobody(format!("\"{words}\""))),
            Delivery::Defer(_) => ends(End::Unknown),
            Delivery::Files { .. } => ends(self.of_files(home).await),
        })
    }

    fn of_rows(&self, instructions: &[Instruction]) -> Hop {
        let forward = |one: &Instruction| match one {
            Instruction::Forward(to) => Some(self.address(to)),
            Instruction::Program(_) | Instruction::Mbox(_) | Instruction::Maildir(_) => None,
        };
        let forwards: Vec<Address> = instructions.iter().filter_map(forward).collect();
        let keeps = forwards.len() < instructions.len();
        Hop { end: End::Somebody, forwards, keeps }
    }

    async fn of_files(&self, place: Option<(Vec<u8>, &[u8], Vec<u8>)>) -> End {
        let Some((home, dash, ext)) = place else { return End::Somebody };
        // Without an extension there is qmail-start's argument, if there is no file.
        if dash.is_empty() {
            return End::Somebody;
        }
        let is_alias = home == self.alias_home_bytes();
        if !is_alias && !self.homes {
            return End::Unknown;
        }
        match self.machine.has_file(path(&home).to_path_buf(), dash, &ext).await {
            Some(true) => End::Somebody,
            None => End::Unknown,
            Some(false) => {
                let whose =
                    if is_alias { "neither mailbox, alias row nor system user, and" } else { "no alias row, and" };
                let file = format!(".qmail{}{}", printable(dash), printable(&fold(&ext)));
                End::Nobody(format!("{whose} no file {file} in {}", printable(&home)))
            }
        }
    }

    fn alias_home_bytes(&self) -> Vec<u8> {
        self.alias_home.as_os_str().as_encoded_bytes().to_vec()
    }
}

/// The same stores, with concurrent questions joined to few statements.
pub(in crate::verbs) fn joined(lookup: &Lookup) -> Lookup {
    let layer =
        |store: &Arc<dyn Backend>| -> Arc<dyn Backend> { Arc::new(Coalesce::new(Arc::clone(store), STATEMENTS)) };
    let mailbox = layer(&lookup.mailbox);
    let again = |store: &Arc<dyn Backend>| match Arc::ptr_eq(store, &lookup.mailbox) {
        true => Arc::clone(&mailbox),
        false => layer(store),
    };
    let (alias, virtuals) = (again(&lookup.alias), again(&lookup.virtuals));
    Lookup { mailbox, alias, virtuals, settings: Arc::clone(&lookup.settings) }
}
