//! Tables virtual and rcpthosts.

use super::{CROWD_SET, cell, row};
use qmail_lookup_core::{Cell, Table, TableRow};

/// The rows of table virtual.
pub(super) fn rows() -> Vec<TableRow> {
    let mut rows = vec![
        // The FAQ's.
        target("virtual", "@", "", "virtual.com"),
        target("forward", "", "user", "virtual.com"),
        target("iain", "", "iain", "virtual.com"),
        target("dmp", "", "sales", "sillydomain.com"),
        target("forward", "popaccount@hotmail.com", "user", "magic.com"),
        target("alias", "", "info", "bar.com"),
        // FUNKY QUERIES.
        target("iain", "@", "%", "funky.com"),
        target("iain", "jo", "jo%n", "funky.com"),
        target("dmp", "one", "_x", "funky.com"),
        target("dmp", "escaped", "a\\_b", "funky.com"),
        target("dmp", "end", "end\\", "funky.com"),
        target("dmp", "plain", "plain", "funky.com"),
        target("iain", "", "%", "onlypercent.com"),
        target("iain", "", "exact", "onlyexact.com"),
        target("iain", "", "", "onlyblank.com"),
        // Extensions and names as stored.
        target("dmp", "a-b", "first.last+tag", "dots.org"),
        target("dmp", "KeepCase", "Mixed", "MiXed.Org"),
        target("iain", "", "o'brien", "quote.org"),
        target("iain", "", "back\\slash", "quote.org"),
        target("iain", "", "50%off", "quote.org"),
        target("iain", "", "under_score", "quote.org"),
        target("dmp", "", "underxscore", "quote.org"),
        target("iain", "", "007", "digits.org"),
        target("dmp", "", "7", "digits.org"),
        target("iain", "", "postmaster", "dots.org"),
        // Suffixes.
        target("iain", "@", "", ".wild.test"),
        target("dmp", "", "abuse", "sub.wild.test"),
        // The old client adds the same row again for every further target; two owners contradict each other.
        target("dmp", "", "again", "shop.com"),
        target("dmp", "", "again", "shop.com"),
        target("iain", "", "info", "shop.com"),
        target("dmp", "", "info", "shop.com"),
        // What a careless comparison takes for something else.
        target("iain", "", "trail ", "trail.com"),
        target("iain", "", " ", "blank.com"),
        target("iain", "", "iain", "padhost.com "),
        target("iain", "", "ren\u{e9}", "accent.com"),
        target("iain", "", "iain", "m\u{fc}nchen.example"),
        target("iain", "", "under", "under_score.com"),
        target("dmp", "", "under", "underxscore.com"),
        // Bad rows.
        target("", "", "ownerless", "bad.com"),
        target("iain", "", "good", "bad.com"),
        target("iain", "", "nohost", ""),
        full(cell("nulls.com"), None, cell("iain"), cell("@")),
        full(cell("nulls.com"), cell("noext"), cell("iain"), None),
        full(cell("nulls.com"), cell("noowner"), None, None),
        full(None, cell("hostless"), cell("iain"), cell("")),
        full(cell("bothblank.com"), None, cell("iain"), cell("from-null")),
        full(cell("bothblank.com"), cell(""), cell("iain"), cell("from-empty")),
    ];
    for n in 0..CROWD_SET {
        rows.push(target("crowd", "", &format!("c%{n}"), "crowd.com"));
    }
    rows
}

/// The rows of table rcpthosts.
pub(super) fn rcpthosts() -> Vec<TableRow> {
    let hosts = [
        "bar.com",
        "virtual.com",
        ".example.net",
        "MiXed.Org",
        "a.example.org",
        "under_score.com",
        "trail.com ",
        "m\u{fc}nchen.example",
        "xn--mnchen-3ya.example",
        "deep.a.b.c.example.net",
        "o'brien.com",
        "50%off.com",
        "127.0.0.1",
        "localhost",
        "",
    ];
    let mut rows: Vec<_> = hosts.iter().map(|host| row(Table::Rcpthosts, [cell(host)])).collect();
    rows.push(row(Table::Rcpthosts, [cell(format!("{}.long", "l".repeat(250)))]));
    rows.push(row(Table::Rcpthosts, [None]));
    rows
}

fn target(owner: &str, ext: &str, user: &str, host: &str) -> TableRow {
    full(cell(host), cell(user), cell(owner), cell(ext))
}

fn full(host: Cell, user: Cell, owner: Cell, ext: Cell) -> TableRow {
    row(Table::Virtual, [host, user, owner, ext])
}
