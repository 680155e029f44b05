//! How far it is, on standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const WITH_TOTAL: &str = "{msg:24} [{bar:30}] {human_pos}/{human_len} {per_sec} {eta}";
const WITHOUT: &str = "{msg:24} {spinner} {human_pos} {per_sec} {elapsed}";

/// How often a line says how far it is where no bar can be drawn.
const INTERVAL: Duration = Duration::from_secs(10);

/// One bar for all passes; nothing is drawn unless standard error is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// When the last line was written, or the first pass begun; `None` if no lines are.
    lines: Option<Instant>,
}

impl Progress {
    /// A bar that is not drawn before a pass begins, or never if it is `hidden`.
    pub(crate) fn new(hidden: bool) -> Self {
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Self { bar: ProgressBar::with_draw_target(None, target), lines: None }
    }

    /// The same; where standard error is no terminal, a line now and then says how far it is unless it is `hidden`.
    pub(crate) fn with_lines(hidden: bool) -> Self {
        let lines = (!hidden && !std::io::stderr().is_terminal()).then(Instant::now);
        Self { lines, ..Self::new(hidden) }
    }

    /// The bar itself, for who prints lines beside it.
    pub(crate) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// A pass begins that does `what`; `total` is how many steps it has, if that is known.
    pub(crate) fn begin(&mut self, what: &str, total: Option<u64>) {
        self.bar.reset();
        let template = if total.is_some() { WITH_TOTAL } else { WITHOUT };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
        self.bar.set_message(what.to_owned());
        // While a store sorts a table nothing advances. This is a thread's work, and for nobody if nothing is drawn.
        if !self.bar.is_hidden() {
            self.bar.enable_steady_tick(Duration::from_millis(250));
        }
    }

    /// `n` more steps are done.
    pub(crate) fn advance(&mut self, n: u64) {
        self.bar.inc(n);
        if self.lines.is_some_and(|last| last.elapsed() >= INTERVAL) {
            self.lines = Some(Instant::now());
            let _ = writeln!(std::io::stderr(), "qmail-lookup: {}", self.line());
        }
    }

    /// How far it is, in words.
    fn line(&self) -> String {
        let (what, done, rate) = (self.bar.message(), self.bar.position(), self.bar.per_sec());
        match self.bar.length() {
            Some(total) => {
                let left = self.bar.eta().as_secs();
                format!("{what}: {done} of {total}, {rate:.0} a second, {left} s left")
            }
            None => format!("{what}: {done}, {rate:.0} a second"),
        }
    }

    /// No pass is running.
    pub(crate) fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_how_far_how_fast_and_how_long() {
        let mut progress = Progress::new(true);
        progress.begin("writing", Some(1000));
        progress.advance(400);
        let line = progress.line();
        assert!(line.starts_with("writing: 400 of 1000, ") && line.ends_with(" s left"), "{line}");
        progress.begin("reading", None);
        progress.advance(3);
        assert!(progress.line().starts_with("reading: 3, "), "{}", progress.line());
    }
}
