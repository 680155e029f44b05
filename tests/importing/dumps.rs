//! Databases of other systems, dumped by the real mariadb-dump, in each of the forms that people use; and what the tool
//! says of them after it has imported them.

use crate::cli::{Run, run, run_with};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{ensure, equal};
use qmail_lookup_tests::server::mariadb::{MariaDb, missing};
use qmail_lookup_tests::server::{is_required, process};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Forms of the same dump.
const FORMS: [&[&str]; 5] = [
    &[],
    &["--hex-blob"],
    &["--skip-extended-insert"],
    &["--complete-insert", "--databases"],
    &["--default-character-set=binary", "--skip-opt", "--create-options"],
];

fn dump(server: &MariaDb, database: &str, form: &[&str], to: &Path) -> Result<(), Failed> {
    let mut command = Command::new("mariadb-dump");
    command.arg("--no-defaults").arg("-uroot").arg("-S").arg(server.socket());
    command.args(form).arg(database).stdin(Stdio::null()).stdout(std::fs::File::create(to)?);
    let done = command.output()?;
    ensure(done.status.success(), format!("{form:?}: {}", String::from_utf8_lossy(&done.stderr)))
}

/// A server with a database of these statements, and a folder.
fn database(name: &str, statements: &str) -> Result<(MariaDb, PathBuf), Failed> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let server = MariaDb::start(&[])?;
    server.sql("SET GLOBAL max_allowed_packet=67108864")?;
    server.sql(&format!("SET NAMES utf8mb4; CREATE DATABASE {name}; USE {name}; {statements}"))?;
    let folder = process::folder(&format!("dumps{}", NUMBER.fetch_add(1, Ordering::Relaxed)))?;
    Ok((server, folder))
}

fn import(format: &str, file: &Path, store: &str, more: &[&str]) -> Result<Run, Failed> {
    let file = file.display().to_string();
    let args = ["--store", store, "import", "--format", format, "--username-width", "128", "--quiet", file.as_str()];
    run(&[&args[..], more].concat())
}

/// The rows of all tables, as text.
fn rows(store: &str) -> Result<String, Failed> {
    Ok(run(&["--store", store, "export", "--quiet"])?.exits(0)?.out)
}

/// Each form gives the same rows, and exit 1, because something is always left behind.
fn forms(format: &str, statements: &str, more: &[&str]) -> Result<(String, Run, PathBuf), Failed> {
    let (server, folder) = database("site", statements)?;
    let mut first: Option<(String, Run, String)> = None;
    for (n, form) in FORMS.iter().enumerate() {
        let file = folder.join(format!("{n}.sql"));
        dump(&server, "site", form, &file)?;
        let store = format!("sqlite:{}", folder.join(format!("{n}.db")).display());
        let done = import(format, &file, &store, more)?.exits(1)?;
        let now = rows(&store)?;
        match &first {
            None => first = Some((store, done, now)),
            Some((_, _, want)) => equal(&format!("{form:?}"), now.as_str(), want.as_str())?,
        }
    }
    let (store, done, _) = first.ok_or("no form")?;
    Ok((store, done, folder))
}

fn tells(done: &Run, words: &[&str]) -> Result<(), Failed> {
    let is_told = done.err.lines().any(|line| words.iter().all(|word| line.contains(word)));
    ensure(is_told, format!("a line with {words:?} expected: {done:#?}"))
}

fn logs_in(store: &str, user: &str, password: &str, code: i32) -> Result<(), Failed> {
    run_with(&["--store", store, "auth", user], &format!("{password}\n"), &[])?.exits(code).map(drop)
}

fn explains(store: &str, address: &str, words: &[&str]) -> Result<(), Failed> {
    let done = run(&["--store", store, "explain", address])?;
    let is_said = words.iter().all(|word| done.out.contains(word));
    ensure(is_said, format!("{address}: {words:?} expected: {done:#?}"))
}

fn needs_dump(name: &str, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    let no_dump = || {
        let found = Command::new("mariadb-dump").arg("--version").output().is_ok();
        (!found).then(|| "mariadb-dump is not installed (Debian: mariadb-client)".to_owned())
    };
    match missing().or_else(no_dump) {
        None => Trial::test(format!("importing::dumps::{name}"), run),
        Some(why) => {
            let required = is_required("mariadb");
            let name = format!("importing::dumps::{name} ({why})");
            Trial::test(name, move || Err(why.into())).with_ignored_flag(!required)
        }
    }
}

fn old_patch() -> Result<(), Failed> {
    let (store, done, _) = forms("mysqldump", include_str!("data/old_patch.sql"), &[])?;
    tells(&done, &["table log", "2 rows"])?;
    tells(&done, &["column comment", "1 values"])?;
    logs_in(&store, "iain", "it's a \\secret\"; -- /* x */", 0)?;
    logs_in(&store, "iain", "secret", 1)?;
    logs_in(&store, "old", "secret", 0)?;
    logs_in(&store, "crypted", "secret", 1)?;
    run(&["--store", &store, "mailbox", "iain"])?.exits(0)?.says("/home/mail/ia'in \\ \"x\";-- no")?;
    run(&["--store", &store, "mailbox", "old"])?.exits(0)?.says("/home/mail/ä")?;
    run(&["--store", &store, "alias", "iain", "list"])?.exits(0)?.says("|prog 'a b' \"c\";")?;
    let text = rows(&store)?;
    ensure(text.contains("\\xFE'") || text.contains("\\xfe'"), text)?;
    run(&["--store", &store, "rcpthost", "a.wild.test"])?.exits(0)?;
    explains(&store, "x@virtual.test", &["iain"])
}

fn vpopmail() -> Result<(), Failed> {
    let ids = ["--uid", "1500", "--gid", "1600"];
    let (store, done, folder) = forms("vpopmail", include_str!("data/vpopmail.sql"), &ids)?;
    for words in [
        ["table lastauth", "1 rows"],
        ["column pw_gecos", "2 values"],
        ["closed@example.com", "suspended"],
        ["postmaster@example.com", "administrator"],
        ["joe.user@example.com", "quota"],
        ["none@example.com", "no password"],
        ["clear@example.com", "pw_passwd is blank"],
        ["all@example.com", "suspended"],
        ["table backup_vpopmail", "2 rows"],
        ["robot@example.com", "a program"],
        ["example.com", ".qmail-default"],
    ] {
        tells(&done, &words)?;
    }
    ensure(!done.err.contains("plain'word") && !done.err.contains("abcdefgh"), format!("{done:#?}"))?;
    logs_in(&store, "joe.user@example.com", "secret", 0)?;
    logs_in(&store, "joe.user@example.com", "Secret", 1)?;
    logs_in(&store, "clear@example.com", "plain'word", 1)?;
    logs_in(&store, "all@example.com", "secret", 1)?;
    logs_in(&store, "fired@example.com", "secret", 1)?;
    logs_in(&store, "none@example.com", "secret", 1)?;
    logs_in(&store, "closed@example.com", "secret", 1)?;
    logs_in(&store, "none@example.com", "", 1)?;
    run(&["--store", &store, "mailbox", "joe.user@example.com"])?.exits(0)?.says("1500")?.says("1600")?;
    explains(&store, "postmaster@example.com", &["postmaster@example.com", "./Maildir/"])?;
    explains(&store, "joe.user@example.net", &["./Maildir/", "copy@example.org"])?;
    explains(&store, "sales@example.com", &["joe.user@example.com", "far@example.org"])?;
    explains(&store, "sales@example.net", &["joe.user@example.com", "far@example.org"])?;
    explains(&store, "nobody@example.com", &["#5.1.1"])?;
    run(&["--store", &store, "rcpthost", "example.net"])?.exits(0)?;
    // Without the numbers there is nothing to begin with.
    let lacks = import("vpopmail", &folder.join("0.sql"), "sqlite:/nonexistent/x", &[])?.exits(100)?;
    tells(&lacks, &["--uid", "--gid"])
}

fn postfixadmin() -> Result<(), Failed> {
    let options = ["--uid", "1500", "--gid", "1600", "--home", "/srv/mail"];
    let (store, done, folder) = forms("postfixadmin", include_str!("data/postfixadmin.sql"), &options)?;
    for words in [
        ["table vacation", "1 rows"],
        ["column quota", "1 values"],
        ["table domain, column created", "1 values"],
        ["cram@example.com", "cannot be verified"],
        ["left@example.com", "suspended"],
        ["gone@example.com", "not active"],
        ["backup.test", "relay"],
        ["off.test", "not active"],
        ["ann@example.com", "vacation"],
        ["null@example.com", "suspended"],
        ["nullalias@example.com", "not active"],
        ["nulldouble.test", "domain alias that is not active"],
        ["null.test", "domain that is not active"],
        ["second2.test", "backupmx is NULL"],
        ["second2.test", "without any address"],
        ["lost@example.com", "waits"],
    ] {
        tells(&done, &words)?;
    }
    ensure(!done.err.contains("26b633ec") && !done.err.contains("abcdefgh"), format!("{done:#?}"))?;
    logs_in(&store, "joe@example.com", "secret", 0)?;
    logs_in(&store, "ann@example.com", "secret", 0)?;
    logs_in(&store, "ann@example.com", "Secret", 1)?;
    logs_in(&store, "cram@example.com", "secret", 1)?;
    logs_in(&store, "left@example.com", "secret", 1)?;
    run(&["--store", &store, "mailbox", "joe@example.com"])?.exits(0)?.says("/srv/mail/example.com/joe")?;
    explains(&store, "joe@double.test", &["joe@example.com", "./"])?;
    explains(&store, "ann@example.com", &["./", "far@example.org"])?;
    explains(&store, "list@example.com", &["joe@example.com", "far@example.org"])?;
    explains(&store, "gone@example.com", &["joe@example.com", "./"])?;
    logs_in(&store, "null@example.com", "secret", 1)?;
    explains(&store, "nullalias@example.com", &["joe@example.com", "./"])?;
    explains(&store, "lost@example.com", &["A2"])?;
    run(&["--store", &store, "rcpthost", "null.test"])?.exits(1)?;
    explains(&store, "any@second.test", &["x@example.org", "y@example.org"])?;
    run(&["--store", &store, "rcpthost", "backup.test"])?.exits(0)?;
    run(&["--store", &store, "rcpthost", "off.test"])?.exits(1)?;
    let file = folder.join("0.sql");
    let relative = import("postfixadmin", &file, "sqlite:/nonexistent/x", &["--uid", "1500", "--gid", "1600"])?;
    tells(&relative.exits(100)?, &["0.sql:", "table mailbox", "--home"])?;
    // The same tables' names, and other columns.
    let wrong = import("mysqldump", &file, "sqlite:/nonexistent/x", &[])?.exits(100)?;
    tells(&wrong, &["0.sql:", "column", "--format postfixadmin"])
}

/// One table for each domain; two databases in one dump; a dump that was cut; standard input.
fn others() -> Result<(), Failed> {
    let columns = "pw_name char(32) NOT NULL, pw_passwd char(40), pw_uid int, pw_gid int, pw_gecos char(48), \
                   pw_dir char(160), pw_shell char(20)";
    let statements = format!(
        "CREATE TABLE my_site_test ({columns}); INSERT INTO my_site_test VALUES \
         ('joe', '$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1', 0, 0, '', '/v/domains/my-site.test/joe', 'NOQUOTA'); \
         CREATE DATABASE other; CREATE TABLE other.b_test LIKE my_site_test"
    );
    let (server, folder) = database("old", &statements)?;
    let ids = ["--uid", "1500", "--gid", "1600"];
    let (file, store) = (folder.join("old.sql"), format!("sqlite:{}", folder.join("old.db").display()));
    dump(&server, "old", &[], &file)?;
    let whole = std::fs::read_to_string(&file)?;
    let args = ["--store", &store, "import", "--format", "vpopmail", "--username-width", "128", "--quiet", "-"];
    run_with(&[&args[..], &ids].concat(), &whole, &[])?.exits(1)?;
    logs_in(&store, "joe@my-site.test", "secret", 0)?;
    explains(&store, "joe@my-site.test", &["./Maildir/"])?;

    std::fs::write(&file, whole.split("-- Dump completed").next().unwrap_or_default())?;
    let cut = import("vpopmail", &file, "sqlite:/nonexistent/x", &ids)?.exits(100)?;
    tells(&cut, &["old.sql", "cut off"])?;
    // Beside the table of all domains it is not known which users count.
    let all = whole.replace(
        "-- Dump completed",
        "CREATE TABLE vpopmail (pw_name int, pw_passwd int, pw_dir int, \
                            pw_domain int);\n-- Dump completed",
    );
    std::fs::write(&file, all)?;
    let both = import("vpopmail", &file, "sqlite:/nonexistent/x", &ids)?.exits(100)?;
    tells(&both, &["my_site_test", "table vpopmail"])?;
    dump(&server, "old", &["--databases", "other"], &file)?;
    let two = import("vpopmail", &file, "sqlite:/nonexistent/x", &ids)?.exits(100)?;
    tells(&two, &["old.sql:", "my_site_test", "one database"])?;
    let nothing = import("mysqldump", &file, "sqlite:/nonexistent/x", &[])?.exits(100)?;
    tells(&nothing, &["mailbox", "my_site_test"])
}

/// A dump without the rows of a table must not empty it; nor one that lacks the table.
fn replacing() -> Result<(), Failed> {
    let (server, folder) = database("site", include_str!("data/postfixadmin.sql"))?;
    let (file, store) = (folder.join("a.sql"), format!("sqlite:{}", folder.join("a.db").display()));
    dump(&server, "site", &[], &file)?;
    let options = ["--uid", "1500", "--gid", "1600", "--home", "/srv/mail"];
    let replace = [&options[..], &["--replace"]].concat();
    import("postfixadmin", &file, &store, &replace)?.exits(1)?;
    let whole = rows(&store)?;
    import("postfixadmin", &file, &store, &replace)?.exits(1)?;
    for (form, table) in [
        (&["--no-data"][..], "mailbox"),
        (&["--ignore-table=site.alias"], "alias"),
        (&["--ignore-table=site.alias_domain"], "alias_domain"),
        (&["--ignore-table=site.domain"], "domain"),
    ] {
        dump(&server, "site", form, &file)?;
        let done = import("postfixadmin", &file, &store, &replace)?.exits(100)?;
        tells(&done, &["no rows of", &format!("table {table},"), "--replace"])?;
        tells(&done, &[&format!("table {table}: "), "in the dump"])?;
        equal(&format!("{form:?}"), rows(&store)?.as_str(), whole.as_str())?;
    }
    Ok(())
}

/// Who mail for nobody goes to, and how a catch-all is written, is as the configuration says.
fn configured() -> Result<(), Failed> {
    let statements = "CREATE TABLE mailbox (username varchar(99), password varchar(99), maildir varchar(99), domain \
                      varchar(99)); CREATE TABLE alias (address varchar(99), goto varchar(99), domain varchar(99)); \
                      CREATE TABLE domain (domain varchar(99), backupmx int); CREATE TABLE alias_domain (alias_domain \
                      varchar(99), target_domain varchar(99)); INSERT INTO domain VALUES ('a.test', 0); INSERT INTO mailbox VALUES ('joe@a.test', '', '/h/joe/', ''); INSERT INTO \
                      alias VALUES ('a_b@a.test', 'x@b.test', ''), ('@a.test', 'y@b.test', '')";
    let (server, folder) = database("site", statements)?;
    let file = folder.join("a.sql");
    dump(&server, "site", &[], &file)?;
    let config = folder.join("config.toml");
    let text = format!(
        "[rules]\nalias_user = \"others\"\nmin_uid = 50\nvirtual_patterns = \"like\"\n[store]\nkind = \"sqlite\"\n\
         path = \"{}\"\n",
        folder.join("a.db").display()
    );
    std::fs::write(&config, text)?;
    let [config, file] = [config, file].map(|path| path.display().to_string());
    let ids = ["--uid", "60", "--gid", "1600", "--quiet"];
    let args = ["--config", &config, "import", "--format", "postfixadmin", &file];
    let done = run(&[&args[..], &ids].concat())?.exits(1)?;
    ensure(!done.err.contains("min_uid"), &*done.err)?;
    let text = run(&["--config", &config, "export", "--quiet"])?.exits(0)?.out;
    for row in ["others\ta_b@a.test", "a.test\t%\t@a.test"] {
        ensure(text.contains(row), format!("{row}: {text}"))?;
    }
    for (address, target) in [("a_b@a.test", "x@b.test"), ("axb@a.test", "y@b.test")] {
        let done = run(&["--config", &config, "explain", address])?;
        ensure(done.out.contains(target), format!("{done:#?}"))?;
    }
    Ok(())
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        needs_dump("the_old_patchs_tables_come_over_as_they_are", old_patch),
        needs_dump("vpopmails_users_log_in_and_get_their_mail", vpopmail),
        needs_dump("postfixadmins_users_log_in_and_get_their_mail", postfixadmin),
        needs_dump("one_table_a_domain_two_databases_a_cut_dump_and_standard_input", others),
        needs_dump("replace_never_empties_what_the_dump_has_no_rows_of", replacing),
        needs_dump("the_alias_user_and_the_catch_all_are_those_of_the_configuration", configured),
    ]
}
