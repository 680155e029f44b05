//! The site of these trials: rows, homes, the daemon and the qmail.

use libtest_mimic::Failed;
use qmail_lookup_core::TableRow;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::qmail::{Ends, Qmail};
use qmail_lookup_tests::server::slapd;
use qmail_lookup_tests::site::{ALIAS, BOB, Daemon, IAIN, SUSPENDED, Site, VIRTUAL, alias_row, virtual_row};
use std::os::unix::fs::{PermissionsExt, chown};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the bounce of an unknown recipient says.
pub(super) const NO_MAILBOX: &str = "Sorry, no mailbox here by that name. (#5.1.1)\n";

/// Which store a trial runs on, and which qmail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Store {
    kind: Kind,
    is_real: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sqlite,
    MariaDb,
    Slapd,
}

impl Store {
    /// The store of the old patch.
    pub(super) const MARIADB: Self = Self { kind: Kind::MariaDb, is_real: false };

    /// Those that can run here.
    pub(super) fn all() -> Vec<Self> {
        let kinds = [Kind::Sqlite, Kind::MariaDb, Kind::Slapd].into_iter();
        let kinds: Vec<_> = kinds.filter(|kind| *kind != Kind::Slapd || slapd::missing().is_none()).collect();
        let qmails = if Qmail::installed().is_some() { &[false, true][..] } else { &[false] };
        qmails.iter().flat_map(|&is_real| kinds.iter().map(move |&kind| Self { kind, is_real })).collect()
    }

    /// As it stands in the names of trials.
    pub(super) fn name(self) -> String {
        let kind = match self.kind {
            Kind::Sqlite => "sqlite",
            Kind::MariaDb => "mariadb",
            Kind::Slapd => "ldap",
        };
        format!("{kind}{}", if self.is_real { "-real" } else { "" })
    }

    /// True if rows can be changed by SQL.
    pub(super) fn has_sql(self) -> bool {
        self.kind != Kind::Slapd
    }

    /// True if the qmail is an installed one.
    pub(super) fn is_real(self) -> bool {
        self.is_real
    }

    /// A site and nothing that runs.
    pub(super) fn site(self, more: &str) -> Result<Site, Failed> {
        match self.kind {
            Kind::Sqlite => Site::sqlite(more),
            Kind::MariaDb => Site::mariadb(more),
            Kind::Slapd => Site::ldap(more),
        }
    }
}

/// A ground that trials share: made by the first of them.
pub(super) struct Shared {
    store: Store,
    ground: OnceLock<Result<Ground, String>>,
}

impl Shared {
    pub(super) fn new(store: Store) -> Self {
        Self { store, ground: OnceLock::new() }
    }

    pub(super) fn ground(&self) -> Result<&Ground, Failed> {
        let make = || {
            let made = Ground::new(self.store, "[rules]\nmagic_forwarding = true").and_then(|ground| {
                super::rows::lay_out(&ground)?;
                super::virtuals::lay_out(&ground)?;
                ground.qmail.reread()?;
                Ok(ground)
            });
            made.map_err(|failed| failed.message().unwrap_or("no reason given").to_owned())
        };
        self.ground.get_or_init(make).as_ref().map_err(Failed::from)
    }
}

/// A site where everything runs. What stands first ends first.
pub(super) struct Ground {
    pub(super) qmail: Qmail,
    pub(super) daemon: Option<Daemon>,
    pub(super) site: Site,
    pub(super) store: Store,
}

/// Words that tell messages from each other.
static WORD: AtomicUsize = AtomicUsize::new(0);

impl Ground {
    /// The site with `more` in its configuration, maildirs, and our programs in place.
    pub(super) fn new(store: Store, more: &str) -> Result<Self, Failed> {
        let site = store.site(more)?;
        for (maildir, id) in [
            ("iain/Maildir", IAIN),
            ("bob/Catchall", BOB),
            ("virtual/Maildir", VIRTUAL),
            ("suspended/Maildir", SUSPENDED),
        ] {
            for part in ["", "/tmp", "/new", "/cur"] {
                let folder = site.path("homes").join(format!("{maildir}{part}"));
                std::fs::create_dir(&folder)?;
                chown(&folder, Some(id), Some(id))?;
            }
        }
        let qmail = if store.is_real { Qmail::real(&site)? } else { Qmail::ours(&site)? };
        let ground = Self { qmail, daemon: Some(site.start()?), site, store };
        ground.qmail.start()?;
        Ok(ground)
    }

    /// The name of the alias user.
    pub(super) fn alias(&self) -> &'static str {
        if self.store.is_real() { "alias" } else { ALIAS }
    }

    /// Adds rows `username, alias, alias_username, alias_host`. Those that come later are carried out later.
    pub(super) fn alias_rows(&self, rows: &[[&str; 4]]) -> Outcome {
        let row = |(seq, [user, alias, to, host]): (u32, &[&str; 4])| alias_row(user, alias, to, host, seq);
        let rows: Vec<TableRow> = (1..).zip(rows).map(row).collect();
        self.site.add(&rows)
    }

    /// Adds rows `virtual_username, virtual_host, username, ext`.
    pub(super) fn virtual_rows(&self, rows: &[[&str; 4]]) -> Outcome {
        let row = |[user, host, owner, ext]: &[&str; 4]| virtual_row(user, host, owner, ext);
        self.site.add(&rows.iter().map(row).collect::<Vec<_>>())
    }

    /// Writes the file `HOME/NAME` as its owner would; `alias` is the alias user's home.
    pub(super) fn write(&self, name: &str, text: &str) -> Outcome {
        use std::os::unix::fs::MetadataExt;
        let (home, _) = name.split_once('/').ok_or("no home")?;
        let base = if home == "alias" { self.qmail.home().to_owned() } else { self.site.path("homes") };
        let owner = std::fs::metadata(base.join(home))?;
        let file = base.join(name);
        std::fs::write(&file, text)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644))?;
        Ok(chown(&file, Some(owner.uid()), Some(owner.gid()))?)
    }

    /// Adds lines to a control file.
    pub(super) fn control(&self, name: &str, lines: &str) -> Outcome {
        let file = self.qmail.path("control").join(name);
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        Ok(std::fs::write(file, text + lines)?)
    }

    /// Puts a message into the queue; gives the word that it is known by.
    pub(super) fn inject(&self, recipients: &[&str]) -> Result<String, Failed> {
        let word = word();
        self.qmail.inject(&sender(&word), recipients, &message(&word))?;
        Ok(word)
    }

    /// Puts a message into the queue, and waits until all that comes of it has ended or waits.
    pub(super) fn mail(&self, recipients: &[&str]) -> Result<Ends, Failed> {
        let word = self.inject(recipients)?;
        self.qmail.settle()?;
        self.qmail.ends(&word)
    }
}

/// A new word.
pub(super) fn word() -> String {
    format!("w{}", WORD.fetch_add(1, Ordering::Relaxed))
}

/// The envelope sender of the message with this word.
pub(super) fn sender(word: &str) -> String {
    format!("{word}@example.org")
}

/// A message with this word in its text, once.
pub(super) fn message(word: &str) -> String {
    format!("Subject: test\n\n[{word}]\n")
}

/// What must become of a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Right<'a> {
    /// See [`Ends::places`]: each file once, if it is to be written once.
    pub(super) places: &'a [&'a str],
    /// Recipients of copies that leave the machine.
    pub(super) relayed: &'a [&'a str],
    /// Recipients that bounce, with a part of the text.
    pub(super) bounced: &'a [(&'a str, &'a str)],
}

/// Fails unless a message has ended so, and nothing is left of it.
pub(super) fn ended(what: &str, ends: &Ends, right: &Right<'_>) -> Outcome {
    equal(
        &format!("{what}: files"),
        ends.places.iter().map(String::as_str).collect::<Vec<_>>(),
        right.places.to_vec(),
    )?;
    let relayed: Vec<_> = ends.relayed.iter().map(|relayed| relayed.recipient.as_str()).collect();
    equal(&format!("{what}: relayed"), relayed, right.relayed.to_vec())?;
    let bounced: Vec<_> = ends.bounces.iter().map(|bounce| bounce.recipient.as_str()).collect();
    let texts = right.bounced.iter().map(|(recipient, _)| *recipient).collect::<Vec<_>>();
    equal(&format!("{what}: bounced: {:?}", ends.bounces), bounced, texts)?;
    for (bounce, (_, text)) in ends.bounces.iter().zip(right.bounced) {
        ensure(bounce.text.contains(text), format!("{what}: the bounce does not say {text:?}: {bounce:?}"))?;
    }
    equal(&format!("{what}: waiting"), ends.waiting.clone(), Vec::<String>::new())
}

/// Sends one message to each recipient, all at once, and looks how each has ended.
pub(super) fn all_end(ground: &Ground, cases: &[(&str, Right<'_>)]) -> Outcome {
    let words = cases.iter().map(|(recipient, _)| ground.inject(&[recipient])).collect::<Result<Vec<_>, _>>()?;
    ground.qmail.settle()?;
    for ((recipient, right), word) in cases.iter().zip(words) {
        ended(recipient, &ground.qmail.ends(&word)?, right)?;
    }
    Ok(())
}

/// Delivered to one file.
pub(super) fn to<'a>(place: &'a [&'a str]) -> Right<'a> {
    Right { places: place, ..Right::default() }
}

/// Bounced because there is no such mailbox.
pub(super) fn unknown<'a>(recipient: &'a [(&'a str, &'a str)]) -> Right<'a> {
    Right { bounced: recipient, ..Right::default() }
}
