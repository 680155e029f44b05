//! Whatever is asked for, every filter of every mapping parses, and holds no byte of a key unescaped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_lookup_backends::registry::{OpenContext, Registry, Settings};
use qmail_lookup_core::rules::Ask;
use qmail_lookup_core::{AliasKey, Backend, Ext, Host, Username, VirtualKey, VirtualUser};
use std::sync::{Arc, LazyLock};

static STORES: LazyLock<Vec<Arc<dyn Backend>>> = LazyLock::new(|| {
    let open = |mapping: &str| {
        let settings: Settings = [
            ("servers", serde_json::json!(["ldapi:///nonexistent"])),
            ("base", "dc=test".into()),
            ("mapping", mapping.into()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        (Registry::builtin().find("ldap").unwrap().open)(settings, &OpenContext::default()).unwrap()
    };
    ["native", "qmail-ldap", "posix"].map(open).into()
});

fuzz_target!(|keys: (Vec<u8>, Vec<u8>)| {
    let (one, other) = keys;
    let (Some(name), Some(ext), Some(host)) = (Username::new(&one), Ext::new(&other), Host::new(&other)) else {
        return;
    };
    let mut virtuals = vec![VirtualKey::Patterns { host: host.clone() }, VirtualKey::Any { host: host.clone() }];
    virtuals.extend(VirtualUser::new(&one).map(|user| VirtualKey::Exact { host: host.clone(), user }));
    let asks = [
        Ask::Mailboxes(vec![name.clone()]),
        Ask::Aliases(vec![AliasKey { username: name, alias: ext }]),
        Ask::Virtuals(virtuals),
        Ask::Rcpthosts(vec![host]),
    ];
    for (n, store) in STORES.iter().enumerate() {
        for ask in &asks {
            let text = store.query_text(ask);
            let words = text.split_whitespace().map(|word| word.trim_matches('\''));
            let filters: Vec<_> = words.filter(|word| word.starts_with('(')).collect();
            // The native mapping has all tables, so it always asks something.
            assert!(n > 0 || !filters.is_empty(), "{text}");
            for filter in filters {
                assert!(ldap3::parse_filter(filter).is_ok(), "{filter}");
            }
        }
    }
});
