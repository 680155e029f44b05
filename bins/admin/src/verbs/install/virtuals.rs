//! Catch-alls that were written for the other way to read patterns (rule V2).

use super::remarks::Remarks;
use crate::output::{Failure, text};
use crate::session::Session;
use qmail_lookup_core::key::fold;
use qmail_lookup_core::settings::VirtualPatterns;
use qmail_lookup_core::{Deadline, Table, TableRow};

/// Rows at a time.
const BATCH: usize = 500;

/// What one host's rows have.
#[derive(Default)]
struct Host {
    name: Vec<u8>,
    has_blank: bool,
    has_percent: bool,
}

/// Hosts whose catch-all is none, as the configuration has it.
struct Leftover {
    mode: VirtualPatterns,
    host: Host,
    first: Option<Vec<u8>>,
    count: usize,
}

impl Leftover {
    /// Rows of one host come one after the other.
    fn row(&mut self, host: &[u8], user: &[u8]) {
        let name = fold(host);
        if name != self.host.name {
            self.end_of_host();
            self.host = Host { name, ..Host::default() };
        }
        self.host.has_blank |= user.is_empty();
        self.host.has_percent |= user == b"%";
    }

    fn end_of_host(&mut self) {
        let Host { has_blank, has_percent, name } = std::mem::take(&mut self.host);
        let is_wrong = match self.mode {
            VirtualPatterns::Plain => has_percent && !has_blank,
            VirtualPatterns::Like => has_blank && !has_percent,
        };
        if is_wrong {
            self.first.get_or_insert(name);
            self.count += 1;
        }
    }
}

/// Looks at all rows.
pub(in crate::verbs) async fn judge(session: &Session, remarks: &mut Remarks) {
    let Some(found) = remarks.known(scan(session).await) else { return };
    let Some(first) = found.first else { return };
    let more = if found.count > 1 { format!(" and {} more hosts", found.count - 1) } else { String::new() };
    let hosts = format!("{}{more}", text(&first));
    let is_sql = session.stores.virtuals.kind() != "ldap";
    let set = |to: &str, from: &str| match is_sql {
        true => format!("update virtual set virtual_username='{to}' where virtual_username='{from}';"),
        false => format!("write '{to}' for '{from}' as their virtual user"),
    };
    match found.mode {
        VirtualPatterns::Plain => remarks.refuse(
            format!("the '%' row of {hosts} is no catch-all with rules.virtual_patterns = \"plain\""),
            format!("set rules.virtual_patterns = \"like\", or {}", set("", "%")),
        ),
        VirtualPatterns::Like => remarks.refuse(
            format!("the blank row of {hosts} is no catch-all with rules.virtual_patterns = \"like\""),
            set("%", ""),
        ),
    }
}

async fn scan(session: &Session) -> Result<Leftover, Failure> {
    let by = || Deadline::after(session.config.deadline);
    let mode = session.config.rules.virtual_patterns;
    let mut found = Leftover { mode, host: Host::default(), first: None, count: 0 };
    let Some(catalog) = session.stores.virtuals.catalog() else { return Ok(found) };
    let mut scan = catalog.scan(Table::Virtual, None, by()).await?;
    loop {
        let rows = scan.next(BATCH, by()).await?;
        if rows.is_empty() {
            found.end_of_host();
            return Ok(found);
        }
        for row in &rows {
            if let TableRow::Virtual(row) = row {
                let cell = |cell: &Option<Vec<u8>>| cell.clone().unwrap_or_default();
                found.row(&cell(&row.virtual_host), &cell(&row.virtual_username));
            }
        }
    }
}
