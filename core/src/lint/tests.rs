//! Each judgment: found where it should be, and not found beside it.

use super::{AliasJudge, Finding, HostJudge, Judge, MailboxJudge, Repair, VirtualJudge, deny_unknown};
use crate::catalog::{Table, TableRow};
use crate::editor::Change;
use crate::key::{Host, Username};
use crate::settings::{AliasPaths, AliasPrograms, RuleSettings, VirtualPatterns};

fn row(table: Table, cells: &[Option<&str>]) -> TableRow {
    TableRow::from_cells(table, cells.iter().map(|cell| cell.map(|text| text.as_bytes().to_vec())))
}

fn judged(mut judge: impl Judge, mut rows: Vec<TableRow>) -> Vec<Finding> {
    rows.sort_by_cached_key(TableRow::order);
    let mut found = Vec::new();
    rows.iter().for_each(|row| judge.row(row, &mut found));
    judge.end(&mut found);
    found
}

/// `error K3 iain`, in order.
fn said(found: &[Finding]) -> Vec<String> {
    found.iter().map(|f| format!("{} {} {}", f.severity.as_str(), f.rule, f.key).trim_end().to_owned()).collect()
}

fn change(finding: &Finding) -> Option<(Vec<String>, Vec<String>)> {
    let cells = |row: &TableRow| -> Vec<String> {
        row.cells().iter().map(|c| String::from_utf8_lossy(c.unwrap_or(b"NULL")).into_owned()).collect()
    };
    match &finding.repair {
        Repair::Change(Change::Replace { old, new }) => Some((cells(old), cells(new))),
        Repair::Change(Change::Delete(old)) => Some((cells(old), Vec::new())),
        _ => None,
    }
}

const HASH: &str = "$5$saltsalt$D/HPNrCiu3XAm0aaTpcAJsG3bmUjNZQ.V0m5WvIoYu5";

fn mailbox(name: &str, uid: &str, home: &str, suspended: Option<&str>) -> TableRow {
    row(
        Table::Mailbox,
        &[Some(name), Some(uid), Some("100"), Some(home), Some(HASH), Some("Crypt-Password"), suspended],
    )
}

fn good(name: &str, uid: &str) -> TableRow {
    mailbox(name, uid, "/home/x", Some("N"))
}

fn mailboxes(settings: &RuleSettings, rows: Vec<TableRow>) -> Vec<Finding> {
    judged(MailboxJudge::new(settings, true), rows)
}

#[test]
fn good_mailboxes_are_not_mentioned() {
    let rows = vec![good("iain", "800"), good("iain-sanity", "801"), good("Forward", "802")];
    assert_eq!(mailboxes(&RuleSettings::default(), rows), []);
}

#[test]
fn a_name_that_nobody_can_ask_for_is_an_error() {
    for name in ["ia in", "\u{ef}ain", "", "a\nb", &"x".repeat(129)] {
        let found = mailboxes(&RuleSettings::default(), vec![good(name, "800")]);
        assert_eq!(said(&found).len(), 1, "{name}: {found:?}");
        assert!(said(&found)[0].starts_with("error K1"), "{found:?}");
        assert_eq!(change(&found[0]), None);
    }
    let found = mailboxes(&RuleSettings::default(), vec![good("=x", "800")]);
    assert_eq!(said(&found), ["error K3 =x"]);
}

#[test]
fn blanks_at_the_end_of_a_name_go_unless_another_row_has_it() {
    let found = mailboxes(&RuleSettings::default(), vec![good("dmp", "801"), good("iain ", "800")]);
    assert_eq!(change(&found[0]).unwrap().1[0], "iain");
    let found = mailboxes(&RuleSettings::default(), vec![good("Iain", "801"), good("iain ", "800")]);
    assert_eq!((said(&found), change(&found[0])), (vec!["error K1 iain\\x20".to_owned()], None));
}

#[test]
fn two_rows_for_one_name_are_an_error_and_the_same_row_twice_is_one_too_many() {
    let found = mailboxes(&RuleSettings::default(), vec![good("Iain", "800"), good("iain", "801"), good("z", "802")]);
    assert_eq!(said(&found), ["error K3 iain"]);
    assert!(found[0].why.contains("(Iain and iain: case does not count)") && change(&found[0]).is_none());
    let found = mailboxes(&RuleSettings::default(), vec![good("iain", "800"); 3]);
    assert_eq!(said(&found), ["error K3 iain", "error K3 iain", "note A6"]);
    assert!(matches!(found[0].repair, Repair::Change(Change::Delete(_))));
}

#[test]
fn the_same_row_twice_is_deleted_only_if_no_other_password_could_go_with_it() {
    let with = |password: &str| {
        let cells = ["iain", "800", "100", "/h", password, "Password", "N"];
        row(Table::Mailbox, &cells.map(Some))
    };
    let repairs = |rows: Vec<TableRow>| {
        let found = mailboxes(&RuleSettings::default(), rows);
        let k3: Vec<_> = found.iter().filter(|f| f.rule == "K3").collect();
        (k3.len(), k3.iter().filter(|f| matches!(f.repair, Repair::Change(_))).count())
    };
    assert_eq!(repairs(vec![with("x"), with("x"), good("z", "801")]), (1, 1));
    for others in [["x", "x", "y"], ["x", "y", "y"], ["y", "x", "x"]] {
        assert_eq!(repairs(others.map(with).to_vec()), (2, 0), "{others:?}");
    }
}

#[test]
fn a_store_without_any_mailbox_is_an_error() {
    assert_eq!(said(&mailboxes(&RuleSettings::default(), Vec::new())), ["error K4"]);
}

#[test]
fn a_value_of_suspended_that_may_be_a_password_is_not_shown() {
    for (value, is_shown) in [("locked", true), ("1", true), ("No-Login", true), ("hunter2", false), ("a b", false)] {
        let found = mailboxes(&RuleSettings::default(), vec![mailbox("iain", "800", "/h", Some(value))]);
        assert_eq!((said(&found), found[0].why.contains(value)), (vec!["warning P3".to_owned()], is_shown), "{value}");
    }
    let long = "x".repeat(21);
    let found = mailboxes(&RuleSettings::default(), vec![mailbox("iain", "800", "/h", Some(&long))]);
    assert!(found[0].why.contains("a value of 21 bytes") && !found[0].why.contains(&long), "{found:?}");
}

#[test]
fn ids_and_homes_are_judged_by_the_rule_that_judges_them_when_they_are_used() {
    let settings = RuleSettings { deny_uids: vec![870], ..RuleSettings::default() };
    for (uid, home, word) in [
        ("0", "/h", "0 is root"),
        ("99", "/h", "minimum"),
        ("x", "/h", "not a number"),
        ("870", "/h", "denied"),
        ("800", "home", "absolute"),
        ("800", "/h\n", "newline"),
    ] {
        let found = mailboxes(&settings, vec![mailbox("iain", uid, home, None)]);
        assert_eq!(said(&found), ["error K3 iain"]);
        assert!(found[0].why.contains(word), "{found:?}");
    }
}

#[test]
fn unknown_denied_ids_are_told_once() {
    let settings = RuleSettings { deny_unknown: Some("user qmailq".to_owned()), ..RuleSettings::default() };
    assert!(deny_unknown(&settings).unwrap().why.contains("user qmailq"));
    assert_eq!(mailboxes(&settings, vec![good("iain", "800")]), []);
    assert_eq!(deny_unknown(&RuleSettings::default()), None);
}

#[test]
fn suspended_values_are_counted_by_value() {
    let of = |name: &str, value| mailbox(name, "800", "/h", value);
    let rows = vec![
        of("a", None),
        of("b", Some("n")),
        of("c", Some("Y")),
        of("d", Some("0")),
        of("e", Some("0")),
        of("f", Some("")),
    ];
    let found = mailboxes(&RuleSettings { min_uid: 1, ..RuleSettings::default() }, rows);
    let of_p3: Vec<_> = found.iter().filter(|f| f.rule == "P3").collect();
    assert_eq!(said(&found), ["warning P3", "warning P3", "note P3", "note A6"]);
    assert!(of_p3[0].why.starts_with("1 user (f): locked out by the value ''"), "{found:?}");
    assert!(of_p3[1].why.starts_with("2 users (d for instance): locked out by the value '0'"), "{found:?}");
}

#[test]
fn passwords_that_cannot_be_verified_are_errors_and_weak_ones_are_counted() {
    let with = |name: &str, password: &str, kind: &str| {
        let cells = [name, "800", "100", "/h", password, kind, "N"];
        row(Table::Mailbox, &cells.map(Some))
    };
    let rows = vec![
        with("a", "secret", "Password"),
        with("b", "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29", "Password"),
        with("c", "abgOeLfPimXQo", "Crypt-Password"),
        with("d", "abgOeLfPimXQo", "crypt"),
        with("e", "*94BDCEBE", "MySQL-Password"),
        with("f", "378b243e220ca493", "MySQL-Password"),
        with("g", "", "Password"),
        with("h", "$6$rounds=9999999$saltsalt$x", "Crypt-Password"),
        with("i", "secret", "Password"),
    ];
    let found = mailboxes(&RuleSettings::default(), rows.clone());
    let p: Vec<_> = found.iter().filter(|f| f.rule.starts_with('P')).cloned().collect();
    assert_eq!(
        said(&p),
        ["error P2 b", "error P2 d", "error P2 e", "error P2 h", "warning P2", "note P1", "note P1", "note P1"]
    );
    assert!(p.iter().any(|f| f.why.starts_with("2 passwords (a for instance) stored in clear")), "{p:?}");
    assert!(found.iter().all(|f| !format!("{f:?}").contains("abgOe") && !f.why.contains("secret")));
    // Where a directory decides, what is stored says nothing.
    let bound = judged(MailboxJudge::new(&RuleSettings::default(), false), rows);
    assert!(bound.iter().all(|f| !f.rule.starts_with('P')), "{bound:?}");
}

#[test]
fn a_mailbox_named_forward_counts_only_with_magic_forwarding() {
    let magic = RuleSettings { magic_forwarding: true, ..RuleSettings::default() };
    assert_eq!(said(&mailboxes(&magic, vec![good("Forward", "800")])), ["error V6 Forward"]);
}

#[test]
fn shared_uids_are_one_note_with_the_largest_first() {
    let rows = vec![good("a", "800"), good("b", "801"), good("c", "801"), good("d", "801"), good("e", "802")];
    let found = mailboxes(&RuleSettings::default(), rows);
    assert_eq!(said(&found), ["note A6"]);
    assert!(found[0].why.starts_with("3 mailboxes share their uid with others; most of them, 3, have uid 801 (d"));
}

fn alias(name: &str, ext: &str, user: &str, host: &str) -> TableRow {
    row(Table::Alias, &[Some(name), Some(ext), Some(user), Some(host), None])
}

fn aliases(settings: &RuleSettings, rows: Vec<TableRow>) -> Vec<Finding> {
    judged(AliasJudge::new(settings), rows)
}

#[test]
fn good_alias_rows_are_not_mentioned() {
    let rows = vec![
        alias("iain", "", ".", "/Maildir/"),
        alias("iain", "@", "/", "home/iain/Mailbox"),
        alias("iain", "List", "|", "filter"),
        alias("iain", "list", "a", "b.org"),
        alias("dmp", "list", "a", "b.org"),
    ];
    assert_eq!(aliases(&RuleSettings::default(), rows), []);
}

#[test]
fn a_blank_row_gets_a_maildir_if_it_is_alone_and_goes_if_it_is_not() {
    let found = aliases(&RuleSettings::default(), vec![alias("iain", "x", "", ""), alias("iain", "y", "a", "b.org")]);
    assert_eq!(said(&found), ["error A2 iain-x"]);
    assert_eq!(change(&found[0]).unwrap().1, ["iain", "x", ".", "/Maildir/", "NULL"]);
    let found = aliases(&RuleSettings::default(), vec![alias("iain", "x", "", ""), alias("Iain", "X", "a", "b.org")]);
    assert_eq!(change(&found[0]).unwrap().1, Vec::<String>::new());
    let null = row(Table::Alias, &[Some("iain"), None, None, None, None]);
    let found = aliases(&RuleSettings::default(), vec![null, alias("iain", "", "", "")]);
    assert_eq!(said(&found), ["error A2 iain", "error A2 iain"]);
    assert!(
        found.iter().any(|f| change(f).unwrap().1.is_empty()) && found.iter().any(|f| !change(f).unwrap().1.is_empty())
    );
}

#[test]
fn a_line_in_one_column_is_taken_apart() {
    for (line, user, host) in [
        ("./Maildir/", ".", "/Maildir/"),
        ("|prog -a", "|", "prog -a"),
        ("&a@b.org", "a", "b.org"),
        ("/a/b", "/", "a/b"),
    ] {
        let found = aliases(&RuleSettings::default(), vec![alias("iain", "x", line, "")]);
        assert_eq!(change(&found[0]).unwrap().1[2..4], [user, host], "{line}");
    }
    for (user, host) in [(".", ""), ("#x", "y"), ("a b", "c"), ("", "c"), ("&a", ""), ("+list", "")] {
        let found = aliases(&RuleSettings::default(), vec![alias("iain", "x", user, host)]);
        assert_eq!((said(&found), change(&found[0])), (vec!["error A2 iain-x".to_owned()], None), "{user} {host}");
    }
}

#[test]
fn keys_of_alias_rows_that_nobody_asks_for_are_warnings() {
    let long = "x".repeat(256);
    for (name, ext) in [("ia in", ""), ("iain", "a b"), ("iain", &long), ("", "x"), ("iain", "\u{ef}")] {
        let found = aliases(&RuleSettings::default(), vec![alias(name, ext, "a", "b.org")]);
        assert!(said(&found)[0].starts_with("warning K1") && found.len() == 1, "{found:?}");
    }
}

#[test]
fn an_instruction_that_comes_twice_in_a_set_is_a_warning() {
    let rows = vec![
        alias("iain", "x", "a", "b.org"),
        alias("IAIN", "x", "a", "b.org"),
        alias("iain", "x", "A", "b.org"),
        alias("iain", "y", "a", "b.org"),
    ];
    let found = aliases(&RuleSettings::default(), rows);
    assert_eq!(said(&found), ["warning A3 iain-x"]);
}

#[test]
fn a_set_that_is_numbered_in_part_is_a_note() {
    let of = |ext: &str, user: &str, seq| row(Table::Alias, &[Some("iain"), Some(ext), Some(user), Some("b.org"), seq]);
    let rows = vec![
        of("x", "a", None),
        of("x", "b", Some("1")),
        of("x", "c", None),
        of("y", "a", None),
        of("z", "a", Some("9")),
    ];
    assert_eq!(said(&aliases(&RuleSettings::default(), rows)), ["note A3 iain-x"]);
    assert_eq!(said(&aliases(&RuleSettings::default(), vec![of("x", "a", Some("1a"))])), ["error A3 iain-x"]);
}

#[test]
fn programs_and_paths_are_judged_as_the_settings_say() {
    let strict =
        RuleSettings { alias_programs: AliasPrograms::Deny, alias_paths: AliasPaths::Home, ..RuleSettings::default() };
    let rows = vec![
        alias("iain", "in", "/", "home/iain/Mailbox"),
        alias("iain", "out", "/", "etc/x"),
        alias("iain", "p", "|", "x"),
        alias("other", "out", "/", "etc/x"),
    ];
    let mut judge = AliasJudge::new(&strict);
    let iain = Username::new(b"iain").unwrap();
    let mut wanted = judge.wants_homes(&rows);
    wanted.sort();
    assert_eq!(wanted, [iain.clone(), Username::new(b"other").unwrap()]);
    judge.know_homes([(iain, b"/home/iain".to_vec())]);
    // Of a home that nobody knows nothing is said.
    assert_eq!(said(&judged(judge, rows.clone())), ["error A6 iain-out", "error A6 iain-p"]);
    assert!(AliasJudge::new(&RuleSettings::default()).wants_homes(&rows).is_empty());
}

fn virt(user: &str, host: &str, owner: &str, ext: &str) -> TableRow {
    row(Table::Virtual, &[Some(host), Some(user), Some(owner), Some(ext)])
}

fn virtuals(settings: &RuleSettings, rows: Vec<TableRow>) -> Vec<Finding> {
    judged(VirtualJudge::new(settings, false), rows)
}

fn like() -> RuleSettings {
    RuleSettings { virtual_patterns: VirtualPatterns::Like, ..RuleSettings::default() }
}

#[test]
fn good_virtual_rows_are_not_mentioned() {
    let rows =
        vec![virt("", "bar.com", "v", "@"), virt("Sales", "Bar.com", "iain", ""), virt("a_b", "foo.org", "x", "")];
    assert_eq!(virtuals(&RuleSettings::default(), rows.clone()), []);
    let rows = vec![virt("%", "bar.com", "v", "@"), virt("s%", "bar.com", "iain", ""), virt("a_b", "foo.org", "x", "")];
    assert_eq!(virtuals(&like(), rows), []);
}

#[test]
fn a_host_that_is_none_is_an_error_and_blanks_and_a_dot_go() {
    for (host, right) in
        [("bar.com ", Some("bar.com")), ("Bar.com.", Some("Bar.com")), ("b r.com", None), ("", None), ("a/b.c", None)]
    {
        let found = virtuals(&RuleSettings::default(), vec![virt("", host, "iain", "")]);
        assert_eq!((found.len(), found[0].severity.as_str()), (1, "error"), "{found:?}");
        assert_eq!(change(&found[0]).map(|(_, new)| new[0].clone()).as_deref(), right, "{host:?}");
    }
    for (host, said_as) in [("bar", vec!["warning V1 @bar"]), (".bar.com", vec!["note V1 @.bar.com"])] {
        let rows = vec![virt("", host, "iain", ""), virt("x", host, "iain", "")];
        assert_eq!(said(&virtuals(&RuleSettings::default(), rows.clone())), said_as);
        let wild = judged(VirtualJudge::new(&RuleSettings::default(), true), rows);
        assert_eq!(wild.is_empty(), host.starts_with('.'));
    }
}

#[test]
fn patterns_that_nobody_reads_are_one_warning_for_each_host() {
    let rows = vec![
        virt("sales-%", "bar.com", "v", ""),
        virt("x%y", "bar.com", "v", ""),
        virt("a%", "foo.com", "v", ""),
        virt("", "foo.com", "v", ""),
        virt("a_b", "plain.com", "v", ""),
    ];
    let found = virtuals(&RuleSettings::default(), rows.clone());
    assert_eq!(said(&found), ["warning V2 sales-%@bar.com", "warning V2 a%@foo.com"]);
    assert!(found[0].why.starts_with("2 rows of this host") && found[0].why.ends_with("for bounces"), "{found:?}");
    assert!(found[1].why.ends_with("goes to the host's blank row"), "{found:?}");
    assert!(virtuals(&like(), rows).iter().all(|finding| finding.severity.as_str() != "warning"));
}

#[test]
fn a_catch_all_of_the_other_mode_is_one_error_for_each_host() {
    let rows = vec![virt("%", "bar.com", "v", ""), virt("x", "bar.com", "iain", ""), virt("%", "foo.com", "v", "")];
    let found = virtuals(&RuleSettings::default(), rows.clone());
    assert_eq!(said(&found), ["error V2 %@bar.com", "error V2 %@foo.com"]);
    assert_eq!(change(&found[0]).unwrap().1[1], "");
    assert_eq!(virtuals(&like(), rows), []);
    let rows = vec![virt("", "bar.com", "v", ""), virt("x", "bar.com", "iain", ""), virt("a%", "bar.com", "iain", "")];
    let found = virtuals(&like(), rows);
    assert_eq!(said(&found), ["error V2 @bar.com"]);
    assert!(found[0].why.contains("update virtual set virtual_username='%' where virtual_username=''"), "{found:?}");
    assert_eq!(change(&found[0]).unwrap().1[1], "%");
    let both = vec![virt("", "bar.com", "v", ""), virt("%", "bar.com", "v", "")];
    for settings in [like(), RuleSettings::default()] {
        let found = virtuals(&settings, both.clone());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].severity.as_str(), change(&found[0]).unwrap().1.len()), ("note", 0), "{found:?}");
    }
}

#[test]
fn rows_that_disagree_are_one_error_and_rows_that_agree_are_one_too_many() {
    let rows = vec![
        virt("x", "bar.com", "iain", ""),
        virt("X", "bar.com", "dmp", ""),
        virt("x", "bar.com", "zoe", ""),
        virt("y", "bar.com", "iain", ""),
    ];
    let found = virtuals(&RuleSettings::default(), rows);
    assert_eq!(said(&found).len(), 1, "{found:?}");
    assert_eq!((found[0].rule, found[0].severity.as_str()), ("V3", "error"));
    let rows = vec![virt("x", "bar.com", "Iain", ""), virt("x", "bar.com", "iain", "")];
    assert_eq!(said(&virtuals(&RuleSettings::default(), rows)), ["note V3 x@bar.com"]);
    let blank = row(Table::Virtual, &[Some("bar.com"), None, Some("dmp"), None]);
    let rows = vec![blank, virt("", "bar.com", "iain", "")];
    assert_eq!(said(&virtuals(&RuleSettings::default(), rows)), ["error V3 @bar.com"]);
}

#[test]
fn an_owner_that_is_none_is_an_error() {
    for owner in ["", "ia in", "\u{ef}ain"] {
        let found = virtuals(&RuleSettings::default(), vec![virt("x", "bar.com", owner, "")]);
        assert_eq!((found.len(), found[0].severity.as_str()), (1, "error"), "{found:?}");
    }
    let found = virtuals(&RuleSettings::default(), vec![virt("x", "bar.com", "iain", "a\nb")]);
    assert_eq!(said(&found), ["error K3 x@bar.com"]);
}

#[test]
fn magic_forwarding_needs_an_address_and_to_be_on() {
    let magic = RuleSettings { magic_forwarding: true, ..RuleSettings::default() };
    for (ext, on, off) in
        [("a@b.org", None, Some("warning V6")), ("@", Some("error V6"), None), ("x", Some("error V6"), None)]
    {
        for (settings, want) in [(&magic, on), (&RuleSettings::default(), off)] {
            let found = said(&virtuals(settings, vec![virt("x", "bar.com", "Forward", ext)]));
            let want: Vec<_> = want.into_iter().map(|w: &str| format!("{w} x@bar.com")).collect();
            assert_eq!(found, want, "{ext}");
        }
    }
}

#[test]
fn patterns_that_are_never_used_are_warnings() {
    let rows = vec![
        virt("%%", "bar.com", "v", ""),
        virt("%", "bar.com", "v", ""),
        virt("a%_", "bar.com", "v", ""),
        virt("A_%", "bar.com", "v", ""),
    ];
    assert_eq!(said(&virtuals(&like(), rows.clone())), ["warning V2 %%@bar.com", "warning V2 A_%@bar.com"]);
    let found = virtuals(&RuleSettings::default(), vec![virt("a b", "bar.com", "v", "")]);
    assert_eq!(said(&found), ["warning K1 a\\x20b@bar.com"]);
    assert_eq!(virtuals(&like(), vec![virt("a b%", "bar.com", "v", "")]), []);
}

#[test]
fn accepted_domains_are_hosts_each_once() {
    let host = |name: &str| row(Table::Rcpthosts, &[Some(name)]);
    let rows = || ["a.org", "A.org", ".b.org", "localhost", "me", "x y.org", "c.org."].map(host).to_vec();
    let me = vec![Host::new(b"me").unwrap()];
    assert_eq!(
        said(&judged(HostJudge::new(false, me.clone()), rows())),
        ["note V1 .b.org", "note R1 a.org", "warning V1 c.org.", "warning V1 localhost", "warning K1 x\\x20y.org"]
    );
    assert_eq!(said(&judged(HostJudge::new(true, me), rows())).len(), 4);
}
