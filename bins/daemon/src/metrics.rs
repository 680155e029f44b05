//! Numbers about the daemon, for Prometheus. None of them names a user, a key or a server.

use crate::question::Name;
use crate::shadow;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use qmail_lookup_core::ErrorKind;
use std::time::Duration;

/// Upper bounds of the histogram of times. Unit: seconds.
const SECONDS: [f64; 12] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0];

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok,
    NotFound,
    Temporary,
    Timeout,
    Permanent,
}

impl Verdict {
    const ALL: [Self; 5] = [Self::Ok, Self::NotFound, Self::Temporary, Self::Timeout, Self::Permanent];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFound => "notfound",
            Self::Temporary => "temp",
            Self::Timeout => "timeout",
            Self::Permanent => "perm",
        }
    }
}

/// Why a connection was ended by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing was asked for too long.
    Idle,
    /// A frame did not become complete in time.
    Frame,
    /// A reply was not taken in time.
    Reply,
    /// What came was no frame.
    Malformed,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    question: &'static str,
    verdict: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Why {
    why: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Socket {
    socket: &'static str,
}

/// See the module.
pub(crate) struct Metrics {
    registry: Registry,
    /// By question and verdict; looked up once, since it is counted for every question.
    questions: Vec<[Counter; Verdict::ALL.len()]>,
    asked: Family<Asked, Counter>,
    seconds: Histogram,
    connections: Family<Socket, Gauge>,
    turned_away: Family<Why, Counter>,
    cut: Family<Why, Counter>,
    errors: Family<Why, Counter>,
    reloads: Family<Why, Counter>,
    shadow: Family<Asked, Counter>,
    /// Mailboxes that qmail-getpw passed over.
    pub(crate) skipped: Counter,
    /// Questions that were not allowed.
    pub(crate) refused: Counter,
    /// Alarms about mail that waits.
    pub(crate) alarms: Counter,
    /// Tasks that panicked.
    pub(crate) panics: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let asked = Family::<Asked, Counter>::default();
        let questions = Name::ALL
            .iter()
            .map(|name| {
                Verdict::ALL.map(|verdict| {
                    let labels = Asked { question: name.as_str(), verdict: verdict.as_str() };
                    asked.get_or_create(&labels).clone()
                })
            })
            .collect();
        let mut metrics = Self {
            registry: Registry::with_prefix("qmail_lookupd"),
            questions,
            asked,
            seconds: Histogram::new(SECONDS),
            connections: Family::default(),
            turned_away: Family::default(),
            cut: Family::default(),
            errors: Family::default(),
            reloads: Family::default(),
            shadow: Family::default(),
            skipped: Counter::default(),
            refused: Counter::default(),
            alarms: Counter::default(),
            panics: Counter::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let Self { registry, asked, seconds, connections, turned_away, cut, errors, reloads, shadow, .. } = self;
        registry.register("questions", "Questions by how they ended", asked.clone());
        registry.register("question_seconds", "Time from a whole question to its answer", seconds.clone());
        registry.register("connections", "Open connections", connections.clone());
        registry.register("connections_refused", "Connections that were one too many", turned_away.clone());
        registry.register("connections_cut", "Connections that were ended for being slow or wrong", cut.clone());
        registry.register("errors", "Questions without an answer, by kind of trouble", errors.clone());
        registry.register("reloads", "Configurations read again", reloads.clone());
        registry.register("shadow_answers", "Answers compared with those of a second store", shadow.clone());
        let Self { skipped, refused, alarms, panics, .. } = self;
        registry.register("skipped_mailboxes", "Mailboxes passed over for trouble with their home", skipped.clone());
        registry.register("questions_not_allowed", "Questions of somebody who may not ask them", refused.clone());
        registry.register("overdue_alarms", "Alarms about mail that waits because of data", alarms.clone());
        registry.register("panics", "Tasks that ended by a bug", panics.clone());
        for result in ["ok", "refused"] {
            self.reloads.get_or_create(&Why { why: result }).inc_by(0);
        }
    }

    /// A question of the lookup socket ended.
    pub(crate) fn question(&self, name: Name, verdict: Verdict, took: Duration) {
        let counter = self.questions.get(name as usize).and_then(|row| row.get(verdict as usize));
        if let Some(counter) = counter {
            counter.inc();
        }
        self.seconds.observe(took.as_secs_f64());
    }

    /// Any other question ended: `question` is one of a few names.
    pub(crate) fn other(&self, question: &'static str, verdict: &'static str) {
        self.asked.get_or_create(&Asked { question, verdict }).inc();
    }

    /// A connection's gauge: counts it until it is dropped.
    pub(crate) fn connection(&self, socket: &'static str) -> Open {
        let gauge = self.connections.get_or_create(&Socket { socket }).clone();
        gauge.inc();
        Open(gauge)
    }

    pub(crate) fn turned_away(&self, why: &'static str) {
        self.turned_away.get_or_create(&Why { why }).inc();
    }

    pub(crate) fn cut(&self, cut: Cut) {
        let why = match cut {
            Cut::Idle => "idle",
            Cut::Frame => "frame",
            Cut::Reply => "reply",
            Cut::Malformed => "malformed",
        };
        self.cut.get_or_create(&Why { why }).inc();
    }

    pub(crate) fn error(&self, kind: ErrorKind) {
        self.errors.get_or_create(&Why { why: kind.as_str() }).inc();
    }

    /// A question was put to the second store, or was not; `question` is one of a few names.
    pub(crate) fn shadow(&self, question: &'static str, verdict: shadow::Verdict) {
        self.shadow.get_or_create(&Asked { question, verdict: verdict.as_str() }).inc();
    }

    pub(crate) fn reload(&self, done: bool) {
        self.reloads.get_or_create(&Why { why: if done { "ok" } else { "refused" } }).inc();
    }

    /// All of them in Prometheus' text format, with `more` (name and labels, help, value) before the end.
    pub(crate) fn render(&self, more: &[(&str, &str, u64)]) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut out, &self.registry);
        let end = "# EOF\n";
        let kept = out.strip_suffix(end).map_or(out.len(), str::len);
        out.truncate(kept);
        let mut before = "";
        for (series, help, value) in more {
            // A series is a name, or a name with labels; those of one name stand together.
            let name = series.split('{').next().unwrap_or(series);
            if name != before {
                out += &format!("# HELP qmail_lookupd_{name} {help}.\n# TYPE qmail_lookupd_{name} gauge\n");
                before = name;
            }
            out += &format!("qmail_lookupd_{series} {value}\n");
        }
        out + end
    }
}

/// An open connection, in the gauge.
pub(crate) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_counted_under_its_own_name() {
        let metrics = Metrics::default();
        for (at, name) in Name::ALL.into_iter().enumerate() {
            assert_eq!(name as usize, at);
        }
        metrics.question(Name::VirtualGid, Verdict::Timeout, Duration::from_millis(2));
        metrics.other("userdb", "ok");
        metrics.error(ErrorKind::Schema);
        metrics.cut(Cut::Frame);
        let open = metrics.connection("lookup");
        let more = [("overdue", "Questions", 3), ("refused{why=\"wrong\"}", "No", 1), ("refused{why=\"x\"}", "No", 2)];
        let text = metrics.render(&more);
        for line in [
            r#"qmail_lookupd_questions_total{question="virtual_gid",verdict="timeout"} 1"#,
            r#"qmail_lookupd_questions_total{question="getpw",verdict="ok"} 0"#,
            r#"qmail_lookupd_questions_total{question="userdb",verdict="ok"} 1"#,
            r#"qmail_lookupd_question_seconds_bucket{le="0.003"} 1"#,
            r#"qmail_lookupd_connections{socket="lookup"} 1"#,
            r#"qmail_lookupd_connections_cut_total{why="frame"} 1"#,
            r#"qmail_lookupd_errors_total{why="schema"} 1"#,
            "qmail_lookupd_overdue 3",
            "# TYPE qmail_lookupd_refused gauge",
            r#"qmail_lookupd_refused{why="x"} 2"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
        assert_eq!(text.matches("# HELP qmail_lookupd_refused ").count(), 1);
        drop(open);
        assert!(metrics.render(&[]).contains(r#"connections{socket="lookup"} 0"#));
    }
}
