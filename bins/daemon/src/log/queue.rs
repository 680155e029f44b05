//! Lines on their way to standard error. A thread of its own writes them, so that nobody waits for whoever reads them;
//! if he stops, or a disk is full, lines are lost and counted.
//!
//! tracing-appender does the same, but says on standard output that it ended with a full queue, and waits there:
//! supervisors pass one and the same pipe as both.

use std::io::{ErrorKind, Result, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines that wait. Unit: bytes.
pub(super) const ROOM: usize = 512 * 1024;

/// Kept for later lines once the queue is empty. Unit: bytes.
const KEPT: usize = 16 * 1024;

/// Between two tries to write to what takes nothing at the moment and does not make us wait.
const PAUSE: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines that found no room behind those that wait. What was not taken is counted by the thread.
    lost: u64,
    writing: bool,
}

impl Queue {
    /// Starts to write to `out`. `tell` is called when there is room again, or `out` takes lines again, with the number of
    /// lines that were lost; it pushes one line that says so.
    ///
    /// # Errors
    /// If there can be no thread.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        tell: impl Fn(&Self, u64) + Send + 'static,
    ) -> Result<Arc<Self>> {
        let queue = Arc::new(Self::default());
        let writing = Arc::clone(&queue);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writing.run(out, tell))?;
        Ok(queue)
    }

    /// Puts a line at the end if no more than `room` bytes wait then. Never waits.
    pub(super) fn push(&self, line: &[u8], room: usize) {
        let mut state = self.state();
        if state.waiting.len() + line.len() > room {
            state.lost = state.lost.saturating_add(1);
        } else {
            state.waiting.extend_from_slice(line);
            self.changed.notify_all();
        }
    }

    /// Waits until everything is written, but not for longer than `most`; false if it is not.
    pub(super) fn flush(&self, most: Duration) -> bool {
        let busy = |state: &mut State| state.writing || !state.waiting.is_empty();
        let ended = self.changed.wait_timeout_while(self.state(), most, busy);
        !ended.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut out: impl Write, tell: impl Fn(&Self, u64)) {
        let tell = |lost| {
            tell(self, lost);
            Notice { lost, end: self.state().waiting.len() }
        };
        let mut lines = Vec::new();
        // Lines that were not taken, and not told either: a notice would have been one more of them.
        let mut failed = 0_u64;
        let mut torn = false;
        let mut next = None;
        loop {
            let notice: Option<Notice> = next.take();
            let lost = self.take(&mut lines);
            if failed > 0 {
                failed = failed.saturating_add(lost);
            } else if lost > 0 {
                // Right behind the last line before them.
                next = Some(tell(lost));
            }
            let rest = if torn && !write(&mut out, b"\n").is_empty() { &lines } else { write(&mut out, &lines) };
            let written = lines.len() - rest.len();
            torn = if written == 0 { torn && !rest.is_empty() } else { lines.get(written - 1) != Some(&b'\n') };
            if !rest.is_empty() {
                // The notice is one of these lines itself, and stands for those that it told.
                let untold = notice.filter(|notice| written < notice.end).map_or(0, |notice| notice.lost - 1);
                failed = failed.saturating_add(count(rest)).saturating_add(untold);
            } else if failed > 0 {
                next = Some(tell(std::mem::take(&mut failed)));
            }
            lines.clear();
            lines.shrink_to(KEPT);
        }
    }

    /// Waits for lines and exchanges them for `lines`, which is empty.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let mut state = self.state();
        state.writing = false;
        self.changed.notify_all();
        let empty = |state: &mut State| state.waiting.is_empty();
        let mut state = self.changed.wait_while(state, empty).unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        std::mem::swap(lines, &mut state.waiting);
        std::mem::take(&mut state.lost)
    }
}

/// A line among those that wait which tells how many were lost.
struct Notice {
    lost: u64,
    /// It ends there or before. Unit: bytes.
    end: usize,
}

/// Writes all, and returns what could not be written. Standard error may go away, and then nothing is left: there is
/// nobody to be told.
fn write<'a>(out: &mut impl Write, mut bytes: &'a [u8]) -> &'a [u8] {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return bytes,
            Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return &[],
            Err(_) => return bytes,
        }
    }
    bytes
}

/// How many lines, of which the first may have lost its begin.
fn count(lines: &[u8]) -> u64 {
    lines.iter().fold(0_u64, |count, &byte| count + u64::from(byte == b'\n')).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{PipeReader, Read};
    use std::sync::atomic::{AtomicUsize, Ordering};

    const LONG: Duration = Duration::from_secs(20);

    fn started() -> (Arc<Queue>, PipeReader) {
        let (reader, writer) = std::io::pipe().unwrap();
        let tell = |queue: &Queue, lost| queue.push(format!("lost {lost}\n").as_bytes(), usize::MAX);
        (Queue::start(writer, tell).unwrap(), reader)
    }

    #[test]
    fn lines_are_written_in_order() {
        let (queue, mut reader) = started();
        let all: String = (0..500).map(|n| format!("line {n}\n")).collect();
        all.split_inclusive('\n').for_each(|line| queue.push(line.as_bytes(), ROOM));
        assert!(queue.flush(LONG));
        let mut found = vec![0; all.len()];
        reader.read_exact(&mut found).unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), all);
    }

    #[test]
    fn who_does_not_read_loses_lines_and_is_told_how_many() {
        let (queue, mut reader) = started();
        let sent = 30_000_u64;
        // As many as a pipe and the queue hold, some times over.
        for n in 0..sent {
            queue.push(format!("line {n} of those that nobody reads for now {}\n", "x".repeat(50)).as_bytes(), ROOM);
        }
        assert!(!queue.flush(Duration::from_millis(50)), "nobody reads");
        assert!(queue.state().waiting.len() <= ROOM);
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            let mut part = vec![0; 65_536];
            while !text.contains("the last one\n") {
                let read = reader.read(&mut part).unwrap();
                assert!(read > 0, "{text}");
                text += std::str::from_utf8(&part[..read]).unwrap();
            }
            text
        });
        assert!(queue.flush(LONG));
        queue.push(b"the last one\n", ROOM);
        let text = reading.join().unwrap();
        let lines: Vec<_> = text.lines().collect();
        let told: u64 = lines.iter().filter_map(|line| line.strip_prefix("lost ")?.parse::<u64>().ok()).sum();
        let written = lines.iter().filter(|line| line.starts_with("line ")).count() as u64;
        assert!(told > 0);
        assert_eq!(told + written, sent);
        assert!(lines[lines.len() - 2].starts_with("lost "), "told where they are missing");
    }

    #[test]
    fn a_reader_who_goes_away_changes_nothing() {
        let (queue, reader) = started();
        drop(reader);
        queue.push(b"line\n", ROOM);
        assert!(queue.flush(LONG));
    }

    /// Takes as many bytes as there is room for, and then is /dev/full.
    #[derive(Clone)]
    struct Disk {
        room: Arc<AtomicUsize>,
        device: Arc<File>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Disk {
        fn new(room: usize) -> Self {
            let device = Arc::new(File::options().write(true).open("/dev/full").unwrap());
            Self { room: Arc::new(room.into()), device, written: Arc::default() }
        }

        fn text(&self) -> String {
            String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            let room = self.room.load(Ordering::SeqCst).min(bytes.len());
            if room == 0 {
                return (&*self.device).write(bytes);
            }
            self.room.fetch_sub(room, Ordering::SeqCst);
            self.written.lock().unwrap().extend_from_slice(&bytes[..room]);
            Ok(room)
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn started_on(disk: &Disk) -> Arc<Queue> {
        let tell = |queue: &Queue, lost| queue.push(format!("lost {lost}\n").as_bytes(), usize::MAX);
        Queue::start(disk.clone(), tell).unwrap()
    }

    #[test]
    fn lines_that_a_full_disk_did_not_take_are_told_once_it_does() {
        let disk = Disk::new(0);
        let queue = started_on(&disk);
        for n in 0..5 {
            queue.push(format!("line {n}\n").as_bytes(), ROOM);
            assert!(queue.flush(LONG), "nobody waits for a full disk");
        }
        disk.room.store(ROOM, Ordering::SeqCst);
        for line in ["one that fits\n", "another one\n"] {
            queue.push(line.as_bytes(), ROOM);
            assert!(queue.flush(LONG));
        }
        assert_eq!(disk.text(), "one that fits\nlost 5\nanother one\n");
    }

    #[test]
    fn a_notice_that_does_not_fit_is_told_by_the_next_one() {
        let disk = Disk::new(0);
        let queue = started_on(&disk);
        let push = |line: &str| {
            queue.push(line.as_bytes(), ROOM);
            assert!(queue.flush(LONG));
        };
        push("one\ntwo\nthree\n");
        disk.room.store(8, Ordering::SeqCst);
        // And two bytes of the notice.
        push("short\n");
        disk.room.store(ROOM, Ordering::SeqCst);
        push("last\n");
        assert_eq!(disk.text(), "short\nlo\nlast\nlost 3\n");
    }

    #[test]
    fn half_a_line_spoils_no_other() {
        let disk = Disk::new(12);
        let queue = started_on(&disk);
        let push = |line: &str| {
            queue.push(line.as_bytes(), ROOM);
            assert!(queue.flush(LONG));
        };
        push("line 1\nline 2\n");
        push("line 3\n");
        disk.room.store(ROOM, Ordering::SeqCst);
        push("line 4\n");
        assert_eq!(disk.text(), "line 1\nline \nline 4\nlost 2\n");
    }
}
