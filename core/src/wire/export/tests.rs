use super::*;
use proptest::prelude::*;

fn write(rows: &[TableRow], passwords: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(passwords, &mut out);
    rows.iter().for_each(|row| writer.row(row, &mut out).unwrap());
    writer.end(&mut out);
    out
}

fn read(text: &[u8]) -> Result<Vec<TableRow>, Wrong> {
    let mut reader = Reader::new();
    let rows: Result<Vec<_>, _> = text.split_inclusive(|&b| b == b'\n').map(|line| reader.line(line)).collect();
    let rows = rows?;
    reader.end().map(|()| rows.into_iter().flatten().collect())
}

fn row(table: Table, cells: &[Option<&[u8]>]) -> TableRow {
    TableRow::from_cells(table, cells.iter().map(|cell| cell.map(<[u8]>::to_vec)))
}

fn rows() -> Vec<TableRow> {
    vec![
        row(
            Table::Mailbox,
            &[Some(b"iain"), Some(b"800"), None, Some("/home/m\u{fc}ller".as_bytes()), Some(b"s\\N"), None, Some(b"")],
        ),
        row(Table::Alias, &[Some(b"iain"), Some(b""), Some(b"|"), Some(b"a b\t\xff "), Some(b"7")]),
        row(Table::Virtual, &[Some(b".x.test"), None, Some(b"iain"), Some(b"@")]),
        row(Table::Rcpthosts, &[Some(b"x.test\n")]),
    ]
}

const TEXT: &str = "# qmail-lookup export 1
# mailbox\tusername\tuid\tgid\thome\tpassword\tpassword_type\tsuspended
mailbox\tiain\t800\t\\N\t/home/m\u{fc}ller\ts\\\\N\t\\N\t
# alias\tusername\talias\talias_username\talias_host\tseq
alias\tiain\t\t|\ta b\\t\\xFF\\x20\t7
# virtual\tvirtual_host\tvirtual_username\tusername\text
virtual\t.x.test\t\\N\tiain\t@
# rcpthosts\thost
rcpthosts\tx.test\\n
# end 4 rows
";

#[test]
fn the_text_is_the_documented_one() {
    assert_eq!(String::from_utf8(write(&rows(), true)).unwrap(), TEXT);
    assert_eq!(read(TEXT.as_bytes()).unwrap(), rows());
    let hidden = String::from_utf8(write(&rows(), false)).unwrap();
    let want = TEXT.replace("export 1\n", "export 1\n# without passwords\n").replace("s\\\\N", "\\N");
    assert_eq!(hidden, want);
    assert_eq!(read(&write(&[], true)).unwrap(), []);
}

#[test]
fn what_cannot_be_seen_is_escaped() {
    for (cell, want) in [
        ("a\u{202e}b", "a\\xE2\\x80\\xAEb"),
        ("\u{85}", "\\xC2\\x85"),
        ("\r", "\\x0D"),
        ("\0", "\\x00"),
        (" a b ", "\\x20a b\\x20"),
        (" ", "\\x20"),
        ("\u{a0}", "\\xC2\\xA0"),
        ("\u{65e5}\u{1f600}", "\u{65e5}\u{1f600}"),
    ] {
        let mut out = Vec::new();
        escape(cell.as_bytes(), &mut out);
        assert_eq!(String::from_utf8(out.clone()).unwrap(), want);
        assert_eq!(unescape(&out).unwrap().unwrap(), cell.as_bytes());
    }
}

#[test]
fn what_no_reader_would_take_is_not_written() {
    let mut out = Vec::new();
    let mut writer = Writer::new(true, &mut out);
    let key = "k".repeat(200);
    let long = |value: &[u8]| row(Table::Alias, &[Some(b"iain"), Some(key.as_bytes()), Some(b"|"), Some(value)]);
    // Escaped, the last byte takes four.
    writer.line_max = "alias\tiain\t\t|\tsecret\t\\N\n".len() + 200;
    writer.row(&long(b"secret"), &mut out).unwrap();
    let before = out.clone();
    let error = writer.row(&long(b"secre\xff"), &mut out).unwrap_err();
    assert_eq!(error, TooLong { table: Table::Alias, key: format!("iain-{}", "k".repeat(95)) });
    assert!(!error.to_string().contains("secre") && out == before);
    writer.end(&mut out);
    assert_eq!(read(&out).unwrap(), [long(b"secret")]);
}

#[test]
fn whatever_is_cut_off_is_refused() {
    for length in 0..TEXT.len() {
        assert!(read(&TEXT.as_bytes()[..length]).is_err(), "{length}");
    }
    let lines: Vec<&str> = TEXT.split_inclusive('\n').collect();
    for left_out in 0..lines.len() {
        let without: String =
            lines.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, line)| *line).collect();
        assert!(read(without.as_bytes()).is_err(), "{left_out}");
    }
}

#[test]
fn errors_name_line_and_field_and_no_value() {
    let said = |from: &str, to: &str| {
        assert!(TEXT.contains(from), "{from}");
        read(TEXT.replacen(from, to, 1).as_bytes()).unwrap_err().to_string()
    };
    for (from, to, place) in [
        ("export 1", "export 2", "line 1: of another version"),
        ("export 1\n", "export 1\r\n", "line 1: the line ends in CR LF"),
        ("export 1\n", "export 2\r\n", "line 1: of another version"),
        ("# qmail", "qmail", "line 1: not what"),
        ("s\\\\N", "s\\q", "line 3, field 6 (password): a backslash"),
        ("s\\\\N", "s\\x1", "line 3, field 6 (password): a backslash"),
        ("s\\\\N", "s\\N", "line 3, field 6 (password): a backslash"),
        ("s\\\\N", "s\u{200b}", "line 3, field 6 (password): a character"),
        ("s\\\\N\t", "s", "line 3: 6 cells, and table mailbox has 7"),
        ("mailbox\tiain", "mailbux\tiain", "line 3, field 1: no name of a table"),
        ("# alias\t", "# alias ", "line 4: a comment"),
        ("a b\\t", "a b\t", "line 5: 6 cells, and table alias has 5"),
        ("\text\n", "\text\r\n", "line 6: the line ends in CR LF"),
        ("end 4", "end 5", "line 10: there are 4 rows"),
        ("end 4 rows\n", "end 4 rows\n\n", "line 11: nothing may stand"),
        ("# rcpthosts\thost\n", "", "line 8, field 1: the line with the names"),
    ] {
        let said = said(from, to);
        assert!(said.starts_with(place), "{said}");
    }
    let secret = TEXT.replace("export 1\n", "export 1\n# without passwords\n");
    let said = read(secret.as_bytes()).unwrap_err().to_string();
    assert_eq!(said, "line 4, field 6 (password): a password, and the second line says that there are none");
    assert!(read(&TEXT.as_bytes().iter().map(|b| b ^ 0x80).collect::<Vec<_>>()).is_err());
    let latin: Vec<u8> = TEXT.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    assert!(read(&latin).unwrap_err().to_string().starts_with("line 3, field 5 (home): no UTF-8"));
}

fn cell() -> impl Strategy<Value = Cell> {
    let any_byte = prop::collection::vec(any::<u8>(), 0..12);
    let awkward = prop::collection::vec(prop::sample::select(b"\\Nntx0F \t\n#\xc3\xbc\xff\0".to_vec()), 0..8);
    prop::option::of(prop_oneof![any_byte, awkward, ".*".prop_map(String::into_bytes)])
}

proptest! {
    #[test]
    fn every_row_goes_out_and_comes_back(all in prop::collection::vec((0_usize..4, prop::collection::vec(cell(), 7)), 0..9)) {
        let mut rows: Vec<_> = all.into_iter().map(|(table, cells)| TableRow::from_cells(Table::ALL[table], cells)).collect();
        rows.sort();
        let text = write(&rows, true);
        prop_assert!(std::str::from_utf8(&text).is_ok_and(|text| !text.contains(|c: char| is_hidden(c) && c != '\t' && c != '\n')));
        prop_assert_eq!(read(&text).unwrap(), rows);
    }

    #[test]
    fn nothing_makes_the_reader_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&[FIRST, b"\n", &text].concat());
    }
}
