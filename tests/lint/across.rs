//! What is wrong between the tables, and beside qmail's control files.

use super::world::{Case, World, on_each};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::path::Path;

pub(super) fn trials() -> Vec<Trial> {
    let cases: [Case; 12] = [
        ("a_forward_to_nobody_here_is_dangling", forwards),
        ("a_virtual_row_without_an_owner_is_dangling", owners),
        ("each_virtual_row_is_judged_by_its_own_owner", alone),
        ("alias_rows_of_nobody_are_never_read", unread),
        ("owners_of_lists_have_lists", lists),
        ("the_senders_of_a_list_at_a_virtual_host_come_back", senders),
        ("a_suspended_mailbox_with_live_rows_is_a_warning", suspended),
        ("a_mailbox_named_as_an_address_is_swallowed_by_a_catch_all", swallowed),
        ("a_host_with_a_catch_all_has_one_note", one_note),
        ("virtual_hosts_are_accepted_and_not_local", hosts),
        ("hosts_of_rcpthosts_alone_are_undecided", undecided),
        ("users_cdb_contradicts_a_mailbox", assigned),
    ];
    cases.into_iter().flat_map(|(name, case)| on_each(&format!("across::{name}"), case)).collect()
}

const DANGLING: &[&str] = &["dangling"];

fn forwards(world: &World) -> Outcome {
    world.virtuals(&[["iain", "", "sales", "bar.com"]])?;
    world.aliases(&[
        ["bob", "1", "iain", "mail.test"],
        ["bob", "2", "Sales", "Bar.com"],
        ["bob", "3", "anybody", "elsewhere.example"],
        ["bob", "4", "postmaster", "mail.test"],
        ["bob", "5", "SALE", "bar.com"],
        ["bob", "6", "gone", "mail.test"],
        ["bob", "7", "gone", ""],
        ["alias", "root", "gone", "mail.test"],
    ])?;
    // The same without a file of the alias user.
    let all = [
        "error dangling alias alias-root",
        "error dangling alias bob-4",
        "error dangling alias bob-5",
        "error dangling alias bob-6",
        "error dangling alias bob-7",
    ];
    world.finds(DANGLING, &all)?;
    std::fs::write(world.path("q/alias/.qmail-postmaster"), "&root\n")?;
    world.finds(DANGLING, &[all[0], all[2], all[3], all[4]])?;
    std::fs::write(world.path("q/alias/.qmail-default"), "&root\n")?;
    world.finds(DANGLING, &[all[2]])?;
    // A suspended mailbox bounces only if it is asked to.
    world.sql("UPDATE mailbox SET suspended='Y' WHERE username='iain'")?;
    world.finds(DANGLING, &[all[2]])?;
    let bounce = [("QMAIL_LOOKUP_RULES__SUSPENDED_MAIL", "bounce")];
    let want = ["error dangling alias bob-1", "error dangling alias bob-2", all[2]];
    equal("findings", world.found(DANGLING, &bounce)?, want)
}

fn owners(world: &World) -> Outcome {
    world.virtuals(&[
        ["iain", "x", "a", "bar.com"],
        ["iain-sales", "", "b", "bar.com"],
        ["info@bar.com", "", "info", "bar.com"],
        ["Nobody-Here", "", "c", "bar.com"],
        ["gone", "@", "", "foo.com"],
        ["gone", "", "x", ".wild.test"],
    ])?;
    world.aliases(&[["alias", "INFO@bar.com", "friend", "elsewhere.example"]])?;
    let gone =
        ["error dangling virtual @foo.com", "error dangling virtual c@bar.com", "error dangling virtual x@.wild.test"];
    world.finds(DANGLING, &gone)?;
    std::fs::write(world.path("q/alias/.qmail-gone-default"), "&root\n")?;
    world.finds(DANGLING, &[gone[1], gone[2]])?;
    world.aliases(&[["alias", "@", "friend", "elsewhere.example"]])?;
    world.finds(DANGLING, &[])?;
    // A pattern's owner is looked for as somebody whom it fits.
    world.sql("DELETE FROM alias")?;
    world.virtuals(&[["gone", "", "sales-%", "like.test"]])?;
    let found = world.found(DANGLING, &[("QMAIL_LOOKUP_RULES__VIRTUAL_PATTERNS", "like")])?;
    ensure(found.contains(&"error dangling virtual sales-%@like.test".to_owned()), format!("{found:?}"))
}

fn alone(world: &World) -> Outcome {
    super::rows::loosen(world)?;
    world
        .sql("INSERT INTO mailbox (username, uid, gid, home) VALUES ('iain', '20001', '20001', '/nonexistent/iain')")?;
    // Another row is for some of those whom the pattern fits.
    world.virtuals(&[["gone", "", "a%", "bar.com"], ["iain", "", "ax", "bar.com"], ["iain", "", "%", "bar.com"]])?;
    let like = [("QMAIL_LOOKUP_RULES__VIRTUAL_PATTERNS", "like")];
    equal("pattern", world.found(DANGLING, &like)?, ["error dangling virtual a%@bar.com"])?;
    // Twice the same is told once.
    world.virtuals(&[["gone", "", "x", "foo.com"], ["GONE", "", "X", "foo.com"], ["gone", "", "x", "foo.com"]])?;
    let want = ["error dangling virtual a%@bar.com", "error dangling virtual x@foo.com"];
    equal("rows", world.found(DANGLING, &like)?, want)
}

fn unread(world: &World) -> Outcome {
    world.aliases(&[
        ["IAIN", "", ".", "/Maildir/"],
        ["alias", "x", ".", "/Maildir/"],
        ["daemon", "", ".", "/Maildir/"],
        ["gone", "", ".", "/Maildir/"],
        ["Gone", "x", ".", "/Maildir/"],
        ["root", "", ".", "/Maildir/"],
    ])?;
    world.finds(DANGLING, &["warning dangling alias gone", "warning dangling alias root"])?;
    let all = world.findings(&["--no-homes"], &[])?;
    let gone = all.iter().find(|finding| finding["key"] == "gone").ok_or("not found")?;
    ensure(gone["why"].as_str().is_some_and(|why| why.contains("2 row(s)")), gone.to_string())
}

fn lists(world: &World) -> Outcome {
    world.aliases(&[
        ["iain", "list", "friend", "elsewhere.example"],
        ["iain", "list-owner", ".", "/Maildir/"],
        ["iain", "list-owner-default", ".", "/Maildir/"],
        ["iain", "owner", ".", "/Maildir/"],
        ["bob", "List-Owner", ".", "/Maildir/"],
        ["bob", "other-owner-default", ".", "/Maildir/"],
    ])?;
    world.finds(&["A5"], &["note A5 alias bob-list-owner", "warning A5 alias bob-other-owner-default"])?;
    world.aliases(&[["bob", "@", ".", "/Maildir/"], ["bob", "other-owner", ".", "/Maildir/"]])?;
    world.finds(&["A5"], &[])
}

fn senders(world: &World) -> Outcome {
    world.aliases(&[["iain", "list", "friend", "elsewhere.example"]])?;
    world.virtuals(&[["iain", "list", "News", "bar.com"], ["iain", "list", "list", "foo.com"]])?;
    world.finds(&["A5"], &[])?;
    world.aliases(&[["iain", "list-owner", ".", "/Maildir/"]])?;
    let both = ["warning A5 virtual list@foo.com", "warning A5 virtual news@bar.com"];
    world.finds(&["A5"], &both)?;
    world.virtuals(&[
        ["iain", "list-owner", "news-owner", "bar.com"],
        ["iain", "list-owner", "list-owner", "foo.com"],
    ])?;
    world.finds(&["A5"], &[])?;
    // One sender for each recipient.
    world.aliases(&[["iain", "list-owner-default", ".", "/Maildir/"]])?;
    world.finds(&["A5"], &both)?;
    world.virtuals(&[["iain", "@", "list-owner-%", "foo.com"]])?;
    let like = [("QMAIL_LOOKUP_RULES__VIRTUAL_PATTERNS", "like")];
    equal("with a pattern", world.found(&["A5"], &like)?, [both[1]])
}

fn suspended(world: &World) -> Outcome {
    world.aliases(&[["bob", "", ".", "/Maildir/"], ["bob", "x", ".", "/Maildir/"], ["iain", "", ".", "/Maildir/"]])?;
    world.virtuals(&[["BOB", "", "bob", "bar.com"]])?;
    // Only what is across tables: a value that suspends is no fault by itself.
    let live = |env: &[(&str, &str)]| {
        let all = world.findings(&["--no-homes"], env)?;
        let why =
            |finding: &&serde_json::Value| finding["why"].as_str().is_some_and(|why| why.contains("still deliver"));
        let of: Vec<_> = all.iter().filter(|finding| finding["rule"] == "P3").filter(why).cloned().collect();
        Ok::<_, Failed>(of)
    };
    equal("active", live(&[])?.len(), 0)?;
    world.sql("UPDATE mailbox SET suspended='Y' WHERE username='bob'")?;
    let found = live(&[])?;
    equal("findings", found.len(), 1)?;
    let (key, why) = (found[0]["key"].as_str(), found[0]["why"].as_str().unwrap_or_default());
    equal("key", key, Some("bob"))?;
    ensure(why.contains("2 row(s) of table alias") && why.contains("1 of table virtual"), why)?;
    equal("deferred", live(&[("QMAIL_LOOKUP_RULES__SUSPENDED_MAIL", "defer")])?.len(), 0)
}

fn swallowed(world: &World) -> Outcome {
    let mailbox = |name: &str| format!("('{name}', '20005', '20005', '/nonexistent/x')");
    let rows = ["sales@bar.com", "own@bar.com", "info@foo.com", "x@nowhere.test"].map(mailbox).join(",");
    world.sql(&format!("INSERT INTO mailbox (username, uid, gid, home) VALUES {rows}"))?;
    world.virtuals(&[
        ["iain", "", "", "bar.com"],
        ["own@bar.com", "", "own", "bar.com"],
        ["iain", "", "other", "foo.com"],
    ])?;
    let swallowed = |world: &World| {
        let mut found = world.found(&["swallowed"], &[])?;
        found.retain(|line| line.starts_with("warning"));
        Ok::<_, Failed>(found)
    };
    equal("swallowed", swallowed(world)?, ["warning swallowed mailbox sales@bar.com"])?;
    let all = world.findings(&["--no-homes"], &[])?;
    let finding = all.iter().find(|finding| finding["key"] == "sales@bar.com" && finding["rule"] == "swallowed");
    let repair = finding.and_then(|finding| finding["repair"].as_str()).ok_or("no repair")?;
    ensure(repair.to_lowercase().starts_with("insert"), repair)?;
    world.sql(repair)?;
    equal("repaired", swallowed(world)?, [""; 0])
}

fn one_note(world: &World) -> Outcome {
    world.virtuals(&[
        ["iain", "@", "", "bar.com"],
        ["iain", "@", "x", "foo.com"],
        ["iain", "", "", "full.test"],
        ["bob", "", "bob", "full.test"],
    ])?;
    world.finds(&["swallowed"], &["note swallowed virtual @bar.com"])?;
    let by_name = [("QMAIL_LOOKUP_RULES__UNKNOWN_VIRTUAL", "mailbox")];
    equal("by name", world.found(&["swallowed"], &by_name)?, ["warning swallowed virtual @bar.com"])?;
    let all = world.findings(&["--no-homes"], &[])?;
    let note = all.iter().find(|finding| finding["rule"] == "swallowed").ok_or("no note")?;
    let why = note["why"].as_str().unwrap_or_default();
    ensure(why.contains("goes to iain: bob@bar.com"), why)?;
    // The catch-all of like mode.
    world.sql("DELETE FROM `virtual`")?;
    world.virtuals(&[["iain", "@", "%", "bar.com"]])?;
    let like = [("QMAIL_LOOKUP_RULES__VIRTUAL_PATTERNS", "like")];
    equal("like", world.found(&["swallowed"], &like)?, ["note swallowed virtual @bar.com"])
}

fn hosts(world: &World) -> Outcome {
    world.virtuals(&[
        ["iain", "", "", "Bar.com"],
        ["iain", "", "x", "bar.com"],
        ["iain", "", "", "sub.foo.com"],
        ["iain", "", "", "file.test"],
        ["iain", "", "", "mail.test"],
        ["iain", "", "", "his.test"],
        ["iain", "", "", "ours.test"],
    ])?;
    world.sql("INSERT INTO rcpthosts (host) VALUES ('.Foo.com'), ('his.test'), ('ours.test')")?;
    world.control("rcpthosts", "mail.test\n")?;
    world.control("virtualdomains", "his.test:bob\nours.test:=ours.test=\n.com:bob\n")?;
    let local = ["warning V1 virtual @his.test", "warning V1 virtual @mail.test"];
    let (bar, file) = ("warning R1 virtual @bar.com", "warning R1 virtual @file.test");
    let hosts = || -> Result<Vec<String>, Failed> {
        let mut found = world.found(&["R1", "V1"], &[])?;
        found.retain(|line| line.contains(" virtual "));
        Ok(found)
    };
    equal("all", hosts()?, [bar, file, local[0], local[1]])?;
    world.control("morercpthosts", "# ours\nFile.test \n")?;
    equal("with morercpthosts", hosts()?, [bar, local[0], local[1]])?;
    let all = world.findings(&["--no-homes"], &[])?;
    let repair = all.iter().find(|finding| finding["rule"] == "R1").and_then(|finding| finding["repair"].as_str());
    world.sql(repair.ok_or("no repair")?)?;
    equal("repaired", hosts()?, local)
}

fn undecided(world: &World) -> Outcome {
    world.virtuals(&[["iain", "", "", "virtual.test"], ["iain", "", "", ".wild.test"]])?;
    world.control("smtproutes", "routed.test:10.0.0.1\n:relay.test\n")?;
    world.control("virtualdomains", "his.test:bob\n")?;
    let hosts = ["mail.test", "virtual.test", "a.wild.test", "routed.test", "his.test", "old.test"];
    world.sql(&format!("INSERT INTO rcpthosts (host) VALUES ('{}')", hosts.join("'), ('")))?;
    let v7 = &["V7"];
    world.finds(v7, &["warning V7 rcpthosts old.test"])?;
    equal("decided", world.found(v7, &[("QMAIL_LOOKUP_RULES__RCPTHOSTS_ONLY", "relay")])?, [""; 0])
}

fn assigned(world: &World) -> Outcome {
    let rules = &["assigned"];
    world.finds(rules, &[])?;
    std::fs::create_dir(world.path("q/users"))?;
    let lines = [
        ("=iain", "iain", 20001),
        ("+iain-", "iain", 20001),
        ("=bob", "vpopmail", 89),
        ("+ia", "other", 90),
        ("=sales", "bob", 20002),
    ];
    write_cdb(&world.path("q/users/cdb"), &lines)?;
    world.finds(rules, &["warning assigned mailbox bob"])?;
    write_cdb(&world.path("q/users/cdb"), &[("=iain-list", "games", 5), ("+iain-own-", "iain", 20001)])?;
    world.finds(rules, &["warning assigned mailbox iain"])?;
    write_cdb(&world.path("q/users/cdb"), &[("+=", "games", 5)])?;
    world.sql(
        "INSERT INTO `virtual` (username, ext, virtual_username, virtual_host) VALUES ('iain', '', '', 'taken.test')",
    )?;
    let found = world.found(rules, &[])?;
    ensure(found.len() == 1 && found[0].starts_with("warning assigned virtual "), format!("{found:?}"))?;
    write_cdb(&world.path("q/users/cdb"), &[("+", "alias", 64010)])?;
    world.finds(rules, &["error assigned mailbox "])?;
    std::fs::write(world.path("q/users/cdb"), "not a database")?;
    world.lint(&["--no-homes"], &[])?.exits(111)?.complains(&["users/cdb"])?;
    Ok(())
}

/// users/cdb as qmail-newu writes it: `!` and the name, and a NUL behind an exact one.
fn write_cdb(path: &Path, lines: &[(&str, &str, u32)]) -> Outcome {
    let mut cdb = cdb2::CDBWriter::create(path)?;
    let mut ends: Vec<u8> = Vec::new();
    for (line, user, uid) in lines {
        let (sign, name) = line.split_at(1);
        let mut key = format!("!{name}").into_bytes();
        if sign == "=" {
            key.push(0);
        } else {
            ends.extend(name.bytes().last());
        }
        cdb.add(&key, format!("{user}\0{uid}\0{uid}\0/home\0-\0\0").as_bytes())?;
    }
    cdb.add(b"", &ends)?;
    Ok(cdb.finish()?)
}
