//! CVM's own clients at both CVM sockets.

use super::{SOON, gid_of, holds_no, installed, text};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{Ran, SECRET, STRANGER, Site, command, run};
use std::path::Path;

/// Where the daemon answers CVM clients, and the group of those who may log users in.
pub(crate) const SOCKETS: &str =
    "[daemon]\ncvm_lookup_socket = \"{RUN}/cvm-lookup\"\ncvm_auth_socket = \"{RUN}/cvm-auth\"\nauth_group = \"mail\"\n";

/// Codes of responses, which the clients exit with. Source: the protocol's documentation.
const OK: Option<i32> = Some(0);
const TEMPORARY: Option<i32> = Some(1);
const BAD_REQUEST: Option<i32> = Some(2);
const NO: Option<i32> = Some(100);

pub(crate) fn trials() -> Vec<Trial> {
    let programs = &["cvm-testclient", "cvm-checkpassword", "cvm-benchclient"];
    let trial = |sentence, run| super::trial("cvm", programs, sentence, run);
    vec![
        trial("testclient_finds_recipients_or_not_or_elsewhere", recipients),
        trial("testclient_logs_in_who_knows_the_password", logins),
        trial("addresses_log_in_where_the_settings_say_so", addresses),
        trial("an_empty_password_is_refused_in_every_client", empty_passwords),
        trial("the_lookup_socket_refuses_passwords", lookup_socket),
        trial("checkpassword_runs_the_program_as_the_user", checkpassword),
        trial("benchclient_repeats_both_questions", benchclient),
        trial("a_store_that_is_away_is_temporary_in_every_client", store_away),
        trial("who_may_not_ask_is_told_nothing", not_allowed),
    ]
}

/// A site with CVM sockets.
pub(crate) fn site(more: &str) -> Result<Site, Failed> {
    let mut site = Site::sqlite(&format!("{more}{SOCKETS}"))?;
    site.groups = vec![gid_of("mail")?];
    Ok(site)
}

/// What the clients call one of the sockets: `cvm-lookup`, `cvm-auth`.
pub(crate) fn module(site: &Site, socket: &str) -> String {
    format!("cvm-local:{}", text(&site.socket(socket)))
}

fn client(program: &str, ids: (u32, u32), arguments: &[&str]) -> Result<Ran, Failed> {
    // As mailfront's own lookups have it: a lookup carries a secret, and here an empty one.
    run(command(installed(program)?, ids).args(arguments).env("CVM_LOOKUP_SECRET", ""), b"")
}

fn testclient(site: &Site, socket: &str, arguments: &[&str]) -> Result<Ran, Failed> {
    client("cvm-testclient", (0, 0), &[&[&module(site, socket)[..]], arguments].concat())
}

/// cvm-checkpassword as its callers run it, with a program that says who it is.
fn cvm_checkpassword(site: &Site, socket: &str, login: &str, password: &str) -> Result<Ran, Failed> {
    let offered = site.path("offered");
    std::fs::write(&offered, format!("{login}\0{password}\0timestamp\0"))?;
    let mut command = command("/bin/bash", (0, 0));
    command.args(["-c", "exec 3<\"$0\" \"$@\""]).arg(&offered).arg(installed("cvm-checkpassword")?);
    command.arg(module(site, socket)).args(["/bin/sh", "-c", "echo in $(id -u) $(id -g) $(id -G) $(pwd) $USER $HOME"]);
    let ran = run(&mut command, b"")?;
    ensure((ran.code == OK) == ran.out.starts_with("in "), format!("{ran:?}"))?;
    Ok(ran)
}

fn fact(ran: &Ran, name: &str, want: &str) -> Outcome {
    let found = ran.out.lines().filter_map(|line| line.split_once(':')).find(|(known, _)| *known == name);
    equal(name, found.map(|(_, value)| value.trim()), Some(want))
}

fn facts(site: &Site, ran: &Ran, user: &str, id: &str) -> Outcome {
    equal(&format!("{ran:?}"), ran.code, OK)?;
    fact(ran, "user name", user)?;
    fact(ran, "user ID", id)?;
    fact(ran, "group ID", id)?;
    fact(ran, "directory", &text(&site.path("homes").join(user)))
}

fn recipients() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    let look = |account, domain| testclient(&site, "cvm-lookup", &[account, domain]);
    for (account, domain) in [
        ("sales", "bar.com"),
        ("SALES", "Bar.COM"),
        ("anyone", "virtual.com"),
        ("bob-smith-x", "mail.test"),
        ("suspended", "mail.test"),
        ("sysuser", "mail.test"),
    ] {
        // Nobody's, so that nothing can be done with it.
        let found = look(account, domain)?;
        equal(&format!("{found:?}"), found.code, OK)?;
        fact(&found, "user name", account)?;
        fact(&found, "user ID", "65534")?;
        fact(&found, "directory", "/")?;
    }
    for (account, domain, elsewhere) in [("nobody", "bar.com", "0"), ("iain", "example.org", "1")] {
        let ran = look(account, domain)?;
        equal(&format!("{account}@{domain}: {ran:?}"), ran.code, NO)?;
        fact(&ran, "out of scope", elsewhere)?;
    }
    Ok(())
}

fn logins() -> Outcome {
    let site = site("")?;
    let daemon = site.start()?;
    let login = |account, domain, password| testclient(&site, "cvm-auth", &[account, domain, password]);
    for (account, domain) in [("iain", "mail.test"), ("iain", ""), ("IAIN", "anything.test")] {
        facts(&site, &login(account, domain, SECRET)?, "iain", "20001")?;
    }
    for (account, password) in
        [("iain", "wrong"), ("iain", "open sesame "), ("nobody", SECRET), ("suspended", SECRET), ("iain-work", SECRET)]
    {
        let ran = login(account, "mail.test", password)?;
        equal(&format!("{account} {ran:?}"), ran.code, NO)?;
        fact(&ran, "out of scope", "0")?;
    }
    equal("a row that is no user's", login("broken", "", SECRET)?.code, TEMPORARY)?;
    holds_no("the daemon's log", &daemon.log(), SECRET)
}

fn addresses() -> Outcome {
    for (by, logins) in [("address", ["iain", "bar.com"]), ("both", ["iain", "bar.com"]), ("both", ["iain", "x.test"])]
    {
        let site = site(&format!("[auth]\nlogin = \"{by}\"\n"))?;
        let _daemon = site.start()?;
        let login = |[account, domain]: [&str; 2]| testclient(&site, "cvm-auth", &[account, domain, SECRET]);
        facts(&site, &login(logins)?, "iain", "20001")?;
        equal("an address with an extension", login(["sales", "bar.com"])?.code, NO)?;
        equal("an address of a catch-all", login(["anyone", "virtual.com"])?.code, NO)?;
    }
    let site = site("[auth]\nlogin = \"address\"\n")?;
    let _daemon = site.start()?;
    equal("a name", testclient(&site, "cvm-auth", &["iain", "mail.test", SECRET])?.code, NO)
}

fn empty_passwords() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    site.sql("UPDATE mailbox SET password = '' WHERE username = 'bob'")?;
    let auth = module(&site, "cvm-auth");
    equal("a password", testclient(&site, "cvm-auth", &["iain", "", SECRET])?.code, OK)?;
    for user in ["iain", "bob"] {
        // With and without a field for it.
        equal("testclient", testclient(&site, "cvm-auth", &[user, "", ""])?.code, NO)?;
        equal("testclient without one", testclient(&site, "cvm-auth", &[user, "mail.test"])?.code, NO)?;
        equal("benchclient", client("cvm-benchclient", (0, 0), &["1", &auth, user, "", ""])?.code, NO)?;
        equal("benchclient without one", client("cvm-benchclient", (0, 0), &["1", &auth, user, ""])?.code, NO)?;
        equal("checkpassword", cvm_checkpassword(&site, "cvm-auth", user, "")?.code, NO)?;
    }
    Ok(())
}

fn lookup_socket() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    for (account, domain, password) in [("iain", "mail.test", SECRET), ("sales", "bar.com", "wrong"), ("iain", "", "x")]
    {
        let ran = testclient(&site, "cvm-lookup", &[account, domain, password])?;
        equal(&format!("{account}@{domain}: {ran:?}"), ran.code, BAD_REQUEST)?;
        holds_no("an answer", &ran.out, "user ID")?;
    }
    for login in ["iain", "iain@mail.test", "sales@bar.com"] {
        equal(login, cvm_checkpassword(&site, "cvm-lookup", login, SECRET)?.code, BAD_REQUEST)?;
        // It leaves an empty password out, so that the request looks like a lookup but for the secret.
        equal(login, cvm_checkpassword(&site, "cvm-lookup", login, "")?.code, BAD_REQUEST)?;
    }
    Ok(())
}

fn checkpassword() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    let home = text(&site.path("homes/iain"));
    for login in ["iain", "iain@mail.test"] {
        let ran = cvm_checkpassword(&site, "cvm-auth", login, SECRET)?;
        equal(login, ran.out.trim(), format!("in 20001 20001 20001 {home} iain {home}"))?;
    }
    for (login, password) in [("iain", "wrong"), ("nobody", SECRET), ("suspended", SECRET)] {
        equal(login, cvm_checkpassword(&site, "cvm-auth", login, password)?.code, NO)?;
    }
    Ok(())
}

fn benchclient() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    let (lookup, auth) = (module(&site, "cvm-lookup"), module(&site, "cvm-auth"));
    let bench = |arguments: &[&str]| client("cvm-benchclient", (0, 0), arguments);
    equal("lookups", bench(&["200", &lookup, "sales", "bar.com"])?.code, OK)?;
    equal("logins", bench(&["200", &auth, "iain", "mail.test", SECRET])?.code, OK)?;
    equal("unknown", bench(&["1", &lookup, "nobody", "bar.com"])?.code, NO)?;
    equal("wrong", bench(&["1", &auth, "iain", "mail.test", "wrong"])?.code, NO)
}

fn store_away() -> Outcome {
    let site = site(SOON)?;
    let _daemon = site.start()?;
    site.store(false)?;
    let (lookup, auth) = (module(&site, "cvm-lookup"), module(&site, "cvm-auth"));
    for account in ["sales", "nobody"] {
        equal("lookup", testclient(&site, "cvm-lookup", &[account, "bar.com"])?.code, TEMPORARY)?;
        equal("lookups", client("cvm-benchclient", (0, 0), &["1", &lookup, account, "bar.com"])?.code, TEMPORARY)?;
    }
    for (account, password) in [("iain", SECRET), ("iain", "wrong"), ("nobody", SECRET), ("suspended", SECRET)] {
        equal("login", testclient(&site, "cvm-auth", &[account, "", password])?.code, TEMPORARY)?;
        equal("logins", client("cvm-benchclient", (0, 0), &["1", &auth, account, "", password])?.code, TEMPORARY)?;
        equal("checkpassword", cvm_checkpassword(&site, "cvm-auth", account, password)?.code, TEMPORARY)?;
    }
    site.store(true)?;
    equal("login", testclient(&site, "cvm-auth", &["iain", "", SECRET])?.code, OK)
}

fn not_allowed() -> Outcome {
    let site = site("")?;
    let _daemon = site.start()?;
    let (lookup, auth) = (module(&site, "cvm-lookup"), module(&site, "cvm-auth"));
    let told = |ran: &Ran| ran.out.contains("user ID") || ran.code == OK || ran.code == NO;
    for account in ["sales", "nobody"] {
        let ran = client("cvm-testclient", (STRANGER, STRANGER), &[&lookup, account, "bar.com"])?;
        ensure(!told(&ran), format!("{ran:?}"))?;
    }
    let ran = client("cvm-testclient", (STRANGER, STRANGER), &[&auth, "iain", "", SECRET])?;
    ensure(!told(&ran), format!("{ran:?}"))?;
    ensure(Path::new(&site.socket("cvm-auth")).exists(), "no socket")?;
    // The group is what counts.
    let ran = client("cvm-testclient", (STRANGER, gid_of("mail")?), &[&auth, "iain", "", SECRET])?;
    equal(&format!("{ran:?}"), ran.code, OK)
}
