//! The only place where SQLite's errors become ours. Every one of them is temporary to mail.

use super::connection::File;
use qmail_lookup_core::{ErrorKind, LookupError, Table};
use rusqlite::ffi::{
    self, SQLITE_READONLY_CANTINIT, SQLITE_READONLY_DIRECTORY, SQLITE_READONLY_RECOVERY, SQLITE_READONLY_ROLLBACK,
};
use rusqlite::{Error, ErrorCode};
use std::io;

impl File {
    /// An error at this file.
    pub(super) fn error(&self, kind: ErrorKind, what: impl Into<String>) -> LookupError {
        LookupError::new(kind, self.place.clone(), what)
    }

    /// The time was over.
    pub(super) fn timeout(&self) -> LookupError {
        self.error(ErrorKind::Timeout, "no answer before the deadline")
    }

    /// A thread that owed an answer is gone.
    pub(super) fn ended(&self) -> LookupError {
        self.error(ErrorKind::Unreachable, "the thread that was asked ended without an answer")
    }

    /// No thread could be started.
    pub(super) fn no_thread(&self, error: io::Error) -> LookupError {
        self.error(ErrorKind::Overloaded, "cannot start a thread").with_source(error)
    }

    /// The path could not be examined.
    pub(super) fn not_examined(&self, error: io::Error) -> LookupError {
        let path = self.path.display();
        match error.kind() {
            io::ErrorKind::NotFound => self
                .error(ErrorKind::Unreachable, format!("there is no file {path}"))
                .with_help(format!("put it back, or make a new one: {}", self.init()))
                .with_source(error),
            io::ErrorKind::PermissionDenied => self
                .error(ErrorKind::Refused, format!("{} may not reach {path}", who()))
                .with_help(format!(
                    "{} needs search (x) permission on every directory of it; see: namei -l {path}",
                    who()
                ))
                .with_source(error),
            _ => self.error(ErrorKind::Unreachable, format!("cannot examine {path}: {error}")).with_source(error),
        }
    }

    /// The path is a directory, a pipe or another thing that SQLite must not open.
    pub(super) fn not_a_file(&self) -> LookupError {
        self.error(ErrorKind::Unreachable, format!("{} is not a regular file", self.path.display()))
    }

    /// The table is not there.
    pub(super) fn no_table(&self, table: Table) -> LookupError {
        self.error(ErrorKind::Schema, format!("there is no table {table}"))
            .with_help(format!("make what is missing: {}", self.init()))
    }

    /// A column is not there that no table may lack.
    pub(super) fn no_column(&self, table: Table, column: &str) -> LookupError {
        self.error(ErrorKind::Schema, format!("table {table} has no column {column}"))
            .with_help(format!("compare it with the documented columns: {} --print", self.init()))
    }

    /// Text is stored as UTF-16, so no key would ever be found equal.
    pub(super) fn utf16(&self) -> LookupError {
        let path = self.path.display();
        self.error(ErrorKind::Schema, "the file stores text as UTF-16").with_help(format!(
            "write it anew as UTF-8: (echo 'PRAGMA encoding=\"UTF-8\";'; sqlite3 {path} .dump) | sqlite3 NEW"
        ))
    }

    fn init(&self) -> String {
        format!("qmail-lookup --store sqlite:{} init", self.path.display())
    }

    /// Translates an error of the driver. SQLite's texts name tables and columns, never values: those are bound.
    pub(super) fn sqlite(&self, error: Error) -> LookupError {
        let Some((code, text)) = failure(&error) else {
            return self.error(ErrorKind::Schema, "the driver could not use the answer").with_source(error);
        };
        let path = self.path.display();
        let who = who();
        let translated = match code.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                self.error(ErrorKind::Timeout, "the file is locked by another program, until after the deadline")
            }
            ErrorCode::OperationInterrupted => self.timeout(),
            ErrorCode::OutOfMemory => self.error(ErrorKind::Overloaded, "out of memory"),
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                self.error(ErrorKind::Refused, format!("{who} cannot open {path}")).with_help(format!(
                    "{who} needs read permission on the file, and if it is in WAL mode write permission on its directory"
                ))
            }
            ErrorCode::AuthorizationForStatementDenied => self.error(ErrorKind::Refused, text),
            ErrorCode::ReadOnly => self.read_only(code.extended_code),
            ErrorCode::NotADatabase => {
                self.error(ErrorKind::Schema, "the file is not an SQLite database, or it is encrypted")
            }
            ErrorCode::DatabaseCorrupt => self
                .error(ErrorKind::Unreachable, "the database is damaged")
                .with_help(format!("see what is left: sqlite3 {path} 'PRAGMA integrity_check'; else restore a copy")),
            ErrorCode::SystemIoFailure | ErrorCode::DiskFull | ErrorCode::FileLockingProtocolFailed => {
                self.error(ErrorKind::Unreachable, format!("{text} (SQLite code {})", code.extended_code))
            }
            _ => self.error(ErrorKind::Schema, text),
        };
        translated.with_source(error)
    }

    /// SQLite wanted to write beside or into the file, and could not.
    fn read_only(&self, extended: i32) -> LookupError {
        let path = self.path.display();
        let who = who();
        match extended {
            SQLITE_READONLY_DIRECTORY | SQLITE_READONLY_CANTINIT | SQLITE_READONLY_RECOVERY => self
                .error(ErrorKind::Refused, "the file is in WAL mode and its directory is not writable")
                .with_help(format!(
                    "either let {who} write the directory of {path}, or leave WAL mode: \
                     sqlite3 {path} 'PRAGMA journal_mode=DELETE'"
                )),
            SQLITE_READONLY_ROLLBACK => self
                .error(ErrorKind::Refused, "a writer died, and its unfinished transaction must be undone first")
                .with_help(format!("as a user who may write the file: sqlite3 {path} 'SELECT 1'")),
            _ => self
                .error(ErrorKind::Refused, format!("{who} may not write {path}"))
                .with_help(format!("{who} needs write permission on the file and on its directory")),
        }
    }
}

/// SQLite's own code and text, if it was SQLite that failed.
pub(super) fn failure(error: &Error) -> Option<(ffi::Error, String)> {
    match error {
        Error::SqliteFailure(code, text) => Some((*code, text.clone().unwrap_or_else(|| code.to_string()))),
        Error::SqlInputError { error: code, msg, .. } => Some((*code, msg.clone())),
        _ => None,
    }
}

/// True if a row was refused, as opposed to the whole statement.
pub(super) fn refuses_row(error: &Error) -> bool {
    let code = failure(error).map(|(code, _)| code.code);
    matches!(code, Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig))
}

/// Who needs a permission: the effective uid. Not the owner of /proc/self, which is root's for a process that may not
/// be dumped.
fn who() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let effective = uids.and_then(|uids| uids.split_whitespace().nth(1));
    effective.map_or_else(|| "this process".to_owned(), |uid| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_trouble_has_its_kind_and_help() {
        let file = File::new("/srv/mail.db".into(), "sqlite mail.db".to_owned());
        let cases = [
            (ffi::SQLITE_BUSY, ErrorKind::Timeout, None),
            (ffi::SQLITE_INTERRUPT, ErrorKind::Timeout, None),
            (ffi::SQLITE_NOMEM, ErrorKind::Overloaded, None),
            (ffi::SQLITE_CANTOPEN, ErrorKind::Refused, Some("read permission")),
            (ffi::SQLITE_READONLY, ErrorKind::Refused, Some("write permission")),
            (1544, ErrorKind::Refused, Some("journal_mode=DELETE")),
            (SQLITE_READONLY_ROLLBACK, ErrorKind::Refused, Some("SELECT 1")),
            (ffi::SQLITE_NOTADB, ErrorKind::Schema, None),
            (ffi::SQLITE_CORRUPT, ErrorKind::Unreachable, Some("integrity_check")),
            (ffi::SQLITE_IOERR, ErrorKind::Unreachable, None),
            (ffi::SQLITE_ERROR, ErrorKind::Schema, None),
        ];
        for (code, kind, help) in cases {
            let error = file.sqlite(Error::SqliteFailure(ffi::Error::new(code), None));
            assert_eq!(error.kind(), kind, "{code}");
            assert_eq!(error.place(), "sqlite mail.db");
            let given = error.help().unwrap_or_default();
            assert!(help.is_none_or(|part| given.contains(part)), "{code} {given}");
        }
        let us = std::os::unix::fs::MetadataExt::uid(&tempfile::tempfile().unwrap().metadata().unwrap());
        assert_eq!(who(), format!("uid {us}"));
        assert_eq!(file.sqlite(Error::QueryReturnedNoRows).kind(), ErrorKind::Schema);
    }
}
