//! Answers, questions and log lines.

use super::*;
use crate::catalog::{Table, TableRow};
use crate::error::Misconfiguration;
use crate::getpw::Owner;
use crate::key::Username;
use crate::mailbox::{Mailbox, Standing};
use crate::rules::{Delivery, OwnerFlags, Set};
use crate::settings::RuleSettings;
use crate::virtuals::like;
use crate::{Host, Instruction};
use proptest::prelude::*;

fn mailbox(uid: u32, home: &str, standing: Standing) -> Mailbox {
    Mailbox { username: Username::new(b"iain").unwrap(), uid, gid: 100, home: home.as_bytes().to_vec(), standing }
}

fn verdict<A: Compared>(left: &A, right: &A) -> Verdict {
    Verdict::of(Some(&Seen::of(left)), Some(&Seen::of(right)))
}

#[test]
fn each_field_of_a_mailbox_is_found() {
    let one = Some(mailbox(800, "/h", Standing::Active));
    assert_eq!(verdict(&one, &one.clone()), Verdict::Same);
    for (other, field) in [
        (mailbox(801, "/h", Standing::Active), "uid"),
        (mailbox(800, "/i", Standing::Active), "home"),
        (mailbox(800, "/h", Standing::Suspended), "standing"),
        (Mailbox { gid: 1, ..mailbox(800, "/h", Standing::Active) }, "gid"),
    ] {
        assert_eq!(verdict(&one, &Some(other)), Verdict::Differs(vec![field]));
    }
    assert_eq!(verdict(&one, &None), Verdict::OnlyLeft);
    assert_eq!(verdict(&None, &one), Verdict::OnlyRight);
    assert_eq!(verdict(&None::<Mailbox>, &None), Verdict::Absent);
    assert_eq!(Verdict::of(None, Some(&Seen::of(&one))), Verdict::NotAsked);
    assert_eq!(Verdict::of(Some(&Seen::of(&one)), None), Verdict::NotAsked);
    assert_eq!(Verdict::of(None, None), Verdict::NotAsked);
}

#[test]
fn the_order_of_instructions_counts_and_files_are_absent() {
    let owner = OwnerFlags::default();
    let rows = |lines: [&str; 2]| Delivery::Rows {
        set: Set::Exact,
        instructions: lines.map(|line| Instruction::Forward(line.into())).to_vec(),
        owner,
    };
    let files = Delivery::Files { owner };
    assert_eq!(verdict(&rows(["a", "b"]), &rows(["b", "a"])), Verdict::Differs(vec!["instructions"]));
    assert_eq!(verdict(&rows(["a", "b"]), &files), Verdict::OnlyLeft);
    let flagged = Delivery::Files { owner: OwnerFlags { owner: true, ..owner } };
    assert_eq!(verdict(&flagged, &files), Verdict::Differs(vec!["list_owner"]));
    let (stock, alias) = (Owner::Stock { local: b"x".to_vec() }, Owner::AliasUser { ext: b"x".to_vec() });
    assert_eq!(verdict(&stock, &alias), Verdict::OnlyRight);
}

#[test]
fn a_misconfiguration_is_an_answer_and_never_absent() {
    let bad = |column| Misconfiguration { rule: "K3", table: "mailbox", key: "x".into(), column, problem: "p".into() };
    let (uid, gid): (Result<Option<Host>, _>, _) = (Err(bad("uid")), Err(bad("gid")));
    assert_eq!(verdict(&uid, &uid.clone()), Verdict::Misconfigured);
    let both = Seen::of_both(&Some(mailbox(800, "/h", Standing::Active)), &uid);
    assert_eq!(Verdict::of(Some(&both), Some(&both)), Verdict::Misconfigured);
    assert_eq!(verdict(&uid, &gid), Verdict::Differs(vec!["column"]));
    // The right side has not even a bad row.
    assert_eq!(verdict(&uid, &Ok(None)), Verdict::OnlyLeft);
    let found = Ok(Host::new(b"a.test"));
    assert_eq!(verdict(&uid, &found), Verdict::Differs(vec!["rule", "table", "column", "problem", "host"]));
}

fn questions(table: Table, cells: &[&str]) -> Vec<String> {
    let row = TableRow::from_cells(table, cells.iter().map(|cell| Some(cell.as_bytes().to_vec())));
    of_row(&row, &RuleSettings::default()).iter().map(|key| String::from_utf8(key.write()).unwrap()).collect()
}

fn asked(table: Table, cells: &[&str], wanted: &[&str]) {
    let all = questions(table, cells);
    for want in wanted {
        let want = want.replace('?', UNKNOWN);
        assert!(all.contains(&want), "{want} for {cells:?}: {all:?}");
    }
}

#[test]
fn a_row_leads_to_what_it_decides() {
    asked(Table::Mailbox, &["Iain"], &["mailbox:iain", "local:iain", "local:iain-?"]);
    asked(Table::Alias, &["iain", "List"], &["alias:iain list", "local:iain-list"]);
    asked(Table::Alias, &["iain", ""], &["alias:iain ", "local:iain"]);
    asked(Table::Alias, &["iain", "@"], &["alias:iain @", "alias:iain ?", "local:iain-?"]);
    asked(Table::Alias, &["iain", "l-owner-default"], &["alias:iain l-owner-default", "local:iain-l-owner-?"]);
    asked(Table::Alias, &["alias", "info"], &["local:info", "alias:alias info"]);
    asked(Table::Alias, &["alias", "a@b.test"], &["address:a@b.test"]);
    let virtual_row = ["b.test", "sales", "iain", "work"];
    asked(
        Table::Virtual,
        &virtual_row,
        &["address:sales@b.test", "address:?@b.test", "local:iain-work", "host:b.test"],
    );
    asked(Table::Virtual, &["b.test", "", "iain", "@"], &["address:?@b.test", "local:iain-?"]);
    asked(Table::Virtual, &[".b.test", "x", "iain", ""], &["address:x@?.b.test", "local:iain"]);
    asked(Table::Virtual, &["b.test", "s_les-%", "iain", ""], &["address:s_les-%@b.test", "address:sxles-?@b.test"]);
    asked(Table::Rcpthosts, &["b.test"], &["host:b.test", "address:?@b.test"]);
    asked(Table::Rcpthosts, &[".b.test"], &["host:?.b.test", "host:.b.test"]);
    assert!(questions(Table::Mailbox, &["a b"]).is_empty());
    assert!(questions(Table::Alias, &["", "x"]).is_empty());
}

#[test]
fn a_host_counts_without_a_usable_user() {
    let row = ["b.test", "two words", "iain", ""];
    asked(Table::Virtual, &row, &["address:?@b.test", "address:postmaster@b.test", "host:b.test"]);
    let row = |cells: &[&str]| TableRow::from_cells(Table::Virtual, cells.iter().map(|c| Some(c.as_bytes().to_vec())));
    assert!(!has_usable_key(&row(&["b.test", "two words", "iain", ""])));
    assert!(has_usable_key(&row(&["b.test", "", "iain", ""])));
    assert!(!has_usable_key(&row(&["b test", "", "iain", ""])));
}

#[test]
fn what_is_derived_is_no_longer_than_a_key_may_be() {
    let suffix = |length: usize| format!(".{}", "h".repeat(length - 1));
    // Room for five bytes; for none.
    let short = format!("{}{}", &UNKNOWN[..5], suffix(250));
    asked(Table::Virtual, &[&suffix(250), "x", "iain", ""], &[&format!("address:x@{short}")]);
    asked(Table::Rcpthosts, &[&suffix(250)], &[&format!("host:{short}")]);
    assert_eq!(questions(Table::Rcpthosts, &[&suffix(255)]), [format!("host:{}", suffix(255))]);
    assert!(questions(Table::Virtual, &[&suffix(255), "x", "iain", ""]).is_empty());
    for (table, column) in [(Table::Virtual, 0), (Table::Rcpthosts, 0)] {
        let mut cells = vec![Some(b"x".to_vec()); 4];
        cells[column] = Some(suffix(255).into_bytes());
        assert!(!has_usable_key(&TableRow::from_cells(table, cells)), "{table}");
    }
    let list = format!("{}owner-", "l".repeat(240));
    let want = format!("alias:iain {list}{}", &UNKNOWN[..9]);
    asked(Table::Alias, &["iain", &format!("{list}default")], &[&want]);
}

#[test]
fn cells_are_compared_where_answers_are_not() {
    let row = |table, cells: &[Option<&str>]| {
        TableRow::from_cells(table, cells.iter().map(|cell| cell.map(|text| text.as_bytes().to_vec())))
    };
    let mailbox = |uid, home, suspended| {
        [row(Table::Mailbox, &[Some("iain"), Some(uid), Some("0"), home, Some("x"), None, suspended])]
    };
    let one = mailbox("0", Some("/h"), None);
    for (other, fields) in [
        (mailbox("0", Some("/h"), Some("n")), vec![]),
        (mailbox("1", Some("/h"), Some("N")), vec!["uid"]),
        (mailbox("0", None, Some("Y")), vec!["home", "suspended"]),
    ] {
        assert_eq!(differing_cells(&one, &other), fields);
    }
    let alias = |seq, user| row(Table::Alias, &[Some("iain"), None, Some(user), Some(""), Some(seq)]);
    let list = [alias("1", "b"), alias("2", "a")];
    assert!(differing_cells(&list, &[alias("7", "a"), alias("5", "b")]).is_empty());
    assert_eq!(differing_cells(&list, &[alias("1", "a"), alias("2", "b")]), ["alias_username"]);
    let owner = |user, ext| row(Table::Virtual, &[Some("b.test"), None, Some(user), ext]);
    let pair = [owner("x", Some("1")), owner("y", Some("2"))];
    assert!(differing_cells(&pair, &[owner("y", Some("2")), owner("x", Some("1"))]).is_empty());
    assert_eq!(differing_cells(&pair, &[owner("x", Some("2")), owner("y", Some("1"))]), ["ext"]);
    assert!(differing_cells(&[owner("x", None)], &[owner("x", Some(""))]).is_empty());
}

#[test]
fn passwords_are_alike_as_the_rules_take_them() {
    let row = |password: Option<&str>, kind: Option<&str>| {
        let cell = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        let text = |text| cell(Some(text));
        [TableRow::from_cells(
            Table::Mailbox,
            [text("iain"), text("800"), text("100"), text("/h"), cell(password), cell(kind), None],
        )]
    };
    let differ = |one: (_, _), two: (_, _)| differing_passwords(&row(one.0, one.1), &row(two.0, two.1));
    assert!(differ((None, Some("Password")), (Some(""), Some("Password"))).is_empty());
    assert!(differ((None, None), (Some(""), None)).is_empty());
    assert!(differ((Some("x"), Some("Crypt-Password")), (Some("x"), Some("crypt-password"))).is_empty());
    assert_eq!(differ((Some("x"), Some("Password")), (Some("y"), Some("Password"))), ["password"]);
    assert_eq!(differ((Some("x"), None), (Some("x"), Some("Password"))), ["password_type"]);
    assert_eq!(differ((Some("x"), None), (Some("x"), Some(""))), ["password_type"]);
}

#[test]
fn lines_of_a_file_are_questions() {
    let read = |line: &str| Key::read(line.as_bytes()).unwrap();
    assert_eq!(read("a@b.test\n"), Some(Key::Address(b"a@b.test".to_vec())));
    assert_eq!(read("iain-list\r\n"), Some(Key::Local(b"iain-list".to_vec())));
    assert_eq!(read("host:.b.test"), Some(Key::Host(b".b.test".to_vec())));
    assert_eq!(read("mailbox:iain"), Some(Key::Mailbox(b"iain".to_vec())));
    assert_eq!(read("alias:iain list"), Some(Key::Alias { user: b"iain".to_vec(), ext: b"list".to_vec() }));
    assert_eq!(read("alias:iain"), Some(Key::Alias { user: b"iain".to_vec(), ext: Vec::new() }));
    assert_eq!(read("local:#x@y"), Some(Key::Local(b"#x@y".to_vec())));
    assert_eq!(read("a@[IPv6:::1]"), Some(Key::Address(b"a@[IPv6:::1]".to_vec())));
    for none in ["", "\n", "  ", "# a@b", "# see: a@b"] {
        assert_eq!(read(none), None, "{none:?}");
    }
    for bad in [&b"odd:thing"[..], b"Mailbox:iain", b"password:iain", b"mail\0box", b"i\xe4in", b"a:b@c.test"] {
        assert!(Key::read(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn recipients_of_a_log_are_read_with_every_time_stamp() {
    let of = |line: &str| -> Vec<String> {
        of_log_line(line.as_bytes()).iter().map(|key| String::from_utf8(key.write()).unwrap()).collect()
    };
    for stamp in [
        "",
        "@400000005f0b1c2d0a1b2c3d ",
        "2026-11-22 21:15:03.123456 ",
        "Nov 22 21:15:03 mx1 qmail: 1795382103.123456 ",
        "2026-11-22T21:15:03.123456+00:00 mx1 qmail[17]: 1795382103.123456 ",
        "1795382103.123456 ",
    ] {
        let line = |rest: &str| of(&format!("{stamp}starting delivery 17: msg 524301 to {rest}\n"));
        assert_eq!(line("local iain-List@mx1.test"), ["local:iain-List", "address:iain-List@mx1.test"]);
        assert_eq!(line("local =bar.com=-Sales@bar.com"), ["local:=bar.com=-Sales", "address:Sales@bar.com"]);
        assert_eq!(line("local =.bar.com=-x@a.bar.com"), ["local:=.bar.com=-x", "address:x@a.bar.com"]);
        // Typed by somebody: it is not the recipient of a virtual host.
        assert_eq!(line("local =bar.com=-x@mx1.test"), ["local:=bar.com=-x"]);
        assert_eq!(line("local bob-sales@shop.test"), ["local:bob-sales", "address:bob-sales@shop.test"]);
        assert_eq!(line("remote a@b@example.org"), ["address:a@b@example.org"]);
    }
    for other in [
        "status: local 1/10 remote 0/20",
        "delivery 17: success: did_1+0+0/",
        "info msg 524301: bytes 220 from <a@b> qp 9 uid 0",
        "end msg 524301",
        "delivery 1: failure: starting_delivery_1:_msg_1_to_local_a@b/",
        "starting delivery x: msg 1 to local a@b",
        "starting delivery 1: msg 1 to local a b@c",
        "starting delivery 1: msg 1 to local ",
        "notstarting delivery 1: msg 1 to local a@b",
        "",
    ] {
        assert!(of(other).is_empty(), "{other}");
    }
}

proptest! {
    #[test]
    fn keys_are_read_as_they_are_written(text in "[a-z0-9@.#:=-]{0,12}", ext in "[a-z :@-]{0,8}") {
        let bytes = || text.clone().into_bytes();
        let alias = Key::Alias { user: bytes(), ext: ext.into_bytes() };
        for key in [Key::Mailbox(bytes()), Key::Local(bytes()), Key::Address(bytes()), Key::Host(bytes()), alias] {
            prop_assert_eq!(Key::of_written(&key.write()), Some(key.clone()));
            prop_assert_eq!(Key::read(&key.write()), Ok(Some(key)));
        }
    }

    #[test]
    fn a_pattern_is_asked_about_by_what_it_matches(pattern in "([a-z%_\\\\-]{1,8}|[%a]{100,128})") {
        let all = questions(Table::Virtual, &["b.test", &pattern, "iain", ""]);
        let users = all.iter().filter_map(|key| key.strip_prefix("address:")?.strip_suffix("@b.test"));
        let users: Vec<_> = users.collect();
        prop_assert!(users.iter().all(|user| user.len() <= crate::limits::USERNAME_MAX), "{:?}", all);
        prop_assert!(users.iter().any(|user| like(pattern.as_bytes(), user.as_bytes())), "{:?}", all);
    }

    #[test]
    fn no_line_of_a_log_harms(line in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = of_log_line(&line);
        let _ = of_log_line(&[b"starting delivery 1: msg 1 to local ", &line[..]].concat());
    }
}
