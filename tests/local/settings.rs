//! What the settings change about deliveries: the drop-ins read none of them, the daemon's answers carry them.

use super::post::mail;
use super::sqlite;
use super::world::{
    NO_MAILBOX, Store, alias_rows, bounced, clear, deferred, done, nothing, places, text_of, virtual_rows, write,
};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{ALIAS, Site, VIRTUAL};
use std::os::unix::fs::chown;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        sqlite("settings::homes_of_others_wait_or_go_to_the_alias_user", homes),
        sqlite("settings::unknown_virtual_mailbox_delivers_to_the_mailbox_of_that_name", unknown_virtual),
        sqlite("settings::patterns_choose_the_owner", patterns),
        sqlite("settings::a_host_of_rcpthosts_only_is_local_if_asked_for", rcpthosts_only),
        sqlite("settings::another_break_character_parts_names_but_not_owners", break_character),
        sqlite("settings::programs_and_paths_out_of_the_home_can_be_refused", refused),
    ]
}

fn shows(site: &Site, place: &str, line: &str) -> Outcome {
    let text = text_of(site, place)?;
    ensure(text.contains(line) && !text.contains("=bar.com="), format!("{place} without {line:?}: {text}"))
}

/// Every way to iain, and under which extension the alias user gets its mail: the local part, for a virtual host the
/// address.
const WAYS: [(&str, &str); 4] = [
    ("Iain-Work@mail.test", "iain-work"),
    ("Sales@bar.com", "sales@bar.com"),
    ("iain@mail.test", "iain"),
    ("Iain@bar.com", "iain@bar.com"),
];

fn homes(store: Store) -> Outcome {
    for setting in ["home_mismatch = \"defer\"", "home_missing = \"alias\"", "home_mismatch = \"alias\""] {
        let site = store.site(&format!("[rules]\n{setting}"))?;
        let _daemon = site.start()?;
        chown(site.path("homes/iain"), Some(VIRTUAL), Some(VIRTUAL))?;
        write(&site, "alias/.qmail-default", "./caught\n")?;
        for (recipient, ext) in WAYS {
            let sent = || mail(&site, "s@example.org", recipient);
            if setting != "home_mismatch = \"alias\"" {
                equal(recipient, sent()?.letter()?, 'Z')?;
                nothing(&site, setting)?;
                continue;
            }
            done(recipient, &sent()?)?;
            equal(recipient, places(&site)?, ["alias/caught"])?;
            clear(&site)?;
            alias_rows(&site, &[[ALIAS, ext, ".", "/Maildir/"]])?;
            done(recipient, &sent()?)?;
            equal(recipient, places(&site)?, ["alias/Maildir/new"])?;
            shows(&site, "alias/Maildir/new", &format!("\nDelivered-To: {recipient}\n"))?;
            clear(&site)?;
        }
        if setting == "home_mismatch = \"alias\"" {
            // The rows of the addresses are not there for whoever types them at a local host.
            std::fs::remove_file(site.path("homes/alias/.qmail-default"))?;
            for typed in ["sales@bar.com", "iain@bar.com", "Sales@Bar.com"] {
                for typed in [typed.to_owned(), format!("{ALIAS}-{typed}")] {
                    let report = mail(&site, "s@example.org", &format!("{typed}@mail.test"))?;
                    bounced(&typed, &report, NO_MAILBOX)?;
                }
            }
            nothing(&site, "typed")?;
        }
    }
    Ok(())
}

fn unknown_virtual(store: Store) -> Outcome {
    let site = store.site("[rules]\nunknown_virtual = \"mailbox\"")?;
    let _daemon = site.start()?;
    done("bob", &mail(&site, "s@example.org", "Bob@bar.com")?)?;
    equal("bob", places(&site)?, ["bob/Mailbox"])?;
    shows(&site, "bob/Mailbox", "\nDelivered-To: Bob@bar.com\n")?;
    clear(&site)?;
    // Exact names only: an extension would reach the catch-all of somebody who has no business with this host.
    for unknown in ["bob-x@bar.com", "nobody@bar.com", "=bar.com=-bob@bar.com"] {
        bounced(unknown, &mail(&site, "s@example.org", unknown)?, NO_MAILBOX)?;
    }
    nothing(&site, "unknown")
}

fn patterns(store: Store) -> Outcome {
    let site = store.site("[rules]\nvirtual_patterns = \"like\"")?;
    site.sql("DELETE FROM `virtual` WHERE virtual_host = 'virtual.com'")?;
    virtual_rows(&site, &[["virtual", "@", "%", "virtual.com"], ["iain", "work", "sal_s-%", "virtual.com"]])?;
    let _daemon = site.start()?;
    for (recipient, place) in [
        ("Sales-EU@Virtual.com", "iain/Maildir/new"),
        ("sales@Virtual.com", "virtual/Maildir/new"),
        ("x%y@Virtual.com", "virtual/Maildir/new"),
    ] {
        done(recipient, &mail(&site, "s@example.org", recipient)?)?;
        equal(recipient, places(&site)?, [place])?;
        shows(&site, place, &format!("\nDelivered-To: {recipient}\n"))?;
        clear(&site)?;
    }
    Ok(())
}

fn rcpthosts_only(store: Store) -> Outcome {
    let site = store.site("[rules]\nrcpthosts_only = \"local\"")?;
    site.sql("INSERT INTO rcpthosts (host) VALUES ('only.test')")?;
    let file = site.path("q/control/virtualdomains");
    let lines = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("{lines}only.test:=only.test=\n"))?;
    let _daemon = site.start()?;
    for (recipient, place) in [
        ("Iain-Work@Only.test", "iain/Maildir/new"),
        ("bob-smith@only.test", "bob-smith/Mailbox"),
        ("bob-x@only.test", "bob/Catchall/new"),
    ] {
        done(recipient, &mail(&site, "s@example.org", recipient)?)?;
        equal(recipient, places(&site)?, [place])?;
        shows(&site, place, &format!("\nDelivered-To: {recipient}\n"))?;
        clear(&site)?;
    }
    bounced("nobody", &mail(&site, "s@example.org", "nobody@only.test")?, NO_MAILBOX)?;
    bounced("forged", &mail(&site, "s@example.org", "=only.test=-iain@mail.test")?, NO_MAILBOX)?;
    nothing(&site, "nobody")?;
    write(&site, "alias/.qmail-nobody", "./Maildir/\n")?;
    done("nobody", &mail(&site, "s@example.org", "Nobody@only.test")?)?;
    shows(&site, "alias/Maildir/new", "\nDelivered-To: Nobody@only.test\n")
}

fn break_character(store: Store) -> Outcome {
    let site = store.site("[rules]\nbreak = \"+\"")?;
    let _daemon = site.start()?;
    alias_rows(&site, &[["iain", "list", "friend", "example.org"], ["iain", "list-owner", "boss", "example.org"]])?;
    write(&site, "iain/.qmail-file", "./file\n")?;
    done("work", &mail(&site, "s@example.org", "iain+Work@mail.test")?)?;
    equal("work", places(&site)?, ["iain/Maildir/new"])?;
    clear(&site)?;
    done("file", &mail(&site, "s@example.org", "iain+file@mail.test")?)?;
    equal("file", places(&site)?, ["iain/file"])?;
    clear(&site)?;
    done("list", &mail(&site, "s@example.org", "iain+list@mail.test")?)?;
    let senders: Vec<_> = site.queued()?.into_iter().map(|queued| queued.sender).collect();
    equal("list", senders, ["iain+list-owner@mail.test"])?;
    bounced("iain-work", &mail(&site, "s@example.org", "iain-work@mail.test")?, NO_MAILBOX)
}

fn refused(store: Store) -> Outcome {
    let site = store.site("[rules]\nalias_programs = \"deny\"\nalias_paths = \"home\"")?;
    let _daemon = site.start()?;
    let home = site.path("homes/iain").display().to_string();
    let (inside, outside) = (format!("{home}/inside"), format!("{home}/../bob/outside"));
    alias_rows(
        &site,
        &[
            ["iain", "program", "|", "touch ran"],
            ["iain", "inside", "/", inside.trim_start_matches('/')],
            ["iain", "outside", "/", outside.trim_start_matches('/')],
            ["iain", "up", ".", "/../bob/outside"],
            ["iain", "tmp", "/", "tmp/outside"],
        ],
    )?;
    for ext in ["program", "outside", "up", "tmp"] {
        // What is good among them is not done either.
        alias_rows(&site, &[["iain", ext, ".", "/Maildir/"]])?;
        deferred(ext, &mail(&site, "s@example.org", &format!("iain-{ext}@mail.test"))?, "(#4.3.0)")?;
        nothing(&site, ext)?;
    }
    done("inside", &mail(&site, "s@example.org", "iain-inside@mail.test")?)?;
    equal("inside", places(&site)?, ["iain/inside"])?;
    clear(&site)?;
    // Files are their owner's own.
    write(&site, "iain/.qmail-file", "|touch ran\n")?;
    done("file", &mail(&site, "s@example.org", "iain-file@mail.test")?)?;
    equal("file", places(&site)?, ["iain/ran"])
}
