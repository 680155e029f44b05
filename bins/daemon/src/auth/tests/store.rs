//! Rows, and a store that misbehaves at logins.

use async_trait::async_trait;
use qmail_lookup_backends::memory::Memory;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, AuthAnswer, Authenticator, Backend, CredentialRow, Deadline, ErrorKind, Host,
    HostRow, Lookup, LookupError, MailboxResolver, MailboxRow, Secret, StoreFacts, TableRow, Username, VirtualKey,
    VirtualResolver, VirtualRow,
};
use std::sync::Arc;
use std::time::Duration;

/// "sesame" in SHA-512 crypt with 1000 rounds.
pub(crate) const SESAME: &str =
    "$6$rounds=1000$saltsalt$5Oji4y.RQw4TBqlwXcGLBsxSL7.Pw5hdIpFnzMJTl.OaKsU3EiPTP5NseI3oKDT8iioErVqshwXGd40hlWBLx1";

fn cell(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

pub(crate) fn mailbox(name: &str, stored: &str, kind: &str, suspended: &str) -> TableRow {
    let mailbox = MailboxRow {
        username: cell(name),
        uid: cell("800"),
        gid: cell("100"),
        home: Some(format!("/h/{name}").into_bytes()),
        suspended: cell(suspended),
    };
    TableRow::Mailbox(CredentialRow {
        mailbox,
        password: Some(Secret::new(stored.as_bytes().to_vec())),
        password_type: cell(kind),
    })
}

fn virtual_row(user: &str, owner: &str, ext: &str) -> TableRow {
    TableRow::Virtual(VirtualRow {
        username: cell(owner),
        ext: cell(ext),
        virtual_username: cell(user),
        virtual_host: cell("virtual.com"),
    })
}

fn rows() -> Vec<TableRow> {
    let mut root = mailbox("root", SESAME, "Crypt-Password", "N");
    if let TableRow::Mailbox(row) = &mut root {
        row.mailbox.uid = cell("0");
    }
    vec![
        mailbox("iain", SESAME, "Crypt-Password", "N"),
        mailbox("gone", SESAME, "Crypt-Password", "Y"),
        mailbox("away", SESAME, "Crypt-Password", "bounce"),
        mailbox("broken", "", "Crypt-Password", "N"),
        mailbox("twice", SESAME, "Crypt-Password", "N"),
        mailbox("twice", SESAME, "Crypt-Password", "N"),
        mailbox("info@bar.com", SESAME, "Crypt-Password", "N"),
        root,
        virtual_row("iain", "iain", ""),
        virtual_row("boss", "iain", ""),
        virtual_row("sales", "iain", "sales"),
        virtual_row("list", "nobody-here", ""),
        TableRow::Rcpthosts(HostRow { host: cell("virtual.com") }),
    ]
}

pub(crate) fn memory() -> Arc<dyn Backend> {
    Arc::new(Memory::new(rows(), Arc::default()))
}

pub(crate) fn lookup() -> Lookup {
    Lookup::of(&memory(), Arc::new(RuleSettings::default()))
}

/// What a login at the store below comes to.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    /// As with rows in memory, and it takes this long.
    Slow(Duration),
    /// The store is down for logins.
    Down,
    /// The store is down for everything.
    AllDown,
    /// It never ends.
    Hangs,
    /// It panics.
    Panics,
    /// The store knows no logins.
    Knows,
    /// It lets somebody else in.
    LetsIn(&'static str),
}

/// Rows in memory that log in like this.
pub(crate) fn odd(behaviour: Behaviour) -> Lookup {
    let store: Arc<dyn Backend> = Arc::new(Odd(memory(), behaviour));
    Lookup::of(&store, Arc::new(RuleSettings::default()))
}

struct Odd(Arc<dyn Backend>, Behaviour);

impl Odd {
    fn up(&self) -> Result<(), LookupError> {
        match self.1 {
            Behaviour::AllDown => Err(LookupError::new(ErrorKind::Unreachable, "odd", "down")),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Authenticator for Odd {
    async fn authenticate(&self, who: &Username, offered: &Secret, by: Deadline) -> Result<AuthAnswer, LookupError> {
        let inner = self.0.authenticator().unwrap();
        match self.1 {
            Behaviour::Slow(time) => {
                tokio::time::sleep(time).await;
                inner.authenticate(who, offered, by).await
            }
            Behaviour::Down | Behaviour::AllDown => Err(LookupError::new(ErrorKind::Unreachable, "odd", "down")),
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::Panics => panic!("as told"),
            Behaviour::Knows => unreachable!(),
            Behaviour::LetsIn(other) => {
                inner.authenticate(&Username::new(other.as_bytes()).unwrap(), offered, by).await
            }
        }
    }
}

#[async_trait]
impl MailboxResolver for Odd {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        self.up()?;
        self.0.mailboxes(names, by).await
    }
}

#[async_trait]
impl AliasResolver for Odd {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        self.up()?;
        self.0.aliases(keys, by).await
    }
}

#[async_trait]
impl VirtualResolver for Odd {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        self.up()?;
        self.0.virtuals(keys, by).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        self.up()?;
        self.0.rcpthosts(hosts, by).await
    }
}

#[async_trait]
impl Backend for Odd {
    fn kind(&self) -> &'static str {
        "odd"
    }

    fn place(&self) -> String {
        "odd".to_owned()
    }

    async fn ping(&self, by: Deadline) -> Result<(), LookupError> {
        self.up()?;
        self.0.ping(by).await
    }

    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        self.up()?;
        self.0.any_mailbox(by).await
    }

    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        self.0.facts(by).await
    }

    fn authenticator(&self) -> Option<&dyn Authenticator> {
        (!matches!(self.1, Behaviour::Knows)).then_some(self as &dyn Authenticator)
    }
}
