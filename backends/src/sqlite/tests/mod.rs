//! The store against real files.

mod catalog;
mod editor;
mod faults;
mod legacy;
mod lookups;

use super::{SqliteStore, sql};
use crate::registry::OpenContext;
use qmail_lookup_core::{AliasKey, Deadline, Ext, Host, TableOptions, Username, VirtualKey, VirtualUser};
use rusqlite::Connection;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Tables as old sites have them: no collation, nothing refused, NULL anywhere.
const LEGACY: &str = "
    CREATE TABLE mailbox (username varchar(32) PRIMARY KEY, uid int, gid int, home varchar(255), password varchar(255),
                          password_type varchar(20), suspended varchar(1));
    CREATE TABLE alias (username varchar(32), alias varchar(32), alias_username varchar(32), alias_host varchar(255));
    CREATE INDEX a ON alias (username, alias);
    CREATE TABLE `virtual` (username varchar(32), ext varchar(32), virtual_username varchar(32), virtual_host varchar(64));
    CREATE INDEX v ON `virtual` (virtual_host, virtual_username);
    CREATE TABLE rcpthosts (host varchar(64));";

/// A file in a folder of its own, and a store over it.
struct Site {
    dir: TempDir,
    path: PathBuf,
    store: SqliteStore,
}

impl Site {
    /// No file yet.
    fn absent() -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("mail.db");
        let store = open(&path);
        Self { dir, path, store }
    }

    /// A file with what `text` makes.
    fn with(text: &str) -> Self {
        let site = Self::absent();
        site.run(text);
        site
    }

    /// A file with our tables, and what `text` adds.
    fn ours(text: &str) -> Self {
        Self::with(&(sql::schema(TableOptions::default()) + text))
    }

    fn raw(&self) -> Connection {
        Connection::open(&self.path).unwrap()
    }

    fn run(&self, text: &str) {
        self.raw().execute_batch(text).unwrap();
    }
}

fn open(path: &Path) -> SqliteStore {
    let settings = json!({ "path": path.to_str().unwrap() }).as_object().cloned().unwrap();
    SqliteStore::open(settings, &OpenContext::default()).unwrap()
}

/// Far enough for any machine.
fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

fn user(name: &str) -> Username {
    Username::new(name.as_bytes()).unwrap()
}

fn host(name: &str) -> Host {
    Host::new(name.as_bytes()).unwrap()
}

fn alias(username: &str, alias: &str) -> AliasKey {
    AliasKey { username: user(username), alias: Ext::new(alias.as_bytes()).unwrap() }
}

fn exact(at: &str, name: &str) -> VirtualKey {
    VirtualKey::Exact { host: host(at), user: VirtualUser::new(name.as_bytes()).unwrap() }
}

fn patterns(at: &str) -> VirtualKey {
    VirtualKey::Patterns { host: host(at) }
}

fn any(at: &str) -> VirtualKey {
    VirtualKey::Any { host: host(at) }
}

fn cell(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}
