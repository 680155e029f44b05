//! Rows per second that `qmail-lookup migrate` moves and questions per second that `compare` asks, beside mariadb-import
//! and `sqlite3 .import` of the same rows. With a number behind it, so many mailboxes; 1000000 shows the memory.
//!
//! `cargo build --release -p qmail-lookup && cargo bench -p qmail-lookup-benches --bench moving [-- MAILBOXES]`

use qmail_lookup_benches::{Result, fail, release, said};
use qmail_lookup_core::{Deadline, Table, TableOptions};
use qmail_lookup_tests::check::block_on;
use qmail_lookup_tests::load;
use qmail_lookup_tests::server::mariadb::{MariaDb, PASSWORD, USER};
use qmail_lookup_tests::server::process;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Mailboxes, each with two alias rows and half a virtual row.
const MAILBOXES: u64 = 100_000;

/// What a run of a program took.
struct Ran {
    took: Duration,
    /// Largest resident memory. Unit: kB.
    peak: u64,
    out: String,
}

/// Source rows, and where the rows shall go.
struct Ground {
    folder: PathBuf,
    server: MariaDb,
    rows: u64,
}

fn main() -> Result<()> {
    let mailboxes = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(MAILBOXES);
    let ground = Ground::new(mailboxes)?;
    let mut out = std::io::stdout();
    writeln!(out, "{} rows, {mailboxes} of them mailboxes", ground.rows)?;
    writeln!(out, "{:>44} {:>10} {:>12} {:>10}", "", "seconds", "per second", "peak MB")?;
    let (sqlite, mysql, back) = (ground.sqlite("source.db"), ground.mysql("q")?, ground.sqlite("back.db"));
    let moved = ground.tool(&["migrate", "--quiet", "--no-compare", "--from", &sqlite, "--to", &mysql])?;
    report(&mut out, "migrate SQLite to MariaDB", ground.rows, &moved)?;
    let imported = ground.mariadb_import()?;
    report(&mut out, "mariadb-import of files with the same rows", ground.rows, &imported)?;
    let returned = ground.tool(&["migrate", "--quiet", "--no-compare", "--from", &mysql, "--to", &back])?;
    report(&mut out, "migrate MariaDB to SQLite", ground.rows, &returned)?;
    match ground.sqlite_import() {
        Ok(imported) => report(&mut out, "sqlite3 .import of files with the same rows", ground.rows, &imported)?,
        Err(error) => writeln!(out, "{:>44} {error}", "sqlite3 .import")?,
    }
    let compared = ground.tool(&["--json", "compare", "--from", &sqlite, "--to", &mysql])?;
    let said: serde_json::Value = serde_json::from_str(&compared.out)?;
    let kinds = said["summary"].as_object().ok_or("compare does not say how many questions it asked")?;
    let questions = kinds.values().filter_map(serde_json::Value::as_object).flat_map(|kind| kind.values());
    let questions = questions.filter_map(serde_json::Value::as_u64).sum();
    report(&mut out, "compare SQLite with MariaDB (questions)", questions, &compared)?;
    std::fs::remove_dir_all(&ground.folder)?;
    drop(ground);
    process::clear_away();
    Ok(())
}

fn report(out: &mut impl Write, what: &str, count: u64, ran: &Ran) -> Result<()> {
    #[allow(clippy::cast_precision_loss, reason = "a few millions")]
    let per_second = count as f64 / ran.took.as_secs_f64();
    let seconds = ran.took.as_secs_f64();
    writeln!(
        out,
        "{what:>44} {seconds:>10.2} {per_second:>12.0} {:>10.1}",
        f64::from(u32::try_from(ran.peak)?) / 1024.0
    )?;
    Ok(())
}

/// The columns of each table as the files have them, and a row of mailbox `n`. `None`: that mailbox has no such row.
fn line(table: Table, n: u64) -> Vec<String> {
    let user = format!("user{n}");
    match table {
        Table::Mailbox => {
            vec![format!("{user}\t{}\t1000\t/home/mail/{user}\tsecret{n}\tPassword\tN", 1000 + n % 60_000)]
        }
        Table::Alias => vec![format!("{user}\t\t.\t/Maildir/"), format!("{user}\tlist\tsomebody{n}\texample.org")],
        Table::Virtual if n.is_multiple_of(2) => vec![format!("{user}\t\tsales{n}\thost{}.example", n % 1000)],
        Table::Rcpthosts if n < 1000 => vec![format!("host{n}.example")],
        Table::Virtual | Table::Rcpthosts => Vec::new(),
    }
}

/// In the order of [`line`], which is that of `CREATE TABLE`.
fn columns(table: Table) -> &'static str {
    match table {
        Table::Mailbox => "username, uid, gid, home, password, password_type, suspended",
        Table::Alias => "username, alias, alias_username, alias_host",
        Table::Virtual => "username, ext, virtual_username, virtual_host",
        Table::Rcpthosts => "host",
    }
}

impl Ground {
    fn new(mailboxes: u64) -> Result<Self> {
        let folder = process::folder("bench").map_err(said)?;
        let server = MariaDb::start(&["--local-infile=1"]).map_err(said)?;
        server.sql("CREATE DATABASE q; CREATE DATABASE imported").map_err(said)?;
        let source = folder.join("source.db");
        let store = load::open("sqlite", &[("path", source.display().to_string().into())]).map_err(said)?;
        let by = Deadline::after(Duration::from_secs(20));
        let editor = store.editor().ok_or("no editor")?;
        block_on(editor.create_tables(&Table::ALL, TableOptions::default(), by))?;
        let mut rows = 0;
        let mut source = rusqlite::Connection::open(source)?;
        let transaction = source.transaction()?;
        for table in Table::ALL {
            let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join(format!("{table}.txt")))?);
            let places = vec!["?"; columns(table).split(", ").count()].join(",");
            let text = format!("INSERT INTO `{table}` ({}) VALUES ({places})", columns(table));
            let mut statement = transaction.prepare(&text)?;
            for line in (0..mailboxes).flat_map(|n| line(table, n)) {
                statement.execute(rusqlite::params_from_iter(line.split('\t')))?;
                writeln!(file, "{line}")?;
                rows += 1;
            }
            file.flush()?;
        }
        transaction.commit()?;
        Ok(Self { folder, server, rows })
    }

    fn sqlite(&self, name: &str) -> String {
        format!("sqlite:{}", self.folder.join(name).display())
    }

    fn mysql(&self, database: &str) -> Result<String> {
        let file = self.folder.join("password");
        std::fs::write(&file, PASSWORD)?;
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let (socket, file) = (self.server.socket().display(), file.display());
        Ok(format!("mysql://{USER}@localhost/{database}?socket={socket}&password_file={file}"))
    }

    fn tool(&self, arguments: &[&str]) -> Result<Ran> {
        let mut command = Command::new(release("qmail-lookup")?);
        command.args(arguments).env("XDG_STATE_HOME", &self.folder);
        ran(command)
    }

    fn mariadb_import(&self) -> Result<Ran> {
        let tables = Table::ALL.map(|table| format!("CREATE TABLE imported.`{table}` LIKE q.`{table}`")).join("; ");
        self.server.sql(&tables).map_err(said)?;
        let mut all = Ran { took: Duration::ZERO, peak: 0, out: String::new() };
        for table in Table::ALL {
            let mut command = Command::new("mariadb-import");
            command.args(["--no-defaults", "--local", "-u", "root", "-S"]).arg(self.server.socket());
            command.arg(format!("--columns={}", columns(table))).arg("imported");
            command.arg(self.folder.join(format!("{table}.txt")));
            let one = ran(command)?;
            all = Ran { took: all.took + one.took, peak: all.peak.max(one.peak), out: one.out };
        }
        Ok(all)
    }

    fn sqlite_import(&self) -> Result<Ran> {
        let file = self.folder.join("imported.db");
        let store = load::open("sqlite", &[("path", file.display().to_string().into())]).map_err(said)?;
        let by = Deadline::after(Duration::from_secs(20));
        let editor = store.editor().ok_or("no editor")?;
        block_on(editor.create_tables(&Table::ALL, TableOptions::default(), by))?;
        drop(store);
        let mut command = Command::new("sqlite3");
        command.args(["-bail", "-cmd", ".mode tabs"]).arg(&file);
        for table in Table::ALL {
            command.arg(format!(".import {} {table}", self.folder.join(format!("{table}.txt")).display()));
        }
        ran(command)
    }
}

/// Runs it to its end.
fn ran(mut command: Command) -> Result<Ran> {
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(fail)?;
    let status = format!("/proc/{}/status", child.id());
    let mut stdout = child.stdout.take().ok_or("no output")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut text).map(|_| text)
    });
    let mut peak = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse().ok()).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = begun.elapsed();
    let out = reader.join().map_err(|_| "lost output")??;
    if !ended.success() {
        return Err(format!("{command:?}: {ended}: {out}").into());
    }
    Ok(Ran { took, peak, out })
}
