//! What is remembered of one table: how many keys are found usually and lately, and some that were found.

use super::key::Key;
use qmail_lookup_core::LookupError;
use qmail_lookup_core::limits::KEYS_PER_STATEMENT;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Keys that are remembered: as many as one statement asks for.
const SAMPLE_MAX: usize = KEYS_PER_STATEMENT;

/// Keys from which on a sample can tell anything.
pub(super) const SAMPLE_MIN: usize = 8;

/// Once the sample is full, one key in so many that are found takes the place of another one.
const TURNOVER: u64 = 64;

/// Keys that "lately" means: the bits of a word.
const WINDOW: u32 = u64::BITS;

/// Keys that "usually" means; then older ones begin to count less.
const USUAL: u32 = 8192;

/// A run without any found key is suspicious when so many found ones were to be expected in it: by chance it comes
/// once in 3000 times.
const RUN: u32 = 8;

/// A key that has been gone for so long was removed on purpose, and is forgotten.
const REMOVED: Duration = Duration::from_secs(3600);

/// One table, as one store sees it. Another store that takes the place of this one goes on with what is remembered;
/// questions that are put to this one still change nothing of it then.
pub(super) struct Track<K> {
    shared: Arc<Shared<K>>,
    /// The place of the store in the row of those that took each other's place.
    generation: u64,
    /// True once it has taken its place.
    in_place: AtomicBool,
    /// Held while the sample is asked for, by whoever asks.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// The last check, and what it allowed.
    checked: Mutex<Option<(Instant, Result<(), LookupError>)>>,
    /// Shortest time between two checks.
    pause: Duration,
}

struct Shared<K> {
    state: Mutex<State<K>>,
    /// The same as [`State::lost`], to be read without the lock.
    lost: AtomicBool,
    /// The last generation that there is.
    last: AtomicU64,
}

struct State<K> {
    /// Which one is serving.
    generation: u64,
    /// The latest counted keys, the last one lowest; 1 is found.
    recent: u64,
    /// How many bits of it are in use.
    seen: u32,
    found: u32,
    total: u32,
    sample: Vec<Entry<K>>,
    random: u64,
    /// Most of the sample is gone.
    lost: bool,
}

struct Entry<K> {
    key: K,
    gone: Option<Instant>,
}

/// What a none has to wait for.
pub(super) enum Due<K> {
    /// Nothing: the last check is recent enough, or there is too little to ask for.
    Known(Result<(), LookupError>),
    /// An answer about these keys.
    Ask(Vec<K>),
}

/// What a check changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    None,
    /// Most of the sample is gone now.
    Lost,
    /// Most of it is back.
    Back,
}

/// What a check found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finding {
    pub(super) gone: usize,
    pub(super) of: usize,
    pub(super) lost: bool,
    pub(super) turn: Turn,
}

impl<K: Key> Track<K> {
    pub(super) fn new(pause: Duration) -> Self {
        let (state, lost, last) = (Mutex::new(State::new(0)), AtomicBool::new(false), AtomicU64::new(0));
        Self::of(Arc::new(Shared { state, lost, last }), 0, pause)
    }

    /// For a store that will take the place of this one's: with the first question that is put to it, as it may be
    /// given up before.
    pub(super) fn following(&self) -> Self {
        let generation = self.shared.last.fetch_add(1, Ordering::Relaxed) + 1;
        Self::of(Arc::clone(&self.shared), generation, self.pause)
    }

    fn of(shared: Arc<Shared<K>>, generation: u64, pause: Duration) -> Self {
        let (turn, checked) = (tokio::sync::Mutex::new(()), Mutex::new(None));
        Self { shared, generation, in_place: AtomicBool::new(false), turn, checked, pause }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checked(&self) -> MutexGuard<'_, Option<(Instant, Result<(), LookupError>)>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question is put to the store.
    pub(super) fn take_place(&self) {
        if !self.in_place.load(Ordering::Acquire) {
            let mut state = self.lock();
            state.generation = state.generation.max(self.generation);
            self.in_place.store(true, Ordering::Release);
        }
    }

    /// True if another store has taken the place of this one.
    pub(super) fn is_replaced(&self) -> bool {
        self.lock().generation > self.generation
    }

    /// True while most of the sample is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.shared.lost.load(Ordering::Acquire)
    }

    /// Counts an answer. Bit n of `found` stands for key n, of at most 64. True if "none" has become frequent, or if
    /// nobody counts any more: then each one is suspicious.
    pub(super) fn note(&self, keys: &[K], found: u64) -> bool {
        let mut state = self.lock();
        if state.generation > self.generation {
            return true;
        }
        for (n, key) in keys.iter().enumerate() {
            let found = (found >> n) & 1;
            if key.counts() {
                state.count(found);
            }
            if found == 1 && key.can_be_sampled() {
                state.remember(key);
            }
        }
        state.is_suspicious()
    }

    /// What has to be asked before a none may be used.
    pub(super) fn due(&self, now: Instant) -> Due<K> {
        let recent = |(at, _): &&(Instant, _)| now.saturating_duration_since(*at) < self.pause;
        if let Some((_, allowed)) = self.checked().as_ref().filter(recent) {
            return Due::Known(allowed.clone());
        }
        let state = self.lock();
        if state.sample.len() < SAMPLE_MIN {
            return Due::Known(Ok(()));
        }
        Due::Ask(state.sample.iter().map(|entry| entry.key.clone()).collect())
    }

    /// The check failed: nothing is decided.
    pub(super) fn failed(&self, error: LookupError, now: Instant) {
        *self.checked() = Some((now, Err(error)));
    }

    /// Takes in which of the `asked` keys are there. A store that was replaced learns it for itself only. `refusal` is for a table that is lost.
    pub(super) fn learn(
        &self,
        asked: &[K],
        is_there: impl Fn(&K) -> bool,
        now: Instant,
        refusal: impl FnOnce(Finding) -> LookupError,
    ) -> Finding {
        let mut state = self.lock();
        let serving = state.generation <= self.generation;
        let (mut gone, mut of) = (0, 0);
        // What was forgotten meanwhile no longer counts.
        for entry in state.sample.iter_mut().filter(|entry| asked.contains(&entry.key)) {
            of += 1;
            let there = is_there(&entry.key);
            gone += usize::from(!there);
            if serving {
                entry.gone = if there { None } else { entry.gone.or(Some(now)) };
            }
        }
        let before = state.lost;
        let lost = of >= SAMPLE_MIN && if before { gone * 2 >= of } else { gone * 2 > of };
        let turn = match (before, lost) {
            (false, true) if serving => Turn::Lost,
            (true, false) if serving => Turn::Back,
            _ => Turn::None,
        };
        let finding = Finding { gone, of, lost, turn };
        *self.checked() = Some((now, if lost { Err(refusal(finding)) } else { Ok(()) }));
        if !serving {
            return finding;
        }
        state.lost = lost;
        if turn == Turn::Back {
            state.seen = 0;
        }
        if !lost {
            let stays = |gone: Instant| now.saturating_duration_since(gone) < REMOVED;
            state.sample.retain(|entry| entry.gone.is_none_or(stays));
        }
        self.shared.lost.store(lost, Ordering::Release);
        finding
    }

    /// Begins anew.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        *state = State::new(state.generation);
        *self.checked() = None;
        self.shared.lost.store(false, Ordering::Release);
    }
}

impl<K: Key> State<K> {
    fn new(generation: u64) -> Self {
        Self {
            generation,
            recent: 0,
            seen: 0,
            found: 0,
            total: 0,
            sample: Vec::new(),
            random: 0x9E37_79B9_7F4A_7C15,
            lost: false,
        }
    }

    fn count(&mut self, found: u64) {
        self.recent = (self.recent << 1) | found;
        self.seen = (self.seen + 1).min(WINDOW);
        if self.total >= USUAL {
            self.total /= 2;
            self.found /= 2;
        }
        self.total += 1;
        self.found += u32::from(found == 1);
    }

    /// True if lately less than half as many keys were found as usual, or none in a long run.
    fn is_suspicious(&self) -> bool {
        let run = self.recent.trailing_zeros().min(self.seen);
        let longest = (RUN * self.total).div_ceil(self.found.max(1)).clamp(RUN, WINDOW);
        let few =
            u64::from(self.recent.count_ones()) * 2 * u64::from(self.total) < u64::from(WINDOW) * u64::from(self.found);
        run >= longest || (self.seen == WINDOW && few)
    }

    /// Makes it part of the sample, or not: mostly new keys at first, then one now and then.
    fn remember(&mut self, key: &K) {
        // What is found in a table that lost most of its rows says nothing about the others.
        if self.lost {
            return;
        }
        let one_in = match self.sample.len() {
            0..16 => 1,
            16..SAMPLE_MAX => 4,
            _ => TURNOVER,
        };
        if !self.draw().is_multiple_of(one_in) || self.sample.iter().any(|entry| entry.key == *key) {
            return;
        }
        let entry = Entry { key: key.clone(), gone: None };
        if self.sample.len() < SAMPLE_MAX {
            self.sample.push(entry);
            return;
        }
        let place = usize::try_from(self.draw() % (SAMPLE_MAX as u64)).unwrap_or(0);
        // One that is gone is evidence.
        if let Some(old) = self.sample.get_mut(place).filter(|old| old.gone.is_none()) {
            *old = entry;
        }
    }

    /// xorshift64: which key is taken need not be a secret.
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }
}
