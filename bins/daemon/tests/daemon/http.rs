//! Metrics, health, and the log as data.

use crate::site::{LONG, NOBODY, Site, as_user};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

fn get(stream: &mut (impl Read + Write), path: &str) -> (u16, String) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn over_a_unix_socket() {
    let site = Site::new("");
    let socket = site.path("m");
    site.configure(&format!("metrics = \"unix:{}\"", socket.display()));
    let mut daemon = site.start();
    site.ask("mailbox", "bob");
    site.ask("mailbox", "rootish");
    as_user(NOBODY, &[], || site.ask("mailbox", "bob"));
    let get = |path: &str| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        get(&mut stream, path)
    };
    let (status, text) = get("/metrics");
    assert_eq!(status, 200);
    for line in [
        r#"qmail_lookupd_questions_total{question="mailbox",verdict="ok"} 1"#,
        r#"qmail_lookupd_questions_total{question="mailbox",verdict="temp"} 2"#,
        r#"qmail_lookupd_errors_total{why="misconfigured"} 1"#,
        "qmail_lookupd_questions_not_allowed_total 1",
        "qmail_lookupd_waiting_questions 1",
        "qmail_lookupd_store_distrusted 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert_eq!(get("/health"), (200, "mailbox, alias, virtual: ok\n".to_owned()));
    assert_eq!(get("/other").0, 404);
    std::fs::rename(site.path("mail.db"), site.path("away.db")).unwrap();
    let (status, text) = get("/health");
    assert_eq!(status, 503);
    assert!(text.starts_with("mailbox, alias, virtual: ") && !text.contains("mail.db"), "{text}");
    assert_eq!(daemon.stop(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn over_loopback() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = Site::new(&format!("metrics = \"{address}\""));
    let _daemon = site.start();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(get(&mut stream, "/health").0, 200);
    let mut other = TcpStream::connect(address).unwrap();
    other.set_read_timeout(Some(LONG)).unwrap();
    other.write_all(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").unwrap();
    let mut text = String::new();
    other.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 405 "), "{text}");
}

#[test]
fn every_line_of_a_json_log_is_an_object() {
    let site = Site::new("log_format = \"json\"\nlog_level = \"debug\"");
    let mut daemon = site.start();
    site.ask("getpw", "b\"ob\n");
    site.ask("mailbox", "rootish");
    assert_eq!(daemon.stop(), Some(0));
    let log = daemon.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().any(|line| line["message"] == "ready"), "{log}");
    let failed = lines.iter().find(|line| line["question"] == "mailbox rootish" && line["level"] == "WARN").unwrap();
    assert_eq!(failed["kind"], "misconfigured");
    assert!(lines.iter().any(|line| line["question"] == "getpw b\"ob\\x0a"), "{log}");
}
