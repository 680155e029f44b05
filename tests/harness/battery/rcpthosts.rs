//! Sentences of `VirtualResolver` about table rcpthosts.

use super::{Case, Part};
use crate::check::{Outcome, ensure, equal};
use crate::model::Question;
use crate::shape::Need;
use crate::subject::Ctx;

pub(super) fn cases() -> Vec<Case> {
    let case =
        |needs, sentence, run: fn(&Ctx<'_>) -> Outcome| Case::new("rcpthosts", Part::Resolvers, needs, sentence, run);
    vec![
        case(&[], "a_host_that_is_there_is_found", |c| ensure(c.accepts("bar.com")?, "bar.com")),
        case(&[], "a_host_that_is_not_there_is_absent_not_an_error", |c| {
            c.absent(&Question::rcpthosts(["nowhere.com", "ar.com", "bar.co", "bar.com.", ".bar.com"]))
        }),
        case(&[], "a_host_stored_in_upper_case_is_found", |c| ensure(c.accepts("mixed.org")?, "mixed.org")),
        case(&[], "a_host_asked_in_upper_case_is_found", |c| ensure(c.accepts("BAR.COM")?, "BAR.COM")),
        case(&[], "a_suffix_is_a_key_like_any_other", |c| {
            ensure(c.accepts(".example.net")?, ".example.net")?;
            c.absent(&Question::rcpthosts(["example.net", "a.example.net"]))
        }),
        case(&[], "host_and_suffixes_are_answered_by_one_call", |c| {
            let keys = [
                "deep.a.b.c.example.net",
                ".a.b.c.example.net",
                ".b.c.example.net",
                ".c.example.net",
                ".example.net",
                ".net",
            ];
            equal("rows", c.agrees(&Question::rcpthosts(keys))?.len(), 2)
        }),
        case(&[], "many_hosts_are_answered_by_one_call", |c| {
            let mut keys: Vec<_> = (0..150).map(|n| format!("absent{n}.com")).collect();
            keys.push("virtual.com".to_owned());
            equal("rows", c.agrees(&Question::rcpthosts(keys))?.len(), 1)
        }),
        case(&[], "an_underscore_is_no_wildcard", |c| {
            ensure(c.accepts("under_score.com")?, "under_score.com")?;
            ensure(!c.accepts("underxscore.com")?, "underxscore.com")
        }),
        case(&[], "punctuation_is_a_value", |c| {
            ensure(c.accepts("o'brien.com")? && c.accepts("50%off.com")?, "o'brien.com, 50%off.com")?;
            ensure(!c.accepts("50xoff.com")? && !c.accepts("%")?, "50xoff.com, %")
        }),
        case(&[], "an_address_literal_is_a_host_like_any_other", |c| {
            ensure(c.accepts("127.0.0.1")?, "127.0.0.1")?;
            c.absent(&Question::rcpthosts(["127.0.0.2", "127", "127.0"]))
        }),
        case(&[], "a_stored_trailing_blank_is_not_the_host_without", |c| ensure(!c.accepts("trail.com")?, "trail.com")),
        case(&[Need::Latin1Keys], "a_stored_umlaut_is_not_the_plain_letter", |c| {
            ensure(!c.accepts("munchen.example")?, "munchen.example")
        }),
        case(&[], "a_host_in_punycode_is_found", |c| ensure(c.accepts("xn--mnchen-3ya.example")?, "punycode")),
        case(&[], "a_host_of_255_bytes_is_found", |c| {
            ensure(c.accepts(format!("{}.long", "l".repeat(250)))?, "255 bytes")
        }),
        case(&[], "an_unusable_host_asks_nobody", |c| {
            c.absent(&Question::rcpthosts([
                &b""[..],
                b"bar.com ",
                b"bar\0.com",
                "m\u{fc}nchen.example".as_bytes(),
                &[b'a'; 256],
            ]))
        }),
        case(&[], "no_hosts_are_no_rows", |c| c.absent(&Question::Rcpthosts(Vec::new()))),
    ]
}
