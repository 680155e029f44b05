//! Outages on the way to a server: what a proxy in between does to the answers, whatever the kind of store.

use super::{fails, questions, recovers, right_or_nothing};
use qmail_lookup_core::{Backend, ErrorKind, TableRow};
use qmail_lookup_tests::check::{Outcome, ensure};
use qmail_lookup_tests::proxy::{Mode, Proxy};
use std::sync::Arc;

/// A store whose only server is behind a proxy, and the rows it holds.
pub(super) type Proxied = (Proxy, Arc<dyn Backend>, Vec<TableRow>);

const GONE_OR_LATE: &[ErrorKind] = &[ErrorKind::Unreachable, ErrorKind::Timeout];

/// Each time with connections that are there, so that the cut falls into an answer; and with every new one cut too.
pub(super) fn answer_cut((proxy, store, held): Proxied, lengths: &[usize]) -> Outcome {
    let mut failed = 0;
    for &bytes in lengths {
        proxy.set(Mode::Pass);
        recovers(&*store, &held)?;
        proxy.set(Mode::CutAfter(bytes));
        failed += right_or_nothing(&*store, &held)?;
    }
    ensure(failed > lengths.len(), format!("only {failed} questions were cut"))
}

/// One connection is cut in its answer.
pub(super) fn cut_once((proxy, store, held): Proxied) -> Outcome {
    recovers(&*store, &held)?;
    for bytes in [0, 4, 30, 90, 200] {
        proxy.set(Mode::CutOneAfter(bytes));
        right_or_nothing(&*store, &held)?;
        recovers(&*store, &held)?;
    }
    Ok(())
}

/// Answers stop after so many bytes.
pub(super) fn stalls((proxy, store, held): Proxied, lengths: &[usize]) -> Outcome {
    for &bytes in lengths {
        proxy.set(Mode::Pass);
        recovers(&*store, &held)?;
        proxy.set(Mode::StallAfter(bytes));
        for question in &questions()[..2] {
            fails(&*store, question, GONE_OR_LATE)?;
        }
    }
    proxy.set(Mode::Pass);
    recovers(&*store, &held)
}

/// Answers come byte by byte.
pub(super) fn drips((proxy, store, held): Proxied) -> Outcome {
    recovers(&*store, &held)?;
    proxy.set(Mode::Drip);
    for question in &questions()[..3] {
        fails(&*store, question, GONE_OR_LATE)?;
    }
    proxy.set(Mode::Pass);
    recovers(&*store, &held)
}
