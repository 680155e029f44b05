//! The hosts go before the programs.

use super::ground::{Ground, Qmail, VIRTUALDOMAINS, texts, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::sync::block::Marked;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::process::{Child, Command};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("hosts::rcpthosts_goes_first_then_routes_and_the_programs_last", in_order),
        trial("hosts::mail_that_is_not_routed_yet_keeps_the_routes", unrouted),
        trial("hosts::rcpthosts_stays_whatever_becomes_of_it", rcpthosts_stays),
        trial("hosts::if_nobody_was_told_the_programs_stay_and_the_next_run_tells_again", not_told),
        trial("hosts::whether_qmail_send_runs_has_to_be_right", running),
        trial("hosts::sync_adds_nothing_while_uninstall_is_under_way", under_way),
        trial("hosts::encoded_lines_of_the_administrator_are_refused", by_hand),
        trial("hosts::a_damaged_block_is_left_alone", damaged),
    ]
}

const ROUTE: &str = "bar.com:=bar.com=";

/// Gives a control file a block of ours.
fn list(qmail: &Qmail<'_>, name: &str, lines: &[&str]) -> Outcome {
    let path = qmail.control(name);
    let content = path.exists().then(|| std::fs::read(&path)).transpose()?;
    let marked = Marked::read(content.as_deref()).map_err(|damage| damage.to_string())?;
    Ok(std::fs::write(path, marked.write(lines).ok_or("no lines")?)?)
}

fn content(qmail: &Qmail<'_>, name: &str) -> Result<String, Failed> {
    Ok(std::fs::read_to_string(qmail.control(name))?)
}

/// How qmail-send is told: by a program that writes down what it was told, and what it would have read.
fn told_by(qmail: &Qmail<'_>, exit: i32) -> Result<String, Failed> {
    let home = qmail.home.display();
    let path = qmail.path("tell");
    let text = format!(
        "#!/bin/sh\ncd {home} || exit 1\n{{ echo told $1; cat control/rcpthosts control/virtualdomains; \
         grep -c 'qmail-lookup drop-in' bin/qmail-getpw bin/qmail-local; }} >>told\nexit {exit}\n"
    );
    std::fs::write(&path, text)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(format!("command:{}", path.display()))
}

fn in_order(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    list(&qmail, "virtualdomains", &[ROUTE])?;
    list(&qmail, "rcpthosts", &["bar.com"])?;
    list(&qmail, "morercpthosts", &["more.test"])?;
    std::fs::write(qmail.control("morercpthosts.cdb"), "whatever")?;
    let how = told_by(&qmail, 0)?;
    qmail.run_below(&[], "uninstall", &["--qmail-send", &how])?.exits(0)?;
    let once = format!("told HUP\nmail.test{VIRTUALDOMAINS}bin/qmail-getpw:1\nbin/qmail-local:1\n");
    equal("told", std::fs::read_to_string(qmail.path("told"))?, format!("{once}{once}"))?;
    equal("virtualdomains", content(&qmail, "virtualdomains")?.as_str(), VIRTUALDOMAINS)?;
    equal("rcpthosts", content(&qmail, "rcpthosts")?.as_str(), "mail.test")?;
    for name in ["morercpthosts", "morercpthosts.cdb"] {
        ensure(!qmail.control(name).exists(), format!("{name} was not there before"))?;
    }
    ensure(!qmail.is_ours("qmail-getpw")?, "not given back")
}

fn unrouted(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    list(&qmail, "virtualdomains", &[ROUTE, ".wild.test:=.wild.test="])?;
    list(&qmail, "rcpthosts", &["bar.com"])?;
    std::fs::write(qmail.control("morercpthosts"), "own.test\n")?;
    list(&qmail, "morercpthosts", &["more.test"])?;
    let todo = qmail.path("queue/todo/9");
    std::fs::write(&todo, "u0\0p1\0Fs@example.org\0Tx@elsewhere.test\0Tx@deep.wild.test\0")?;
    qmail.uninstall(&[])?.exits(111)?.complains(&[".wild.test", "not routed yet"])?;
    equal("rcpthosts", content(&qmail, "rcpthosts")?.as_str(), "mail.test")?;
    equal("morercpthosts", content(&qmail, "morercpthosts")?.as_str(), "own.test\n")?;
    ensure(content(&qmail, "virtualdomains")?.contains(ROUTE), "a route went")?;
    ensure(qmail.is_ours("qmail-getpw")?, "given back")?;
    let database = cdb2::CDB::open(qmail.control("morercpthosts.cdb"))?;
    let keys: Vec<_> = database.iter().map(|record| Ok(record?.0)).collect::<Result<_, std::io::Error>>()?;
    equal("morercpthosts.cdb", keys, [b"own.test".to_vec()])?;
    // Of another host it does not matter.
    std::fs::write(&todo, "u0\0p1\0Fs@example.org\0Tx@elsewhere.test\0")?;
    qmail.uninstall(&[])?.exits(0)?;
    equal("virtualdomains", content(&qmail, "virtualdomains")?.as_str(), VIRTUALDOMAINS)?;
    ensure(!qmail.is_ours("qmail-getpw")?, "not given back")
}

fn rcpthosts_stays(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    std::fs::remove_file(qmail.control("rcpthosts"))?;
    std::fs::remove_file(qmail.control("virtualdomains"))?;
    qmail.install(&[])?.exits(0)?;
    list(&qmail, "rcpthosts", &["bar.com"])?;
    list(&qmail, "virtualdomains", &[ROUTE])?;
    qmail.uninstall(&[])?.exits(0)?.says("relay for everybody")?;
    equal("rcpthosts", content(&qmail, "rcpthosts")?.as_str(), "")?;
    ensure(!qmail.control("virtualdomains").exists(), "virtualdomains was not there before")
}

fn not_told(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    list(&qmail, "virtualdomains", &[ROUTE])?;
    let how = told_by(&qmail, 1)?;
    qmail.run_below(&[], "uninstall", &["--qmail-send", &how])?.exits(111)?;
    equal("virtualdomains", content(&qmail, "virtualdomains")?.as_str(), VIRTUALDOMAINS)?;
    ensure(qmail.is_ours("qmail-getpw")? && qmail.is_ours("qmail-local")?, "given back")?;
    // qmail-send may still route as before.
    std::fs::remove_file(qmail.path("told"))?;
    let how = told_by(&qmail, 0)?;
    qmail.run_below(&[], "uninstall", &["--qmail-send", &how])?.exits(0)?;
    equal("told", std::fs::read_to_string(qmail.path("told"))?.matches("told HUP").count(), 2)?;
    ensure(!qmail.is_ours("qmail-getpw")?, "not given back")
}

/// A process that is called qmail-send and works where qmail-send does.
struct QmailSend(Child);

impl Drop for QmailSend {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn running(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    let refused = qmail.run_below(&[], "uninstall", &["--json"])?.exits(1)?;
    equal("refused", texts(&refused, "refused")?, ["qmail-send is not running"])?;
    qmail.script("qmail-send", "trap 'echo HUP >>../hups' HUP; : >../ready; while :; do sleep 0.1; done")?;
    let send = QmailSend(Command::new(qmail.bin("qmail-send")).current_dir(qmail.path("queue")).spawn()?);
    while !qmail.path("ready").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let refused = qmail.uninstall(&["--json"])?.exits(1)?;
    equal("refused", texts(&refused, "refused")?, [format!("qmail-send is running (process {})", send.0.id())])?;
    ensure(qmail.is_ours("qmail-getpw")?, "given back")?;
    qmail.run_below(&[], "uninstall", &[])?.exits(0)?;
    // The shell writes when its sleep is over.
    let hups = || std::fs::read_to_string(qmail.path("hups")).unwrap_or_default();
    for _ in 0..600 {
        if hups() == "HUP\nHUP\n" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    equal("hups", hups().as_str(), "HUP\nHUP\n")
}

fn under_way(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    let sync = || qmail.run_below(&[], "sync", &["--no-hup", "--yes"]);
    sync()?;
    ensure(content(&qmail, "virtualdomains")?.contains(ROUTE), "sync adds nothing at all")?;
    std::fs::write(qmail.path("queue/local/7"), "T=bar.com=-sales@bar.com\0")?;
    qmail.uninstall(&[])?.exits(111)?.complains(&["bar.com"])?;
    sync()?.exits(1)?.says("uninstall has begun")?;
    equal("virtualdomains", content(&qmail, "virtualdomains")?.as_str(), VIRTUALDOMAINS)?;
    equal("rcpthosts", content(&qmail, "rcpthosts")?.as_str(), "mail.test")?;
    qmail.install(&[])?.exits(0)?;
    sync()?;
    ensure(content(&qmail, "virtualdomains")?.contains(ROUTE), "install does not end it")
}

fn by_hand(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    std::fs::write(qmail.control("virtualdomains"), format!("{VIRTUALDOMAINS}Own.test:=own.test=\n"))?;
    let refused = qmail.uninstall(&["--json"])?.exits(1)?;
    let said = texts(&refused, "refused")?;
    equal("number", said.len(), 1)?;
    ensure(said[0].contains("own.test:=own.test="), format!("{said:?}"))?;
    ensure(qmail.is_ours("qmail-getpw")?, "given back")
}

fn damaged(ground: &Ground) -> Outcome {
    for name in ["virtualdomains", "rcpthosts", "morercpthosts"] {
        let qmail = ground.qmail(name)?;
        qmail.install(&[])?.exits(0)?;
        list(&qmail, name, &["bar.com:=bar.com="])?;
        let text = content(&qmail, name)?;
        std::fs::write(qmail.control(name), text.trim_end().rsplit_once('\n').ok_or("one line")?.0)?;
        let before = qmail.snapshot()?;
        qmail.uninstall(&[])?.exits(111)?.complains(&[name, "the block has no end"])?;
        super::ground::same(name, &qmail.snapshot()?, &before)?;
    }
    Ok(())
}
