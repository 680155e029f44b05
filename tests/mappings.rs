//! Other people's schemas, as their sites use them, where that is more than the documented tables can say.

mod editor;

use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{AuthAnswer, Backend, Refusal, Secret, TableRow, Username};
use qmail_lookup_tests::check::{Outcome, block_on, equal, must_fail};
use qmail_lookup_tests::load::ldap::foreign::{Foreign, load};
use qmail_lookup_tests::load::ldap::{Names, base, create, with};
use qmail_lookup_tests::model::{Question, soon};
use qmail_lookup_tests::server::slapd::{self, PASSWORD, Slapd, USER};
use qmail_lookup_tests::subjects::ldap::{foreign_server, native_server};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn trials() -> Vec<Trial> {
    if slapd::missing().is_some() {
        return Vec::new(); // said loudly by the subject
    }
    let trial = |name: &str, run: fn() -> Outcome| Trial::test(format!("mapping::ldap::{name}"), run);
    let mut all = vec![
        trial("qmail_ldap::every_name_of_an_entry_is_its_mailbox", several_names),
        trial("qmail_ldap::any_other_status_than_active_suspends", account_status),
        trial("qmail_ldap::the_store_is_the_home_of_who_has_no_other", store_is_home),
        trial("qmail_ldap::forwards_and_programs_are_told_whole_or_not_at_all", deliveries),
        trial("qmail_ldap::addresses_are_virtual_rows", addresses),
        trial("posix::a_filter_takes_accounts_out", filtered),
        trial("posix::every_member_of_an_alias_is_a_forward", members),
        trial("posix::defaults_and_other_attributes_come_from_the_settings", replaced),
        trial("native::people_of_another_class_may_be_mailboxes_too", hybrid),
        trial("native::an_attribute_that_is_misspelt_in_the_settings_is_not_absent", misspelt),
        trial("bind::a_locked_account_is_refused_and_an_unreachable_server_is_not", locked)
            .with_ignored_flag(!slapd::has_policies()),
    ];
    all.extend(editor::trials());
    all
}

/// A base that holds these entries of mailboxes; each is its lines below the name.
fn site(server: &Slapd, kind: Foreign, name: &str, entries: &[&str]) -> Outcome {
    load(server, name, kind, &[])?;
    let entry = |(n, lines): (usize, &&str)| {
        format!("dn: description=n{n},ou=mailbox,{}\nobjectClass: account\n{lines}\n\n", base(name))
    };
    server.add(&entries.iter().enumerate().map(entry).collect::<String>())
}

fn store(server: &Slapd, name: &str, mapping: Value) -> Result<Arc<dyn Backend>, Failed> {
    with(&[&server.ldapi()], USER, PASSWORD, name, &[("auth", "compare".into()), ("mapping", mapping)])
}

fn qmail_ldap(name: &str, entries: &[&str]) -> Result<Arc<dyn Backend>, Failed> {
    let server = foreign_server(Foreign::QmailLdap)?;
    site(server, Foreign::QmailLdap, name, entries)?;
    store(server, name, "qmail-ldap".into())
}

/// The cells of the rows that come, as text; sorted.
fn rows(store: &dyn Backend, question: &Question) -> Result<Vec<Vec<String>>, Failed> {
    let cells = |row: TableRow| {
        let cells = row.cells();
        cells.iter().map(|cell| cell.map_or("NULL".into(), |cell| String::from_utf8_lossy(cell).into_owned())).collect()
    };
    let mut rows: Vec<Vec<String>> = question.put(store, soon())?.into_iter().map(cells).collect();
    rows.sort();
    Ok(rows)
}

fn login(store: &dyn Backend, name: &str, password: &str) -> Result<AuthAnswer, Failed> {
    let who = Username::new(name.as_bytes()).ok_or("no key")?;
    let authenticator = store.authenticator().ok_or("no authenticator")?;
    Ok(block_on(authenticator.authenticate(&who, &Secret::new(password.as_bytes().to_vec()), soon()))?)
}

const JO: &str = "objectClass: qmailUser\nmail: jo@q.test\nuid: jo\nqmailUID: 900\nqmailGID: 901";

fn several_names() -> Outcome {
    let lines = format!("{JO}\nuid: joanna\nhomeDirectory: /home/jo\nuserPassword: secret");
    let store = qmail_ldap("map-names", &[&lines])?;
    for name in ["jo", "joanna", "JOANNA"] {
        let found = rows(&*store, &Question::mailboxes([name]))?;
        equal("rows", found.len(), 1)?;
        equal(name, found[0][..4].to_vec(), vec![name.to_lowercase(), "900".into(), "901".into(), "/home/jo".into()])?;
    }
    // All at once it is two mailboxes of one home, as two rows of a table are.
    equal("both", rows(&*store, &Question::mailboxes(["jo", "joanna"]))?.len(), 2)?;
    equal("nobody", rows(&*store, &Question::mailboxes(["j", "joan", "jo joanna"]))?.len(), 0)?;
    equal("login", matches!(login(&*store, "joanna", "secret")?, AuthAnswer::Granted(_)), true)
}

fn account_status() -> Outcome {
    let all = [
        ("active", "N"),
        ("ACTIVE", "N"),
        ("noaccess", "Y"),
        ("disabled", "bounce"),
        ("deleted", "bounce"),
        ("nonsense", "Y"),
    ];
    let entry = |(n, (status, _)): (usize, &(&str, &str))| {
        format!(
            "objectClass: qmailUser\nmail: s{n}@q.test\nuid: s{n}\nqmailUID: 900\nqmailGID: 901\nhomeDirectory: /h\nuserPassword: secret\naccountStatus: {status}"
        )
    };
    let entries: Vec<_> = all.iter().enumerate().map(entry).collect();
    let store = qmail_ldap("map-status", &entries.iter().map(String::as_str).collect::<Vec<_>>())?;
    for (n, (status, suspended)) in all.iter().enumerate() {
        let name = format!("s{n}");
        equal(status, rows(&*store, &Question::mailboxes([&name]))?[0][6].as_str(), *suspended)?;
        let answer = login(&*store, &name, "secret")?;
        let refused = matches!(answer, AuthAnswer::Refused(Refusal::Suspended));
        equal(&format!("{status}: {answer:?}"), refused, *suspended != "N")?;
    }
    Ok(())
}

fn store_is_home() -> Outcome {
    let store = qmail_ldap("map-home", &[&format!("{JO}\nmailMessageStore: /var/mail/jo/")])?;
    equal("home", rows(&*store, &Question::mailboxes(["jo"]))?[0][3].as_str(), "/var/mail/jo/")?;
    // There the mail goes by qmail's own files.
    equal("instructions", rows(&*store, &Question::aliases([("jo", "")]))?.len(), 0)
}

/// (alias_username, alias_host) of each row.
type Told = &'static [(&'static str, &'static str)];

/// What is told of an entry's own mail.
fn deliveries() -> Outcome {
    let at_home = "homeDirectory: /home/jo";
    let path = format!("{at_home}\nmailMessageStore: /home/jo/Maildir/");
    let forward = "mailForwardingAddress: jo@elsewhere.test";
    let program = "deliveryProgramPath: /bin/sort -x";
    let told: &[(&str, String, Told)] = &[
        ("nothing", at_home.into(), &[]),
        ("path", path.clone(), &[("/", "home/jo/Maildir/")]),
        ("both", format!("{path}\n{forward}"), &[("/", "home/jo/Maildir/"), ("jo", "elsewhere.test")]),
        ("nolocal", format!("{path}\n{forward}\ndeliveryMode: nolocal"), &[("jo", "elsewhere.test")]),
        ("noforward", format!("{path}\n{forward}\ndeliveryMode: noforward"), &[("/", "home/jo/Maildir/")]),
        (
            "program",
            format!("{path}\n{program}\nqmailDotMode: ldapwithprog"),
            &[("/", "home/jo/Maildir/"), ("|", "/bin/sort -x")],
        ),
        ("no program", format!("{path}\n{program}"), &[("/", "home/jo/Maildir/")]),
        // Where its own copy goes is not known here: a row that the rules defer, not a forward alone.
        ("unknown", format!("{at_home}\n{forward}"), &[("", "")]),
        ("dot mode", format!("{path}\n{forward}\nqmailDotMode: both"), &[("", "")]),
    ];
    for (n, (what, lines, want)) in told.iter().enumerate() {
        let store = qmail_ldap(&format!("map-delivery{n}"), &[&format!("{JO}\n{lines}")])?;
        let found = rows(&*store, &Question::aliases([("jo", ""), ("jo", "ext")]))?;
        let found: Vec<_> = found.iter().map(|row| (row[2].as_str(), row[3].as_str())).collect();
        equal(what, found, want.to_vec())?;
    }
    Ok(())
}

fn addresses() -> Outcome {
    let lines = format!(
        "{JO}\nhomeDirectory: /h\nmail: First.Last@Q.test\nmailAlternateAddress: jo@other.test\nmailAlternateAddress: catchall@other.test"
    );
    let store = qmail_ldap("map-addresses", &[&lines])?;
    for (host, user, want) in [
        ("q.test", "jo", 1),
        ("q.test", "first.last", 1),
        ("q.test", "", 0),
        ("q.test", "nobody", 0),
        ("other.test", "jo", 1),
        ("other.test", "", 1),
        ("test", "jo", 0),
    ] {
        let question = Question::exact([(host, user)]);
        let came = question.put(&*store, soon())?;
        equal(&format!("{user}@{host}"), question.counting(&came).len(), want)?;
    }
    let any = |host: &str| Ok::<_, Failed>(!rows(&*store, &Question::any(host))?.is_empty());
    equal("hosts", (any("q.test")?, any("other.test")?, any("test")?), (true, true, false))?;
    let question = Question::patterns("other.test");
    equal("patterns", question.counting(&question.put(&*store, soon())?).len(), 1)
}

fn posix(name: &str, entries: &[&str], mapping: Value) -> Result<Arc<dyn Backend>, Failed> {
    let server = foreign_server(Foreign::Posix)?;
    site(server, Foreign::Posix, name, entries)?;
    store(server, name, mapping)
}

fn account(name: &str, more: &str) -> String {
    format!(
        "objectClass: posixAccount\ncn: {name}\nuid: {name}\nuidNumber: 900\ngidNumber: 901\nhomeDirectory: /home/{name}\n{more}"
    )
}

fn filtered() -> Outcome {
    let entries = [account("jo", "loginShell: /bin/sh"), account("gone", "loginShell: /sbin/nologin")];
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    let mapping = json!({"from": "posix", "mailbox": {"filter": "(!(loginShell=/sbin/nologin))"}});
    let store = posix("map-filter", &entries, mapping)?;
    let found = rows(&*store, &Question::mailboxes(["jo", "gone"]))?;
    equal("names", found.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), vec!["jo"])
}

fn members() -> Outcome {
    let server = foreign_server(Foreign::Posix)?;
    let store = posix("map-members", &[], "posix".into())?;
    server.add(&format!(
        "dn: cn=team,ou=alias,{}\nobjectClass: nisMailAlias\ncn: team\ncn: crew\nrfc822MailMember: a@one.test\nrfc822MailMember: b\nrfc822MailMember: \"|/bin/sh\"\n\n",
        base("map-members")
    ))?;
    for name in ["team", "CREW"] {
        let found = rows(&*store, &Question::aliases([("alias", name)]))?;
        let found: Vec<_> = found.iter().map(|row| (row[2].as_str(), row[3].as_str())).collect();
        // A program in quotes is no address: a row that the rules defer.
        equal(name, found, vec![("", ""), ("a", "one.test"), ("b", "")])?;
    }
    equal("of others", rows(&*store, &Question::aliases([("jo", "team"), ("alias", "")]))?.len(), 0)
}

fn replaced() -> Outcome {
    let entry =
        "objectClass: posixAccount\ncn: jo\nuid: jo\nuidNumber: 1\ngidNumber: 1\nhomeDirectory: /x\nl: /home/jo";
    let mapping =
        json!({"from": "posix", "mailbox": {"home": "l", "uid": "host", "default_uid": 950, "suspended": "o"}});
    let store = posix("map-replaced", &[entry], mapping)?;
    let found = rows(&*store, &Question::mailboxes(["jo"]))?;
    let want = ["jo", "950", "1", "/home/jo"].map(str::to_owned).to_vec();
    equal("row", (found[0][..4].to_vec(), found[0][6].as_str()), (want, "N"))
}

/// qlookMailbox is auxiliary: a directory's own people get it added.
fn hybrid() -> Outcome {
    let server = native_server()?;
    create(server, "map-hybrid", Names::ByKey, &[])?;
    server.add(&format!(
        "dn: cn=Jo,ou=mailbox,{}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nobjectClass: qlookMailbox\ncn: Jo\nsn: Smith\nuid: x1\nuidNumber: 1\ngidNumber: 1\nhomeDirectory: /x\nqlookUser: jo\nqlookUid: 900\nqlookGid: 901\nqlookHome: /home/jo\nuserPassword: secret\n\n",
        base("map-hybrid")
    ))?;
    let store = store(server, "map-hybrid", "native".into())?;
    equal("home", rows(&*store, &Question::mailboxes(["jo"]))?[0][3].as_str(), "/home/jo")?;
    equal("others", rows(&*store, &Question::mailboxes(["x1"]))?.len(), 0)?;
    equal("login", matches!(login(&*store, "jo", "secret")?, AuthAnswer::Granted(_)), true)
}

fn misspelt() -> Outcome {
    let server = native_server()?;
    create(server, "map-misspelt", Names::ByKey, &[])?;
    for (table, key, name) in [
        ("mailbox", "username", "qlookUsr"),
        ("mailbox", "class", "qlookMailbax"),
        ("mailbox", "suspended", "qlookSuspend"),
        ("mailbox", "filter", "(qlookNonsense=1)"),
        ("alias", "alias", "qlookAlis"),
        ("virtual", "pattern", "qlookPattern"),
        ("rcpthosts", "host", "qlookHost"),
    ] {
        let store = store(server, "map-misspelt", json!({table: {key: name}}))?;
        let question = match table {
            "mailbox" => Question::mailboxes(["nobody"]),
            "alias" => Question::aliases([("nobody", "")]),
            "virtual" => Question::exact([("nowhere.com", "x")]),
            _ => Question::rcpthosts(["nowhere.com"]),
        };
        let error = must_fail(&format!("{table}.{key} = {name}"), question.put(&*store, soon()))?;
        equal(&format!("{error}"), error.kind(), qmail_lookup_core::ErrorKind::Schema)?;
    }
    Ok(())
}

/// Three wrong passwords lock the account at the server. That is a refusal, as long as the server says so.
fn locked() -> Outcome {
    let (server, name) = (native_server()?, "map-locked");
    create(server, name, Names::ByKey, &[])?;
    let dn = format!("qlookUser=jo,ou=mailbox,{}", base(name));
    server.add(&format!(
        "dn: {dn}\nobjectClass: qlookAccount\nobjectClass: qlookMailbox\nqlookUser: jo\nqlookUid: 900\nqlookGid: 901\nqlookHome: /home/jo\nuserPassword: secret\n\n"
    ))?;
    let bind = [("auth", "bind".into())];
    let store = with(&[&server.ldapi()], USER, PASSWORD, name, &bind)?;
    equal("before", matches!(login(&*store, "jo", "secret")?, AuthAnswer::Granted(_)), true)?;
    server.lock(&dn)?;
    equal("locked", matches!(login(&*store, "jo", "secret")?, AuthAnswer::Refused(_)), true)?;
    let down = with(&["ldapi://%2Fnonexistent%2Fldapi"], USER, PASSWORD, name, &bind)?;
    must_fail("a login without a server", login(&*down, "jo", "secret")).map(drop)
}
