//! The answers of the rules as fields. No answer holds a password.

use super::{Compared, Fields};
use crate::error::Misconfiguration;
use crate::getpw::Owner;
use crate::key::Host;
use crate::mailbox::{Mailbox, Standing};
use crate::rules::{Delivered, Delivery, Outcome, OwnerFlags, RecipientStanding, Route, Set, VirtualOwner};

fn word(name: &'static str, word: &str) -> (&'static str, Vec<u8>) {
    (name, word.as_bytes().to_vec())
}

impl Compared for Mailbox {
    fn fields(&self) -> Fields {
        let standing = match self.standing {
            Standing::Active => "active",
            Standing::Suspended => "suspended",
            Standing::Bounced => "bounced",
        };
        vec![
            ("username", self.username.as_bytes().to_vec()),
            word("uid", &self.uid.to_string()),
            word("gid", &self.gid.to_string()),
            ("home", self.home.clone()),
            word("standing", standing),
        ]
    }
}

/// `None` is absent.
impl<A: Compared> Compared for Option<A> {
    fn fields(&self) -> Fields {
        self.as_ref().map(Compared::fields).unwrap_or_default()
    }

    fn is_absent(&self) -> bool {
        self.as_ref().is_none_or(Compared::is_absent)
    }

    fn is_misconfigured(&self) -> bool {
        self.as_ref().is_some_and(Compared::is_misconfigured)
    }
}

/// Rows that contradict the rules are an answer, too: both sides may have the same ones.
impl<A: Compared> Compared for Result<A, Misconfiguration> {
    fn fields(&self) -> Fields {
        match self {
            Ok(answer) => answer.fields(),
            Err(bad) => vec![
                word("rule", bad.rule),
                word("table", bad.table),
                word("column", bad.column),
                word("problem", &bad.problem),
            ],
        }
    }

    fn is_absent(&self) -> bool {
        self.as_ref().is_ok_and(Compared::is_absent)
    }

    fn is_misconfigured(&self) -> bool {
        self.is_err()
    }
}

impl Compared for Host {
    fn fields(&self) -> Fields {
        vec![("host", self.as_bytes().to_vec())]
    }
}

impl Compared for VirtualOwner {
    fn fields(&self) -> Fields {
        vec![
            ("virtual_host", self.host.as_bytes().to_vec()),
            ("owner", self.username.as_bytes().to_vec()),
            ("owner_ext", self.ext.clone()),
        ]
    }
}

/// The stock program is asked about whom no row names.
impl Compared for Owner {
    fn fields(&self) -> Fields {
        let who = match self {
            Self::Mailbox { .. } => "mailbox",
            Self::AliasUser { .. } => "alias",
            Self::Stock { .. } => "stock",
        };
        let mut fields = vec![word("route", who)];
        match self {
            Self::Mailbox { mailbox, dash, ext } => {
                fields.extend(mailbox.fields());
                fields.extend([("dash", dash.to_vec()), ("ext", ext.clone())]);
            }
            Self::AliasUser { ext } => fields.push(("ext", ext.clone())),
            Self::Stock { local } => fields.push(("local", local.clone())),
        }
        fields
    }

    fn is_absent(&self) -> bool {
        matches!(self, Self::Stock { .. })
    }
}

/// qmail's own files decide where there is no row.
impl Compared for Delivery {
    fn fields(&self) -> Fields {
        let flags = |owner: &OwnerFlags| {
            let given = [(owner.owner, "owner"), (owner.owner_default, "owner-default"), (owner.no_files, "no-files")];
            let names: Vec<&str> = given.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect();
            word("list_owner", &names.join(" "))
        };
        match self {
            Self::Rows { set, instructions, owner } => {
                let set = match set {
                    Set::Exact => "exact".to_owned(),
                    Set::Default(at) => format!("default {at}"),
                };
                let lines: Vec<_> = instructions.iter().map(crate::Instruction::to_line).collect();
                vec![
                    word("delivery", "rows"),
                    word("set", &set),
                    // No instruction holds a newline (rule A2).
                    ("instructions", lines.join(&b'\n')),
                    flags(owner),
                ]
            }
            Self::Files { owner } => vec![word("delivery", "files"), flags(owner)],
            Self::Bounce(text) => vec![word("delivery", "bounce"), word("text", text)],
            Self::Defer(text) => vec![word("delivery", "deferral"), word("text", text)],
        }
    }

    fn is_absent(&self) -> bool {
        matches!(self, Self::Files { .. })
    }
}

impl Compared for Delivered {
    fn fields(&self) -> Fields {
        let mut fields = self.mailbox.fields();
        fields.extend(self.delivery.fields());
        fields
    }

    fn is_absent(&self) -> bool {
        self.mailbox.is_none() && self.delivery.is_absent()
    }
}

impl Compared for RecipientStanding {
    fn fields(&self) -> Fields {
        let standing = match self {
            Self::Possible => "possible",
            Self::Unknown => "unknown",
            Self::NotOurs => "not-ours",
        };
        vec![word("recipient", standing)]
    }

    fn is_absent(&self) -> bool {
        !matches!(self, Self::Possible)
    }
}

impl Compared for Route {
    fn fields(&self) -> Fields {
        let owner = match self {
            Self::Mailbox { mailbox, dash, ext } => Owner::Mailbox { mailbox: mailbox.clone(), dash, ext: ext.clone() },
            // Under which other extension its rows may stand follows from the question.
            Self::AliasUser { ext, .. } => Owner::AliasUser { ext: ext.clone() },
            Self::Stock { local } => Owner::Stock { local: local.clone() },
            Self::Unknown => return vec![word("route", "unknown")],
            Self::Forward(address) => return vec![word("route", "forward"), ("forward", address.clone())],
        };
        owner.fields()
    }

    fn is_absent(&self) -> bool {
        matches!(self, Self::Unknown | Self::Stock { .. })
    }
}

impl Compared for Outcome {
    fn fields(&self) -> Fields {
        let mut fields = vec![word("verdict", self.verdict.as_str())];
        fields.extend(self.route.fields());
        fields.extend(self.delivery.fields());
        fields
    }

    /// True if it is not ours, if the host has no such user, and if nothing but qmail's own files could know it.
    fn is_absent(&self) -> bool {
        match &self.route {
            Some(Route::Unknown) | None => true,
            Some(Route::Stock { .. }) => self.delivery.is_absent(),
            Some(Route::Mailbox { .. } | Route::AliasUser { .. } | Route::Forward(_)) => false,
        }
    }
}
