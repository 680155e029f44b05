//! The daemon and the drop-ins in trouble: real programs, real stores, real uids. Whatever breaks, nobody is told
//! something wrong: who cannot be answered is told so in time, and right answers come back by themselves.

mod bounds;
mod daemon_faults;
mod getpw;
mod homes;
mod log;
mod peers;
mod restart;
mod secrets;
mod store_faults;

use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::wire::auth::Reply;
use qmail_lookup_core::wire::socketmap;
use qmail_lookup_tests::check::{Outcome, ensure};
use qmail_lookup_tests::site::{ALIAS, Answer, Daemon, IAIN, RcptCheck, SECRET, Said, Site};
use std::time::{Duration, Instant};

/// All trials `daemon::AREA::SENTENCE`.
pub(crate) fn trials() -> Vec<Trial> {
    let all = [
        getpw::trials(),
        homes::trials(),
        store_faults::trials(),
        daemon_faults::trials(),
        restart::trials(),
        peers::trials(),
        secrets::trials(),
        bounds::trials(),
        log::trials(),
    ];
    all.into_iter().flatten().collect()
}

fn trial(name: &str, run: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    qmail_lookup_tests::site::trial(&format!("daemon::{name}"), run)
}

/// Makes the stores give up soon.
const QUICK: &str = "[store]\ndeadline = \"1s\"";

/// How much later than its deadline an answer may come: the machine may be busy.
const LATE: Duration = Duration::from_secs(6);

/// How long the way back may take on a busy machine; on an idle one it is less than a second.
const BACK_MAX: Duration = Duration::from_secs(5);

/// An answer by what it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    Temporary,
    Wrong(String),
}

impl Verdict {
    fn of<T: std::fmt::Debug + PartialEq>(got: &T, right: &T, temporary: bool) -> Self {
        match () {
            () if temporary => Self::Temporary,
            () if got == right => Self::Right,
            () => Self::Wrong(format!("{got:?}, not {right:?}")),
        }
    }
}

/// A question with its answer.
type Asked = (&'static str, Verdict, Duration);

/// Everybody's answers at one moment.
#[derive(Debug)]
struct Round(Vec<Asked>);

impl Round {
    /// The answers of `name`s that begin so.
    fn verdicts<'a>(&'a self, begin: &'a str) -> impl Iterator<Item = &'a Verdict> + 'a {
        self.0.iter().filter(move |(name, ..)| name.starts_with(begin)).map(|(_, verdict, _)| verdict)
    }

    /// How many are temporary.
    fn temporary(&self) -> usize {
        self.verdicts("").filter(|&verdict| *verdict == Verdict::Temporary).count()
    }

    /// Fails unless all are right.
    fn right(&self) -> Outcome {
        ensure(self.temporary() == 0, format!("right answers expected: {self:#?}"))
    }

    /// Fails unless all are temporary, and in time.
    fn temporary_within(&self, time: Duration) -> Outcome {
        ensure(self.temporary() == self.0.len(), format!("temporary answers expected: {self:#?}"))?;
        let slowest = self.0.iter().map(|(_, _, took)| *took).max().unwrap_or_default();
        ensure(slowest < time + LATE, format!("{slowest:?} is too long for {time:?}: {self:#?}"))
    }
}

/// Asks everything in every way at the same time. Fails if an answer is wrong.
fn ask(site: &Site) -> Result<Round, Failed> {
    type Question<'a> = (&'static str, Box<dyn FnOnce() -> Result<Verdict, Failed> + Send + 'a>);
    let questions: Vec<Question<'_>> = vec![
        ("getpw iain", Box::new(|| getpw(site, "iain", &six(site, "iain", IAIN, "", "")))),
        ("getpw nobody", Box::new(|| getpw(site, "nobody", &alias_user("nobody")))),
        ("getpw =bar.com=-sales", Box::new(|| getpw(site, "=bar.com=-sales", &six(site, "iain", IAIN, "-", "work")))),
        ("recipient known", Box::new(|| rcptcheck(site, "iain@bar.com", RcptCheck::Possible))),
        ("recipient unknown", Box::new(|| rcptcheck(site, "nobody@bar.com", RcptCheck::Unknown))),
        ("login right", Box::new(|| checkpassword(site, SECRET, &let_in(site)))),
        ("login wrong", Box::new(|| checkpassword(site, "wrong", &Said::Exit(1)))),
    ];
    let asked: Result<Vec<Asked>, Failed> = std::thread::scope(|scope| {
        let asking = questions.into_iter().map(|(name, question)| {
            let thread = scope.spawn(move || {
                let begun = Instant::now();
                question().map(|verdict| (name, verdict, begun.elapsed()))
            });
            (name, thread)
        });
        // All of them run before the first is waited for.
        let asking: Vec<_> = asking.collect();
        asking.into_iter().map(|(name, thread)| thread.join().map_err(|_| format!("{name} panicked"))?).collect()
    });
    let round = Round(asked?);
    let wrong = round.verdicts("").any(|verdict| matches!(verdict, Verdict::Wrong(_)));
    if wrong { Err(format!("a wrong answer: {round:#?}").into()) } else { Ok(round) }
}

/// As [`ask`], and the sockets themselves too.
fn ask_sockets(site: &Site, daemon: &Daemon) -> Result<Round, Failed> {
    let mut round = ask(site)?;
    let maps = [
        ("rcpthosts known", "rcpthosts", "bar.com", "OK bar.com"),
        ("rcpthosts unknown", "rcpthosts", "nowhere.test", "NOTFOUND "),
        ("socket recipient known", "recipient", "iain@bar.com", "OK possible"),
        ("socket recipient unknown", "recipient", "nobody@bar.com", "NOTFOUND "),
    ];
    for (name, question, key, right) in maps {
        let begun = Instant::now();
        let got = String::from_utf8_lossy(&daemon.lookup(question, key.as_bytes())?).into_owned();
        round.0.push((name, socketmap_verdict(&got, right), begun.elapsed()));
    }
    for (name, password, is_right) in [("socket login right", SECRET, true), ("socket login wrong", "wrong", false)] {
        let begun = Instant::now();
        let verdict = login_verdict(&daemon.login("iain", password)?, is_right);
        round.0.push((name, verdict, begun.elapsed()));
    }
    let wrong = round.verdicts("").any(|verdict| matches!(verdict, Verdict::Wrong(_)));
    if wrong { Err(format!("a wrong answer: {round:#?}").into()) } else { Ok(round) }
}

fn socketmap_verdict(got: &str, right: &str) -> Verdict {
    let temporary =
        matches!(socketmap::Reply::read(got.as_bytes()), Ok(socketmap::Reply::Temp(_) | socketmap::Reply::Timeout(_)));
    Verdict::of(&got, &right, temporary)
}

fn login_verdict(got: &Reply, is_right: bool) -> Verdict {
    match got {
        Reply::Temporary(_) => Verdict::Temporary,
        Reply::Ok(account) if is_right && account.user == b"iain" && account.uid == IAIN => Verdict::Right,
        Reply::No if !is_right => Verdict::Right,
        other => Verdict::Wrong(format!("{other:?}")),
    }
}

/// Waits until all answers are right again; how long that took.
fn back(site: &Site) -> Result<Duration, Failed> {
    let begun = Instant::now();
    loop {
        let asked_at = begun.elapsed();
        let round = ask(site)?;
        if round.temporary() == 0 {
            return Ok(asked_at);
        }
        ensure(asked_at < BACK_MAX, format!("not all is well {asked_at:?} after the trouble: {round:#?}"))?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Everybody is told "don't know" within the store's deadline, or the drop-in's.
fn all_temporary(site: &Site, daemon: &Daemon) -> Outcome {
    ask_sockets(site, daemon)?.temporary_within(Duration::from_secs(1))
}

fn six(site: &Site, user: &str, id: u32, dash: &str, ext: &str) -> Answer {
    let home = site.path("homes").join(user).display().to_string();
    let id = id.to_string();
    Answer::Fields([user, &id, &id, &home, dash, ext].map(|field| field.as_bytes().to_vec()))
}

/// What the stand-in of the stock qmail-getpw says of a local part that is nobody's.
fn alias_user(ext: &str) -> Answer {
    Answer::Fields([ALIAS, "10", "10", "/alias", "-", ext].map(|field| field.as_bytes().to_vec()))
}

fn let_in(site: &Site) -> Said {
    Said::In(format!("{IAIN} {IAIN} iain {}", site.path("homes/iain").display()))
}

fn getpw(site: &Site, local: &str, right: &Answer) -> Result<Verdict, Failed> {
    let got = site.lspawn(local)?;
    Ok(Verdict::of(&got, right, got == Answer::Deferred))
}

fn rcptcheck(site: &Site, recipient: &str, right: RcptCheck) -> Result<Verdict, Failed> {
    let got = site.rcptcheck(recipient)?;
    Ok(Verdict::of(&got, &right, got == RcptCheck::Temporary))
}

fn checkpassword(site: &Site, password: &str, right: &Said) -> Result<Verdict, Failed> {
    let got = site.checkpassword("iain", password)?;
    Ok(Verdict::of(&got, right, got == Said::Exit(111)))
}
