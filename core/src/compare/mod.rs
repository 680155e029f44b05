//! Are two answers the same, and if not, in which fields do they differ? And which questions tell two stores apart?
//!
//! | what | room |
//! |---|---|
//! | the answers of the rules as fields | `answers` |
//! | the cells of rows that no question tells apart | `cells` |
//! | questions, and which ones a row leads to | `keys` |
//! | recipients of a log of qmail-send | `log` |

mod answers;
mod cells;
mod keys;
mod log;

#[cfg(test)]
mod tests;

pub use cells::{differing_cells, differing_passwords};
pub use keys::{Key, Kind, UNKNOWN, UNKNOWN_HOST, always, has_usable_key, of_row, of_set};
pub use log::of_log_line;

/// An answer as named fields, in a fixed order; a field that the answer does not have is missing. What two stores answer
/// is the same exactly if the fields are.
pub type Fields = Vec<(&'static str, Vec<u8>)>;

/// An answer of the rules that can be compared.
pub trait Compared {
    /// See [`Fields`].
    fn fields(&self) -> Fields;

    /// True if the store knows nothing of what was asked.
    fn is_absent(&self) -> bool {
        self.fields().is_empty()
    }

    /// True if rows contradict the rules: what else they say the answer does not tell.
    fn is_misconfigured(&self) -> bool {
        false
    }
}

/// The names of the fields that differ, in order; empty if the answers are the same.
#[must_use]
pub fn differing(left: &Fields, right: &Fields) -> Vec<&'static str> {
    let value =
        |fields: &Fields, name: &str| fields.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone());
    let mut names: Vec<&'static str> = left.iter().chain(right).map(|(name, _)| *name).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name) && value(left, name) != value(right, name));
    names
}

/// What one side has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its answer.
    pub fields: Fields,
    /// See [`Compared::is_absent`].
    pub is_absent: bool,
    /// See [`Compared::is_misconfigured`].
    pub is_misconfigured: bool,
}

impl Seen {
    /// Of an answer.
    pub fn of(answer: &impl Compared) -> Self {
        let (is_absent, is_misconfigured) = (answer.is_absent(), answer.is_misconfigured());
        Self { fields: answer.fields(), is_absent, is_misconfigured }
    }

    /// Of an answer in two parts.
    pub fn of_both(one: &impl Compared, two: &impl Compared) -> Self {
        let mut seen = Self::of(one);
        let two = Self::of(two);
        seen.fields.extend(two.fields);
        seen.is_absent &= two.is_absent;
        seen.is_misconfigured |= two.is_misconfigured;
        seen
    }
}

/// What comes out of one question to both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both have said the same.
    Same,
    /// Both know nothing of it.
    Absent,
    /// Both have rows that contradict the rules in the same way. What these rows would mean is not compared.
    Misconfigured,
    /// They differ in these fields.
    Differs(Vec<&'static str>),
    /// The right side knows nothing of it.
    OnlyLeft,
    /// The left side knows nothing of it.
    OnlyRight,
    /// A side could not be asked: nothing is known.
    NotAsked,
}

impl Verdict {
    /// Of what both sides have said; `None` is a side that could not be asked.
    #[must_use]
    pub fn of(left: Option<&Seen>, right: Option<&Seen>) -> Self {
        let (Some(left), Some(right)) = (left, right) else { return Self::NotAsked };
        let names = differing(&left.fields, &right.fields);
        match (left.is_absent, right.is_absent) {
            _ if names.is_empty() && left.is_misconfigured => Self::Misconfigured,
            (true, true) if names.is_empty() => Self::Absent,
            _ if names.is_empty() => Self::Same,
            (false, true) => Self::OnlyLeft,
            (true, false) => Self::OnlyRight,
            (true, true) | (false, false) => Self::Differs(names),
        }
    }
}
