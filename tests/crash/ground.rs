//! The site of these trials, homes that are made for one delivery each, and what may be found in them afterwards.

use super::mbox;
use libtest_mimic::Failed;
use qmail_lookup_tests::check::{Outcome, ensure};
use qmail_lookup_tests::site::{Daemon, IAIN, Local, Report, Site};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Envelope sender of all messages.
pub(super) const SENDER: &str = "sender@example.org";

/// Where mail is forwarded.
const FRIEND: &str = "friend@example.org";

/// The mail that is in the mbox before.
pub(super) const EARLIER: &[u8] = b"From old@example.org Sun Nov 22 07:13:18 2026\nSubject: earlier\n\nkeep me\n\n";

/// A program that leaves nothing unless it is run to its end.
const PROGRAM: &str = "cat >part.$$ && mv part.$$ got.$$";

/// As qmail-queue does, it takes no message without the envelope's end.
const QUEUE: &str = "
d=$QQ/part.$$
mkdir \"$d\" && cat >\"$d/mess\" && cat <&1 >\"$d/env\" || exit 53
[ \"$(tail -c 2 \"$d/env\" | od -An -tx1)\" = ' 00 00' ] || exit 54
mv \"$d\" \"$QQ/done.$$\" || exit 53";

/// How a message is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Mbox,
    Maildir,
    Forward,
    Program,
    /// All of them, told by a file instead of by rows.
    All,
}

impl Kind {
    pub(super) const EACH: [Self; 5] = [Self::Mbox, Self::Maildir, Self::Forward, Self::Program, Self::All];
    pub(super) const SINGLE: [Self; 4] = [Self::Mbox, Self::Maildir, Self::Forward, Self::Program];

    /// The extension that it is asked for with.
    pub(super) fn ext(self) -> &'static str {
        match self {
            Self::Mbox => "mbox",
            Self::Maildir => "maildir",
            Self::Forward => "forward",
            Self::Program => "program",
            Self::All => "all",
        }
    }

    fn includes(self, part: Self) -> bool {
        self == part || self == Self::All
    }
}

/// See the module.
pub(super) struct Ground {
    pub(super) site: Site,
    _daemon: Daemon,
    homes: AtomicUsize,
}

impl Ground {
    pub(super) fn make() -> Result<Self, String> {
        let made = || {
            let site = Site::sqlite("")?;
            site.sql(&format!(
                "INSERT INTO alias (username, alias, alias_username, alias_host) VALUES
                   ('iain', 'mbox', '.', '/Mailbox'), ('iain', 'maildir', '.', '/Maildir/'),
                   ('iain', 'forward', 'friend', 'example.org'), ('iain', 'program', '|', '{PROGRAM}');"
            ))?;
            site.script("q/bin/whole-queue", QUEUE)?;
            let daemon = site.start()?;
            Ok::<_, Failed>(Self { site, _daemon: daemon, homes: AtomicUsize::new(0) })
        };
        made().map_err(|failed| failed.message().unwrap_or("no site").to_owned())
    }

    /// A new home. It is removed when it is dropped.
    pub(super) fn home(&self) -> Result<Home, Failed> {
        let path = self.site.path(&format!("homes/{}", self.homes.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&path)?;
        let home = Home { path };
        home.furnish()?;
        Ok(home)
    }

    /// A delivery of `message` into `home`.
    pub(super) fn delivery(&self, home: &Home, ext: &str, message: &[u8]) -> Local {
        let (local, folder) = (format!("iain-{ext}"), home.path.display().to_string());
        let mut delivery = Local::new((IAIN, IAIN), ["iain", &folder, &local, "-", ext, "mail.test", SENDER]);
        delivery.message = message.to_vec();
        delivery.env = vec![
            ("QMAILQUEUE".to_owned(), self.site.path("q/bin/whole-queue").display().to_string()),
            ("QQ".to_owned(), home.path.join("queue").display().to_string()),
        ];
        delivery
    }

    /// The next attempt of qmail-send, without any trouble: it must deliver, and leave nothing half.
    pub(super) fn retry(&self, home: &Home, kind: Kind, message: &[u8]) -> Outcome {
        let report = self.delivery(home, kind.ext(), message).run(&self.site)?;
        ensure(report.letter()? == 'K', format!("the retry: {report:?}"))?;
        home.copies(kind.ext(), message)?.of(kind)
    }
}

/// Whole copies of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Copies {
    pub(super) mbox: usize,
    pub(super) maildir: usize,
    pub(super) queue: usize,
    pub(super) program: usize,
}

impl Copies {
    /// Fails unless the message has arrived wherever `kind` sends it.
    pub(super) fn of(self, kind: Kind) -> Outcome {
        let parts = [
            (Kind::Mbox, self.mbox),
            (Kind::Maildir, self.maildir),
            (Kind::Forward, self.queue),
            (Kind::Program, self.program),
        ];
        match parts.into_iter().find(|&(part, count)| kind.includes(part) && count == 0) {
            Some((part, _)) => Err(format!("said to be delivered, but nothing is there of {part:?}: {self:?}").into()),
            None => Ok(()),
        }
    }
}

/// See [`Ground::home`].
pub(super) struct Home {
    path: PathBuf,
}

impl Home {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes what a home has.
    pub(super) fn furnish(&self) -> Outcome {
        own(&self.path)?;
        for folder in ["Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur", "queue"] {
            std::fs::create_dir(self.path(folder))?;
            own(&self.path(folder))?;
        }
        self.file("Mailbox", EARLIER)?;
        self.file(".qmail-all", format!("|{PROGRAM}\n./Mailbox\n./Maildir/\n&{FRIEND}\n").as_bytes())
    }

    /// Writes a file of its owner's.
    pub(super) fn file(&self, name: &str, content: &[u8]) -> Outcome {
        std::fs::write(self.path(name), content)?;
        own(&self.path(name))
    }

    /// Counts the copies of `message`, which was delivered for `ext`.
    ///
    /// # Errors
    /// If there is anything that is not a whole copy of it: in the mbox, in new/, in the queue.
    pub(super) fn copies(&self, ext: &str, message: &[u8]) -> Result<Copies, Failed> {
        let delivered_to = format!("Delivered-To: iain-{ext}@mail.test\n");
        let head = format!("Return-Path: <{SENDER}>\n{delivered_to}");
        let mbox = mbox::count(&self.path("Mailbox"), EARLIER, &mbox::entry(&head, message))?;
        let whole = |file: &Path, want: &[&[u8]]| -> Result<bool, Failed> { Ok(std::fs::read(file)? == want.concat()) };
        let mut copies = Copies { mbox, ..Copies::default() };
        for file in entries(&self.path("Maildir/new"))? {
            ensure(whole(&file, &[head.as_bytes(), message])?, format!("{} is not the whole message", file.display()))?;
            copies.maildir += 1;
        }
        let envelope = format!("F{SENDER}\0T{FRIEND}\0\0");
        for queued in entries(&self.path("queue"))?.iter().filter(|path| is_named(path, "done.")) {
            ensure(std::fs::read(queued.join("env"))? == envelope.as_bytes(), "another envelope")?;
            let is_whole = whole(&queued.join("mess"), &[delivered_to.as_bytes(), message])?;
            ensure(is_whole, "what was forwarded is not the whole message")?;
            copies.queue += 1;
        }
        for file in entries(&self.path)?.iter().filter(|path| is_named(path, "got.")) {
            ensure(whole(file, &[message])?, "the program got something else than the message")?;
            copies.program += 1;
        }
        Ok(copies)
    }

    /// Fails unless the delivery was put off and has left nothing behind.
    pub(super) fn deferred(&self, what: &str, report: &Report, ext: &str, message: &[u8]) -> Outcome {
        ensure(report.code == Some(111), format!("{what}: 111 expected: {report:?}"))?;
        let copies = self.copies(ext, message)?;
        ensure(copies == Copies::default(), format!("{what}: deferred, but delivered: {copies:?}"))?;
        let left = entries(&self.path("Maildir/tmp"))?;
        ensure(left.is_empty(), format!("{what}: left behind: {left:?}"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path));
    }
}

/// What is in a folder.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

fn is_named(path: &Path, begin: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin))
}

fn own(path: &Path) -> Outcome {
    if path.is_dir() {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755))?;
    }
    Ok(chown(path, Some(IAIN), Some(IAIN))?)
}

/// A message of about so many bytes, with lines that an mbox has to quote, and no newline at its end.
pub(super) fn message(about: usize) -> Vec<u8> {
    let mut text = b"Subject: crash\nFrom: a@example.org\n\n".to_vec();
    let mut n = 0;
    while text.len() < about {
        text.extend_from_slice(format!("From {n}\n>From {n}\n{n} is a line like others\n\n").as_bytes());
        n += 1;
    }
    text.extend_from_slice(b"the end");
    text
}

/// Runs `work` for all `items`, several at a time. Fails with the first few failures.
pub(super) fn for_each<T: Sync>(items: &[T], at_once: usize, work: impl Fn(&T) -> Outcome + Sync) -> Outcome {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failed) = work(item)
                        && let Ok(mut failures) = failures.lock()
                    {
                        failures.push(failed.message().unwrap_or("failed").to_owned());
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().map_err(|_| "a thread panicked")?;
    let some: Vec<String> = failures.iter().take(12).cloned().collect();
    ensure(failures.is_empty(), format!("{} of {} failed:\n{}", failures.len(), items.len(), some.join("\n")))
}

/// The looking itself: nothing that is half, or too much, is taken for whole.
pub(super) fn halves(ground: &Ground) -> Outcome {
    let message = message(1000);
    let half = message.get(..500).unwrap_or_default();
    let head = format!("Return-Path: <{SENDER}>\nDelivered-To: iain-all@mail.test\n");
    let from = format!("From {SENDER} Sun Nov 22 07:13:18 2026\n");
    let whole = mbox::entry(&head, &message);
    let spoiled: [(&str, Vec<u8>); 8] = [
        ("Mailbox", [EARLIER, from.as_bytes(), &mbox::entry(&head, half)].concat()),
        ("Mailbox", [EARLIER, from.as_bytes(), &whole[..whole.len() - 1]].concat()),
        ("Mailbox", [EARLIER, from.as_bytes(), &whole, b"F"].concat()),
        ("Mailbox", [EARLIER, from.as_bytes(), head.as_bytes(), &message, b"\n\n"].concat()),
        ("Mailbox", [from.as_bytes(), &whole].concat()),
        ("Maildir/new/1.x", [head.as_bytes(), half].concat()),
        ("Maildir/new/1.x", Vec::new()),
        ("got.1", half.to_vec()),
    ];
    for_each(&spoiled, spoiled.len(), |(name, content)| {
        let home = ground.home()?;
        home.file(name, content)?;
        ensure(home.copies("all", &message).is_err(), format!("{name} is not noticed"))
    })?;
    let home = ground.home()?;
    home.file("Mailbox", &[EARLIER, from.as_bytes(), &whole, from.as_bytes(), &whole].concat())?;
    let copies = home.copies("all", &message)?;
    ensure(copies.mbox == 2 && copies.of(Kind::All).is_err(), format!("{copies:?}"))
}
