//! What one exec of the static qmail-getpw costs with the daemon up, beside a program that does nothing, built in the
//! same way, and beside programs that open a MySQL connection per run, as the old patch did. All in one run, as root.
//!
//! `cargo build --release -p qmail-lookupd && bash bins/dropin/build.sh --examples &&
//! cargo bench -p qmail-lookup-benches --bench exec`

use qmail_lookup_benches::{Result, Site, children_cpu, dropin, name};
use qmail_lookup_tests::check::block_on;
use qmail_lookup_tests::server::mariadb::{PASSWORD, USER};
use qmail_lookup_tests::server::process;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{ConnectOptions, Executor};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Sets of runs; each is reported.
const SETS: usize = 2;
/// Runs of each contender in a set.
const RUNS: u64 = 1000;
/// Runs of one contender before it is the next one's turn.
const TURN: u64 = 100;
/// Goal: CPU of qmail-getpw by that of doing nothing.
const ABOVE_NOTHING: f64 = 1.5;
/// Goal: CPU of qmail-getpw by that of a connection per run.
const BELOW_CONNECTION: f64 = 0.2;

fn main() -> Result<()> {
    let site = Site::new()?;
    let home = qmail_home(&site)?;
    std::env::set_current_dir(home.path())?;
    let contenders = contenders(&site, &home.path().join("bin"))?;
    let expected = answer(&home.path().join("home"), &name(1));
    for contender in &contenders {
        let said = contender.command(&name(1)).output()?;
        if !said.status.success() || (contender.answers && said.stdout != expected) {
            return Err(format!("{}: {said:?} instead of {expected:?}", contender.name).into());
        }
    }
    let mut out = std::io::stdout();
    writeln!(out, "us per exec, {SETS} sets of {RUNS} runs; CPU is user + system of the program alone")?;
    writeln!(
        out,
        "{:>22} {:>9} {:>9} {:>10} {:>10} {:>10}",
        "program", "CPU p50", "CPU mean", "wall min", "wall p50", "wall p99"
    )?;
    let mut asked = 0;
    for _ in 0..SETS {
        let mut runs: Vec<Runs> = contenders.iter().map(|_| Runs::default()).collect();
        for _ in 0..RUNS / TURN {
            for (contender, runs) in contenders.iter().zip(&mut runs) {
                contender.copy()?;
                for _ in 0..TURN {
                    asked += 1;
                    contender.run(&name(asked), runs)?;
                }
            }
        }
        let mut all = Vec::new();
        for (contender, runs) in contenders.iter().zip(runs) {
            let figures = runs.figures();
            writeln!(
                out,
                "{:>22} {:>9} {:>9} {:>10} {:>10} {:>10}",
                contender.name, figures.cpu, figures.cpu_mean, figures.wall_min, figures.wall, figures.wall_p99
            )?;
            all.push((contender.name, figures));
        }
        compare(&mut out, &all)?;
    }
    process::clear_away();
    Ok(())
}

/// Ratios of the second, which is ours, to the others.
fn compare(out: &mut impl Write, all: &[(&str, Figures)]) -> Result<()> {
    let [(_, nothing), (_, ours), connections @ ..] = all else { return Err("nothing to compare".into()) };
    let ratio = f64::from(ours.cpu) / f64::from(nothing.cpu);
    writeln!(out, "  CPU by doing nothing: {ratio:.2} (goal: at most {ABOVE_NOTHING})")?;
    for (name, connection) in connections {
        let ratio = f64::from(ours.cpu) / f64::from(connection.cpu);
        let wall = f64::from(ours.wall) / f64::from(connection.wall);
        writeln!(out, "  CPU by {name}: {ratio:.2} (goal: at most {BELOW_CONNECTION}); wall {wall:.2}")?;
    }
    Ok(())
}

/// A home of qmail that names the daemon's socket, and one home for all mailboxes. Root's qmail-getpw believes neither
/// if others can write in a directory above.
fn qmail_home(site: &Site) -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("ql.").tempdir_in("/var/lib")?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    std::fs::create_dir(folder.path().join("control"))?;
    std::fs::write(folder.path().join("control/lookupsocket"), format!("{}\n", site.uncached.display()))?;
    let home = folder.path().join("home");
    std::fs::create_dir(&home)?;
    chown(&home, Some(1000), Some(1000))?;
    let options = MySqlConnectOptions::new().socket(site.mysql_socket()).username("root").database("q");
    block_on(async {
        let mut connection = options.ssl_mode(MySqlSslMode::Disabled).connect().await?;
        let query = sqlx::query("UPDATE mailbox SET home = ?").bind(home.display().to_string());
        connection.execute(query).await
    })?;
    Ok(folder)
}

/// The six fields of a mailbox.
fn answer(home: &Path, local: &str) -> Vec<u8> {
    format!("{local}\x001000\x001000\0{}\0\0\0", home.display()).into_bytes()
}

struct Contender {
    name: &'static str,
    built: PathBuf,
    copy: PathBuf,
    arguments: Vec<OsString>,
    answers: bool,
}

/// Doing nothing, ours, and whatever else there is, in this order.
fn contenders(site: &Site, bin: &Path) -> Result<Vec<Contender>> {
    std::fs::create_dir(bin)?;
    let account = [site.mysql_socket().into(), USER.into(), PASSWORD.into(), "q".into()];
    let new = |name, program: &Path, arguments: &[OsString], answers| {
        let copy = bin.join(program.file_name().unwrap_or_default());
        let contender = Contender { name, built: program.into(), copy, arguments: arguments.to_vec(), answers };
        contender.copy().map(|()| contender)
    };
    let rust = Path::new(env!("CARGO_BIN_EXE_connect_per_run"));
    let mut all = vec![
        new("nothing", &dropin("examples/nothing")?, &[], false)?,
        new("qmail-getpw", &dropin("qmail-getpw")?, &[], true)?,
        new("connection, sqlx", rust, &account, true)?,
    ];
    if let Some(program) = compiled(&site.folder) {
        all.push(new("connection, libmariadb", &program, &account, true)?);
    }
    Ok(all)
}

/// The C program, where there are a compiler and the library.
fn compiled(folder: &Path) -> Option<PathBuf> {
    let (source, program) =
        (concat!(env!("CARGO_MANIFEST_DIR"), "/connect_per_run.c"), folder.join("connect_per_run_c"));
    let mut command = Command::new("cc");
    command.arg("-O2").arg("-o").arg(&program).arg(source).arg("-l:libmariadb.so.3");
    let done = command.stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success()).then_some(program)
}

impl Contender {
    /// Installs it anew. In which pieces the kernel keeps a file's pages is chance, and up to a tenth of the cost: so
    /// each turn has a new copy.
    fn copy(&self) -> Result<()> {
        std::fs::copy(&self.built, &self.copy)?;
        Ok(())
    }

    fn command(&self, local: &str) -> Command {
        let mut command = Command::new(&self.copy);
        command.args(&self.arguments).arg(local).env_clear().stdin(Stdio::null());
        command
    }

    fn run(&self, local: &str, runs: &mut Runs) -> Result<()> {
        let mut command = self.command(local);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // This process waits for no other child meanwhile.
        let (before, begun) = (children_cpu()?, Instant::now());
        let status = command.status()?;
        runs.wall.push(u32::try_from(begun.elapsed().as_micros())?);
        runs.cpu.push(u32::try_from(children_cpu()? - before)?);
        if status.success() { Ok(()) } else { Err(format!("{} for {local}: {status}", self.name).into()) }
    }
}

/// Microseconds of each run.
#[derive(Default)]
struct Runs {
    cpu: Vec<u32>,
    wall: Vec<u32>,
}

/// Unit: microseconds.
struct Figures {
    cpu: u32,
    cpu_mean: u32,
    wall_min: u32,
    wall: u32,
    wall_p99: u32,
}

impl Runs {
    fn figures(mut self) -> Figures {
        self.cpu.sort_unstable();
        self.wall.sort_unstable();
        let at = |sorted: &[u32], percent: usize| sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default();
        let count = u32::try_from(self.cpu.len()).unwrap_or(u32::MAX).max(1);
        Figures {
            cpu: at(&self.cpu, 50),
            cpu_mean: self.cpu.iter().sum::<u32>() / count,
            wall_min: at(&self.wall, 0),
            wall: at(&self.wall, 50),
            wall_p99: at(&self.wall, 99),
        }
    }
}
