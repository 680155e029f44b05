//! Tables in memory, and a driver that answers the rules' questions from them.

use crate::alias::AliasRow;
use crate::error::Misconfiguration;
use crate::key::VirtualKey;
use crate::mailbox::{Cell, MailboxRow};
use crate::rcpthosts::HostRow;
use crate::rules::{Ask, Question, Resolution, Step, Told};
use crate::settings::RuleSettings;
use crate::virtuals::VirtualRow;
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    pub(super) mailbox: Vec<MailboxRow>,
    pub(super) alias: Vec<AliasRow>,
    pub(super) virtuals: Vec<VirtualRow>,
    pub(super) rcpthosts: Vec<HostRow>,
}

pub(super) fn cell(text: &str) -> Cell {
    Some(text.as_bytes().to_vec())
}

impl Tables {
    pub(super) fn mailbox(mut self, username: &str, home: &str) -> Self {
        let row = MailboxRow {
            username: cell(username),
            uid: cell("800"),
            gid: cell("100"),
            home: cell(home),
            suspended: cell("N"),
        };
        self.mailbox.push(row);
        self
    }

    pub(super) fn alias(mut self, username: &str, alias: &str, user: &str, host: &str) -> Self {
        let row = AliasRow {
            username: cell(username),
            alias: cell(alias),
            alias_username: cell(user),
            alias_host: cell(host),
            seq: None,
        };
        self.alias.push(row);
        self
    }

    pub(super) fn virtuals(mut self, username: &str, ext: &str, user: &str, host: &str) -> Self {
        let row = VirtualRow {
            username: cell(username),
            ext: cell(ext),
            virtual_username: cell(user),
            virtual_host: cell(host),
        };
        self.virtuals.push(row);
        self
    }

    pub(super) fn rcpthost(mut self, host: &str) -> Self {
        self.rcpthosts.push(HostRow { host: cell(host) });
        self
    }

    /// Answers as a store may: with `noise`, every row of the table comes back, backwards.
    fn answer(&self, ask: &Ask, noise: bool) -> Told {
        fn rows<R: Clone>(all: &[R], noise: bool, wanted: impl Fn(&R) -> bool) -> Vec<R> {
            if noise {
                all.iter().rev().cloned().collect()
            } else {
                all.iter().filter(|r| wanted(r)).cloned().collect()
            }
        }
        match ask {
            Ask::Mailboxes(names) => Told::Mailboxes(rows(&self.mailbox, noise, |row| {
                names.iter().any(|n| n.matches(row.username.as_deref()))
            })),
            Ask::Aliases(keys) => Told::Aliases(rows(&self.alias, noise, |row| {
                keys.iter()
                    .any(|k| k.username.matches(row.username.as_deref()) && k.alias.matches(row.alias.as_deref()))
            })),
            Ask::Virtuals(keys) => Told::Virtuals(rows(&self.virtuals, noise, |row| {
                let user = row.virtual_username.as_deref().unwrap_or_default();
                keys.iter().any(|key| {
                    key.host().matches(row.virtual_host.as_deref())
                        && match key {
                            VirtualKey::Exact { user: want, .. } => want.matches(Some(user)),
                            VirtualKey::Patterns { .. } => {
                                user.is_empty() || user.contains(&b'%') || user.contains(&b'_')
                            }
                            VirtualKey::Any { .. } => true,
                        }
                })
            })),
            Ask::Rcpthosts(hosts) => Told::Rcpthosts(rows(&self.rcpthosts, noise, |row| {
                hosts.iter().any(|h| h.matches(row.host.as_deref()))
            })),
        }
    }

    pub(super) fn decide<Q: Question>(
        &self,
        question: Q,
        settings: &RuleSettings,
        noise: bool,
    ) -> Result<Q::Answer, Misconfiguration> {
        let mut resolution = Resolution::new(question, Arc::new(settings.clone()));
        for _ in 0..8 {
            match resolution.step()? {
                Step::Done(answer) => return Ok(answer),
                Step::Ask(ask) => {
                    let told = self.answer(&ask, noise);
                    resolution.tell(ask, told);
                }
            }
        }
        panic!("the rules asked more than 8 times");
    }
}
