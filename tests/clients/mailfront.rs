//! mailfront's SMTP server in the place of qmail-smtpd, and its POP3 servers, over the CVM sockets.

use super::cvm::{module, site};
use super::dialogue::Dialogue;
use super::{ADDRESS, SOON, free_port, gid_of, installed, text, uid_of};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::server::process::Process;
use qmail_lookup_tests::site::{IAIN, QMAILD, Ran, SECRET, STRANGER, Site, command, run};
use std::os::unix::fs::chown;

/// The SASL texts of iain with [`SECRET`], of iain with `wrong`, and of iain with nothing.
const RIGHT: &str = "AGlhaW4Ab3BlbiBzZXNhbWU=";
const WRONG: &str = "AGlhaW4Ad3Jvbmc=";
const EMPTY: &str = "AGlhaW4A";
/// Of nobody and of suspended with [`SECRET`].
const UNKNOWN: &str = "AG5vYm9keQBvcGVuIHNlc2FtZQ==";
const SUSPENDED: &str = "AHN1c3BlbmRlZABvcGVuIHNlc2FtZQ==";

pub(crate) fn trials() -> Vec<Trial> {
    let programs = &["smtpfront-qmail", "pop3front-auth", "tcpserver", "/usr/sbin/pop3front-maildir"];
    let trial = |sentence, run| super::trial("mailfront", programs, sentence, run);
    vec![
        trial("smtp_takes_known_recipients_and_refuses_others", recipients),
        trial("smtp_logs_in_who_knows_the_password", smtp_logins),
        trial("a_store_that_is_away_is_451", store_away),
        trial("a_daemon_that_is_away_is_451", daemon_away),
        trial("who_may_not_ask_gets_451", not_allowed),
        trial("pop3_runs_the_program_as_the_user", pop3_logins),
        trial("a_user_reads_mail_over_pop3", pop3_session),
    ]
}

/// A server below tcpserver; it ends when this is dropped.
struct Served {
    process: Option<Process>,
    port: u16,
}

impl Served {
    /// Runs `program` for each connection, as this uid and gid, with these variables.
    fn start(ids: (u32, u32), variables: &[(&str, &str)], program: &[&str]) -> Result<Self, Failed> {
        let port = free_port()?;
        let mut arguments: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        arguments.push(text(&installed("tcpserver")?));
        arguments.extend(["-H", "-R", "-l", "mail.test"].map(str::to_owned));
        arguments.extend([format!("-u{}", ids.0), format!("-g{}", ids.1), ADDRESS.to_owned(), port.to_string()]);
        arguments.extend(program.iter().map(|&word| word.to_owned()));
        Ok(Self { process: Some(Process::start(&installed("env")?, &arguments)?), port })
    }

    fn smtp(site: &Site, ids: (u32, u32)) -> Result<Self, Failed> {
        site.script("q/bin/qmail-queue", "cat >\"${0%/*}/../../queued/message.$$\" && cat <&1 >/dev/null")?;
        std::fs::create_dir_all(site.path("queued"))?;
        chown(site.path("queued"), Some(ids.0), None)?;
        let home = text(&site.path("q"));
        let (lookup, auth) = (module(site, "cvm-lookup"), module(site, "cvm-auth"));
        let variables = [("QMAILHOME", &home[..]), ("CVM_LOOKUP", &lookup), ("CVM_SASL_PLAIN", &auth)];
        Self::start(ids, &variables, &[&text(&installed("smtpfront-qmail")?)])
    }

    /// A session in which somebody was greeted.
    fn greeted(&self) -> Result<Dialogue, Failed> {
        let mut smtp = Dialogue::with(self.port)?;
        expect(&mut smtp, "EHLO client.test", "250")?;
        Ok(smtp)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }
}

/// qmaild's stand-in, in the group of those who may log users in.
fn qmaild() -> Result<(u32, u32), Failed> {
    Ok((uid_of(QMAILD)?, gid_of("mail")?))
}

fn expect(session: &mut Dialogue, line: &str, reply: &str) -> Outcome {
    let got = session.say(line)?;
    ensure(got.starts_with(reply), format!("{line}\n  got:  {got}\n  want: {reply}"))
}

fn recipients() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    let served = Served::smtp(&site, qmaild()?)?;
    let mut smtp = served.greeted()?;
    expect(&mut smtp, "MAIL FROM:<sender@client.test>", "250")?;
    for (address, reply) in [
        ("sales@bar.com", "250"),
        ("SaLes@Bar.COM", "250"),
        ("anyone@virtual.com", "250"),
        ("bob-smith-list@mail.test", "250"),
        ("sysuser@mail.test", "250"),
        ("nobody@bar.com", "553 5.1.1"),
        ("sales@bar.com.", "5"),
        ("iain@example.org", "550 5.1.0"),
        ("=bar.com=-sales@example.org", "550 5.1.0"),
    ] {
        expect(&mut smtp, &format!("RCPT TO:<{address}>"), reply)?;
    }
    expect(&mut smtp, "DATA", "354")?;
    expect(&mut smtp, "Subject: test\r\n\r\nhello\r\n.", "250")?;
    expect(&mut smtp, "QUIT", "221")?;
    equal("messages queued", std::fs::read_dir(site.path("queued"))?.count(), 1)
}

fn smtp_logins() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    let served = Served::smtp(&site, qmaild()?)?;
    // A foreign recipient is taken from who is logged in.
    let after = |text: &str, reply: &str, relays: &str| {
        let mut smtp = served.greeted()?;
        expect(&mut smtp, &format!("AUTH PLAIN {text}"), reply)?;
        expect(&mut smtp, "MAIL FROM:<sender@client.test>", "250")?;
        expect(&mut smtp, "RCPT TO:<friend@example.org>", relays)
    };
    after(RIGHT, "235", "250")?;
    for refused in [WRONG, EMPTY, UNKNOWN, SUSPENDED] {
        after(refused, "501", "550")?;
    }
    let mut smtp = served.greeted()?;
    expect(&mut smtp, "AUTH LOGIN", "334")?;
    expect(&mut smtp, "aWFpbg==", "334")?;
    expect(&mut smtp, "b3BlbiBzZXNhbWU=", "235")?;
    // By this way an empty password gets as far as the daemon.
    let mut smtp = served.greeted()?;
    expect(&mut smtp, "AUTH LOGIN", "334")?;
    expect(&mut smtp, "aWFpbg==", "334")?;
    expect(&mut smtp, "", "501")
}

/// Fails unless nothing is known about recipients and logins.
fn knows_nothing(served: &Served) -> Outcome {
    let mut smtp = served.greeted()?;
    expect(&mut smtp, "MAIL FROM:<sender@client.test>", "250")?;
    for address in ["sales@bar.com", "nobody@bar.com", "nobody@mail.test"] {
        expect(&mut smtp, &format!("RCPT TO:<{address}>"), "451")?;
    }
    for text in [RIGHT, WRONG, UNKNOWN] {
        expect(&mut smtp, &format!("AUTH PLAIN {text}"), "451")?;
    }
    Ok(())
}

fn store_away() -> Outcome {
    let site = site(SOON)?;
    let _daemon = site.start()?;
    let served = Served::smtp(&site, qmaild()?)?;
    site.store(false)?;
    knows_nothing(&served)?;
    let pop3 = pop3front(&site, "iain", SECRET)?;
    ensure(pop3.out.contains("-ERR") && !pop3.out.contains("in 2"), format!("{pop3:?}"))?;
    site.store(true)?;
    let mut smtp = served.greeted()?;
    expect(&mut smtp, &format!("AUTH PLAIN {RIGHT}"), "235")
}

fn daemon_away() -> Outcome {
    let site = site("")?;
    let daemon = site.start()?;
    let served = Served::smtp(&site, qmaild()?)?;
    daemon.kill();
    knows_nothing(&served)?;
    let pop3 = pop3front(&site, "iain", SECRET)?;
    ensure(pop3.out.contains("-ERR") && !pop3.out.contains("in 2"), format!("{pop3:?}"))
}

fn not_allowed() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    knows_nothing(&Served::smtp(&site, (STRANGER, STRANGER))?)
}

/// pop3front-auth with a program that says who it is.
fn pop3front(site: &Site, login: &str, password: &str) -> Result<Ran, Failed> {
    site.script("who", "echo in $(id -u) $(id -g) $(id -G) $(pwd) $USER $HOME")?;
    let mut command = command(installed("pop3front-auth")?, (0, 0));
    command.arg(module(site, "cvm-auth")).arg(site.path("who")).env("TCPLOCALHOST", "mail.test").env("PROTO", "TCP");
    run(&mut command, format!("USER {login}\r\nPASS {password}\r\n").as_bytes())
}

fn pop3_logins() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    let home = text(&site.path("homes/iain"));
    let ran = pop3front(&site, "iain", SECRET)?;
    let who = format!("in 20001 20001 20001 {home} iain {home}");
    ensure(ran.out.lines().any(|line| line == who), format!("{who}: {ran:?}"))?;
    for (login, password) in [("iain", "wrong"), ("iain", ""), ("nobody", SECRET), ("suspended", SECRET)] {
        let ran = pop3front(&site, login, password)?;
        ensure(ran.out.contains("-ERR") && !ran.out.contains("in 2"), format!("{login}: {ran:?}"))?;
    }
    Ok(())
}

fn pop3_session() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    for name in ["Maildir", "Maildir/new", "Maildir/cur", "Maildir/tmp"] {
        let folder = site.path("homes/iain").join(name);
        std::fs::create_dir(&folder)?;
        chown(&folder, Some(IAIN), Some(IAIN))?;
    }
    let message = site.path("homes/iain/Maildir/new/1.message");
    std::fs::write(&message, "Subject: test\n\nfor iain's eyes\n")?;
    chown(&message, Some(IAIN), Some(IAIN))?;
    let (front, back) = (text(&installed("pop3front-auth")?), text(&installed("pop3front-maildir")?));
    let served = Served::start((0, 0), &[], &[&front, &module(&site, "cvm-auth"), &back, "Maildir"])?;
    let mut pop3 = Dialogue::with(served.port)?;
    expect(&mut pop3, "USER iain", "+OK")?;
    expect(&mut pop3, "PASS wrong", "-ERR")?;
    expect(&mut pop3, "USER iain", "+OK")?;
    expect(&mut pop3, &format!("PASS {SECRET}"), "+OK")?;
    expect(&mut pop3, "STAT", "+OK 1 ")?;
    expect(&mut pop3, "RETR 1", "+OK")?;
    let lines = pop3.listing()?;
    ensure(lines.iter().any(|line| line == "for iain's eyes"), format!("{lines:?}"))
}
