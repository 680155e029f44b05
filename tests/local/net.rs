//! `sync` writes a file per virtual host into the alias user's home, which defers what stock programs would deliver or
//! bounce. Ours never read it, whatever is typed: it would tell strangers that the site is broken, and keep their mail
//! for a week (rule V5).

use super::post::mail;
use super::world::{NO_MAILBOX, Store, alias_rows, bounced, clear, done, nothing, places, virtual_rows, write};
use super::{both, sqlite};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, equal};
use qmail_lookup_tests::site::{ALIAS, Local, Site};

pub(super) fn trials() -> Vec<Trial> {
    let mut all = vec![
        sqlite("net::is_not_read_behind_a_catch_all_for_the_alias_user", catch_all),
        sqlite("net::is_not_read_for_the_alias_user_of_users_assign", assigned),
        sqlite("net::leaves_other_names_that_begin_so_alone", others),
    ];
    all.extend(both("net::is_not_read_whatever_is_typed", typed));
    all
}

/// The files, as `sync` names them: in small letters, with colons for dots.
const FILES: [&str; 3] = [".qmail-=virtual:com=-default", ".qmail-=bar:com=-default", ".qmail-=:wild:test=-default"];

/// The net, for hosts with rows: mail for a host that has none any more waits before qmail-local is run.
fn net(site: &Site) -> Outcome {
    virtual_rows(site, &[["iain", "work", "sales", ".wild.test"]])?;
    for file in FILES {
        write(site, &format!("alias/{file}"), "|touch read; echo qmail-lookup is not in place; exit 111\n")?;
    }
    Ok(())
}

/// What stands for the hosts of [`FILES`] in extensions that would find the files.
const HOSTS: [&str; 9] = [
    "virtual.com",
    "Virtual.com",
    "virtual:com",
    "VIRTUAL:COM",
    "bar.com",
    "Bar:com",
    ".wild.test",
    ":wild:test",
    ".Wild:Test",
];

/// Local parts that name the files by themselves or by the alias user's name, in any spelling.
fn spellings() -> Vec<String> {
    let mut all = Vec::new();
    for host in HOSTS {
        for user in ["x", "", "sales", "a-b", "default", "Default", "it's=-"] {
            let local = format!("={host}=-{user}");
            all.extend([format!("{ALIAS}-{local}"), format!("{}-{local}", ALIAS.to_uppercase()), local]);
        }
    }
    all
}

fn no_mailbox(site: &Site, recipient: &str) -> Outcome {
    let report = mail(site, "s@example.org", recipient)?;
    equal(recipient, (report.code, report.text.as_str()), (Some(100), NO_MAILBOX))
}

fn typed(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    net(&site)?;
    for local in spellings() {
        no_mailbox(&site, &format!("{local}@mail.test"))?;
    }
    for unknown in ["nobody@bar.com", "=bar.com=-x@bar.com", "=virtual:com=-x@bar.com", "=virtual.com=-x@bar.com"] {
        no_mailbox(&site, unknown)?;
    }
    nothing(&site, "the net")?;
    // Its names are no names of rows of files either that come before it.
    alias_rows(&site, &[[ALIAS, "@", ".", "/caught"]])?;
    done("a row", &mail(&site, "s@example.org", "=Virtual.com=-x@mail.test")?)?;
    equal("a row", places(&site)?, ["alias/caught"])
}

fn catch_all(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    net(&site)?;
    write(&site, "alias/.qmail-own", "./own\n")?;
    site.sql("DELETE FROM `virtual` WHERE virtual_host = 'virtual.com'")?;
    virtual_rows(&site, &[[ALIAS, "@", "", "virtual.com"], [ALIAS, "=Bar.com=-x", "by-row", "bar.com"]])?;
    for local in spellings() {
        no_mailbox(&site, &format!("{local}@virtual.com"))?;
    }
    no_mailbox(&site, "by-row@bar.com")?;
    nothing(&site, "the net")?;
    done("its own", &mail(&site, "s@example.org", "Own@virtual.com")?)?;
    equal("its own", places(&site)?, ["alias/own"])
}

/// A line of users/assign gives the alias user any extension.
fn assigned(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    net(&site)?;
    let home = site.path("homes/alias").display().to_string();
    let alias = super::world::ALIAS_ID;
    for host in HOSTS {
        let ext = format!("={host}=-x");
        let words = [ALIAS, &home, "given", "-", &ext, "mail.test", "s@example.org"];
        bounced(&ext, &Local::new((alias, alias), words).run(&site)?, NO_MAILBOX)?;
    }
    nothing(&site, "the net")
}

/// Names that are not the net's are the alias user's own, even if they begin with an equals sign.
fn others(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    net(&site)?;
    for (file, local) in [(".qmail-=x", "=X"), (".qmail-=a=b", "=a=b"), (".qmail-a-default", "a-=bar.com=-x")] {
        write(&site, &format!("alias/{file}"), "./own\n")?;
        done(local, &mail(&site, "s@example.org", &format!("{local}@mail.test"))?)?;
        equal(local, places(&site)?, ["alias/own"])?;
        clear(&site)?;
    }
    Ok(())
}
