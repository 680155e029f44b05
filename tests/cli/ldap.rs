//! The tool against a real slapd, by TOML and by URL.

use super::down::every_verb_is_temporary;
use super::{Run, run, run_with, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Table, TableRow};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::load::ldap::{Names, base, create};
use qmail_lookup_tests::server::certificates::certificates;
use qmail_lookup_tests::server::process;
use qmail_lookup_tests::server::slapd::{Certificate, PASSWORD, SUFFIX, Schema, Slapd, USER, missing};
use std::path::PathBuf;

/// The FAQ's rows, and others for logins.
const ROWS: &[(Table, &[&str])] = &[
    (Table::Mailbox, &["iain", "800", "100", "/home/mail/iain", "secret", "Password", "N"]),
    (Table::Mailbox, &["iain-sanity", "800", "100", "/home/mail/sanity", "abgOeLfPimXQo", "Crypt-Password", "N"]),
    (Table::Mailbox, &["virtual", "804", "100", "/home/mail/virtual", "x", "Password", "N"]),
    (Table::Mailbox, &["sleepy", "805", "100", "/home/mail/sleepy", "secret", "Password", "Y"]),
    (Table::Mailbox, &["root", "0", "0", "/root", "secret", "Password", "N"]),
    (Table::Alias, &["iain", "slowlaris", ".", "/Maildir/", "1"]),
    (Table::Alias, &["iain", "fwd", "popaccount", "hotmail.com", "2"]),
    (Table::Alias, &["iain", "bogus", "", "", "3"]),
    (Table::Alias, &["virtual", "@", ".", "/Maildir/", "4"]),
    (Table::Virtual, &["virtual.com", "", "virtual", "@"]),
    (Table::Virtual, &["sillydomain.com", "sales", "iain", ""]),
    (Table::Rcpthosts, &["virtual.com"]),
    (Table::Rcpthosts, &[".example.net"]),
];

/// A server with the FAQ's rows, and a folder with the files that lead to it.
struct Site {
    server: Slapd,
    folder: PathBuf,
}

impl Site {
    fn new() -> Result<Self, Failed> {
        Self::with(Certificate::Good)
    }

    fn with(certificate: Certificate) -> Result<Self, Failed> {
        let server = Slapd::start(Schema::Native, certificate)?;
        let cells = |cells: &[&str]| cells.iter().map(|cell| Some(cell.as_bytes().to_vec())).collect::<Vec<_>>();
        let rows: Vec<_> = ROWS.iter().map(|(table, row)| TableRow::from_cells(*table, cells(row))).collect();
        create(&server, "q", Names::ByKey, &rows)?;
        let name = format!(
            "directory{}",
            server.socket().parent().and_then(|f| f.file_name()).map(|n| n.display().to_string()).unwrap_or_default()
        );
        let site = Self { server, folder: process::folder(&name)? };
        site.write("password", &format!("{PASSWORD}\n"))?;
        Ok(site)
    }

    fn write(&self, name: &str, text: &str) -> Result<String, Failed> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(path.display().to_string())
    }

    /// A configuration with this server, and further lines of its table.
    fn config(&self, server: &str, more: &str) -> Result<String, Failed> {
        self.write(
            "q.toml",
            &format!(
                "[store]\nkind = \"ldap\"\nservers = [\"{server}\"]\nbind_dn = \"{USER}\"\npassword_file = \"{}\"\nbase = \"{}\"\ndeadline = \"1s\"\n{more}\n",
                self.folder.join("password").display(),
                base("q"),
            ),
        )
    }

    /// Runs the tool with such a configuration, the password on standard input.
    fn ask(&self, server: &str, more: &str, args: &[&str]) -> Result<Run, Failed> {
        let config = self.config(server, more)?;
        run_with(&[&["--config", config.as_str()], args].concat(), "secret\n", &[])
    }

    /// Runs it over the socket.
    fn run(&self, args: &[&str]) -> Result<Run, Failed> {
        self.ask(&self.server.ldapi(), "", args)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.thaw();
        self.server.kill();
    }
}

/// Every verb at this server is temporary, and shows no secret.
fn all_temporary(site: &Site, server: &str, more: &str, words: &[&str]) -> Outcome {
    every_verb_is_temporary(words, |verb| {
        let done = site.ask(server, more, verb)?;
        ensure(!done.err.contains(PASSWORD) && !done.err.contains("secret"), format!("{verb:?}: {done:?}"))?;
        Ok(done)
    })
}

pub(super) fn trials() -> Vec<Trial> {
    if missing().is_some() {
        return Vec::new(); // said loudly by the subject
    }
    let trial = |name: &str, run: fn() -> Outcome| trial(&format!("ldap::{name}"), run);
    vec![
        trial("by_toml_the_faqs_answers", answers),
        trial("by_url_the_faqs_answers", by_url),
        trial("the_answers_are_those_of_sqlite_but_for_the_query", as_sqlite),
        trial("explain_shows_the_filter", || {
            let site = Site::new()?;
            let shown = site.run(&["explain", "iain-slowlaris"])?.exits(0)?;
            shown.says("(objectClass=qlookMailbox)")?.says("(qlookUser=iain)")?.says("./Maildir/")?.says("G2").map(drop)
        }),
        trial("auth_binds_or_compares", logins),
        trial("toml_names_file_line_and_nearest_key", || {
            let site = Site::new()?;
            let config = site.config(&site.server.ldapi(), "bse = \"x\"")?;
            run(&["getpw", "iain", "--config", &config])?.exits(100)?.complains(&[&config, "8", "bse", "base"])?;
            for (line, word) in
                [("auth = \"guess\"", "auth"), ("tls = \"perhaps\"", "tls"), ("mapping = \"ours\"", "mapping")]
            {
                let config = site.config(&site.server.ldapi(), line)?;
                run(&["getpw", "iain", "--config", &config])?.exits(100)?.complains(&[&config, "8", word])?;
            }
            site.write("password", "")?;
            site.run(&["getpw", "iain"])?.exits(100)?.complains(&["password_file", "empty"])?;
            Ok(())
        }),
        trial("a_wrong_password_and_a_missing_base_name_what_helps", || {
            let site = Site::new()?;
            let socket = site.server.socket().display().to_string();
            site.write("password", "hunter2\n")?;
            let refused = site.run(&["getpw", "iain"])?.exits(111)?.complains(&[&socket, "bind_dn", "password"])?;
            ensure(!refused.err.contains("hunter2"), format!("{refused:?}"))?;
            site.write("password", PASSWORD)?;
            site.server.delete(&base("q"))?;
            site.run(&["getpw", "nobody"])?.exits(111)?.complains(&[&socket, &base("q")])?;
            Ok(())
        }),
        trial("a_server_without_the_schema_names_what_helps", || {
            let (site, other) = (Site::new()?, Slapd::start(Schema::Posix, Certificate::Good)?);
            create(&other, "q", Names::ByKey, &[])?;
            let asked = site.ask(&other.ldapi(), "", &["getpw", "nobody"]);
            let checked = site.ask(&other.ldapi(), "", &["check"]);
            other.kill();
            asked?.exits(111)?.complains(&["qlookMailbox", "schema", "init --print"])?;
            let checked = checked?.says("bad      mailbox")?.says("init --print")?;
            ensure(matches!(checked.code, Some(1 | 111)), format!("{checked:?}"))
        }),
        trial("check_is_content_and_says_what_is_not", || {
            let site = Site::new()?;
            site.run(&["check"])?.exits(0)?.says("canary: none is set")?.says("index for qlookUser cannot be seen")?;
            site.ask(&site.server.ldapi(), "canary = \"iain\"", &["check"])?.exits(0)?.says("ok       canary")?;
            site.ask(&site.server.ldapi(), "canary = \"nobody\"", &["check"])?.exits(1)?.says("bad      canary")?;
            Ok(())
        }),
        trial("init_makes_the_base_entries_once", || {
            let site = Site::new()?;
            let again = site.run(&["init"])?.exits(0)?;
            equal("lines", again.out.lines().filter(|line| line.contains("there already")).count(), 4)?;
            site.server.add(&format!(
                "dn: {}\nobjectClass: dcObject\nobjectClass: organization\ndc: new\no: new\n\n",
                base("new")
            ))?;
            let config = site.config(&site.server.ldapi(), "")?;
            let text = std::fs::read_to_string(&config)?.replace(&base("q"), &base("new"));
            std::fs::write(&config, text)?;
            run(&["--config", &config, "getpw", "iain"])?.exits(111)?;
            run(&["--config", &config, "init"])?.exits(0)?;
            run(&["--config", &config, "mailbox", "iain"])?.exits(111)?.complains(&["mailbox is empty"])?;
            site.run(&["init", "--print"])?.exits(0)?.says("qlookMailbox")?.says("ou=mailbox")?;
            Ok(())
        }),
        trial("a_server_that_is_down_is_temporary", down),
        trial("certificates_that_are_not_to_be_trusted_are_temporary", distrusted),
    ]
}

fn answers() -> Outcome {
    let site = Site::new()?;
    for (local, want) in [
        ("iain", "iain\x00800\x00100\0/home/mail/iain\0\0\0"),
        ("iain-sanity", "iain-sanity\x00800\x00100\0/home/mail/sanity\0\0\0"),
        ("IAIN-SlowLaris", "iain\x00800\x00100\0/home/mail/iain\0-\0SlowLaris\0"),
        ("=virtual.com=-Any.One", "virtual\x00804\x00100\0/home/mail/virtual\0-\0Any.One\0"),
    ] {
        equal(local, site.run(&["getpw", "--null", local])?.exits(0)?.out, want)?;
    }
    site.run(&["getpw", "nobody"])?.exits(1)?;
    site.run(&["getpw", "root"])?.exits(111)?.complains(&["uid"])?;
    site.run(&["alias", "iain", "slowlaris"])?.exits(0)?.says("./Maildir/")?;
    site.run(&["alias", "iain", "bogus"])?.exits(111)?.complains(&["A2"])?;
    site.run(&["virtual", "x@virtual.com"])?.exits(0)?.says("virtual")?;
    site.run(&["virtual", "x@elsewhere.example"])?.exits(1)?;
    site.run(&["rcpthost", "a.example.net"])?.exits(0)?.says(".example.net")?;
    site.run(&["rcpthost", "example.net"])?.exits(1)?;
    Ok(())
}

fn by_url() -> Outcome {
    let site = Site::new()?;
    let password = site.folder.join("password");
    let url = format!("ldap:{}/{}?bind_dn={USER}&password_file={}", site.server.ldapi(), base("q"), password.display());
    run(&["--store", &url, "getpw", "iain-slowlaris"])?.exits(0)?.says("/home/mail/iain")?;
    run(&["--store", &url, "getpw", "nobody"])?.exits(1)?;
    let blunt = format!("ldap:{}/{}?bind_dn={USER}&password=hunter2", site.server.ldapi(), base("q"));
    let refused = run(&["--store", &blunt, "getpw", "iain"])?.exits(100)?.complains(&["password_file"])?;
    ensure(!refused.err.contains("hunter2"), format!("{refused:?}"))
}

/// What an address turns into is the same, byte for byte; only how it was asked differs.
fn as_sqlite() -> Outcome {
    let site = Site::new()?;
    let path = site.folder.join("same.db");
    let url = format!("sqlite:{}", path.display());
    run(&["--store", &url, "init", "--with-seq"])?.exits(0)?;
    let db = rusqlite::Connection::open(&path)?;
    for (table, cells) in ROWS {
        let columns = table.columns().iter().take(cells.len()).copied().collect::<Vec<_>>().join(", ");
        let marks = vec!["?"; cells.len()].join(", ");
        let insert = format!("INSERT INTO `{table}` ({columns}) VALUES ({marks})");
        db.execute(&insert, rusqlite::params_from_iter(cells.iter()))?;
    }
    for args in [
        &["getpw", "iain-slowlaris"][..],
        &["getpw", "--json", "=virtual.com=-x"],
        &["mailbox", "iain"],
        &["mailbox", "--json", "iain"],
        &["alias", "iain", "fwd"],
        &["virtual", "sales@sillydomain.com"],
        &["rcpthost", "a.example.net"],
        &["auth", "iain"],
        &["auth", "iain-sanity"],
        &["auth", "sleepy"],
        &["auth", "nobody"],
    ] {
        let ldap = site.run(args)?;
        let sqlite = run_with(&[&["--store", url.as_str()], args].concat(), "secret\n", &[])?;
        equal(&format!("{args:?}"), (ldap.code, ldap.out), (sqlite.code, sqlite.out))?;
    }
    for address in ["iain-slowlaris", "iain-fwd", "x@virtual.com", "made-up@sillydomain.com", "iain-bogus", "root"] {
        let without_queries = |run: Run| -> Result<_, Failed> {
            let mut json = run.json()?;
            for step in json["steps"].as_array_mut().into_iter().flatten() {
                for key in ["asked", "microseconds", "place", "store"] {
                    step.as_object_mut().map(|step| step.remove(key));
                }
            }
            Ok(json)
        };
        let ldap = without_queries(site.run(&["--json", "explain", address])?)?;
        let sqlite = without_queries(run(&["--store", &url, "--json", "explain", address])?)?;
        for key in ["address", "verdict", "mailbox", "instructions"] {
            equal(&format!("{address}: {key}"), &ldap[key], &sqlite[key])?;
        }
        let rules = |json: &serde_json::Value| -> Vec<_> {
            json["steps"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|step| (step["rule"].clone(), step["found"].clone()))
                .collect()
        };
        equal(address, rules(&ldap), rules(&sqlite))?;
    }
    Ok(())
}

fn logins() -> Outcome {
    let site = Site::new()?;
    for auth in ["auth = \"bind\"", "auth = \"compare\""] {
        let config = site.config(&site.server.ldapi(), auth)?;
        let ask = |user: &str, password: &str| run_with(&["--config", config.as_str(), "auth", user], password, &[]);
        ask("iain", "secret\n")?.exits(0)?.says("granted")?;
        ask("IAIN", "secret")?.exits(0)?.says("granted")?;
        ask("iain-sanity", "test\n")?.exits(0)?.says("granted")?;
        for (user, password) in [
            ("iain", "Secret\n"),
            ("iain", "\n"),
            ("nobody", "secret\n"),
            ("sleepy", "secret\n"),
            ("iain-sanity", "abgOeLfPimXQo\n"),
            ("iain-sanity", "{CRYPT}abgOeLfPimXQo\n"),
            ("iain-x", "secret\n"),
            ("*", "secret\n"),
        ] {
            ask(user, password)?.exits(1)?.says("refused")?;
        }
        ask("root", "secret\n")?.exits(111)?.complains(&["uid"])?;
    }
    // The account of the program is nobody's mailbox.
    site.run(&["auth", &format!("cn=qmail,{SUFFIX}")])?.exits(1)?;
    Ok(())
}

fn down() -> Outcome {
    let site = Site::new()?;
    let (socket, port) = (site.server.socket().display().to_string(), site.server.ldap().replace("ldap://", ""));
    site.run(&["getpw", "iain"])?.exits(0)?;
    site.server.kill();
    all_temporary(&site, &site.server.ldapi(), "", &[&socket])?;
    all_temporary(&site, &site.server.ldap(), "", &[&port])?;
    site.server.run()?;
    site.run(&["getpw", "iain"])?.exits(0)?;
    site.server.freeze();
    all_temporary(&site, &site.server.ldapi(), "", &[&socket])?;
    all_temporary(&site, &site.server.ldap(), "", &[&port])?;
    site.server.thaw();
    site.run(&["getpw", "iain"])?.exits(0)?;
    Ok(())
}

fn distrusted() -> Outcome {
    let tls = certificates()?;
    let verify = |ca: &std::path::Path| format!("tls = \"verify\"\ntls_ca = \"{}\"", ca.display());
    let site = Site::new()?;
    for server in [site.server.ldap(), site.server.ldaps()] {
        site.ask(&server, &verify(&tls.ca), &["getpw", "iain"])?.exits(0)?;
        let place = server.split_once("://").map(|(_, place)| place.to_owned()).unwrap_or_default();
        all_temporary(&site, &server, &verify(&tls.foreign_ca), &[&place, "certificate"])?;
    }
    let site = Site::with(Certificate::Expired)?;
    let place = site.server.ldaps().replace("ldaps://", "");
    all_temporary(&site, &site.server.ldaps(), &verify(&tls.ca), &[&place, "certificate", "xpired"])
}
