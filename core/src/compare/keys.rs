//! Questions to both sides, and which of them tell whether a row means the same there.

use crate::alias::AliasRow;
use crate::catalog::TableRow;
use crate::key::{Ext, Host, Username, VirtualUser, fold};
use crate::limits::{EXT_MAX, USERNAME_MAX};
use crate::settings::RuleSettings;
use crate::virtuals::VirtualRow;

/// A name, or an extension, that hardly any row has. It holds no break character.
pub const UNKNOWN: &str = "qlnosuchname7f3a9c1e5b";

/// A host that no row can be about: nobody may use the domain (RFC 2606).
pub const UNKNOWN_HOST: &str = "qlnosuchname7f3a9c1e5b.invalid";

/// A question to both sides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The mailbox of exactly this name.
    Mailbox(Vec<u8>),
    /// Who gets the mail of this local part as it stands in the queue, and how it is delivered.
    Local(Vec<u8>),
    /// The instructions of a user and an extension.
    Alias {
        /// Mailbox, the alias user, or a system user.
        user: Vec<u8>,
        /// Extension; empty for the user's own default.
        ext: Vec<u8>,
    },
    /// Who owns this address, who gets its mail, and how it is delivered.
    Address(Vec<u8>),
    /// Whether mail for this host is accepted, and by which row.
    Host(Vec<u8>),
    /// The cells that decide logins of the mailbox of this name.
    Password(Vec<u8>),
}

/// Which question a [`Key`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// See [`Key::Mailbox`].
    Mailbox,
    /// See [`Key::Local`].
    Local,
    /// See [`Key::Alias`].
    Alias,
    /// See [`Key::Address`].
    Address,
    /// See [`Key::Host`].
    Host,
    /// See [`Key::Password`].
    Password,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [Self::Mailbox, Self::Local, Self::Alias, Self::Address, Self::Host, Self::Password];

    /// One word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mailbox => "mailbox",
            Self::Local => "local",
            Self::Alias => "alias",
            Self::Address => "address",
            Self::Host => "host",
            Self::Password => "password",
        }
    }
}

impl Key {
    /// See [`Kind`].
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Mailbox(_) => Kind::Mailbox,
            Self::Local(_) => Kind::Local,
            Self::Alias { .. } => Kind::Alias,
            Self::Address(_) => Kind::Address,
            Self::Host(_) => Kind::Host,
            Self::Password(_) => Kind::Password,
        }
    }

    /// What is asked about, in one piece: `USER EXT` for the instructions of an extension.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        match self {
            Self::Alias { user, ext } => [user, &b" "[..], ext].concat(),
            Self::Mailbox(text) | Self::Local(text) | Self::Address(text) | Self::Host(text) | Self::Password(text) => {
                text.clone()
            }
        }
    }

    /// `KIND:TEXT`, which [`Key::of_written`] reads.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        [self.kind().name().as_bytes(), b":", &self.text()].concat()
    }

    /// Reads what [`Key::write`] has written, whatever bytes it holds; `None` if it has not.
    #[must_use]
    pub fn of_written(text: &[u8]) -> Option<Self> {
        let (word, [_, text @ ..]) = text.split_at_checked(text.iter().position(|&b| b == b':')?)? else { return None };
        let text = text.to_vec();
        Some(match Kind::ALL.into_iter().find(|kind| kind.name().as_bytes() == word)? {
            Kind::Mailbox => Self::Mailbox(text),
            Kind::Local => Self::Local(text),
            Kind::Alias => {
                let mut parts = text.splitn(2, |&b| b == b' ').map(<[u8]>::to_vec);
                Self::Alias { user: parts.next().unwrap_or_default(), ext: parts.next().unwrap_or_default() }
            }
            Kind::Address => Self::Address(text),
            Kind::Host => Self::Host(text),
            Kind::Password => Self::Password(text),
        })
    }

    /// Reads a line: `mailbox:NAME`, `local:PART`, `alias:USER EXT`, `address:USER@HOST`, `host:NAME`; without such a word
    /// in front an address if it holds `@`, else a local part. `None` if it is blank, or a comment that begins with `#`.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn read(line: &[u8]) -> Result<Option<Self>, &'static str> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
        if std::str::from_utf8(line).is_err() || line.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
            return Err("not text: a control character, or bytes that are no UTF-8");
        }
        if line.first().is_none_or(|first| *first == b'#') {
            return Ok(None);
        }
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let word = line.iter().take_while(|b| is_word(b)).count();
        if word > 0 && line.get(word) == Some(&b':') {
            return match Self::of_written(line) {
                Some(Self::Password(_)) => Err("passwords are compared with all rows only, not by key"),
                Some(key) => Ok(Some(key)),
                None => Err("an unknown word before the colon; known are mailbox:, local:, alias:, address: and host:"),
            };
        }
        let line = line.trim_ascii_end().to_vec();
        Ok(Some(if line.contains(&b'@') { Self::Address(line) } else { Self::Local(line) }))
    }
}

/// Questions that are always asked: about what hardly exists.
#[must_use]
pub fn always() -> Vec<Key> {
    let (name, host) = (UNKNOWN.as_bytes(), UNKNOWN_HOST.as_bytes());
    vec![
        Key::Mailbox(name.to_vec()),
        Key::Local(name.to_vec()),
        Key::Local(b"postmaster".to_vec()),
        Key::Address([name, b"@", host].concat()),
        Key::Host(host.to_vec()),
    ]
}

/// The questions that `row` leads to. What a key that nobody can ask for (rule K1) would decide is left out; a virtual
/// row's host counts without its user.
#[must_use]
pub fn of_row(row: &TableRow, settings: &RuleSettings) -> Vec<Key> {
    let keys = match row {
        TableRow::Mailbox(row) => of_mailbox(row.mailbox.username.as_deref(), settings),
        TableRow::Alias(row) => of_alias(row, settings),
        TableRow::Virtual(row) => of_virtual(row, settings),
        TableRow::Rcpthosts(row) => of_host(row.host.as_deref()),
    };
    keys.unwrap_or_default()
}

/// False if no question can find the row: its key is one that nobody can ask for (rule K1).
#[must_use]
pub fn has_usable_key(row: &TableRow) -> bool {
    match row {
        TableRow::Rcpthosts(row) => row.host.as_deref().and_then(Host::new).is_some_and(|key| is_askable(&key)),
        other => of_set(other).is_some(),
    }
}

/// The question that is about the rows with this key, and about no others; `None` if there is none.
#[must_use]
pub fn of_set(row: &TableRow) -> Option<Key> {
    match row {
        TableRow::Mailbox(row) => {
            Username::new(row.mailbox.username.as_deref()?).map(|name| Key::Mailbox(name.as_bytes().to_vec()))
        }
        TableRow::Alias(row) => {
            let user = Username::new(row.username.as_deref()?)?.as_bytes().to_vec();
            let ext = Ext::new(row.alias.as_deref().unwrap_or_default())?.as_bytes().to_vec();
            Some(Key::Alias { user, ext })
        }
        TableRow::Virtual(row) => {
            let host = below(Host::new(row.virtual_host.as_deref()?)?.as_bytes())?;
            let user = VirtualUser::new(row.virtual_username.as_deref().unwrap_or_default())?;
            let user = if user.as_bytes().is_empty() { UNKNOWN.as_bytes() } else { user.as_bytes() };
            Some(Key::Address([user, b"@", &host].concat()))
        }
        TableRow::Rcpthosts(_) => None,
    }
}

fn of_mailbox(username: Option<&[u8]>, settings: &RuleSettings) -> Option<Vec<Key>> {
    let name = Username::new(username?)?.as_bytes().to_vec();
    Some(vec![Key::Local(name.clone()), Key::Local(joined(&name, UNKNOWN.as_bytes(), settings)), Key::Mailbox(name)])
}

fn of_alias(row: &AliasRow, settings: &RuleSettings) -> Option<Vec<Key>> {
    let user = Username::new(row.username.as_deref()?)?;
    let ext = Ext::new(row.alias.as_deref().unwrap_or_default())?.as_bytes().to_vec();
    let is_alias_user = user.as_bytes().eq_ignore_ascii_case(settings.alias_user.as_bytes());
    let mut exts = vec![ext.clone()];
    // Those that the row stands for, beside its own.
    match ext.strip_suffix(b"default") {
        Some(list) if list.ends_with(b"owner-") => exts.extend(label(EXT_MAX, list).map(|name| [list, name].concat())),
        Some(_) | None if ext == b"@" => exts.push(UNKNOWN.as_bytes().to_vec()),
        Some(_) | None => {}
    }
    let mut keys = Vec::new();
    for ext in exts {
        keys.push(Key::Local(joined(user.as_bytes(), &ext, settings)));
        if is_alias_user && !ext.is_empty() {
            keys.push(Key::Local(ext.clone()));
            let is_address = ext.len() > 1 && ext.contains(&b'@');
            keys.extend(is_address.then(|| Key::Address(ext.clone())));
        }
        keys.push(Key::Alias { user: user.as_bytes().to_vec(), ext });
    }
    Some(keys)
}

fn of_virtual(row: &VirtualRow, settings: &RuleSettings) -> Option<Vec<Key>> {
    let host = below(Host::new(row.virtual_host.as_deref()?)?.as_bytes())?;
    let at = |user: &[u8]| Key::Address([user, b"@", &host].concat());
    let mut keys = vec![at(UNKNOWN.as_bytes()), at(b"postmaster"), Key::Host(host.clone())];
    let user = row.virtual_username.as_deref().unwrap_or_default();
    let Some(user) = VirtualUser::new(user).map(|user| user.as_bytes().to_vec()) else { return Some(keys) };
    if !user.is_empty() {
        keys.push(at(&user));
    }
    if user.iter().any(|b| matches!(b, b'%' | b'_' | b'\\')) {
        keys.push(at(&instance(&user)));
    }
    if let Some(owner) = row.username.as_deref().and_then(Username::new) {
        let ext = row.ext.as_deref().unwrap_or_default();
        let ext = if ext == b"@" { UNKNOWN.as_bytes() } else { ext };
        keys.push(Key::Local(joined(owner.as_bytes(), ext, settings)));
    }
    Some(keys)
}

fn of_host(host: Option<&[u8]>) -> Option<Vec<Key>> {
    let key = Host::new(host?)?;
    let mut keys = vec![Key::Host(key.as_bytes().to_vec())];
    if let Some(host) = below(key.as_bytes()) {
        keys.extend([Key::Address([UNKNOWN.as_bytes(), b"@", &host].concat()), Key::Host(host)]);
    }
    Some(keys)
}

/// As much of [`UNKNOWN`] as there is room for beside `rest`; `None` if there is none.
fn label(max: usize, rest: &[u8]) -> Option<&'static [u8]> {
    let room = max.saturating_sub(rest.len()).min(UNKNOWN.len());
    UNKNOWN.as_bytes().get(..room).filter(|label| !label.is_empty())
}

/// A host that the key is about: below it, if it is a suffix. `None` if no host is short enough.
fn below(key: &[u8]) -> Option<Vec<u8>> {
    if key.starts_with(b".") { label(EXT_MAX, key).map(|label| [label, key].concat()) } else { Some(key.to_vec()) }
}

fn is_askable(key: &Host) -> bool {
    below(key.as_bytes()).is_some()
}

/// What somebody would write to reach the extension.
fn joined(user: &[u8], ext: &[u8], settings: &RuleSettings) -> Vec<u8> {
    match (ext, settings.break_chars.bytes().next()) {
        ([], _) => user.to_vec(),
        (ext, mark) => [user, &[mark.unwrap_or(b'-')], ext].concat(),
    }
}

/// A user part that the pattern matches, and hardly any other row. No name is longer than a pattern may be.
fn instance(pattern: &[u8]) -> Vec<u8> {
    let any = pattern.iter().filter(|&&b| b == b'%').count();
    let (mut out, mut room) = (Vec::new(), USERNAME_MAX.saturating_sub(pattern.len()) + any);
    let mut bytes = pattern.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'%' => {
                let label = UNKNOWN.as_bytes().get(..room.min(UNKNOWN.len())).unwrap_or_default();
                room -= label.len();
                out.extend_from_slice(label);
            }
            b'_' => out.push(b'x'),
            b'\\' => out.push(bytes.next().copied().unwrap_or(b'\\')),
            byte => out.push(byte),
        }
    }
    fold(&out)
}
