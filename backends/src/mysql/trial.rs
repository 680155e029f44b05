use super::*;
use qmail_lookup_core::*;
use std::time::{Duration, Instant};
use std::process::Command;

fn sql(text: &str) -> String {
    let out = Command::new("mariadb").args(["--no-defaults", "-uroot", "-S", "/tmp/mq/d/s", "-N", "-e", text]).output().unwrap();
    assert!(out.status.success(), "{text}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}
fn store(db: &str, servers: &[&str], user: &str, pw: Option<&str>, more: &[(&str, &str)]) -> Arc<dyn Backend> {
    let mut s = crate::registry::Settings::new();
    s.insert("servers".into(), servers.to_vec().into());
    s.insert("user".into(), user.into());
    if let Some(p) = pw { s.insert("password".into(), p.into()); }
    s.insert("database".into(), db.into());
    for (k, v) in more { s.insert((*k).into(), (*v).into()); }
    let ctx = OpenContext { deadline: Duration::from_secs(2), ..Default::default() };
    (ENTRY.open)(s, &ctx).map_err(|e| e.problem).unwrap()
}
fn by() -> Deadline { Deadline::after(Duration::from_secs(2)) }
fn u(s: &str) -> Username { Username::new(s.as_bytes()).unwrap() }
fn ak(a: &str, b: &str) -> AliasKey { AliasKey { username: u(a), alias: Ext::new(b.as_bytes()).unwrap() } }
fn h(s: &str) -> Host { Host::new(s.as_bytes()).unwrap() }
fn vu(s: &str) -> VirtualUser { VirtualUser::new(s.as_bytes()).unwrap() }
fn show(c: &Cell) -> String { c.as_ref().map_or("NULL".into(), |b| qmail_lookup_core::error::printable(b)) }
const SOCK: &str = "unix:/tmp/mq/d/s";
fn rt() -> tokio::runtime::Runtime { tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap() }

async fn basics(db: &str) {
    println!("== {db}");
    let b = store(db, &[SOCK], "root", None, &[]);
    b.ping(by()).await.unwrap();
    assert!(b.any_mailbox(by()).await.unwrap());
    let rows = b.mailboxes(&[u("boss"), u("u7"), u("nobody"), u("nullhome")], by()).await.unwrap();
    for r in &rows { println!("{} {} {} {} {}", show(&r.username), show(&r.uid), show(&r.gid), show(&r.home), show(&r.suspended)); }
    let names: Vec<_> = (1..=200).map(|n| u(&format!("u{n}"))).collect();
    assert_eq!(b.mailboxes(&names, by()).await.unwrap().len(), 200);
    let rows = b.aliases(&[ak("u3", ""), ak("u4", "x"), ak("u5", ""), ak("u6", "none")], by()).await.unwrap();
    for r in &rows { println!("alias {} {} {} {}", show(&r.username), show(&r.alias), show(&r.alias_username), show(&r.seq)); }
    let k = [VirtualKey::Exact { host: h("pat.com"), user: vu("a%") }, VirtualKey::Exact { host: h("pat.com"), user: vu("") },
        VirtualKey::Patterns { host: h("pat.com") }, VirtualKey::Any { host: h("pat.com") }, VirtualKey::Any { host: h("h1.com") }, VirtualKey::Any { host: h("nix.com") }];
    for keys in [&k[..], &k[2..3], &k[3..4], &k[3..], &k[..1], &k[1..2]] {
        let rows = b.virtuals(keys, by()).await.unwrap();
        println!("{keys:?}");
        for r in &rows { println!("   {} {} {} {}", show(&r.virtual_host), show(&r.virtual_username), show(&r.username), show(&r.ext)); }
    }
    let rows = b.rcpthosts(&[h("h5.com"), h("none.com")], by()).await.unwrap();
    assert_eq!(rows.len(), 1);
    let f = b.facts(by()).await.unwrap();
    println!("{f:#?}");
    // catalog
    for t in Table::ALL {
        let started = Instant::now();
        let mut scan = b.catalog().unwrap().scan(t, None, Deadline::after(Duration::from_secs(20))).await.unwrap();
        let mut all = Vec::new();
        loop { let batch = scan.next(500, Deadline::after(Duration::from_secs(20))).await.unwrap(); if batch.is_empty() { break } all.extend(batch); }
        assert!(all.windows(2).all(|w| w[0].order() <= w[1].order()));
        let count: usize = sql(&format!("select count(*) from {db}.`{t}`")).trim().parse().unwrap();
        assert_eq!(all.len(), count);
        println!("scan {t} {count} in {:?}", started.elapsed());
        for at in [0, 1, count / 2, count - 1] {
            let row = all[at].clone();
            let seen = all[..=at].iter().filter(|r| **r == row).count() as u64;
            let mark = Mark { row, seen };
            let mut scan = b.catalog().unwrap().scan(t, Some(&mark), Deadline::after(Duration::from_secs(20))).await.unwrap();
            let mut rest = Vec::new();
            loop { let batch = scan.next(5000, Deadline::after(Duration::from_secs(20))).await.unwrap(); if batch.is_empty() { break } rest.extend(batch); }
            assert_eq!(rest, all[at + 1..].to_vec(), "{t} {at}");
        }
    }
}

#[test]
fn t1_basics() {
    sql("set global sql_select_limit=1; set global autocommit=0; set global tx_read_only=0; set global sql_mode='ANSI_QUOTES,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES'; set global max_statement_time=0; set global completion_type=2");
    sql("set sql_select_limit=1000000; set autocommit=1; set completion_type=0; set sql_mode=''; use doc; replace into mailbox(username,uid,gid,home,suspended) values ('Boss',1,2,'/h\u{e4}','Y'); delete from `virtual` where virtual_host like 'pat.com%'; insert into `virtual` values ('u1','','pat','pat.com '),('u1','','a%','Pat.com'),('u2','@','','pat.com'),('u2','@','plain','pat.com'),('u2','@','x_y','pat.com'); insert into alias select * from alias limit 3;");
    sql("set sql_select_limit=1000000; set autocommit=1; set completion_type=0; set sql_mode=''; use legacy; replace into mailbox(username,uid,gid,home,suspended) values ('Boss',-1,2,X'2F68E4','Y'),('nullhome',5,5,NULL,NULL); delete from `virtual` where virtual_host like 'pat.com%'; insert into `virtual` values ('u1','','a%','Pat.com'),('u2','@','','pat.com'),('u3','@',NULL,'pat.com'),('u2','@','plain','pat.com'),('u2','@','x_y','pat.com'); insert into alias values ('u3','','a','b'),('u3','','a','b'), ('U\u{e4}','Q','a','b'), ('u3','[','a','b'), ('u3','Z','a','b'), ('u3','a','a','b')");
    rt().block_on(basics("doc"));
    rt().block_on(basics("legacy"));
}

fn mrow(name: &str, home: &str) -> TableRow {
    TableRow::from_cells(Table::Mailbox, [Some(name.into()), Some(b"800".to_vec()), Some(b"100".to_vec()), Some(home.into()), Some(b"pw".to_vec()), Some(b"Password".to_vec()), Some(b"N".to_vec())].into_iter().map(|c: Option<Vec<u8>>| c))
}
fn arow(c: [Option<&str>; 5]) -> TableRow { TableRow::from_cells(Table::Alias, c.into_iter().map(|c| c.map(|s| s.as_bytes().to_vec()))) }

#[test]
fn t2_editor() {
    sql("drop database if exists ed; create database ed; drop database if exists edm; create database edm");
    rt().block_on(async {
        let b = store("ed", &[SOCK], "root", None, &[]);
        let e = b.editor().unwrap();
        println!("{:?}", b.mailboxes(&[u("x")], by()).await.unwrap_err());
        println!("{:?}", e.apply(&[Change::Insert(mrow("x", "/h"))], by()).await.unwrap_err().to_string());
        println!("{:?}", e.create_tables(TableOptions { username_width: 64, with_seq: true }, by()).await.unwrap());
        println!("{:?}", e.create_tables(TableOptions::default(), by()).await.unwrap());
        println!("{}", sql("show create table ed.alias"));
        e.apply(&[Change::Insert(mrow("Iain", "/home/\u{e4}")), Change::Insert(arow([Some("iain"), Some(""), Some("."), Some("/Maildir/"), None])), Change::Insert(arow([Some("iain"), Some(""), Some("."), Some("/Maildir/"), Some("0")]))], by()).await.unwrap();
        println!("{}", sql("select * from ed.mailbox; select * from ed.alias"));
        let old = mrow("Iain", "/home/\u{e4}");
        e.apply(&[Change::Replace { old: old.clone(), new: old.clone() }], by()).await.unwrap();
        e.apply(&[Change::Replace { old: old.clone(), new: mrow("Iain", "/new") }], by()).await.unwrap();
        for (bad, n) in [
            (vec![Change::Insert(mrow("a1", "/")), Change::Insert(mrow("iain", "/h"))], 1),
            (vec![Change::Insert(mrow("a1", "/")), Change::Insert(mrow(&"x".repeat(65), "/h"))], 1),
            (vec![Change::Insert(mrow("a1", "/")), Change::Replace { old: old.clone(), new: old.clone() }], 1),
            (vec![Change::Insert(mrow("a1", "/")), Change::Delete(old.clone())], 1),
            (vec![Change::Insert(mrow("a1", "/")), Change::Delete(mrow("iain", "/new"))], 1),
        ] {
            let err = e.apply(&bad, by()).await.unwrap_err();
            println!("{err}");
            assert_eq!((err.applied, err.change), (Applied::Nothing, Some(n)));
        }
        let raw = TableRow::from_cells(Table::Mailbox, [Some(b"raw".to_vec()), Some(b"-5".to_vec()), Some(b"1".to_vec()), Some(b"/\xff".to_vec()), Some(vec![]), None, None]);
        println!("{}", e.apply(&[Change::Insert(raw)], by()).await.unwrap_err());
        assert_eq!(sql("select count(*) from ed.mailbox").trim(), "1");
        e.apply(&[Change::Delete(mrow("Iain", "/new"))], by()).await.unwrap();
        // suspended None with NOT NULL default
        let none = TableRow::from_cells(Table::Mailbox, [Some(b"n".to_vec()), Some(b"5".to_vec()), Some(b"1".to_vec()), Some(b"/".to_vec()), Some(vec![]), None, None]);
        e.apply(&[Change::Insert(none)], by()).await.unwrap();
        println!("{}", sql("select * from ed.mailbox"));
        // MyISAM partial
        sql("use edm; create table mailbox (username varchar(32) not null primary key, uid int not null, gid int not null, home varchar(255), password varchar(64)) engine=MyISAM default charset latin1");
        let b = store("edm", &[SOCK], "root", None, &[]);
        let e = b.editor().unwrap();
        let r = |n: &str| TableRow::from_cells(Table::Mailbox, [Some(n.into()), Some(b"800".to_vec()), Some(b"100".to_vec()), Some(b"/\xe4".to_vec()), None, None, None]);
        let err = e.apply(&[Change::Insert(r("a")), Change::Insert(r("b")), Change::Insert(r("A"))], by()).await.unwrap_err();
        println!("{err} {:?}", err.applied);
        assert_eq!(err.applied, Applied::Partial { applied: 2 });
        let err = e.apply(&[Change::Insert(mrow("c", "/"))], by()).await.unwrap_err();
        println!("{err}");
        println!("{:?}", b.mailboxes(&[u("a"), u("b")], by()).await.unwrap());
        let c = (store_cred(&b), 1);
        let _ = c;
        sql("alter table edm.mailbox add suspended char(1) default 'Y'");
        println!("still cached: {:?}", b.mailboxes(&[u("a")], by()).await.unwrap());
        // lock wait: deadline
        let b = store("ed", &[SOCK], "root", None, &[]);
        let _l = Command::new("mariadb").args(["--no-defaults", "-uroot", "-S", "/tmp/mq/d/s", "-e", "set autocommit=0; select * from ed.mailbox for update; select sleep(4)"]).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let t = Instant::now();
        let err = b.editor().unwrap().apply(&[Change::Insert(mrow("zz", "/h")), Change::Delete(mrow("n", "/"))], Deadline::after(Duration::from_secs(1))).await.unwrap_err();
        println!("{err} {:?} {:?}", err.applied, t.elapsed());
    });
}
fn store_cred(_: &Arc<dyn Backend>) {}

#[test]
fn t3_faults() {
    sql("drop user if exists q@localhost; drop user if exists q@'127.0.0.1'; drop user if exists few@localhost; create user q@localhost identified by 'sec''ret'; create user few@localhost identified by 'x' with max_user_connections 1; grant select on doc.* to few@localhost; grant select(username,uid,gid,home,password,password_type) on doc.mailbox to q@localhost; grant select on doc.alias to q@localhost");
    rt().block_on(async {
        let e = |b: &Arc<dyn Backend>| { let b = b.clone(); async move { let e = b.mailboxes(&[u("u1")], by()).await.unwrap_err(); println!("{:?} {e} | {:?}", e.kind(), e.help()); } };
        e(&store("doc", &[SOCK], "q", Some("wrong"), &[])).await;
        e(&store("doc", &[SOCK], "q", None, &[])).await;
        e(&store("nodb", &[SOCK], "root", None, &[])).await;
        e(&store("legacy", &[SOCK], "q", Some("sec'ret"), &[])).await;
        e(&store("doc", &[SOCK], "q", Some("sec'ret"), &[])).await;
        e(&store("doc", &["unix:/tmp/mq/none"], "q", None, &[])).await;
        e(&store("doc", &["127.0.0.1:1"], "q", None, &[])).await;
        e(&store("doc", &["127.0.0.1:1", "unix:/tmp/none"], "q", None, &[])).await;
        e(&store("doc", &["nosuchhost.invalid"], "q", None, &[])).await;
        e(&store("doc", &["127.0.0.1:33771"], "root", None, &[("tls", "verify")])).await;
        let b = store("doc", &[SOCK], "q", Some("sec'ret"), &[]);
        let v = b.virtuals(&[VirtualKey::Any { host: h("h1.com") }], by()).await.unwrap_err();
        println!("{v} {:?}", v.help());
        println!("{:#?}", b.facts(by()).await.unwrap().grants);
        // max_user_connections: one connection serves all
        let b = store("doc", &[SOCK], "few", Some("x"), &[]);
        let mut set = tokio::task::JoinSet::new();
        for _ in 0..200 { let b = b.clone(); set.spawn(async move { b.mailboxes(&[u("u1")], by()).await.map(|r| r.len()).map_err(|e| e.to_string()) }); }
        let all = set.join_all().await;
        println!("few: {} ok, {:?}", all.iter().filter(|r| r.is_ok()).count(), all.iter().find(|r| r.is_err()));
        // kill connections
        let b = store("doc", &[SOCK], "root", None, &[]);
        let cred = |b: &Arc<dyn Backend>| { let b = b.clone(); async move { b.authenticator().unwrap().authenticate(&u("u1"), &Secret::new(b"x".to_vec()), by()).await } };
        for round in 0..5 {
            for _ in 0..12 { assert_eq!(b.mailboxes(&[u("u1")], by()).await.unwrap().len(), 1); }
            let ids = sql("select concat('kill ', id, ';') from information_schema.processlist where db='doc' and id<>connection_id()");
            println!("round {round}: {} connections", ids.lines().count());
            sql(&ids);
            if round % 2 == 1 { tokio::time::sleep(Duration::from_millis(1200)).await; for _ in 0..8 { println!("login {:?}", cred(&b).await.map_err(|e| e.to_string())); } }
            for _ in 0..12 { assert_eq!(b.mailboxes(&[u("u1")], by()).await.unwrap().len(), 1); }
        }
        // slow statement: table lock
        let _l = Command::new("mariadb").args(["--no-defaults", "-uroot", "-S", "/tmp/mq/d/s", "-e", "lock tables legacy.mailbox write; select sleep(4)"]).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let b2 = store("legacy", &[SOCK], "root", None, &[]);
        let t = Instant::now();
        println!("{} after {:?}", b2.mailboxes(&[u("u1")], Deadline::after(Duration::from_secs(3))).await.unwrap_err(), t.elapsed());
        tokio::time::sleep(Duration::from_millis(2500)).await;
        println!("{:?}", b2.mailboxes(&[u("u1")], by()).await.map(|r| r.len()));
    });
}

#[test]
fn t4_stop() {
    // the second server is d2 on /tmp/mq/d2/s
    rt().block_on(async {
        let b = store("doc", &[SOCK], "root", None, &[]);
        let two = store("doc", &[SOCK, "unix:/tmp/mq/d2/s"], "root", None, &[]);
        let ask = |b: &Arc<dyn Backend>| { let b = b.clone(); async move { let t = Instant::now(); let r = b.mailboxes(&[u("u1")], by()).await; (r.map(|r| r.len()).map_err(|e| format!("{:?} {e}", e.kind())), t.elapsed()) } };
        println!("{:?} {:?}", ask(&b).await, ask(&two).await);
        let pid = std::fs::read_to_string("/tmp/mq/d/pid").unwrap().trim().to_owned();
        let sig = |s: &str| assert!(Command::new("kill").args([s, &pid]).status().unwrap().success());
        sig("-STOP");
        for _ in 0..4 { println!("stopped one: {:?}", ask(&b).await); }
        for _ in 0..4 { println!("stopped two: {:?}", ask(&two).await); }
        println!("login two: {:?}", two.authenticator().unwrap().authenticate(&u("u1"), &Secret::new(b"x".to_vec()), by()).await.map_err(|e| e.to_string()));
        sig("-CONT");
        let t = Instant::now();
        loop { let r = ask(&b).await; if r.0.is_ok() { println!("back after {:?}", t.elapsed()); break } println!("{r:?}"); tokio::time::sleep(Duration::from_millis(100)).await; }
        for _ in 0..30 { assert!(ask(&b).await.0.is_ok()); }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        sig("-9");
        for _ in 0..8 { println!("killed one: {:?}", ask(&b).await); }
        for _ in 0..8 { println!("killed two: {:?}", ask(&two).await); }
        tokio::time::sleep(Duration::from_millis(600)).await;
        println!("killed one: {:?}", ask(&b).await);
        let port = "33771";
        Command::new("/tmp/mq/start.sh").args(["d", port]).status().unwrap();
        let t = Instant::now();
        loop { let r = ask(&b).await; if r.0.is_ok() { println!("back after {:?}", t.elapsed()); break } tokio::time::sleep(Duration::from_millis(100)).await; }
        tokio::time::sleep(Duration::from_secs(3)).await;
        for _ in 0..8 { assert!(ask(&two).await.0.is_ok()); }
        println!("fail back: {} connections at first", sql("select count(*) from information_schema.processlist where db='doc'").trim());
    });
    // runtimes come and go
    let b = store("doc", &[SOCK], "root", None, &[]);
    for _ in 0..20 { rt().block_on(async { assert_eq!(b.mailboxes(&[u("u1")], by()).await.unwrap().len(), 1) }); }
    let (r1, r2) = (rt(), rt());
    for _ in 0..5 { for r in [&r1, &r2] { r.block_on(async { assert_eq!(b.mailboxes(&[u("u1")], by()).await.unwrap().len(), 1) }); } }
    println!("runtimes ok");
}

#[test]
fn t5_speed() {
    rt().block_on(async {
        let b = store("doc", &[SOCK], "root", None, &[]);
        for conc in [1, 8, 64] {
            let t = Instant::now();
            let mut set = tokio::task::JoinSet::new();
            for c in 0..conc { let b = b.clone(); set.spawn(async move { for n in 0..6400 / conc { assert_eq!(b.mailboxes(&[u(&format!("u{}", n * conc + c + 1))], Deadline::after(Duration::from_secs(30))).await.unwrap().len(), 1); } }); }
            set.join_all().await;
            println!("{conc}: {:.0} q/s", 6400.0 / t.elapsed().as_secs_f64());
        }
        // cancelled callers
        let mut bad = 0;
        for n in 0..3000u64 {
            let by = Deadline::after(Duration::from_micros(n % 700));
            if let Ok(r) = b.mailboxes(&[u(&format!("u{}", n + 1))], by).await { assert_eq!(r[0].username.as_deref(), Some(format!("u{}", n + 1).as_bytes())); } else { bad += 1; }
        }
        println!("cut {bad}");
        assert_eq!(b.mailboxes(&[u("u1")], by()).await.unwrap().len(), 1);
    });
}
