use super::*;
use crate::scripted::{Does, Scripted, alias, cell, mailbox, passes_the_rest_on, soon, user, virtual_row};
use qmail_lookup_core::{AuthAnswer, Change, Ext, Secret, TableRow, VirtualUser};

const HOUR: Duration = Duration::from_secs(3600);

fn layer(inner: &Arc<Scripted>, ttl: Duration) -> Arc<Cache> {
    let inner: Arc<Scripted> = Arc::clone(inner);
    Arc::new(Cache::new(inner, ttl, 1000))
}

/// Homes of the mailboxes of `names`, sorted.
async fn homes(layer: &Cache, names: &[&str]) -> Vec<String> {
    let names: Vec<_> = names.iter().map(|name| user(name)).collect();
    let rows = layer.mailboxes(&names, soon()).await.unwrap();
    let mut homes: Vec<_> = rows.into_iter().map(|row| String::from_utf8(row.home.unwrap()).unwrap()).collect();
    homes.sort();
    homes
}

/// Owners of the virtual rows of `keys`, sorted.
async fn owners(layer: &Cache, keys: &[VirtualKey]) -> Vec<String> {
    let rows = layer.virtuals(keys, soon()).await.unwrap();
    let mut owners: Vec<_> = rows.into_iter().map(|row| String::from_utf8(row.username.unwrap()).unwrap()).collect();
    owners.sort();
    owners
}

async fn change(inner: &Scripted, change: Change) {
    inner.editor().unwrap().apply(&[change], soon()).await.unwrap();
}

fn host() -> Host {
    Host::new(b"h.com").unwrap()
}

fn exact(name: &str) -> VirtualKey {
    VirtualKey::Exact { host: host(), user: VirtualUser::new(name.as_bytes()).unwrap() }
}

fn patterns() -> VirtualKey {
    VirtualKey::Patterns { host: host() }
}

fn any_row() -> VirtualKey {
    VirtualKey::Any { host: host() }
}

#[tokio::test]
async fn what_was_asked_is_not_asked_again_and_neither_is_what_is_absent() {
    let inner = Scripted::new(vec![mailbox("A", "/a")]);
    let layer = layer(&inner, HOUR);
    for _ in 0..3 {
        assert_eq!(homes(&layer, &["a"]).await, ["/a"]);
        assert_eq!(homes(&layer, &["none"]).await, [""; 0]);
    }
    assert_eq!(inner.sizes(), [1, 1]);
    assert_eq!(layer.counts(), Counts { hits: 4, misses: 2 });
}

#[tokio::test]
async fn each_table_is_kept() {
    let host_row = TableRow::Rcpthosts(HostRow { host: cell("h.com") });
    let inner = Scripted::new(vec![alias("a", "x", "one"), alias("a", "x", "one"), host_row]);
    let layer = layer(&inner, HOUR);
    let key = AliasKey { username: user("a"), alias: Ext::new(b"x").unwrap() };
    for _ in 0..2 {
        // Two equal rows of the table are two.
        assert_eq!(layer.aliases(std::slice::from_ref(&key), soon()).await.unwrap().len(), 2);
        assert_eq!(layer.aliases(&[key.clone(), key.clone()], soon()).await.unwrap().len(), 2);
        assert_eq!(layer.rcpthosts(&[host()], soon()).await.unwrap().len(), 1);
    }
    assert_eq!(inner.sizes(), [1, 1]);
}

#[tokio::test]
async fn an_error_or_a_panic_is_not_kept() {
    let inner = Scripted::new(vec![mailbox("a", "/a")]);
    inner.will(&[Does::Fail, Does::Answer, Does::Fail]);
    let layer = layer(&inner, HOUR);
    assert!(layer.mailboxes(&[user("a")], soon()).await.is_err());
    assert_eq!(homes(&layer, &["a"]).await, ["/a"]);
    // Neither does it take away what is known.
    assert!(layer.mailboxes(&[user("a"), user("b")], soon()).await.is_err());
    assert_eq!(homes(&layer, &["a"]).await, ["/a"]);
    assert_eq!(homes(&layer, &["b"]).await, [""; 0]);
    assert_eq!(inner.sizes(), [1, 1, 2, 1]);
}

#[tokio::test]
async fn an_answer_ages_from_the_moment_its_question_was_sent() {
    let inner = Scripted::held(vec![mailbox("a", "/a")]);
    let ttl = Duration::from_millis(400);
    let cache = layer(&inner, ttl);
    let asking = {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move { homes(&cache, &["a"]).await })
    };
    inner.came(1).await;
    // It is on its way for longer than it may be kept.
    tokio::time::sleep(ttl + Duration::from_millis(50)).await;
    inner.release();
    assert_eq!(asking.await.unwrap(), ["/a"]);
    homes(&cache, &["a"]).await;
    assert_eq!(inner.sizes().len(), 2);
    tokio::time::sleep(ttl + Duration::from_millis(50)).await;
    homes(&cache, &["a"]).await;
    assert_eq!(inner.sizes().len(), 3);
    let never = layer(&inner, Duration::ZERO);
    homes(&never, &["a"]).await;
    homes(&never, &["a"]).await;
    assert_eq!(inner.sizes().len(), 5);
    let for_ever = layer(&inner, Duration::MAX);
    homes(&for_ever, &["a"]).await;
    homes(&for_ever, &["a"]).await;
    assert_eq!(inner.sizes().len(), 6);
}

#[tokio::test]
async fn a_question_of_which_one_key_is_missing_is_asked_as_a_whole() {
    let inner = Scripted::new(vec![mailbox("a", "/a"), mailbox("b", "/b")]);
    let layer = layer(&inner, HOUR);
    homes(&layer, &["a"]).await;
    change(&inner, Change::Replace { old: mailbox("a", "/a"), new: mailbox("a", "/new") }).await;
    assert_eq!(homes(&layer, &["a"]).await, ["/a"]);
    assert_eq!(homes(&layer, &["a", "b"]).await, ["/b", "/new"]);
    assert_eq!(inner.sizes(), [1, 2]);
    // And all of its keys are known from then on.
    assert_eq!(homes(&layer, &["b"]).await, ["/b"]);
    assert_eq!(homes(&layer, &["a"]).await, ["/new"]);
    assert_eq!(homes(&layer, &["b", "a", "b"]).await, ["/b", "/new"]);
    assert_eq!(inner.sizes(), [1, 2]);
}

#[tokio::test]
async fn keys_of_different_moments_are_not_put_together() {
    let inner = Scripted::new(vec![alias("a", "info", "x")]);
    let layer = layer(&inner, HOUR);
    let key = |ext: &str| AliasKey { username: user("a"), alias: Ext::new(ext.as_bytes()).unwrap() };
    assert_eq!(layer.aliases(&[key("@")], soon()).await.unwrap().len(), 0);
    // The row moves; of what is kept, neither key has it.
    change(&inner, Change::Replace { old: alias("a", "info", "x"), new: alias("a", "@", "x") }).await;
    assert_eq!(layer.aliases(&[key("info")], soon()).await.unwrap().len(), 0);
    assert_eq!(layer.aliases(&[key("info"), key("@")], soon()).await.unwrap().len(), 1);
    assert_eq!(inner.sizes(), [1, 1, 2]);
}

#[tokio::test]
async fn a_key_that_many_questions_share_spoils_none_of_them() {
    let all = virtual_row("h.com", None, "all");
    let inner = Scripted::new(vec![all.clone(), virtual_row("h.com", Some("u"), "u")]);
    let layer = layer(&inner, HOUR);
    for round in 0..3 {
        for name in ["u", "v", "w"] {
            let found = owners(&layer, &[exact(name), exact(""), any_row()]).await;
            assert!(found.contains(&"all".to_owned()) && found.contains(&"u".to_owned()) || name != "u");
            if round == 0 {
                // The same rows in another order: which of them stands for the host is nobody's concern.
                change(&inner, Change::Delete(all.clone())).await;
                change(&inner, Change::Insert(all.clone())).await;
            }
        }
    }
    assert_eq!(inner.sizes(), [3, 3, 3]);
}

#[tokio::test]
async fn kept_are_the_rows_that_fit_the_key() {
    let rows = [("u", "u"), ("%", "all"), ("v", "v")];
    let inner = Scripted::new(rows.map(|(user, owner)| virtual_row("h.com", Some(user), owner)).into());
    let cache = layer(&inner, HOUR);
    // The answer to this one holds a row for each of the keys, and two of them fit the same row.
    let question = [exact("u"), exact("%"), patterns(), exact("none")];
    assert_eq!(owners(&cache, &question).await, ["all", "u"]);
    for _ in 0..2 {
        assert_eq!(owners(&cache, &[exact("u")]).await, ["u"]);
        assert_eq!(owners(&cache, &[exact("%")]).await, ["all"]);
        assert_eq!(owners(&cache, &[patterns()]).await, ["all"]);
        assert_eq!(owners(&cache, &[exact("none")]).await, [""; 0]);
        assert_eq!(owners(&cache, &question).await, ["all", "u"]);
        assert_eq!(owners(&cache, &[patterns(), exact("%"), exact("%")]).await, ["all"]);
    }
    assert_eq!(inner.sizes(), [4]);
    // Whether the host has rows is another key than which rows these are.
    assert_eq!(owners(&cache, &[any_row()]).await.len(), 3);
    assert_eq!(owners(&cache, &[any_row()]).await.len(), 1);
    assert_eq!(inner.sizes(), [4, 1]);
    inner.tells_all.store(true, Ordering::SeqCst);
    let other = layer(&inner, HOUR);
    assert_eq!(owners(&other, &[exact("none")]).await.len(), 3);
    assert_eq!(owners(&other, &[exact("none")]).await, [""; 0]);
}

#[tokio::test]
async fn the_row_of_any_comes_only_where_no_other_row_of_the_host_does() {
    let inner = Scripted::new(vec![virtual_row("h.com", Some("u"), "u"), virtual_row("h.com", Some("v"), "v")]);
    let layer = layer(&inner, HOUR);
    assert_eq!(owners(&layer, &[exact("u"), exact("none"), any_row()]).await, ["u", "v"]);
    assert_eq!(owners(&layer, &[exact("u"), any_row()]).await, ["u"]);
    assert_eq!(owners(&layer, &[exact("none"), any_row()]).await, ["u"]);
    assert_eq!(inner.sizes(), [3]);
    // Here a newer row is kept for the host as a whole than for the key that it is a row of.
    layer.flush();
    assert_eq!(owners(&layer, &[exact("new"), any_row()]).await, ["u", "v"]);
    for (old, new) in [("u", "new"), ("v", "w")] {
        let row = |name| virtual_row("h.com", Some(name), name);
        change(&inner, Change::Replace { old: row(old), new: row(new) }).await;
    }
    assert_eq!(owners(&layer, &[exact("other"), any_row()]).await, ["new", "w"]);
    assert_eq!(owners(&layer, &[exact("new"), any_row()]).await, ["new", "w"]);
    assert_eq!(inner.sizes(), [3, 2, 2, 2]);
}

#[tokio::test]
async fn a_flush_empties_it() {
    let inner = Scripted::new(vec![mailbox("a", "/a")]);
    let layer = layer(&inner, HOUR);
    homes(&layer, &["a"]).await;
    change(&inner, Change::Replace { old: mailbox("a", "/a"), new: mailbox("a", "/new") }).await;
    layer.flush();
    assert_eq!(homes(&layer, &["a"]).await, ["/new"]);
    assert_eq!(homes(&layer, &["a"]).await, ["/new"]);
    assert_eq!(inner.sizes(), [1, 1]);
}

#[tokio::test]
async fn what_was_asked_before_a_flush_is_not_served_after_it() {
    let inner = Scripted::held(vec![mailbox("a", "/a")]);
    let layer = layer(&inner, HOUR);
    let asking = {
        let layer = Arc::clone(&layer);
        tokio::spawn(async move { homes(&layer, &["a"]).await })
    };
    inner.came(1).await;
    layer.flush();
    inner.release();
    assert_eq!(asking.await.unwrap(), ["/a"]);
    homes(&layer, &["a"]).await;
    assert_eq!(inner.sizes().len(), 2);
    homes(&layer, &["a"]).await;
    assert_eq!(inner.sizes().len(), 2);
}

/// Were an old answer stored all the same, after a look at whether it is old, it would still not be served.
#[tokio::test]
async fn an_entry_from_before_a_flush_is_not_served() {
    let inner = Scripted::new(vec![mailbox("a", "/a")]);
    let layer = layer(&inner, HOUR);
    let asked = Moment { number: layer.next.fetch_add(1, Ordering::SeqCst), sent: Instant::now() };
    layer.flush();
    layer.mailboxes.keep(&[user("a")], &[], asked);
    assert_eq!(homes(&layer, &["a"]).await, ["/a"]);
}

#[tokio::test]
async fn an_answer_that_was_overtaken_replaces_no_newer_one() {
    let inner = Scripted::new(vec![mailbox("a", "/new")]);
    let layer = layer(&inner, HOUR);
    let old = Moment { number: layer.next.fetch_add(1, Ordering::SeqCst), sent: Instant::now() };
    assert_eq!(homes(&layer, &["a"]).await, ["/new"]);
    let row = MailboxRow { username: cell("a"), home: cell("/old"), ..MailboxRow::default() };
    layer.mailboxes.keep(&[user("a")], &[row], old);
    assert_eq!(homes(&layer, &["a"]).await, ["/new"]);
    assert_eq!(inner.sizes(), [1]);
}

#[tokio::test]
async fn the_number_of_entries_is_bounded_and_rows_count() {
    let rows = (0..50).map(|n| alias("a", "big", &n.to_string()));
    let inner = Scripted::new(rows.collect());
    let layer = Cache::new(Arc::<Scripted>::clone(&inner), HOUR, 40);
    for n in 0..1000 {
        homes(&layer, &[&format!("k{n}")]).await;
    }
    assert!(layer.mailboxes.weight() <= 40);
    assert!(layer.mailboxes.weight() > 0);
    let key = AliasKey { username: user("a"), alias: Ext::new(b"big").unwrap() };
    assert_eq!(layer.aliases(std::slice::from_ref(&key), soon()).await.unwrap().len(), 50);
    assert_eq!(layer.aliases.weight(), 0);
    assert_eq!(layer.aliases(&[key], soon()).await.unwrap().len(), 50);
    let none = Cache::new(Arc::<Scripted>::clone(&inner), HOUR, 0);
    assert_eq!(homes(&none, &["a"]).await, homes(&none, &["a"]).await);
}

#[tokio::test]
async fn no_key_at_all_is_the_stores_business() {
    let inner = Scripted::new(Vec::new());
    inner.will(&[Does::Fail]);
    let layer = layer(&inner, HOUR);
    assert!(layer.mailboxes(&[], soon()).await.is_err());
}

#[tokio::test]
async fn a_login_is_never_answered_from_here() {
    let row = |password: &[u8]| {
        let TableRow::Mailbox(mut row) = mailbox("a", "/a") else { unreachable!() };
        row.mailbox.uid = cell("1000");
        row.mailbox.gid = cell("1000");
        row.password = Some(Secret::new(password.to_vec()));
        row.password_type = cell("Password");
        TableRow::Mailbox(row)
    };
    let inner = Scripted::new(vec![row(b"first")]);
    let layer = layer(&inner, HOUR);
    passes_the_rest_on(&*layer, &inner).await;
    homes(&layer, &["a"]).await;
    let granted = async |password: &[u8]| {
        let offered = Secret::new(password.to_vec());
        let answer = layer.authenticator().unwrap().authenticate(&user("a"), &offered, soon()).await.unwrap();
        matches!(answer, AuthAnswer::Granted(_))
    };
    assert!(granted(b"first").await);
    change(&inner, Change::Replace { old: row(b"first"), new: row(b"second") }).await;
    assert!(!granted(b"first").await);
    assert!(granted(b"second").await);
}
