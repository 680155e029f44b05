//! The rules over real stores: the same questions to every complete subject, with the FAQ's answers.

use libtest_mimic::{Failed, Trial};
use qmail_lookup_backends::trust::{Proof, Trust};
use qmail_lookup_core::control::Control;
use qmail_lookup_core::getpw::Owner;
use qmail_lookup_core::rules::{Accepted, Delivery, Explain, Getpw, Outcome, VirtualAddress};
use qmail_lookup_core::settings::{RuleSettings, UnknownVirtual, VirtualPatterns};
use qmail_lookup_core::{Host, Lookup};
use qmail_lookup_tests::check::{block_on, equal};
use qmail_lookup_tests::model::soon;
use qmail_lookup_tests::subject::Subject;
use std::sync::Arc;

/// Sentence, mode, question, answer.
type Case = (&'static str, Mode, Ask, &'static str);

#[derive(Clone, Copy)]
enum Mode {
    Plain,
    Like,
    UnknownIsMailbox,
}

#[derive(Clone, Copy)]
enum Ask {
    Getpw(&'static str),
    Explain(&'static str),
    Virtual(&'static str),
    Rcpthost(&'static str),
}

use Ask::{Explain as E, Getpw as G, Rcpthost as R, Virtual as V};
use Mode::{Like, Plain, UnknownIsMailbox};

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("a_mailbox_is_itself", Plain, G("iain"), "iain 800 100 /home/mail/iain '' ''"),
    ("a_mailbox_with_a_dash_beats_user_and_extension", Plain, G("iain-sanity"), "iain-sanity 800 100 /home/mail/sanity '' ''"),
    ("an_extension_keeps_its_case", Plain, G("IAIN-SlowLaris"), "iain 800 100 /home/mail/iain '-' 'SlowLaris'"),
    ("the_longest_name_wins", Plain, G("iain-sanity-x-y"), "iain-sanity 800 100 /home/mail/sanity '-' 'x-y'"),
    ("a_trailing_break_is_an_empty_extension", Plain, G("iain-"), "iain 800 100 /home/mail/iain '-' ''"),
    ("a_stored_capital_is_found", Plain, G("boss-x"), "boss 805 100 /home/mail/Boss '-' 'x'"),
    ("nobody_is_left_to_the_stock_program", Plain, G("nobody-here"), "stock nobody-here"),
    ("an_accent_is_another_name", Plain, G("ïain"), "stock ïain"),
    ("an_accent_in_the_extension_harms_nobody", Plain, G("iain-ï"), "iain 800 100 /home/mail/iain '-' 'ï'"),
    ("a_bad_row_is_temporary", Plain, G("bad-root"), "K3"),
    ("a_bad_row_does_not_let_a_shorter_name_have_the_mail", Plain, G("bad-root-x"), "K3"),
    ("the_virtual_catch_all_works_in_plain_mode", Plain, G("=virtual.com=-Any.One"), "virtual 804 100 /home/mail/virtual '-' 'Any.One'"),
    ("an_exact_virtual_row_beats_the_catch_all", Plain, G("=virtual.com=-iain"), "iain 800 100 /home/mail/iain '' ''"),
    ("an_unusable_virtual_user_still_meets_the_catch_all", Plain, G("=virtual.com=-ï x"), "virtual 804 100 /home/mail/virtual '-' 'ï x'"),
    ("a_listed_user_of_a_host_without_catch_all", Plain, G("=sillydomain.com=-SALES"), "dmp 803 100 /home/mail/dmp '' ''"),
    ("an_unlisted_user_bounces_by_the_encoded_extension", Plain, G("=sillydomain.com=-made-up"), "alias =sillydomain.com=-made-up"),
    ("an_unlisted_user_may_be_a_mailbox_if_the_site_says_so", UnknownIsMailbox, G("=sillydomain.com=-iain"), "iain 800 100 /home/mail/iain '' ''"),
    ("postmaster_without_a_row_is_the_alias_users", Plain, G("=sillydomain.com=-Postmaster"), "alias postmaster"),
    ("a_host_without_rows_is_temporary", Plain, G("=gone.example=-x"), "V5"),
    ("the_catch_all_is_a_misconfiguration_in_like_mode", Like, G("=onlyblank.com=-x"), "V2"),
    ("the_updated_catch_all_works_in_like_mode", Like, G("=onlypercent.com=-x"), "iain 800 100 /home/mail/iain '' ''"),
    ("the_updated_catch_all_is_a_misconfiguration_in_plain_mode", Plain, G("=onlypercent.com=-x"), "V2"),
    ("the_most_literal_pattern_wins", Like, G("=funky.com=-john"), "iain 800 100 /home/mail/iain '-' 'jo'"),
    ("an_underscore_stands_for_one_byte", Like, G("=funky.com=-ax"), "dmp 803 100 /home/mail/dmp '-' 'one'"),
    ("an_escaped_underscore_stands_for_itself", Like, G("=funky.com=-a_b"), "dmp 803 100 /home/mail/dmp '-' 'escaped'"),
    ("an_escaped_underscore_stands_for_nothing_else", Like, G("=funky.com=-axb"), "iain 800 100 /home/mail/iain '-' 'axb'"),
    ("patterns_are_names_in_plain_mode", Plain, G("=quote.org=-underxscore"), "dmp 803 100 /home/mail/dmp '' ''"),
    ("an_exact_name_with_an_underscore_is_found", Plain, G("=quote.org=-under_score"), "iain 800 100 /home/mail/iain '' ''"),
    ("digits_are_text", Plain, G("=digits.org=-7"), "dmp 803 100 /home/mail/dmp '' ''"),
    ("leading_zeros_count", Plain, G("=digits.org=-007"), "iain 800 100 /home/mail/iain '' ''"),
    ("an_ext_may_hold_dashes", Plain, G("=dots.org=-First.Last+Tag"), "dmp 803 100 /home/mail/dmp '-' 'a-b'"),
    ("a_good_row_beside_a_bad_one_of_its_host_is_used", Plain, G("=bad.com=-good"), "iain 800 100 /home/mail/iain '' ''"),
    ("rows_that_contradict_each_other_are_temporary", Plain, G("=shop.com=-info"), "V3"),
    ("a_suffix_row_serves_the_hosts_below_it", Plain, V("Someone@deep.wild.test"), ".wild.test iain 'Someone'"),
    ("the_most_specific_host_decides", Plain, V("abuse@sub.wild.test"), "sub.wild.test dmp ''"),
    ("the_most_specific_host_decides_even_if_it_knows_nobody", Plain, V("x@sub.wild.test"), "none"),
    ("quotes_are_bytes", Plain, V("O'Brien@quote.org"), "quote.org iain ''"),
    ("an_alias_row_is_an_instruction", Plain, E("iain-slowlaris"), "deliver ./Maildir/"),
    ("mailbox_delivery_by_the_own_default", Plain, E("iain"), "deliver /home/iain/Mailbox"),
    ("the_catch_all_alias_delivers_virtual_mail", Plain, E("anything@virtual.com"), "deliver ./Maildir/"),
    ("a_bogus_alias_row_is_temporary", Plain, E("dmp-bogus"), "A2"),
    ("a_bogus_row_spoils_its_set_and_no_other", Plain, E("dmp-halfbogus"), "A2"),
    ("the_neighbour_of_a_bogus_row_is_delivered", Plain, E("dmp-Upper"), "forward &KeepCase@Keep.Example"),
    ("duplicate_instructions_both_count", Plain, E("dmp-twice"), "forward &same@same.example|&same@same.example"),
    ("an_alias_catch_all_serves_unknown_extensions", Plain, E("dmp-whatever"), "forward &catch@all.example"),
    ("an_alias_catch_all_is_no_default_for_the_bare_name", Plain, E("dmp"), "files "),
    ("an_unlisted_virtual_user_bounces", Plain, E("made-up@sillydomain.com"), "bounce "),
    ("a_strange_host_is_not_ours", Plain, E("x@elsewhere.example"), "not-ours "),
    ("old_multi_hosting_data_reaches_the_alias_user", Plain, E("info@bar.com"), "forward &real@bar.com"),
    ("an_accepted_host", Plain, R("BAR.com"), "bar.com"),
    ("an_accepted_suffix", Plain, R("a.b.example.net"), ".example.net"),
    ("a_suffix_does_not_accept_its_own_name", Plain, R("example.net"), "none"),
    ("an_underscore_in_a_host_is_no_wildcard", Plain, R("underxscore.com"), "none"),
];

/// The cases as trials `rules::SUBJECT::SENTENCE`.
pub(crate) fn trials(subject: &Arc<Subject>) -> Vec<Trial> {
    let name = |sentence: &str| format!("rules::{}::{sentence}", subject.name);
    let case = |case: &'static Case| {
        let subject = Arc::clone(subject);
        Trial::test(name(case.0), move || run(&subject, case))
    };
    let mut trials: Vec<_> = CASES.iter().map(case).collect();
    let subject = Arc::clone(subject);
    trials.push(Trial::test(name("a_local_part_with_many_dashes_is_one_question"), move || one_question(&subject)));
    trials
}

/// All prefixes go out together, whatever their number.
fn one_question(subject: &Subject) -> Result<(), Failed> {
    let store = Arc::clone(&subject.opened()?.store);
    let lookup = Lookup::of(&store, Arc::default());
    let question = Getpw { local: b"iain-a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p".to_vec() };
    let (answer, trace) = block_on(lookup.explain(question, soon()));
    answer?;
    equal("questions", trace.asked.len(), 1)
}

fn run(subject: &Subject, (_, mode, ask, want): &Case) -> Result<(), Failed> {
    let settings = match mode {
        Plain => RuleSettings::default(),
        Like => RuleSettings { virtual_patterns: VirtualPatterns::Like, ..RuleSettings::default() },
        UnknownIsMailbox => RuleSettings { unknown_virtual: UnknownVirtual::Mailbox, ..RuleSettings::default() },
    };
    let store = Arc::clone(&subject.opened()?.store);
    let store: Arc<dyn qmail_lookup_core::Backend> = Arc::new(Trust::new(store, Proof::NotEmpty));
    let lookup = Lookup::of(&store, Arc::new(settings));
    equal("answer", answer(&lookup, *ask)?.as_str(), *want)
}

/// The answer in words; a misconfiguration is its rule, any other error fails the case.
fn answer(lookup: &Lookup, ask: Ask) -> Result<String, Failed> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let outcome = match ask {
        G(local) => {
            block_on(lookup.decide(Getpw { local: local.as_bytes().to_vec() }, soon())).map(|owner| match owner {
                Owner::Mailbox { mailbox: m, dash, ext } => {
                    format!("{} {} {} {} '{}' '{}'", m.username, m.uid, m.gid, text(&m.home), text(dash), text(&ext))
                }
                Owner::AliasUser { ext } => format!("alias {}", text(&ext)),
                Owner::Stock { local } => format!("stock {}", text(&local)),
            })
        }
        E(address) => {
            let locals = Some(vec![Host::new(b"mail.test").ok_or("no key")?]);
            let question = Explain {
                address: address.as_bytes().to_vec(),
                control: Arc::new(Control { locals, ..Control::default() }),
                alias_home: b"/var/qmail/alias".to_vec(),
            };
            block_on(lookup.decide(question, soon())).map(|outcome: Outcome| {
                let lines = match &outcome.delivery {
                    Some(Delivery::Rows { instructions, .. }) => {
                        instructions.iter().map(|i| text(&i.to_line())).collect()
                    }
                    _ => Vec::new(),
                };
                format!("{} {}", outcome.verdict.as_str(), lines.join("|"))
            })
        }
        V(address) => {
            let question = VirtualAddress { address: address.as_bytes().to_vec() };
            block_on(lookup.decide(question, soon())).map(|found| {
                found.map_or("none".to_owned(), |o| format!("{} {} '{}'", o.host, o.username, text(&o.ext)))
            })
        }
        R(host) => block_on(lookup.decide(Accepted { host: host.as_bytes().to_vec() }, soon()))
            .map(|found| found.map_or("none".to_owned(), |row| row.to_string())),
    };
    outcome.or_else(|error| {
        let rule = error.what().split("(rule ").nth(1).and_then(|rest| rest.split(')').next());
        rule.map(str::to_owned).ok_or_else(|| Failed::from(error.to_string()))
    })
}
