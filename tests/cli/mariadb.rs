//! The tool against a real MariaDB, by URL, by control/sqlserver and by TOML.

use super::{Run, run, run_with, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{ensure, equal};
use qmail_lookup_tests::server::mariadb::{MariaDb, PASSWORD, USER, missing};
use qmail_lookup_tests::server::{is_required, process};
use std::path::PathBuf;

/// The FAQ's rows, in the FAQ's own spelling.
const ROWS: &str = "
INSERT INTO q.mailbox VALUES ('iain','800','100','/home/mail/iain','secret','Password','N'),
  ('iain-sanity','800','100','/home/mail/sanity','secret','Password','N'),
  ('virtual','804','100','/home/mail/virtual','x','Password','N');
INSERT INTO q.alias VALUES ('iain','slowlaris','.','/Maildir/'), ('virtual','@','.','/Maildir/');
INSERT INTO q.virtual(username, ext, virtual_host) VALUES ('virtual','@','virtual.com');
INSERT INTO q.rcpthosts VALUES ('virtual.com');
";

/// A server with the FAQ's rows, and a folder with the files that lead to it.
pub(super) struct Site {
    pub(super) server: MariaDb,
    folder: PathBuf,
}

impl Site {
    pub(super) fn new() -> Result<Self, Failed> {
        let site = Self { server: MariaDb::start(&[])?, folder: process::folder(&format!("site{}", next()))? };
        site.write("password", &format!("{PASSWORD}\n"))?;
        // These tests kill the server; what it has committed must survive that.
        site.server.sql("SET GLOBAL innodb_flush_log_at_trx_commit=1; CREATE DATABASE q")?;
        site.run(&["init"])?.exits(0)?;
        site.server.sql(ROWS)?;
        Ok(site)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failed> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(path)
    }

    pub(super) fn url(&self) -> String {
        let (socket, password) = (self.server.socket().display(), self.folder.join("password"));
        format!("mysql://{USER}@localhost/q?socket={socket}&password_file={}", password.display())
    }

    pub(super) fn run(&self, args: &[&str]) -> Result<Run, Failed> {
        let url = self.url();
        run(&[&["--store", url.as_str()], args].concat())
    }
}

fn next() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Trials that need a server; without one they are ignored with the reason, or fail where one is required.
pub(super) fn needs_server(name: &str, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    match missing() {
        None => trial(name, run),
        Some(why) => {
            let required = is_required("mariadb");
            trial(&format!("{name} ({why})"), move || Err(why.into())).with_ignored_flag(!required)
        }
    }
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        needs_server("mariadb::by_url_the_faqs_answers", || {
            let site = Site::new()?;
            for (local, want) in [
                ("iain", "iain\x00800\x00100\0/home/mail/iain\0\0\0"),
                ("iain-sanity", "iain-sanity\x00800\x00100\0/home/mail/sanity\0\0\0"),
                ("iain-slowlaris", "iain\x00800\x00100\0/home/mail/iain\0-\0slowlaris\0"),
                ("=virtual.com=-Any.One", "virtual\x00804\x00100\0/home/mail/virtual\0-\0Any.One\0"),
            ] {
                equal(local, site.run(&["getpw", "--null", local])?.exits(0)?.out, want)?;
            }
            site.run(&["explain", "x@virtual.com"])?.exits(0)?.says("./Maildir/")?.says("SELECT")?;
            site.run(&["getpw", "nobody"])?.exits(1)?;
            let url = site.url();
            run_with(&["auth", "iain", "--store", &url], "secret\n", &[])?.exits(0)?;
            run_with(&["auth", "iain", "--store", &url], "Secret\n", &[])?.exits(1)?;
            let again = site.run(&["init"])?.exits(0)?;
            equal("lines", again.out.lines().filter(|line| line.contains("there already")).count(), 4)
        }),
        needs_server("mariadb::funky_queries_before_and_after_the_faqs_update", || {
            let site = Site::new()?;
            let url = site.url();
            let like = [("QMAIL_LOOKUP_RULES__VIRTUAL_PATTERNS", "like")];
            let ask = |env: &[(&str, &str)]| run_with(&["--store", &url, "getpw", "=virtual.com=-x"], "", env);
            ask(&[])?.exits(0)?;
            ask(&like)?.exits(111)?.complains(&["V2", "update virtual set"])?;
            site.server.sql("update q.virtual set virtual_username='%' where virtual_username=''")?;
            ask(&like)?.exits(0)?;
            ask(&[])?.exits(111)?.complains(&["V2", "virtual_patterns"])?;
            Ok(())
        }),
        needs_server("mariadb::control_sqlserver_is_read_as_it_stands", || {
            let site = Site::new()?;
            let socket = site.server.socket().display();
            for lines in [
                format!("server localhost\nsocket {socket}\nlogin {USER}\npassword {PASSWORD}\ndb q\n"),
                format!("server=localhost\r\nsocket={socket}\r\nlogin={USER}\r\npassword={PASSWORD}\r\ndb=q\r\n"),
                format!("# ours\n\nsocket\t{socket}\nlogin   {USER}\npassword {PASSWORD}\ndb q\n"),
            ] {
                let path = site.write("sqlserver", &lines)?.display().to_string();
                run(&["--sqlserver", &path, "getpw", "iain"])?.exits(0)?.says("/home/mail/iain")?;
            }
            // Warned about whatever is asked, with the command that mends it.
            let path = site.write(
                "sqlserver",
                &format!("server localhost\nsocket {socket}\nlogin {USER}\npassword {PASSWORD}\ndb q\n"),
            )?;
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            let path = path.display().to_string();
            run(&["--sqlserver", &path, "getpw", "iain"])?.exits(0)?.complains(&["0644", "chmod o-r", &path])?;
            let path = site.write("sqlserver", "server localhost\nlogin x\npasword y\ndb q\n")?.display().to_string();
            run(&["--sqlserver", &path, "getpw", "iain"])?.exits(100)?.complains(&[
                &path,
                ":3:",
                "did you mean password",
            ])?;
            Ok(())
        }),
        needs_server("mariadb::toml_names_file_line_and_nearest_key", || {
            let site = Site::new()?;
            let (socket, password) = (site.server.socket().display(), site.folder.join("password"));
            let store = format!(
                "[store]\nkind = \"mysql\"\nservers = [\"unix:{socket}\"]\nuser = \"{USER}\"\npassword_file = \"{}\"\ndatabase = \"q\"\n",
                password.display()
            );
            let path = site.write("q.toml", &store)?.display().to_string();
            run(&["getpw", "iain", "--config", &path])?.exits(0)?.says("/home/mail/iain")?;
            let path = site.write("q.toml", &format!("{store}usr = \"x\"\n"))?.display().to_string();
            run(&["getpw", "iain", "--config", &path])?.exits(100)?.complains(&[&path, "7", "usr", "user"])?;
            Ok(())
        }),
        needs_server("mariadb::a_wrong_password_a_missing_table_and_a_missing_database_name_what_helps", || {
            let site = Site::new()?;
            let socket = site.server.socket().display().to_string();
            let wrong = site.write("wrong", "hunter2\n")?;
            let url = format!("mysql://{USER}@localhost/q?socket={socket}&password_file={}", wrong.display());
            let refused =
                run(&["--store", &url, "getpw", "iain"])?.exits(111)?.complains(&[&socket, USER, "password"])?;
            ensure(!refused.err.contains("hunter2"), format!("{refused:?}"))?;
            let other = site.url().replace("/q?", "/nosuchdb?");
            run(&["--store", &other, "getpw", "iain"])?.exits(111)?.complains(&[&socket, "nosuchdb"])?;
            site.server.sql("DROP TABLE q.alias")?;
            site.run(&["alias", "iain", "x"])?.exits(111)?.complains(&["alias", "init"])?;
            site.run(&["getpw", "iain"])?.exits(0)?;
            site.run(&["check"])?.exits(1)?.says("bad      alias")?;
            Ok(())
        }),
        needs_server("mariadb::the_administrator_without_a_password_may_ask_in_one_line", || {
            let site = Site::new()?;
            let socket = site.server.socket().display().to_string();
            let url = format!("mysql://root@localhost/q?socket={socket}");
            let asked = run(&["--store", &url, "getpw", "--null", "iain"])?.exits(0)?;
            equal("stderr", asked.err.as_str(), "")?;
            run(&["--store", &url, "check"])?.exits(0)?.says("root may change")?;
            site.server.stop();
            run(&["--store", &url, "getpw", "iain"])?.exits(111)?.complains(&[&socket])?;
            Ok(())
        }),
        needs_server("mariadb::check_warns_about_keys_that_tell_capitals_apart", || {
            let site = Site::new()?;
            site.server.sql(
                "ALTER TABLE q.mailbox MODIFY username varchar(32) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL",
            )?;
            site.run(&["check"])?.exits(0)?.says("warning  mailbox: key column username tells capitals")?;
            Ok(())
        }),
        needs_server("mariadb::check_warns_about_more_than_select", || {
            let site = Site::new()?;
            site.run(&["check"])?.exits(0)?.says("warning  grants")?.says("INSERT")?;
            site.server.sql(&format!(
                "REVOKE INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES ON *.* FROM '{USER}'@'localhost'"
            ))?;
            site.run(&["check"])?.exits(0)?.says("ok       grants: SELECT only")?;
            Ok(())
        }),
    ]
}
