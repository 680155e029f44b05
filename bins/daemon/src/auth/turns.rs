//! Whose turn it is: groups in turn, and within a group its origins in turn.

use super::origin::{Group, Origin};
use std::collections::{HashMap, VecDeque};

/// Origins that wait, each once.
#[derive(Default)]
pub(super) struct Turns {
    /// The groups with somebody in them, each once.
    groups: VecDeque<Group>,
    origins: HashMap<Group, VecDeque<Origin>>,
}

impl Turns {
    /// Puts an origin, which is not there, at the end of its group.
    pub(super) fn join(&mut self, origin: &Origin) {
        let group = origin.group();
        let origins = self.origins.entry(group.clone()).or_default();
        if origins.is_empty() {
            self.groups.push_back(group);
        }
        origins.push_back(origin.clone());
    }

    /// Takes out whose turn it is; the rest of the group goes to the end.
    pub(super) fn next(&mut self) -> Option<Origin> {
        let group = self.groups.pop_front()?;
        let origins = self.origins.get_mut(&group)?;
        let next = origins.pop_front();
        if origins.is_empty() {
            self.origins.remove(&group);
        } else {
            self.groups.push_back(group);
        }
        next
    }

    /// Takes out an origin, wherever it stands.
    pub(super) fn leave(&mut self, origin: &Origin) {
        let group = origin.group();
        let Some(origins) = self.origins.get_mut(&group) else { return };
        origins.retain(|other| other != origin);
        if origins.is_empty() {
            self.origins.remove(&group);
            self.groups.retain(|other| *other != group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_accounts_of_a_service_have_one_turn_together() {
        let mut turns = Turns::default();
        let account = |n| Origin::Account(b"cvm".to_vec(), n);
        let address = |n: u32| Origin::V4(n.into());
        for origin in [account(1), account(2), account(3), address(1), account(4), address(2)] {
            turns.join(&origin);
        }
        turns.leave(&account(3));
        turns.leave(&address(9));
        let all: Vec<_> = std::iter::from_fn(|| turns.next()).collect();
        assert_eq!(all, [account(1), address(1), address(2), account(2), account(4)]);
        assert!(turns.groups.is_empty() && turns.origins.is_empty());
        turns.join(&address(1));
        turns.leave(&address(1));
        assert_eq!(turns.next(), None);
    }
}
