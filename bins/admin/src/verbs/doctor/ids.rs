//! Trying as somebody else what he will have to do: a child that has taken uid and gid, without further groups.

use super::check::Outcome;
use crate::path_repair::Mend;
use nix::errno::Errno;
use qmail_lookup_config::quoted;
use qmail_lookup_core::directories::{Entry, Way};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long a file server or a program may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Uid and gid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verbs) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Somebody whom no file knows: mailboxes are of any uid.
pub(in crate::verbs) const ANYBODY: Ids = Ids { uid: 65_534, gid: 65_534 };

/// What a child gave.
pub(super) struct Ran {
    /// Exit code; `None` after a signal.
    pub(super) code: Option<i32>,
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
}

impl Ids {
    pub(in crate::verbs) fn new(uid: u32, gid: u32) -> Self {
        Self { uid, gid }
    }

    /// Runs `program` in `folder` with nothing but PATH in its environment.
    ///
    /// # Errors
    /// If it cannot be run, or has not ended in time; it is killed then.
    pub(super) async fn run<A: AsRef<std::ffi::OsStr>>(
        self,
        folder: &Path,
        program: impl AsRef<std::ffi::OsStr>,
        arguments: &[A],
    ) -> Result<Ran> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin");
        command.uid(self.uid).gid(self.gid).kill_on_drop(true);
        let output = command.stdin(Stdio::null()).output();
        match tokio::time::timeout(PATIENCE, output).await {
            Ok(done) => done.map(|done| Ran { code: done.status.code(), out: done.stdout, err: done.stderr }),
            Err(_) => Err(ErrorKind::TimedOut.into()),
        }
    }

    /// The first thing that stands between these ids and `path`: a directory that cannot be searched, or else the first
    /// of `needs` (`r`, `w`, `x`) that the path itself refuses. `None` if there is nothing.
    ///
    /// # Errors
    /// If the path is not there, or that could not be found out.
    pub(in crate::verbs) async fn obstacle(self, path: &Path, needs: &str) -> Result<Option<Obstacle>> {
        let way = follow(path).await?;
        let mut tries: Vec<(PathBuf, char)> = way.steps.iter().map(|step| (step.path.clone(), 'x')).collect();
        tries.dedup();
        tries.extend(needs.chars().map(|need| (path.to_owned(), need)));
        let mut words: Vec<std::ffi::OsString> = vec!["-c".into(), TRY.into(), "sh".into()];
        for (path, need) in &tries {
            words.push(format!("-{need}").into());
            words.push(path.into());
        }
        let ran = self.run(Path::new("/"), "/bin/sh", &words).await?;
        let said = String::from_utf8_lossy(&ran.out).trim().parse::<usize>().ok();
        match (ran.code, said.and_then(|at| tries.get(at).cloned())) {
            (Some(0), _) => Ok(None),
            (Some(1), Some((refused, need))) => {
                let holder = way.steps.iter().find(|step| step.path == refused).map(|step| step.holder.clone());
                let entry = holder.unwrap_or(way.end);
                let needs = if refused == path { needs.to_owned() } else { need.to_string() };
                Ok(Some(Obstacle { path: refused, need, needs, entry, ids: self }))
            }
            (code, _) => Err(Error::other(format!("/bin/sh as uid {} ended with {code:?}", self.uid))),
        }
    }
}

impl Ids {
    /// The same of one need, by owners and modes alone: for who has not the power to become somebody else.
    ///
    /// # Errors
    /// If the path is not there, or a file server does not answer.
    pub(in crate::verbs) async fn obstacle_by_mode(self, path: &Path, need: char) -> Result<Option<Obstacle>> {
        let Way { steps, end } = follow(path).await?;
        let obstacle = |path, need: char, entry| Obstacle { path, need, needs: need.to_string(), entry, ids: self };
        let closed = steps.into_iter().find(|step| !self.may(&step.holder, 'x'));
        let closed = closed.map(|step| obstacle(step.path, 'x', step.holder));
        Ok(closed.or_else(|| (!self.may(&end, need)).then(|| obstacle(path.to_owned(), need, end))))
    }

    fn may(self, entry: &Entry, need: char) -> bool {
        let bit = match need {
            'r' => 4,
            'w' => 2,
            _ => 1,
        };
        let class = if entry.uid == self.uid {
            6
        } else if entry.gid == self.gid {
            3
        } else {
            0
        };
        self.uid == 0 || entry.mode >> class & bit != 0
    }
}

/// Names the first test that fails, by its number.
const TRY: &str = "n=0; while [ $# -gt 0 ]; do test \"$1\" \"$2\" || { echo $n; exit 1; }; shift 2; n=$((n+1)); done";

/// What stands in somebody's way.
#[derive(Clone, Debug)]
pub(in crate::verbs) struct Obstacle {
    pub(super) path: PathBuf,
    need: char,
    /// Everything that is needed of it.
    needs: String,
    pub(super) entry: Entry,
    ids: Ids,
}

impl Obstacle {
    /// What it is, for people.
    pub(in crate::verbs) fn what(&self) -> String {
        let Self { path, need, entry, ids, .. } = self;
        let cannot = match need {
            'r' => "read",
            'w' => "write",
            _ => "search or run",
        };
        let mode = entry.mode & 0o7777;
        format!(
            "uid {} gid {} cannot {cannot} {} (owner {}, group {}, mode {mode:04o})",
            ids.uid,
            ids.gid,
            path.display(),
            entry.uid,
            entry.gid
        )
    }

    /// The command that takes it away, and gives nobody else more than that takes. Only for a path that no mailbox's owner
    /// has chosen.
    pub(in crate::verbs) fn mend(&self) -> String {
        format!("chmod {} {}", self.change(), quoted(&self.path))
    }

    /// What chmod has to change.
    pub(super) fn change(&self) -> String {
        let Self { needs, entry, ids, .. } = self;
        let who = if entry.uid == ids.uid {
            'u'
        } else if entry.gid == ids.gid {
            'g'
        } else {
            'o'
        };
        format!("{who}+{needs}")
    }

    /// True if it belongs to these ids.
    pub(super) fn is_own(&self) -> bool {
        (self.entry.uid, self.entry.gid) == (self.ids.uid, self.ids.gid)
    }
}

impl From<Obstacle> for Outcome {
    fn from(obstacle: Obstacle) -> Self {
        Self::obstacle(obstacle.what(), Mend::Command(obstacle.mend()))
    }
}

/// Where a path leads, in time.
///
/// # Errors
/// If it leads nowhere, or a file server does not answer.
pub(super) async fn follow(path: &Path) -> Result<Way> {
    let path = path.to_owned();
    in_time(move || Way::follow(&path, look)).await
}

/// What `look` gives, which may wait as long as a file server does.
///
/// # Errors
/// Its own; if it does not end in time.
pub(super) async fn in_time<T: Send + 'static>(look: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(look)).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(error)) => Err(Error::other(error)),
        Err(_) => Err(Errno::ETIMEDOUT.into()),
    }
}

fn look(path: &Path) -> Result<Entry> {
    let facts = std::fs::symlink_metadata(path)?;
    let link = facts.is_symlink().then(|| std::fs::read_link(path)).transpose()?;
    Ok(Entry { uid: facts.uid(), gid: facts.gid(), mode: facts.mode(), link })
}
