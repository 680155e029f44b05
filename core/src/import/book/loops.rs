//! Addresses that are sent on in a circle.

use super::{Address, Book, Target};
use crate::import::tally::Tally;
use crate::key::{Host, VirtualUser};
use std::collections::{BTreeMap, BTreeSet};

impl Book {
    /// Tells the addresses whose mail comes back to them.
    pub(super) fn tell_loops(&self, tally: &mut Tally) {
        type Place<'b> = (&'b Host, &'b VirtualUser);
        let forwards = |address: &Address| {
            let cells = address.targets.iter().filter_map(|target| match target {
                Target::Cells(user, host) => VirtualUser::new(user).zip(Host::new(host)),
                Target::Own => None,
            });
            cells.filter_map(|(user, host)| self.receiver(&user, &host)).collect::<BTreeSet<Place<'_>>>()
        };
        let mut left: BTreeMap<Place<'_>, BTreeSet<Place<'_>>> = BTreeMap::new();
        for (host, domain) in &self.domains {
            left.extend(domain.addresses.iter().map(|(user, address)| ((host, user), forwards(address))));
        }
        // Who sends nothing on to those that are left is in no loop; then who is sent nothing by them.
        for _ in 0..2 {
            let mut before: BTreeMap<Place<'_>, Vec<Place<'_>>> = BTreeMap::new();
            for (from, to) in &left {
                to.iter().for_each(|to| before.entry(*to).or_default().push(*from));
            }
            let mut ends: Vec<_> = left.iter().filter(|(_, to)| to.is_empty()).map(|(place, _)| *place).collect();
            while let Some(end) = ends.pop() {
                left.remove(&end);
                for from in before.remove(&end).unwrap_or_default() {
                    if let Some(to) = left.get_mut(&from)
                        && to.remove(&end)
                        && to.is_empty()
                    {
                        ends.push(from);
                    }
                }
            }
            let mut turned: BTreeMap<Place<'_>, BTreeSet<Place<'_>>> = BTreeMap::new();
            for (from, to) in &left {
                turned.entry(*from).or_default();
                for to in to {
                    turned.entry(*to).or_default().insert(*from);
                }
            }
            left = turned;
        }
        for (host, user) in left.keys() {
            let why = "is sent on in a circle: the other system stopped at the second time, qmail returns the copy that \
                       comes back (#5.4.6); change its rows";
            tally.add(why, &[user.as_bytes(), b"@", host.as_bytes()].concat());
        }
    }

    /// The address that gets the mail for (user, host).
    fn receiver(&self, user: &VirtualUser, host: &Host) -> Option<(&Host, &VirtualUser)> {
        let known = self.domains.get_key_value(host).map(|(host, _)| host);
        let host = known.or_else(|| self.doubles.get_key_value(host).map(|(host, _)| host))?;
        let find = |wanted: &VirtualUser| {
            let mut near = self.nearest(host).into_iter().filter_map(|near| self.domains.get_key_value(near));
            near.find_map(|(host, domain)| domain.addresses.get_key_value(wanted).map(|(user, _)| (host, user)))
        };
        find(user).or_else(|| find(&VirtualUser::new(b"")?))
    }
}
