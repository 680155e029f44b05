//! Every verb on a real SQLite file.

use super::{run, run_with, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::path::Path;
use tempfile::TempDir;

/// The FAQ's rows as an administrator would type them.
const ROWS: &str = "
insert into mailbox values
  ('iain','800','100','/home/mail/iain','secret','Password','N'),
  ('iain-sanity','800','100','/home/mail/sanity','abgOeLfPimXQo','Crypt-Password','N'),
  ('dmp','803','100','/home/mail/dmp','*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29','MySQL-Password','N'),
  ('virtual','804','100','/home/mail/virtual','x','Password','N'),
  ('sleepy','805','100','/home/mail/sleepy','secret','Password','Y'),
  ('root','0','0','/root','secret','Password','N');
insert into alias(username, alias, alias_username, alias_host) values
  ('iain','slowlaris','.','/Maildir/'), ('virtual','@','.','/Maildir/'), ('iain','bogus','',''),
  ('iain','fwd','popaccount','hotmail.com');
insert into `virtual`(username, ext, virtual_username, virtual_host) values
  ('virtual','@','','virtual.com'), ('iain','','sales','sillydomain.com');
insert into rcpthosts values ('virtual.com'), ('.example.net');
";

/// A store of `init` and [`ROWS`], and its URL.
fn store() -> Result<(TempDir, String), Failed> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite:{}", folder.path().join("mail.db").display());
    run(&["--store", &url, "init"])?.exits(0)?;
    rusqlite::Connection::open(folder.path().join("mail.db"))?.execute_batch(ROWS)?;
    Ok((folder, url))
}

fn with_store(name: &str, case: impl FnOnce(&str, &Path) -> Outcome + Send + 'static) -> Trial {
    trial(&format!("sqlite::{name}"), move || {
        let (folder, url) = store()?;
        case(&url, folder.path())
    })
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        with_store("getpw_prints_the_faqs_answers_in_six_fields", |url, _| {
            for (local, want) in [
                ("iain", "iain\x00800\x00100\0/home/mail/iain\0\0\0"),
                ("iain-sanity", "iain-sanity\x00800\x00100\0/home/mail/sanity\0\0\0"),
                ("iain-slowlaris", "iain\x00800\x00100\0/home/mail/iain\0-\0slowlaris\0"),
                ("=virtual.com=-Any.One", "virtual\x00804\x00100\0/home/mail/virtual\0-\0Any.One\0"),
            ] {
                equal(local, run(&["--store", url, "getpw", "--null", local])?.exits(0)?.out, want)?;
                equal(local, run(&["getpw", local, "--null", "--store", url])?.exits(0)?.out, want)?;
            }
            Ok(())
        }),
        with_store("getpw_says_no_for_nobody_and_temporary_for_a_bad_row", |url, _| {
            run(&["--store", url, "getpw", "nobody"])?.exits(1)?;
            run(&["--store", url, "getpw", "root"])?.exits(111)?.complains(&["mailbox", "root", "uid"])?;
            let json = run(&["--store", url, "--json", "getpw", "iain-x"])?.exits(0)?.json()?;
            ensure(json["ext"] == "x" && json["uid"] == 800 && json["result"] == "mailbox", json.to_string())
        }),
        with_store("getpw_looks_at_the_home_only_when_asked", |url, folder| {
            run(&["--store", url, "getpw", "iain"])?.exits(0)?;
            run(&["--store", url, "getpw", "--check-home", "iain"])?
                .exits(111)?
                .complains(&["iain", "does not exist"])?;
            let home = folder.join("home");
            std::fs::create_dir(&home)?;
            let sql = format!("update mailbox set home='{}' where username='iain'", home.display());
            rusqlite::Connection::open(folder.join("mail.db"))?.execute_batch(&sql)?;
            run(&["--store", url, "getpw", "--check-home", "iain"])?.exits(111)?.complains(&["another uid or gid"])?;
            Ok(())
        }),
        with_store("mailbox_alias_virtual_and_rcpthost_answer_yes_and_no", |url, _| {
            run(&["--store", url, "mailbox", "IAIN"])?.exits(0)?.says("/home/mail/iain")?;
            run(&["--store", url, "mailbox", "iain-slowlaris"])?.exits(1)?;
            run(&["--store", url, "alias", "iain", "SlowLaris"])?.exits(0)?.says("./Maildir/")?;
            run(&["--store", url, "alias", "iain"])?.exits(1)?;
            run(&["--store", url, "alias", "iain", "bogus"])?.exits(111)?.complains(&["A2", "alias"])?;
            run(&["--store", url, "virtual", "x@virtual.com"])?.exits(0)?.says("virtual")?;
            run(&["--store", url, "virtual", "x@elsewhere.example"])?.exits(1)?;
            run(&["--store", url, "rcpthost", "a.example.net"])?.exits(0)?.says(".example.net")?;
            run(&["--store", url, "rcpthost", "example.net"])?.exits(1)?;
            Ok(())
        }),
        with_store("no_verb_ever_shows_a_password", |url, _| {
            for args in [
                &["mailbox", "iain"][..],
                &["explain", "iain"],
                &["getpw", "iain"],
                &["check"],
                &["explain", "iain", "--json"],
            ] {
                let shown = run(&[&["--store", url, "-v"], args].concat())?;
                ensure(!shown.out.contains("secret") && !shown.err.contains("secret"), format!("{shown:#?}"))?;
            }
            Ok(())
        }),
        with_store("auth_reads_the_first_line_of_standard_input", |url, _| {
            let auth = |user: &str, input: &str| run_with(&["--store", url, "auth", user], input, &[]);
            for (user, password) in [
                ("iain", "secret\n"),
                ("iain", "secret"),
                ("Iain", "secret\nmore\n"),
                ("iain-sanity", "test\n"),
                ("dmp", "test\n"),
            ] {
                auth(user, password)?.exits(0)?.says("granted")?;
            }
            for (user, password) in [
                ("iain", "Secret\n"),
                ("iain", "\n"),
                ("nobody", "secret\n"),
                ("sleepy", "secret\n"),
                ("iain-sanity", "abgOeLfPimXQo\n"),
                ("dmp", "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29\n"),
                ("iain-x", "secret\n"),
            ] {
                auth(user, password)?.exits(1)?.says("refused")?;
            }
            auth("root", "secret\n")?.exits(111)?.complains(&["uid"])?;
            auth("iain", "")?.exits(100)?.complains(&["no password"])?;
            Ok(())
        }),
        with_store("explain_says_verdict_mailbox_instructions_and_steps", |url, folder| {
            std::fs::create_dir_all(folder.join("control"))?;
            std::fs::write(folder.join("control/locals"), "mail.test\n")?;
            let home = folder.display().to_string();
            let explain = |address: &str, code: i32| {
                run_with(&["--store", url, "--json", "explain", address], "", &[("QMAIL_LOOKUP_QMAIL", &home)])?
                    .exits(code)?
                    .json()
            };
            for (address, code, verdict, mailbox, lines) in [
                ("iain-slowlaris@mail.test", 0, "deliver", Some("iain"), &["./Maildir/"][..]),
                ("iain-slowlaris", 0, "deliver", Some("iain"), &["./Maildir/"]),
                ("iain-fwd@Mail.Test", 0, "forward", Some("iain"), &["&popaccount@hotmail.com"]),
                ("iain@mail.test", 0, "files", Some("iain"), &[]),
                ("Any.One@Virtual.COM", 0, "deliver", Some("virtual"), &["./Maildir/"]),
                ("sales@sillydomain.com", 0, "files", Some("iain"), &[]),
                ("made-up@sillydomain.com", 1, "bounce", None, &[]),
                ("x@elsewhere.example", 1, "not-ours", None, &[]),
                ("iain-bogus@mail.test", 111, "temporary", None, &[]),
                ("root@mail.test", 111, "temporary", None, &[]),
            ] {
                let json = explain(address, code)?;
                equal(address, json["address"].as_str(), Some(address))?;
                equal(address, json["verdict"].as_str(), Some(verdict))?;
                equal(address, json["mailbox"].as_str(), mailbox)?;
                let found: Vec<_> =
                    json["instructions"].as_array().into_iter().flatten().filter_map(|v| v.as_str()).collect();
                equal(address, found, lines)?;
                let steps = json["steps"].as_array().ok_or("no steps")?;
                ensure(steps.iter().any(|step| step["asked"].is_string()), format!("no question: {json:#}"))?;
                for step in steps {
                    ensure(step["rule"].is_string(), format!("a step without a rule: {step}"))?;
                    let asked = step["asked"].is_string();
                    ensure(
                        asked == step["found"].is_array() && asked == step["microseconds"].is_u64(),
                        step.to_string(),
                    )?;
                }
            }
            run(&["--store", url, "explain", "iain-slowlaris"])?.exits(0)?.says("SELECT")?.says("G2")?;
            Ok(())
        }),
        with_store("init_makes_the_documented_columns_and_changes_nothing_twice", |url, folder| {
            let columns = |folder: &Path| -> Result<Vec<String>, Failed> {
                let sql = "select m.name || '.' || c.name from sqlite_master m, pragma_table_info(m.name) c where m.type='table' order by m.name, c.cid";
                let db = rusqlite::Connection::open(folder.join("mail.db"))?;
                let names = db.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
                Ok(names)
            };
            let want = [
                "alias.username",
                "alias.alias",
                "alias.alias_username",
                "alias.alias_host",
                "mailbox.username",
                "mailbox.uid",
                "mailbox.gid",
                "mailbox.home",
                "mailbox.password",
                "mailbox.password_type",
                "mailbox.suspended",
                "rcpthosts.host",
                "virtual.username",
                "virtual.ext",
                "virtual.virtual_username",
                "virtual.virtual_host",
            ];
            equal("columns", columns(folder)?, want.map(str::to_owned).to_vec())?;
            let again = run(&["--store", url, "init", "--with-seq", "--username-width", "128"])?.exits(0)?;
            equal("lines", again.out.lines().filter(|line| line.contains("there already")).count(), 4)?;
            equal("columns", columns(folder)?, want.map(str::to_owned).to_vec())?;
            run(&["--store", url, "getpw", "iain"])?.exits(0)?;
            let printed =
                run(&["--store", url, "init", "--print", "--with-seq"])?.exits(0)?.says("CREATE TABLE")?.says("seq")?;
            rusqlite::Connection::open_in_memory()?.execute_batch(&printed.out)?;
            Ok(())
        }),
        with_store("check_is_content_and_asks_for_a_canary", |url, _| {
            run(&["--store", url, "check"])?.exits(0)?.says("canary: none is set")?;
            let with = |name: &str| run_with(&["--store", url, "check"], "", &[("QMAIL_LOOKUP_STORE__CANARY", name)]);
            with("iain")?.exits(0)?.says("ok       canary")?;
            with("nobody")?.exits(1)?.says("bad      canary")?;
            Ok(())
        }),
        with_store("a_missing_canary_makes_every_none_temporary", |url, _| {
            let env = [("QMAIL_LOOKUP_STORE__CANARY", "nobody")];
            for args in [
                &["getpw", "zz"][..],
                &["mailbox", "zz"],
                &["alias", "zz"],
                &["virtual", "zz@virtual.example"],
                &["rcpthost", "zz"],
                &["explain", "zz@virtual.example"],
            ] {
                run_with(&[&["--store", url], args].concat(), "", &env)?
                    .exits(111)?
                    .complains(&["canary", "nobody"])?;
            }
            run_with(&["--store", url, "auth", "zz"], "secret\n", &env)?.exits(111)?.complains(&["canary"])?;
            Ok(())
        }),
        with_store("any_bytes_may_be_asked", |url, _| {
            use std::os::unix::ffi::OsStringExt;
            let bytes = |text: &[u8]| std::ffi::OsString::from_vec(text.to_vec());
            let ask = |verb: &str, key: &[u8]| run(&[bytes(b"--store"), url.into(), verb.into(), bytes(key)]);
            ask("getpw", b"=virtual.com=-\xff\xfe")?.exits(0)?;
            ask("getpw", b"\xff")?.exits(1)?;
            ask("mailbox", b"")?.exits(1)?;
            for key in [&b"@"[..], b"a@", b"@a", b"=a=b", b"%", b"'; drop table mailbox;--", b"a b", &[b'x'; 100_000]] {
                for verb in ["getpw", "mailbox", "alias", "rcpthost", "explain"] {
                    let done = ask(verb, key)?;
                    ensure(matches!(done.code, Some(0 | 1)), format!("{verb}: {done:?}"))?;
                }
            }
            run(&["--store", url, "getpw", "--null", "--json", "iain"])?.exits(100)?;
            Ok(())
        }),
        trial("sqlite::a_key_that_nobody_can_have_is_still_not_known_while_the_store_is_away", || {
            for args in [
                &["mailbox", ""][..],
                &["mailbox", "a b"],
                &["getpw", "\u{e9}"],
                &["rcpthost", ""],
                &["explain", "x@\u{e9}"],
            ] {
                run(&[&["--store", "sqlite:/nonexistent/x.db"], args].concat())?
                    .exits(111)?
                    .complains(&["/nonexistent/x.db"])?;
            }
            Ok(())
        }),
        trial("sqlite::every_role_may_have_a_store_of_its_own", || {
            let folder = tempfile::tempdir()?;
            let at = |name: &str| folder.path().join(name).display().to_string();
            let toml = format!(
                "qmail = \"{}\"\n[store]\nkind = \"sqlite\"\npath = \"{}\"\n[store.alias]\npath = \"{}\"\n",
                at("qmail"),
                at("one.db"),
                at("two.db")
            );
            std::fs::write(at("q.toml"), toml)?;
            let config = at("q.toml");
            run(&["--config", &config, "init"])?.exits(0)?.says("two.db")?;
            let tables = |name: &str| -> Result<Vec<String>, Failed> {
                let db = rusqlite::Connection::open(at(name))?;
                let sql = "select name from sqlite_master where type='table' order by name";
                let names = db.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
                Ok(names)
            };
            equal("one", tables("one.db")?, ["mailbox", "rcpthosts", "virtual"].map(str::to_owned).to_vec())?;
            equal("two", tables("two.db")?, vec!["alias".to_owned()])?;
            rusqlite::Connection::open(at("one.db"))?
                .execute_batch("insert into mailbox values ('iain',800,100,'/h','secret','Password','N')")?;
            rusqlite::Connection::open(at("two.db"))?
                .execute_batch("insert into alias values ('iain','x','.','/Maildir/')")?;
            run(&["--config", &config, "explain", "iain-x"])?.exits(0)?.says("./Maildir/")?;
            run(&["--config", &config, "check"])?.exits(0)?.says("unproved")?;
            run(&["--config", &config, "init", "--with-seq"])?.exits(0)?.says("no column seq")?;
            std::fs::remove_file(at("two.db"))?;
            run(&["--config", &config, "explain", "iain-x"])?.exits(111)?.complains(&["two.db"])?;
            run(&["--config", &config, "check"])?.exits(111)?.complains(&["two.db"])?;
            Ok(())
        }),
        trial("sqlite::an_empty_store_is_not_believed", || {
            let folder = tempfile::tempdir()?;
            let url = format!("sqlite:{}", folder.path().join("mail.db").display());
            run(&["--store", &url, "init"])?.exits(0)?;
            run(&["--store", &url, "getpw", "iain"])?.exits(111)?.complains(&["mailbox is empty"])?;
            run_with(&["--store", &url, "auth", "iain"], "secret\n", &[])?
                .exits(111)?
                .complains(&["mailbox is empty"])?;
            Ok(())
        }),
        trial("sqlite::a_missing_file_and_a_missing_table_name_the_command_that_helps", || {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("mail.db");
            let url = format!("sqlite:{}", path.display());
            run(&["--store", &url, "getpw", "iain"])?.exits(111)?.complains(&[&path.display().to_string(), "init"])?;
            ensure(!path.exists(), "a lookup made the file")?;
            rusqlite::Connection::open(&path)?.execute_batch("create table other(x)")?;
            run(&["--store", &url, "getpw", "iain"])?.exits(111)?.complains(&["mailbox", "init"])?;
            Ok(())
        }),
    ]
}
