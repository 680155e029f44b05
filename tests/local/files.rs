//! Rows beside files: which of them decide, for whom, and in what homes (rules A1, A4).

use super::rows::{SENDER, printed, sent};
use super::world::{
    NO_MAILBOX, Store, alias_rows, bounced, clear, deferred, done, nothing, places, text_of, variable, write,
};
use super::{both, sqlite};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, equal};
use qmail_lookup_tests::site::{Local, QMAILD};
use std::os::unix::fs::{PermissionsExt, chown};

pub(super) fn trials() -> Vec<Trial> {
    let mut all = vec![
        sqlite("files::decide_where_there_are_no_rows_and_else_qmail_starts_argument", files),
        sqlite("files::and_rows_wait_where_the_home_is_sticky_or_writable", homes),
        sqlite("files::and_rows_of_system_users_and_of_the_alias_user_count", system_users),
    ];
    all.extend(both("files::are_beaten_by_rows_of_the_extension_and_by_default_rows", beats));
    all
}

fn beats(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    alias_rows(&site, &[["bob", "exact", ".", "/exact"], ["iain", "", ".", "/own"]])?;
    for file in [".qmail", ".qmail-exact", ".qmail-work", ".qmail-default", ".qmail-other-default"] {
        write(&site, &format!("bob/{file}"), "./wrong\n")?;
        write(&site, &format!("iain/{file}"), "./file\n")?;
    }
    for (recipient, place) in [
        ("bob-exact", "bob/exact"),
        ("bob-EXACT", "bob/exact"),
        ("bob-exact-more", "bob/Catchall/new"),
        ("bob-other-thing", "bob/Catchall/new"),
        ("bob-", "bob/wrong"),
        // The default is none for a name without extension, as it is among files.
        ("bob", "bob/wrong"),
        ("iain", "iain/own"),
        ("iain-work", "iain/Maildir/new"),
        ("iain-Work", "iain/Maildir/new"),
        ("iain-other", "iain/file"),
        ("bob-smith", "bob-smith/Mailbox"),
    ] {
        done(recipient, &sent(&site, &format!("{recipient}@mail.test"))?)?;
        equal(recipient, places(&site)?, [place])?;
        clear(&site)?;
    }
    Ok(())
}

fn files(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    for (name, text) in [
        (".qmail-file", "# a comment\n./exact\n|env -0 >env\n&friend@example.org\n"),
        (".qmail-my-default", "|env -0 >env\n"),
        (".qmail-empty", ""),
        (".qmail-comments", "# nothing\n"),
        (".qmail-a:b", "./dotted\n"),
    ] {
        write(&site, &format!("iain/{name}"), text)?;
    }
    for (local, at) in [
        ("iain", &["iain/Mailbox"][..]),
        ("iain-file", &["iain/env", "iain/exact"]),
        ("iain-my-Own", &["iain/env"]),
        ("iain-empty", &["iain/Mailbox"]),
        ("iain-A.b", &["iain/dotted"]),
        // Its owner wants it so.
        ("iain-comments", &[]),
    ] {
        done(local, &sent(&site, &format!("{local}@mail.test"))?)?;
        equal(local, places(&site)?, at)?;
        if local == "iain-my-Own" {
            equal("DEFAULT", variable(&text_of(&site, "iain/env")?, "DEFAULT"), Some("Own"))?;
        }
        clear(&site)?;
    }
    for local in ["iain-none", "iain-file-x", "iain-a", "nobody", "nobody-x"] {
        equal(local, sent(&site, &format!("{local}@mail.test"))?.text, NO_MAILBOX)?;
        bounced(local, &sent(&site, &format!("{local}@mail.test"))?, "")?;
    }
    write(&site, "iain/.qmail", "./own\n")?;
    done("iain", &sent(&site, "iain@mail.test")?)?;
    equal("iain", places(&site)?, ["iain/own"])
}

fn homes(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    let home = site.path("homes/iain");
    for (mode, text) in [
        (0o1755, "Home directory is sticky: user is editing his .qmail file. (#4.2.1)\n"),
        (0o757, "Uh-oh: home directory is writable. (#4.7.0)\n"),
        (0o1777, "Uh-oh: home directory is writable. (#4.7.0)\n"),
    ] {
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(mode))?;
        for local in ["iain", "iain-work", "iain-away", "iain-secret"] {
            let report = sent(&site, &format!("{local}@mail.test"))?;
            deferred(local, &report, "")?;
            equal(&format!("{local} in a home of mode {mode:o}"), report.text.as_str(), text)?;
        }
    }
    nothing(&site, "sticky or writable")?;
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o1755))?;
    let text = printed(&site, "iain-work")?;
    equal("-n", text.as_str(), "Warning: home directory is sticky.\nmaildir ./Maildir/\ndid 1+0+0\n")?;
    // The group may write: qmail has never minded.
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o775))?;
    done("iain-work", &sent(&site, "iain-work@mail.test")?)?;
    equal("iain-work", places(&site)?, ["iain/Maildir/new"])?;
    // A home that is gone is a deferral, whoever sees it.
    let delivery = site.routed("iain-work", "mail.test", SENDER)?.ok_or("qmail-getpw defers")?;
    std::fs::rename(&home, site.path("homes/elsewhere"))?;
    deferred("gone", &delivery.run(&site)?, "(#4.3.0)")
}

fn system_users(store: Store) -> Outcome {
    let site = store.site("")?;
    let _daemon = site.start()?;
    let alias = qmail_lookup_tests::site::ALIAS;
    alias_rows(&site, &[[alias, "info", ".", "/rows"], [alias, "Lists-x", "friend", "example.org"]])?;
    write(&site, "alias/.qmail-info", "./wrong\n")?;
    write(&site, "alias/.qmail-default", "./Maildir/\n")?;
    for local in ["info", "INFO", &format!("{alias}-info")] {
        done(local, &sent(&site, &format!("{local}@mail.test"))?)?;
        equal(local, places(&site)?, ["alias/rows"])?;
        clear(&site)?;
    }
    done("lists-X", &sent(&site, "lists-X@mail.test")?)?;
    equal("lists-X", site.queued()?.len(), 1)?;
    done("other", &sent(&site, "other@mail.test")?)?;
    equal("other", places(&site)?, ["alias/Maildir/new"])?;
    clear(&site)?;
    // A user of the system, as users/cdb or the stock qmail-getpw names him.
    let (home, user) = (site.path("homes/news"), nix::unistd::User::from_name(QMAILD)?.ok_or("no such user")?);
    let ids = (user.uid.as_raw(), user.gid.as_raw());
    std::fs::create_dir(&home)?;
    chown(&home, Some(ids.0), Some(ids.1))?;
    alias_rows(&site, &[[QMAILD, "list", ".", "/rows"]])?;
    for (ext, place) in [("list", "news/rows"), ("LIST", "news/rows")] {
        let (home, local) = (home.display().to_string(), format!("{QMAILD}-{ext}"));
        done(&local, &Local::new(ids, [QMAILD, &home, &local, "-", ext, "mail.test", SENDER]).run(&site)?)?;
        equal(&local, places(&site)?, [place])?;
        clear(&site)?;
    }
    let (home, local) = (home.display().to_string(), format!("{QMAILD}-other"));
    bounced(
        &local,
        &Local::new(ids, [QMAILD, &home, &local, "-", "other", "mail.test", SENDER]).run(&site)?,
        NO_MAILBOX,
    )
}
