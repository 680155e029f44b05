//! Sentences of `VirtualResolver` about table virtual.

use super::{Case, Part};
use crate::check::{Outcome, ensure, equal};
use crate::dataset::CROWD_SET;
use crate::model::Question;
use crate::shape::Need;
use crate::subject::{Ctx, text};
use qmail_lookup_core::{Host, VirtualKey, VirtualRow, VirtualUser};

pub(super) fn cases() -> Vec<Case> {
    let case =
        |needs, sentence, run: fn(&Ctx<'_>) -> Outcome| Case::new("virtual", Part::Resolvers, needs, sentence, run);
    vec![
        case(&[], "the_row_of_an_exact_key_is_found", |c| {
            let row = c.exact("virtual.com", "iain")?;
            equal("owner and ext", (row.username, row.ext), (text("iain"), text("")))
        }),
        case(&[], "a_user_that_is_not_there_is_absent_not_an_error", |c| {
            c.absent(&Question::exact([("virtual.com", "nobody"), ("sillydomain.com", "nobody")]))
        }),
        case(&[], "a_host_that_is_not_there_is_absent_not_an_error", |c| {
            c.absent(&Question::exact([("nowhere.com", "iain"), ("nowhere.com", "")]))
        }),
        case(&[], "a_user_of_another_host_is_another_user", |c| {
            c.absent(&Question::exact([("sillydomain.com", "iain"), ("virtual.com", "sales")]))
        }),
        case(&[], "the_empty_user_finds_the_blank_row", |c| {
            let row = c.exact("virtual.com", "")?;
            equal("owner and ext", (row.username, row.ext), (text("virtual"), text("@")))
        }),
        case(&[], "the_empty_user_finds_no_other_row", |c| {
            c.absent(&Question::exact([("onlyexact.com", ""), ("funky.com", "")]))
        }),
        case(&[Need::Nulls], "the_empty_user_finds_the_null_row", |c| {
            equal("user", c.exact("nulls.com", "")?.virtual_username, None)
        }),
        case(&[Need::Nulls], "blank_and_null_rows_of_the_empty_user_both_come_back", |c| {
            equal("rows", c.virtuals(&Question::exact([("bothblank.com", "")]))?.len(), 2)
        }),
        case(&[Need::Nulls], "null_is_none_and_not_empty", |c| {
            equal("ext", c.exact("nulls.com", "noext")?.ext, None)?;
            equal("owner", c.exact("nulls.com", "noowner")?.username, None)?;
            equal("empty ext", c.exact("virtual.com", "iain")?.ext, text(""))
        }),
        case(&[Need::Nulls], "a_null_user_is_a_pattern", |c| {
            equal("rows", c.virtuals(&Question::patterns("nulls.com"))?.len(), 1)
        }),
        case(&[], "exact_and_blank_are_answered_by_one_call", |c| {
            equal(
                "owners",
                owners(&c.virtuals(&Question::exact([("virtual.com", "iain"), ("virtual.com", "")]))?),
                ["virtual", "iain"],
            )
        }),
        case(&[], "several_hosts_are_answered_by_one_call", |c| {
            let keys = [("sub.wild.test", "abuse"), (".wild.test", "abuse"), (".wild.test", ""), (".test", "")];
            equal("rows", c.virtuals(&Question::exact(keys))?.len(), 2)
        }),
        case(&[], "keys_are_pairs_not_a_cross_product", |c| {
            c.absent(&Question::exact([("sillydomain.com", "iain"), ("onlyexact.com", "sales")]))
        }),
        case(&[], "a_suffix_host_is_a_key_like_any_other", |c| {
            equal("owner", c.exact(".wild.test", "")?.username, text("iain"))?;
            c.absent(&Question::exact([("wild.test", ""), ("x.wild.test", "")]))
        }),
        case(&[], "a_user_asked_in_upper_case_is_found", |c| {
            equal("owner", c.exact("VIRTUAL.com", "IAIN")?.username, text("iain"))
        }),
        case(&[], "a_row_stored_in_upper_case_is_found", |c| {
            let row = c.exact("mixed.org", "mixed")?;
            let cells = (row.virtual_username, row.virtual_host, row.ext);
            equal("as stored", cells, (text("Mixed"), text("MiXed.Org"), text("KeepCase")))
        }),
        case(&[], "an_exact_key_with_a_percent_sign_is_no_wildcard", |c| {
            equal("row", c.exact("funky.com", "%")?.username, text("iain"))?;
            c.absent(&Question::exact([("virtual.com", "%"), ("virtual.com", "iai%")]))
        }),
        case(&[], "an_exact_key_with_an_underscore_is_no_wildcard", |c| {
            equal("row", c.exact("quote.org", "under_score")?.username, text("iain"))?;
            equal("neighbour", c.exact("quote.org", "underxscore")?.username, text("dmp"))
        }),
        case(&[], "a_stored_pattern_is_matched_by_nobody_here", |c| {
            c.absent(&Question::exact([("funky.com", "john"), ("funky.com", "ax"), ("onlypercent.com", "x")]))
        }),
        case(&[], "patterns_are_every_row_with_a_wildcard", |c| {
            let rows = c.virtuals(&Question::patterns("funky.com"))?;
            let mut found: Vec<_> = rows.into_iter().filter_map(|row| row.virtual_username).collect();
            found.sort();
            equal("patterns", found, [&b"%"[..], b"_x", b"a\\_b", b"jo%n"])
        }),
        case(&[], "the_blank_row_is_a_pattern", |c| {
            equal("rows", c.virtuals(&Question::patterns("onlyblank.com"))?.len(), 1)
        }),
        case(&[], "a_host_without_patterns_has_none", |c| {
            c.absent(&Question::patterns("onlyexact.com"))?;
            c.absent(&Question::patterns("nowhere.com"))
        }),
        case(&[], "patterns_and_exact_are_answered_by_one_call", |c| {
            let Question::Virtuals(mut keys) = Question::patterns("funky.com") else { return Ok(()) };
            let Question::Virtuals(exact) = Question::exact([("funky.com", "plain")]) else { return Ok(()) };
            keys.extend(exact);
            equal("rows", c.virtuals(&Question::Virtuals(keys))?.len(), 5)
        }),
        case(&[], "any_finds_a_host_with_exact_rows", |c| found_any(c, "onlyexact.com")),
        case(&[], "any_finds_a_host_with_a_blank_row", |c| found_any(c, "onlyblank.com")),
        case(&[], "any_finds_a_host_with_a_pattern", |c| found_any(c, "onlypercent.com")),
        case(&[], "any_finds_a_host_stored_in_upper_case", |c| found_any(c, "mixed.org")),
        case(&[], "any_finds_a_suffix_host", |c| found_any(c, ".wild.test")),
        case(&[], "any_finds_a_host_of_a_thousand_rows", |c| found_any(c, "crowd.com")),
        case(&[Need::Nulls], "any_finds_a_host_with_null_rows", |c| found_any(c, "bothblank.com")),
        case(&[], "any_finds_nothing_of_a_host_without_rows", |c| {
            c.absent(&Question::any("nowhere.com"))?;
            c.absent(&Question::any("wild.test"))
        }),
        case(&[], "any_of_several_hosts_finds_each", any_of_several),
        case(&[], "any_beside_an_exact_key_hides_it_not", any_beside_exact),
        case(&[], "identical_rows_all_come_back", |c| {
            equal("rows", c.virtuals(&Question::exact([("shop.com", "again")]))?.len(), 2)
        }),
        case(&[], "rows_that_contradict_each_other_all_come_back", |c| {
            equal("owners", owners(&c.virtuals(&Question::exact([("shop.com", "info")]))?), ["dmp", "iain"])
        }),
        case(&[Need::EmptyNames], "a_row_without_an_owner_fails_nobody", |c| {
            equal("owner", c.exact("bad.com", "good")?.username, text("iain"))?;
            equal("ownerless", c.exact("bad.com", "ownerless")?.username, text(""))
        }),
        case(&[], "punctuation_in_a_user_is_a_value", |c| {
            equal("ext", c.exact("dots.org", "first.last+tag")?.ext, text("a-b"))?;
            ["o'brien", "back\\slash", "50%off"]
                .iter()
                .try_for_each(|user| equal("stored", c.exact("quote.org", user)?.virtual_username, text(user)))
        }),
        case(&[], "digits_are_not_numbers", |c| {
            equal("007", c.exact("digits.org", "007")?.username, text("iain"))?;
            equal("7", c.exact("digits.org", "7")?.username, text("dmp"))?;
            c.absent(&Question::exact([("digits.org", "07"), ("digits.org", "0"), ("digits.org", "7e0")]))
        }),
        case(&[], "a_magic_forward_comes_back_as_stored", |c| {
            equal("ext", c.exact("magic.com", "user")?.ext, text("popaccount@hotmail.com"))
        }),
        case(&[], "a_stored_trailing_blank_is_not_the_key_without", |c| {
            c.absent(&Question::exact([("trail.com", "trail"), ("padhost.com", "iain")]))?;
            c.absent(&Question::any("padhost.com"))
        }),
        case(&[], "a_stored_blank_is_not_the_catch_all", |c| c.absent(&Question::exact([("blank.com", "")]))),
        case(&[Need::Latin1Keys], "a_stored_accent_is_not_the_plain_letter", |c| {
            c.absent(&Question::exact([("accent.com", "rene"), ("munchen.example", "iain")]))?;
            c.absent(&Question::any("munchen.example"))
        }),
        case(&[], "an_underscore_in_a_host_is_no_wildcard", |c| {
            equal("owner", c.exact("under_score.com", "under")?.username, text("iain"))?;
            c.absent(&Question::exact([("under%com", "under"), ("underyscore.com", "under")]))
        }),
        case(&[], "a_thousand_users_of_one_host_are_told_apart", |c| {
            let keys: Vec<_> = (0..60).map(|n| ("crowd.com".to_owned(), format!("c%{}", n * 18))).collect();
            equal("rows", c.virtuals(&Question::exact(keys))?.len(), 60)
        }),
        case(&[], "a_thousand_patterns_come_back_whole", |c| {
            equal("rows", c.virtuals(&Question::patterns("crowd.com"))?.len(), CROWD_SET)
        }),
        case(&[], "no_keys_are_no_rows", |c| c.absent(&Question::Virtuals(Vec::new()))),
    ]
}

fn found_any(c: &Ctx<'_>, host: &str) -> Outcome {
    ensure(!c.agrees(&Question::any(host))?.is_empty(), format!("{host} has rows"))
}

fn any_of_several(c: &Ctx<'_>) -> Outcome {
    let hosts = ["crowd.com", "virtual.com", "onlyexact.com", "nowhere.com"];
    let keys = hosts.iter().filter_map(|host| Host::new(host.as_bytes())).map(|host| VirtualKey::Any { host });
    let rows = c.ask(&Question::Virtuals(keys.collect()))?;
    for host in &hosts[..3] {
        let question = Question::any(host);
        ensure(rows.iter().any(|row| question.counts(row)), format!("no row of {host}"))?;
    }
    Ok(())
}

fn any_beside_exact(c: &Ctx<'_>) -> Outcome {
    let Some(host) = Host::new(b"virtual.com") else { return Ok(()) };
    let Some(user) = VirtualUser::new(b"user") else { return Ok(()) };
    let exact = VirtualKey::Exact { host: host.clone(), user };
    let rows = c.ask(&Question::Virtuals(vec![VirtualKey::Any { host }, exact.clone()]))?;
    let alone = Question::Virtuals(vec![exact]);
    equal("exact row", alone.counting(&rows).len(), 1)
}

fn owners(rows: &[VirtualRow]) -> Vec<String> {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by(|a, b| (&a.virtual_username, &a.username).cmp(&(&b.virtual_username, &b.username)));
    rows.iter().map(|row| String::from_utf8_lossy(row.username.as_deref().unwrap_or_default()).into_owned()).collect()
}
