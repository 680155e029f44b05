use super::*;
use Concern::{OldParser, PerlClient, Refused, Unwise};

fn value(file: &str, key: &str) -> Option<String> {
    parse(file.as_bytes()).0.get(key).map(|setting| setting.value.clone())
}

/// Concern, line and column of every finding.
fn findings(file: &[u8]) -> Vec<(Concern, usize, usize)> {
    parse(file).1.iter().map(|finding| (finding.concern, finding.line, finding.column)).collect()
}

#[test]
fn the_form_that_all_readers_take_has_no_findings() {
    let file = include_bytes!("../testdata/sqlserver.documented");
    let (values, findings) = parse(file);
    assert_eq!(findings, []);
    let expected = [("db", "qmail", 4), ("login", "qmail", 2), ("password", "secret", 3), ("server", "localhost", 1)];
    let found: Vec<_> = values.iter().map(|(&key, setting)| (key, setting.value.as_str(), setting.line)).collect();
    assert_eq!(found, expected);
    // The same without the last newline.
    assert_eq!(parse(file.strip_suffix(b"\n").unwrap()), (values, findings));
}

#[test]
fn a_value_is_everything_after_the_separator() {
    for (line, password) in [
        ("password a=b", "a=b"),
        ("password=a b", "a b"),
        ("password a b  c", "a b  c"),
        ("password=a=b=", "a=b="),
        ("password==a", "=a"),
        ("password =a", "=a"),
        ("password = a", "a"),
        ("password  =a", "a"),
        ("password\t=\ta", "a"),
        ("password\ta", "a"),
        ("password   a", "a"),
        ("password= a", "a"),
        ("  password a", "a"),
        ("password #a", "#a"),
        ("password a #b", "a #b"),
        ("password a ", "a "),
        ("password a\t \r\n", "a\t "),
        ("password 0012345\r\n", "0012345"),
        ("password pässwörd", "pässwörd"),
        ("password=", ""),
        ("password ", ""),
        ("password", ""),
    ] {
        assert_eq!(value(line, "password").as_deref(), Some(password), "{line:?}");
    }
    assert_eq!(value("db qmail \t\r\n", "db").as_deref(), Some("qmail"));
}

#[test]
fn what_other_readers_refuse_is_found_with_line_and_column() {
    for (line, expected) in [
        ("db=qmail", vec![(PerlClient, 1, 3)]),
        ("db\tqmail", vec![(OldParser, 1, 3)]),
        ("db  qmail", vec![(OldParser, 1, 3)]),
        ("db = qmail", vec![(OldParser, 1, 3), (PerlClient, 1, 3)]),
        (" db qmail", vec![(OldParser, 1, 1), (PerlClient, 1, 1)]),
        ("db qmail ", vec![(OldParser, 1, 9)]),
        ("db qmail\r\nlogin q\r\n", vec![(OldParser, 1, 9)]),
        ("db qmail\n\nlogin q", vec![(OldParser, 2, 1), (PerlClient, 2, 1)]),
        ("  # hello\ndb qmail", vec![(OldParser, 1, 3), (PerlClient, 1, 3)]),
        ("password a b", vec![(PerlClient, 1, 10)]),
        ("password a ", vec![(Unwise, 1, 11)]),
        ("password =a", vec![(Unwise, 1, 10)]),
        ("password", vec![(OldParser, 1, 9), (PerlClient, 1, 9)]),
        ("\u{feff}db qmail", vec![(OldParser, 1, 1), (PerlClient, 1, 1)]),
        ("db a\ndb b", vec![(Unwise, 2, 1)]),
    ] {
        assert_eq!(findings(line.as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn what_nobody_can_use_is_refused() {
    for (file, line, text) in [
        (&b""[..], 1, "holds no setting; the keys are server, port, socket, login, password, db"),
        (b"\n", 1, "holds no setting; the keys are server, port, socket, login, password, db"),
        (b"# only a comment\n", 1, "holds no setting; the keys are server, port, socket, login, password, db"),
        (b"db qmail\nserver\n", 2, "server has no value"),
        (b"db=\n", 1, "db has no value"),
        (b"db q\0\n", 1, "the value holds a NUL byte"),
        (
            b"password caf\xe9\n",
            1,
            "the value is not UTF-8; put a password of other bytes into a file named by store.password_file",
        ),
        (
            b"db q\npasswrod hunter2\n",
            2,
            "unknown key; did you mean password?; the keys are server, port, socket, login, password, db",
        ),
        (b"hunter2\n", 1, "unknown key; the keys are server, port, socket, login, password, db"),
        (
            b"connectionstring host=db1 password=hunter2\n",
            1,
            "connectionstring is a key of the qmail-sql patch, which has a control/sqlserver of its own; this program \
             reads only server, port, socket, login, password, db",
        ),
    ] {
        let refused: Vec<_> = parse(file).1.into_iter().filter(|finding| finding.concern == Refused).collect();
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!((refused[0].line, refused[0].text.as_str()), (line, text));
    }
}

#[test]
fn the_last_of_two_equal_keys_counts() {
    let (values, findings) = parse(b"db a\nlogin x\ndb b\n");
    assert_eq!(values["db"].value, "b");
    assert_eq!(findings[0].text, "db stands on line 1 too; this one, the last, counts");
}

#[test]
fn no_debug_output_shows_a_value() {
    let shown = format!("{:?}", parse(b"password=hunter2\npassword = hunter2 \npasswort hunter2\nhunter2 x\n"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn any_bytes_are_read_without_a_panic_and_every_finding_is_in_the_file() {
    // A small deterministic generator: all short strings over the bytes that matter.
    let alphabet = b"db= \t\r\n#\0\xff";
    for length in 0..=5u32 {
        for mut number in 0..alphabet.len().pow(length) {
            let file: Vec<u8> = (0..length)
                .map(|_| {
                    let byte = alphabet[number % alphabet.len()];
                    number /= alphabet.len();
                    byte
                })
                .collect();
            let (values, findings) = parse(&file);
            assert!(!values.is_empty() || findings.iter().any(|finding| finding.concern == Refused), "{file:?}");
            for finding in findings {
                let line = file.split(|&byte| byte == b'\n').nth(finding.line - 1);
                assert!(line.is_some_and(|line| finding.column <= line.len() + 1), "{file:?} {finding:?}");
            }
        }
    }
}
