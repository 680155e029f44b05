use super::*;

fn carries(table: &Table) -> Option<&'static [&'static str]> {
    (table.name == "t").then_some(&["a", "b"])
}

type Read = (Vec<Vec<Option<Vec<u8>>>>, Vec<(String, String)>);

fn read(text: &[u8]) -> Result<Read, String> {
    let trouble = |failure: Failure| failure.line();
    let mut dump = Dump::new("FILE".to_owned(), BufReader::with_capacity(3, text), carries).map_err(trouble)?;
    let mut rows = Vec::new();
    while let Some(row) = dump.next().map_err(trouble)? {
        rows.push(["a", "b"].map(|name| row.get(name).map(<[u8]>::to_vec)).to_vec());
    }
    let mut losses = Losses::default();
    dump.finish("table t", &mut losses).map_err(trouble)?;
    Ok((rows, losses.list().to_vec()))
}

/// The rows of a statement on table t (a, b).
fn values(values: &str) -> Result<Vec<Vec<Option<Vec<u8>>>>, String> {
    let text = format!("CREATE TABLE t (a int, b int);\nINSERT INTO t VALUES {values};\n-- Dump completed\n");
    read(text.as_bytes()).map(|(rows, _)| rows)
}

fn some(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

#[test]
fn a_value_is_the_bytes_that_it_stands_for() {
    for (written, meant) in [
        ("'x'", some(b"x")),
        ("''", some(b"")),
        ("NULL", None),
        ("null", None),
        ("-12", some(b"-12")),
        ("1.5e+10", some(b"1.5e+10")),
        ("0x00FF61", some(b"\0\xFFa")),
        ("x'6162'", some(b"ab")),
        ("_binary 'q\\0z'", some(b"q\0z")),
        (r"'\0\b\n\r\t\Z\\\'\%\_\q'", some(b"\0\x08\n\r\t\x1A\\'\\%\\_q")),
        ("'it''s; -- no /* comment */ ''here'", some(b"it's; -- no /* comment */ 'here")),
        ("\"d\"\"q\"", some(b"d\"q")),
        ("/* c */ 'x' -- end\n", some(b"x")),
        ("/*!50000 'x' */", some(b"x")),
    ] {
        let rows = values(&format!("({written},1),(2,{written})")).unwrap();
        assert_eq!(rows, [vec![meant.clone(), some(b"1")], vec![some(b"2"), meant]], "{written}");
    }
    let bytes: Vec<u8> = (0..=255).filter(|b| !matches!(b, b'\\' | b'\'')).collect();
    let text = [b"CREATE TABLE t (a int, b int); INSERT INTO t VALUES ('", &bytes[..], b"',1);"].concat();
    assert_eq!(read(&text).unwrap().0[0][0], Some(bytes));
}

#[test]
fn what_is_no_value_names_line_and_table() {
    for written in ["CAST('x' AS CHAR)", "now()", "0x123", "x'0g'", "b'1'", "", "-'x'", "1 1"] {
        let error = values(&format!("\n('secret',\n{written})")).unwrap_err();
        assert!(error.starts_with("FILE:4: table t: "), "{written}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let error = values("(1,2,3)").unwrap_err();
    assert!(error.contains("3 values in a row, and 2 columns"), "{error}");
    let long = format!("('{}',1)", "x".repeat(lexer::VALUE_MAX + 1));
    assert!(values(&long).unwrap_err().contains("more than"), "{long:.20}");
}

#[test]
fn statements_of_all_kinds_are_passed_over() {
    let text = br"/*M!999999\- enable the sandbox mode */
-- MariaDB dump 10.19
# comment ' with a quote
/*!40101 SET NAMES utf8mb4 */;
CREATE TABLE `t` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'a (b), c',
  `a` varchar(9) CHARACTER SET ascii DEFAULT 'x',
  `sum` int(11) GENERATED ALWAYS AS (`id` + 1) STORED,
  `b` enum('(',',') DEFAULT NULL,
  `more` varchar(9) DEFAULT 'usual',
  PRIMARY KEY (`id`),
  CONSTRAINT `c` CHECK (`a` > 1)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 /*!50100 PARTITION BY KEY (id) */;
LOCK TABLES `t` WRITE;
/*!40000 ALTER TABLE `t` DISABLE KEYS */;
INSERT INTO `t` VALUES
(1,'one',2,'(','usual'),
(2,NULL,3,',','other');
INSERT INTO `t` (`b`, `a`) VALUES ('b2','a2');
REPLACE INTO t(a,b) VALUES ('a3','b3');
INSERT IGNORE INTO `other` (`x`) VALUES (1),(2);
DELIMITER ;;
/*!50003 CREATE*/ /*!50003 TRIGGER x BEFORE INSERT ON t FOR EACH ROW BEGIN INSERT INTO t VALUES ('bad'; END */;;
delimiter ;
CREATE VIEW v AS SELECT 1;
UNLOCK TABLES;
-- Dump completed on 2024-01-01
";
    let (rows, losses) = read(text).unwrap();
    let want = [("one", "("), ("", ","), ("a2", "b2"), ("a3", "b3")];
    let want: Vec<_> = want.map(|(a, b)| vec![some(a.as_bytes()).filter(|a| !a.is_empty()), some(b.as_bytes())]).into();
    assert_eq!(rows, want);
    let losses: Vec<_> = losses.iter().map(|(what, why)| format!("{what}: {why}")).collect();
    assert_eq!(
        losses,
        [
            "table other: 2 rows, which are not carried over",
            "table t, column id: 2 values, which are not carried over",
            "table t, column more: 1 values, which are not carried over",
        ]
    );
}

#[test]
fn a_dump_that_was_cut_off_anywhere_is_an_error() {
    let text =
        b"-- MySQL dump\nCREATE TABLE t (a int, b int);\nINSERT INTO t VALUES (1,'x');\n/* c */\nDELIMITER ;;\nx;;\n\
                 DELIMITER ;\nSET x=1;\n-- Dump completed\n";
    assert!(read(text).is_ok());
    for end in 15..text.len() - 2 {
        assert!(read(&text[..end]).is_err(), "cut behind {:?}", String::from_utf8_lossy(&text[..end]));
    }
    let (_, losses) = read(b"CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1,2);").unwrap();
    assert!(losses.iter().any(|(_, why)| why.contains("no comments")), "{losses:?}");
    // Another statement behind the end: a second dump, which has an end of its own.
    assert!(read(b"-- MySQL dump\nCREATE TABLE t (a int);\n-- Dump completed\nCREATE TABLE u (a int);").is_err());
}

#[test]
fn other_tables_other_databases_and_columns_without_names() {
    let error = read(b"CREATE TABLE x (a int); CREATE TABLE y (a int);").unwrap_err();
    assert!(error.contains("table t expected") && error.contains("x, y"), "{error}");
    let error = read(b"INSERT INTO t VALUES (1,2);").unwrap_err();
    assert!(error.contains("--complete-insert"), "{error}");
    let two = b"USE `d1`; CREATE TABLE t (a int, b int); USE d2; CREATE TABLE t (a int, b int);";
    let error = read(two).unwrap_err();
    assert!(error.contains("table d2.t") && error.contains("d1"), "{error}");
    let (rows, losses) = read(
        b"USE `d1`; CREATE TABLE t (a int, b int); INSERT INTO d1.t VALUES (1,2); USE d2; CREATE TABLE u (a int); \
          INSERT INTO u VALUES (1);\n-- Dump completed",
    )
    .unwrap();
    assert_eq!(
        (rows.len(), losses),
        (1, vec![("table d2.u".to_owned(), "1 rows, which are not carried over".to_owned())])
    );
    assert!(read(b"\x1F\x8B\x08").unwrap_err().contains("zcat"));
}

#[test]
fn bytes_beyond_ascii_are_told_where_the_dump_was_converted() {
    let column = |dump: &str, table: &str, kind: &str, value: &str| {
        let text = format!(
            "{dump}; CREATE TABLE t (a {kind}, b int) DEFAULT CHARSET={table}; INSERT INTO t VALUES ('{value}',1);\
             \n-- Dump completed"
        );
        read(text.as_bytes()).unwrap().1.len()
    };
    let of = |dump: &str, table: &str, value: &str| column(&format!("SET NAMES {dump}"), table, "varchar(9)", value);
    assert_eq!(of("utf8mb4", "latin1", "\u{e4}"), 1);
    assert_eq!(of("utf8mb4", "latin1", "a"), 0);
    assert_eq!(of("utf8mb4", "utf8mb3", "\u{e4}"), 0);
    assert_eq!((of("latin1", "latin1", "\u{e4}"), of("binary", "latin1", "\u{e4}")), (0, 0));
    assert_eq!(of("latin1", "utf8", "\u{e4}"), 1);
    // A question mark may be what the dump's character set does not have.
    let marks = [("utf8mb3", "utf8mb4", 1), ("utf8mb4", "utf8mb4", 0), ("utf8mb4", "latin1", 0), ("latin1", "utf8", 1)];
    for (dump, table, want) in marks {
        assert_eq!(of(dump, table, "/h/?"), want, "{dump} {table}");
    }
    assert_eq!(of("utf8mb3", "utf8mb4", "\u{e4}"), 0);
    // The column's own comes first.
    for (kind, want) in [
        ("varchar(9) CHARACTER SET latin1 NOT NULL", 1),
        ("enum('x','SET') COLLATE latin1_bin", 1),
        ("varbinary(9)", 0),
        ("text DEFAULT NULL", 0),
    ] {
        assert_eq!(column("SET NAMES utf8mb4", "utf8mb4", kind, "\u{e4}"), want, "{kind}");
    }
    assert_eq!((column("SET x=1", "latin1", "text", "\u{e4}"), column("SET x=1", "latin1", "text", "?")), (1, 0));
}

#[test]
fn several_dumps_in_one_file() {
    let dump = |database: &str, statements: &str, end: &str| {
        format!("-- MySQL dump 10.13\n--\n-- Host: localhost    Database: {database}\n{statements}\n{end}\n")
    };
    let (make, insert) = ("CREATE TABLE t (a int, b int);", "INSERT INTO t VALUES (1,2);");
    let end = "-- Dump completed on x";
    let read = |parts: &[String]| read(parts.concat().as_bytes());
    let (rows, losses) = read(&[dump("one", make, end), dump("one", insert, end)]).unwrap();
    assert_eq!((rows.len(), losses.len()), (1, 0));
    let error = read(&[dump("one", make, ""), dump("one", insert, end)]).unwrap_err();
    assert!(error.starts_with("FILE:6: ") && error.contains("cut off"), "{error}");
    let error = read(&[dump("one", "DELIMITER ;;\nx;;", ""), dump("one", insert, end)]).unwrap_err();
    assert!(error.contains("cut off"), "{error}");
    let error = read(&[dump("one", make, end), dump("two", insert, end)]).unwrap_err();
    assert!(error.contains("another database"), "{error}");
    for again in ["CREATE TABLE t (a int, b int);", "CREATE TABLE `T` (a int, b int);"] {
        let error = read(&[dump("one", make, end), dump("one", again, end)]).unwrap_err();
        assert!(error.contains("table t: it is made twice"), "{error}");
    }
    let (_, losses) = read(&[make.to_owned(), dump("one", insert, end)]).unwrap();
    assert!(losses.iter().any(|(_, why)| why.contains("no comments")), "{losses:?}");
}

#[test]
fn what_is_no_text_of_mysqldump_is_refused() {
    for copy in ["COPY t (a, b) FROM stdin;\n1\t2\n\\.\n", "LOAD DATA INFILE 'x' INTO TABLE t;"] {
        let error = read(format!("CREATE TABLE t (a int, b int);\n{copy}").as_bytes()).unwrap_err();
        assert!(error.starts_with("FILE:2: ") && error.contains("INSERT"), "{error}");
    }
    assert!(read(b"BZh91AY").unwrap_err().contains("compressed"));
    assert!(read(b"\xFF\xFEC\0R\0").unwrap_err().contains("UTF-16"));
    assert_eq!(read(b"\xEF\xBB\xBFCREATE TABLE t (a int, b int); INSERT INTO t VALUES (1,2);").unwrap().0.len(), 1);
}

#[test]
fn a_column_that_a_statement_does_not_name_has_its_default() {
    let (rows, _) = read(b"CREATE TABLE t (a int, b int DEFAULT '7'); INSERT INTO t (a) VALUES (1);").unwrap();
    assert_eq!(rows, [vec![some(b"1"), some(b"7")]]);
}
