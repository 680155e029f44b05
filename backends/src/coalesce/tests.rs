use super::batch::KEYS_MAX;
use super::lane::QUEUE_MAX;
use super::*;
use crate::scripted::{Does, Scripted, alias, cell, mailbox, passes_the_rest_on, soon, until, user, virtual_row};
use qmail_lookup_core::{ErrorKind, Ext, TableRow, VirtualUser};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

type Mailboxes = Result<Vec<MailboxRow>, LookupError>;

fn layer(inner: &Arc<Scripted>) -> Arc<Coalesce> {
    let inner: Arc<Scripted> = Arc::clone(inner);
    Arc::new(Coalesce::new(inner, 2))
}

fn names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Vec<Username> {
    names.into_iter().map(|name| user(name.as_ref())).collect()
}

/// `count` names that begin with `stem`, in order.
fn many(stem: &str, count: usize) -> Vec<Username> {
    names((0..count).map(|n| format!("{stem}{n:04}")))
}

/// Asks in a task of its own, and waits until the question has been taken or stands in the queue.
async fn ask(layer: &Arc<Coalesce>, names: &[Username]) -> JoinHandle<Mailboxes> {
    ask_by(layer, names, soon()).await
}

async fn ask_by(layer: &Arc<Coalesce>, names: &[Username], by: Deadline) -> JoinHandle<Mailboxes> {
    let asked = spawn(layer, names, by);
    asked.1.await.unwrap();
    asked.0
}

/// A question in a task of its own, and the word that it is on its way.
fn spawn(layer: &Arc<Coalesce>, names: &[Username], by: Deadline) -> (JoinHandle<Mailboxes>, oneshot::Receiver<()>) {
    let (layer, names) = (Arc::clone(layer), names.to_vec());
    let (begun, begins) = oneshot::channel();
    let asked = tokio::spawn(async move {
        // Whoever hears of it runs after the first pause of this task, and then the question stands in the queue.
        begun.send(()).unwrap();
        layer.mailboxes(&names, by).await
    });
    (asked, begins)
}

/// Has a caller go away.
async fn leave(asked: &JoinHandle<Mailboxes>) {
    asked.abort();
    until(|| asked.is_finished()).await;
}

/// Two questions that are under way, so that whatever follows has to wait.
async fn busy(inner: &Arc<Scripted>, layer: &Arc<Coalesce>) -> [JoinHandle<Mailboxes>; 2] {
    let before = inner.sizes().len();
    let one = ask(layer, &names(["busy1"])).await;
    inner.came(before + 1).await;
    let two = ask(layer, &names(["busy2"])).await;
    inner.came(before + 2).await;
    [one, two]
}

fn homes(answer: &Mailboxes) -> Vec<String> {
    let rows = answer.as_ref().unwrap();
    rows.iter().map(|row| String::from_utf8(row.home.clone().unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn at_one_client_nothing_waits_for_company() {
    let inner = Scripted::held(vec![mailbox("a", "/a")]);
    let layer = layer(&inner);
    for n in 1..4 {
        let asked = ask(&layer, &names(["a"])).await;
        inner.came(n).await;
        inner.release_one();
        assert_eq!(homes(&asked.await.unwrap()), ["/a"]);
    }
    assert_eq!(layer.counts(), Counts { statements: 3, questions: 3 });
}

#[tokio::test]
async fn two_statements_are_under_way_and_what_comes_meanwhile_goes_in_the_next() {
    let inner = Scripted::held(vec![mailbox("d", "/d")]);
    let layer = layer(&inner);
    let first = busy(&inner, &layer).await;
    let mut waiting = Vec::new();
    for name in ["c", "d", "e"] {
        waiting.push(ask(&layer, &names([name])).await);
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(inner.sizes(), [1, 1], "a third statement went out, or a question joined one that was sent");
    inner.release();
    for asked in first {
        assert_eq!(homes(&asked.await.unwrap()), [""; 0]);
    }
    let answers = futures_util::future::join_all(waiting).await;
    assert_eq!(answers.iter().map(|answer| homes(answer.as_ref().unwrap()).len()).collect::<Vec<_>>(), [0, 1, 0]);
    assert_eq!(inner.statements().last().unwrap().keys, ["\"c\"", "\"d\"", "\"e\""]);
    assert_eq!(layer.counts(), Counts { statements: 3, questions: 5 });
}

#[tokio::test]
async fn questions_asked_before_a_statement_is_sent_join_it_and_the_rest_goes_out_beside_it() {
    let inner = Scripted::held(Vec::new());
    let layer = layer(&inner);
    let keys = many("k", 64);
    let asking = keys.iter().map(|key| layer.mailboxes(std::slice::from_ref(key), soon()));
    let both = async {
        inner.came(2).await;
        inner.release();
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asking), both);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(inner.sizes(), [KEYS_MAX, 1]);
}

#[tokio::test]
async fn first_come_first_served_with_63_keys_at_most() {
    let inner = Scripted::held(Vec::new());
    let layer = layer(&inner);
    let mut all = Vec::from(busy(&inner, &layer).await);
    let keys = many("k", 100);
    for key in keys.iter().rev() {
        all.push(ask(&layer, std::slice::from_ref(key)).await);
    }
    inner.release_one();
    inner.came(3).await;
    let third = inner.statements()[2].keys.clone();
    inner.release();
    futures_util::future::join_all(all).await;
    assert_eq!(KEYS_MAX, 63);
    assert_eq!(inner.sizes(), [1, 1, 63, 37]);
    let expected: Vec<_> = keys[37..].iter().map(|key| format!("{key:?}")).collect();
    assert_eq!(third, expected, "the first 63 that asked, sorted");
}

#[tokio::test]
async fn a_question_that_does_not_fit_is_not_overtaken() {
    let inner = Scripted::held(Vec::new());
    let layer = layer(&inner);
    let mut all = Vec::from(busy(&inner, &layer).await);
    for keys in [many("k", 62), many("l", 3), many("m", 1)] {
        all.push(ask(&layer, &keys).await);
    }
    inner.release();
    futures_util::future::join_all(all).await;
    assert_eq!(inner.sizes(), [1, 1, 62, 4]);
}

#[tokio::test]
async fn a_question_with_more_keys_than_fit_goes_alone() {
    let inner = Scripted::held(vec![mailbox("big0099", "/big")]);
    let layer = layer(&inner);
    let mut all = Vec::from(busy(&inner, &layer).await);
    for keys in [many("k", 1), many("big", 100), many("big", 1), many("l", 1)] {
        all.push(ask(&layer, &keys).await);
    }
    inner.release();
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(inner.sizes(), [1, 1, 1, 100, 2]);
    assert_eq!(homes(answers[3].as_ref().unwrap()), ["/big"]);
}

#[tokio::test]
async fn a_key_that_several_ask_for_is_one_key() {
    let inner = Scripted::held(vec![mailbox("Same", "/same")]);
    let layer = layer(&inner);
    let mut all = Vec::from(busy(&inner, &layer).await);
    for _ in 0..100 {
        all.push(ask(&layer, &names(["same", "same"])).await);
    }
    // 62 more fill the statement, and then whoever asks for nothing new still has room.
    all.push(ask(&layer, &many("k", 62)).await);
    all.push(ask(&layer, &names(["same", "k0001"])).await);
    all.push(ask(&layer, &names(["other"])).await);
    inner.release();
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(inner.sizes(), [1, 1, 63, 1]);
    assert!(answers[2..102].iter().all(|answer| homes(answer.as_ref().unwrap()) == ["/same"]));
    assert_eq!(homes(answers[103].as_ref().unwrap()), ["/same"]);
}

#[tokio::test]
async fn a_statement_has_the_latest_deadline_and_each_caller_leaves_at_its_own() {
    let inner = Scripted::held(vec![mailbox("b", "/b")]);
    let layer = layer(&inner);
    let first = busy(&inner, &layer).await;
    let (early, late) = (Deadline::after(Duration::from_millis(300)), soon());
    let (a, b) = (ask_by(&layer, &names(["a"]), early).await, ask_by(&layer, &names(["b"]), late).await);
    let c = ask_by(&layer, &names(["c"]), early).await;
    inner.release_one();
    inner.came(3).await;
    assert_eq!(inner.statements()[2].by, late);
    for asked in [a, c] {
        assert_eq!(asked.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    }
    assert!(early.passed() && !b.is_finished());
    inner.release();
    assert_eq!(homes(&b.await.unwrap()), ["/b"]);
    futures_util::future::join_all(first).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_nothing() {
    let inner = Scripted::held(vec![mailbox("b", "/b")]);
    let layer = layer(&inner);
    let first = busy(&inner, &layer).await;
    let (gone, stays) = (ask(&layer, &names(["a"])).await, ask(&layer, &names(["b"])).await);
    inner.release_one();
    inner.came(3).await;
    for asked in first.iter().chain([&gone]) {
        leave(asked).await;
    }
    inner.release();
    assert_eq!(homes(&stays.await.unwrap()), ["/b"]);
    until(|| inner.answered.load(Ordering::SeqCst) == 3).await;
}

#[tokio::test]
async fn a_queued_question_whose_caller_is_gone_or_late_is_not_sent() {
    let inner = Scripted::held(Vec::new());
    let layer = layer(&inner);
    let first = busy(&inner, &layer).await;
    let gone = ask(&layer, &names(["gone"])).await;
    let late = ask_by(&layer, &names(["late"]), Deadline::after(Duration::from_millis(30))).await;
    let stays = ask(&layer, &names(["stays"])).await;
    leave(&gone).await;
    assert_eq!(late.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    inner.release();
    assert!(stays.await.unwrap().is_ok());
    futures_util::future::join_all(first).await;
    assert_eq!(inner.statements().last().unwrap().keys, ["\"stays\""]);
    assert_eq!(layer.counts(), Counts { statements: 3, questions: 3 });
    let passed = Deadline::at(Instant::now());
    assert_eq!(layer.mailboxes(&names(["late"]), passed).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(inner.sizes().len(), 3);
}

#[tokio::test]
async fn a_full_queue_is_an_error_at_once_until_somebody_leaves() {
    let inner = Scripted::held(Vec::new());
    let layer = layer(&inner);
    let first = busy(&inner, &layer).await;
    let fill = async |name: &str, count: usize| {
        let asked = (0..count).map(|_| spawn(&layer, &names([name]), soon()));
        let (asked, begun): (Vec<_>, Vec<_>) = asked.unzip();
        futures_util::future::join_all(begun).await;
        asked
    };
    let full = fill("waits", QUEUE_MAX).await;
    let refused = layer.mailboxes(&names(["a"]), soon()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    for asked in &full[..10] {
        leave(asked).await;
    }
    let room = fill("later", 10).await;
    assert_eq!(layer.mailboxes(&names(["a"]), soon()).await.unwrap_err().kind(), ErrorKind::Overloaded);
    inner.release();
    for asked in full.into_iter().skip(10).chain(room).chain(first) {
        assert!(asked.await.unwrap().is_ok());
    }
    assert_eq!(inner.sizes(), [1, 1, 2]);
}

#[tokio::test]
async fn each_caller_gets_the_rows_of_its_own_keys() {
    let rows = [("A", "/1"), ("b", "/2"), ("a", "/3"), ("other", "/4"), ("b ", "/5")];
    let inner = Scripted::held(rows.map(|(name, home)| mailbox(name, home)).into());
    inner.tells_all.store(true, Ordering::SeqCst);
    let layer = layer(&inner);
    let first = busy(&inner, &layer).await;
    let (a, b) = (ask(&layer, &names(["A"])).await, ask(&layer, &names(["b"])).await);
    let (both, none) = (ask(&layer, &names(["b", "a"])).await, ask(&layer, &names(["none"])).await);
    inner.release();
    futures_util::future::join_all(first).await;
    inner.came(3).await;
    assert_eq!(inner.sizes(), [1, 1, 3]);
    let sorted = |answer: Mailboxes| {
        let mut homes = homes(&answer);
        homes.sort();
        homes
    };
    assert_eq!(sorted(a.await.unwrap()), ["/1", "/3"]);
    assert_eq!(sorted(b.await.unwrap()), ["/2"]);
    assert_eq!(sorted(both.await.unwrap()), ["/1", "/2", "/3"]);
    assert_eq!(sorted(none.await.unwrap()), [""; 0]);
    // A lone one as well.
    assert_eq!(sorted(layer.mailboxes(&names(["b"]), soon()).await), ["/2"]);
}

#[tokio::test]
async fn rows_keep_their_order_and_their_number() {
    let targets = ["z", "a", "z", "m", "a"];
    let inner = Scripted::held(targets.map(|target| alias("Iain", "list", target)).into());
    let layer = layer(&inner);
    let key = |owner: &str, ext: &str| AliasKey { username: user(owner), alias: Ext::new(ext.as_bytes()).unwrap() };
    let keys = [vec![key("iain", "list")], vec![key("x", "")], vec![key("y", ""), key("IAIN", "LIST")]];
    let asking = keys.iter().map(|keys| layer.aliases(keys, soon()));
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asking), async { inner.release() });
    let targets_of = |n: usize| answers[n].as_ref().unwrap().iter().map(|row| row.alias_username.clone());
    let expected = targets.map(cell);
    assert_eq!(inner.sizes(), [3]);
    assert_eq!(targets_of(0).collect::<Vec<_>>(), expected);
    assert_eq!(targets_of(1).len(), 0);
    assert_eq!(targets_of(2).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn keys_of_one_host_share_rows_but_nobody_gets_one_twice_or_one_of_no_use() {
    let rows = [("H.com", Some("u"), "1"), ("h.com", Some("%"), "2"), ("h.com", None, "3"), ("h.com", Some("v"), "4")];
    let inner = Scripted::held(rows.map(|(host, user, owner)| virtual_row(host, user, owner)).into());
    let layer = layer(&inner);
    let host = Host::new(b"h.com").unwrap();
    let exact = |user: &[u8]| VirtualKey::Exact { host: host.clone(), user: VirtualUser::new(user).unwrap() };
    let (patterns, any) = (VirtualKey::Patterns { host: host.clone() }, VirtualKey::Any { host: host.clone() });
    let nowhere = VirtualKey::Any { host: Host::new(b"nowhere.com").unwrap() };
    let questions = [
        vec![exact(b"u")],
        vec![patterns.clone()],
        vec![exact(b"%"), patterns.clone(), exact(b""), exact(b"%")],
        vec![any.clone()],
        vec![any.clone(), exact(b"x")],
        vec![exact(b"v"), any.clone()],
        vec![nowhere],
    ];
    let asking = questions.iter().map(|keys| layer.virtuals(keys, soon()));
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asking), async { inner.release() });
    assert_eq!(inner.sizes().len(), 1);
    let owners = |n: usize| -> Vec<String> {
        let rows = answers[n].as_ref().unwrap();
        rows.iter().map(|row| String::from_utf8(row.username.clone().unwrap()).unwrap()).collect()
    };
    assert_eq!(owners(0), ["1"]);
    assert_eq!(owners(1), ["2", "3"]);
    assert_eq!(owners(2), ["2", "3"]);
    // One row of the host is enough, even where the statement brought all of them for somebody else.
    assert_eq!(owners(3), ["1"]);
    assert_eq!(owners(4), ["1"]);
    assert_eq!(owners(5), ["1", "4"]);
    assert_eq!(owners(6), [""; 0]);
}

#[tokio::test]
async fn the_error_of_a_statement_is_that_of_every_caller() {
    let inner = Scripted::held(vec![mailbox("a", "/a")]);
    inner.will(&[Does::Fail]);
    let layer = layer(&inner);
    let keys = many("k", 10);
    let asking = keys.iter().map(|key| layer.mailboxes(std::slice::from_ref(key), soon()));
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asking), async { inner.release() });
    assert_eq!(inner.sizes(), [10]);
    for answer in answers {
        let error = answer.unwrap_err();
        assert_eq!((error.kind(), error.what()), (ErrorKind::Schema, "as told"));
    }
    assert_eq!(homes(&layer.mailboxes(&names(["a"]), soon()).await), ["/a"]);
}

#[tokio::test]
async fn a_panic_costs_one_statement() {
    let inner = Scripted::held(vec![mailbox("a", "/a")]);
    inner.will(&[Does::Panic, Does::Panic, Does::Answer, Does::Panic]);
    let layer = layer(&inner);
    let lost = busy(&inner, &layer).await;
    let queued = ask(&layer, &names(["a"])).await;
    inner.release();
    for asked in lost {
        assert_eq!(asked.await.unwrap().unwrap_err().kind(), ErrorKind::Unreachable);
    }
    assert_eq!(homes(&queued.await.unwrap()), ["/a"]);
    assert!(layer.mailboxes(&names(["a"]), soon()).await.is_err());
    assert_eq!(homes(&layer.mailboxes(&names(["a"]), soon()).await), ["/a"]);
}

#[tokio::test]
async fn a_store_that_ignores_its_deadline_keeps_nobody_else_waiting() {
    let inner = Scripted::new(vec![mailbox("a", "/a")]);
    inner.will(&[Does::Hang, Does::Hang]);
    let layer = layer(&inner);
    let by = Deadline::after(Duration::from_secs(1));
    let hung = [ask_by(&layer, &names(["x"]), by).await, ask_by(&layer, &names(["y"]), by).await];
    inner.came(2).await;
    assert_eq!(homes(&layer.mailboxes(&names(["a"]), soon()).await), ["/a"]);
    for asked in hung {
        assert_eq!(asked.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    }
}

#[tokio::test]
async fn tables_do_not_wait_for_each_other() {
    let inner = Scripted::new(Vec::new());
    inner.will(&[Does::Hang, Does::Hang]);
    let layer = layer(&inner);
    let hung = busy(&inner, &layer).await;
    let key = AliasKey { username: user("a"), alias: Ext::new(b"").unwrap() };
    assert!(layer.aliases(&[key], soon()).await.is_ok());
    assert!(layer.rcpthosts(&[Host::new(b"h").unwrap()], soon()).await.is_ok());
    assert!(layer.virtuals(&[VirtualKey::Any { host: Host::new(b"h").unwrap() }], soon()).await.is_ok());
    assert!(hung.iter().all(|asked| !asked.is_finished()));
}

#[test]
fn a_runtime_that_stands_still_or_ends_keeps_nobody_waiting() {
    let inner = Scripted::new(vec![mailbox("a", "/a")]);
    inner.will(&[Does::Hang; 4]);
    let layer = layer(&inner);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let works = |runtime: &Runtime| homes(&runtime.block_on(layer.mailboxes(&names(["a"]), soon())));
    let (still, ended, alive) = (runtime(), runtime(), runtime());
    for runtime in [&still, &ended] {
        runtime.block_on(async { busy(&inner, &layer).await.into_iter().for_each(drop) });
    }
    drop(ended);
    assert_eq!(works(&alive), ["/a"]);
    drop(still);
    assert_eq!(works(&alive), ["/a"]);
    assert_eq!(works(&runtime()), ["/a"]);
}

#[tokio::test]
async fn everything_else_is_the_stores_own() {
    let inner = Scripted::new(vec![mailbox("a", "/a")]);
    passes_the_rest_on(&*layer(&inner), &inner).await;
    assert_eq!(inner.sizes().len(), 0);
}

#[test]
fn who_asks_outside_a_runtime_is_told_so() {
    let inner = Scripted::new(vec![TableRow::Rcpthosts(HostRow::default())]);
    let answer = futures_util::FutureExt::now_or_never(layer(&inner).mailboxes(&names(["a"]), soon()));
    assert_eq!(answer.unwrap().unwrap_err().kind(), ErrorKind::Overloaded);
}
