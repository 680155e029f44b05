//! `user`: what each verb does, refuses, and takes along.

use super::ground::{Ground, PASSWORD, on_each, on_slapd, on_sql, on_sqlite};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::os::unix::fs::{MetadataExt, chown};

pub(super) fn trials() -> Vec<Trial> {
    [
        on_each("a_mailbox_lives", "", lives),
        on_each("a_bad_mailbox_is_refused", "", refused),
        on_each("suspending_and_resuming", "", standing),
        on_each("renaming_takes_the_rows_along", "", renamed),
        on_each("deleting_leaves_nothing_dangling", "", deleted),
        on_each("the_next_lookup_sees_it", "[cache]\nttl = \"1h\"", seen),
        on_sql("half_a_renaming_is_none", "", undone),
        on_sql("a_table_without_suspended", "", old_table),
        on_each("lists_for_people_and_pipes", "", lists),
        on_each("a_new_name_takes_nobody_elses_rows", "", orphans),
        on_slapd("renaming_keeps_the_entry", "", kept),
    ]
    .into_iter()
    .flatten()
    .chain([on_sqlite("half_a_renaming_goes_on", "", halfway)])
    .collect()
}

fn lives(g: &Ground) -> Outcome {
    let home = g.home("bob");
    let add = ["user", "add", "Carol", "--uid", "20002", "--gid", "20002", "--home", &home];
    let dry = g.run_with(&[&add[..], &["--dry-run"]].concat(), &format!("{PASSWORD}\n"))?.exits(0)?;
    dry.says("carol")?.says("(hidden)")?;
    g.run(&["user", "show", "carol"])?.exits(1)?;
    let added = g.run_with(&[&add[..], &["--maildir"]].concat(), &format!("{PASSWORD}\n"));
    // Its maildir is not there, which lint reports.
    added?.exits(1)?.says("no maildir")?;
    g.run_with(&[&add[..], &["--maildir", "--force"]].concat(), &format!("{PASSWORD}\n"))?.exits(0)?.says("added")?;
    g.run_with(&["auth", "carol"], &format!("{PASSWORD}\n"))?.exits(0)?;
    g.run_with(&["auth", "carol"], "another\n")?.exits(1)?;
    let shown = g.run(&["user", "show", "carol"])?.exits(0)?;
    let form = if shown.out.contains("yescrypt") { "yescrypt" } else { "sha512-crypt" };
    shown.says(&home)?.says(form)?.says("active")?.says("carol: ./Maildir/")?;
    let value = g.run(&["user", "show", "carol", "--json"])?.exits(0)?.json()?;
    equal("password", value["password"].as_str(), Some(form))?;
    equal("lines", &value["aliases"][0]["line"], "./Maildir/")?;
    g.run_with(&[&add[..], &["--force"]].concat(), "x\n")?.exits(1)?.complains(&["already", "nothing was changed"])?;
    g.run(&["user", "del", "carol"])?.exits(1)?.complains(&["1 row(s) of table alias", "--with-rows"])?;
    g.run(&["user", "del", "CAROL", "--with-rows"])?.exits(0)?.says(&format!("its home {home} stays"))?;
    equal("rows left", g.lines(&["alias", "list", "carol"])?.len(), 0)?;
    g.run(&["user", "del", "carol"])?.exits(1)?.complains(&["there is no mailbox carol"]).map(drop)
}

fn refused(g: &Ground) -> Outcome {
    let home = g.home("bob");
    let nowhere = g.home("nowhere");
    let add = |name: &str, uid: &str, gid: &str, home: &str, more: &[&str]| {
        let args = ["user", "add", name, "--uid", uid, "--gid", gid, "--home", home, "--no-password"];
        g.run(&[&args[..], more].concat())
    };
    add("IAIN", "20001", "20001", &home, &["--force"])?.exits(1)?.complains(&["already"])?;
    for (name, uid, gid, home, word) in [
        ("carol", "0", "20002", home.as_str(), "uid"),
        ("carol", "20002", "7", &home, "gid"),
        ("carol", "20002", "20002", "home/carol", "absolute"),
        ("=carol", "20002", "20002", &home, "'='"),
    ] {
        add(name, uid, gid, home, &["--force"])?.exits(1)?.complains(&[word, "K3", "nothing was changed"])?;
    }
    add("ca rol", "20002", "20002", &home, &[])?.exits(100)?;
    add("carol", "20002", "20002", &nowhere, &[])?.exits(1)?.says("G3")?.says("does not exist")?;
    add("carol", "20001", "20001", &home, &[])?.exits(1)?.says("owned by 20002:20002")?;
    g.run(&["user", "show", "carol"])?.exits(1)?;
    g.run(&["user", "show", "=carol"])?.exits(1)?;
    if g.site.slapd.is_none() {
        // A directory does not show whether there is a password.
        let value = add("carol", "20002", "20002", &home, &["--json", "--dry-run"])?.exits(0)?.json()?;
        equal("what is meant is told, too", &value["meant"][0]["rule"], "P2")?;
    }
    add("carol", "20002", "20002", &nowhere, &["--force"])?.exits(0)?;
    // Nobody logs in without a password, whatever he offers.
    for offered in ["\n", "x\n"] {
        g.run_with(&["auth", "carol"], offered)?.exits(1)?;
    }
    g.run(&["user", "show", "carol"])?.exits(0)?.says("nobody can log in").map(drop)
}

fn standing(g: &Ground) -> Outcome {
    let auth = |code| g.run_with(&["auth", "iain"], "open sesame\n")?.exits(code);
    auth(0)?;
    g.run(&["user", "resume", "iain"])?.exits(0)?.says("already")?;
    g.run(&["user", "suspend", "iain", "--dry-run"])?.exits(0)?;
    auth(0)?;
    g.run(&["user", "suspend", "iain"])?.exits(0)?.says("is suspended")?;
    auth(1)?;
    g.run(&["user", "suspend", "iain"])?.exits(0)?.says("already")?;
    g.run(&["user", "show", "iain"])?.exits(0)?.says("suspended")?;
    g.run(&["user", "resume", "iain"])?.exits(0)?.says("in use")?;
    auth(0)?;
    g.run(&["user", "suspend", "nobody"])?.exits(1)?.complains(&["no mailbox nobody"]).map(drop)
}

fn renamed(g: &Ground) -> Outcome {
    g.run(&["alias", "add", "bob", "work", "./Maildir/", "&friend@example.org"])?.exits(0)?;
    g.run(&["virtual", "add", "bobby@bar.com", "bob", "work"])?.exits(0)?;
    let aliases = g.lines(&["alias", "list", "bob"])?;
    if g.site.mariadb.is_some() || g.site.slapd.is_some() {
        // The store is not believed without this one.
        for verb in [&["user", "rename", "iain", "john"][..], &["user", "del", "iain", "--with-rows"]] {
            g.run(verb)?.exits(1)?.complains(&["canary", "nothing was changed"])?;
        }
    }
    g.run(&["user", "rename", "bob", "iain"])?.exits(1)?.complains(&["already"])?;
    g.run(&["user", "rename", "bob", "Bob"])?.exits(100)?;
    // No force makes a name that the rules never use.
    g.run(&["user", "rename", "bob", "=john", "--force"])?.exits(1)?.complains(&["K3", "nothing was changed"])?;
    g.run(&["alias", "add", "iain", "copy", "bob@mail.test"])?.exits(0)?;
    // The forward would dangle, and nobody has said that it may.
    g.run(&["user", "rename", "bob", "john"])?.exits(1)?.says("dangling")?.says("iain-copy")?;
    g.run(&["user", "show", "bob"])?.exits(0)?;
    g.run(&["alias", "del", "iain", "copy"])?.exits(0)?;
    g.run(&["user", "rename", "bob", "john"])?.exits(0)?.says("3 row(s) of table alias and 1 of table virtual")?;
    g.run_with(&["auth", "john"], "open sesame\n")?.exits(0)?;
    g.run_with(&["auth", "bob"], "open sesame\n")?.exits(1)?;
    let new: Vec<String> = aliases.iter().map(|line| line.replacen("bob", "john", 1)).collect();
    equal("aliases", g.lines(&["alias", "list", "john"])?, new)?;
    equal("left", g.lines(&["alias", "list", "bob"])?.len(), 0)?;
    g.run(&["virtual", "bobby@bar.com"])?.exits(0)?.says("john").map(drop)
}

fn deleted(g: &Ground) -> Outcome {
    g.run(&["alias", "add", "iain", "copy", "virtual@mail.test"])?.exits(0)?;
    let del = ["user", "del", "virtual", "--with-rows"];
    g.run(&del)?.exits(1)?.says("dangling")?.says("iain-copy")?;
    g.run(&["user", "show", "virtual"])?.exits(0)?.says("@virtual.com (ext @)")?;
    g.only_by_force(&del, "dangling")?;
    equal("virtual rows", g.lines(&["virtual", "list", "virtual.com"])?.len(), 0)?;
    equal("alias rows", g.lines(&["alias", "list", "virtual"])?.len(), 0)
}

fn seen(g: &Ground) -> Outcome {
    let daemon = g.site.start()?;
    let asked =
        || -> Result<String, Failed> { Ok(String::from_utf8_lossy(&daemon.lookup("getpw", b"bob-x")?).into_owned()) };
    let before = asked()?;
    ensure(before.contains("/homes/bob"), format!("{before:?}"))?;
    g.run(&["user", "rename", "bob", "john"])?.exits(0)?;
    let after = asked()?;
    ensure(!after.contains("/homes/bob"), format!("the answer from before: {after:?}"))?;
    equal("host", daemon.lookup("rcpthosts", b"new.test")?, b"NOTFOUND ".to_vec())?;
    g.run(&["rcpthost", "add", "new.test", "--force"])?.exits(0)?;
    equal("host", daemon.lookup("rcpthosts", b"new.test")?, b"OK new.test".to_vec())?;
    g.run(&["rcpthost", "del", "new.test"])?.exits(0)?;
    equal("no host", daemon.lookup("rcpthosts", b"new.test")?, b"NOTFOUND ".to_vec())?;
    daemon.stop();
    Ok(())
}

fn undone(g: &Ground) -> Outcome {
    let refuse = match g.site.mariadb {
        Some(_) => {
            "CREATE TRIGGER stop BEFORE UPDATE ON `virtual` FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'"
        }
        None => "CREATE TRIGGER stop BEFORE UPDATE ON virtual BEGIN SELECT RAISE(ABORT, 'no'); END",
    };
    g.site.sql(refuse)?;
    let before = [g.lines(&["alias", "list"])?, g.lines(&["user", "list"])?, g.lines(&["virtual", "list"])?];
    let failed = g.run(&["user", "rename", "virtual", "john"])?;
    ensure(matches!(failed.code, Some(1 | 111)), format!("{failed:?}"))?;
    failed.complains(&["of table virtual", "nothing was changed"])?;
    let after = [g.lines(&["alias", "list"])?, g.lines(&["user", "list"])?, g.lines(&["virtual", "list"])?];
    equal("rows", after, before)
}

fn old_table(g: &Ground) -> Outcome {
    // SQLite drops no column that a CHECK names.
    let without = match g.site.mariadb {
        Some(_) => "ALTER TABLE mailbox DROP COLUMN suspended, DROP COLUMN password_type".to_owned(),
        None => "CREATE TABLE old AS SELECT username, uid, gid, home, password FROM mailbox; DROP TABLE mailbox; \
                 ALTER TABLE old RENAME TO mailbox"
            .to_owned(),
    };
    g.site.sql(&without)?;
    g.run(&["user", "suspend", "iain"])?.exits(1)?.complains(&["no column suspended", "ALTER TABLE mailbox ADD"])?;
    g.run_with(&["user", "passwd", "iain"], &format!("{PASSWORD}\n"))?.exits(0)?;
    g.run_with(&["auth", "iain"], &format!("{PASSWORD}\n"))?.exits(0)?;
    let home = g.home("bob");
    let add = ["user", "add", "carol", "--uid", "20002", "--gid", "20002", "--home", &home];
    g.run_with(&add, &format!("{PASSWORD}\n"))?.exits(0)?;
    g.run_with(&["auth", "carol"], &format!("{PASSWORD}\n"))?.exits(0).map(drop)
}

fn lists(g: &Ground) -> Outcome {
    let line = format!("bob\t20002\t20002\t{}\tactive", g.home("bob"));
    equal("fitting", g.lines(&["user", "list", "B?b"])?, [line.as_str()])?;
    equal("all", g.lines(&["user", "list"])?.len(), 6)?;
    let value = g.run(&["user", "list", "*b*", "--json"])?.exits(0)?.json()?;
    let names = value["rows"].as_array().into_iter().flatten().filter_map(|row| row["username"].as_str());
    equal("names", names.collect::<Vec<_>>(), ["bob", "bob-smith", "broken"])?;
    let (shown, code) = g.at_a_terminal(&["user", "list", "bob"])?.end()?;
    equal("exit", code, Some(0))?;
    ensure(shown.contains("username") && shown.contains("bob") && !shown.contains('\t'), shown)
}

fn orphans(g: &Ground) -> Outcome {
    g.run(&["alias", "add", "john", "x", "./Maildir/", "--force"])?.exits(0)?;
    let rename = ["user", "rename", "bob", "john"];
    g.run(&rename)?.exits(1)?.complains(&["1 row(s) of table alias", "nothing was changed", "--force"])?;
    g.run(&["alias", "del", "john", "x"])?.exits(0)?;
    g.run(&["virtual", "add", "x@new.test", "john", "--force"])?.exits(0)?;
    g.run(&rename)?.exits(1)?.complains(&["1 of table virtual", "nothing was changed"])?;
    g.run(&["user", "show", "bob"])?.exits(0)?;
    g.run(&[&rename[..], &["--force"]].concat())?.exits(0).map(drop)
}

/// An entry that is more than a mailbox, and is named by it.
fn kept(g: &Ground) -> Outcome {
    let server = g.site.slapd.as_ref().ok_or("no slapd")?;
    let base = "dc=test";
    let entry = |name: &str| -> Result<String, Failed> {
        server.search(base, "sub", &format!("(&(objectClass=qlookMailbox)(qlookUser={name}))"))
    };
    let found = entry("bob")?;
    let dn = found.lines().find_map(|line| line.strip_prefix("dn: ")).ok_or(found.clone())?;
    let more = "changetype: modify\nadd: objectClass\nobjectClass: extensibleObject\n-\nadd: telephoneNumber\ntelephoneNumber: 4711";
    server.modify(&format!("dn: {dn}\n{more}\n\n"))?;
    let is_whole = |name: &str| -> Outcome {
        let found = entry(name)?;
        let entries = found.lines().filter(|line| line.starts_with("dn: ")).count();
        ensure(entries == 1 && found.contains("telephoneNumber: 4711") && !found.contains("description"), found)
    };
    g.run(&["user", "rename", "bob", "john"])?.exits(0)?;
    is_whole("john")?;
    // With addresses, both names are there in between.
    g.run(&["virtual", "add", "bobby@bar.com", "john", "work"])?.exits(0)?;
    g.run(&["user", "rename", "john", "jack"])?.exits(0)?;
    is_whole("jack")?;
    g.run(&["user", "show", "john"])?.exits(1)?;
    g.run_with(&["auth", "jack"], "open sesame\n")?.exits(0)?;
    g.run(&["virtual", "bobby@bar.com"])?.exits(0)?.says("jack").map(drop)
}

/// The addresses are in a store of their own, which stops in between.
fn halfway(g: &Ground) -> Outcome {
    let (file, other) = (g.site.path("db/store.sqlite"), g.site.path("db/other.sqlite"));
    std::fs::copy(&file, &other)?;
    let owner = std::fs::metadata(&file)?;
    chown(&other, Some(owner.uid()), Some(owner.gid()))?;
    g.site.reconfigure(&format!("[cache]\nttl = \"1h\"\n[store.virtual]\npath = \"{}\"", other.display()))?;
    g.site.sql("ALTER TABLE mailbox ADD note TEXT; UPDATE mailbox SET note = 'vip' WHERE username = 'virtual'")?;
    let virtuals = rusqlite::Connection::open(&other)?;
    virtuals.execute_batch("CREATE TRIGGER stop BEFORE UPDATE ON virtual BEGIN SELECT RAISE(ABORT, 'no'); END")?;
    let aliases = g.lines(&["alias", "list", "virtual"])?;
    let daemon = g.site.start()?;
    let before = daemon.lookup("getpw", b"john")?;
    let rename = ["user", "rename", "virtual", "john"];
    let words = ["virtual and john are both there", "one password", "`user rename virtual john` goes on"];
    let failed = g.run(&rename)?;
    ensure(matches!(failed.code, Some(1 | 111)), format!("{failed:?}"))?;
    failed.complains(&words)?;
    ensure(daemon.lookup("getpw", b"john")? != before, "the daemon answers as before")?;
    for name in ["john", "virtual"] {
        g.run_with(&["auth", name], "open sesame\n")?.exits(0)?;
    }
    g.run(&rename)?.complains(&words)?;
    virtuals.execute_batch("DROP TRIGGER stop")?;
    g.run(&rename)?.exits(0)?.says("mailbox virtual is john now")?;
    g.run(&["user", "show", "virtual"])?.exits(1)?;
    g.run(&["user", "show", "john"])?.exits(0)?.says("@virtual.com (ext @)")?;
    let new: Vec<String> = aliases.iter().map(|line| line.replacen("virtual", "john", 1)).collect();
    equal("aliases", g.lines(&["alias", "list", "john"])?, new)?;
    equal("left", g.lines(&["alias", "list", "virtual"])?.len(), 0)?;
    let note = "SELECT group_concat(note) FROM mailbox WHERE username = 'john'";
    let note: Option<String> = rusqlite::Connection::open(&file)?.query_row(note, [], |row| row.get(0))?;
    equal("a column of the site's own", note.as_deref(), Some("vip"))?;
    daemon.stop();
    Ok(())
}
