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
    /// Hosts of smtproutes.
    relayed: BTreeSet<Host>,
    added: Vec<(List, Host)>,
    removed: Vec<(List, Host)>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) held: BTreeSet<Host>,
    wanted: Wanted,
    alarms: Vec<String>,
    notes: Vec<String>,
    written: BTreeSet<PathBuf>,
    /// Why not all could be done.
    pub(super) trouble: Option<Failure>,
}

impl Report {
    pub(super) fn new(pass: &Pass<'_>, around: &Around, wanted: Wanted, alarms: Vec<String>) -> Self {
        Self {
            dry_run: pass.dry_run,
            is_open: around.is_open,
            relayed: around.relayed.iter().filter_map(|host| Host::new(host)).collect(),
            added: Vec::new(),
            removed: Vec::new(),
            waiting: Vec::new(),
            held: BTreeSet::new(),
            wanted,
            alarms,
            notes: Vec::new(),
            written: BTreeSet::new(),
            trouble: None,
        }
    }

    /// What will be done, or waits; and what would be done, if there were no limits.
    pub(super) fn planned(&mut self, plan: &Plan) {
        self.waiting.clone_from(&plan.waiting);
        self.held.clone_from(&plan.held);
        let limited = !plan.limits.is_empty();
        if self.is_open {
            self.open(plan.create, limited);
        }
        let kept = self.wanted.kept.iter().map(|kept| {
            let (host, reason) = (printable(&kept.host), &kept.reason);
            format!("{host} stays in control/virtualdomains as table virtual has it, although {reason}: take one of both away")
        });
        let lines = plan.kept.iter().map(|(host, line)| {
            let line = printable(line);
            format!(
                "{host} stays in control/virtualdomains although no row has it: the line `{line}` of control/rcpthosts or \
                 morercpthosts accepts mail for it, which would find no other way; take that line out, or add the rows again"
            )
        });
        let alarms: Vec<_> = kept.chain(lines).collect();
        self.alarms.extend(alarms);
        if limited && !self.dry_run {
            let of = |lines: &[(List, Host)], list: List| {
                lines.iter().filter(|line| line.0 == list).map(|line| line.1.clone()).collect::<BTreeSet<_>>()
            };
            for list in [List::Virtualdomains, List::Rcpthosts] {
                self.notes.extend(named(&format!("--yes would add to {list}"), &of(&plan.added, list), "--dry-run"));
                self.notes.extend(named(
                    &format!("--yes would remove from {list}"),
                    &of(&plan.removed, list),
                    "--dry-run",
                ));
            }
        }
    }

    /// There is no rcpthosts.
    fn open(&mut self, create: bool, limited: bool) {
        let content =
            "control/me, control/locals, your own hosts of control/virtualdomains, and the hosts of table rcpthosts";
        let made = match (create, self.dry_run || limited) {
            (true, false) => format!("it was made, with {content}"),
            (true, true) => format!("it would be made, with {content}"),
            (false, _) => "it is made with the first host of table rcpthosts, or by you".to_owned(),
        };
        let refused: BTreeSet<_> = self.relayed.union(&self.wanted.undecided).cloned().collect();
        let refused = named("", &refused, "--json").map(|hosts| {
            format!(
                "; write there by hand what else is to be accepted of control/smtproutes and of the undecided{hosts}"
            )
        });
        let refused = refused.unwrap_or_default();
        self.alarm(format!("there is no control/rcpthosts: mail is accepted for every host; {made}{refused}"));
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

    /// How long nothing can happen by itself; `None` if nothing waits but for the queue.
    pub(super) fn next(&self) -> Option<Duration> {
        let times = self.waiting.iter().filter(|waiting| !waiting.queued).map(|waiting| waiting.until);
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(times.min()?))?;
        Some(at.duration_since(SystemTime::now()).unwrap_or_default())
    }

    pub(super) fn note(&mut self, text: String) {
        self.notes.push(text);
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
            "notes": self.notes,
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
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines.extend(note("in control/virtualdomains already, outside the block", own));
        lines.extend(note("virtual, but not accepted from outside: not in table rcpthosts", unaccepted));
        lines
    }
}

fn note(what: &str, hosts: &BTreeSet<Host>) -> Option<String> {
    named(what, hosts, "--json").map(|text| format!("note: {text}"))
}

/// Some of the hosts; `all` is the option that names all of them. `None` if there are none.
fn named(what: &str, hosts: &BTreeSet<Host>, all: &str) -> Option<String> {
    let some: Vec<_> = hosts.iter().take(NAMED).map(Host::as_str).collect();
    let more = hosts.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more ({all} names them)") };
    (!some.is_empty()).then(|| format!("{what}: {}{more}", some.join(", ")))
}

fn time(seconds: u64) -> String {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    at.map_or_else(|| "never".to_owned(), |at| humantime::format_rfc3339_seconds(at).to_string())
}
