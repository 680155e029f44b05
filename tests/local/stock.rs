//! The stock qmail-getpw in the place of ours, as a package's upgrade leaves it: it knows no rows, so whom it names is
//! not asked for the mail of others. That mail waits until ours is back.

use super::post::mail;
use super::sqlite;
use super::world::{
    NO_MAILBOX, Store, alias_rows, bounced, clear, deferred, done, id_of, make_maildir, nothing, places, write,
};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{ALIAS, QMAILD, Site};
use std::os::unix::fs::chown;
use std::time::Duration;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        sqlite("stock::mail_of_mailboxes_and_of_virtual_hosts_waits_until_ours_is_back", waits),
        sqlite("stock::mail_of_system_users_and_of_the_alias_user_goes_on", goes_on),
    ]
}

/// What the log says of mail that waits.
const OTHERS: &str = "mail of others is delivered as this user";

/// Makes the stock program know the system users `bob` and `news` too, as the stock program finds them: by the longest
/// prefix of the local part.
fn system_users(site: &Site) -> Outcome {
    let user = nix::unistd::User::from_name(QMAILD)?.ok_or("no such user")?;
    let (news, homes) = (user.uid.as_raw(), site.path("homes").display().to_string());
    let (alias, bob) = (id_of("alias"), id_of("bob"));
    let home = site.path("homes").join(QMAILD);
    std::fs::create_dir(&home)?;
    chown(&home, Some(news), Some(user.gid.as_raw()))?;
    let found = |name: &str, id: u32| {
        format!(
            "{name}) printf '%s\\000%s\\000%s\\000{homes}/{name}\\000\\000\\000' {name} {id} {id} ;;\n\
             {name}-*) printf '%s\\000%s\\000%s\\000{homes}/{name}\\000-\\000%s\\000' {name} {id} {id} \"${{1#*-}}\" ;;\n"
        )
    };
    site.script(
        "q/bin/qmail-getpw.stock",
        &format!(
            "case $1 in\n{}{}{ALIAS}-*) set -- \"${{1#{ALIAS}-}}\" ;;\nesac\n\
             case $1 in bob|bob-*|{QMAILD}|{QMAILD}-*) exit 0 ;; esac\n\
             printf '%s\\000{alias}\\000{alias}\\000/alias\\000-\\000%s\\000' {ALIAS} \"$1\"",
            found("bob", bob),
            found(QMAILD, news),
        ),
    )
}

/// Puts the stock program in our program's place.
fn stock(site: &Site) -> Outcome {
    std::fs::rename(site.path("q/bin/qmail-getpw"), site.path("q/bin/qmail-getpw.ours"))?;
    std::fs::copy(site.path("q/bin/qmail-getpw.stock"), site.path("q/bin/qmail-getpw.new"))?;
    Ok(std::fs::rename(site.path("q/bin/qmail-getpw.new"), site.path("q/bin/qmail-getpw"))?)
}

/// And ours back.
fn ours(site: &Site) -> Outcome {
    Ok(std::fs::rename(site.path("q/bin/qmail-getpw.ours"), site.path("q/bin/qmail-getpw"))?)
}

/// Files and rows that would catch the mail of others.
fn nets(site: &Site) -> Outcome {
    let files =
        [".qmail", ".qmail-default", ".qmail-smith", ".qmail-smith-x", ".qmail-list", ".qmail-=bar:com=-default"];
    for file in files {
        for home in ["alias", "bob", QMAILD] {
            write(site, &format!("{home}/{file}"), "./wrong\n&evil@example.org\n")?;
        }
    }
    for (user, alias) in
        [(ALIAS, "@"), (ALIAS, "iain"), (ALIAS, "=bar.com=-sales"), (QMAILD, "@"), (QMAILD, "list"), ("bob", "smith")]
    {
        alias_rows(site, &[[user, alias, "evil", "example.org"]])?;
    }
    Ok(())
}

/// Recipients with rows, and where their mail belongs. The stock program gives each to somebody else, or under another
/// extension.
const KNOWN: [(&str, &str); 12] = [
    ("iain@mail.test", "iain/Mailbox"),
    ("Iain-Work@mail.test", "iain/Maildir/new"),
    ("virtual@mail.test", "virtual/Mailbox"),
    ("virtual-x@mail.test", "virtual/Maildir/new"),
    ("suspended@mail.test", "suspended/Mailbox"),
    ("bob-smith@mail.test", "bob-smith/Mailbox"),
    ("BOB-Smith-x@mail.test", "bob-smith/x"),
    ("news-list@mail.test", "bob-smith/Mailbox"),
    ("sales@bar.com", "iain/Maildir/new"),
    ("IAIN@Bar.com", "iain/Mailbox"),
    ("any.one@virtual.com", "virtual/Maildir/new"),
    ("info@bar.com", "alias/info"),
];

fn waits(store: Store) -> Outcome {
    let site = store.site("")?;
    let daemon = site.start()?;
    system_users(&site)?;
    nets(&site)?;
    let home = site.path("homes/bob-smith").display().to_string();
    site.sql(&format!(
        "INSERT INTO mailbox (username, uid, gid, home, password, password_type, suspended)
         VALUES ('news-list', '20003', '20003', '{home}', 'x', 'Password', 'N')"
    ))?;
    write(&site, "bob-smith/.qmail-x", "./x\n")?;
    alias_rows(&site, &[[ALIAS, "info@bar.com", ".", "/info"]])?;
    stock(&site)?;
    for (recipient, _) in KNOWN {
        let report = mail(&site, "s@example.org", recipient)?;
        deferred(recipient, &report, "Unable to look up how mail is delivered")?;
        deferred(recipient, &report, "(#4.3.0)\n")?;
        nothing(&site, recipient)?;
    }
    // Of one user the log tells one thing a second.
    std::thread::sleep(Duration::from_millis(1100));
    deferred("sales", &mail(&site, "s@example.org", "sales@bar.com")?, "(#4.3.0)\n")?;
    let log = daemon.log();
    for rule in ["G2", "V4"] {
        let said = log.lines().any(|line| line.contains(OTHERS) && line.contains(rule));
        ensure(said, format!("the log does not say so by rule {rule}: {log}"))?;
    }
    // Who is unknown is as unknown as before.
    bounced("nobody", &mail(&site, "s@example.org", "nobody@bar.com")?, NO_MAILBOX)?;
    nothing(&site, "nobody")?;
    ours(&site)?;
    for (recipient, place) in KNOWN {
        done(recipient, &mail(&site, "s@example.org", recipient)?)?;
        equal(recipient, (places(&site)?, site.queued()?), (vec![place.to_owned()], vec![]))?;
        clear(&site)?;
    }
    Ok(())
}

/// Whom no row names is routed by the stock program all the time.
fn goes_on(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    system_users(&site)?;
    make_maildir(&site, "alias/Mail")?;
    write(&site, "alias/.qmail-info", "./Mail/\n")?;
    write(&site, &format!("{QMAILD}/.qmail-x"), "./x\n")?;
    alias_rows(&site, &[[ALIAS, "lists", ".", "/lists"], [QMAILD, "rows", ".", "/rows"]])?;
    stock(&site)?;
    for (local, place) in [
        ("info", "alias/Mail/new".to_owned()),
        ("LISTS", "alias/lists".to_owned()),
        (&format!("{ALIAS}-info"), "alias/Mail/new".to_owned()),
        (QMAILD, format!("{QMAILD}/Mailbox")),
        ("news-x", format!("{QMAILD}/x")),
        ("news-rows", format!("{QMAILD}/rows")),
        // The stock program finds what our program finds: a system user of the mailbox's name and home.
        ("bob", "bob/Mailbox".to_owned()),
        ("bob-x", "bob/Catchall/new".to_owned()),
    ] {
        done(local, &mail(&site, "s@example.org", &format!("{local}@mail.test"))?)?;
        equal(local, places(&site)?, [place])?;
        clear(&site)?;
    }
    bounced("nobody", &mail(&site, "s@example.org", "nobody@mail.test")?, NO_MAILBOX)
}
