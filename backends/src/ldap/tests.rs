//! Tests without a server.

use super::filter::{self, escaped};
use super::mapping::Mapping;
use super::rows::{self, Entry};
use super::settings::{Address, Auth, Settings, Tls};
use super::{entry, url};
use crate::cells;
use crate::question::Question;
use ldap3::asn1::{ASNTag as _, PL, StructureTag};
use proptest::prelude::*;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{AliasKey, Ext, Host, Table, TableRow, Username, VirtualKey, VirtualUser};
use serde_json::{Value, json};

fn read(value: &Value) -> Result<Settings, crate::registry::SettingsError> {
    Settings::read(value.as_object().cloned().unwrap())
}

#[test]
fn a_base_is_enough() {
    let settings = read(&json!({"base": "dc=x"})).unwrap();
    assert_eq!(settings.servers.len(), 1);
    assert_eq!(
        (&settings.servers[0].at, settings.servers[0].tls),
        (&Address::Socket("/run/slapd/ldapi".into()), Tls::Off)
    );
    assert!(settings.bind.is_none() && settings.auth == Auth::Bind && *settings.mapping == Mapping::native("dc=x"));
}

#[test]
fn encryption_follows_the_address_unless_it_is_set() {
    let tls = |server: &str, tls: Option<&str>| {
        let mut value = json!({"base": "dc=x", "auth": "compare", "servers": [server]});
        if let Some(tls) = tls {
            value["tls"] = tls.into();
        }
        read(&value).map(|settings| settings.servers[0].tls).map_err(|error| error.key)
    };
    for local in ["ldapi:///", "ldap://127.0.0.1", "ldap://[::1]:3890", "ldap://localhost"] {
        assert_eq!(tls(local, None), Ok(Tls::Off), "{local}");
    }
    for far in ["ldap://db.example", "ldaps://db.example", "ldaps://127.0.0.1:6360"] {
        assert_eq!(tls(far, None), Ok(Tls::Verify), "{far}");
    }
    assert_eq!(tls("ldap://db.example", Some("off")), Ok(Tls::Off));
    assert_eq!(tls("ldapi:///", Some("verify")), Ok(Tls::Off));
    assert_eq!(tls("ldap://127.0.0.1", Some("verify")), Ok(Tls::Verify));
    assert_eq!(tls("ldaps://db.example", Some("require")), Ok(Tls::Require));
    assert_eq!(tls("ldaps://db.example", Some("off")), Err("tls".to_owned()));
    assert_eq!(tls("ldap://[2001:db8::1]", None), Err("servers".to_owned()));
    // A bind hands the user's password to whoever answers, and believes the answer.
    for word in ["off", "require"] {
        let far = json!({"base": "dc=x", "auth": "bind", "servers": ["ldap://db.example"], "tls": word});
        assert_eq!(read(&far).map_err(|error| error.key).err().as_deref(), Some("tls"), "{word}");
    }
}

#[test]
fn bad_settings_name_their_key_and_hide_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, newline, latin, good) =
        (file("empty", b""), file("newline", b"\n"), file("latin", b"\xe9\n"), file("good", b"secret\n"));
    let bad = [
        ("base", json!({})),
        ("base", json!({"base": ""})),
        ("colour", json!({"base": "dc=x", "colour": 1})),
        ("servers", json!({"base": "dc=x", "servers": []})),
        ("servers", json!({"base": "dc=x", "servers": ["db.example"]})),
        ("servers", json!({"base": "dc=x", "servers": ["http://db.example"]})),
        ("servers", json!({"base": "dc=x", "servers": ["ldap://cn=a:hunter2@db.example"]})),
        ("servers", json!({"base": "dc=x", "servers": ["ldap://db.example:0"]})),
        ("servers", json!({"base": "dc=x", "servers": ["ldap://a b"]})),
        ("servers", json!({"base": "dc=x", "servers": ["ldapi://relative"]})),
        ("tls", json!({"base": "dc=x", "servers": ["ldap://db.example"], "tls": "off"})),
        ("tls", json!({"base": "dc=x", "servers": ["ldap://db.example"], "tls": "off", "auth": "bind"})),
        ("tls_ca", json!({"base": "dc=x", "tls_ca": "/nonexistent"})),
        ("tls_ca", json!({"base": "dc=x", "tls_ca": good})),
        ("auth", json!({"base": "dc=x", "auth": "both"})),
        ("connections", json!({"base": "dc=x", "connections": 0})),
        ("connections", json!({"base": "dc=x", "connections": 5})),
        ("password_file", json!({"base": "dc=x", "bind_dn": "cn=a", "password_file": "/nonexistent"})),
        ("password_file", json!({"base": "dc=x", "bind_dn": "cn=a", "password_file": empty})),
        ("password_file", json!({"base": "dc=x", "bind_dn": "cn=a", "password_file": newline})),
        ("password_file", json!({"base": "dc=x", "bind_dn": "cn=a", "password_file": latin})),
        ("password_file", json!({"base": "dc=x", "bind_dn": "cn=a"})),
        ("password_file", json!({"base": "dc=x", "bind_dn": "cn=a", "password": "hunter2", "password_file": good})),
        ("password", json!({"base": "dc=x", "bind_dn": "cn=a", "password": ""})),
        ("bind_dn", json!({"base": "dc=x", "password": "hunter2"})),
        ("mapping", json!({"base": "dc=x", "mapping": "other"})),
    ];
    for (key, value) in bad {
        let error = read(&value).unwrap_err();
        assert!(error.key == key || error.problem.contains(key), "{value}: {error:?}");
        assert!(!error.problem.contains("hunter2"), "{error:?}");
        assert_eq!(error.known, super::settings::KNOWN);
    }
    let settings = read(&json!({"base": "dc=x", "bind_dn": "cn=a", "password_file": good})).unwrap();
    assert_eq!(settings.bind.as_ref().unwrap().password.expose(), b"secret");
    assert!(!format!("{settings:?}").contains("secret\""));
}

#[test]
fn a_socket_is_written_as_a_path_or_escaped() {
    for text in ["ldapi:///tmp/x/ldapi", "ldapi://%2Ftmp%2Fx%2Fldapi", "ldapi://%2ftmp%2fx%2fldapi/"] {
        assert_eq!(Address::parse(text), Ok(Address::Socket("/tmp/x/ldapi".into())), "{text}");
    }
    let place = |text: &str| Address::parse(text).map(|at| at.to_string());
    assert_eq!(place("ldaps://db.example"), Ok("ldaps db.example:636".to_owned()));
    assert_eq!(place("ldap://[::1]"), Ok("ldap [::1]:389".to_owned()));
}

#[test]
fn a_url_is_settings() {
    let settings = |rest: &str| url::settings(rest).map(Value::Object).map_err(|error| error.key);
    let socket =
        "ldapi://%2Frun%2Fx%2Fldapi/dc=qmail,dc=test?bind_dn=cn=qmail,dc=test&password_file=/p%20w&mapping=posix";
    let want = json!({
        "servers": ["ldapi://%2Frun%2Fx%2Fldapi"], "base": "dc=qmail,dc=test",
        "bind_dn": "cn=qmail,dc=test", "password_file": "/p w", "mapping": "posix",
    });
    assert_eq!(settings(socket), Ok(want.clone()));
    assert!(read(&json!({"base": want["base"], "servers": want["servers"]})).is_ok());
    assert_eq!(settings("//db:3890/dc=x"), Ok(json!({"servers": ["ldap://db:3890"], "base": "dc=x"})));
    assert_eq!(settings("ldaps://db"), Ok(json!({"servers": ["ldaps://db"]})));
    assert_eq!(
        settings("//db/ou=a%3Fb+c?tls=require"),
        Ok(json!({"servers": ["ldap://db"], "base": "ou=a?b+c", "tls": "require"}))
    );
    let bad = [
        ("password", "//cn=a:hunter2@db/dc=x"),
        ("password", "//db/dc=x?password=hunter2"),
        ("colour", "//db/dc=x?colour=red"),
        ("", "/dc=x"),
        ("", "//db/dc=x?sub?uid"),
        ("", "//db/dc=x#a"),
        ("", "//db/dc=%zz"),
    ];
    for (key, url) in bad {
        assert_eq!(settings(url), Err(key.to_owned()), "{url}");
    }
}

fn host(text: &str) -> Host {
    Host::new(text.as_bytes()).unwrap()
}

fn exact(of: &str, user: &str) -> VirtualKey {
    VirtualKey::Exact { host: host(of), user: VirtualUser::new(user.as_bytes()).unwrap() }
}

fn alias_key(user: &str, ext: &str) -> AliasKey {
    AliasKey { username: Username::new(user.as_bytes()).unwrap(), alias: Ext::new(ext.as_bytes()).unwrap() }
}

fn filters(question: &Question, mapping: &Mapping) -> Vec<String> {
    let searches = filter::searches(question, mapping, None);
    for search in &searches {
        assert!(ldap3::parse_filter(&search.filter).is_ok(), "{}", search.filter);
    }
    searches.into_iter().map(|search| search.filter).collect()
}

#[test]
fn one_question_is_one_search() {
    let native = Mapping::native("dc=x");
    let names =
        ["iain-list-a", "iain-list", "iain"].iter().map(|name| Username::new(name.as_bytes()).unwrap()).collect();
    assert_eq!(
        filters(&Question::Mailboxes(names), &native),
        ["(&(objectClass=qlookMailbox)(|(qlookUser=iain)(qlookUser=iain\\2dlist)(qlookUser=iain\\2dlist\\2da)))"]
    );
    let aliases = vec![alias_key("iain", ""), alias_key("iain", "@"), alias_key("alias", "x")];
    let asked = filters(&Question::Aliases(aliases), &native);
    assert_eq!(
        asked,
        ["(&(objectClass=qlookAliasRow)(|(&(qlookUser=alias)(qlookAlias=x))\
          (&(qlookUser=iain)(|(qlookAlias=\\40)(|(!(qlookAlias=*))(qlookAlias=))))))"]
    );
    let virtuals = vec![exact("f.com", "a"), exact("f.com", ""), VirtualKey::Any { host: host("f.com") }];
    let asked = filters(&Question::Virtuals(virtuals), &native);
    assert_eq!(asked.len(), 2, "a row of any kind is searched beside the others, so that one entry is enough");
    assert!(asked[0].contains("(|(qlookVirtualPattern=a)(qlookVirtualUser=a))"), "{asked:?}");
    assert_eq!(asked[1], "(&(objectClass=qlookVirtual)(qlookVirtualHost=f\\2ecom))");
    let text = filter::text(&Question::Rcpthosts(vec![host("a.b")]), &native);
    assert_eq!(text, "-b 'ou=rcpthosts,dc=x' '(&(objectClass=qlookRcpt)(qlookRcptHost=a\\2eb))'");
}

#[test]
fn passwords_are_asked_for_only_by_logins() {
    for mapping in [Mapping::native("dc=x"), Mapping::qmail_ldap("dc=x"), Mapping::posix("dc=x")] {
        let names = vec![Username::new(b"iain").unwrap()];
        let asks = |question: Question| {
            let searches = filter::searches(&question, &mapping, None);
            searches.iter().any(|search| search.attributes.iter().any(|name| name == "userPassword"))
        };
        assert!(!asks(Question::Mailboxes(names.clone())) && asks(Question::Credentials(names)));
        assert!(!asks(Question::AnyMailbox) && !asks(Question::Aliases(vec![alias_key("iain", "")])));
    }
}

#[test]
fn other_schemas_are_asked_in_their_own_words() {
    let qmail_ldap = Mapping::qmail_ldap("dc=x");
    let virtuals = vec![exact("f.com", "bob"), exact("f.com", "")];
    assert_eq!(
        filters(&Question::Virtuals(virtuals), &qmail_ldap),
        ["(&(objectClass=qmailUser)(|(|(mail=bob\\40f\\2ecom)(mailAlternateAddress=bob\\40f\\2ecom))\
          (|(mail=catchall\\40f\\2ecom)(mailAlternateAddress=catchall\\40f\\2ecom))))"]
    );
    let any = filters(&Question::Virtuals(vec![VirtualKey::Any { host: host("f.com") }]), &qmail_ldap);
    assert_eq!(any, ["(&(objectClass=qmailUser)(|(mail=*\\40f\\2ecom)(mailAlternateAddress=*\\40f\\2ecom)))"]);
    let aliases = Question::Aliases(vec![alias_key("bob", ""), alias_key("bob", "x")]);
    assert_eq!(filters(&aliases, &qmail_ldap), ["(&(objectClass=qmailUser)(uid=bob))"]);
    assert!(filters(&Question::Aliases(vec![alias_key("bob", "x")]), &qmail_ldap).is_empty());
    let posix = Mapping::posix("dc=x");
    assert_eq!(
        filters(&Question::Aliases(vec![alias_key("alias", "staff")]), &posix),
        ["(&(objectClass=nisMailAlias)(cn=staff))"]
    );
    assert!(filters(&Question::Aliases(vec![alias_key("bob", "staff"), alias_key("alias", "")]), &posix).is_empty());
}

fn primitive(class: ldap3::asn1::TagClass, id: u64, bytes: &[u8]) -> StructureTag {
    StructureTag { class, id, payload: PL::P(bytes.to_vec()) }
}

/// The value of the only equality in a filter, as it goes over the wire.
fn value_of(filter: &str) -> Option<Vec<u8>> {
    fn find(tag: &StructureTag) -> Option<Vec<u8>> {
        let PL::C(parts) = &tag.payload else { return None };
        match (tag.id, parts.as_slice()) {
            (3, [_, value]) => match &value.payload {
                PL::P(bytes) => Some(bytes.clone()),
                PL::C(_) => None,
            },
            _ => parts.iter().find_map(find),
        }
    }
    find(&ldap3::parse_filter(filter).ok()?.into_structure())
}

proptest! {
    #[test]
    fn any_bytes_are_a_value_and_never_syntax(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let filter = format!("(uid={})", escaped(&bytes));
        prop_assert_eq!(value_of(&filter), Some(bytes));
    }

    #[test]
    fn any_key_is_found_again_in_its_filter(bytes in proptest::collection::vec(0x21_u8..0x7f, 1..40)) {
        let name = Username::new(&bytes).unwrap();
        let question = Question::Mailboxes(vec![name.clone()]);
        let asked = filters(&question, &Mapping::posix("dc=x"));
        let key = asked[0].strip_prefix("(&(objectClass=posixAccount)").and_then(|rest| rest.strip_suffix(")")).unwrap();
        prop_assert_eq!(value_of(key), Some(name.as_bytes().to_vec()));
    }

    #[test]
    fn a_line_gives_the_instruction_that_it_says(line in "[&./|]?[a-z@./& ]{0,8}") {
        let attributes = [("qlookUser", "u"), ("qlookSeq", "1"), ("qlookInstruction", line.as_str())];
        let found = alias_rows(&Mapping::native("dc=x"), "", &attributes);
        let TableRow::Alias(row) = &found[0] else { panic!("no alias row") };
        let read = row.instruction(b"/h", &RuleSettings::default());
        if let Ok(instruction) = read {
            let wanted = match line.as_bytes().first() {
                Some(b'&' | b'.' | b'/' | b'|') => line.clone(),
                _ => format!("&{line}"),
            };
            let wanted = wanted.strip_suffix('@').filter(|rest| rest.starts_with('&')).unwrap_or(&wanted);
            let said = String::from_utf8(instruction.to_line()).unwrap();
            prop_assert_eq!(said, wanted.trim_end_matches([' ', '\t']));
        }
    }
}

fn entry_of(attributes: &[(&str, &str)]) -> Entry {
    let mut read = entry::Attributes::default();
    for (name, value) in attributes {
        read.add(name, value.as_bytes().to_vec());
    }
    Entry { dn: "cn=e,dc=x".to_owned(), attributes: read }
}

fn answer(question: &Question, mapping: &Mapping, entries: &[&[(&str, &str)]]) -> Vec<Vec<String>> {
    let entries = entries.iter().map(|attributes| (false, entry_of(attributes)));
    let found = rows::answer(question, mapping, entries);
    let text =
        |cell: Option<Vec<u8>>| cell.map_or_else(|| "NULL".to_owned(), |bytes| String::from_utf8(bytes).unwrap());
    found.into_iter().map(|row| row.cells.into_iter().map(text).collect()).collect()
}

fn alias_rows(mapping: &Mapping, ext: &str, attributes: &[(&str, &str)]) -> Vec<TableRow> {
    let found = rows::answer(&Question::Aliases(vec![alias_key("u", ext)]), mapping, [(false, entry_of(attributes))]);
    found.into_iter().map(|row| TableRow::from_cells(Table::Alias, row.cells)).collect()
}

/// The lines that the rules make of an entry of user `u`; `Err` if they refuse it.
fn lines(mapping: &Mapping, attributes: &[(&str, &str)]) -> Result<Vec<String>, &'static str> {
    let rows: Vec<_> = alias_rows(mapping, "", attributes)
        .into_iter()
        .map(|row| match row {
            TableRow::Alias(row) => row,
            _ => panic!("no alias row"),
        })
        .collect();
    let read = qmail_lookup_core::alias::instructions(&rows, b"/h", &RuleSettings::default());
    read.map(|all| all.iter().map(|one| String::from_utf8(one.to_line()).unwrap()).collect()).map_err(|bad| bad.rule)
}

#[test]
fn native_instructions_are_those_of_the_tables() {
    let native = Mapping::native("dc=x");
    let of = |line: &str| lines(&native, &[("qlookUser", "U"), ("qlookInstruction", line)]).map(|lines| lines.concat());
    for line in ["./Maildir/", "/home/x/Mailbox", "|cmd a", "&user@host", "&bare", "&a@b@c.org"] {
        assert_eq!(of(line).as_deref(), Ok(line));
    }
    assert_eq!(of("user@host").as_deref(), Ok("&user@host"));
    // A forward never becomes a path or a program.
    for line in [".", "|", "/", "&.@h", "&/@etc", "&|@h", "&.", "&./x", "&|x", "&&x", "#x", "+x", "&@h", "&a b@c"] {
        assert_eq!(of(line), Err("A2"), "{line}");
    }
    assert_eq!(lines(&native, &[("qlookUser", "u"), ("qlookSeq", "1")]), Err("A2"), "a row without an instruction");
}

#[test]
fn native_mailboxes_are_read_as_stored() {
    let native = Mapping::native("dc=x");
    let question = Question::Mailboxes(vec![Username::new(b"iain").unwrap()]);
    let entry = [("qlookUser", "Iain"), ("qlookUid", "0800"), ("qlookGid", "100"), ("qlookHome", "/h")];
    let of = |suspended: Option<&str>| {
        let mut entry = entry.to_vec();
        entry.extend(suspended.map(|value| ("qlookSuspended", value)));
        answer(&question, &native, &[&entry]).concat()
    };
    assert_eq!(of(None), ["Iain", "0800", "100", "/h", "", "Password", "N"]);
    assert_eq!(of(Some("FALSE"))[6], "N");
    assert_eq!(of(Some("TRUE"))[6], "Y");
    assert!(answer(&question, &native, &[&[("qlookUser", "iain ")]]).is_empty(), "blanks are not trimmed");
}

#[test]
fn a_virtual_row_is_a_user_a_pattern_or_blank() {
    let native = Mapping::native("dc=x");
    let base = [("qlookVirtualHost", "f.com"), ("qlookUser", "iain")];
    let with = |more: &[(&'static str, &'static str)]| [base.to_vec(), more.to_vec()].concat();
    let entries = [
        with(&[("qlookVirtualUser", "sales"), ("qlookExt", "s")]),
        with(&[("qlookVirtualPattern", "a%")]),
        with(&[("qlookVirtualUser", "b_")]),
        with(&[]),
    ];
    let entries: Vec<_> = entries.iter().map(Vec::as_slice).collect();
    let users = |key: VirtualKey| {
        let rows = answer(&Question::Virtuals(vec![key]), &native, &entries);
        rows.into_iter().map(|row| row[1].clone()).collect::<Vec<_>>()
    };
    assert_eq!(users(exact("f.com", "sales")), ["sales"]);
    assert_eq!(users(exact("f.com", "a%")), ["a%"]);
    assert_eq!(users(exact("f.com", "")), [""]);
    assert_eq!(users(VirtualKey::Patterns { host: host("f.com") }), ["a%", "b_", ""]);
    assert_eq!(users(VirtualKey::Any { host: host("f.com") }).len(), 4);
    assert!(users(exact("other.com", "sales")).is_empty());
}

#[test]
fn qmail_ldap_accounts_are_mailboxes() {
    let mapping = Mapping::read(
        Some(json!({"from": "qmail-ldap", "mailbox": {
        "default_uid": 800, "default_gid": 801, "home_prefix": "/store/"}})),
        "dc=x",
    )
    .unwrap();
    let question = Question::Mailboxes(vec![Username::new(b"bob").unwrap()]);
    let of = |more: &[(&str, &str)]| {
        answer(&question, &mapping, &[&[&[("uid", "robert"), ("uid", "Bob")], more].concat()]).concat()
    };
    assert_eq!(of(&[("homeDirectory", "/h/bob"), ("mailMessageStore", "x/")])[..4], ["Bob", "800", "801", "/h/bob"]);
    assert_eq!(of(&[("mailMessageStore", "bob"), ("qmailUID", "900")])[..4], ["Bob", "900", "801", "/store/bob"]);
    assert_eq!(of(&[])[3], "NULL", "no home is for the rules to refuse");
    for (status, suspended) in [
        ("active", "N"),
        ("Active", "N"),
        ("NoAccess", "Y"),
        ("disabled", "bounce"),
        ("Deleted", "bounce"),
        ("new", "Y"),
    ] {
        assert_eq!(of(&[("accountStatus", status)])[6], suspended, "{status}");
    }
    assert_eq!(of(&[])[6], "N");
}

#[test]
fn qmail_ldap_deliveries_are_told_or_refused() {
    let mapping = Mapping::qmail_ldap("dc=x");
    let of = |more: &[(&str, &str)]| lines(&mapping, &[&[("uid", "u")], more].concat());
    let none: Result<Vec<String>, _> = Ok(Vec::new());
    let path = [("homeDirectory", "/h"), ("mailMessageStore", "/h/Maildir/")];
    let forward = ("mailForwardingAddress", "a@b.org");
    let program = ("deliveryProgramPath", "/bin/p");
    assert_eq!(of(&[]), none, "qmail's own files decide");
    assert_eq!(of(&[("homeDirectory", "/h")]), none);
    assert_eq!(of(&path).unwrap(), ["/h/Maildir/"]);
    assert_eq!(of(&[path[0], path[1], forward]).unwrap(), ["/h/Maildir/", "&a@b.org"]);
    assert_eq!(of(&[forward]), Err("A2"), "local delivery beside it is not known");
    assert_eq!(of(&[forward, ("deliveryMode", "NoLocal")]).unwrap(), ["&a@b.org"]);
    assert_eq!(of(&[forward, program, ("deliveryMode", "nolocal")]).unwrap(), ["&a@b.org"], "programs are off");
    let with_program = [forward, program, ("deliveryMode", "nolocal"), ("qmailDotMode", "ldapwithprog")];
    assert_eq!(of(&with_program).unwrap(), ["|/bin/p", "&a@b.org"]);
    assert_eq!(of(&[("deliveryMode", "nolocal")]), Err("A2"), "nothing to do is no success");
    assert_eq!(of(&[path[0], path[1], ("qmailDotMode", "both")]), Err("A2"));
    assert_eq!(of(&[path[0], path[1], forward, ("qmailDotMode", "DotOnly")]), none, "its files decide (rule A4)");
    assert_eq!(of(&[path[0], path[1], forward, ("qmailDotMode", "none")]).unwrap(), ["/h/Maildir/"]);
    let with_default =
        Mapping::read(Some(json!({"from": "qmail-ldap", "alias": {"local": {"default": "./Maildir/"}}})), "dc=x");
    let with_default = with_default.unwrap();
    assert_eq!(lines(&with_default, &[("uid", "u"), forward]).unwrap(), ["./Maildir/", "&a@b.org"]);
    assert_eq!(lines(&with_default, &[("uid", "u")]).unwrap(), ["./Maildir/"]);
}

#[test]
fn qmail_ldap_addresses_are_virtual_rows() {
    let mapping = Mapping::qmail_ldap("dc=x");
    let bob = [("uid", "robert"), ("uid", "bob"), ("mail", "Bob@F.com"), ("mailAlternateAddress", "catchall@f.com")];
    let ask = |key| answer(&Question::Virtuals(vec![key]), &mapping, &[&bob]);
    assert_eq!(ask(exact("f.com", "bob")), [["F.com", "Bob", "bob", ""]]);
    assert_eq!(ask(exact("f.com", "")), [["f.com", "", "bob", ""]]);
    assert_eq!(ask(VirtualKey::Patterns { host: host("f.com") }), [["f.com", "", "bob", ""]]);
    assert!(ask(exact("g.com", "bob")).is_empty());
}

#[test]
fn posix_accounts_and_mail_aliases() {
    let mapping = Mapping::posix("dc=x");
    let question = Question::Mailboxes(vec![Username::new(b"bob").unwrap()]);
    let entry = [("uid", "bob"), ("uidNumber", "1000"), ("gidNumber", "100"), ("homeDirectory", "/home/bob")];
    assert_eq!(answer(&question, &mapping, &[&entry]).concat()[..4], ["bob", "1000", "100", "/home/bob"]);
    let of = |member: &str| {
        let question = Question::Aliases(vec![alias_key("alias", "staff")]);
        let rows = answer(&question, &mapping, &[&[("cn", "Staff"), ("rfc822MailMember", member)]]);
        rows.into_iter().map(|row| row[2..4].join("@")).collect::<Vec<_>>()
    };
    assert_eq!(of("a@b.org"), ["a@b.org"]);
    for odd in [":include:/etc/x", "|prog", "/file", "\"a b\"@c", "\\a"] {
        assert_eq!(of(odd), ["@"], "{odd} is no address: both cells are empty, which the rules refuse");
    }
}

#[test]
fn several_values_of_one_cell_are_refused_by_the_rules() {
    let mapping = Mapping::posix("dc=x");
    let question = Question::Mailboxes(vec![Username::new(b"bob").unwrap()]);
    let entry = [
        ("uid", "bob"),
        ("uidNumber", "1000"),
        ("gidNumber", "100"),
        ("homeDirectory", "/a"),
        ("homeDirectory;x-b", "/b"),
    ];
    let found = rows::answer(&question, &mapping, [(false, entry_of(&entry))]);
    let row = cells::mailbox(found[0].cells.clone());
    assert_eq!(row.validate(&RuleSettings::default()).unwrap_err().column, "home");
}

#[test]
fn what_is_no_entry_is_not_read_as_one() {
    let tag = |id, payload| StructureTag { class: ldap3::asn1::TagClass::Application, id, payload };
    let universal = ldap3::asn1::TagClass::Universal;
    for bad in [
        tag(4, PL::P(b"x".to_vec())),
        tag(4, PL::C(vec![])),
        tag(4, PL::C(vec![primitive(universal, 4, b"dc=x")])),
        tag(4, PL::C(vec![primitive(universal, 4, b"\xff"), tag(16, PL::C(vec![]))])),
        tag(5, PL::C(vec![])),
    ] {
        assert!(Entry::read(ldap3::ResultEntry::new(bad)).is_none());
    }
}

#[test]
fn an_entry_without_what_it_was_found_by_is_hidden_from_us() {
    let native = Mapping::native("dc=x");
    let hidden = |question: &Question, attributes: &[(&str, &str)]| {
        rows::hidden(question, &native, &entry_of(attributes)).map(str::to_owned)
    };
    let mailbox = Question::Mailboxes(vec![Username::new(b"a").unwrap()]);
    assert_eq!(hidden(&mailbox, &[("qlookUid", "1")]), Some("qlookUser".to_owned()));
    assert_eq!(hidden(&mailbox, &[("qlookUser", "b")]), None, "another name is no sign of that");
    let (blank, named) = (alias_key("u", ""), alias_key("u", "x"));
    assert_eq!(hidden(&Question::Aliases(vec![named.clone()]), &[("qlookUser", "u")]), Some("qlookAlias".to_owned()));
    assert_eq!(hidden(&Question::Aliases(vec![blank, named]), &[("qlookUser", "u")]), None);
    let virtuals = Question::Virtuals(vec![exact("f.com", "")]);
    assert_eq!(hidden(&virtuals, &[("qlookUser", "u")]), Some("qlookVirtualHost".to_owned()));
    assert_eq!(hidden(&virtuals, &[("qlookVirtualHost", "f.com")]), None);
    assert_eq!(hidden(&Question::Rcpthosts(vec![host("f.com")]), &[]), Some("qlookRcptHost".to_owned()));
}
