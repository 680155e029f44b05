use super::*;
use crate::import::book::DEFERS;
use crate::settings::VirtualPatterns;

struct Carried {
    rows: Vec<String>,
    told: Vec<(String, &'static str)>,
}

fn of(fill: impl FnOnce(&mut Postfixadmin) -> Vec<TableRow>) -> Carried {
    read_as(VirtualPatterns::Plain, fill)
}

fn read_as(patterns: VirtualPatterns, fill: impl FnOnce(&mut Postfixadmin) -> Vec<TableRow>) -> Carried {
    let mut all = Postfixadmin::new(Given { uid: 500, gid: 600, alias_user: b"postmaster".to_vec(), patterns });
    let mut rows = fill(&mut all);
    let mut add = |row| {
        rows.push(row);
        Ok::<_, ()>(())
    };
    let tally = all.finish(&mut add).unwrap();
    let show = |row: &TableRow| {
        let cells: Vec<_> = row.cells().into_iter().flatten().map(String::from_utf8_lossy).collect();
        format!("{} {}", row.table(), cells.join(" "))
    };
    Carried { rows: rows.iter().map(show).collect(), told: tally.list().map(|kind| (kind.about, kind.why)).collect() }
}

impl Carried {
    fn table(&self, name: &str) -> Vec<&str> {
        self.rows.iter().filter_map(|row| row.strip_prefix(name)?.strip_prefix(' ')).collect()
    }

    fn tells(&self, what: &str, why: &str) {
        let is_told = self.told.iter().any(|(whom, text)| whom.contains(what) && text.contains(why));
        assert!(is_told, "{what}: {why}: {:?}", self.told);
    }
}

fn mailbox<'a>(address: &'a str, path: &'a str) -> Mailbox<'a> {
    let password = b"$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1";
    Mailbox { address: address.as_bytes(), password, path: path.as_bytes(), is_active: true }
}

fn domain(name: &str) -> Domain<'_> {
    Domain { name: name.as_bytes(), is_backup: false, is_active: true }
}

#[test]
fn an_alias_that_leads_to_itself_is_the_mailboxs_own_delivery() {
    let given = of(|all| {
        for (address, goto) in [
            ("own@a.test", "own@a.test"),
            ("copy@a.test", "Copy@a.test, x@b.test"),
            ("away@a.test", "x@b.test"),
            ("vac@a.test", "vac@a.test,vac#a.test@autoreply.a.test"),
            ("list@a.test", "own@a.test,x@b.test\r\n"),
            ("loop@a.test", "loop@a.test"),
            ("bad@a.test", "|prog"),
        ] {
            all.alias(address.as_bytes(), goto.as_bytes(), true);
        }
        all.alias(b"off@a.test", b"x@b.test", false);
        all.domain(domain("A.test"));
        let paths = [("own", "/h/own/"), ("copy", "/h/copy/Maildir/"), ("away", "/h/away/"), ("vac", "/h/box/vac")];
        let mut rows = Vec::new();
        for (user, path) in paths {
            rows.extend(all.mailbox(mailbox(&format!("{user}@a.test"), path)));
        }
        rows.extend(all.mailbox(Mailbox { is_active: false, ..mailbox("off@a.test", "/h/off/") }));
        rows
    });
    assert_eq!(
        given.table("alias"),
        [
            "away@a.test  x b.test",
            "postmaster bad@a.test . ",
            "copy@a.test  . /Maildir/",
            "copy@a.test  x b.test",
            "postmaster list@a.test own a.test",
            "postmaster list@a.test x b.test",
            "postmaster loop@a.test . ",
            "off@a.test  . /",
            "own@a.test  . /",
            "vac@a.test  . /vac",
        ]
    );
    assert!(
        given.table("mailbox").iter().any(|row| row.starts_with("vac@a.test 500 600 /h/box $1$")),
        "{:?}",
        given.rows
    );
    assert!(
        given.table("mailbox").iter().any(|row| row.starts_with("off@") && row.ends_with(" Y")),
        "{:?}",
        given.rows
    );
    let users = ["away", "bad", "copy", "list", "loop", "off", "own", "vac"];
    assert_eq!(given.table("virtual"), users.map(|user| format!("a.test {user} {user}@a.test ")));
    assert_eq!(given.table("rcpthosts"), ["a.test"]);
    given.tells("vac@", "vacation");
    given.tells("loop@", "itself");
    given.tells("bad@", "cannot be a row");
    given.tells("off@", "left out");
}

#[test]
fn domains_that_are_kept_for_others_off_or_doubles() {
    let given = of(|all| {
        for name in ["a.test", "two.test", "three.test", "ALL"] {
            all.domain(domain(name));
        }
        all.domain(Domain { is_backup: true, ..domain("backup.test") });
        all.domain(Domain { is_active: false, ..domain("off.test") });
        all.alias_domain(b"two.test", b"a.test", true);
        all.alias_domain(b"off.test", b"a.test", true);
        all.alias(b"@three.test", b"@a.test", true);
        all.alias(b"@a.test", b"joe@a.test", true);
        all.alias(b"two@two.test", b"joe@a.test", true);
        all.alias(b"x@off.test", b"joe@a.test", true);
        all.alias(b"x@unknown.test", b"joe@a.test", true);
        all.alias(b"x@backup.test", b"joe@a.test", true);
        all.mailbox(mailbox("joe@a.test", "/h/joe/")).into_iter().collect()
    });
    assert_eq!(
        given.table("virtual"),
        [
            "a.test  joe@a.test ",
            "a.test joe joe@a.test ",
            "two.test two two@two.test ",
            "three.test  joe@a.test ",
            "three.test joe joe@a.test ",
            "two.test  joe@a.test ",
            "two.test joe joe@a.test ",
        ]
    );
    assert_eq!(given.table("rcpthosts"), ["a.test", "backup.test", "three.test", "two.test"]);
    given.tells("backup.test", "relay");
    given.tells("unknown.test", "not delivered to here");
    given.tells("off.test", "domain alias");
}

#[test]
fn a_catch_all_for_several_belongs_to_the_alias_user() {
    let given = of(|all| {
        all.alias(b"@a.test", b"x@b.test,y@b.test", true);
        Vec::new()
    });
    assert_eq!(given.table("alias"), ["postmaster @a.test x b.test", "postmaster @a.test y b.test"]);
    assert_eq!(given.table("virtual"), ["a.test  @a.test "]);
    assert_eq!(given.table("rcpthosts"), ["a.test"]);
}

#[test]
fn a_double_has_the_addresses_of_each_step_and_the_nearest_wins() {
    let given = of(|all| {
        ["al.test", "b.test", "c.test"].into_iter().for_each(|name| all.domain(domain(name)));
        all.alias_domain(b"al.test", b"b.test", true);
        all.alias(b"@b.test", b"@c.test", true);
        all.alias(b"far@c.test", b"x@o.test", true);
        all.alias(b"box@c.test", b"y@o.test", true);
        // A circle of domains ends.
        all.alias(b"@c.test", b"@al.test", true);
        all.mailbox(mailbox("box@b.test", "/h/box/")).into_iter().collect()
    });
    let mut rows = given.table("virtual");
    rows.sort_unstable();
    assert_eq!(
        rows,
        [
            "al.test box box@b.test ",
            "al.test far far@c.test ",
            "b.test box box@b.test ",
            "b.test far far@c.test ",
            "c.test box box@c.test ",
            "c.test far far@c.test ",
        ]
    );
}

#[test]
fn what_is_lost_waits_and_does_not_fall_to_the_catch_all() {
    let given = of(|all| {
        all.domain(domain("a.test"));
        all.domain(domain("empty.test"));
        all.domain(Domain { is_backup: true, ..domain("backup.test") });
        all.alias(b"@a.test", b"joe@a.test", true);
        all.alias(b"lost@a.test", b"|prog, /file", true);
        all.alias(b"joe@a.test", b"|prog", true);
        all.mailbox(mailbox("joe@a.test", "/h/joe/")).into_iter().collect()
    });
    assert!(given.table("virtual").contains(&"a.test lost lost@a.test "), "{:?}", given.rows);
    given.tells("lost@", "waits");
    given.tells("joe@", "own mailbox now");
    given.tells("empty.test", "without any address");
    assert!(!given.told.iter().any(|(what, why)| what.contains("backup") && why.contains("without any")));
    let row = crate::AliasRow {
        alias_username: Some(DEFERS.0.to_vec()),
        alias_host: Some(DEFERS.1.to_vec()),
        ..crate::AliasRow::default()
    };
    assert!(row.instruction(b"/h", &crate::settings::RuleSettings::default()).is_err());
}

#[test]
fn mail_that_comes_back_is_told() {
    let given = of(|all| {
        for (address, goto) in [
            ("a@a.test", "a@a.test,b@a.test"),
            ("b@a.test", "b@a.test,A@double.test"),
            ("into@a.test", "a@a.test"),
            ("own@a.test", "own@a.test,out@a.test"),
            ("out@a.test", "out@a.test"),
        ] {
            all.alias(address.as_bytes(), goto.as_bytes(), true);
        }
        all.alias_domain(b"double.test", b"a.test", true);
        let users = ["a", "b", "into", "own", "out"];
        users.into_iter().filter_map(|user| all.mailbox(mailbox(&format!("{user}@a.test"), "/h/x/"))).collect()
    });
    given.tells("a@a.test, b@a.test", "5.4.6");
    let told = given.told.iter().find(|(_, why)| why.contains("5.4.6"));
    assert_eq!(told.map(|(what, _)| what.as_str()), Some("a@a.test, b@a.test"));
}

#[test]
fn where_names_are_patterns_they_stand_for_themselves_and_the_catch_all_is_one() {
    let given = read_as(VirtualPatterns::Like, |all| {
        all.alias(b"@a.test", b"x@b.test", true);
        all.alias(b"a_b@a.test", b"x@b.test", true);
        all.alias(br"c\d@a.test", b"x@b.test", true);
        Vec::new()
    });
    assert_eq!(given.table("virtual"), [r"a.test % @a.test ", r"a.test a\_b a_b@a.test ", r"a.test c\d c\d@a.test "]);
    assert!(crate::virtuals::like(br"a\_b", b"a_b") && !crate::virtuals::like(br"a\_b", b"axb"));
}
