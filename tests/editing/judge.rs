//! What an edit does to rows that it does not change, and what is there already; empty stores; edits at the same time.

use super::ground::{Ground, on_each, on_sql};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    [
        on_each("the_first_mailbox_of_an_empty_store", "", first),
        on_each("rows_that_lead_there_are_judged", "", leading),
        on_each("targets_without_rows_are_looked_for_in_homes", "", targets),
        on_each("an_address_gets_another_owner", "", replaced),
        on_each("the_first_row_of_a_host_that_is_forwarded_to", "", of_new_host),
        on_each("a_renamed_mailbox_forwards_to_itself", "", to_itself),
        on_each("a_list_gets_an_owner", "", list_owner),
        on_each("a_new_mailbox_gets_nobodys_rows", "", inherited),
        on_each("a_new_set_is_in_the_same_order_everywhere", "", order),
        on_each("a_suspended_mailbox_is_told_its_rows", "", suspended),
        on_each("rows_that_are_left_are_told", "", left),
        on_each("a_home_that_is_there_is_looked_at", "", home),
        on_sql("what_is_stored_can_be_deleted", "[rules]\nvirtual_patterns = \"like\"", stored),
        on_sql("an_owner_of_many_rows", "", many),
        on_sql("two_edits_at_the_same_time", "", race),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn add(g: &Ground, name: &str, more: &[&str]) -> Result<crate::cli::Run, Failed> {
    let home = g.home("bob");
    let args = ["user", "add", name, "--uid", "20002", "--gid", "20002", "--home", &home, "--no-password"];
    g.run(&[&args[..], more].concat())
}

fn first(g: &Ground) -> Outcome {
    for line in g.lines(&["user", "list"])? {
        let name = line.split('\t').next().unwrap_or_default();
        g.run(&["user", "del", name, "--with-rows", "--force"])?.exits(0)?;
    }
    equal("mailboxes", g.lines(&["user", "list"])?.len(), 0)?;
    let has_canary = g.site.mariadb.is_some() || g.site.slapd.is_some();
    let missing = if has_canary { "the canary mailbox iain is missing" } else { "table mailbox is empty" };
    let refused = g.run(&["virtual", "add", "x@new.test", "carol"])?.exits(1)?;
    let refused = refused.says("dangling")?;
    ensure(refused.err.contains("no mail is delivered") && refused.err.contains(missing), refused.err)?;
    g.run(&["rcpthost", "add", "new.test"])?.exits(1)?.says("V7")?;
    g.run(&["alias", "add", "uucp", "postmaster", "friend@example.org"])?.exits(0)?.says(missing)?;
    add(g, "carol", &["--dry-run"])?.exits(0)?;
    let added = add(g, "carol", &[])?.exits(0)?;
    equal("is told", added.out.contains(missing), has_canary)?;
    g.run(&["virtual", "add", "x@new.test", "carol"])?.exits(0)?;
    let added = add(g, "iain", &[])?.exits(0)?;
    ensure(!added.out.contains("no mail is delivered"), added.out)
}

fn leading(g: &Ground) -> Outcome {
    let refused = |args: &[&str], words: &[&str]| -> Outcome {
        let refused = g.run(args)?.exits(1)?;
        ensure(words.iter().all(|word| refused.out.contains(word)), format!("{args:?}: {refused:?}"))
    };
    // Its owner is an extension of the name.
    g.run(&["virtual", "add", "g@bar.com", "bob-x"])?.exits(0)?;
    refused(&["user", "del", "bob", "--with-rows"], &["dangling", "g@bar.com"])?;
    g.run(&["virtual", "del", "g@bar.com"])?.exits(0)?;
    // A forward to the address, and one to an address of the owner.
    g.run(&["alias", "add", "bob", "fw", "sales@bar.com"])?.exits(0)?;
    refused(&["virtual", "del", "sales@bar.com"], &["dangling", "bob-fw"])?;
    g.run(&["virtual", "add", "post@bar.com", "bob"])?.exits(0)?;
    g.run(&["alias", "add", "iain", "fw", "post@bar.com"])?.exits(0)?;
    refused(&["user", "del", "bob", "--with-rows"], &["dangling", "iain-fw"])?;
    // A set of the alias user that a virtual row leads to.
    g.run(&["alias", "add", "uucp", "news", "friend@example.org"])?.exits(0)?;
    g.run(&["virtual", "add", "news@bar.com", "news"])?.exits(0)?;
    refused(&["alias", "del", "uucp", "news"], &["dangling", "news@bar.com"])?;
    g.run(&["virtual", "del", "news@bar.com"])?.exits(0)?;
    g.run(&["alias", "del", "uucp", "news"])?.exits(0)?;
    // A loop that is closed by the address.
    g.run(&["alias", "add", "bob", "round", "loopy@bar.com", "--force"])?.exits(0)?;
    refused(&["virtual", "add", "loopy@bar.com", "bob", "round"], &["loop"])?;
    g.run(&["alias", "del", "bob", "round"])?.exits(0)?;
    // A forward to another host, which becomes ours.
    g.run(&["alias", "add", "bob", "ext", "eve@new.test"])?.exits(0)?;
    refused(&["virtual", "add", "sales@new.test", "iain"], &["dangling", "bob-ext"])?;
    g.run(&["virtual", "add", "other@bar.com", "iain"])?.exits(0).map(drop)
}

/// The address goes nowhere if there is neither a set nor a file in the home.
fn targets(g: &Ground) -> Outcome {
    // Its catch-all would answer for every extension.
    g.run(&["alias", "del", "bob", "@"])?.exits(0)?;
    let dangling = |args: &[&str], key: &str| -> Outcome {
        let refused = g.run(args)?.exits(1)?.says("dangling")?.says(key)?;
        ensure(refused.err.contains("nothing was changed"), refused.err)
    };
    g.run(&["alias", "add", "bob", "list", "friend@example.org"])?.exits(0)?;
    g.run(&["alias", "add", "iain", "tolist", "&bob-list@mail.test"])?.exits(0)?;
    dangling(&["alias", "del", "bob", "list"], "iain-tolist")?;
    equal("is left", g.lines(&["alias", "bob", "list"])?.len(), 1)?;
    g.run(&["alias", "del", "iain", "tolist"])?.exits(0)?;
    // Through a virtual row.
    g.run(&["virtual", "add", "list@bar.com", "bob", "list"])?.exits(0)?;
    g.run(&["alias", "add", "iain", "tolist", "list@bar.com"])?.exits(0)?;
    dangling(&["alias", "del", "bob", "list"], "iain-tolist")?;
    g.run(&["alias", "del", "iain", "tolist"])?.exits(0)?;
    g.run(&["alias", "del", "bob", "list"])?.exits(0)?;
    dangling(&["alias", "add", "iain", "a", "&bob-b@mail.test"], "iain-a")?;
    dangling(&["alias", "add", "iain", "a", "list@bar.com"], "iain-a")?;
    // A forward to another host, which becomes ours.
    g.run(&["alias", "add", "iain", "a", "foo@l.org"])?.exits(0)?;
    dangling(&["virtual", "add", "@l.org", "bob", "@"], "iain-a")?;
    // What was wrong before stays so.
    g.run(&["alias", "add", "iain", "b", "&bob-b@mail.test", "--force"])?.exits(0)?;
    g.run(&["alias", "add", "iain", "b", "friend@example.org"])?.exits(0)?;
    // A file is as good as rows.
    fs::write(g.site.path("homes/bob/.qmail-c"), "./Maildir/\n")?;
    g.run(&["alias", "add", "iain", "c", "&bob-c@mail.test"])?.exits(0).map(drop)
}

fn replaced(g: &Ground) -> Outcome {
    let rows = || -> Result<Vec<String>, Failed> {
        let lines = g.lines(&["virtual", "list", "bar.com"])?;
        Ok(lines.into_iter().filter(|line| line.starts_with("post@")).collect())
    };
    let add = |owner: &str, more: &[&str]| g.run(&[&["virtual", "add", "post@bar.com", owner][..], more].concat());
    add("bob", &["--replace"])?.exits(0)?;
    g.run(&["alias", "add", "iain", "fw", "post@bar.com"])?.exits(0)?;
    add("iain", &[])?.exits(1)?.says("V3")?.complains(&["--replace"])?;
    add("nobody", &["--replace"])?.exits(1)?.says("dangling")?;
    equal("rows", rows()?, ["post@bar.com\tbob\t"])?;
    add("iain", &["--replace"])?.exits(0)?;
    equal("rows", rows()?, ["post@bar.com\tiain\t"])?;
    add("iain", &["--replace"])?.exits(1)?.complains(&["already"])?;
    add("bob", &["x", "--force"])?.exits(0)?;
    add("iain", &["--replace"])?.exits(0)?;
    equal("rows", rows()?, ["post@bar.com\tiain\t"])?;
    add("bob", &["x", "--force"])?.exits(0)?;
    add("virtual", &["--replace"])?.exits(0)?;
    equal("rows", rows()?, ["post@bar.com\tvirtual\t"])
}

fn of_new_host(g: &Ground) -> Outcome {
    g.run(&["alias", "add", "iain", "one", "one@l.org"])?.exits(0)?;
    g.run(&["alias", "add", "iain", "two", "two@l.org"])?.exits(0)?;
    let refused = g.run(&["virtual", "add", "one@l.org", "bob"])?.exits(1)?.says("iain-two")?.says("two@l.org")?;
    ensure(refused.err.contains("(virtual add @l.org OWNER)"), refused.err)?;
    g.run(&["virtual", "add", "@l.org", "bob"])?.exits(0)?;
    g.run(&["virtual", "add", "one@l.org", "bob"])?.exits(0).map(drop)
}

fn to_itself(g: &Ground) -> Outcome {
    g.run(&["alias", "add", "bob", "news", "./Maildir/"])?.exits(0)?;
    g.run(&["alias", "add", "bob", "self", "&bob-news@mail.test", "&Bob@mail.test", "bob-x@example.org"])?.exits(0)?;
    // Its name is longer, and it is somebody else.
    g.run(&["alias", "add", "bob", "other", "bob-smith@mail.test"])?.exits(0)?;
    g.run(&["alias", "add", "iain", "fw", "bob-news@mail.test"])?.exits(0)?;
    let refused = g.run(&["user", "rename", "bob", "john"])?.exits(1)?.says("iain-fw")?;
    ensure(!refused.out.contains("-self"), &refused.out)?;
    refused.complains(&["forward to bob", "iain-fw", "--force"])?;
    g.run(&["alias", "del", "iain", "fw"])?.exits(0)?;
    g.run(&["user", "rename", "bob", "john"])?.exits(0)?;
    let mut lines = g.lines(&["alias", "john", "self"])?;
    lines.sort();
    equal("self", lines, ["&bob-x@example.org", "&john-news@mail.test", "&john@mail.test"])?;
    equal("other", g.lines(&["alias", "john", "other"])?, ["&bob-smith@mail.test"])?;
    equal("left", g.lines(&["alias", "list", "bob"])?.len(), 0)
}

fn list_owner(g: &Ground) -> Outcome {
    g.run(&["alias", "add", "bob", "news", "friend@example.org"])?.exits(0)?;
    g.run(&["virtual", "add", "news@bar.com", "bob", "news"])?.exits(0)?;
    let done = g.run(&["alias", "add", "bob", "news-owner", "./Maildir/"])?.exits(0)?;
    ensure(["A5", "news@bar.com", "reach bob-news-owner"].iter().all(|word| done.err.contains(word)), done.err)?;
    g.run(&["virtual", "add", "news-owner@bar.com", "bob", "news-owner"])?.exits(0)?;
    // Rows that are never used are no part of what is asked for.
    g.run(&["alias", "add", "bob", "other-owner-default", "./Maildir/"])?.exits(1)?.says("A5").map(drop)
}

fn inherited(g: &Ground) -> Outcome {
    let refused = |name: &str, words: &[&str]| -> Outcome {
        add(g, name, &[])?.exits(1)?.complains(words)?.complains(&["nothing was changed", "--force"])?;
        g.run(&["user", "show", name])?.exits(1).map(drop)
    };
    g.run(&["alias", "add", "carol", "", "evil@example.org", "--force"])?.exits(0)?;
    refused("carol", &["1 row(s)", "carol of table alias"])?;
    add(g, "carol", &["--force"])?.exits(0)?;
    g.run(&["alias", "add", "uucp", "sam", "friend@example.org"])?.exits(0)?;
    g.run(&["virtual", "add", "s@bar.com", "sam"])?.exits(0)?;
    refused("sam", &["2 row(s)", "uucp-sam of table alias", "s@bar.com of table virtual"])?;
    // A longer name would take the mail of a set.
    g.run(&["alias", "add", "iain", "team", "./Maildir/"])?.exits(0)?;
    refused("iain-team", &["iain-team of table alias"])?;
    add(g, "iain-other", &[])?.exits(0)?;
    // What belongs to a longer name stays with it.
    g.run(&["virtual", "add", "bs@bar.com", "bob-smith"])?.exits(0)?;
    g.run(&["user", "del", "bob", "--with-rows"])?.exits(0)?;
    add(g, "bob", &[])?.exits(0).map(drop)
}

fn order(g: &Ground) -> Outcome {
    g.run(&["alias", "add", "iain", "list", "bob@example.org", "./list/", "|prog"])?.exits(0)?;
    equal("order", g.lines(&["alias", "iain", "list"])?, ["|prog", "./list/", "&bob@example.org"])
}

fn suspended(g: &Ground) -> Outcome {
    let done = g.run(&["user", "suspend", "iain"])?.exits(0)?;
    done.complains(&["3 row(s) of table alias and 2 of table virtual"]).map(drop)
}

fn left(g: &Ground) -> Outcome {
    g.run(&["user", "del", "virtual", "--force"])?
        .exits(0)?
        .says("1 row(s) of table alias and 1 of table virtual are left")
        .map(drop)
}

fn home(g: &Ground) -> Outcome {
    let home = g.site.path("homes/carol");
    let path = home.display().to_string();
    let add = ["user", "add", "carol", "--uid", "20002", "--gid", "20002", "--home", &path, "--no-password"];
    let missing = g.run(&add)?.exits(1)?.says("does not exist")?;
    ensure(missing.err.contains("are made by --create-home"), missing.err)?;
    fs::create_dir(&home)?;
    chown(&home, Some(20002), Some(20002))?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o1700))?;
    g.run(&[&add[..], &["--create-home"]].concat())?.exits(1)?.says("G3")?;
    g.run(&["user", "show", "carol"])?.exits(1)?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
    g.run(&[&add[..], &["--create-home", "--maildir"]].concat())?.exits(0).map(drop)
}

fn stored(g: &Ground) -> Outcome {
    g.site.sql(
        "INSERT INTO virtual (username, ext, virtual_username, virtual_host) VALUES \
         ('iain', '', '', 'blank.org'), ('no name', '', 'x', 'blank.org')"
            .replace("INTO virtual", "INTO `virtual`")
            .as_str(),
    )?;
    g.site.sql("INSERT INTO rcpthosts (host) VALUES ('a b.org')")?;
    g.run(&["virtual", "del", "@blank.org"])?.exits(0)?;
    g.run(&["virtual", "del", "x@blank.org", "no name"])?.exits(0)?;
    equal("left", g.lines(&["virtual", "list", "blank.org"])?.len(), 0)?;
    g.run(&["rcpthost", "del", "A b.org"])?.exits(0)?;
    g.run(&["rcpthost", "del", "a b.org"])?.exits(1).map(drop)
}

fn many(g: &Ground) -> Outcome {
    let rows: Vec<String> = (0..12_000).map(|n| format!("('bob', 'x', 'u{n:05}', 'many.test')")).collect();
    for rows in rows.chunks(400) {
        let columns = "(username, ext, virtual_username, virtual_host)";
        g.site.sql(&format!("INSERT INTO `virtual` {columns} VALUES {}", rows.join(", ")))?;
    }
    let begun = Instant::now();
    g.run(&["user", "del", "bob", "--with-rows", "--dry-run"])?.exits(0)?;
    ensure(begun.elapsed() < Duration::from_secs(60), format!("{:?}", begun.elapsed()))
}

/// Another edit is made between the judgment and the change.
fn race(g: &Ground) -> Outcome {
    // A trigger of MariaDB changes no other row of its own table.
    if g.site.mariadb.is_some() {
        g.site.sql(
            "CREATE TRIGGER other AFTER INSERT ON `virtual` FOR EACH ROW \
             DELETE FROM mailbox WHERE username = 'bob' AND NEW.username = 'bob'",
        )?;
        let done = g.run(&["virtual", "add", "r@bar.com", "bob"])?.exits(1)?;
        return done.says("dangling")?.says("goes to bob")?.complains(&["at the same time"]).map(drop);
    }
    g.site.sql(
        "CREATE TRIGGER other AFTER INSERT ON virtual WHEN NEW.username = 'bob' BEGIN \
         INSERT INTO virtual (username, ext, virtual_username, virtual_host) VALUES ('iain', '', 'r', 'bar.com'); END",
    )?;
    let done = g.run(&["virtual", "add", "r@bar.com", "bob", "--json"])?.exits(1)?.complains(&["at the same time"])?;
    let value = done.json()?;
    equal("result", value["result"].as_str(), Some("conflict"))?;
    equal("rule", value["findings"][0]["rule"].as_str(), Some("V3"))?;
    equal("rows", g.lines(&["virtual", "list", "bar.com"])?.iter().filter(|line| line.starts_with("r@")).count(), 2)
}
