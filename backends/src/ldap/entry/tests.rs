use super::password::SEVERAL;
use super::*;
use proptest::prelude::*;

fn cell(text: &str) -> Cell {
    Some(text.as_bytes().to_vec())
}

fn row(table: Table, cells: &[&str]) -> TableRow {
    TableRow::from_cells(table, cells.iter().map(|text| cell(text)))
}

fn entry_of(values: &[Stored]) -> Attributes {
    values.iter().fold(Attributes::default(), |mut entry, (name, value)| {
        entry.add(name, value.clone());
        entry
    })
}

fn mailbox(password: &str, kind: &str, suspended: &str) -> TableRow {
    row(Table::Mailbox, &["iain", "800", "100", "/home/Postf\u{e4}cher \\,+", password, kind, suspended])
}

fn stored(row: &TableRow, name: &str) -> Option<String> {
    let entry = entry_of(&attributes(row).unwrap());
    entry.value(name).map(|value| String::from_utf8(value.to_vec()).unwrap())
}

#[test]
fn rows_read_back_as_they_were_written() {
    let rows = [
        mailbox("secret", "Password", "N"),
        mailbox(" '\"\\%_{ ", "Password", "Y"),
        mailbox("", "Password", "N"),
        mailbox("", "Crypt-Password", "N"),
        mailbox("", "MySQL-Password", "N"),
        mailbox("abNANd1rDfiNc", "Crypt-Password", "N"),
        mailbox("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA", "Crypt-Password", "N"),
        mailbox("*14E65567ABDB5135D0CFD9A70B3032C179A49EE7", "MySQL-Password", "N"),
        mailbox("*14E65567ABDB5135D0CFD9A70B3032C179A49EE7", "Password", "N"),
        mailbox("$6$salt$hash", "Password", "N"),
        mailbox("{SSHA}AAAA", "Password", "N"),
        mailbox("{CLEARTEXT}secret", "Password", "N"),
        row(Table::Alias, &["iain", "", "", "", "1"]),
        row(Table::Alias, &["iain", "@", ".", "/Maildir/", "2"]),
        row(Table::Alias, &["iain", "x", "/", "", "-3"]),
        row(Table::Alias, &["iain", "x", "|", "echo a\necho \\b \t ", "99999999999999999999"]),
        row(Table::Alias, &["iain", "x", "..", "b", "4"]),
        row(Table::Alias, &["iain", "x", "&a", "b", "5"]),
        row(Table::Alias, &["iain", "x", "a@b", "c.org", "6"]),
        row(Table::Alias, &["iain", "x", "a@b", "", "7"]),
        row(Table::Alias, &["iain", "x", "a@", "", "8"]),
        row(Table::Alias, &["iain", "x", "", "host", "9"]),
        row(Table::Alias, &["iain", "x", "real", "", "10"]),
        row(Table::Virtual, &["h.org", "", "iain", ""]),
        row(Table::Virtual, &["h.org", "50%off", "iain", "@"]),
        row(Table::Virtual, &["h.org", "john_doe", "iain", "a-b"]),
        row(Table::Virtual, &["h.org", "back\\slash ", "iain", " "]),
        row(Table::Rcpthosts, &[".Example.net"]),
    ];
    for row in rows {
        let values = attributes(&row).unwrap_or_else(|problem| panic!("{row:?}: {problem}"));
        assert!(values.iter().all(|(_, value)| !value.is_empty()), "{row:?}");
        assert_eq!(super::rows(row.table(), &entry_of(&values)), [row]);
    }
}

#[test]
fn what_the_schema_cannot_hold_is_refused_by_its_column() {
    let long = "x".repeat(256);
    let refused = [
        ("username", row(Table::Mailbox, &["", "800", "100", "/h", "p", "Password", "N"])),
        ("username", row(Table::Mailbox, &[" ", "800", "100", "/h", "p", "Password", "N"])),
        ("username", row(Table::Mailbox, &[&long, "800", "100", "/h", "p", "Password", "N"])),
        ("username", row(Table::Mailbox, &["ren\u{e9}", "800", "100", "/h", "p", "Password", "N"])),
        ("username", row(Table::Mailbox, &["a\0", "800", "100", "/h", "p", "Password", "N"])),
        ("uid", row(Table::Mailbox, &["a", "", "100", "/h", "p", "Password", "N"])),
        ("uid", row(Table::Mailbox, &["a", "007", "100", "/h", "p", "Password", "N"])),
        ("uid", row(Table::Mailbox, &["a", "+7", "100", "/h", "p", "Password", "N"])),
        ("uid", row(Table::Mailbox, &["a", "-0", "100", "/h", "p", "Password", "N"])),
        ("gid", row(Table::Mailbox, &["a", "800", "1e2", "/h", "p", "Password", "N"])),
        ("home", row(Table::Mailbox, &["a", "800", "100", "", "p", "Password", "N"])),
        ("home", row(Table::Mailbox, &["a", "800", "100", &long, "p", "Password", "N"])),
        ("password", mailbox("p", "Sesame", "N")),
        ("password", mailbox("p", "password", "N")),
        ("password", mailbox("p", "", "N")),
        ("password", mailbox("{CRYPT}x", "Password", "N")),
        ("password", mailbox("{mysql}x", "Password", "N")),
        ("suspended", mailbox("p", "Password", "n")),
        ("suspended", mailbox("p", "Password", "")),
        ("alias_username", row(Table::Alias, &["a", "x", "b", "c@d", "1"])),
        ("seq", row(Table::Alias, &["a", "x", "b", "c", "one"])),
        ("virtual_host", row(Table::Virtual, &["", "x", "a", ""])),
        ("username", row(Table::Virtual, &["h", "x", "", ""])),
        ("host", row(Table::Rcpthosts, &[""])),
    ];
    for (column, row) in refused {
        let problem = attributes(&row).unwrap_err();
        assert!(problem.starts_with(&format!("column {column}: ")), "{row:?}: {problem}");
    }
    let bytes = |place: usize, bytes: Cell| {
        let mut cells: Vec<_> = ["a", "800", "100", "/h", "p", "Password", "N"].map(cell).into();
        cells[place] = bytes;
        attributes(&TableRow::from_cells(Table::Mailbox, cells))
    };
    assert!(bytes(3, Some(b"/\xff".to_vec())).is_err());
    for (place, column) in Table::Mailbox.columns().iter().enumerate() {
        // Only column suspended has a default that means the same.
        assert_eq!(bytes(place, None).is_ok(), *column == "suspended", "{column}");
    }
}

#[test]
fn passwords_that_look_like_hashes_never_become_passwords_in_clear() {
    for hash in ["$6$salt$hash", "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7"] {
        assert_eq!(stored(&mailbox(hash, "Password", "N"), PASSWORD), Some(format!("{{CLEARTEXT}}{hash}")));
        assert_eq!(stored(&mailbox(hash, "Crypt-Password", "N"), PASSWORD), Some(format!("{{CRYPT}}{hash}")));
    }
    assert_eq!(stored(&mailbox("secret", "Password", "N"), PASSWORD).as_deref(), Some("secret"));
}

#[test]
fn entries_of_other_makers_are_read_too() {
    let mut entry = entry_of(&attributes(&mailbox("p", "Password", "N")).unwrap());
    entry.add("QLOOKSUSPENDED", b"FALSE".to_vec());
    assert_eq!(rows(Table::Mailbox, &entry), [mailbox("p", "Password", "N")]);
    entry.add(PASSWORD, b"{SSHA}x".to_vec());
    let several = rows(Table::Mailbox, &entry);
    assert_eq!(several[0].cells()[4..6], [None, Some(SEVERAL)]);
    assert!(attributes(&several[0]).is_err());

    let crypt = password_cells(&[b"{crypt}x".to_vec()]);
    assert_eq!(crypt, (cell("x"), cell("Crypt-Password")));
    assert_eq!(password_cells(&[b"{ARGON2}x".to_vec()]), (cell("{ARGON2}x"), cell("Password")));
    assert_eq!(instruction_cells(Some(b"a@b.org")), (b"a".to_vec(), b"b.org".to_vec()));
    assert_eq!(instruction_cells(Some(b"&a@")), (b"a".to_vec(), b"".to_vec()));

    // Never a path or a program.
    for (line, user) in [("&|@true", "&|"), ("&/@etc/passwd", "&/"), ("&.", "&.")] {
        assert_eq!(instruction_cells(Some(line.as_bytes())).0, user.as_bytes(), "{line}");
    }

    let mut hosts = Attributes::default();
    hosts.add(RCPT_HOST, b"a.org".to_vec());
    hosts.add(RCPT_HOST, b"b.org".to_vec());
    assert_eq!(rows(Table::Rcpthosts, &hosts).len(), 2);
}

#[test]
fn only_what_differs_is_touched() {
    let old = rows(Table::Mailbox, &{
        let mut entry = entry_of(&attributes(&mailbox("p", "Password", "N")).unwrap());
        entry.add(PASSWORD, b"second".to_vec());
        entry
    })
    .remove(0);
    let mut cells: Vec<Cell> = old.cells().into_iter().map(|cell| cell.map(<[u8]>::to_vec)).collect();
    cells[1] = cell("801");
    let new = TableRow::from_cells(Table::Mailbox, cells);
    assert_eq!(changes(&old, &new), Ok(vec![(UID, Some(b"801".to_vec()))]));

    let old = row(Table::Virtual, &["h", "a%", "iain", "x"]);
    let new = row(Table::Virtual, &["h", "a", "iain", ""]);
    let want = vec![(VIRTUAL_USER, Some(b"a".to_vec())), (VIRTUAL_PATTERN, None), (EXT, None)];
    assert_eq!(changes(&old, &new), Ok(want));

    let numbered = row(Table::Alias, &["a", "x", "b", "c", "7"]);
    let unnumbered = row(Table::Alias, &["a", "x", "b", "c"]);
    assert_eq!(changes(&numbered, &unnumbered), Ok(Vec::new()));
}

#[test]
fn equal_rows_get_different_names() {
    let values = attributes(&row(Table::Virtual, &["h.org", "a%", "iain", ""])).unwrap();
    let names: Vec<_> = (0..4).map(|n| name(Table::Virtual, &values, n).unwrap().rdn()).collect();
    let long = "qlookVirtualPattern=a%+qlookVirtualHost=h.org+qlookUser=iain";
    assert_eq!(names[0], "qlookVirtualPattern=a%+qlookVirtualHost=h.org");
    assert_eq!(names[1..], [long.to_owned(), format!("{long}+description=2"), format!("{long}+description=3")]);
    let blank = attributes(&row(Table::Virtual, &["h.org", "", "iain", "@"])).unwrap();
    assert_eq!(name(Table::Virtual, &blank, 0).unwrap().rdn(), "qlookVirtualHost=h.org");
    let blanks = attributes(&row(Table::Virtual, &["h.org", " ", "iain", "@"])).unwrap();
    assert_eq!(name(Table::Virtual, &blanks, 1).unwrap().rdn(), "qlookVirtualHost=h.org+qlookUser=iain+qlookExt=@");
    let mailbox = attributes(&mailbox("p", "Password", "N")).unwrap();
    assert!(name(Table::Mailbox, &mailbox, 1).is_none());
}

proptest! {
    #[test]
    fn instructions_read_back(user in "[./|&@ab]{0,4}", host in "[./@ab]{0,4}") {
        if let Ok(line) = instruction(user.as_bytes(), host.as_bytes()) {
            prop_assert_eq!(instruction_cells(line.as_deref()), (user.into_bytes(), host.into_bytes()));
        } else {
            prop_assert!(host.contains('@'));
        }
    }

    #[test]
    fn every_instruction_can_be_written_again(line in "[./|&@ab]{1,6}") {
        let (user, host) = instruction_cells(Some(line.as_bytes()));
        let again = instruction(&user, &host).unwrap();
        prop_assert_eq!(instruction_cells(again.as_deref()), (user, host));
    }

    #[test]
    fn any_row_reads_back_or_is_refused(cells in prop::collection::vec(prop::option::of("[a%_@\\{}$N1 \u{e4}\\\\.|]{0,5}|Password|Crypt-Password|\\{CRYPT\\}a|\\{cleartext\\}\\$1\\$a\\$b"), 7), table in prop::sample::select(Table::ALL.to_vec())) {
        let row = TableRow::from_cells(table, cells.into_iter().map(|cell| cell.map(String::into_bytes)));
        if let Ok(values) = attributes(&row) {
            let read = rows(table, &entry_of(&values)).remove(0);
            let same = read.cells().iter().zip(row.cells()).all(|(read, wrote)| *read == wrote || wrote.is_none());
            prop_assert!(same, "{:?}", values);
        }
    }
}
