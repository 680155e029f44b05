//! Questions to both sides, and which of them tell whether a row means the same there.

use crate::alias::AliasRow;
use crate::catalog::TableRow;
use crate::key::{Ext, Host, Username, VirtualUser, fold};
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

    /// `KIND:TEXT`, which [`Key::read`] reads.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        [self.kind().name().as_bytes(), b":", &self.text()].concat()
    }

    /// Reads a line: `mailbox:NAME`, `local:PART`, `alias:USER EXT`, `address:USER@HOST`, `host:NAME`; without such a word
    /// in front an address if it holds `@`, else a local part. `None` if it is blank, or a comment that begins with `#`.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = line.iter().position(|&b| b == b':');
        if let Some((word, [_, text @ ..])) = colon.and_then(|at| line.split_at_checked(at)) {
            let text = text.to_vec();
            let kind = Kind::ALL.into_iter().find(|kind| kind.name().as_bytes() == word);
            match kind {
                Some(Kind::Mailbox) => return Some(Self::Mailbox(text)),
                Some(Kind::Local) => return Some(Self::Local(text)),
                Some(Kind::Address) => return Some(Self::Address(text)),
                Some(Kind::Host) => return Some(Self::Host(text)),
                Some(Kind::Alias) => {
                    let blank = text.iter().position(|&b| b == b' ').unwrap_or(text.len());
                    let (user, ext) = text.split_at_checked(blank)?;
                    let ext = ext.get(1..).unwrap_or_default();
                    return Some(Self::Alias { user: user.to_vec(), ext: ext.to_vec() });
                }
                // A question without rows has no passwords.
                Some(Kind::Password) | None => {}
            }
        }
        let line = line.trim_ascii();
        match line {
            [] | [b'#', ..] => None,
            address if address.contains(&b'@') => Some(Self::Address(address.to_vec())),
            local => Some(Self::Local(local.to_vec())),
        }
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

/// The questions that `row` leads to; none if its key is one that nobody can ask for (rule K1).
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
        Some(list) if list.ends_with(b"owner-") => exts.push([list, UNKNOWN.as_bytes()].concat()),
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
    let key = Host::new(row.virtual_host.as_deref()?)?;
    let user = VirtualUser::new(row.virtual_username.as_deref().unwrap_or_default())?.as_bytes().to_vec();
    let host = below(key.as_bytes());
    let at = |user: &[u8]| Key::Address([user, b"@", &host].concat());
    let mut keys = vec![at(UNKNOWN.as_bytes()), at(b"postmaster"), Key::Host(host.clone())];
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
    let host = below(key.as_bytes());
    let address = [UNKNOWN.as_bytes(), b"@", &host].concat();
    Some(vec![Key::Host(key.as_bytes().to_vec()), Key::Address(address), Key::Host(host)])
}

/// A host that the key is about: below it, if it is a suffix.
fn below(key: &[u8]) -> Vec<u8> {
    if key.starts_with(b".") { [UNKNOWN.as_bytes(), key].concat() } else { key.to_vec() }
}

/// What somebody would write to reach the extension.
fn joined(user: &[u8], ext: &[u8], settings: &RuleSettings) -> Vec<u8> {
    match (ext, settings.break_chars.bytes().next()) {
        ([], _) => user.to_vec(),
        (ext, mark) => [user, &[mark.unwrap_or(b'-')], ext].concat(),
    }
}

/// A user part that the pattern matches, and hardly any other row.
fn instance(pattern: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = pattern.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'%' => out.extend_from_slice(UNKNOWN.as_bytes()),
            b'_' => out.push(b'x'),
            b'\\' => out.push(bytes.next().copied().unwrap_or(b'\\')),
            byte => out.push(byte),
        }
    }
    fold(&out)
}
