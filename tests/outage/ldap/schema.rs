//! Directory servers that answer, but not with what was expected. Most of it a server reports as success without an
//! entry: what would be "no such user", and bounced mail.

use super::super::{answers, fails, knows_nothing, questions, recovers, trial};
use super::{NAMES, base, compare, held};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_backends::trust::{Proof, Trust};
use qmail_lookup_core::{Backend, ErrorKind, TableRow, Username};
use qmail_lookup_tests::check::{Outcome, ensure, equal, must_fail};
use qmail_lookup_tests::load::ldap::{self, at, create, with};
use qmail_lookup_tests::model::{Question, soon};
use qmail_lookup_tests::server::slapd::{Certificate, PASSWORD, SUFFIX, Schema, Slapd, USER};
use qmail_lookup_tests::subjects::ldap::native_server;
use std::sync::Arc;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |sentence, run| trial("ldap", sentence, run);
    vec![
        trial("a_server_that_never_heard_of_the_schema_is_not_absent", || unknown_schema(Schema::Posix)),
        trial("a_server_that_lacks_one_attribute_is_not_absent", || unknown_schema(Schema::WithoutHome)),
        trial("a_missing_base_is_not_absent", missing_base),
        trial("a_base_that_vanishes_is_not_absent", vanishing_base),
        trial("a_base_that_an_account_may_not_see_is_not_absent", || {
            let (server, name) = base("stranger")?;
            knows_nothing(&*limited(server, &name, "stranger")?, WRONG)
        }),
        trial("mailboxes_that_an_account_may_not_see_are_not_absent_with_a_canary", || hidden(canary)),
        trial("mailboxes_that_an_account_may_not_see_are_not_absent_without_a_canary", || hidden(|| Proof::NotEmpty)),
        trial("homes_that_an_account_may_not_see_make_nobody_absent", hidden_homes),
        trial("attributes_that_an_account_may_not_search_are_not_absent", || hidden_attributes("unsearching")),
        trial("attributes_that_an_account_may_not_read_are_not_absent", || hidden_attributes("unreading")),
        trial("an_account_that_only_reads_answers_all_but_logins", only_reads),
        trial("a_size_limit_cuts_no_set", size_limit),
        trial("a_referral_in_the_tree_is_not_absent", referral),
        trial("a_base_that_is_elsewhere_is_not_absent", base_elsewhere),
        trial("an_entry_added_by_another_program_is_seen_at_once", seen_at_once),
        trial("a_number_that_two_entries_have_harms_nobody", same_number),
    ]
}

const WRONG: &[ErrorKind] = &[ErrorKind::Schema, ErrorKind::Misconfigured, ErrorKind::Refused];

/// A store of an account that may do less.
fn limited(server: &Slapd, name: &str, account: &str) -> Result<Arc<dyn Backend>, Failed> {
    with(&[&server.ldapi()], &format!("cn={account},{SUFFIX}"), PASSWORD, name, &[compare()])
}

fn canary() -> Proof {
    Username::new(b"iain").map_or(Proof::None, Proof::Canary)
}

/// To such a server a filter on what it does not know is neither true nor false, and no error.
fn unknown_schema(schema: Schema) -> Outcome {
    let server = Slapd::start(schema, Certificate::Good)?;
    create(&server, "qmail", NAMES, &[])?;
    let silent = server.search(&ldap::base("qmail"), "sub", "(&(objectClass=nonsense)(qlookHome=x))")?;
    equal("what the server says to such a filter", silent.as_str(), "")?;
    let store = at(&server, "qmail")?;
    let about: Vec<_> = questions().into_iter().filter(|question| concerns(schema, question)).collect();
    about.iter().try_for_each(|question| fails(&*store, question, &[ErrorKind::Schema]))?;
    server.kill();
    ensure(!about.is_empty(), "no question was put")
}

fn concerns(schema: Schema, question: &Question) -> bool {
    schema == Schema::Posix || matches!(question, Question::Mailboxes(_))
}

fn missing_base() -> Outcome {
    knows_nothing(&*at(native_server()?, "no-such-base")?, WRONG)
}

/// Deleted under a store that has asked, and there again.
fn vanishing_base() -> Outcome {
    let ((server, name), held) = (base("vanishing")?, held());
    let old = at(server, &name)?;
    answers(&*old, &held)?;
    server.delete(&ldap::base(&name))?;
    knows_nothing(&*old, WRONG)?;
    knows_nothing(&*at(server, &name)?, WRONG)?;
    create(server, &name, NAMES, &held)?;
    recovers(&*old, &held)
}

fn hidden(proof: fn() -> Proof) -> Outcome {
    let (server, name) = base(if matches!(proof(), Proof::NotEmpty) { "hidden" } else { "hidden-canary" })?;
    let store = Trust::new(limited(server, &name, "blind")?, proof());
    let kinds = [ErrorKind::Misconfigured, ErrorKind::Schema];
    for question in questions() {
        if question.counting(&held()).is_empty() || matches!(question, Question::Mailboxes(_)) {
            fails(&store, &question, &kinds)?;
        }
    }
    let seen = Trust::new(limited(server, &name, "reader")?, proof());
    answers(&seen, &held())
}

fn hidden_homes() -> Outcome {
    let (server, name) = base("homeless")?;
    let store = limited(server, &name, "homeless")?;
    match Question::mailboxes(["iain"]).put(&*store, soon()) {
        Ok(rows) => match &rows[..] {
            [TableRow::Mailbox(row)] => equal("home", row.mailbox.home.as_deref(), None),
            other => Err(format!("one row expected, got {other:?}").into()),
        },
        Err(error) => ensure(WRONG.contains(&error.kind()), format!("{error:?}")),
    }
}

/// An attribute that is hidden would look as if no entry had it: its user part gone, an entry is the catch-all; its
/// suspended gone, a mailbox may log in.
fn hidden_attributes(account: &str) -> Outcome {
    let (server, name) = base(account)?;
    let store = limited(server, &name, account)?;
    for question in [
        Question::aliases([("iain", "")]),
        Question::aliases([("iain", "nobody")]),
        Question::exact([("virtual.com", "nobody")]),
        Question::exact([("sillydomain.com", "sales")]),
        Question::patterns("funky.com"),
        Question::mailboxes(["susp-y"]),
        Question::mailboxes(["nobody"]),
    ] {
        fails(&*store, &question, WRONG)?;
    }
    // Nothing is hidden in the table of hosts.
    let hosts = Question::rcpthosts(["bar.com"]);
    equal("hosts", hosts.counting(&hosts.put(&*store, soon())?), hosts.counting(&held()))
}

/// It sees no password. That must not look like an account without one.
fn only_reads() -> Outcome {
    let (server, name) = base("reader")?;
    let store = limited(server, &name, "reader")?;
    answers(&*store, &held())?;
    let authenticator = store.authenticator().ok_or("no authenticator")?;
    let (Some(who), offered) = (Username::new(b"iain"), qmail_lookup_core::Secret::new(b"sesame".to_vec())) else {
        return Err("no key".into());
    };
    let answer = qmail_lookup_tests::check::block_on(authenticator.authenticate(&who, &offered, soon()));
    let granted = matches!(answer, Ok(qmail_lookup_core::AuthAnswer::Granted(_)));
    ensure(!granted, format!("granted without having seen the password: {answer:?}"))
}

fn size_limit() -> Outcome {
    let (server, name) = base("few")?;
    let (store, held) = (limited(server, &name, "few")?, held());
    for question in [Question::aliases([("crowd", "big")]), Question::patterns("crowd.com")] {
        must_fail("a set that is larger than the limit", question.put(&*store, soon()))?;
    }
    let many = Question::mailboxes((0..50).map(|n| format!("crowd{n:03}")));
    must_fail("more mailboxes than the limit", many.put(&*store, soon()))?;
    // What fits is answered.
    for question in
        [Question::mailboxes(["iain"]), Question::aliases([("iain", "list")]), Question::rcpthosts(["bar.com"])]
    {
        let came = question.put(&*store, soon())?;
        equal(&format!("{question:?}"), question.counting(&came), question.counting(&held))?;
    }
    Ok(())
}

/// Below a table: somebody else has a part of it, so its "none" is not known here.
fn referral() -> Outcome {
    let (server, name) = base("referral")?;
    let dn = format!("ou=elsewhere,ou=alias,{}", ldap::base(&name));
    server.add(&format!(
        "dn: {dn}\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\nref: ldap://127.0.0.1:1/{dn}\n\n"
    ))?;
    let store = at(server, &name)?;
    let aliases = questions().into_iter().filter(|question| matches!(question, Question::Aliases(_)));
    for question in aliases {
        fails(&*store, &question, WRONG)?;
    }
    Ok(())
}

fn base_elsewhere() -> Outcome {
    let (server, name) = (native_server()?, "outage-elsewhere");
    let dn = ldap::base(name);
    server.add(&format!(
        "dn: {dn}\nobjectClass: referral\nobjectClass: extensibleObject\ndc: {name}\nref: ldap://127.0.0.1:1/{dn}\n\n"
    ))?;
    knows_nothing(&*at(server, name)?, WRONG)
}

fn seen_at_once() -> Outcome {
    let (server, name) = base("at-once")?;
    let store = at(server, &name)?;
    let question = Question::mailboxes(["newcomer"]);
    for n in 0..5 {
        equal("before", question.put(&*store, soon())?.len(), 0)?;
        let dn = format!("qlookUser=newcomer,ou=mailbox,{}", ldap::base(&name));
        server.add(&format!(
            "dn: {dn}\nobjectClass: qlookAccount\nobjectClass: qlookMailbox\nqlookUser: newcomer\nqlookUid: {}\nqlookGid: 100\nqlookHome: /h\n\n",
            1000 + n
        ))?;
        equal("after", question.put(&*store, soon())?.len(), 1)?;
        server.delete(&dn)?;
    }
    Ok(())
}

/// Numbers are for the order; the rules put equal ones in another.
fn same_number() -> Outcome {
    let (server, name) = base("same-number")?;
    let store = with(&[&server.ldapi()], USER, PASSWORD, &name, &[compare()])?;
    for (n, target) in ["one", "two"].iter().enumerate() {
        server.add(&format!(
            "dn: description=same{n},ou=alias,{}\nobjectClass: qlookAliasRow\nqlookSeq: 7\nqlookUser: numbered\nqlookAlias: x\nqlookInstruction: &{target}@k.example\n\n",
            ldap::base(&name)
        ))?;
    }
    equal("rows", Question::aliases([("numbered", "x")]).put(&*store, soon())?.len(), 2)
}
