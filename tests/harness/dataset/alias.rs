//! Table alias.

use super::{CROWD_SET, cell, row};
use qmail_lookup_core::{Cell, Table, TableRow};

/// The rows.
pub(super) fn rows() -> Vec<TableRow> {
    let mut rows = vec![
        // The FAQ's.
        alias("iain", "slowlaris", ".", "/Maildir/"),
        alias("iain", "", "/", "home/iain/Mailbox"),
        alias("virtual", "@", ".", "/Maildir/"),
        alias("forward", "", "address", "external.com"),
        // Old multi-hosting data: an address as alias.
        alias("alias", "info@bar.com", "real", "bar.com"),
        alias("alias", "postmaster", "iain", ""),
        // Order, a catch-all, duplicates.
        alias("iain", "list", "|", "/usr/bin/filter -a \"b c\" 'd'"),
        alias("iain", "list", ".", "/Maildir/"),
        alias("iain", "list", "zed", "z.example"),
        alias("iain", "list", "a", "a.example"),
        alias("dmp", "@", "catch", "all.example"),
        alias("dmp", "twice", "same", "same.example"),
        alias("dmp", "twice", "same", "same.example"),
        alias("dmp", "Upper", "KeepCase", "Keep.Example"),
        alias("DMP", "owner-upper", "x", "x.example"),
        alias("dmp", "list-owner", "boss", "dmp.example"),
        // Bad rows, alone and beside a good one.
        alias("dmp", "bogus", "", ""),
        alias("dmp", "halfbogus", "", ""),
        alias("dmp", "halfbogus", ".", "/Maildir/"),
        // Values as stored.
        alias("values", "blanks", "|", "echo  two  blanks \t "),
        alias("values", "quotes", "|", "echo 'a' \"b\" \\c \\\\d %s _e ;# -- /* ?"),
        alias("values", "accents", ".", "/Maildir/.Postf\u{e4}cher/"),
        alias("values", "emoji", ".", "/Maildir/.\u{1f600}/"),
        alias("values", "newline", "|", "echo a\necho b"),
        alias("values", "word", "NULL", "null"),
        alias("values", "long", "|", "a".repeat(500)),
        // Keys that a careless comparison takes for others.
        alias("keys", "%", "percent", "k.example"),
        alias("keys", "_", "underscore", "k.example"),
        alias("keys", "x", "letter", "k.example"),
        alias("keys", "007", "zeros", "k.example"),
        alias("keys", "7", "seven", "k.example"),
        alias("keys", "trail ", "trailing", "k.example"),
        alias("keys", " ", "blank", "k.example"),
        alias("keys", "o'brien", "quote", "k.example"),
        alias("keys", "back\\slash", "backslash", "k.example"),
        alias("keys", "a.b", "dot", "k.example"),
        alias("keys", "re\u{301}ne", "combining", "k.example"),
        alias("keys", "ren\u{e9}", "accent", "k.example"),
        alias("keys ", "own", "trailing-owner", "k.example"),
        alias("only-blank", " ", "blank", "k.example"),
        // The cross product of two owners and two extensions: only two of the four are there.
        alias("cross1", "a", "1a", "k.example"),
        alias("cross2", "b", "2b", "k.example"),
        full(cell("y".repeat(128)), cell("z".repeat(128)), cell("wide"), cell("k.example")),
        full(cell("nulls"), None, cell("."), cell("/Maildir/")),
        full(cell("nulls"), cell("@"), cell("everything"), cell("n.example")),
        full(cell("nulls"), cell("values"), None, None),
        full(cell("nulls"), cell("values"), cell("bare"), None),
        full(None, cell("ownerless"), cell("x"), cell("n.example")),
        full(cell("both"), None, cell("from-null"), cell("n.example")),
        full(cell("both"), cell(""), cell("from-empty"), cell("n.example")),
    ];
    for n in 0..CROWD_SET {
        rows.push(alias("crowd", "big", &format!("member{n}"), "crowd.example"));
    }
    rows
}

fn alias(owner: &str, ext: &str, user: &str, host: impl AsRef<[u8]>) -> TableRow {
    full(cell(owner), cell(ext), cell(user), cell(host))
}

fn full(owner: Cell, ext: Cell, user: Cell, host: Cell) -> TableRow {
    row(Table::Alias, [owner, ext, user, host])
}
