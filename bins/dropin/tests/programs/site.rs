//! A qmail home and a place for the daemon's sockets, private to one test.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A user that owns test homes when the tests run as root.
pub(crate) const USER: u32 = 20_001;

pub(crate) struct Site {
    pub(crate) home: TempDir,
    pub(crate) run: TempDir,
    /// Where `run` lies.
    _above: TempDir,
}

impl Site {
    /// Control files that name sockets nobody listens at yet.
    pub(crate) fn new() -> Self {
        let above = open_dir(&std::env::temp_dir());
        let site = Self { home: open_dir(&roots_directory()), run: open_dir(above.path()), _above: above };
        fs::create_dir_all(site.home.path().join("control")).unwrap();
        fs::create_dir_all(site.home.path().join("bin")).unwrap();
        site.control("lookupsocket", &site.lookup());
        site.control("authsocket", &site.auth());
        site
    }

    pub(crate) fn control(&self, name: &str, socket: &Path) {
        fs::write(self.home.path().join("control").join(name), format!("{}\n", socket.display())).unwrap();
    }

    pub(crate) fn lookup(&self) -> PathBuf {
        self.run.path().join("lookup.sock")
    }

    pub(crate) fn auth(&self) -> PathBuf {
        self.run.path().join("auth.sock")
    }

    /// `program` in this qmail home.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        self.settle(&mut command);
        command
    }

    /// `program ARGUMENTS`, run by a shell that has `redirections`.
    pub(crate) fn redirected(&self, redirections: &str, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("exec {redirections}; exec \"$0\" \"$@\"")]).arg(program.as_ref());
        self.settle(&mut command);
        command
    }

    fn settle(&self, command: &mut Command) {
        command.current_dir(self.home.path()).env("QMAILHOME", self.home.path()).stdin(Stdio::null());
        for name in ["QMAIL_LOOKUP_STOCK", "AUTHORIZED", "EXTRA", "TCPREMOTEIP", "SERVICE", "AUTH_SERVICE"] {
            command.env_remove(name);
        }
    }

    /// `program ARGUMENTS` with `offered` in descriptor 3.
    pub(crate) fn login(&self, program: impl AsRef<Path>, arguments: &[&str], offered: &[u8]) -> Output {
        let mut command = self.redirected("3<&0 0</dev/null", program);
        command.args(arguments);
        feed(&mut command, offered)
    }

    /// A home of `(uid, gid)`, which is another user's if the tests run as root.
    pub(crate) fn user_home(&self, name: &str) -> (PathBuf, u32, u32) {
        let home = self.run.path().join(name);
        fs::create_dir(&home).unwrap();
        if is_root() {
            chown(&home, Some(USER), Some(USER)).unwrap();
        }
        let found = fs::metadata(&home).unwrap();
        (home, found.uid(), found.gid())
    }

    /// Writes an executable script.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        self.executable(name, &format!("#!/bin/sh\n{text}\n"))
    }

    /// Writes an executable file.
    pub(crate) fn executable(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join("bin").join(name);
        // By another process: a child that this one happens to start meanwhile would keep the file open for writing, and
        // the kernel would not run it.
        let written =
            feed(Command::new("/bin/sh").args(["-c", "cat >\"$0\" && chmod 755 \"$0\""]).arg(&path), text.as_bytes());
        assert!(written.status.success(), "{written:?}");
        path
    }

    /// A copy of one of our programs in this home's bin.
    pub(crate) fn installed(&self, name: &str) -> PathBuf {
        let path = self.home.path().join("bin").join(name);
        copy(&program(name), &path);
        path
    }
}

/// Copies a program, by another process for the same reason.
pub(crate) fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

/// Runs `command` with `input` as its standard input.
pub(crate) fn feed(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input); // who does not read it says so by its exit code
    child.wait_with_output().unwrap()
}

/// One of the programs under test.
pub(crate) fn program(name: &str) -> PathBuf {
    if let Some(directory) = std::env::var_os("QL_DROPIN_DIR") {
        return Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(directory).join(name);
    }
    match name {
        "qmail-getpw" => env!("CARGO_BIN_EXE_qmail-getpw"),
        "checkpassword" => env!("CARGO_BIN_EXE_checkpassword"),
        "dovecot-checkpassword" => env!("CARGO_BIN_EXE_dovecot-checkpassword"),
        "qmail-local" => env!("CARGO_BIN_EXE_qmail-local"),
        "qmail-rcptcheck" => env!("CARGO_BIN_EXE_qmail-rcptcheck"),
        _ => panic!("no program {name}"),
    }
    .into()
}

/// One of this package's examples, which `cargo test` builds beside the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap();
    let path = path.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: cargo test -p qmail-lookup-dropin --examples", path.display());
    path
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Whether the line of /proc/PID/status that begins with `SigIgn` names a signal that the programs or std change.
pub(crate) fn ignores(line: &str) -> bool {
    let mask = u64::from_str_radix(line.split_whitespace().next_back().unwrap(), 16).unwrap();
    let bit = |signal: i32| 1_u64 << (signal - 1);
    assert!(line.starts_with("SigIgn:"), "{line}");
    mask & (bit(libc::SIGPIPE) | bit(libc::SIGALRM)) != 0
}

/// True as root. Else says what was not tested.
pub(crate) fn root_or_skip(what: &str) -> bool {
    if !is_root() {
        let _ = writeln!(std::io::stderr(), "NOT TESTED, it needs root: {what}");
    }
    is_root()
}

/// A temporary directory that others may read.
fn open_dir(below: &Path) -> TempDir {
    let made = tempfile::Builder::new().prefix("ql").tempdir_in(below).unwrap();
    fs::set_permissions(made.path(), fs::Permissions::from_mode(0o755)).unwrap();
    made
}

/// Where only root can write, if the tests run as root: programs that root runs believe no other control file.
fn roots_directory() -> PathBuf {
    let only_roots = |path: &Path| {
        path.ancestors().all(|above| fs::metadata(above).is_ok_and(|m| m.uid() == 0 && m.mode() & 0o022 == 0))
    };
    let candidates = [env!("CARGO_TARGET_TMPDIR"), "/run", "/var/lib", "/"].map(PathBuf::from);
    if !is_root() {
        return std::env::temp_dir();
    }
    candidates.into_iter().find(|path| only_roots(path)).unwrap()
}
