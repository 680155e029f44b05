//! What could not be carried over, counted by kind.

/// Names that are told of each kind.
const NAMES: usize = 20;

/// Counts by kind; the kinds stay in the order in which they came up.
#[derive(Debug, Default)]
pub struct Tally {
    kinds: Vec<Counted>,
}

#[derive(Debug)]
struct Counted {
    why: &'static str,
    is_loss: bool,
    count: u64,
    names: Vec<String>,
}

/// One kind, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Names or addresses, and how many more.
    pub about: String,
    /// What is lost, or worth knowing.
    pub why: &'static str,
    /// False if nothing is lost.
    pub is_loss: bool,
}

impl Tally {
    /// Something of `about` is lost. It is a name or an address, never a password.
    pub fn add(&mut self, why: &'static str, about: &[u8]) {
        self.count(why, about, true);
    }

    /// Nothing of `about` is lost, but it is another way now.
    pub fn note(&mut self, why: &'static str, about: &[u8]) {
        self.count(why, about, false);
    }

    fn count(&mut self, why: &'static str, about: &[u8], is_loss: bool) {
        let at = self.kinds.iter().position(|kind| kind.why == why).unwrap_or_else(|| {
            self.kinds.push(Counted { why, is_loss, count: 0, names: Vec::new() });
            self.kinds.len() - 1
        });
        if let Some(kind) = self.kinds.get_mut(at) {
            kind.count += 1;
            if kind.names.len() < NAMES {
                kind.names.push(String::from_utf8_lossy(about).into_owned());
            }
        }
    }

    /// Each kind.
    pub fn list(&self) -> impl Iterator<Item = Kind> {
        self.kinds.iter().map(|kind| {
            let listed = u64::try_from(kind.names.len()).unwrap_or(u64::MAX);
            let names = kind.names.join(", ");
            let about = match kind.count.saturating_sub(listed) {
                0 => names,
                more => format!("{names} and {more} more"),
            };
            Kind { about, why: kind.why, is_loss: kind.is_loss }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_some_and_counts_all() {
        let mut tally = Tally::default();
        (0..25).for_each(|n| tally.add("a", format!("u{n}").as_bytes()));
        tally.note("b", b"x");
        let list: Vec<_> = tally.list().collect();
        assert!(list[0].about.starts_with("u0, u1, ") && list[0].about.ends_with("u19 and 5 more"), "{list:?}");
        assert!(list[0].is_loss);
        assert_eq!(list[1], Kind { about: "x".to_owned(), why: "b", is_loss: false });
    }
}
