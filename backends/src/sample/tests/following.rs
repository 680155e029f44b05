//! The configuration was read again: another store takes the place of one that still has questions to answer.

use super::*;

/// A site whose store takes the place of that of `old`, with all rows or with none.
async fn following(old: &Site, whole: bool) -> Site {
    let Site { store, .. } = Site::new(AT_ONCE);
    let inner: Arc<dyn Backend> = Arc::<Store>::clone(&store);
    let layer = Sampled::following(inner, Some(&old.layer), Some(&old.layer), Some(&old.layer));
    let site = Site { store, layer };
    if !whole {
        for table in Table::ALL {
            site.remove(table, 0..ROWS).await;
        }
    }
    site
}

#[tokio::test]
async fn the_old_store_s_rows_are_no_reason_to_believe_the_new_one() {
    for table in Table::ALL {
        let old = Site::known(table, AT_ONCE).await;
        let new = following(&old, false).await;
        assert!(new.notices(table, 64).await < 32);
        assert!(!old.asks(table, 1000).await.unwrap(), "its own rows are all there");
        assert!(new.layer.distrusted(), "{table}");
        assert!(new.asks(table, 0).await.is_err());
        assert!(old.layer.trust(), "by hand it ends for both");
        assert!(!new.asks(table, 0).await.unwrap());
    }
}

#[tokio::test]
async fn rows_that_the_old_store_lost_are_no_reason_to_disbelieve_the_new_one() {
    for table in Table::ALL {
        let old = Site::known(table, AT_ONCE).await;
        let new = following(&old, true).await;
        let alarms = Arc::new(AtomicUsize::new(0));
        for layer in [&old.layer, &new.layer] {
            let counter = Arc::clone(&alarms);
            layer.on_distrust(move || {
                counter.fetch_add(1, Ordering::SeqCst);
            });
        }
        new.finds(table, 0).await;
        old.remove(table, 0..ROWS).await;
        for n in 0..ROWS {
            assert!(old.asks(table, n).await.is_err(), "{table}: each of them is refused, from the first one on");
        }
        assert!(!new.layer.distrusted(), "{table}");
        assert_eq!(alarms.load(Ordering::SeqCst), 0);
        let before = new.statements();
        assert!(!new.asks(table, 1000).await.unwrap());
        assert_eq!(new.statements() - before, 1, "{table}: nor is anybody suspicious of it");
    }
}

#[tokio::test]
async fn an_error_of_the_old_store_is_not_one_of_the_new_one() {
    let old = Site::known(Table::Mailbox, NEVER).await;
    let new = following(&old, false).await;
    let by = Deadline::after(NEVER);
    for n in 0..64 {
        new.layer.mailbox.note(&[Username::new(format!("gone{n}").as_bytes()).unwrap()], 0);
    }
    old.store.broken.store(true, Ordering::SeqCst);
    assert!(old.layer.believe(Some(&old.layer.mailbox), by).await.is_err());
    assert_eq!(new.asks(Table::Mailbox, 1000).await.unwrap_err().kind(), ErrorKind::Misconfigured);
    assert!(new.layer.distrusted());
}

#[tokio::test]
async fn a_whole_new_store_is_no_reason_to_believe_the_old_one() {
    for table in Table::ALL {
        let old = Site::known(table, AT_ONCE).await;
        old.remove(table, 0..ROWS).await;
        old.notices(table, 64).await;
        let new = following(&old, true).await;
        assert!(new.layer.distrusted(), "until it was asked");
        assert!(!new.asks(table, 1000).await.unwrap());
        assert!(!new.layer.distrusted());
        assert!(old.asks(table, 0).await.is_err(), "{table}");
        assert!(!new.layer.distrusted());
    }
    let old = Site::known(Table::Mailbox, AT_ONCE).await;
    let new = following(&old, true).await;
    new.finds(Table::Mailbox, 0).await;
    old.remove(Table::Mailbox, 0..ROWS).await;
    let by = Deadline::after(NEVER);
    assert!(old.layer.any_mailbox(by).await.is_err());
    let who = Username::new(b"user1").unwrap();
    assert!(old.layer.authenticate(&who, &Secret::new(b"sesame".to_vec()), by).await.is_err());
}

#[tokio::test]
async fn a_store_that_is_never_asked_takes_nobody_s_place() {
    let old = Site::known(Table::Virtual, AT_ONCE).await;
    let refused = following(&old, false).await;
    old.remove(Table::Virtual, 0..ROWS).await;
    assert!(old.notices(Table::Virtual, 64).await < 32);
    assert!(refused.layer.distrusted(), "whoever comes next knows");
    drop(refused);
    let new = following(&old, true).await;
    old.restore(Table::Virtual, 0..ROWS).await;
    assert!(!old.asks(Table::Virtual, 1000).await.unwrap());
    assert!(!old.layer.distrusted() && !new.layer.distrusted());
}
