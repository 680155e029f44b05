//! The counts of `delay.rs`.

use super::super::delay::{DELAY_MAX, Delays, ENTRIES_MAX, FREE, HALVES_AFTER, RECENT};
use super::super::origin::Origin;
use std::time::Duration;
use tokio::time::{Instant, advance};

const NONE: Duration = Duration::ZERO;

fn address(n: u32) -> Origin {
    Origin::V4(n.into())
}

fn ms(delays: &[Duration]) -> Vec<u128> {
    delays.iter().map(Duration::as_millis).collect()
}

#[tokio::test(start_paused = true)]
async fn delays_grow_to_their_end_and_heal_with_time() {
    let (delays, now) = (Delays::new(), Instant::now());
    let who = delays.who(b"iain");
    // From another address each time, so only the name counts.
    let grown: Vec<_> = (0..FREE + 5).map(|n| delays.refused(&address(n), who, now)).collect();
    assert_eq!(ms(&grown), [0, 0, 0, 0, 600, 1200, 1800, 1800, 1800]);
    assert_eq!(delays.refused(&address(99), delays.who(b"bob"), now), NONE, "another name");
    assert_eq!(delays.refused(&address(99), delays.who(b"IAIN"), now), DELAY_MAX, "the same name");

    let here = address(1000);
    let grown: Vec<_> = (0..FREE + 3)
        .map(|n| {
            delays.refused(&here, delays.who(&n.to_be_bytes()), now);
            delays.before(&here, now)
        })
        .collect();
    assert_eq!(ms(&grown), [0, 0, 0, 0, 600, 1200, 1800]);
    assert_eq!(delays.before(&address(1001), now), NONE, "another address");

    for _ in 0..200 {
        delays.refused(&here, who, now);
    }
    let healing: Vec<_> = (0..8).map(|halvings| delays.before(&here, now + HALVES_AFTER * halvings)).collect();
    assert_eq!(ms(&healing), [1800, 1800, 1800, 1800, 0, 0, 0, 0], "64, 32, 16, 8, 4...");
}

#[tokio::test(start_paused = true)]
async fn a_login_speaks_for_its_address_and_for_its_own_mailbox_there() {
    let delays = Delays::new();
    let (here, there) = (address(1), address(2));
    let (iain, bob) = (delays.who(b"iain"), delays.who(b"bob"));
    let now = Instant::now();
    for _ in 0..20 {
        delays.refused(&here, iain, now);
        delays.refused(&here, bob, now);
    }
    assert_eq!(delays.before(&here, now), DELAY_MAX);
    delays.granted(&here, iain, now);
    assert_eq!(delays.before(&here, now), NONE);
    assert_eq!(delays.refused(&here, iain, now), NONE, "its owner may mistype");
    assert_eq!(delays.refused(&here, bob, now), DELAY_MAX, "guessing at others is as slow as before");
    assert_eq!(delays.refused(&there, iain, now), DELAY_MAX, "and so is guessing from elsewhere");
    for _ in 0..20 {
        delays.refused(&here, bob, now);
    }
    assert_eq!(delays.before(&here, now), NONE, "for as long as the login is recent");
    advance(RECENT).await;
    let now = Instant::now();
    for _ in 0..20 {
        delays.refused(&here, bob, now);
    }
    assert_eq!(delays.before(&here, now), DELAY_MAX);
}

#[tokio::test(start_paused = true)]
async fn without_an_address_only_the_name_counts() {
    let (delays, now) = (Delays::new(), Instant::now());
    let all = Origin::Account(b"cvm".to_vec(), 1);
    for n in 0..100_u8 {
        assert_eq!(delays.refused(&all, delays.who(&[n]), now), NONE);
    }
    assert_eq!(delays.before(&all, now), NONE);
    delays.granted(&all, delays.who(b"iain"), now);
    let grown: Vec<_> = (0..20).map(|_| delays.refused(&all, delays.who(b"iain"), now)).collect();
    assert_eq!(grown.last(), Some(&DELAY_MAX), "a login speaks for no one there");
}

#[test]
fn what_is_remembered_is_bounded() {
    let (delays, now) = (Delays::new(), Instant::now());
    for n in 0..u32::try_from(ENTRIES_MAX).unwrap() * 3 {
        delays.refused(&address(n), delays.who(&n.to_be_bytes()), now);
    }
    let (names, addresses) = delays.remembered();
    assert!((1..=ENTRIES_MAX).contains(&names), "{names}");
    assert!((1..=ENTRIES_MAX).contains(&addresses), "{addresses}");
}
