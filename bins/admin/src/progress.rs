//! How far it is, on standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

const WITH_TOTAL: &str = "{msg:24} [{bar:30}] {human_pos}/{human_len} {eta}";
const WITHOUT: &str = "{msg:24} {spinner} {human_pos} {elapsed}";

/// One bar for all passes; nothing is drawn unless standard error is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that is not drawn before a pass begins, or never if it is `hidden`.
    pub(crate) fn new(hidden: bool) -> Self {
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Self { bar: ProgressBar::with_draw_target(None, target) }
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
    }

    /// No pass is running.
    pub(crate) fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}
