//! How much may come or go at once: a store that was emptied, or filled with something else, changes nothing by itself.

use super::{Choices, List};
use std::fmt;

/// So many hosts may go whatever share of all they are.
pub const FEW: usize = 5;

/// Why nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Not one of the hosts in the block is wanted any more.
    All {
        /// In which list.
        list: List,
        /// How many there are.
        of: usize,
    },
    /// More would go than `sync.shrink` allows.
    Shrink {
        /// From which list.
        list: List,
        /// How many would go.
        going: usize,
        /// Of how many.
        of: usize,
        /// The setting. Unit: percent.
        percent: u8,
    },
    /// More would come than `sync.grow` allows.
    Grow {
        /// To which list.
        list: List,
        /// How many would come.
        coming: usize,
        /// The setting.
        most: u32,
    },
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All { list, of } => {
                write!(f, "the tables want none of the {of} hosts in the block of control/{list} any more")
            }
            Self::Shrink { list, going, of, percent } => {
                write!(f, "{going} of the {of} hosts in the block of control/{list} would go")?;
                write!(f, ", more than {percent} percent (sync.shrink)")
            }
            Self::Grow { list, coming, most } => {
                write!(f, "{coming} hosts would come to control/{list}, more than {most} (sync.grow)")
            }
        }
    }
}

impl Limit {
    /// Judges a list: how many stand in the block, how many of them are not wanted, how many of those go without
    /// anybody's agreement, and how many come.
    #[must_use]
    pub(super) fn of(
        list: List,
        of: usize,
        unwanted: usize,
        going: usize,
        coming: usize,
        choices: &Choices,
    ) -> Option<Self> {
        let percent = choices.shrink;
        if going > 0 && unwanted == of {
            Some(Self::All { list, of })
        } else if going > FEW && going.saturating_mul(100) > of.saturating_mul(usize::from(percent)) {
            Some(Self::Shrink { list, going, of, percent })
        } else if u32::try_from(coming).is_ok_and(|coming| coming <= choices.grow) {
            None
        } else {
            Some(Self::Grow { list, coming, most: choices.grow })
        }
    }
}
