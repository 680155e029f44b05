//! Users and extensions that are not what qmail-getpw says: qmail-lspawn has them from users/cdb. They are honoured where
//! no qmail-getpw could have made them, and nobody is given the mail of others by them.

use super::post::mail;
use super::sqlite;
use super::world::{
    ALIAS_ID, NO_MAILBOX, Store, alias_rows, bounced, clear, deferred, done, id_of, nothing, places, text_of, variable,
    write,
};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{ALIAS, BOB, Local, Report, STRANGER, Site};
use std::os::unix::fs::chown;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        sqlite("assigned::users_and_extensions_are_honoured", honoured),
        sqlite("assigned::what_contradicts_a_row_waits_and_the_log_says_so", contradicts),
        sqlite("assigned::users_of_no_table_have_files_only", files_only),
    ]
}

/// A system user who stands for vpopmail's.
const VPOPMAIL: &str = "lp";

/// A delivery as a line of users/assign makes it.
fn given(site: &Site, recipient: &str, user: &str, ext: Option<&str>) -> Result<Report, Failed> {
    let (local, domain) = recipient.rsplit_once('@').ok_or("no address")?;
    let (folder, id) = if user == ALIAS { ("alias", ALIAS_ID) } else { (user, id_of(user)) };
    let home = site.path("homes").join(folder).display().to_string();
    let dash = if ext.is_some() { "-" } else { "" };
    let words = [user, &home, local, dash, ext.unwrap_or_default(), domain, "s@example.org"];
    Local::new((id, id), words).run(site)
}

fn honoured(store: Store) -> Outcome {
    let site = store.site("")?;
    let daemon = site.start()?;
    site.sql("DELETE FROM alias WHERE username = 'bob'")?;
    alias_rows(&site, &[["bob", "exact", "|", "env -0 >env"], ["bob", "@", "|", "env -0 >env"]])?;
    alias_rows(&site, &[["bob", "a@b.test", ".", "/address"], [ALIAS, "other", ".", "/other"]])?;
    write(&site, "iain/.qmail-team", "./team\n")?;
    write(&site, "alias/.qmail-given", "./given\n")?;
    for (recipient, user, ext, place) in [
        // `=sales-team:iain:...:-:work:`
        ("sales-team@mail.test", "iain", Some("work"), "iain/Maildir/new"),
        ("sales-team@mail.test", "iain", Some("team"), "iain/team"),
        ("sales-team@mail.test", "iain", None, "iain/Mailbox"),
        // `+team-:iain:...:-::` and `+team-:iain:...:-:team-:`
        ("team-work@mail.test", "iain", Some("work"), "iain/Maildir/new"),
        // A mailbox that is another's by row and by name. No qmail-getpw says so.
        ("iain@mail.test", "bob", Some("exact"), "bob/env"),
        ("iain-work@mail.test", "bob-smith", None, "bob-smith/Mailbox"),
        // The name, but neither the extension nor where it is cut.
        ("bob-smith@mail.test", "bob", Some("exact"), "bob/env"),
        ("bob@mail.test", "bob", Some("x"), "bob/env"),
        ("sales-team@mail.test", "bob", Some("A@b.test"), "bob/address"),
        // What nobody's row has may be the alias user's under any extension.
        ("nobody@mail.test", ALIAS, Some("given"), "alias/given"),
        ("nobody@mail.test", ALIAS, Some("other"), "alias/other"),
        // A virtual recipient whom no row names.
        ("=bar.com=-nobody@bar.com", "iain", Some("work"), "iain/Maildir/new"),
    ] {
        let what = format!("{recipient} given to {user} {ext:?}");
        done(&what, &given(&site, recipient, user, ext)?)?;
        equal(&what, places(&site)?, [place])?;
        if place == "bob/env" {
            let environment = text_of(&site, place)?;
            let (local, _) = recipient.split_once('@').unwrap_or_default();
            equal(&what, variable(&environment, "LOCAL"), Some(local))?;
            equal(&what, variable(&environment, "EXT"), ext)?;
            equal(&what, variable(&environment, "DEFAULT"), ext.filter(|ext| *ext != "exact"))?;
        }
        clear(&site)?;
    }
    // Himself, however the line cuts his name off: `+bob:bob:...:+:` and such.
    for dash in ["", "+"] {
        let home = site.path("homes/bob").display().to_string();
        let words = ["bob", &home, "bob-Exact", dash, "Exact", "mail.test", "s@example.org"];
        done(dash, &Local::new((BOB, BOB), words).run(&site)?)?;
        equal(dash, places(&site)?, ["bob/env"])?;
        clear(&site)?;
    }
    bounced("none", &given(&site, "sales-team@mail.test", "iain", Some("none"))?, NO_MAILBOX)?;
    // What is suspended is so whoever leads there.
    site.reconfigure("[rules]\nsuspended_mail = \"bounce\"")?;
    daemon.stop();
    let _daemon = site.start()?;
    bounced("suspended", &given(&site, "sales-team@mail.test", "suspended", None)?, "suspended")?;
    nothing(&site, "none, and suspended")
}

/// What the log says of mail that waits.
const OTHERS: &str = "mail of others is delivered as this user";

fn contradicts(store: Store) -> Outcome {
    let site = store.site("")?;
    let daemon = site.start()?;
    for file in [".qmail-smith", ".qmail-default", ".qmail-iain", ".qmail-work", ".qmail-sales"] {
        for home in ["bob", "alias", "iain", "virtual"] {
            write(&site, &format!("{home}/{file}"), "./wrong\n")?;
        }
    }
    alias_rows(&site, &[[ALIAS, "iain", ".", "/wrong"], ["bob", "smith", ".", "/wrong"]])?;
    for (recipient, user, ext) in [
        // `+bob-:bob:...:-::` beside a mailbox of the longer name.
        ("bob-smith@mail.test", "bob", Some("smith")),
        ("Bob-Smith-x@mail.test", "bob", Some("Smith-x")),
        // A mailbox given to the alias user.
        ("iain@mail.test", ALIAS, Some("iain")),
        ("iain@mail.test", ALIAS, Some("other")),
        ("iain-work@mail.test", ALIAS, Some("work")),
        // Virtual recipients are their rows'.
        ("=bar.com=-sales@bar.com", "iain", Some("sales")),
        ("=bar.com=-sales@bar.com", "iain", None),
        ("=bar.com=-sales@bar.com", "bob", Some("work")),
        ("=bar.com=-sales@bar.com", ALIAS, Some("=bar.com=-sales")),
        ("=virtual.com=-x@virtual.com", "virtual", Some("y")),
        ("=virtual.com=-x@virtual.com", "bob", Some("x")),
    ] {
        let what = format!("{recipient} given to {user} {ext:?}");
        deferred(&what, &given(&site, recipient, user, ext)?, "(#4.3.0)\n")?;
        nothing(&site, &what)?;
    }
    let log = daemon.log();
    let says = |key: &str| log.lines().any(|line| line.contains(OTHERS) && line.contains(key));
    ensure(says("bob") && says(ALIAS), format!("not in the log: {log}"))?;
    // As qmail-getpw says, all of it is delivered.
    for (recipient, place) in [
        ("bob-smith@mail.test", "bob-smith/Mailbox"),
        ("iain@mail.test", "iain/Mailbox"),
        ("sales@bar.com", "iain/Maildir/new"),
        ("x@virtual.com", "virtual/Maildir/new"),
    ] {
        done(recipient, &mail(&site, "s@example.org", recipient)?)?;
        equal(recipient, places(&site)?, [place])?;
        clear(&site)?;
    }
    // And the queue's form at a host that is not its own is nobody's, whatever users/cdb says.
    let forged = given(&site, "=bar.com=-sales@mail.test", "iain", Some("work"))?;
    equal("forged", (forged.code, forged.text.as_str()), (Some(100), NO_MAILBOX))?;
    nothing(&site, "forged")
}

/// As vpopmail has them: the user is a host, and stands neither in table mailbox nor in the system.
fn files_only(store: Store) -> Outcome {
    let site = store.site(&format!("[daemon.allow]\n{VPOPMAIL} = [\"deliver_files\"]"))?;
    let _daemon = site.start()?;
    let user = nix::unistd::User::from_name(VPOPMAIL)?.ok_or("no such user")?;
    let (uid, gid, home) = (user.uid.as_raw(), user.gid.as_raw(), site.path("homes/hosts"));
    std::fs::create_dir(&home)?;
    chown(&home, Some(uid), Some(gid))?;
    write(&site, "hosts/.qmail-default", "|env -0 >env\n")?;
    alias_rows(&site, &[["rows.test", "joe", ".", "/wrong"]])?;
    let home = home.display().to_string();
    let run = |ids: (u32, u32), user: &str| {
        let words = [user, &home, "vpop-Joe", "-", "Joe", "example.com", "s@example.org"];
        Local::new(ids, words).run(&site)
    };
    done("files", &run((uid, gid), "example.com")?)?;
    equal("files", variable(&text_of(&site, "hosts/env")?, "DEFAULT"), Some("Joe"))?;
    clear(&site)?;
    // Rows of somebody who is nobody are for nobody, and who may not ask is told nothing.
    for (ids, user) in
        [((uid, gid), "rows.test"), ((uid, gid), "iain"), ((uid, gid), ALIAS), ((STRANGER, STRANGER), "example.com")]
    {
        deferred(user, &run(ids, user)?, "(#4.3.0)\n")?;
    }
    nothing(&site, "of others")
}
