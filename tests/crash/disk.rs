//! No room: a full file system, a limit on files, a home that cannot be written.

use super::ground::{Ground, Home, Kind, message};
use super::{Shared, lacking, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure};
use qmail_lookup_tests::site::{Report, may_mount};
use std::path::PathBuf;
use std::process::Command;

type Run = fn(&Ground) -> Outcome;

pub(super) fn trials(shared: &Shared) -> Vec<Trial> {
    let mut trials = vec![trial("disk::the_limit_of_a_file_defers_and_is_undone", shared, file_size)];
    let mounting: [(&str, Run); 3] = [
        ("disk::a_full_disk_defers_and_is_undone", full),
        ("disk::no_inode_left_defers", no_inode),
        ("disk::a_home_that_is_read_only_defers", read_only),
    ];
    for (name, run) in mounting {
        trials.push(if may_mount() { trial(name, shared, run) } else { lacking(name, "to mount a tmpfs", false) });
    }
    trials
}

const KINDS: [Kind; 2] = [Kind::Mbox, Kind::Maildir];

/// A file system over a home; unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn over(home: &Home, options: &str) -> Result<Self, Failed> {
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(home.path("")).status()?;
        ensure(status.success(), "no tmpfs can be mounted")?;
        let mounted = Self(home.path(""));
        home.furnish()?;
        Ok(mounted)
    }

    fn again(&self, options: &str) -> Outcome {
        let options = format!("remount,{options}");
        ensure(
            Command::new("mount").args(["-o", &options]).arg(&self.0).status()?.success(),
            format!("it cannot be mounted with {options}"),
        )
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

fn deliver(ground: &Ground, home: &Home, kind: Kind, before: &str, message: &[u8]) -> Result<Report, Failed> {
    let mut delivery = ground.delivery(home, kind.ext(), message);
    before.clone_into(&mut delivery.before);
    delivery.run(&ground.site)
}

fn full(ground: &Ground) -> Outcome {
    // Too much from the beginning, and too much by a little: the room ends in the middle of a page, or in the last one.
    for size in [400_000, 62_000, 58_000, 54_000] {
        let message = message(size);
        for kind in KINDS {
            let home = ground.home()?;
            let room = Mounted::over(&home, "size=64k,mode=755")?;
            let report = deliver(ground, &home, kind, ":", &message)?;
            if size < 60_000 && report.code == Some(0) {
                home.copies(kind.ext(), &message)?.of(kind)?;
                continue;
            }
            home.deferred(&format!("{} of {size} on a full disk", kind.ext()), &report, kind.ext(), &message)?;
            room.again("size=4m")?;
            ground.retry(&home, kind, &message)?;
        }
    }
    Ok(())
}

fn no_inode(ground: &Ground) -> Outcome {
    let message = message(1000);
    let home = ground.home()?;
    let room = Mounted::over(&home, "size=1m,nr_inodes=64,mode=755")?;
    let filler = |n: usize| home.path(&format!("filler{n}"));
    let most = (0..100).take_while(|&n| std::fs::write(filler(n), "").is_ok()).count();
    ensure(most < 100, "there is no end of inodes")?;
    let report = deliver(ground, &home, Kind::Maildir, ":", &message)?;
    home.deferred("without an inode", &report, Kind::Maildir.ext(), &message)?;
    // One for the file in tmp/, and none for its name in new/: whatever comes of it is whole.
    std::fs::remove_file(filler(0))?;
    let report = deliver(ground, &home, Kind::Maildir, ":", &message)?;
    match report.code {
        Some(0) => home.copies(Kind::Maildir.ext(), &message)?.of(Kind::Maildir)?,
        _ => home.deferred("with one inode", &report, Kind::Maildir.ext(), &message)?,
    }
    room.again("nr_inodes=200")?;
    ground.retry(&home, Kind::Maildir, &message)
}

fn read_only(ground: &Ground) -> Outcome {
    let message = message(1000);
    for kind in KINDS {
        let home = ground.home()?;
        let room = Mounted::over(&home, "size=1m,mode=755")?;
        room.again("ro")?;
        let report = deliver(ground, &home, kind, ":", &message)?;
        home.deferred("read-only", &report, kind.ext(), &message)?;
        room.again("rw")?;
        ground.retry(&home, kind, &message)?;
    }
    Ok(())
}

fn file_size(ground: &Ground) -> Outcome {
    let message = message(200_000);
    for kind in KINDS {
        for limit in [0, 1, 100] {
            let home = ground.home()?;
            let report = deliver(ground, &home, kind, &format!("ulimit -f {limit}"), &message)?;
            home.deferred(&format!("{} within {limit} kB", kind.ext()), &report, kind.ext(), &message)?;
            ground.retry(&home, kind, &message)?;
        }
    }
    Ok(())
}
