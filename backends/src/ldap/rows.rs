//! Entries as rows of the core, by the mapping. No cell is judged here.

use super::entry::{self, Attributes};
use super::mapping::{AliasMap, Delivery, DeliveryKind, MailboxMap, Mapping, Test, VirtualMap};
use crate::question::Question;
use ldap3::ResultEntry;
use qmail_lookup_core::{Cell, Standing, Table, VirtualKey};

/// An entry that was found.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) dn: String,
    pub(super) attributes: Attributes,
}

impl Entry {
    /// Reads an entry of a search; `None` if it is not one.
    pub(super) fn read(entry: ResultEntry) -> Option<Self> {
        Attributes::read(entry).map(|(dn, attributes)| Self { dn, attributes })
    }
}

/// A row that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Of its entry.
    pub(super) dn: String,
    /// In the order of [`Table::columns`].
    pub(super) cells: Vec<Cell>,
    /// Values of the password attribute, if it was asked for.
    pub(super) passwords: usize,
}

/// An entry under the names of the mapping.
struct View<'a> {
    entry: &'a Attributes,
}

impl View<'_> {
    /// All values of an attribute, with whatever options.
    fn values(&self, attribute: &str) -> Vec<Vec<u8>> {
        let own = |name: &str| name.split(';').next().is_some_and(|bare| bare.eq_ignore_ascii_case(attribute));
        let found = self.entry.iter().filter(|(name, _)| own(name));
        found.flat_map(|(_, values)| values.iter().cloned()).collect()
    }

    /// The cell of a column that has one value. Several are put together so that the rules refuse them.
    fn cell(&self, attribute: &str) -> Cell {
        let values = self.values(attribute);
        (!values.is_empty()).then(|| values.join(&b'\n'))
    }

    fn holds(&self, test: &Test) -> bool {
        let values = self.values(&test.attribute);
        let is = |value: &[u8]| test.any_of.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(value));
        if test.any_of.is_empty() { !values.is_empty() } else { values.iter().any(|value| is(value)) }
    }
}

/// The rows that answer `question`. An entry that was searched as one of its host (marked) counts only if no other
/// row of that host is there, so that no row comes twice.
pub(super) fn answer(
    question: &Question,
    mapping: &Mapping,
    entries: impl IntoIterator<Item = (bool, Entry)>,
) -> Vec<Found> {
    let mut answer: Vec<Found> = Vec::new();
    for (one, entry) in entries {
        if matches!(question, Question::AnyMailbox) {
            answer.push(Found { dn: entry.dn, cells: Vec::new(), passwords: 0 });
            continue;
        }
        let view = View { entry: &entry.attributes };
        let passwords = match (question, &mapping.mailbox) {
            (Question::Credentials(_), Some(map)) => view.values(&map.password).len(),
            _ => 0,
        };
        for cells in cells(question.table(), mapping, &view) {
            if !question.asks_for(&cells) {
                continue;
            }
            if one {
                let host = |row: &[Cell]| row.first().cloned().flatten().map(|host| host.to_ascii_lowercase());
                if answer.iter().any(|other| host(&other.cells) == host(&cells)) {
                    continue;
                }
            }
            answer.push(Found { dn: entry.dn.clone(), cells, passwords });
        }
    }
    answer
}

/// The attribute that an entry must have, because the filter asked for its value, and has not: the server lets it be
/// searched and not be read. Its rows would look as if they were not asked for.
pub(super) fn hidden<'a>(question: &Question, mapping: &'a Mapping, entry: &Entry) -> Option<&'a str> {
    let view = View { entry: &entry.attributes };
    let lacks = |attribute: &&'a str| view.values(attribute).is_empty();
    match question {
        Question::AnyMailbox => None,
        Question::Mailboxes(_) | Question::Credentials(_) => {
            mapping.mailbox.as_ref().map(|map| map.username.as_str()).filter(lacks)
        }
        Question::Rcpthosts(_) => mapping.rcpthosts.as_ref().map(|map| map.host.as_str()).filter(lacks),
        Question::Aliases(keys) => {
            let map = mapping.alias.as_ref()?;
            let blank = keys.iter().any(|key| key.alias.as_bytes().is_empty());
            let alias = map.alias.as_deref().filter(|_| !blank);
            map.username.as_deref().into_iter().chain(alias).find(|attribute| lacks(attribute))
        }
        Question::Virtuals(_) => {
            let map = mapping.virtuals.as_ref()?;
            let address = map.addresses.first().filter(|_| map.addresses.iter().all(|name| lacks(&name.as_str())));
            map.host.as_deref().filter(lacks).or(address.map(String::as_str))
        }
    }
}

/// True if an entry that was to show only that its host exists has a row that an exact key or a pattern asks for, and
/// that the search for those has not found: something is hidden from us, or has changed in between.
pub(super) fn contradicts(question: &Question, mapping: &Mapping, answers: &[(bool, Entry)]) -> bool {
    let Question::Virtuals(keys) = question else { return false };
    let wanted = keys.iter().filter(|key| !matches!(key, VirtualKey::Any { .. })).cloned().collect();
    let wanted = Question::Virtuals(wanted);
    let rows = |entry: &Entry| cells(Table::Virtual, mapping, &View { entry: &entry.attributes });
    let found: Vec<_> = answers.iter().filter(|(one, _)| !one).flat_map(|(_, entry)| rows(entry)).collect();
    let shown = answers.iter().filter(|(one, _)| *one).flat_map(|(_, entry)| rows(entry));
    shown.into_iter().any(|row| wanted.asks_for(&row) && !found.contains(&row))
}

fn cells(table: Table, mapping: &Mapping, view: &View<'_>) -> Vec<Vec<Cell>> {
    match table {
        Table::Mailbox => mapping.mailbox.as_ref().map(|map| mailbox_rows(map, view)),
        Table::Alias => mapping.alias.as_ref().map(|map| alias_rows(map, view)),
        Table::Virtual => mapping.virtuals.as_ref().map(|map| virtual_rows(map, view)),
        Table::Rcpthosts => mapping
            .rcpthosts
            .as_ref()
            .map(|map| view.values(&map.host).into_iter().map(|host| vec![Some(host)]).collect()),
    }
    .unwrap_or_default()
}

/// One row for each name; names that fold to the same are one.
fn mailbox_rows(map: &MailboxMap, view: &View<'_>) -> Vec<Vec<Cell>> {
    let id = |attribute: &str, default: Option<u32>| {
        view.cell(attribute).or_else(|| default.map(|number| number.to_string().into_bytes()))
    };
    let home = view.cell(&map.home).or_else(|| map.home_else.as_ref().and_then(|name| view.cell(name)));
    let home = home.map(|path| prefixed(path, map.home_prefix.as_deref()));
    let (password, kind) = entry::password_cells(&view.values(&map.password));
    let suspended = map.suspended.as_ref().map(|attribute| suspended(&view.values(attribute), map));
    let rest = [id(&map.uid, map.default_uid), id(&map.gid, map.default_gid), home, password, kind, suspended];
    let names = one_spelling(view.values(&map.username));
    names.into_iter().map(|name| std::iter::once(Some(name)).chain(rest.iter().cloned()).collect()).collect()
}

fn one_spelling(mut names: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    names.sort_unstable_by_key(|name| name.to_ascii_lowercase());
    names.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    names
}

fn suspended(values: &[Vec<u8>], map: &MailboxMap) -> Vec<u8> {
    let among = |words: &[String], value: &[u8]| words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(value));
    if values.iter().all(|value| among(&map.active, value)) {
        b"N".to_vec()
    } else if values.iter().any(|value| among(&map.bounced, value)) {
        Standing::BOUNCED.to_vec()
    } else {
        b"Y".to_vec()
    }
}

fn prefixed(path: Vec<u8>, prefix: Option<&str>) -> Vec<u8> {
    match prefix {
        Some(prefix) if !path.starts_with(b"/") => [prefix.as_bytes(), &path].concat(),
        _ => path,
    }
}

/// (alias_username, alias_host) of one row.
type Pair = (Vec<u8>, Vec<u8>);

fn alias_rows(map: &AliasMap, view: &View<'_>) -> Vec<Vec<Cell>> {
    let owners = match (&map.username, &map.owner) {
        (Some(attribute), _) => one_spelling(view.values(attribute)),
        (None, owner) => owner.iter().map(|name| name.as_bytes().to_vec()).collect(),
    };
    let mut extensions = map.alias.as_ref().map(|name| one_spelling(view.values(name))).unwrap_or_default();
    if extensions.is_empty() {
        extensions.push(Vec::new());
    }
    let seq = map.seq.as_ref().and_then(|name| view.cell(name));
    let pairs = pairs(map, view);
    let mut rows = Vec::new();
    for owner in &owners {
        for extension in &extensions {
            for (user, host) in &pairs {
                let cell = |bytes: &Vec<u8>| Some(bytes.clone());
                rows.push(vec![cell(owner), cell(extension), cell(user), cell(host), seq.clone()]);
            }
        }
    }
    rows
}

/// Both cells empty: the rules defer.
fn bogus() -> Pair {
    (Vec::new(), Vec::new())
}

fn pairs(map: &AliasMap, view: &View<'_>) -> Vec<Pair> {
    if map.files.iter().any(|test| view.holds(test)) {
        return Vec::new();
    }
    if map.refuse.iter().any(|test| view.holds(test)) {
        return vec![bogus()];
    }
    let (mut pairs, mut has_path) = (Vec::new(), false);
    for delivery in &map.deliveries {
        let wanted = delivery.only_if.iter().all(|test| view.holds(test));
        if !wanted || delivery.unless.iter().any(|test| view.holds(test)) {
            continue;
        }
        for value in view.values(&delivery.attribute) {
            has_path |= delivery.kind == DeliveryKind::Path;
            pairs.push(pair(delivery, value));
        }
    }
    let Some(local) = &map.local else {
        return if pairs.is_empty() { vec![bogus()] } else { pairs };
    };
    if local.unless.iter().any(|test| view.holds(test)) {
        return if pairs.is_empty() { vec![bogus()] } else { pairs };
    }
    match &local.default {
        _ if has_path => {}
        Some(line) => pairs.push(of_line(line.as_bytes())),
        // Qmail's files decide what becomes of mail for the account alone; of a set with more they do not.
        None if pairs.is_empty() => {}
        None => return vec![bogus()],
    }
    pairs
}

/// The cells of a value, such that the rules read the same instruction from them, or refuse them.
fn pair(delivery: &Delivery, value: Vec<u8>) -> Pair {
    match delivery.kind {
        DeliveryKind::Line => of_line(&value),
        DeliveryKind::Program => (b"|".to_vec(), value),
        DeliveryKind::Path => match prefixed(value, delivery.prefix.as_deref()) {
            path if path.starts_with(b"/") || path.starts_with(b"./") => of_line(&path),
            // Relative to what is not known.
            _ => bogus(),
        },
        // A list or a program of another mailer, or a quoted name, is no address to forward to.
        DeliveryKind::Forward if value.first().is_some_and(|b| b":\"\\|/.&+#".contains(b)) => bogus(),
        DeliveryKind::Forward => of_line(&[b"&", value.as_slice()].concat()),
    }
}

/// A line of a dot-qmail file. A forward to a user that is called like the mark of a path or program is none in a
/// table; its cells keep the `&`, so that the rules refuse it.
fn of_line(line: &[u8]) -> Pair {
    let (user, host) = entry::instruction_cells(Some(line));
    if line.starts_with(b"&") && matches!(user.as_slice(), b"." | b"/" | b"|") {
        return ([b"&", user.as_slice()].concat(), host);
    }
    (user, host)
}

fn virtual_rows(map: &VirtualMap, view: &View<'_>) -> Vec<Vec<Cell>> {
    let Some(host) = &map.host else { return address_rows(map, view) };
    let values = |attribute: &Option<String>| attribute.as_ref().map(|name| view.values(name)).unwrap_or_default();
    let mut users = values(&map.user);
    users.extend(values(&map.pattern));
    if users.is_empty() {
        users.push(Vec::new());
    }
    let ext = map.ext.as_ref().and_then(|name| view.cell(name)).unwrap_or_default();
    let owner = view.cell(&map.username);
    let mut rows = Vec::new();
    for host in one_spelling(view.values(host)) {
        for user in &users {
            rows.push(vec![Some(host.clone()), Some(user.clone()), owner.clone(), Some(ext.clone())]);
        }
    }
    rows
}

/// One row for each address; two for one whose user part stands for everybody else.
fn address_rows(map: &VirtualMap, view: &View<'_>) -> Vec<Vec<Cell>> {
    // All names of an entry are one mailbox, so any will do, as long as it is always the same.
    let owner = one_spelling(view.values(&map.username)).into_iter().next();
    let addresses = one_spelling(map.addresses.iter().flat_map(|name| view.values(name)).collect());
    let mut rows = Vec::new();
    for address in addresses {
        let Some(at) = address.iter().rposition(|&b| b == b'@') else { continue };
        let (user, host) = address.split_at(at);
        if user.is_empty() {
            continue; // no address, and no catch-all either: that has a word of its own
        }
        let host = host.get(1..).unwrap_or_default().to_vec();
        let row = |user: &[u8]| vec![Some(host.clone()), Some(user.to_vec()), owner.clone(), Some(Vec::new())];
        rows.push(row(user));
        if map.catchall.as_ref().is_some_and(|word| word.as_bytes().eq_ignore_ascii_case(user)) {
            rows.push(row(b""));
        }
    }
    rows
}
