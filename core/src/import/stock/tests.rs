use super::assign::Assignments;
use super::dotqmail::{self, File, Owner};
use super::hosts::{Accepted, Around, prepends, rcpthosts, virtual_rows};
use super::users::{By, Home, Judged, Login, judge, passwd, shadow};
use super::{People, Told, assign};
use crate::control::Control;
use crate::control::lines::pairs;
use crate::key::Host;
use crate::settings::{RuleSettings, VirtualPatterns};

fn people(mailboxes: &[&str], others: &[&str]) -> People {
    let place = |name: &&str| (name.as_bytes().to_vec(), (1000, 1000, format!("/home/{name}").into_bytes()));
    People { mailboxes: mailboxes.iter().map(place).collect(), others: others.iter().map(place).collect() }
}

/// `USER@HOST owner ext` of each row, and whom the losses are about.
fn virtuals(lines: &str, people: &People, rules: &RuleSettings) -> (Vec<String>, Vec<String>) {
    assigned_virtuals(lines, "", people, rules)
}

/// The same beside these lines of users/assign.
fn assigned_virtuals(lines: &str, assign: &str, people: &People, rules: &RuleSettings) -> (Vec<String>, Vec<String>) {
    let assignments = &Assignments::new(assign::read(format!("{assign}.\n").as_bytes()).unwrap());
    let virtual_domains = pairs(lines.as_bytes()).map(|(key, value)| (key, value.to_vec())).collect();
    let control = Control { locals: Host::new(b"local.test").map(|host| vec![host]), virtual_domains };
    let mut told = Told::default();
    let around = Around { control: &control, people, assignments, rules };
    let rows = virtual_rows(lines.as_bytes(), around, &mut told);
    let wild = |row: &crate::VirtualRow| row.virtual_host.as_ref().unwrap().starts_with(b".");
    assert_eq!(told.notes.iter().any(|(_, why)| why.contains("sync.wildcards")), rows.iter().any(wild), "{told:?}");
    let text = |cell: Option<Vec<u8>>| String::from_utf8(cell.unwrap()).unwrap();
    let row = |row: crate::VirtualRow| {
        let (user, host) = (text(row.virtual_username), text(row.virtual_host));
        format!("{user}@{host} {} {}", text(row.username), text(row.ext))
    };
    let about = |(what, _): (String, String)| what.strip_prefix("control/virtualdomains, ").unwrap().to_owned();
    (rows.into_iter().map(row).collect(), told.losses.into_iter().map(about).collect())
}

#[test]
fn hosts_become_rows_that_route_as_their_lines_do() {
    let rules = RuleSettings::default();
    let people = people(&["joe", "joe-smith", "ann"], &["sys", "ann-x"]);
    let of = |lines: &str| virtuals(lines, &people, &rules);
    let is = |rows: &[&str], losses: &[&str]| {
        let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        (owned(rows), owned(losses))
    };
    for (lines, want) in [
        ("Shop.test:Alias-shop\n.w.test:list\n", is(&["@.w.test list @", "@shop.test alias-shop @"], &[])),
        // A user with a longer name has a row of his own, but not for his extensions.
        ("h.test:joe\n", is(&["@h.test joe @", "smith@h.test joe-smith "], &["h.test:joe"])),
        ("h.test:ann\n", is(&["@h.test ann @"], &["h.test:ann"])),
        ("h.test:sys\n", is(&["@h.test sys @"], &[])),
        ("h.test:joe-smith\n", is(&["@h.test joe-smith @"], &[])),
        ("h.test:first\nh.test:last\n", is(&["@h.test last @"], &[])),
        ("h.test:=h.test=\n", is(&[], &[])),
        ("local.test:x\n:all\nh.test:\n[127.0.0.1]:x\nh2.test:a b\n=:x\n", {
            let losses = [":all", "=:x", "[127.0.0.1]:x", "h.test:", "h2.test:a\\x20b", "local.test:x"];
            is(&[], &losses)
        }),
        // Of an address without its host the rest would bounce.
        ("a@h.test:x\nb@h.test:\nc@local.test:x\n", is(&[], &["a@h.test:x", "b@h.test:", "c@local.test:x"])),
        ("A@h.test:x\nh.test:y\n", is(&["@h.test y @", "a@h.test x @"], &[])),
        // By the wildcard's line the rest goes where it went.
        ("a@h.test:x\n.test:y\n", is(&["@.test y @", "@h.test y @", "a@h.test x @"], &[])),
        ("smith@h.test:x\nh.test:joe\n", is(&["@h.test joe @", "smith@h.test x @"], &["h.test:joe"])),
        ("smith-y@h.test:joe\nh.test:z\n", is(&["@h.test z @", "smith-y@h.test joe-smith y"], &[])),
        ("x@h.test:ann\nh.test:z\n", is(&["@h.test z @"], &["x@h.test:ann"])),
        ("x@h.test:joe\nh.test:z\n", is(&["@h.test z @", "x@h.test joe @"], &[])),
    ] {
        assert_eq!(of(lines), want, "{lines}");
    }
    let like = RuleSettings { virtual_patterns: VirtualPatterns::Like, ..rules.clone() };
    let (rows, _) = virtuals("h.test:x\na_b@h.test:y\n", &people, &like);
    assert_eq!(rows, ["%@h.test x @", "a\\_b@h.test y @"]);
    let magic = RuleSettings { magic_forwarding: true, ..rules.clone() };
    assert_eq!(virtuals("h.test:forward\n", &people, &magic).0, [""; 0]);
    assert_eq!(prepends(b"a.test:joe\nb.test:Alias-b\nc.test:\nd.test:alias-b\n", &people), [b"alias-b"]);
}

#[test]
fn what_users_assign_gives_to_another_is_no_virtual_row() {
    let (people, rules) = (people(&["joe"], &["sys"]), RuleSettings::default());
    let of = |lines: &str, assign: &str| assigned_virtuals(lines, assign, &people, &rules).0;
    let place = ":1000:1000:/home/joe:";
    let his = format!("=joe:joe{place}::\n+joe-:joe{place}-::\n");
    for (assign, is_row) in [
        (String::new(), true),
        (format!("+v.test-:v.test{place}-::\n"), false),
        (format!("+V.te:joe{place}-::\n"), false),
        (format!("+v.test-a:joe{place}-::\n"), false),
        (format!("=v.test-info:joe{place}::\n"), false),
        (format!("=v.test:joe{place}::\n=v.tests-info:joe{place}::\n+v.test.:joe{place}-::\n{his}"), true),
        (format!("+:joe{place}-::\n"), false),
        ("+:alias:7:7:/a:-::\n".to_owned(), true),
    ] {
        assert_eq!(of("h.test:v.test\n", &assign).len(), usize::from(is_row), "{assign}");
    }
    // The mailbox's own lines say what its row says, and are found before shorter ones.
    let boss = format!("=joe-boss:boss{place}::\n");
    assert_eq!(of("h.test:joe\n", &format!("{his}+j:x{place}-::\n=joe-list:joe{place}-:list:\n")), ["@h.test joe @"]);
    assert_eq!(of("h.test:joe\n", &format!("{his}{boss}")), [""; 0]);
    // With a line for everybody a system user without one is nobody.
    assert_eq!(of("h.test:sys\n", "+:alias:7:7:/a:-::\n"), [""; 0]);
    // Of an address only its own local part counts.
    let lines = "boss@h.test:joe\nann@h.test:joe\nh.test:y\n";
    assert_eq!(of(lines, &format!("{his}{boss}")), ["@h.test y @", "ann@h.test joe @"]);
}

#[test]
fn accepted_hosts_are_rows_and_those_of_others_are_told() {
    let control = Control { locals: Host::new(b"local.test").map(|host| vec![host]), ..Control::default() };
    let (people, rules) = (People::default(), RuleSettings::default());
    let assignments = Assignments::default();
    let around = Around { control: &control, people: &people, assignments: &assignments, rules: &rules };
    let mut told = Told::default();
    let more = ["backup.test", "local.test", "bad host"].map(|host| host.as_bytes().to_vec());
    let first = b"local.test\n.w.test\nrouted.test\n".to_vec();
    let mut accepted = Accepted { first: Some(first), text: None, more: Some(more.to_vec()) };
    let rows = rcpthosts(&accepted, b"routed.test:x\n", around, &mut told);
    let hosts: Vec<_> = rows.into_iter().map(|row| String::from_utf8(row.host.unwrap()).unwrap()).collect();
    assert_eq!(hosts, [".w.test", "backup.test", "local.test", "routed.test"]);
    assert!(told.losses.len() == 1 && told.notes[0].0.ends_with(".w.test and 1 more"), "{told:?}");
    // Only the database counts.
    accepted.text = Some(b"Backup.test\nlocal.test\nnew.test\nnewer.test\n".to_vec());
    let mut differ = Told::default();
    assert_eq!(rcpthosts(&accepted, b"", around, &mut differ).len(), 4);
    assert_eq!(differ.losses[0].0, "control/morercpthosts, new.test and 1 more");
    assert_eq!(differ.notes[0].0, "control/morercpthosts.cdb, bad\\x20host");
    accepted.more = None;
    assert_eq!(rcpthosts(&accepted, b"", around, &mut Told::default()).len(), 3);
    accepted.first = None;
    assert_eq!(rcpthosts(&accepted, b"", around, &mut told), []);
    assert_eq!(told.losses[1].0, "control/rcpthosts");
}

/// `EXT: LINE LINE` of each set, and what is left to files.
fn files(files: &[(&str, &str, u32)]) -> (Vec<String>, Vec<String>) {
    let rules = RuleSettings::default();
    let file = |(name, text, mode): &(&str, &str, u32)| File {
        name: name.as_bytes().to_vec(),
        content: Ok((text.as_bytes().to_vec(), *mode)),
    };
    let files = files.iter().map(|one| Ok(file(one)));
    let mut told = Told::default();
    let sets = dotqmail::sets(Owner { name: b"joe", home: b"/h", alias: None }, files, &rules, &mut told).unwrap();
    let line = |row: &crate::AliasRow| String::from_utf8(row.instruction(b"/h", &rules).unwrap().to_line()).unwrap();
    let ext = |row: &crate::AliasRow| String::from_utf8(row.alias.clone().unwrap()).unwrap();
    let set = |set: &Vec<crate::AliasRow>| {
        format!("{}: {}", ext(&set[0]), set.iter().map(line).collect::<Vec<_>>().join(" "))
    };
    let mut sets: Vec<_> = sets.iter().map(set).collect();
    sets.sort();
    let left = |(what, _): (String, String)| what.strip_prefix("/h/").unwrap().to_owned();
    (sets, told.losses.into_iter().map(left).collect())
}

#[test]
fn a_file_becomes_a_set_or_stays_whole() {
    let ok = ["# c\n./Maildir/ \n\n&a@b.test\n|p q\nme", "# c\n+x\n/M\n"];
    assert_eq!(files(&[(".qmail", ok[0], 0o644)]).0, [": ./Maildir/ &a@b.test |p q &me"]);
    assert_eq!(files(&[(".qmail-A", ok[0], 0o644), (".qmail-a.b", ok[0], 0o644)]), (vec![], vec![]));
    assert_eq!(files(&[(".qmail-a:b", ok[1], 0o600), (".qmailx", ok[1], 0o600)]).0, ["a.b: /M"]);
    for (text, mode) in [
        ("", 0o644),
        ("\n./M\n", 0o644),
        (" \t\n./M\n", 0o644),
        ("# c\n", 0o644),
        ("a@b\n+list\nc@d\n", 0o644),
        ("./M/\n&a b\n", 0o644),
        ("./M/\n.\n", 0o644),
        ("./M\0\n", 0o644),
        ("./M/\n", 0o744),
        ("./M/\n", 0o664),
        ("./M/\n", 0o646),
    ] {
        assert_eq!(files(&[(".qmail-x", text, mode)]), (vec![], vec![".qmail-x".to_owned()]), "{text:?} {mode:o}");
    }
}

#[test]
fn the_catch_all_is_a_row_only_where_it_comes_before_no_file() {
    let (ok, bad) = ("./M/\n", "# nothing\n");
    let default = (".qmail-default", ok, 0o644);
    let sets = |list: &[(&str, &str, u32)]| files(list).0;
    assert_eq!(sets(&[(".qmail", bad, 0o644), default, (".qmail-x", ok, 0o644)]), ["@: ./M/", "x: ./M/"]);
    for blocks in [
        (".qmail-x", bad, 0o644),
        (".qmail-x-default", ok, 0o644),
        (".qmail-x@y", ok, 0o644),
        (".qmail-\u{e9}", ok, 0o644),
        (".qmail-", ok, 0o644),
    ] {
        let (sets, left) = files(&[default, blocks]);
        assert!(sets.is_empty() && left.len() == 2, "{blocks:?}: {sets:?} {left:?}");
    }
    // What sync makes, and what qmail never reads, blocks nothing.
    assert_eq!(sets(&[(".qmail-=h:test=-default", bad, 0o644), default, (".qmail-a.bak", bad, 0o644)]), ["@: ./M/"]);
    // Bounces of lists have a default of their own (rule A5).
    let lists = [default, (".qmail-l-owner-default", ok, 0o644), (".qmail-owner-default", ok, 0o644)];
    assert_eq!(sets(&lists), ["@: ./M/", "l-owner-default: ./M/", "owner-default: ./M/"]);
    // Before a file that stays they are none, nor what is for all of the beginning.
    let of = |name| files(&[(name, bad, 0o644), lists[0], lists[1], lists[2], (".qmail-l-owner-bob", ok, 0o644)]);
    assert_eq!(of(".qmail-l-owner-ann").0, ["l-owner-bob: ./M/", "owner-default: ./M/"]);
    assert_eq!(of(".qmail-l-owner-ann").1, [".qmail-l-owner-ann", ".qmail-l-owner-default", ".qmail-default"]);
    assert_eq!(of(".qmail-owner-l-owner-x").0, ["l-owner-bob: ./M/", "l-owner-default: ./M/"]);
    assert_eq!(of(".qmail-l-owner").0, ["l-owner-bob: ./M/", "l-owner-default: ./M/", "owner-default: ./M/"]);
}

#[test]
fn of_a_home_with_too_much_nothing_becomes_rows() {
    let file = |at: usize, text: &str| File {
        name: format!(".qmail-{at}").into_bytes(),
        content: Ok((text.as_bytes().to_vec(), 0o644)),
    };
    let of = |count: usize, last: Result<File, String>| {
        let owner = Owner { name: b"joe", home: b"/h", alias: None };
        let (mut told, bad) = (Told::default(), file(count, "# nothing\n"));
        let files = (0..count).map(|at| Ok(file(at, &"a\n".repeat(9_999)))).chain([Ok(bad), last]);
        let sets = dotqmail::sets(owner, files, &RuleSettings::default(), &mut told);
        (sets.map(|sets| sets.len()), told.losses.len())
    };
    assert_eq!(of(4, Ok(file(9, "x\n"))), (Ok(5), 1));
    let (sets, losses) = of(5, Ok(file(9, "x\n")));
    assert!(sets.unwrap_err().contains("50000 lines") && losses == 0);
    assert_eq!(of(0, Err("too much".to_owned())), (Err("too much".to_owned()), 0));
}

#[test]
fn an_alias_that_would_take_a_mailboxs_virtual_mail_stays_a_file() {
    let people = people(&["list-x", "joe"], &["ops"]);
    let file = |name: &str| Ok(File { name: name.as_bytes().to_vec(), content: Ok((b"a@b.test\n".to_vec(), 0o644)) });
    let prepends = prepends(b"a.test:list\nb.test:ops\nc.test:joe\n", &people);
    let owner = Owner { name: b"alias", home: b"/a", alias: Some((&prepends, &people)) };
    let mut told = Told::default();
    // A mailbox's mail is its own whatever rows the alias user has; a system user's is not.
    let all = ["list-x-y", "list-z", "list-x", "ops-info", "joe-info"].map(|ext| file(&format!(".qmail-{ext}")));
    let sets = dotqmail::sets(owner, all, &RuleSettings::default(), &mut told).unwrap();
    assert_eq!((sets.len(), told.losses.len()), (2, 3), "{told:?}");
    assert!(told.losses[2].0.ends_with(".qmail-ops-info") && told.losses[2].1.contains("mail of ops"), "{told:?}");
}

#[test]
fn rows_get_numbers_only_if_a_set_needs_them() {
    let numbers = |texts: &[&str]| -> Vec<Option<String>> {
        let rules = RuleSettings::default();
        let file = |(at, text): (usize, &&str)| {
            let name = format!(".qmail-{at}").into_bytes();
            Ok(File { name, content: Ok((text.as_bytes().to_vec(), 0o644)) })
        };
        let files = texts.iter().enumerate().map(file);
        let owner = Owner { name: b"joe", home: b"/h", alias: None };
        let sets = dotqmail::sets(owner, files, &rules, &mut Told::default()).unwrap();
        let rows = dotqmail::numbered(sets, &rules);
        rows.into_iter().map(|row| row.seq.map(|seq| String::from_utf8(seq).unwrap())).collect()
    };
    assert_eq!(numbers(&["|p\n./M/\na\nb\n", "c\n"]), [const { None::<String> }; 5]);
    let some = ["1", "2", "3"].map(|n| Some(n.to_owned()));
    assert_eq!(numbers(&["./M/\n|p\n", "c\n"]), some);
}

#[test]
fn users_are_judged_as_qmail_getpw_and_the_rules_do() {
    let lines = "root:x:0:0::/root:/bin/sh\njoe:x:1000:1000::/home/joe:/bin/sh\nlow:x:50:50::/h:\n\
                 Cap:x:1001:1001::/h:\nann:x:1002:1002::h:\njoe:x:7:7::/twice:\nbad:x:y:1::/h:\n+::::::\nshort:x:1\n";
    let mut told = Told::default();
    let users = passwd(lines.as_bytes(), &mut told);
    assert_eq!((users.len(), told.losses.len()), (5, 3), "{told:?}");
    let rules = RuleSettings::default();
    let of = |at: usize, home: &Home| judge(&users[at], By::Getpw, home, &rules);
    assert_eq!(of(0, &Home::Of(0, 0)), Judged::PassedOver("uid 0"));
    assert_eq!(of(1, &Home::Of(1000, 1000)), Judged::Mailbox);
    assert_eq!(of(1, &Home::Missing), Judged::PassedOver("no home"));
    assert_eq!(of(1, &Home::Of(0, 1000)), Judged::PassedOver("another's home"));
    assert!(matches!(of(1, &Home::Of(1000, 8)), Judged::Stays(_)));
    assert!(matches!(of(1, &Home::Unknown("x".to_owned())), Judged::Stays(_)));
    assert!(matches!(of(1, &Home::Behind("/x".to_owned())), Judged::Stays(why) if why.contains("past /x")));
    // The longest name is qmail-getpw's, not that of users/cdb.
    let mut long = users[1].clone();
    long.place_at(&"n".repeat(32));
    assert!(matches!(judge(&long, By::Getpw, &Home::Of(1000, 1000), &rules), Judged::PassedOver(_)));
    assert_eq!(judge(&long, By::Cdb, &Home::Of(1000, 1000), &rules), Judged::Mailbox);
    assert!(matches!(of(2, &Home::Of(50, 50)), Judged::Stays(why) if why.contains("uid")));
    assert!(matches!(of(3, &Home::Of(1001, 1001)), Judged::PassedOver(_)));
    assert!(matches!(of(4, &Home::Of(1002, 1002)), Judged::Stays(why) if why.contains("home")));
}

#[test]
fn only_a_hash_that_lets_its_owner_in_there_lets_him_in_here() {
    let hash = "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";
    let lines = format!(
        "a:{hash}:1::::::\nb:!{hash}:1::::::\nc:*:1::::::\nd::1::::::\ne:{hash}:1:::::100:\nf:{hash}:1:::::101:\ng:secret:1::::::\n"
    );
    let found = shadow(lines.as_bytes(), 100);
    let open: Vec<_> = (b'a'..=b'g').filter(|name| matches!(found[&vec![*name]], Login::Hash(_))).collect();
    assert_eq!(open, b"af");
}

#[test]
fn a_pair_of_lines_is_a_mailbox_and_others_are_told() {
    let lines = "=joe:joe:1000:1000:/home/joe:::\n+joe-:joe:1000:1000:/home/joe:-::\n=solo:solo:1001:1001:/home/solo:::\n\
                 =joe-list:joe:1000:1000:/home/joe:-:list:\n=boss:joe:1000:1000:/home/joe:::\n\
                 =sales:joe:1000:1000:/home/joe:-:sales:\n+pre-:joe:1000:1000:/home/joe:-::\n+:alias:7:7:/a:-::\n.\nrest\n";
    let all = Assignments::new(assign::read(lines.as_bytes()).unwrap());
    let users = all.users();
    assert_eq!(users.iter().map(|user| &user.name[..]).collect::<Vec<_>>(), [b"joe"]);
    let mut told = Told::default();
    all.tell(&people(&["joe"], &[]), "alias", &mut told);
    let about: Vec<_> = told.losses.iter().map(|(what, _)| what.rsplit(' ').next().unwrap()).collect();
    assert_eq!(about, ["(=solo)", "(=boss)", "(=sales)", "(+pre-)"]);
    assert!(told.notes.len() == 2 && told.notes[1].0 == "users/assign, 3 lines", "{told:?}");
    assert!(all.covers(b"joe") && all.covers(b"pre-x") && !all.covers(b"pre") && !all.covers(b"solo"));
    // Whom a line takes mail from is no row of passwd's.
    let mut user = users[0].clone();
    assert_eq!(all.taker(&user), None);
    user.place_at("pre");
    assert!(all.taker(&user).is_some());
    user.place_at("solo");
    assert!(all.taker(&user).is_some());
    for cut in ["=joe:joe:1000:1000:/home/joe:::\n", "=joe:joe\n.\n", "joe\n.\n", "=joe:joe:x:1:/h:::\n.\n", ""] {
        assert!(assign::read(cut.as_bytes()).is_err(), "{cut:?}");
    }
}

impl super::users::User {
    fn place_at(&mut self, name: &str) {
        self.name = name.into();
    }
}
