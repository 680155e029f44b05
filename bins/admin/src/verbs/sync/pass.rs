//! One look: lock, read, plan, write.

use super::control::{self, Control};
use super::home::{self, Alarms, Home};
use super::memory::{self, Remembered};
use super::report::Report;
use super::rows;
use super::steps::Steps;
use crate::cli;
use crate::output::Failure;
use crate::qmail::{files, queue};
use crate::session::Session;
use qmail_lookup_config::{Config, QmailSend};
use qmail_lookup_core::Host;
use qmail_lookup_core::sync::Choices;
use qmail_lookup_core::sync::around::Around;
use qmail_lookup_core::sync::gone::Memory;
use qmail_lookup_core::sync::hosts::{Rows, Wanted};
use qmail_lookup_core::sync::plan::{Look, Plan};
use std::path::PathBuf;
use std::time::SystemTime;

/// What every look needs.
pub(super) struct Pass<'a> {
    pub(super) session: &'a Session,
    pub(super) qmail: PathBuf,
    pub(super) choices: Choices,
    pub(super) how: QmailSend,
    pub(super) dry_run: bool,
    pub(super) no_hup: bool,
    pub(super) yes: bool,
}

/// Everything that was read, and the lock under which it was. A dry run takes none, because it would leave a file.
pub(super) struct Read {
    rows: Rows,
    /// `owed` if nothing is remembered.
    memory: Memory,
    control: Control,
    home: Home,
    around: Around,
    alarms: Alarms,
    _lock: Option<files::Lock>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(session: &'a Session, options: &cli::Sync) -> Self {
        let config = &session.config;
        let sync = config.sync.clone();
        Self {
            session,
            qmail: options.qmail.clone().unwrap_or_else(|| config.qmail.clone()),
            how: options.qmail_send.clone().unwrap_or(sync.qmail_send),
            dry_run: options.dry_run,
            no_hup: options.no_hup,
            yes: options.yes,
            choices: choices(config),
        }
    }

    /// Looks, and writes what is to be written.
    ///
    /// # Errors
    /// If it could not even be found out what that is; then nothing was written.
    pub(super) async fn run(&self) -> Result<Report, Failure> {
        let lock = self.lock()?;
        let rows = rows::read(self.session).await?;
        self.write(self.read(lock, rows).await?).await
    }

    pub(super) fn lock(&self) -> Result<Option<files::Lock>, Failure> {
        if self.dry_run { Ok(None) } else { Ok(Some(files::Lock::take(&self.qmail)?)) }
    }

    /// Reads qmail's home, beside the rows.
    pub(super) async fn read(&self, lock: Option<files::Lock>, rows: Rows) -> Result<Read, Failure> {
        let qmail = &self.qmail;
        // Who has lost it does not know whether qmail-send was told.
        let unknown = || Remembered { plan: Memory { owed: true, ..Memory::default() }, ..Remembered::default() };
        let Remembered { plan: memory, wrote } = memory::read(qmail)?.unwrap_or_else(unknown);
        control::settled(qmail, &wrote).await?;
        let home = Home::read(qmail, &self.session.config.rules.alias_user)?;
        let around = Around::read(&home.files)
            .map_err(|error| Failure::temporary(format!("{}: {error}", qmail.join("control").display())))?;
        let control = Control::new(qmail, home.contents(), wrote);
        Ok(Read { rows, memory, control, around, alarms: home::alarms(qmail).await, home, _lock: lock })
    }

    pub(super) async fn write(&self, read: Read) -> Result<Report, Failure> {
        let Read { rows, memory, control, home, around, alarms, _lock } = read;
        let wanted = Wanted::judge(&rows, &around, &self.choices);
        let held = if around.routed.is_subset(&wanted.routed) {
            queue::Held::default()
        } else {
            // Not a word of the queue is believed if it cannot all be read.
            queue::read(&self.qmail)?
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let plan = Plan::of(&Look {
            around: &around,
            wanted: &wanted,
            choices: &self.choices,
            memory: &memory,
            now,
            may_add: alarms.may_add,
            yes: self.yes,
            needs: &|host: &Host| held.needs(host),
        });
        let mut report = Report::new(self, &around, wanted, alarms.texts);
        report.planned(&plan);
        if plan.limits.is_empty() || self.dry_run {
            let steps = Steps::new(self, (home, control), &around, &memory, &plan, alarms.unreadable);
            report.trouble = steps.run(&mut report).await.err();
        }
        if !plan.limits.is_empty() {
            let limits: Vec<_> = plan.limits.iter().map(ToString::to_string).collect();
            let help = "nothing was written; if that is right, run sync --yes";
            report.trouble = Some(Failure::temporary(format!("{}: {help}", limits.join("; "))));
        }
        Ok(report)
    }
}

/// What the configuration says about hosts.
pub(in crate::verbs) fn choices(config: &Config) -> Choices {
    let sync = config.sync.clone();
    Choices {
        only: sync.only,
        except: sync.except,
        deny: sync.deny,
        wildcards: sync.wildcards,
        rcpthosts_only: config.rules.rcpthosts_only,
        shrink: sync.shrink,
        grow: sync.grow,
        removed_grace: sync.removed_grace,
    }
}
