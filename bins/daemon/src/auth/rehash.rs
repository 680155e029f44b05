//! After a login: a strong hash in the place of a weak one, in the background and one at a time (off by default).

use qmail_lookup_backends::rehash::{Rehashed, rehash};
use qmail_lookup_core::password::rehash::Target;
use qmail_lookup_core::settings::Rehash;
use qmail_lookup_core::{Deadline, Lookup, Secret, Username};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// What one may take.
const TIME_MAX: Duration = Duration::from_secs(10);

/// How long nobody's hash is tried after one that failed for a reason that is not its own.
const PAUSE: Duration = Duration::from_secs(600);

/// Sees to it that there is one at a time. Whose turn it is not is served at a later login.
pub(super) struct Rehasher {
    place: Arc<Semaphore>,
    paused: Arc<Mutex<Option<Instant>>>,
    announced: AtomicBool,
    /// None is begun any more.
    over: AtomicBool,
}

impl Default for Rehasher {
    fn default() -> Self {
        Self {
            place: Arc::new(Semaphore::new(1)),
            paused: Arc::default(),
            announced: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }
}

impl Rehasher {
    /// To be called after `offered` was granted to `who`. Comes back at once.
    pub(super) fn after(&self, lookup: &Lookup, wanted: Rehash, who: Username, offered: Secret) {
        let target = match wanted {
            Rehash::Off => return,
            Rehash::Sha512 => Target::Sha512,
            Rehash::Yescrypt => Target::Yescrypt,
        };
        if !self.announced.swap(true, Relaxed) {
            tracing::warn!(
                "auth.rehash is on: a mailbox whose password was replaced by a stronger hash can no longer log in \
                 through the old MySQL patch or anything else that does not know this hash"
            );
        }
        let resting =
            self.paused.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|end| Instant::now() < end);
        let place = Arc::clone(&self.place).try_acquire_owned().ok();
        let Some(place) = place.filter(|_| !resting && !self.over.load(Relaxed)) else { return };
        let (store, paused) = (Arc::clone(&lookup.mailbox), Arc::clone(&self.paused));
        tokio::spawn(async move {
            let outcome = rehash(store.as_ref(), &who, &offered, target, Deadline::after(TIME_MAX)).await;
            let mailbox = who.as_str();
            let pause = match outcome {
                Ok(Rehashed::NotNeeded) => false,
                Ok(Rehashed::Done) => {
                    tracing::info!(mailbox, "the password was given a stronger hash");
                    false
                }
                Ok(Rehashed::Changed) => {
                    tracing::info!(mailbox, "no stronger hash: somebody else changed the row");
                    false
                }
                Ok(Rehashed::DoesNotFit { column, declared, needed }) => {
                    let store = store.place();
                    tracing::warn!(store, column, declared, needed, "no stronger hashes: the column is too narrow");
                    true
                }
                Ok(Rehashed::NotSupported) => {
                    tracing::warn!(store = store.place(), "no stronger hashes: this store cannot replace a password");
                    true
                }
                Err(error) => {
                    tracing::warn!(mailbox, %error, "no stronger hash");
                    true
                }
            };
            if pause {
                *paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
            }
            drop(place);
        });
    }

    /// Waits for the one that is under way, so that a hash which was written is also read back, and begins no other.
    pub(super) async fn finish(&self) {
        self.over.store(true, Relaxed);
        // Never closed.
        drop(self.place.acquire().await);
    }
}
