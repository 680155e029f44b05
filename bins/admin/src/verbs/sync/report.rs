//! What is told about a look.

use super::pass::Pass;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use qmail_lookup_core::Host;
use qmail_lookup_core::error::printable;
use qmail_lookup_core::sync::List;
use qmail_lookup_core::sync::around::Around;
use qmail_lookup_core::sync::hosts::Wanted;
use qmail_lookup_core::sync::plan::{Plan, Waiting};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Hosts of a note that are named to people.
const NAMED: usize = 10;

/// See the module.
pub(super) struct Report {
    dry_run: bool,
    is_open: bool,
    added: Vec<(List, Host)>,
    removed: Vec<(List, Host)>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) held: BTreeSet<Host>,
    wanted: Wanted,
    alarms: Vec<String>,
    written: BTreeSet<PathBuf>,
    /// Why not all could be done.
    pub(super) trouble: Option<Failure>,
}

impl Report {
    pub(super) fn new(pass: &Pass<'_>, around: &Around, wanted: Wanted, alarms: Vec<String>) -> Self {
        Self {
            dry_run: pass.dry_run,
            is_open: around.is_open,
            added: Vec::new(),
            removed: Vec::new(),
            waiting: Vec::new(),
            held: BTreeSet::new(),
            wanted,
            alarms,
            written: BTreeSet::new(),
            trouble: None,
        }
    }

    /// What will be done, or waits.
    pub(super) fn planned(&mut self, plan: &Plan) {
        self.waiting.clone_from(&plan.waiting);
        self.held.clone_from(&plan.held);
        if self.is_open {
            let made = match (plan.create, self.dry_run) {
                (true, false) => "; it was made, with control/me, control/locals and the hosts of table rcpthosts",
                (true, true) => "; it would be made, with control/me, control/locals and the hosts of table rcpthosts",
                (false, _) => "; it is made with the first host of table rcpthosts, or by you",
            };
            self.alarm(format!("there is no control/rcpthosts: mail is accepted for every host{made}"));
        }
    }

    /// These lines of the plan were written: those that `is` says it of, told the list and whether they come.
    pub(super) fn done(&mut self, plan: &Plan, is: impl Fn(List, bool) -> bool) {
        self.added.extend(plan.added.iter().filter(|(list, _)| is(*list, true)).cloned());
        self.removed.extend(plan.removed.iter().filter(|(list, _)| is(*list, false)).cloned());
    }

    pub(super) fn wrote(&mut self, path: PathBuf) {
        self.written.insert(path);
    }

    pub(super) fn alarm(&mut self, text: String) {
        self.alarms.push(text);
    }

    pub(super) fn exit(&self) -> Exit {
        let Wanted { refused, undecided, .. } = &self.wanted;
        match &self.trouble {
            Some(trouble) => trouble.exit(),
            None if refused.is_empty() && undecided.is_empty() && self.alarms.is_empty() => Exit::Yes,
            None => Exit::No,
        }
    }

    fn result(&self) -> &'static str {
        match self.exit() {
            Exit::Yes => "in step",
            Exit::No => "look",
            Exit::Usage | Exit::Temporary => "error",
        }
    }

    pub(super) fn show(&self, output: &mut Output) {
        if let Some(trouble) = &self.trouble {
            output.complain(&trouble.line());
        }
        output.result(&self.to_json(), |out| {
            self.changes().iter().chain(&self.standing()).for_each(|line| out.line(line));
            if self.written.is_empty() && self.trouble.is_none() {
                out.line(if self.waiting.is_empty() { "nothing to write" } else { "nothing to write yet" });
            }
        });
    }

    pub(super) fn to_json(&self) -> Value {
        let lines = |lines: &[(List, Host)]| {
            lines.iter().map(|(list, host)| json!({ "list": list.as_str(), "host": host.as_str() })).collect::<Vec<_>>()
        };
        let hosts = |hosts: &BTreeSet<Host>| hosts.iter().map(|host| json!(host.as_str())).collect::<Vec<_>>();
        let waiting = self.waiting.iter().map(|waiting| {
            let Waiting { list, host, until, queued } = waiting;
            json!({ "list": list.as_str(), "host": host.as_str(), "until": until, "queued": queued })
        });
        let refused = self.wanted.refused.iter().map(|refused| {
            let reason = refused.reason.to_string();
            json!({ "table": refused.table.name(), "host": printable(&refused.host), "reason": reason })
        });
        json!({
            "result": self.result(),
            "dry_run": self.dry_run,
            "added": lines(&self.added),
            "removed": lines(&self.removed),
            "waiting": waiting.collect::<Vec<_>>(),
            "held": hosts(&self.held),
            "refused": refused.collect::<Vec<_>>(),
            "undecided": hosts(&self.wanted.undecided),
            "alarms": self.alarms,
            "own": hosts(&self.wanted.own),
            "unaccepted": hosts(&self.wanted.unaccepted),
            "written": self.written.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
            "error": self.trouble.as_ref().map(Failure::to_json),
        })
    }

    /// What has changed, or would change, by this look.
    pub(super) fn changes(&self) -> Vec<String> {
        let would = if self.dry_run { "would be " } else { "" };
        let line = |done, way| move |(list, host): &(List, Host)| format!("{would}{done}: {host} {way} {list}");
        let added = self.added.iter().map(line("added", "to"));
        let written = self.written.iter().map(|path| format!("{would}written: {}", path.display()));
        added.chain(self.removed.iter().map(line("removed", "from"))).chain(written).collect()
    }

    /// What is so, and stays so until somebody does something, or time passes.
    pub(super) fn standing(&self) -> Vec<String> {
        let Wanted { refused, undecided, own, unaccepted, .. } = &self.wanted;
        let mut lines: Vec<_> = self.alarms.iter().map(|alarm| format!("ALARM: {alarm}")).collect();
        lines.extend(refused.iter().map(|refused| {
            let host = printable(&refused.host);
            format!(
                "refused: table {}, host {}: {}",
                refused.table,
                if host.is_empty() { "''" } else { &host },
                refused.reason
            )
        }));
        lines.extend(undecided.iter().map(|host| format!("undecided: {host} stands in table rcpthosts only")));
        if !undecided.is_empty() {
            let help = "rules.rcpthosts_only says what such hosts are: \"local\", as under the old patch, or \"relay\"";
            lines.push(format!("undecided: {help}"));
        }
        lines.extend(self.waiting.iter().map(|Waiting { list, host, until, queued }| {
            let until = time(*until);
            let when = if *queued {
                format!("when the queue holds no mail for it any more, and by {until} at the latest")
            } else {
                format!("not before {until}")
            };
            format!("waiting: {host} leaves {list}, {when}")
        }));
        lines.extend(self.held.iter().map(|host| format!("held: {host} is not added before the alarm is over")));
        lines.extend(note("in control/virtualdomains already, outside the block", own));
        lines.extend(note("virtual, but not accepted from outside: not in table rcpthosts", unaccepted));
        lines
    }
}

fn note(what: &str, hosts: &BTreeSet<Host>) -> Option<String> {
    let named: Vec<_> = hosts.iter().take(NAMED).map(Host::as_str).collect();
    let more = hosts.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more (--json names them)") };
    (!named.is_empty()).then(|| format!("note: {what}: {}{more}", named.join(", ")))
}

fn time(seconds: u64) -> String {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    at.map_or_else(|| "never".to_owned(), |at| humantime::format_rfc3339_seconds(at).to_string())
}
