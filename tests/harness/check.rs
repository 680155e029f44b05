//! What a case says and how it waits.

use libtest_mimic::Failed;
use std::fmt::Debug;
use std::future::Future;
use std::sync::LazyLock;
use tokio::runtime::{Builder, EnterGuard, Runtime};

/// How a case ends.
pub type Outcome = Result<(), Failed>;

/// One runtime for the whole test run: stores keep their connections and tasks on it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let built = Builder::new_multi_thread().worker_threads(4).enable_all().build();
    built.unwrap_or_else(|error| panic!("no runtime: {error}"))
});

/// Runs `future` on the runtime of the test run.
pub fn block_on<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

/// Makes the runtime of the test run the current one, for opening stores.
pub fn enter() -> EnterGuard<'static> {
    RUNTIME.enter()
}

/// Fails with `what` unless `ok`.
///
/// # Errors
/// Unless `ok`.
pub fn ensure(ok: bool, what: impl Into<String>) -> Outcome {
    if ok { Ok(()) } else { Err(what.into().into()) }
}

/// Fails with both values unless they are equal.
///
/// # Errors
/// Unless they are equal.
#[allow(clippy::needless_pass_by_value, reason = "callers compare values they have just made")]
pub fn equal<A: Debug + PartialEq<B>, B: Debug>(what: &str, got: A, want: B) -> Outcome {
    ensure(got == want, format!("{what}\n  got:  {got:?}\n  want: {want:?}"))
}

/// The error of a result that must be one.
///
/// # Errors
/// If it is a value: an outage became an answer.
pub fn must_fail<T: Debug, E>(what: &str, result: Result<T, E>) -> Result<E, Failed> {
    match result {
        Err(error) => Ok(error),
        Ok(value) => Err(format!("{what}: answered {value:?} although nothing is known").into()),
    }
}
