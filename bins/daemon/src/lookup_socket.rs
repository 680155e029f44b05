//! A connection of the lookup socket: many questions, answered at the same time and written in order.

use crate::answer::{Said, answer};
use crate::bounds::Admitted;
use crate::daemon::Daemon;
use crate::frame::{FRAME, Filled, IDLE, Input, KEPT, write_all};
use crate::metrics::Cut;
use crate::peer::Peer;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use qmail_lookup_core::Deadline;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::net::UnixStream;
use tokio::time::{Instant, Sleep};

/// Questions of one connection that are answered at the same time.
const IN_FLIGHT: usize = 64;

/// Replies are written when this much has gathered, at the latest. Unit: bytes.
const OUT: usize = 64 * 1024;

/// Serves one connection until it ends.
pub(crate) async fn serve(daemon: &Daemon, mut stream: UnixStream, peer: Peer, admitted: &Admitted) {
    let questions = admitted.questions.as_deref();
    let mut stop = pin!(daemon.stop.cancelled());
    let mut timer = pin!(tokio::time::sleep(IDLE));
    let mut input = Input::default();
    // A client with one question at a time, as most are, needs no queue.
    let mut first = None;
    let mut answers = FuturesOrdered::new();
    let mut out = Vec::new();
    let mut quiet_since = Instant::now();
    // What ends the connection once everything before it is answered.
    let mut ending = None;
    loop {
        // The deadline of all that came with one read.
        let by = Deadline::after(daemon.state.load().config.deadline);
        while answers.len() < IN_FLIGHT && !matches!(ending, Some(Ending::Malformed(_))) {
            match input.next() {
                Ok(Some(content)) => {
                    let answer = Box::pin(answer(daemon, peer, questions, content, by));
                    if first.is_none() && answers.is_empty() {
                        first = Some(answer);
                    } else {
                        answers.extend(first.take());
                        answers.push_back(answer);
                    }
                }
                Ok(None) => break,
                Err(malformed) => ending = Some(Ending::Malformed(malformed.0)),
            }
        }
        let idle = first.is_none() && answers.is_empty();
        if idle && let Some(ending) = ending {
            return end(daemon, &stream, ending).await;
        }
        let due = due(&input, quiet_since);
        if due < timer.deadline() {
            timer.as_mut().reset(due);
        }
        let reading = ending.is_none() && input.has_room();
        let event = std::future::poll_fn(|cx| {
            if let Some(answer) = &mut first
                && let Poll::Ready(said) = answer.as_mut().poll(cx)
            {
                said.write(&mut out);
                first = None;
            }
            while first.is_none()
                && out.len() < OUT
                && let Poll::Ready(Some(said)) = answers.poll_next_unpin(cx)
            {
                Said::write(&said, &mut out);
            }
            if !out.is_empty() {
                return Poll::Ready(Event::Answers);
            }
            if reading && let Poll::Ready(filled) = input.poll_fill(cx, &mut stream) {
                return Poll::Ready(Event::Read(filled));
            }
            next(cx, &mut timer, &mut stop, ending.is_some())
        });
        match event.await {
            Event::Answers => {
                if let Err(error) = write_all(&stream, &out).await {
                    if error.kind() == std::io::ErrorKind::TimedOut {
                        daemon.metrics.cut(Cut::Reply);
                    }
                    return;
                }
                out.clear();
                if out.capacity() > KEPT {
                    out = Vec::new();
                }
                quiet_since = Instant::now();
            }
            Event::Read(Ok(Filled::Some)) => quiet_since = Instant::now(),
            Event::Read(Ok(Filled::End)) => ending = Some(Ending::Gone),
            Event::Read(Err(_)) => return,
            Event::Timer => {
                let late = due_passed(&input, quiet_since, idle);
                if let Some(cut) = late {
                    daemon.metrics.cut(cut);
                    ending = Some(Ending::Gone);
                } else {
                    // It was set for something that has ended since.
                    let due = self::due(&input, quiet_since).max(Instant::now() + FRAME / 4);
                    timer.as_mut().reset(due);
                }
            }
            Event::Stop => ending = Some(Ending::Gone),
        }
    }
}

enum Event {
    Answers,
    Read(std::io::Result<Filled>),
    Timer,
    Stop,
}

/// Why a connection ends.
#[derive(Clone, Copy)]
enum Ending {
    /// The client has no more questions, or the daemon takes no more.
    Gone,
    /// What came was no frame, so that nothing behind it can be read.
    Malformed(&'static str),
}

fn next(
    cx: &mut Context<'_>,
    timer: &mut Pin<&mut Sleep>,
    stop: &mut Pin<&mut impl Future<Output = ()>>,
    ending: bool,
) -> Poll<Event> {
    if ending {
        return Poll::Pending;
    }
    if stop.as_mut().poll(cx).is_ready() {
        return Poll::Ready(Event::Stop);
    }
    timer.as_mut().poll(cx).map(|()| Event::Timer)
}

/// When something has to have happened.
fn due(input: &Input, quiet_since: Instant) -> Instant {
    input.begun.map_or(quiet_since + IDLE, |begun| begun + FRAME)
}

fn due_passed(input: &Input, quiet_since: Instant, idle: bool) -> Option<Cut> {
    let now = Instant::now();
    match input.begun {
        Some(begun) => (begun + FRAME <= now).then_some(Cut::Frame),
        None => (idle && quiet_since + IDLE <= now).then_some(Cut::Idle),
    }
}

async fn end(daemon: &Daemon, stream: &UnixStream, ending: Ending) {
    let Ending::Malformed(why) = ending else { return };
    daemon.metrics.cut(Cut::Malformed);
    let mut out = Vec::new();
    Said::Perm(why.into()).write(&mut out);
    let _ = write_all(stream, &out).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::tests::{daemon, run};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What a client of the connection sees until it ends, and how long that took by a clock that does not wait.
    fn served(sent: &[u8], hang_up: bool) -> (Vec<u8>, Duration) {
        run(async {
            tokio::time::pause();
            let (daemon, begun) = (daemon(), Instant::now());
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(sent).await.unwrap();
            if hang_up {
                theirs.shutdown().await.unwrap();
            }
            let peer = Peer { uid: 0, gid: 0, pid: 1 };
            let admitted = daemon.bounds.admit(0, crate::bounds::Class::Privileged).unwrap();
            let mut seen = Vec::new();
            let (_, read) = tokio::join!(async { serve(&daemon, ours, peer, &admitted).await }, async {
                theirs.read_to_end(&mut seen).await
            });
            read.unwrap();
            (seen, begun.elapsed())
        })
    }

    #[test]
    fn who_asks_nothing_and_who_does_not_end_a_frame_is_cut_off() {
        let (seen, took) = served(b"", false);
        assert!(seen.is_empty() && took >= IDLE && took < IDLE + FRAME * 2, "{took:?}");
        let (seen, took) = served(b"20:rcpthosts", false);
        assert!(seen.is_empty() && took >= FRAME && took < FRAME * 2, "{took:?}");
        let (seen, took) = served(b"7:nosuch ,20:rcpthosts", false);
        assert_eq!(seen, b"33:PERM no question is called nosuch,");
        assert!(took < FRAME * 2, "{took:?}");
    }

    #[test]
    fn who_hangs_up_still_gets_the_answers() {
        let (seen, took) = served(b"7:nosuch ,6:nokey!,", true);
        assert_eq!(seen, b"33:PERM no question is called nosuch,29:PERM a question without a key,");
        assert!(took < FRAME, "{took:?}");
    }

    #[test]
    fn behind_what_is_no_frame_nothing_is_read() {
        let (seen, took) = served(b"7:nosuch ,hello,7:nosuch ,", false);
        assert_eq!(seen, b"33:PERM no question is called nosuch,20:PERM not a netstring,");
        assert!(took < FRAME, "{took:?}");
    }

    #[test]
    fn a_question_that_hangs_keeps_none_behind_it_from_being_asked() {
        run(async {
            tokio::time::pause();
            let daemon = daemon();
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let admitted = daemon.bounds.admit(0, crate::bounds::Class::Privileged).unwrap();
            // The first needs the second's turn of the uid's questions, so that it hangs until the deadline.
            let semaphore = admitted.questions.as_deref().unwrap();
            let held = semaphore.acquire_many(u32::try_from(semaphore.available_permits()).unwrap()).await.unwrap();
            theirs.write_all(b"13:mailbox hangs,7:nosuch ,").await.unwrap();
            theirs.shutdown().await.unwrap();
            let peer = Peer { uid: 0, gid: 0, pid: 1 };
            let metrics = || daemon.metrics.render(&[]);
            let asked = r#"question="unknown",verdict="perm"} 1"#;
            let mut seen = Vec::new();
            tokio::join!(serve(&daemon, ours, peer, &admitted), async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                assert!(metrics().contains(asked), "the second was not asked: {}", metrics());
                drop(held);
                theirs.read_to_end(&mut seen).await.unwrap();
            });
            assert!(seen.ends_with(b"33:PERM no question is called nosuch,"), "{}", String::from_utf8_lossy(&seen));
        });
    }
}
