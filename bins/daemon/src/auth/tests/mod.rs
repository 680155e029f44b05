//! Whole attempts against rows in memory with real hashes, mostly on a clock that stands still unless all wait.

mod audit;
mod delay;
mod login;
mod places;
mod sharing;
mod slots;
pub(crate) mod store;
mod userdb;

use super::*;
use store::{Behaviour, lookup, odd};

/// A by-line without a hurry.
fn soon() -> Deadline {
    Deadline::at((Instant::now() + Duration::from_secs(5)).into_std())
}

fn attempt(login: &str, password: &str, remote: &str) -> Attempt {
    Attempt {
        login: login.into(),
        password: Secret::new(password.into()),
        service: b"pop3".to_vec(),
        remote: remote.into(),
    }
}

fn parallel(parallel: u16) -> AuthSettings {
    AuthSettings { parallel, ..AuthSettings::default() }
}

/// The reply, and how long it took.
async fn ask(gate: &Arc<Gate>, lookup: &Lookup, settings: &AuthSettings, attempt: Attempt) -> (Reply, Duration) {
    let begun = Instant::now();
    let reply = login(gate, lookup, settings, attempt, soon()).await;
    (reply, begun.elapsed())
}

fn granted(reply: &Reply) -> bool {
    matches!(reply, Reply::Ok(account) if account.user == b"iain" && account.uid == 800 && account.home == b"/h/iain")
}
