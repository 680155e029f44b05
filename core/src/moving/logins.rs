//! Passwords that no directory verifies when it decides logins itself (a bind), though they are carried over.

use crate::catalog::TableRow;
use crate::credential::CredentialRow;

/// False if no server lets anybody in by what is stored: a `MySQL-Password`, or a value kept useless by `{CLEARTEXT}`.
#[must_use]
pub fn may_bind(row: &TableRow) -> bool {
    let TableRow::Mailbox(CredentialRow { password: Some(stored), password_type, .. }) = row else { return true };
    let stored = stored.expose();
    let is = |kind: &[u8]| password_type.as_deref().is_some_and(|word| word.eq_ignore_ascii_case(kind));
    let cleartext = stored.get(..11).is_some_and(|head| head.eq_ignore_ascii_case(b"{CLEARTEXT}"));
    stored.is_empty() || !(is(b"MySQL-Password") || cleartext)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Table;

    #[test]
    fn what_only_a_comparison_verifies_binds_nobody() {
        let row = |password: &str, kind: &str| {
            let cells = ["iain", "800", "100", "/h", password, kind, "N"];
            TableRow::from_cells(Table::Mailbox, cells.map(|cell| Some(cell.as_bytes().to_vec())))
        };
        assert!(may_bind(&row("secret", "Password")) && may_bind(&row("", "MySQL-Password")));
        assert!(may_bind(&row("$6$s$h", "Crypt-Password")) && may_bind(&row("{SSHA}x", "Password")));
        assert!(!may_bind(&row("378b243e220ca493", "mysql-password")));
        assert!(!may_bind(&row("{cleartext}secret", "Password")));
        assert!(may_bind(&TableRow::from_cells(Table::Rcpthosts, [Some(b"bar.com".to_vec())])));
    }
}
