//! A folder with a store, a configuration and a running daemon; and its clients, as whatever user.
#![allow(unsafe_code)]

use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::{Sources, load};
use qmail_lookup_core::wire::{netstring, socketmap};
use qmail_lookup_core::{Change, Deadline, Table, TableOptions, TableRow};
use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing here takes this long, unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// Everybody's password.
pub(crate) const PASSWORD: &str = "canary-secret";

/// A user that every system has, and its uid.
pub(crate) const NOBODY: u32 = 65534;

const MAILBOX: &[[&str; 7]] = &[
    ["iain", "800", "100", "/home/mail/iain", PASSWORD, "Password", "N"],
    ["bob", "801", "100", "/home/mail/bob", PASSWORD, "Password", "N"],
    ["sleepy", "802", "100", "/home/mail/sleepy", PASSWORD, "Password", "Y"],
    ["rootish", "0", "100", "/root", PASSWORD, "Password", "N"],
];
const ALIAS: &[[&str; 4]] = &[
    ["iain", "", ".", "/Maildir/"],
    ["iain", "work", "iain", "work.test"],
    ["iain", "bogus", "", ""],
    ["iain", "prog", "|", "true"],
    ["iain", "mixed", "a", "b.test"],
    ["iain", "mixed", ".", "/Copy/"],
];
const VIRTUAL: &[[&str; 4]] = &[
    ["virtual.test", "iain", "iain", ""],
    ["virtual.test", "work", "iain", "work"],
    ["virtual.test", "mixed", "iain", "mixed"],
    ["virtual.test", "prog", "iain", "prog"],
    ["virtual.test", "bob", "bob", ""],
    ["virtual.test", "odd", "iain", "bogus"],
];
const HOSTS: &[[&str; 1]] = &[["virtual.test"], [".wild.test"]];

/// See the module.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    /// The store and a configuration to which `more` is added.
    pub(crate) fn new(more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("qld.").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let site = Self { folder };
        std::fs::create_dir_all(site.path("qmail/control")).unwrap();
        std::fs::write(site.path("qmail/control/locals"), "local.test\n").unwrap();
        fill(&site.path("mail.db"));
        site.configure(more);
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration; `more` are further tables, and lines of `[daemon]` in front of them.
    pub(crate) fn configure(&self, more: &str) {
        let at = self.folder.path().display();
        let text = format!(
            "qmail = \"{at}/qmail\"\n\
             [store]\nkind = \"sqlite\"\npath = \"{at}/mail.db\"\ncanary = \"iain\"\n\
             [rules]\nalias_user = \"nobody\"\n\
             [daemon]\nlookup_socket = \"{at}/l\"\nauth_socket = \"{at}/a\"\n{more}\n"
        );
        std::fs::write(self.path("conf.toml"), text).unwrap();
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = program();
        command.arg("--config").arg(self.path("conf.toml"));
        command
    }

    /// A daemon that has said that it is ready.
    pub(crate) fn start(&self) -> Daemon {
        self.start_with(self.command())
    }

    /// As [`Site::start`], by another command.
    pub(crate) fn start_with(&self, mut command: Command) -> Daemon {
        let (log, ready) = (self.path("log"), self.path("n"));
        let _ = std::fs::remove_file(&ready);
        let notified = UnixDatagram::bind(&ready).unwrap();
        std::fs::set_permissions(&ready, Permissions::from_mode(0o777)).unwrap();
        notified.set_read_timeout(Some(LONG)).unwrap();
        command.env("NOTIFY_SOCKET", &ready).stderr(File::create(&log).unwrap());
        let child = command.spawn().unwrap();
        let daemon = Daemon { child, log, notified };
        daemon.wait_for("READY=1");
        daemon
    }

    pub(crate) fn connect(&self) -> Client {
        Client::to(&self.path("l"))
    }

    /// One question as root.
    pub(crate) fn ask(&self, name: &str, key: impl AsRef<[u8]>) -> String {
        self.connect().ask(name, key)
    }
}

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qmail-lookupd"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn fill(path: &Path) {
    let registry = Registry::builtin();
    let url = format!("sqlite:{}", path.display());
    let config = load(&Sources { store_url: Some(url), ..Sources::default() }, &registry).unwrap();
    let stores = config.open(&registry).unwrap();
    let editor = stores.mailbox.editor().unwrap();
    let row = |table: Table, cells: &[&str]| {
        Change::Insert(TableRow::from_cells(table, cells.iter().map(|text| Some(text.as_bytes().to_vec()))))
    };
    let mut changes: Vec<_> = MAILBOX.iter().map(|cells| row(Table::Mailbox, cells)).collect();
    changes.extend(ALIAS.iter().map(|cells| row(Table::Alias, cells)));
    changes.extend(VIRTUAL.iter().map(|cells| row(Table::Virtual, cells)));
    changes.extend(HOSTS.iter().map(|cells| row(Table::Rcpthosts, cells)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let by = Deadline::after(LONG);
        editor.create_tables(&Table::ALL, TableOptions::default(), by).await.unwrap();
        editor.apply(&changes, by).await.unwrap();
    });
    std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

/// A running daemon; killed when it is dropped.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
    notified: UnixDatagram,
}

impl Daemon {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: it takes no pointers; the child is ours and was not waited for.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    /// Reads notifications until one holds `text`.
    pub(crate) fn wait_for(&self, text: &str) {
        let mut buffer = [0; 4096];
        loop {
            let count = match self.notified.recv(&mut buffer) {
                Ok(count) => count,
                Err(error) => panic!("never said {text} ({error}): {}", self.log()),
            };
            if std::str::from_utf8(&buffer[..count]).unwrap().lines().any(|line| line.starts_with(text)) {
                return;
            }
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until a line of the log holds `text`.
    pub(crate) fn logged(&self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(begun.elapsed() < LONG, "not in the log: {text}\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its exit status, once it has ended by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < LONG, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// TERM, and its exit status.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal(libc::SIGTERM);
        self.ended().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: UnixStream,
    input: Vec<u8>,
}

impl Client {
    pub(crate) fn to(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        Self { stream, input: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The content of the next frame; `None` at the end of the connection.
    pub(crate) fn frame(&mut self) -> Option<Vec<u8>> {
        let mut chunk = [0; 65536];
        loop {
            if let Some((content, used)) = netstring::read(&self.input, 100_000).unwrap() {
                let content = content.to_vec();
                self.input.drain(..used);
                return Some(content);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) fn ask(&mut self, name: &str, key: impl AsRef<[u8]>) -> String {
        let mut out = Vec::new();
        socketmap::write_question(&mut out, name, key.as_ref());
        self.send(&out);
        String::from_utf8(self.frame().expect("an answer")).unwrap()
    }
}

/// Runs `act` in a thread of its own that is `uid` with these groups, as a process of that user would be.
pub(crate) fn as_user<T: Send>(uid: u32, groups: &[u32], act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // The system calls themselves: the functions of libc change all threads.
            // SAFETY: the pointer is to as many gids as are said, and the calls change nothing but this thread's ids.
            unsafe {
                let gid = libc::c_long::from(uid);
                assert_eq!(libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()), 0, "run this as root");
                assert_eq!(libc::syscall(libc::SYS_setresgid, gid, gid, gid), 0);
                assert_eq!(libc::syscall(libc::SYS_setresuid, gid, gid, gid), 0);
            }
            act()
        });
        thread.join().unwrap()
    })
}
