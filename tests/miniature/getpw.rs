//! The stock qmail-getpw: system users, and at last the alias user.

use crate::users::{Account, find, part};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

const USAGE: u8 = 100;
const NO_HOME: u8 = 115;
const NO_ALIAS: u8 = 116;
const TEMPORARY: u8 = 118;

/// Names are shorter. Unit: bytes.
const NAME_MAX: usize = 32;

pub(crate) fn main(arguments: &[Vec<u8>]) -> ExitCode {
    let Some(local) = arguments.first() else { return ExitCode::from(USAGE) };
    match answer(local) {
        Ok(fields) if std::io::stdout().write_all(&fields).is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(TEMPORARY),
        Err(code) => ExitCode::from(code),
    }
}

fn answer(local: &[u8]) -> Result<Vec<u8>, u8> {
    let qmail = crate::home().map_err(|_| TEMPORARY)?;
    let breaks = (0..local.len()).rev().filter(|&at| local.get(at) == Some(&b'-'));
    for end in std::iter::once(local.len()).chain(breaks) {
        let (name, rest) = local.split_at(end);
        if let Some(account) = user(&qmail, &name.to_ascii_lowercase())? {
            // Where something follows, even nothing but the break.
            let ext = rest.strip_prefix(b"-");
            return Ok(fields(&account, if ext.is_some() { b"-" } else { b"" }, ext.unwrap_or_default()));
        }
    }
    let alias = find(&qmail, &part(&qmail, "alias")).map_err(|_| TEMPORARY)?.ok_or(NO_ALIAS)?;
    Ok(fields(&alias, b"-", local))
}

fn user(qmail: &Path, name: &[u8]) -> Result<Option<Account>, u8> {
    let Some(name) = std::str::from_utf8(name).ok().filter(|name| name.len() < NAME_MAX) else { return Ok(None) };
    let Some(account) = find(qmail, name).map_err(|_| TEMPORARY)? else { return Ok(None) };
    let owner = match std::fs::metadata(&account.home) {
        Ok(home) => home.uid(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(_) => return Err(NO_HOME),
    };
    Ok(Some(account).filter(|account| account.uid != 0 && account.uid == owner))
}

fn fields(account: &Account, dash: &[u8], ext: &[u8]) -> Vec<u8> {
    let (uid, gid) = (account.uid.to_string(), account.gid.to_string());
    let home = account.home.as_os_str().as_bytes();
    let fields = [account.name.as_bytes(), uid.as_bytes(), gid.as_bytes(), home, dash, ext];
    fields.iter().flat_map(|field| field.iter().chain(b"\0")).copied().collect()
}
