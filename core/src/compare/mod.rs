//! Are two answers the same, and if not, in which fields do they differ?

/// An answer as named fields, in a fixed order; a field that the answer does not have is missing. What two stores answer
/// is the same exactly if the fields are.
pub type Fields = Vec<(&'static str, Vec<u8>)>;

/// An answer of the rules that can be compared.
pub trait Compared {
    /// See [`Fields`].
    fn fields(&self) -> Fields;
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
