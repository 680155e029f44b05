//! What a local delivery costs: the static qmail-local with the daemon up, beside a program that does nothing, a stock
//! qmail-local (QL_BENCH_QMAIL_LOCAL names it), and the delivery programs that Debian has, dovecot-lda and maildrop, as
//! far as they are installed. All in one run, as root.
//!
//! `cargo build --release -p qmail-lookupd && bash bins/dropin/build.sh --examples &&
//! cargo bench -p qmail-lookup-benches --bench local`

use qmail_lookup_benches::{Result, Site, children_cpu, dropin, name};
use qmail_lookup_tests::server::process;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Deliveries of one contender in a row. An odd number of turns, the median counts.
const TURN: u32 = 300;
/// See [`TURN`].
const TURNS: usize = 5;
/// Deliveries at the same time.
const FLIGHTS: [u32; 2] = [1, 8];
/// Size of a message's body. Unit: bytes.
const MESSAGE: usize = 8 << 10;
/// Size of the message whose delivery is watched for memory. Unit: bytes.
const BIG: usize = 50 << 20;
/// Uid and gid of all mailboxes.
const ID: u32 = 1000;

fn main() -> Result<()> {
    let site = Site::new()?;
    let mut out = std::io::stdout();
    let kinds = [("Maildir", "./Maildir/"), ("mbox", "./Mailbox")];
    // A file system that fsyncs to a disk, and one where it costs nothing.
    for base in ["/var/lib", "/dev/shm"] {
        let folder = tempfile::Builder::new().prefix("ql.").tempdir_in(base)?;
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
        let (small, big) = (message(folder.path(), "small", MESSAGE)?, message(folder.path(), "big", BIG)?);
        for (kind, place) in kinds {
            let contenders = contenders(&site, folder.path(), place)?;
            for flight in FLIGHTS {
                writeln!(out, "\n{kind} below {base}, {flight} at a time, {TURNS} turns of {TURN}")?;
                writeln!(out, "{:>18} {:>10} {:>12} {:>12}", "program", "per s", "CPU us", "wall p50 us")?;
                let mut all: Vec<Vec<Turn>> = contenders.iter().map(|_| Vec::new()).collect();
                for _ in 0..TURNS {
                    for (contender, turns) in contenders.iter().zip(&mut all) {
                        turns.push(contender.turn(&small, flight)?);
                    }
                }
                for (contender, turns) in contenders.iter().zip(all) {
                    let Turn { per_second, cpu, wall } = Turn::median(turns);
                    writeln!(out, "{:>18} {per_second:>10.0} {cpu:>12} {wall:>12}", contender.name)?;
                }
            }
            writeln!(out, "peak memory for a message of {} MB", BIG >> 20)?;
            for contender in contenders.iter().filter(|contender| contender.name != "nothing") {
                writeln!(out, "{:>18} {:>7} kB", contender.name, contender.peak(&big)?)?;
            }
        }
    }
    process::clear_away();
    Ok(())
}

fn message(folder: &Path, name: &str, size: usize) -> Result<PathBuf> {
    let path = folder.join(name);
    let line = b"A line of text as people write them, with From here and there; it is not long.\n";
    let mut text = b"From: a@example.org\nTo: user@example.org\nSubject: bench\n\n".to_vec();
    text.extend(line.iter().cycle().take(size));
    std::fs::write(&path, text)?;
    Ok(path)
}

/// A delivery program and what it is told.
struct Contender {
    name: &'static str,
    command: Vec<String>,
    /// Working directory: qmail's home, for programs of qmail.
    here: PathBuf,
    home: PathBuf,
}

/// Ours, and whatever else there is. `place` is where `aliasempty` sends mail.
fn contenders(site: &Site, folder: &Path, place: &str) -> Result<Vec<Contender>> {
    let qmail = folder.join("q");
    std::fs::create_dir_all(qmail.join("control"))?;
    std::fs::write(qmail.join("control/lookupsocket"), format!("{}\n", site.uncached.display()))?;
    let user = name(1);
    let mut all = Vec::new();
    let mut add = |name: &'static str, command: &dyn Fn(&Path) -> Result<Vec<String>>| -> Result<()> {
        let home = folder.join(format!("{name}{}", place.replace(['.', '/'], "-")));
        std::fs::create_dir_all(&home)?;
        chown(&home, Some(ID), Some(ID))?;
        all.push(Contender { name, command: command(&home)?, here: qmail.clone(), home });
        Ok(())
    };
    let local = |program: &Path, home: &Path| {
        let words = [&user, &home.display().to_string(), &user, "", "", "mail.test", "sender@example.org", place];
        [program.display().to_string(), "--".to_owned()].into_iter().chain(words.map(str::to_owned)).collect()
    };
    let ours = dropin("qmail-local")?;
    add("qmail-local", &|home| Ok(local(&ours, home)))?;
    let nothing = dropin("examples/nothing")?;
    add("nothing", &|_| Ok(vec![nothing.display().to_string()]))?;
    if let Some(stock) = std::env::var_os("QL_BENCH_QMAIL_LOCAL") {
        add("stock qmail-local", &|home| Ok(local(Path::new(&stock), home)))?;
    }
    let lda = Path::new("/usr/lib/dovecot/dovecot-lda");
    if lda.exists() {
        add("dovecot-lda", &|home| {
            let mail = if place.ends_with('/') { "maildir:~/Maildir" } else { "mbox:~/mail:INBOX=~/Mailbox" };
            let file = home.join("dovecot.conf");
            std::fs::write(
                &file,
                format!(
                    "mail_location = {mail}\nlog_path = /dev/stderr\nmbox_read_locks = flock\n\
                     mbox_write_locks = flock\nmail_privileged_group =\n"
                ),
            )?;
            let words = [&lda.display().to_string(), "-c", &file.display().to_string(), "-f", "sender@example.org"];
            Ok(words.map(str::to_owned).to_vec())
        })?;
    }
    if Path::new("/usr/bin/maildrop").exists() {
        add("maildrop", &|home| {
            let filter = home.join("filter");
            std::fs::write(&filter, format!("to \"{}\"\n", place.trim_end_matches('/')))?;
            std::fs::set_permissions(&filter, PermissionsExt::from_mode(0o600))?;
            chown(&filter, Some(ID), Some(ID))?;
            Ok(vec!["/usr/bin/maildrop".to_owned(), filter.display().to_string()])
        })?;
    }
    Ok(all)
}

/// One turn of one contender.
#[derive(Clone, Copy)]
struct Turn {
    per_second: f64,
    /// User and system of the program and its children, for one delivery. Unit: microseconds.
    cpu: i64,
    /// Median for one delivery. Unit: microseconds.
    wall: u128,
}

impl Turn {
    fn median(mut turns: Vec<Self>) -> Self {
        turns.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        turns.get(turns.len() / 2).copied().unwrap_or(Self { per_second: 0.0, cpu: 0, wall: 0 })
    }
}

impl Contender {
    /// An empty mailbox.
    fn prepare(&self) -> Result<()> {
        for old in ["Maildir", "mail"] {
            let _ = std::fs::remove_dir_all(self.home.join(old));
        }
        let _ = std::fs::remove_file(self.home.join("Mailbox"));
        for part in ["Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"] {
            std::fs::create_dir(self.home.join(part))?;
            chown(self.home.join(part), Some(ID), Some(ID))?;
        }
        Ok(())
    }

    fn command(&self, message: &Path) -> Result<Command> {
        let [program, arguments @ ..] = &self.command[..] else { return Err("no program".into()) };
        let mut command = Command::new(program);
        command.args(arguments).uid(ID).gid(ID).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.home);
        command.env("USER", name(1)).env("LOGNAME", name(1));
        let here = if program.ends_with("qmail-local") { &self.here } else { &self.home };
        command.current_dir(here).stdin(File::open(message)?).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok(command)
    }

    fn deliver(&self, message: &Path) -> Result<Duration> {
        let begun = Instant::now();
        let done = self.command(message)?.output()?;
        match done.status.success() {
            true => Ok(begun.elapsed()),
            false => Err(format!("{}: {done:?}", self.name).into()),
        }
    }

    /// So many at the same time.
    fn turn(&self, message: &Path, flight: u32) -> Result<Turn> {
        self.prepare()?;
        let (before, begun) = (children_cpu()?, Instant::now());
        let times: Result<Vec<Vec<Duration>>> = std::thread::scope(|scope| {
            let line = || (0..TURN / flight).map(|_| self.deliver(message)).collect::<Result<Vec<_>>>();
            let threads: Vec<_> = (0..flight).map(|_| scope.spawn(line)).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread has panicked")?).collect()
        });
        let (took, cpu) = (begun.elapsed(), children_cpu()? - before);
        let mut times = times?.concat();
        times.sort_unstable();
        let count = u32::try_from(times.len())?;
        let wall = times.get(times.len() / 2).map(Duration::as_micros).unwrap_or_default();
        if self.name != "nothing" {
            self.is_there(count)?;
        }
        Ok(Turn { per_second: f64::from(count) / took.as_secs_f64(), cpu: cpu / i64::from(count), wall })
    }

    /// A delivery that is fast because it does not happen would be no delivery.
    fn is_there(&self, count: u32) -> Result<()> {
        let new = std::fs::read_dir(self.home.join("Maildir/new"))?.count();
        let size = std::fs::metadata(self.home.join("Mailbox")).map(|found| found.len()).unwrap_or_default();
        let enough = u64::from(count) * u64::try_from(MESSAGE)?;
        if new == usize::try_from(count)? || size >= enough {
            return Ok(());
        }
        Err(format!("{}: {new} files and {size} bytes after {count} deliveries", self.name).into())
    }

    /// The most memory that the program has while it delivers `message`, looked at again and again. Unit: kB.
    fn peak(&self, message: &Path) -> Result<u64> {
        self.prepare()?;
        let mut child = self.command(message)?.spawn()?;
        let mut most = 0;
        while child.try_wait()?.is_none() {
            if let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", child.id())) {
                let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let shown = line.and_then(|line| line.split_whitespace().next()).and_then(|text| text.parse().ok());
                // The name is the bench's until exec.
                if !status.starts_with("Name:\tlocal-") {
                    most = most.max(shown.unwrap_or_default());
                }
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(most)
    }
}
