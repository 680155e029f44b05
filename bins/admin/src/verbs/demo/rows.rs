//! The FAQ's example rows.

use qmail_lookup_core::{Cell, Table, TableRow};

/// Every password of the demonstration.
pub(super) const PASSWORD: &str = "test";

/// `mkpasswd -m sha-512 test`, with a fixed salt.
const CRYPTED: &str =
    "$6$saltsalt$JcVDtuB6d1BHhCd5RPBh8g8xX/1CbY8EU2PN0MTaj2/Mypw4P./C6dN4j0HALhzBDTocyW1Jm.gYaTPjFGCV40";

/// MariaDB's `SELECT PASSWORD('test')`.
const MYSQL: &str = "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29";

fn row(table: Table, cells: &[&str]) -> TableRow {
    TableRow::from_cells(table, cells.iter().map(|text| -> Cell { Some(text.as_bytes().to_vec()) }))
}

/// All of them, in the order of [`Table::columns`].
pub(super) fn all() -> Vec<TableRow> {
    let mailbox = [
        ["iain", "800", "100", "/home/mail/iain", PASSWORD, "Password", "N"],
        ["iain-sanity", "800", "100", "/home/mail/sanity", CRYPTED, "Crypt-Password", "N"],
        ["dmp", "801", "100", "/home/mail/dmp", MYSQL, "MySQL-Password", "N"],
        ["sleepy", "802", "100", "/home/mail/sleepy", PASSWORD, "Password", "Y"],
        ["virtual", "803", "100", "/home/mail/virtual", CRYPTED, "Crypt-Password", "N"],
        ["forward", "804", "100", "/home/mail/forward", CRYPTED, "Crypt-Password", "N"],
        ["postmaster", "805", "100", "/home/mail/postmaster", CRYPTED, "Crypt-Password", "N"],
    ];
    let alias = [
        ["iain", "", "/", "home/iain/Mailbox"],
        ["iain", "slowlaris", ".", "/Maildir/"],
        ["iain", "bogus", "", ""],
        ["virtual", "@", ".", "/Maildir/"],
        ["forward", "", "address", "external.com"],
        ["sleepy", "", ".", "/Maildir/"],
    ];
    // virtual_host, virtual_username, username, ext
    let virtuals = [
        ["virtual.com", "", "virtual", "@"],
        ["virtual.com", "user", "forward", ""],
        ["sillydomain.com", "sales", "iain", ""],
    ];
    let hosts = ["virtual.com", "sillydomain.com"];
    let mailbox = mailbox.iter().map(|cells| row(Table::Mailbox, cells));
    let alias = alias.iter().map(|cells| row(Table::Alias, cells));
    let virtuals = virtuals.iter().map(|cells| row(Table::Virtual, cells));
    let hosts = hosts.iter().map(|host| row(Table::Rcpthosts, &[host]));
    mailbox.chain(alias).chain(virtuals).chain(hosts).collect()
}
