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
        std::fs::write(&path, text.replace("HOME", &directory.path().display().to_string())).unwrap();
        path
    };
    let other = write("second.toml", second.to_owned());
    let own = own.replace("SECOND", &other.display().to_string());
    // qmail's home of a second file that says so.
    std::fs::create_dir(directory.path().join("control")).unwrap();
    write("control/sqlserver", "server db\nlogin qmail\ndb qmail\npassword x\n".to_owned());
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

#[test]
fn control_sqlserver_is_never_asked_in_the_place_of_a_missing_table() {
    let error = |second: &str| shadow(SECOND, second, &[]).unwrap().err().unwrap();
    let without = error("qmail = \"HOME\"");
    assert!(without.contains("second.toml: no table [store]") && without.contains("control/sqlserver"), "{without}");
    assert!(error("qmail = \"HOME\"\n[store]\n").contains("no store is chosen"));
}

#[test]
fn its_stores_are_named_and_so_are_those_that_are_our_own() {
    let opened = |second: &str| shadow(SECOND, second, &[]).unwrap().unwrap();
    let about = |opened: &ShadowStores| {
        let own =
            opened.warnings.iter().map(ToString::to_string).filter(|text| text.contains("the daemon's own store"));
        own.collect::<Vec<_>>().join("\n")
    };
    let other = opened("[store]\nkind = \"sqlite\"\npath = \"/second.sqlite\"");
    assert!(other.lines[0].starts_with("second store, mailbox, alias, virtual: "), "{:?}", other.lines);
    assert!(other.lines[0].contains("/second.sqlite") && other.lines.len() == 1, "{:?}", other.lines);
    assert_eq!(about(&other), "");
    // Other settings, and the same rows.
    let same = opened("[store]\nkind = \"sqlite\"\npath = \"/first.sqlite\"\nthreads = 3");
    assert!(
        about(&same).contains("second.toml") && about(&same).contains("mailbox, alias, virtual"),
        "{}",
        about(&same)
    );
    let mysql = "[store]\nkind = \"mysql\"\nservers = [\"db:3306\"]\nuser = \"u\"\ndatabase = \"mail\"\n\
                 password = \"hunter2\"\ntls = \"off\"\n[store.alias]\nkind = \"sqlite\"\npath = \"/first.sqlite\"";
    let partly = opened(mysql);
    assert!(about(&partly).contains("own store, too, of alias:"), "{}", about(&partly));
    let lines = partly.lines.join("\n");
    assert!(lines.contains("mailbox, virtual: mysql db:3306, database mail") && !lines.contains("hunter2"), "{lines}");
}
