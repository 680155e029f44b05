use super::*;
use serde_json::json;

fn plan(store: &Value) -> Result<Plan, Refusal> {
    Plan::read(store.as_object().unwrap(), &Registry::builtin())
}

fn settings(store: &RoleStore) -> Value {
    Value::Object(store.settings.clone())
}

fn canary(name: &str) -> Proof {
    Proof::Canary(Username::new(name.as_bytes()).unwrap())
}

#[test]
fn one_table_serves_all_roles_with_one_backend_and_one_proof() {
    let plan = plan(&json!({"kind": "sqlite", "path": "/db", "canary": "Postmaster", "deadline": "2s"})).unwrap();
    for role in Role::ALL {
        let store = plan.role(role);
        assert_eq!((store.kind.as_str(), store.table.as_str()), ("sqlite", "store"));
        assert_eq!(settings(store), json!({"path": "/db"}));
        assert_eq!(store.proof, canary("postmaster"));
        assert!(store.same_backend(plan.role(Role::Mailbox)));
    }
    assert_eq!(plan.deadline, Duration::from_secs(2));
}

#[test]
fn without_a_canary_the_mailbox_table_must_not_be_empty() {
    let plan = plan(&json!({"kind": "sqlite", "path": "/db", "virtual": {"path": "/other"}})).unwrap();
    assert_eq!(plan.role(Role::Mailbox).proof, Proof::NotEmpty);
    assert_eq!(plan.role(Role::Alias).proof, Proof::NotEmpty);
    assert_eq!(plan.role(Role::Virtual).proof, Proof::None);
    assert_eq!(plan.deadline, DEFAULT_DEADLINE);
}

#[test]
fn an_override_of_the_same_kind_is_merged() {
    let store = json!({"kind": "mysql", "user": "u", "database": "a", "password": "p", "canary": "x",
        "mailbox": {"database": "b"}, "alias": {"kind": "mysql", "password_file": "/p"}});
    let plan = plan(&store).unwrap();
    let mailbox = plan.role(Role::Mailbox);
    assert_eq!(settings(mailbox), json!({"user": "u", "database": "b", "password": "p"}));
    assert_eq!(
        (mailbox.path_of("user"), mailbox.path_of("database")),
        ("store.user".into(), "store.mailbox.database".into())
    );
    assert_eq!(
        (mailbox.path_of("servers[1]"), mailbox.path_of("")),
        ("store.mailbox.servers[1]".into(), "store.mailbox".into())
    );
    assert_eq!(mailbox.proof, canary("x"));
    let alias = plan.role(Role::Alias);
    assert_eq!(settings(alias), json!({"user": "u", "database": "a", "password_file": "/p"}));
    assert_eq!(alias.proof, canary("x"));
    assert_eq!(plan.role(Role::Virtual).proof, canary("x"));
}

#[test]
fn an_override_of_another_kind_starts_empty() {
    let store = json!({"kind": "mysql", "user": "u", "database": "a", "canary": "x",
        "mailbox": {"kind": "sqlite", "path": "/db"},
        "virtual": {"kind": "sqlite", "path": "/db", "canary": "y"}});
    let plan = plan(&store).unwrap();
    let (mailbox, virtuals) = (plan.role(Role::Mailbox), plan.role(Role::Virtual));
    assert_eq!(settings(mailbox), json!({"path": "/db"}));
    assert_eq!(mailbox.proof, Proof::NotEmpty);
    assert!(mailbox.same_backend(virtuals));
    assert_eq!(virtuals.proof, canary("y"));
    assert_eq!(plan.role(Role::Alias).kind, "mysql");
}

#[test]
fn a_store_may_be_given_by_overrides_alone() {
    let own = json!({"kind": "sqlite", "path": "/db"});
    assert!(plan(&json!({"mailbox": own, "alias": own, "virtual": own})).is_ok());
    let refusal = plan(&json!({"mailbox": own, "alias": own})).unwrap_err();
    assert_eq!(
        (refusal.key.as_str(), refusal.problem.as_str()),
        ("store.kind", "missing; expected one of mysql, sqlite, ldap, memory")
    );
}

#[test]
fn refusals_name_the_key_and_never_a_secret() {
    for (store, key, problem) in [
        (json!({"kind": "sqlit"}), "store.kind", "not a kind of store; expected one of mysql, sqlite, ldap, memory"),
        (json!({"kind": 1}), "store.kind", "not a kind of store; expected one of mysql, sqlite, ldap, memory"),
        (json!({"kind": "memory", "alias": 1}), "store.alias", "expected a table [store.alias]"),
        (json!({"kind": "mysql", "password": 12345}), "store.password", "expected text: put the value into quotes"),
        (
            json!({"kind": "mysql", "alias": {"password": [12345]}}),
            "store.alias.password",
            "expected text: put the value into quotes",
        ),
        (
            json!({"kind": "memory", "canary": "a b"}),
            "store.canary",
            "not a mailbox name in quotes: 1 to 128 printable ASCII bytes, no blanks",
        ),
        (
            json!({"kind": "memory", "mailbox": {"deadline": "1s"}}),
            "store.mailbox.deadline",
            "belongs into [store]: it is for a whole question, whichever stores are asked",
        ),
        (
            json!({"kind": "memory", "deadline": "61s"}),
            "store.deadline",
            "out of range; expected more than 0s and at most 60s",
        ),
        (
            json!({"kind": "memory", "deadline": "0s"}),
            "store.deadline",
            "out of range; expected more than 0s and at most 60s",
        ),
        (
            json!({"kind": "memory", "deadline": 5}),
            "store.deadline",
            "invalid type: integer `5`, expected a length of time in quotes, such as \"5s\" or \"500ms\"",
        ),
    ] {
        let refusal = plan(&store).unwrap_err();
        assert_eq!((refusal.key.as_str(), refusal.problem.as_str()), (key, problem));
        assert_eq!(refusal.unknown, None);
    }
}

#[test]
fn unknown_keys_of_the_kind_are_refused_with_the_known_ones() {
    for (store, key, known) in [
        (json!({"kind": "sqlite", "paht": "x"}), "store.paht", vec!["path", "deadline"]),
        (json!({"kind": "mysql", "path": "x"}), "store.path", vec!["servers", "user", "database", "kind"]),
        (json!({"kind": "mysql", "alias": {"bse": "x"}}), "store.alias.bse", vec!["servers", "canary"]),
        (json!({"kind": "memory", "deadlin": "1s"}), "store.deadlin", vec!["deadline", "kind", "mailbox"]),
    ] {
        let refusal = plan(&store).unwrap_err();
        assert_eq!(refusal.key, key);
        let found = refusal.unknown.unwrap();
        assert!(known.iter().all(|known| found.iter().any(|found| found == known)), "{key}: {found:?}");
    }
}

#[test]
fn debug_output_shows_no_value() {
    let plan = plan(&json!({"kind": "mysql", "user": "u", "password": "hunter2", "database": "d"})).unwrap();
    let shown = format!("{plan:?}");
    assert!(shown.contains("password") && !shown.contains("hunter2"), "{shown}");
}
