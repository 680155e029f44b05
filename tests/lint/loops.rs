//! Loops of aliases.

use super::world::{Case, World, on_each};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::os::unix::fs::MetadataExt;

pub(super) fn trials() -> Vec<Trial> {
    let cases: [Case; 10] = [
        ("a_forward_to_oneself_is_a_loop_of_one", oneself),
        ("a_loop_is_told_once_with_its_whole_way", whole_way),
        ("a_diamond_and_a_chain_of_a_thousand_are_no_loops", diamond_and_chain),
        ("two_loops_that_share_an_address_are_two", two_loops),
        ("a_loop_leads_through_a_virtual_host_and_a_catch_all", through_virtual),
        ("a_loop_leads_through_the_alias_catch_all_of_a_mailbox", through_alias_catch_all),
        ("a_loop_leads_through_magic_forwarding_only_if_that_is_on", through_magic),
        ("a_loop_of_a_thousand_addresses_is_one_loop", long_loop),
        ("a_list_that_is_too_long_is_told_once_however_many_forward_to_it", long_list),
        ("rows_of_system_users_and_of_the_alias_user_can_loop", system_users),
    ];
    cases.into_iter().flat_map(|(name, case)| on_each(&format!("loops::{name}"), case)).collect()
}

/// The reasons of the loops.
fn whys(world: &World, env: &[(&str, &str)]) -> Result<Vec<String>, Failed> {
    let all = world.findings(&["--no-homes"], env)?;
    let loops = all.iter().filter(|finding| finding["rule"] == "loop");
    let mut whys: Vec<String> = loops.filter_map(|finding| finding["why"].as_str().map(str::to_owned)).collect();
    whys.sort();
    Ok(whys)
}

fn ways(world: &World, env: &[(&str, &str)]) -> Result<Vec<String>, Failed> {
    let way = |why: String| why.split(": ").next().unwrap_or_default().to_owned();
    Ok(whys(world, env)?.into_iter().map(way).collect())
}

fn oneself(world: &World) -> Outcome {
    world.aliases(&[["iain", "", "Iain", "Mail.Test"], ["bob", "", "bob", "elsewhere.example"]])?;
    world.finds(&["loop", "dangling"], &["error loop alias iain@mail.test"])?;
    // A copy of its own does not end it.
    world.aliases(&[["iain", "", ".", "/Maildir/"]])?;
    let whys = whys(world, &[])?;
    equal("loops", whys.len(), 1)?;
    ensure(whys[0].contains("5.4.6") && whys[0].contains("iain@mail.test keeps a copy"), whys[0].clone())?;
    world.lint(&["--no-homes"], &[])?.exits(1)?.says("loop alias iain@mail.test")?;
    // Without a host: control/me says which one it is.
    world.sql("DELETE FROM alias")?;
    world.aliases(&[["iain", "", "iain", ""]])?;
    equal("ways", ways(world, &[])?, ["iain@mail.test -> iain@mail.test"])
}

fn whole_way(world: &World) -> Outcome {
    world.aliases(&[
        ["iain", "a", "IAIN-B", "mail.test"],
        ["iain", "B", "iain-c", "MAIL.TEST"],
        ["iain", "c", "iain-A", "mail.test"],
        ["iain", "c", "friend", "elsewhere.example"],
        // Two more ways into it.
        ["bob", "x", "iain-b", "mail.test"],
        ["bob", "y", "iain-c", "mail.test"],
    ])?;
    let way = "iain-a@mail.test -> iain-b@mail.test -> iain-c@mail.test -> iain-a@mail.test";
    equal("ways", ways(world, &[])?, [way])?;
    // The mailbox that a longer name belongs to gets the mail, so the set is never read.
    world
        .sql("INSERT INTO mailbox (username, uid, gid, home) VALUES ('iain-c', '20009', '20009', '/nonexistent/c')")?;
    equal("ways", ways(world, &[])?, [""; 0])
}

fn diamond_and_chain(world: &World) -> Outcome {
    world.aliases(&[
        ["iain", "a", "iain-b", "mail.test"],
        ["iain", "a", "iain-c", "mail.test"],
        ["iain", "b", "iain-d", "mail.test"],
        ["iain", "c", "iain-d", "mail.test"],
        ["iain", "d", "iain-e", "mail.test"],
        ["iain", "d", ".", "/Maildir/"],
        ["iain", "e", ".", "/Maildir/"],
    ])?;
    chain(world, "end", ".", "/Maildir/")?;
    world.finds(&["loop", "dangling"], &[])
}

/// `bob-0` to `bob-999`, each forwarded to the next one, and the last one to this.
fn chain(world: &World, last: &str, user: &str, host: &str) -> Outcome {
    let rows: Vec<String> = (0..1000)
        .map(|n| {
            let next = if n == 999 { format!("bob-{last}") } else { format!("bob-{}", n + 1) };
            format!("('bob', '{n}', '{next}', 'mail.test')")
        })
        .collect();
    let columns = "alias (username, alias, alias_username, alias_host)";
    world.sql(&format!("INSERT INTO {columns} VALUES {}", rows.join(",")))?;
    world.aliases(&[["bob", last, user, host]])
}

fn long_loop(world: &World) -> Outcome {
    chain(world, "end", "bob-0", "mail.test")?;
    let ways = ways(world, &[])?;
    equal("loops", ways.len(), 1)?;
    equal("addresses", ways[0].split(" -> ").count(), 1002)
}

fn long_list(world: &World) -> Outcome {
    let members: Vec<String> =
        (0..12_000).map(|n| format!("('iain', 'list', 'member{n}', 'elsewhere.example')")).collect();
    let columns = "alias (username, alias, alias_username, alias_host)";
    for members in members.chunks(2000) {
        world.sql(&format!("INSERT INTO {columns} VALUES {}", members.join(",")))?;
    }
    // Straight, and by a way of their own.
    for n in 0..8 {
        world.aliases(&[
            ["bob", &format!("to{n}"), "iain-list", "mail.test"],
            ["bob", &format!("via{n}"), &format!("bob-to{n}"), "mail.test"],
        ])?;
    }
    let whys = whys(world, &[])?;
    let is_it = |why: &String| why.contains("more than 10000 addresses");
    ensure(whys.len() <= 1 && whys.iter().all(is_it), format!("{whys:#?}"))?;
    // What its last member does is seen all the same.
    world.aliases(&[["iain", "list", "zlast", "virtual.test"]])?;
    world.virtuals(&[["iain", "list", "zlast", "virtual.test"]])?;
    let ways = ways(world, &[])?;
    ensure(ways.iter().any(|way| way.contains("zlast@virtual.test -> ")), format!("{ways:#?}"))
}

fn two_loops(world: &World) -> Outcome {
    world.aliases(&[
        ["iain", "a", "iain-b", "mail.test"],
        ["iain", "a", "iain-c", "mail.test"],
        ["iain", "b", "iain-a", "mail.test"],
        ["iain", "c", "iain-a", "mail.test"],
    ])?;
    let want = [
        "iain-a@mail.test -> iain-b@mail.test -> iain-a@mail.test",
        "iain-a@mail.test -> iain-c@mail.test -> iain-a@mail.test",
    ];
    equal("ways", ways(world, &[])?, want)
}

fn through_virtual(world: &World) -> Outcome {
    world.virtuals(&[["iain", "sales", "Sales", "Bar.com"], ["bob", "@", "", "virtual.com"]])?;
    world.aliases(&[["iain", "sales", "Sales", "bar.COM"]])?;
    equal("ways", ways(world, &[])?, ["sales@bar.com -> sales@bar.com"])?;
    world.sql("DELETE FROM alias")?;
    world.aliases(&[["iain", "sales", "anything", "virtual.com"], ["bob", "@", "sales", "bar.com"]])?;
    equal("ways", ways(world, &[])?, ["anything@virtual.com -> sales@bar.com -> anything@virtual.com"])?;
    // The administrator's own line sends it away.
    world.control("virtualdomains", "virtual.com:\n")?;
    equal("ways", ways(world, &[])?, [""; 0])
}

fn through_alias_catch_all(world: &World) -> Outcome {
    world.aliases(&[["iain", "@", "iain-anything", "mail.test"]])?;
    equal("ways", ways(world, &[])?, ["iain-anything@mail.test -> iain-anything@mail.test"])?;
    // An extension of its own, whose mail stays.
    world.aliases(&[["iain", "anything", ".", "/Maildir/"]])?;
    equal("ways", ways(world, &[])?, [""; 0])
}

fn through_magic(world: &World) -> Outcome {
    world.virtuals(&[
        ["forward", "x@there.example", "x", "here.example"],
        ["forward", "y@here.example", "", "here.example"],
    ])?;
    world.virtuals(&[["forward", "bob@elsewhere.test", "z", "here.example"]])?;
    let on = [("QMAIL_LOOKUP_RULES__MAGIC_FORWARDING", "true")];
    equal("off", ways(world, &[])?, [""; 0])?;
    equal("on", ways(world, &on)?, ["y@here.example -> y@here.example"])?;
    world.virtuals(&[["forward", "x@here.example", "x", "there.example"]])?;
    let want = ["x@here.example -> x@there.example -> x@here.example", "y@here.example -> y@here.example"];
    equal("on", ways(world, &on)?, want)
}

fn system_users(world: &World) -> Outcome {
    // `daemon` is a system user who owns no home: the stock program passes him over, and the alias user gets the mail.
    world.aliases(&[
        ["alias", "daemon", "daemon-a", "mail.test"],
        ["alias", "daemon-a", "daemon", "mail.test"],
        ["alias", "info@bar.com", "info", "bar.com"],
    ])?;
    world.virtuals(&[["info@bar.com", "", "info", "bar.com"]])?;
    let want = ["daemon-a@mail.test -> daemon@mail.test -> daemon-a@mail.test", "info@bar.com -> info@bar.com"];
    equal("ways", ways(world, &[])?, want)?;
    // One who owns his home is found before the alias user, and has rows of his own.
    let owns =
        |user: &nix::unistd::User| std::fs::metadata(&user.dir).is_ok_and(|home| home.uid() == user.uid.as_raw());
    let Some(man) = nix::unistd::User::from_name("man")?.filter(owns) else { return Ok(()) };
    world.sql("DELETE FROM alias")?;
    world.aliases(&[["alias", "man-x", ".", "/Maildir/"], [&man.name, "x", "man-x", "mail.test"]])?;
    equal("ways", ways(world, &[])?, ["man-x@mail.test -> man-x@mail.test"])
}
