//! The hosts go before the programs.

use super::ground::{Ground, Qmail, VIRTUALDOMAINS, texts, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::sync::block::Marked;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("hosts::rcpthosts_goes_first_then_routes_and_the_programs_last", in_order),
        trial("hosts::mail_that_is_not_routed_yet_keeps_the_routes", unrouted),
        trial("hosts::rcpthosts_stays_whatever_becomes_of_it", rcpthosts_stays),
        trial("hosts::if_nobody_was_told_the_programs_stay_and_the_next_run_tells_again", not_told),
        trial("hosts::whether_qmail_send_runs_has_to_be_right", running),
        trial("hosts::sync_adds_nothing_while_uninstall_is_under_way", under_way),
        trial("hosts::what_is_owed_is_owed_until_it_was_done", owed),
        trial("hosts::what_the_administrator_adds_meanwhile_stays", meanwhile),
        trial("hosts::with_its_services_powers_sync_keeps_owners", powers),
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
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
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
    qmail.run_below(&[], "uninstall", &["--running", "--qmail-send", &how])?.exits(0)?;
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
    qmail.run_below(&[], "uninstall", &["--running", "--qmail-send", &how])?.exits(0)?;
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
    list(&qmail, "rcpthosts", &["bar.com"])?;
    let stopped = qmail.run_below(&[], "uninstall", &["--json"])?.exits(111)?;
    let stopped = stopped.complains(&["Stop qmail-send, run `qmail-lookup uninstall --no-hup`", "--running"])?;
    let json = stopped.json()?;
    equal("result", json["result"].as_str(), Some("error"))?;
    let done = texts(&stopped, "steps")?;
    ensure(done.iter().any(|step| step.contains("HUP")), format!("{done:?}"))?;
    let warned = texts(&stopped, "warnings")?;
    for what in ["refuses the hosts of sync for good (553)", "bounce mail of mailboxes that are no system users"] {
        equal(what, warned.iter().filter(|text| text.contains(what)).count(), 1)?;
    }
    equal("rcpthosts", content(&qmail, "rcpthosts")?.as_str(), "mail.test")?;
    ensure(qmail.is_ours("qmail-getpw")? && qmail.is_ours("qmail-local")?, "given back while qmail-send runs")?;
    // The shell writes when its sleep is over.
    let hups = || std::fs::read_to_string(qmail.path("hups")).unwrap_or_default();
    for _ in 0..600 {
        if hups() == "HUP\nHUP\n" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    equal("hups", hups().as_str(), "HUP\nHUP\n")?;
    // Whoever says so has it all the same.
    let other = ground.qmail("other")?;
    other.install(&[])?.exits(0)?;
    let how = told_by(&other, 0)?;
    other.run_below(&[], "uninstall", &["--qmail-send", &how])?.exits(111)?.complains(&["Stop qmail-send"])?;
    ensure(other.is_ours("qmail-getpw")?, "told, and so it runs")?;
    other.run_below(&[], "uninstall", &["--qmail-send", &how, "--running"])?.exits(0)?;
    ensure(!other.is_ours("qmail-getpw")?, "not given back")?;
    drop(send);
    qmail.uninstall(&[])?.exits(0)?.says("bounce mail of mailboxes")?;
    ensure(!qmail.is_ours("qmail-getpw")? && !qmail.is_ours("qmail-local")?, "not given back")
}

/// The stock programs back in place by hand.
fn by_mv(qmail: &Qmail<'_>) -> Outcome {
    for name in super::ground::BOTH {
        std::fs::rename(qmail.bin(&format!("{name}.stock")), qmail.bin(name))?;
    }
    Ok(())
}

fn net(qmail: &Qmail<'_>) -> Result<usize, Failed> {
    let names = std::fs::read_dir(qmail.path("alias"))?.map(|entry| Ok(entry?.file_name()));
    let names: Vec<_> = names.collect::<Result<_, std::io::Error>>()?;
    Ok(names.iter().filter(|name| name.as_encoded_bytes().starts_with(b".qmail-=")).count())
}

fn owed(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("holds-mail")?;
    qmail.install(&[])?.exits(0)?;
    qmail.run_below(&[], "sync", &["--no-hup", "--yes"])?;
    let hosts = net(&qmail)?;
    ensure(hosts > 1, "sync makes no safety net")?;
    let held = qmail.path("queue/local/5");
    std::fs::write(&held, "T=bar.com=-x@bar.com\0")?;
    by_mv(&qmail)?;
    for _ in 0..3 {
        qmail.uninstall(&[])?.exits(111)?.complains(&["bar.com", "run uninstall again"])?;
        equal("safety net", net(&qmail)?, hosts)?;
    }
    // Nothing but the safety net, and nothing but the mail, is enough.
    std::fs::remove_dir_all(qmail.path("qmail-lookup"))?;
    qmail.uninstall(&[])?.exits(111)?.complains(&["bar.com"])?;
    equal("safety net", net(&qmail)?, hosts)?;
    std::fs::remove_file(&held)?;
    qmail.uninstall(&[])?.exits(0)?;
    equal("safety net", net(&qmail)?, 0)?;
    std::fs::write(&held, "T=bar.com=-x@bar.com\0")?;
    qmail.uninstall(&[])?.exits(111)?.complains(&["bar.com"])?;

    let qmail = ground.qmail("not-told")?;
    qmail.install(&[])?.exits(0)?;
    qmail.run_below(&[], "sync", &["--no-hup", "--yes"])?;
    by_mv(&qmail)?;
    let deaf = ["--qmail-send", "command:false"];
    for _ in 0..3 {
        qmail.run_below(&[], "uninstall", &deaf)?.exits(111)?.complains(&["not told"])?;
        equal("virtualdomains", content(&qmail, "virtualdomains")?.as_str(), VIRTUALDOMAINS)?;
        equal("safety net", net(&qmail)?, hosts)?;
    }
    let how = told_by(&qmail, 0)?;
    qmail.run_below(&[], "uninstall", &["--qmail-send", &how])?.exits(0)?;
    equal("told", std::fs::read_to_string(qmail.path("told"))?.matches("told HUP").count(), 2)?;
    equal("safety net", net(&qmail)?, 0)
}

fn meanwhile(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    list(&qmail, "virtualdomains", &[ROUTE])?;
    list(&qmail, "rcpthosts", &["bar.com"])?;
    let todo = qmail.path("queue/todo/9");
    std::fs::write(&todo, "u0\0p1\0Fs@example.org\0Tx@bar.com\0")?;
    std::thread::scope(|scope| {
        let run = scope.spawn(|| qmail.uninstall(&[]));
        // It waits for that message from then on.
        while content(&qmail, "rcpthosts")?.contains("bar.com") && !run.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let added = format!("{}new.test:bob\n", content(&qmail, "virtualdomains")?);
        std::fs::write(qmail.control("virtualdomains"), added)?;
        std::fs::remove_file(&todo)?;
        run.join().map_err(|_| "it panicked")??.exits(0).map(drop)
    })?;
    equal("virtualdomains", content(&qmail, "virtualdomains")?, format!("{VIRTUALDOMAINS}new.test:bob\n"))
}

fn powers(ground: &Ground) -> Outcome {
    let qmail = ground.qmail("qmail")?;
    qmail.install(&[])?.exits(0)?;
    let (path, mode) = (qmail.control("virtualdomains"), 0o640);
    chown(&path, Some(1000), Some(1001))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/daemontools/qmail-lookup-sync/run");
    let script = std::fs::read_to_string(script)?;
    let mut words = script.split_whitespace();
    let set = words.find(|word| word.starts_with("--bounding-set=")).ok_or("no bounding set")?;
    let few = ["setpriv", "--no-new-privs", set, "--"].map(Into::into);
    let run = qmail.run_below(&few, "sync", &["--no-hup", "--yes"])?;
    ensure(content(&qmail, "virtualdomains")?.contains(ROUTE), format!("{run:?}"))?;
    let is = std::fs::metadata(&path)?;
    equal("rights", (is.uid(), is.gid(), is.mode() & 0o7777), (1000, 1001, mode))
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
    for line in
        ["Own.test:=own.test=", "Sales@bar.com:=bar.com=", ".wild.test:=.wild.test=", "a.wild.test:=.wild.test="]
    {
        std::fs::write(qmail.control("virtualdomains"), format!("{VIRTUALDOMAINS}{line}\n"))?;
        let refused = qmail.uninstall(&["--json"])?.exits(1)?;
        let said = texts(&refused, "refused")?;
        equal("number", said.len(), 1)?;
        ensure(said[0].contains(&line.to_lowercase()), format!("{said:?}"))?;
        ensure(qmail.is_ours("qmail-getpw")?, "given back")?;
    }
    // Nobody reads those so.
    let own = "own.test:=other.test=\nx.test:=x.test\n";
    std::fs::write(qmail.control("virtualdomains"), own)?;
    qmail.uninstall(&[])?.exits(0)?;
    equal("virtualdomains", content(&qmail, "virtualdomains")?.as_str(), own)
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
