//! The second file: what counts of it, and what does not.

use crate::ShadowStores;
use crate::load::Sources;
use qmail_lookup_backends::registry::Registry;
use std::path::Path;
use std::time::Duration;

/// The shadow of a configuration with `[shadow]` holding `own`, and a second file `second.toml` holding `second`.
fn shadow(own: &str, second: &str, env: &[(&str, &str)]) -> Option<Result<ShadowStores, String>> {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let other = write("second.toml", second.to_owned());
    let own = own.replace("SECOND", &other.display().to_string());
    let config =
        write("first.toml", format!("[store]\nkind = \"sqlite\"\npath = \"/first.sqlite\"\n[shadow]\n{own}\n"));
    let env = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let sources = Sources { config: Some(config), env, ..Sources::default() };
    match crate::load(&sources, &Registry::builtin()) {
        Ok(config) => config.open_shadow(&Registry::builtin()).map(|opened| opened.map_err(|error| error.to_string())),
        Err(error) => Some(Err(error.to_string())),
    }
}

const SECOND: &str = "config = \"SECOND\"";

#[test]
fn only_the_store_of_the_second_file_counts_and_the_environment_is_about_the_first() {
    assert!(shadow("", "", &[]).is_none());
    let second = "[store]\nkind = \"sqlite\"\npath = \"/second.sqlite\"\ndeadline = \"3s\"\n[cache]\nttl = \"1h\"";
    let env = [("QMAIL_LOOKUP_STORE__PATH", "/third.sqlite"), ("QMAIL_LOOKUP_STORE__DEADLINE", "9s")];
    let opened = shadow(SECOND, second, &env).unwrap().unwrap();
    assert_eq!(opened.deadline, Duration::from_secs(3));
    let place = opened.stores.mailbox.place();
    assert!(place.contains("/second.sqlite"), "{place}");
    assert!(std::sync::Arc::ptr_eq(&opened.stores.mailbox, &opened.stores.virtuals));
}

#[test]
fn what_is_wrong_with_the_second_file_is_said_with_its_name() {
    let error = |own: &str, second: &str| shadow(own, second, &[]).unwrap().err().unwrap();
    assert!(error(SECOND, "[store]\nkind = \"nosuch\"").contains("second.toml"));
    assert!(error(SECOND, "[store]\nkind = \"sqlite\"").contains("second.toml"));
    assert!(error("config = \"/nowhere/at-all.toml\"", "").contains("/nowhere/at-all.toml"));
    assert!(error("config = \"second.toml\"", "").contains("not an absolute path"));
    assert!(error(&format!("{SECOND}\nparallel = 0"), "").contains("shadow.parallel"));
    assert!(error(&format!("{SECOND}\nqueue = 100001"), "").contains("shadow.queue"));
    assert!(!Path::new("/second.sqlite").exists());
}
