//! Table mailbox.

use super::{CROWD, cell, row, traps};
use qmail_lookup_core::{Cell, Table, TableRow};

/// The rows.
pub(super) fn rows() -> Vec<TableRow> {
    let mut rows = people();
    rows.extend(passwords());
    rows.extend(suspended());
    rows.extend(bad());
    for (n, (_, name)) in traps::AWKWARD.iter().enumerate() {
        rows.push(person(name, &(2000 + n).to_string(), "100", &format!("/home/awkward/{n}")));
    }
    for (n, (_, stored, _)) in traps::NAMES.iter().enumerate() {
        rows.push(person(stored, &(3000 + n).to_string(), "100", "/home/trap"));
    }
    for n in 0..CROWD {
        rows.push(person(format!("crowd{n:03}"), &(5000 + n).to_string(), "100", &format!("/home/crowd/{n}")));
    }
    rows
}

/// The FAQ's people, and others with nothing wrong.
fn people() -> Vec<TableRow> {
    vec![
        person("iain", "800", "100", "/home/mail/iain"),
        person("iain-sanity", "800", "100", "/home/mail/sanity"),
        person("dmp", "803", "100", "/home/mail/dmp"),
        person("virtual", "804", "100", "/home/mail/virtual"),
        person("Boss", "805", "100", "/home/mail/Boss"),
        person("x".repeat(128), "806", "100", "/home/mail/wide"),
        person("utf8", "810", "100", "/home/mail/Postf\u{e4}cher"),
        person("emoji", "811", "100", "/home/mail/\u{1f600}"),
        person("blanks", "812", "100", "/home/mail/with blanks  "),
        person("quotes", "813", "100", "/home/mail/'a' \"b\" \\c %d _e;--"),
        person("largest", "4294967294", "4294967294", "/home/mail/largest"),
        person("longhome", "814", "100", &format!("/home/{}", "h".repeat(249))),
        // The same bytes in every cell that is a word somewhere else.
        mailbox(cell("words"), cell("815"), cell("100"), cell("/NULL"), cell("NULL"), cell("Password"), cell("N")),
        // Twice the same name, and twice in different case.
        person("twin", "820", "100", "/home/mail/twin1"),
        person("twin", "821", "100", "/home/mail/twin2"),
        person("Pair", "822", "100", "/home/mail/pair1"),
        person("pAIR", "823", "100", "/home/mail/pair2"),
        // Blank at the end, beside the name without: one row to a comparison that pads.
        person("padded", "824", "100", "/home/mail/padded"),
        person("padded ", "825", "100", "/home/mail/padded-blank"),
        // An accent beside the name without.
        person("accent", "826", "100", "/home/mail/accent"),
        person("\u{e0}ccent", "827", "100", "/home/mail/accent-grave"),
    ]
}

fn passwords() -> Vec<TableRow> {
    const SHA512: &str =
        "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";
    let with = |name: &str, password: &str, kind: &str| {
        mailbox(cell(name), cell("900"), cell("100"), cell("/home/mail/pw"), cell(password), cell(kind), cell("N"))
    };
    vec![
        with("pw-plain", "secret", "Password"),
        with("pw-blank", "secret ", "Password"),
        with("pw-utf8", "gehe\u{ef}m", "Password"),
        with("pw-quote", "a'b\"c\\d%e_f", "Password"),
        with("pw-des", "abNANd1rDfiNc", "Crypt-Password"),
        with("pw-md5", "$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "Crypt-Password"),
        with("pw-sha512", SHA512, "Crypt-Password"),
        with("pw-mysql", "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7", "MySQL-Password"),
        with("pw-old", "428567f408994404", "MySQL-Password"),
        with("pw-empty", "", "Password"),
        with("pw-empty-crypt", "", "Crypt-Password"),
        with("pw-empty-mysql", "", "MySQL-Password"),
        with("pw-hash-as-plain", SHA512, "Password"),
        with("pw-mysql-as-plain", "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7", "Password"),
        with("pw-unknown-type", "secret", "Sesame"),
        with("pw-no-type", "secret", ""),
    ]
}

fn suspended() -> Vec<TableRow> {
    let with = |name: &str, word: Cell| {
        mailbox(cell(name), cell("910"), cell("100"), cell("/home/mail/susp"), cell("secret"), cell("Password"), word)
    };
    vec![
        with("susp-y", cell("Y")),
        with("susp-n", cell("N")),
        with("susp-small-n", cell("n")),
        with("susp-empty", cell("")),
        with("susp-other", cell("maybe")),
        with("susp-null", None),
    ]
}

/// Rows that no rule accepts. They must not disturb anybody else.
fn bad() -> Vec<TableRow> {
    let secret = |name: &str, uid: Cell, gid: Cell, home: Cell| {
        mailbox(cell(name), uid, gid, home, cell("secret"), cell("Password"), cell("N"))
    };
    let home = || cell("/home/bad");
    let ok = || cell("100");
    vec![
        secret("bad-root", cell("0"), ok(), home()),
        secret("bad-group", cell("830"), cell("0"), home()),
        secret("bad-low", cell("99"), ok(), home()),
        secret("bad-nochange", cell("4294967295"), ok(), home()),
        secret("bad-negative", cell("-5"), ok(), home()),
        secret("bad-huge", cell("99999999999999999999"), ok(), home()),
        secret("bad-word", cell("abc"), ok(), home()),
        secret("bad-hex", cell("0x400"), ok(), home()),
        secret("bad-float", cell("800.5"), ok(), home()),
        secret("bad-blank-uid", cell(""), ok(), home()),
        secret("bad-zeros", cell("0800"), ok(), home()),
        secret("bad-null-uid", None, ok(), home()),
        secret("bad-home-empty", cell("831"), ok(), cell("")),
        secret("bad-home-null", cell("831"), ok(), None),
        secret("bad-home-relative", cell("831"), ok(), cell("home/bad")),
        secret("bad-home-newline", cell("831"), ok(), cell("/home/bad\n/etc")),
        secret("bad-home-nul", cell("831"), ok(), cell("/home/bad\0/etc")),
        secret("bad-home-bytes", cell("832"), ok(), cell(b"/home/\xff\xfe")),
        secret("=virtual.com=-bad", cell("833"), ok(), home()),
        secret("", cell("834"), ok(), home()),
        mailbox(None, cell("835"), ok(), home(), cell("secret"), cell("Password"), cell("N")),
        mailbox(cell("bad-null-password"), cell("836"), ok(), home(), None, cell("Password"), cell("N")),
        mailbox(cell("bad-null-type"), cell("836"), ok(), home(), cell("secret"), None, cell("N")),
    ]
}

fn person(name: impl AsRef<[u8]>, uid: &str, gid: &str, home: &str) -> TableRow {
    mailbox(cell(name), cell(uid), cell(gid), cell(home), cell("sesame"), cell("Password"), cell("N"))
}

fn mailbox(name: Cell, uid: Cell, gid: Cell, home: Cell, password: Cell, kind: Cell, suspended: Cell) -> TableRow {
    row(Table::Mailbox, [name, uid, gid, home, password, kind, suspended])
}
