//! A mailbox under another name: its entry stays, with all that it holds besides the mailbox.

use super::editing::{Editing, Failure, refused};
use super::entry::{self, Attributes, Touched};
use super::name;
use super::pages::Found;
use super::writing::{Done, Edit};
use qmail_lookup_core::{Change, EditCause, Table, TableRow};

/// Another name for an entry that is named by its mailbox, and by nothing else.
pub(super) struct Renaming {
    /// Its relative name from now on.
    pub(super) rdn: String,
    /// The whole.
    pub(super) dn: String,
    /// Its relative name until now.
    before: String,
}

impl Renaming {
    /// Of the entry `dn`, which gets the values `touched`; `None` if these are more than its name.
    pub(super) fn of(dn: &str, new: &TableRow, touched: &[Touched]) -> Option<Self> {
        let ([(entry::USER, Some(user))], Table::Mailbox) = (touched, new.table()) else { return None };
        let (before, parent) = split(dn)?;
        // One part, of the attribute that changes: no other value goes with it.
        let is_plain = before.split_once('=').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case(entry::USER));
        if !is_plain || has_parts(before) {
            return None;
        }
        let name = entry::name(Table::Mailbox, &[(entry::USER, user.clone())], 0)?;
        if name.parts().iter().any(|(name, _)| *name != entry::USER) {
            return None;
        }
        let rdn = name.rdn();
        Some(Self { dn: format!("{rdn},{parent}"), rdn, before: before.to_owned() })
    }
}

/// The relative name, and what is behind it.
fn split(dn: &str) -> Option<(&str, &str)> {
    let (first, rest) = dn.split_at(unescaped(dn, b',')?);
    Some((first, rest.get(1..)?))
}

fn has_parts(rdn: &str) -> bool {
    unescaped(rdn, b'+').is_some()
}

fn unescaped(text: &str, wanted: u8) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|b| {
        let found = b == wanted && !is_escaped;
        is_escaped = b == b'\\' && !is_escaped;
        found
    })
}

/// The two changes that put the entry of a mailbox in the place of the copy that was added for the meantime: the copy is
/// deleted, and the mailbox gets its name.
pub(super) fn supersedes(changes: &[Change]) -> Option<(&TableRow, &TableRow)> {
    match changes {
        [Change::Delete(copy @ TableRow::Mailbox(_)), Change::Replace { old, new }, ..] if copy == new => {
            Some((old, new))
        }
        _ => None,
    }
}

impl Editing<'_> {
    /// Gives the entry of `old` the name of `new`, and only then takes the copy of it away: for a moment there are two of
    /// that name, so that whoever asks has to ask again, but never none.
    pub(super) async fn supersede(&self, old: &TableRow, new: &TableRow) -> Result<(), Failure> {
        let table = Table::Mailbox;
        let base = self.base(table)?;
        let (found, mut copy) = (self.find(old).await?, self.find(new).await?);
        if copy.0 == found.0 || !entry::is_own(table, &copy.1) {
            return Err(refused("the row of the new name is more than a copy; take it away first").into());
        }
        let touched = entry::changes(old, new).map_err(EditCause::RowRefused)?;
        let edits: Vec<_> =
            touched.iter().map(|(name, value)| Edit::Set((*name).into(), value.iter().cloned().collect())).collect();
        let store = |trouble| self.store(trouble, base);
        let mut done = self.writer.modify(&found, &edits).await.map_err(store)?;
        if matches!(done, Done::Named) {
            let Some(renaming) = Renaming::of(&found.0, new, &touched) else {
                let what = "the entry is named by more than its mailbox; rename it with the directory's own tools";
                return Err(refused(what).into());
            };
            done = self.writer.rename(&found, &renaming.rdn).await.map_err(store)?;
            if matches!(done, Done::Exists) {
                copy = self.step_aside(copy, new, base).await?;
                done = self.writer.rename(&found, &renaming.rdn).await.map_err(store)?;
            }
        }
        self.done(done, base)?;
        match self.undo(&copy.0).await {
            true => Ok(()),
            false => Err(Failure {
                cause: refused("the entry has its new name, but the copy of it could not be taken away"),
                clean: false,
            }),
        }
    }

    /// Gives the copy, which has the name that the entry is to get, another one.
    async fn step_aside(&self, copy: Found, new: &TableRow, base: &str) -> Result<Found, EditCause> {
        let user = new.cells().first().copied().flatten().unwrap_or_default().to_vec();
        let away = format!("{}={}+{}=2", entry::USER, name::escape(&user), entry::DESCRIPTION);
        let done = self.writer.rename(&copy, &away).await.map_err(|trouble| self.store(trouble, base))?;
        self.done(done, base)?;
        let (_, parent) = split(&copy.0).unwrap_or(("", base));
        Ok((format!("{away},{parent}"), Attributes::default()))
    }

    /// True if the entry has the name that it had.
    pub(super) async fn rename_back(&self, renaming: &Renaming) -> bool {
        let entry = (renaming.dn.clone(), Attributes::default());
        matches!(self.writer.rename(&entry, &renaming.before).await, Ok(Done::Made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(name: &str) -> TableRow {
        let cells = [name, "20001", "20001", "/home/x"].map(|cell| Some(cell.as_bytes().to_vec()));
        TableRow::from_cells(Table::Mailbox, cells)
    }

    #[test]
    fn only_an_entry_that_is_named_by_its_mailbox_alone_gets_another_name() {
        let touched = [(entry::USER, Some(b"john".to_vec()))];
        let of = |dn: &str, touched: &[Touched]| Renaming::of(dn, &mailbox("john"), touched).map(|to| to.dn);
        let dn = |name: &str| format!("{name},ou=a\\,b,dc=test");
        assert_eq!(of(&dn("qlookUser=zoe"), &touched), Some(dn("qlookUser=john")));
        assert_eq!(of(&dn("QLOOKUSER=zo\\,e"), &touched), Some(dn("qlookUser=john")));
        assert_eq!(of(&dn("qlookUser=zoe+cn=Zoe"), &touched), None);
        assert_eq!(of(&dn("cn=Zoe"), &touched), None);
        assert_eq!(of(&dn("qlookUser=zoe"), &[touched[0].clone(), (entry::UID, Some(b"7".to_vec()))]), None);
        let long = [(entry::USER, Some(vec![b'x'; 300]))];
        assert_eq!(of(&dn("qlookUser=zoe"), &long), None);
    }
}
