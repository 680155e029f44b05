//! The lines of `slots.rs`.

use super::super::origin::Origin;
use super::super::slots::{Slot, Slots, Ticket};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

fn from(n: u8) -> Origin {
    Origin::V4([192, 0, 2, n].into())
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn slot(slots: &Arc<Slots>, origin: &Origin) -> Slot {
    slots.enter(origin).wait(later()).await.unwrap()
}

/// Waits in a task, and then writes its name down and lets the slot go.
fn wait_and_note(ticket: Ticket, name: String, log: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    tokio::spawn(async move {
        let slot = ticket.wait(later()).await;
        log.lock().unwrap().push(if slot.is_some() { name } else { format!("-{name}") });
    })
}

/// Lets every task get as far as it can.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn lines_take_turns_and_each_is_first_come_first_served() {
    let slots = Slots::new(1);
    let held = slot(&slots, &from(9)).await;
    let log = Arc::default();
    for (n, name) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (3, "c1"), (2, "b2")] {
        wait_and_note(slots.enter(&from(n)), name.to_owned(), &log);
        settle().await;
    }
    assert_eq!(slots.load(), (6, 1));
    drop(held);
    settle().await;
    assert_eq!(*log.lock().unwrap(), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    assert_eq!(slots.load(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_has_no_address_has_no_more_turns_by_having_many_names() {
    let slots = Slots::new(1);
    let held = slot(&slots, &from(9)).await;
    let log = Arc::default();
    for n in 1..=20 {
        wait_and_note(slots.enter(&Origin::Account(b"cvm".to_vec(), n)), format!("n{n}"), &log);
        settle().await;
    }
    wait_and_note(slots.enter(&from(1)), "a".to_owned(), &log);
    settle().await;
    drop(held);
    settle().await;
    let order = log.lock().unwrap().clone();
    assert_eq!(order[..3], ["n1", "a", "n2"]);
    assert_eq!((order.len(), slots.load()), (21, (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_late_or_gone_leaves_no_hole() {
    let slots = Slots::new(1);
    let held = slot(&slots, &from(9)).await;
    let begun = Instant::now();
    assert!(slots.enter(&from(1)).wait(begun + Duration::from_secs(3)).await.is_none());
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert_eq!(slots.load(), (0, 1));

    let log = Arc::default();
    let gone = wait_and_note(slots.enter(&from(1)), "gone".to_owned(), &log);
    let called = wait_and_note(slots.enter(&from(1)), "called".to_owned(), &log);
    wait_and_note(slots.enter(&from(1)), "next".to_owned(), &log);
    settle().await;
    gone.abort();
    settle().await;
    assert_eq!(slots.load(), (2, 1));
    // The call goes out, and the one who is called is gone before he hears it.
    drop(held);
    called.abort();
    settle().await;
    assert_eq!(*log.lock().unwrap(), ["next"]);
    assert_eq!(slots.load(), (0, 0));
    drop(slots.enter(&from(1)));
    assert_eq!(slots.load(), (0, 0), "a wish that was never used is given up");
}

#[tokio::test(start_paused = true)]
async fn there_may_be_more_slots_or_fewer_at_any_time() {
    let slots = Slots::new(1);
    let first = slot(&slots, &from(1)).await;
    let second = tokio::spawn({
        let slots = Arc::clone(&slots);
        async move { slot(&slots, &from(1)).await }
    });
    settle().await;
    assert_eq!(slots.load(), (1, 1));
    slots.resize(2);
    let second = second.await.unwrap();
    assert_eq!(slots.load(), (0, 2));
    slots.resize(0);
    let patience = Duration::from_millis(5);
    drop(first);
    assert!(slots.enter(&from(2)).wait(Instant::now() + patience).await.is_none(), "one is used, one is all");
    drop(second);
    assert!(slots.enter(&from(2)).wait(Instant::now() + patience).await.is_some());
    assert_eq!(slots.load(), (0, 0));
}

/// Attempts that come, wait, give up and go at every possible moment: no slot is lost, none is given twice.
#[tokio::test(start_paused = true)]
async fn no_slot_is_lost_or_doubled() {
    let (slots, held) = (Slots::new(3), Arc::new(Mutex::new((0, 0))));
    let mut tasks = Vec::new();
    let mut random = 1_u64;
    for _ in 0..3000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [.., n, patience, work, fate] = (random >> 24).to_be_bytes().map(u64::from);
        let origin = from(u8::try_from(n % 12).unwrap());
        let work = work % 20;
        let (slots, held) = (Arc::clone(&slots), Arc::clone(&held));
        let task = tokio::spawn(async move {
            let Some(slot) = slots.enter(&origin).wait(Instant::now() + Duration::from_millis(patience)).await else {
                return;
            };
            struct Leave(Arc<Mutex<(usize, usize)>>);
            impl Drop for Leave {
                fn drop(&mut self) {
                    self.0.lock().unwrap().0 -= 1;
                }
            }
            {
                let mut held = held.lock().unwrap();
                held.0 += 1;
                held.1 = held.1.max(held.0);
            }
            let _leave = Leave(held);
            sleep(Duration::from_millis(work)).await;
            drop(slot);
        });
        if fate % 3 == 0 {
            let abort = task.abort_handle();
            tokio::spawn(async move {
                sleep(Duration::from_millis(fate / 2)).await;
                abort.abort();
            });
        }
        tasks.push(task);
        if fate % 2 == 0 {
            sleep(Duration::from_millis(fate % 5)).await;
        }
    }
    for task in tasks {
        let _ = task.await;
    }
    assert_eq!(slots.load(), (0, 0));
    assert_eq!(held.lock().unwrap().1, 3, "all slots were used, and never more");
}
