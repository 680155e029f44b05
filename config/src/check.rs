//! What parses but is unwise.

use crate::allow::Right;
use crate::error::{ConfigError, Place, Warning};
use crate::store::{Role, RoleStore};
use crate::{Config, file, names};
use qmail_lookup_backends::trust::Proof;
use qmail_lookup_core::settings::Rehash;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the daemon has, so that the drop-ins, who wait 6 s, hear its reason.
const DEADLINE_USUAL: Duration = Duration::from_secs(5);

/// A cache this old surprises people who edit the tables.
const TTL_LONG: Duration = Duration::from_secs(3600);

/// Looks through the settings. Reads no store; looks up the users and groups that are named.
pub(crate) fn settings(config: &Config) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut unwise = |key: &str, text: String| found.push(Warning::unwise(config.layers.place(key), key, text));
    for (key, smallest) in [("rules.min_uid", config.rules.min_uid), ("rules.min_gid", config.rules.min_gid)] {
        if smallest < 100 {
            unwise(key, format!("{smallest} lets rows name ids of the system's own accounts; usual is 100"));
        }
    }
    if config.rules.break_chars.is_empty() {
        unwise("rules.break", "empty, so no address has an extension (user-ext)".to_owned());
    }
    if config.rules.break_chars.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        unwise("rules.break", "a letter or digit divides ordinary names into user and extension".to_owned());
    }
    if config.deadline > DEADLINE_USUAL {
        unwise("store.deadline", "longer than 5s: qmail's programs stop waiting after 6s and defer".to_owned());
    }
    if config.cache.ttl > TTL_LONG {
        unwise("cache.ttl", "longer than 1h: an edit made elsewhere is seen only after that time".to_owned());
    }
    let mailbox = config.store.role(Role::Mailbox);
    if config.auth.rehash != Rehash::Off && mailbox.kind == "ldap" {
        unwise("auth.rehash", "does nothing: the passwords of an ldap store are left to the directory".to_owned());
    }
    let asked_about_logins = |(_, rights): &(_, &Vec<Right>)| rights.contains(&Right::Userdb);
    if let (None, Some((user, _))) = (&config.daemon.auth_group, config.daemon.allow.iter().find(asked_about_logins)) {
        let text = "userdb is asked at the auth socket, which only root can reach while auth_group is not set";
        unwise(&format!("daemon.allow.{user}"), text.to_owned());
    }
    found.extend(names::check(config));
    if mailbox.proof == Proof::NotEmpty {
        let text = "not set: a mailbox table that lost most of its rows would bounce their mail";
        let warning = Warning::unwise(config.layers.place(&mailbox.table), format!("{}.canary", mailbox.table), text);
        found.push(warning.with_help("name a mailbox that always exists, for example canary = \"postmaster\""));
    }
    for store in [Role::Alias, Role::Virtual].map(|role| config.store.role(role)) {
        if store.proof == Proof::None {
            let text = "not set: this store's \"none\" is believed unproved, be it empty or the wrong one";
            let warning = Warning::unwise(config.layers.place(&store.table), format!("{}.canary", store.table), text);
            found.push(warning.with_help("give it a table mailbox with one row and name that"));
        }
    }
    let mut named: Vec<&str> = Vec::new();
    for store in [Role::Alias, Role::Virtual].map(|role| config.store.role(role)) {
        if named.contains(&store.table.as_str()) {
            continue;
        }
        named.push(&store.table);
        if matches!(store.proof, Proof::Canary(_)) && !store.same_backend(mailbox) {
            let path = format!("{}.canary", store.table);
            let text = "this mailbox must be in this store too, although mailboxes are looked up in another one";
            found.push(Warning::unwise(config.layers.place(&path), path, text));
        }
    }
    for (index, role) in Role::ALL.into_iter().enumerate() {
        let store = config.store.role(role);
        let before = Role::ALL.into_iter().take(index).map(|role| config.store.role(role));
        if !before.into_iter().any(|other| other.same_backend(store)) {
            account(config, store, &mut found);
        }
    }
    found
}

/// Looks at how the store is reached.
fn account(config: &Config, store: &RoleStore, found: &mut Vec<Warning>) {
    let text_of = |key: &str| store.settings.get(key).and_then(Value::as_str);
    let mut unwise = |key: &str, text: &str, help: &str| {
        let path = store.path_of(key);
        found.push(Warning::unwise(config.layers.place(&path), path, text).with_help(help));
    };
    if text_of("user") == Some("root") {
        let help = "make a user who may only SELECT";
        unwise("user", "root may change and drop every table; lookups need SELECT only", help);
    }
    let servers = store.settings.get("servers").and_then(Value::as_array).into_iter().flatten();
    if servers.filter_map(Value::as_str).any(|server| !stays_here(server)) {
        match text_of("tls") {
            Some("off") => unwise("tls", "rows and hashes cross the network unencrypted", "set tls = \"verify\""),
            Some("require") => {
                unwise("tls", "anybody between here and the server can be the server", "set tls = \"verify\"");
            }
            _ => {}
        }
    }
}

impl Config {
    /// The files that hold a store's password.
    #[must_use]
    pub fn secret_files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        for store in Role::ALL.map(|role| self.store.role(role)) {
            files.extend(store.settings.get("password_file").and_then(Value::as_str).map(PathBuf::from));
            if let Place::File { path, .. } = self.place(&store.path_of("password"))
                && store.settings.contains_key("password")
            {
                files.insert(path);
            }
        }
        files
    }
}

/// True if what is sent to `server` cannot leave this machine.
fn stays_here(server: &str) -> bool {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host).trim_matches(['[', ']']);
    let socket = server.starts_with('/') || server.starts_with("unix:") || server.starts_with("ldapi:");
    socket || host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Judges who can read the secrets: the files that were read, with their modes, and every `password_file`.
///
/// # Errors
/// With `strict_permissions`, on the first that everybody can read.
pub(crate) fn permissions(config: &Config, files: &[(Option<Warning>, bool)]) -> Result<Vec<Warning>, ConfigError> {
    let mut found: Vec<(Warning, bool)> = Vec::new();
    for (warning, secret) in files {
        found.extend(warning.clone().map(|warning| (warning, *secret)));
    }
    let mut seen = Vec::new();
    for store in Role::ALL.map(|role| config.store.role(role)) {
        let Some(path) = store.settings.get("password_file").and_then(Value::as_str) else { continue };
        if seen.contains(&path) {
            continue;
        }
        seen.push(path);
        // A file that is not there is the store's to report.
        let Ok(facts) = std::fs::metadata(path) else { continue };
        let mode = std::os::unix::fs::PermissionsExt::mode(&facts.permissions()) & 0o7777;
        found.extend(file::judge(Path::new(path), mode, "a password").map(|warning| (warning, mode & 0o004 != 0)));
    }
    if let Some((warning, _)) = found.iter().find(|(_, secret)| *secret && config.strict_permissions) {
        let error =
            ConfigError::new(warning.place.clone(), "", format!("{}, and strict_permissions is set", warning.text));
        return Err(error.with_help(warning.help.clone().unwrap_or_default()));
    }
    Ok(found.into_iter().map(|(warning, _)| warning).collect())
}
