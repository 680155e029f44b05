//! `[shadow]`: a second store that the daemon asks after each answer, to see whether it would have said the same.

use crate::daemon::in_range;
use crate::refusal::Refusal;
use serde::Deserialize;
use std::path::PathBuf;

/// `[shadow]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShadowSettings {
    /// The configuration file whose `[store]` is asked; none: no shadow.
    pub config: Option<PathBuf>,
    /// Questions that are put to it at once; what comes while so many are under way and `queue` is full is not asked.
    pub parallel: u16,
    /// Questions that wait.
    pub queue: u32,
}

impl Default for ShadowSettings {
    fn default() -> Self {
        Self { config: None, parallel: 8, queue: 1000 }
    }
}

impl ShadowSettings {
    pub(crate) fn judge(&self) -> Result<(), Refusal> {
        in_range("shadow.parallel", self.parallel, 1..=64)?;
        in_range("shadow.queue", self.queue, 1..=100_000)
    }
}
