//! qmail-send: takes messages out of todo, routes and delivers them. Its argument is qmail-start's. HUP reads locals and
//! virtualdomains again, ALRM makes everything due, TERM ends it when what is under way has ended. What was deferred is
//! tried again by ALRM alone, or after `control/retry` seconds: the miniature's own schedule.

use crate::control::number;
use crate::delivery::{Ended, Ground, run};
use crate::log::Log;
use crate::message::{Channel, Message, file, ids};
use crate::route::Routes;
use crate::signals;
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, Result, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

/// How long it waits for the end of a delivery before it looks for signals and new messages.
const TURN: Duration = Duration::from_millis(10);

const TOO_LONG: &[u8] = b"I'm not going to try again; this message has been in the queue too long.\n";

/// When a recipient is tried: by message and place in `local`.
type Key = (String, u64);

struct State {
    home: PathBuf,
    ground: Arc<Ground>,
    routes: Routes,
    log: Log,
    messages: BTreeMap<String, Message>,
    running: BTreeSet<Key>,
    deferred: BTreeMap<Key, Instant>,
    concurrency: usize,
    lifetime: Duration,
    retry: Option<Duration>,
    is_idle: bool,
    ended: Sender<Ended>,
}

pub(crate) fn main(arguments: &[Vec<u8>]) -> Result<()> {
    let home = crate::home()?;
    std::env::set_current_dir(home.join("queue"))?;
    signals::catch()?;
    let (commands, mut orders) = std::io::pipe()?;
    // Nothing of it is for the programs that have this open.
    orders.write_all(b"\x000/1\0sender@example.org\0nobody@mail.test\0")?;
    let alias_empty = arguments.first().cloned().unwrap_or_else(|| b"./Mailbox".to_vec());
    let (ended, ends) = channel();
    let retry = number(&home, "retry", 0)?;
    let mut state = State {
        ground: Arc::new(Ground { home: home.clone(), alias_empty, commands }),
        routes: Routes::read(&home)?,
        log: Log::new(&home),
        messages: BTreeMap::new(),
        running: BTreeSet::new(),
        deferred: BTreeMap::new(),
        concurrency: usize::try_from(number(&home, "concurrencylocal", 10)?).map_err(Error::other)?,
        lifetime: Duration::from_secs(number(&home, "queuelifetime", 604_800)?),
        retry: Some(Duration::from_secs(retry)).filter(|retry| !retry.is_zero()),
        is_idle: false,
        ended,
        home,
    };
    state.log.status("busy")?;
    state.begin()?;
    state.go_on(&ends)
}

impl State {
    /// Finds what a run before has left.
    fn begin(&mut self) -> Result<()> {
        self.log.step("start", &[])?;
        for id in ids(&self.home.join("queue/info/0"))? {
            if !self.home.join("queue/todo").join(&id).exists() {
                self.messages.insert(id.clone(), Message::load(&self.home, &id)?);
                self.settle(&id)?;
            }
        }
        Ok(())
    }

    fn go_on(&mut self, ends: &Receiver<Ended>) -> Result<()> {
        let mut is_ending = false;
        loop {
            for signal in signals::come() {
                is_ending |= self.hear(signal)?;
            }
            if !is_ending {
                self.take_in()?;
                self.start_what_is_due()?;
            }
            let is_idle = self.running.is_empty();
            if is_ending && is_idle {
                return self.log.step("stop", &[]);
            }
            if is_idle != self.is_idle {
                self.is_idle = is_idle;
                self.log.status(if is_idle { "idle" } else { "busy" })?;
            }
            match ends.recv_timeout(TURN) {
                Ok(ended) => self.judge(ended)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::other("no delivery can end")),
            }
        }
    }

    /// True if that is the end.
    fn hear(&mut self, signal: Signal) -> Result<bool> {
        self.is_idle = false;
        match signal {
            Signal::SIGHUP => match self.routes.reread(&self.home) {
                Ok(()) => self.log.step("reread", &[])?,
                Err(error) => self.log.step("alert: unable to reread", &[("text", error.to_string().as_bytes())])?,
            },
            Signal::SIGALRM => {
                self.deferred.clear();
                self.log.step("retry", &[])?;
            }
            _ => return Ok(true),
        }
        self.log.status("busy")?;
        Ok(false)
    }

    fn take_in(&mut self) -> Result<()> {
        for id in ids(&self.home.join("queue/todo"))? {
            if std::mem::take(&mut self.is_idle) {
                self.log.status("busy")?;
            }
            let message = Message::route(&self.home, &id, &self.routes)?;
            for recipient in &message.left {
                let (folder, address) = (recipient.channel.folder(), &recipient.address);
                self.log.step(folder, &[("id", id.as_bytes()), ("sender", &message.sender), ("recipient", address)])?;
            }
            self.messages.insert(id.clone(), message);
            self.send_out(&id)?;
        }
        Ok(())
    }

    /// Writes down what would leave the machine.
    fn send_out(&mut self, id: &str) -> Result<()> {
        let Some(message) = self.messages.get_mut(id) else { return Ok(()) };
        let (remote, local) = std::mem::take(&mut message.left).into_iter().partition(|r| r.channel == Channel::Remote);
        message.left = local;
        let remote: Vec<_> = remote;
        for recipient in &remote {
            let text = std::fs::read(file(&self.home, "mess", id))?;
            self.log.remote(&message.sender, &recipient.address, &text)?;
            message.done(&self.home, recipient)?;
        }
        self.settle(id)
    }

    fn start_what_is_due(&mut self) -> Result<()> {
        let waits = |key: &Key| match (self.deferred.get(key), self.retry) {
            (Some(since), Some(retry)) => since.elapsed() < retry,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let room = self.concurrency.saturating_sub(self.running.len());
        let all = self.messages.values().flat_map(|message| message.left.iter().map(move |r| (message, r)));
        let due = all.filter(|(message, recipient)| {
            let key = (message.id.clone(), recipient.at);
            !self.running.contains(&key) && !waits(&key)
        });
        let due: Vec<_> = due.take(room).map(|(m, r)| (m.clone(), r.clone())).collect();
        for (message, recipient) in due {
            self.running.insert((message.id.clone(), recipient.at));
            self.log.step("delivery", &[("id", message.id.as_bytes()), ("recipient", &recipient.address)])?;
            let (ground, ended) = (Arc::clone(&self.ground), self.ended.clone());
            std::thread::spawn(move || ended.send(run(&ground, &message, recipient)));
        }
        Ok(())
    }

    fn judge(&mut self, ended: Ended) -> Result<()> {
        let Ended { id, recipient, outcome } = ended;
        let key = (id, recipient.at);
        self.running.remove(&key);
        self.deferred.remove(&key);
        let Some(message) = self.messages.get_mut(&key.0) else { return Ok(()) };
        let (mut letter, mut text) = (outcome.letter, outcome.text);
        let age = SystemTime::now().duration_since(message.born).unwrap_or_default();
        if letter == 'Z' && age >= self.lifetime {
            letter = 'D';
            text.extend_from_slice(TOO_LONG);
        }
        let step = match letter {
            'K' => "success",
            'Z' => "deferral",
            _ => "failure",
        };
        let said = [("id", key.0.as_bytes()), ("recipient", &recipient.address), ("text", &text)];
        self.log.step(step, &said)?;
        if letter == 'Z' {
            self.deferred.insert(key, Instant::now());
            return Ok(());
        }
        if letter == 'D' {
            let mail = std::fs::read(file(&self.home, "mess", &message.id))?;
            self.log.bounce(&message.sender, &self.routes.stripped(&recipient.address), &text, &mail)?;
        }
        message.done(&self.home, &recipient)?;
        message.left.retain(|left| *left != recipient);
        self.settle(&key.0)
    }

    /// Ends a message that nobody is left of.
    fn settle(&mut self, id: &str) -> Result<()> {
        match self.messages.get(id) {
            Some(message) if message.left.is_empty() => {
                message.remove(&self.home)?;
                self.log.step("end", &[("id", id.as_bytes())])?;
                self.messages.remove(id);
            }
            _ => {}
        }
        Ok(())
    }
}
