//! Loops of forwards: a walk through addresses, depth first. Whoever drives it says where each address forwards to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// An address in lower case.
pub type Address = Arc<[u8]>;

/// Most addresses that one search visits.
pub const ADDRESSES_MAX: usize = 10_000;

/// Most addresses that are remembered between searches. Without one that was forgotten, part of a way is gone again.
const REMEMBERED_MAX: usize = 50_000;

/// How often a way is followed that reaches too many addresses: each time ends with [`ADDRESSES_MAX`] more of them known,
/// and more than are remembered help nobody.
const TRIES_MAX: u32 = 8;

/// What all searches so far found out: the addresses from which every way was followed to its end, so that what leads to
/// them need not be followed (a loop through them was found already); and those from which that was too much.
#[derive(Debug, Default)]
pub struct Followed {
    done: HashSet<Address>,
    /// With the number of searches that were cut there.
    cut: HashMap<Address, u32>,
}

impl Followed {
    /// True if every way from here was followed, or is too much to be followed.
    #[must_use]
    pub fn has(&self, address: &[u8]) -> bool {
        self.done.contains(address) || self.cut.get(address).is_some_and(|tries| *tries >= TRIES_MAX)
    }

    fn add(&mut self, address: Address) {
        if self.done.len() >= REMEMBERED_MAX {
            self.done.clear();
        }
        self.done.insert(address);
    }

    /// From each address of `way` too many are reached. True if that was known of one of them.
    fn cut<'a>(&mut self, way: impl Iterator<Item = &'a Address>) -> bool {
        if self.cut.len() >= REMEMBERED_MAX {
            self.cut.clear();
        }
        let mut known = false;
        for address in way {
            let tries = self.cut.entry(Arc::clone(address)).or_default();
            known |= *tries > 0;
            *tries = tries.saturating_add(1);
        }
        known
    }
}

/// What a search wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Where this address forwards to: [`Search::tell`].
    Follow(Address),
    /// Nothing: these addresses forward to each other, the last one to the first. The search goes on.
    Loop(Vec<Address>),
    /// Nothing: every way was followed.
    End,
    /// Nothing: more than [`ADDRESSES_MAX`] addresses are reached, and the rest was not followed.
    TooMany {
        /// A search before this one came to the same addresses, and said so.
        again: bool,
    },
}

/// One walk from one address. Of the loops that share a part of their way each has at least one of its forwards told, so
/// that nothing goes round when all that is told was mended; which of them it is depends on the order of the forwards.
#[derive(Debug)]
pub struct Search {
    /// From the start to where it stands; what is still ahead of each address, next one last.
    way: Vec<(Address, Vec<Address>)>,
    /// Where on the way an address stands.
    places: HashMap<Address, usize>,
    /// Left behind in this search.
    done: HashSet<Address>,
    wanted: Option<Address>,
    visited: usize,
}

impl Search {
    /// Begins at `start`.
    #[must_use]
    pub fn new(start: Address) -> Self {
        let (way, places, done) = (Vec::new(), HashMap::new(), HashSet::new());
        Self { way, places, done, wanted: Some(start), visited: 0 }
    }

    /// Goes on.
    pub fn step(&mut self, followed: &mut Followed) -> Turn {
        if let Some(wanted) = &self.wanted {
            return Turn::Follow(Arc::clone(wanted));
        }
        while let Some((address, ahead)) = self.way.last_mut() {
            let Some(target) = ahead.pop() else {
                let address = Arc::clone(address);
                self.way.pop();
                self.places.remove(&address);
                self.done.insert(Arc::clone(&address));
                followed.add(address);
                continue;
            };
            if let Some(&place) = self.places.get(&target) {
                let round = self.way.iter().skip(place).map(|(address, _)| Arc::clone(address)).collect();
                return Turn::Loop(round);
            }
            if self.done.contains(&target) || followed.has(&target) {
                continue;
            }
            if self.visited >= ADDRESSES_MAX {
                let again = followed.cut(self.way.iter().map(|(address, _)| address));
                self.way.clear();
                return Turn::TooMany { again };
            }
            self.wanted = Some(Arc::clone(&target));
            return Turn::Follow(target);
        }
        Turn::End
    }

    /// The address that was asked for forwards to `targets`.
    pub fn tell(&mut self, targets: &[Address]) {
        let Some(address) = self.wanted.take() else { return };
        self.visited = self.visited.saturating_add(1);
        self.places.insert(Arc::clone(&address), self.way.len());
        // A forward that is there twice is one way.
        let mut ahead: Vec<Address> = Vec::new();
        let mut seen: HashSet<&[u8]> = HashSet::new();
        ahead.extend(targets.iter().rev().filter(|target| seen.insert(target)).cloned());
        self.way.push((address, ahead));
    }
}

/// The same loop from its first address in byte order: two searches may find it from two sides.
#[must_use]
pub fn from_its_first(mut addresses: Vec<Address>) -> Vec<Address> {
    let first = addresses.iter().enumerate().min_by_key(|(_, address)| Arc::clone(address)).map_or(0, |(at, _)| at);
    addresses.rotate_left(first);
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> Address {
        text.as_bytes().into()
    }

    /// All loops from these starts, in this order; `graph` has one character for each address.
    fn loops(graph: &[(&str, &str)], starts: &str, followed: &mut Followed) -> Vec<String> {
        let mut found = Vec::new();
        for start in starts.chars().map(|c| address(&c.to_string())).filter(|a| !followed.has(a)).collect::<Vec<_>>() {
            let mut search = Search::new(start);
            loop {
                match search.step(followed) {
                    Turn::Follow(at) => {
                        let of = |(from, _): &&(&str, &str)| from.as_bytes() == &at[..];
                        let to = graph.iter().find(of).map_or("", |(_, to)| to);
                        search.tell(&to.chars().map(|c| address(&c.to_string())).collect::<Vec<_>>());
                    }
                    Turn::Loop(round) => found.push(String::from_utf8(from_its_first(round).concat()).unwrap()),
                    Turn::End => break,
                    Turn::TooMany { .. } => panic!("{graph:?}"),
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn a_diamond_is_no_loop_and_every_loop_is_told_whole() {
        for (graph, want) in [
            (&[("a", "bc"), ("b", "d"), ("c", "d")][..], &[][..]),
            (&[("a", "a")], &["a"]),
            (&[("a", "aa")], &["a"]),
            (&[("c", "b"), ("b", "a"), ("a", "c")], &["acb"]),
            (&[("a", "bc"), ("b", "a"), ("c", "a")], &["ab", "ac"]),
            (&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")], &["bcd"]),
            (&[("a", "bc"), ("b", "d"), ("c", "d"), ("d", "e"), ("e", "d")], &["de"]),
            (&[("a", "b"), ("b", "xa"), ("c", "x"), ("x", "")], &["ab"]),
        ] {
            for starts in ["abcdex", "xedcba", "a"] {
                assert_eq!(loops(graph, starts, &mut Followed::default()), want, "{graph:?} from {starts}");
            }
        }
    }

    #[test]
    fn a_long_way_needs_no_stack_and_one_that_is_too_long_is_said() {
        let walk = |length: usize| {
            let (mut followed, mut rounds) = (Followed::default(), 0);
            let mut search = Search::new(address("0"));
            loop {
                match search.step(&mut followed) {
                    Turn::Follow(at) => {
                        let n: usize = std::str::from_utf8(&at).unwrap().parse().unwrap();
                        search.tell(&[address(&((n + 1) % length).to_string())]);
                    }
                    Turn::Loop(round) => rounds += round.len(),
                    Turn::End => return Some(rounds),
                    Turn::TooMany { .. } => return None,
                }
            }
        };
        assert_eq!(walk(ADDRESSES_MAX), Some(ADDRESSES_MAX));
        assert_eq!(walk(ADDRESSES_MAX + 1), None);
    }

    #[test]
    fn one_long_list_is_told_once_and_followed_to_its_end_in_the_end() {
        let members = 3 * ADDRESSES_MAX;
        let list: Vec<Address> = (0..members).map(|n| address(&n.to_string())).collect();
        let (mut followed, mut told, mut cut, mut asked) = (Followed::default(), 0, 0, 0);
        let mut rounds = Vec::new();
        for n in 0..100 {
            let mut search = Search::new(address(&format!("to-{n}")));
            loop {
                match search.step(&mut followed) {
                    Turn::Follow(at) => {
                        asked += 1;
                        search.tell(&match &at[..] {
                            b"list" => list.clone(),
                            // The last member is the list again.
                            b"29999" => vec![address("list")],
                            to if to.starts_with(b"to-") => vec![address("list")],
                            _ => Vec::new(),
                        });
                    }
                    Turn::Loop(round) => rounds.push(round.len()),
                    Turn::End => break,
                    Turn::TooMany { again } => {
                        cut += 1;
                        told += usize::from(!again);
                        break;
                    }
                }
            }
        }
        assert_eq!((told, rounds), (1, vec![2]));
        assert!(cut < 5 && asked < members + 200, "{cut} {asked}");
    }

    #[test]
    fn what_is_too_much_for_ever_is_given_up() {
        let (mut followed, mut asked) = (Followed::default(), 0_u32);
        for n in 0..100 {
            let start = address(&format!("to-{n}"));
            let mut search = Search::new(start);
            loop {
                match search.step(&mut followed) {
                    Turn::Follow(at) => {
                        asked += 1;
                        let name = std::str::from_utf8(&at).unwrap().to_owned();
                        // A chain without end.
                        let next = name.parse::<u64>().map_or_else(|_| "0".to_owned(), |n| (n + 1).to_string());
                        search.tell(&[address(&next)]);
                    }
                    Turn::Loop(_) => panic!(),
                    Turn::End | Turn::TooMany { .. } => break,
                }
            }
        }
        assert!(asked < 10 * 10_000, "{asked}");
    }

    fn any_graph() -> impl Strategy<Value = Vec<(String, String)>> {
        let names = "[a-f]{0,4}";
        proptest::collection::vec(names, 6).prop_map(|to| {
            let from = ["a", "b", "c", "d", "e", "f"].map(String::from);
            from.into_iter().zip(to).collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_told_goes_round_and_without_it_nothing_does(graph in any_graph()) {
            let mut graph: Vec<(&str, String)> = graph.iter().map(|(from, to)| (from.as_str(), to.clone())).collect();
            for _ in 0..100 {
                let shown: Vec<_> = graph.iter().map(|(from, to)| (*from, to.as_str())).collect();
                let found = loops(&shown, "abcdef", &mut Followed::default());
                // Without the last forward of each told loop, and again until nothing is told.
                for round in &found {
                    for (at, next) in round.char_indices().zip(round.chars().skip(1).chain(round.chars().next())) {
                        let (_, to) = shown.iter().find(|(from, _)| from.starts_with(at.1)).unwrap();
                        prop_assert!(to.contains(next), "{round} does not go round in {shown:?}");
                    }
                }
                let Some(round) = found.first() else { break };
                let last = round.chars().last().unwrap();
                let first = round.chars().next().unwrap();
                let (_, to) = graph.iter_mut().find(|(from, _)| from.starts_with(last)).unwrap();
                to.retain(|c| c != first);
            }
            // Nothing goes round any more: taking away whoever forwards to nobody empties the graph.
            let mut left: Vec<(&str, String)> = graph;
            loop {
                let ends: Vec<char> = left.iter().filter(|(_, to)| to.is_empty()).filter_map(|(from, _)| from.chars().next()).collect();
                if ends.is_empty() { break }
                left.retain(|(_, to)| !to.is_empty());
                left.iter_mut().for_each(|(_, to)| to.retain(|c| !ends.contains(&c)));
            }
            prop_assert!(left.is_empty(), "{left:?} still goes round");
        }
    }
}
