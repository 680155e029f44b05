//! Sentences of `AliasResolver`.

use super::{Case, Part};
use crate::check::{Outcome, ensure, equal};
use crate::dataset::CROWD_SET;
use crate::model::Question;
use crate::shape::Need;
use crate::subject::{Ctx, text};
use qmail_lookup_core::AliasRow;

pub(super) fn cases() -> Vec<Case> {
    let case =
        |needs, sentence, run: fn(&Ctx<'_>) -> Outcome| Case::new("alias", Part::Resolvers, needs, sentence, run);
    vec![
        case(&[], "the_rows_of_a_key_are_found", |c| {
            let row = c.alias("iain", "slowlaris")?;
            equal("instruction", (row.alias_username, row.alias_host), (text("."), text("/Maildir/")))
        }),
        case(&[], "a_set_comes_back_whole", |c| equal("rows", c.aliases([("iain", "list")])?.len(), 4)),
        case(&[], "a_set_of_a_thousand_rows_comes_back_whole", |c| {
            equal("rows", c.aliases([("crowd", "big")])?.len(), CROWD_SET)
        }),
        case(&[], "duplicate_rows_all_come_back", |c| {
            let rows = c.aliases([("dmp", "twice")])?;
            equal("rows", rows.len(), 2)?;
            equal("targets", users(&rows), ["same", "same"])
        }),
        case(&[], "the_empty_extension_finds_the_blank_row", |c| {
            equal("instruction", c.alias("iain", "")?.alias_host, text("home/iain/Mailbox"))
        }),
        case(&[], "the_empty_extension_finds_no_other_row", |c| c.absent(&Question::aliases([("dmp", "")]))),
        case(&[Need::Nulls], "the_empty_extension_finds_the_null_row", |c| {
            equal("alias", c.alias("nulls", "")?.alias, None)
        }),
        case(&[Need::Nulls], "blank_and_null_rows_of_the_empty_extension_both_come_back", |c| {
            let mut found = users(&c.aliases([("both", "")])?);
            found.sort();
            equal("rows", found, ["from-empty", "from-null"])
        }),
        case(&[Need::Nulls], "the_empty_extension_beside_another_finds_the_null_row_too", |c| {
            equal("rows", c.aliases([("nulls", ""), ("nulls", "@")])?.len(), 2)
        }),
        case(&[Need::Nulls], "null_is_none_and_not_empty", |c| {
            let rows = c.aliases([("nulls", "values")])?;
            equal("rows", rows.len(), 2)?;
            equal(
                "bogus",
                rows.iter().filter(|row| row.alias_username.is_none() && row.alias_host.is_none()).count(),
                1,
            )
        }),
        case(&[], "the_catch_all_is_a_key_like_any_other", |c| {
            equal("@", users(&c.aliases([("virtual", "@")])?), ["."])?;
            c.absent(&Question::aliases([("virtual", "whatever")]))
        }),
        case(&[], "exact_and_catch_all_are_answered_by_one_call", |c| {
            equal("rows", c.aliases([("dmp", "twice"), ("dmp", "@")])?.len(), 3)
        }),
        case(&[], "a_key_that_is_absent_hides_none_that_is_there", |c| {
            equal("rows", users(&c.aliases([("dmp", "nothing"), ("dmp", "@"), ("nobody", "@")])?), ["catch"])
        }),
        case(&[], "an_owner_without_rows_is_absent_not_an_error", |c| {
            c.absent(&Question::aliases([("nobody", ""), ("nobody", "@"), ("nobody", "list")]))
        }),
        case(&[], "keys_are_pairs_not_a_cross_product", |c| {
            c.absent(&Question::aliases([("cross1", "b"), ("cross2", "a")]))?;
            equal("both", c.aliases([("cross1", "a"), ("cross2", "b")])?.len(), 2)
        }),
        case(&[], "a_set_of_another_owner_is_another_set", |c| {
            c.absent(&Question::aliases([("virtual", "list"), ("dmp", "slowlaris"), ("iain-sanity", "list")]))
        }),
        case(&[], "an_alias_stored_in_upper_case_is_found", |c| {
            let row = c.alias("dmp", "upper")?;
            equal("as stored", (row.alias, row.alias_username), (text("Upper"), text("KeepCase")))
        }),
        case(&[], "an_owner_stored_in_upper_case_is_found", |c| {
            equal("as stored", c.alias("dmp", "owner-upper")?.username, text("DMP"))
        }),
        case(&[], "an_alias_asked_in_upper_case_is_found", |c| equal("rows", c.aliases([("IAIN", "LIST")])?.len(), 4)),
        case(&[], "an_address_is_an_alias_like_any_other", |c| {
            equal("row", c.alias("alias", "info@bar.com")?.alias_username, text("real"))
        }),
        case(&[], "many_keys_are_answered_by_one_call", |c| {
            let absent = (0..150).map(|n| ("iain".to_owned(), format!("absent{n}")));
            let rows = c.aliases(absent.chain([("iain".to_owned(), "list".to_owned())]))?;
            equal("rows", rows.len(), 4)
        }),
        case(&[], "no_keys_are_no_rows", |c| c.absent(&Question::Aliases(Vec::new()))),
        case(&[], "a_bogus_row_comes_back_as_stored", |c| {
            let row = c.alias("dmp", "bogus")?;
            equal("cells", (row.alias_username, row.alias_host), (text(""), text("")))
        }),
        case(&[], "a_bogus_row_hides_no_good_one", |c| equal("rows", c.aliases([("dmp", "halfbogus")])?.len(), 2)),
        case(&[], "trailing_blanks_of_an_instruction_are_kept", |c| {
            equal("host", c.alias("values", "blanks")?.alias_host, text("echo  two  blanks \t "))
        }),
        case(&[], "quotes_and_backslashes_come_back_as_stored", |c| {
            equal("host", c.alias("values", "quotes")?.alias_host, text("echo 'a' \"b\" \\c \\\\d %s _e ;# -- /* ?"))
        }),
        case(&[], "a_newline_comes_back_as_stored", |c| {
            equal("host", c.alias("values", "newline")?.alias_host, text("echo a\necho b"))
        }),
        case(&[], "an_instruction_of_500_bytes_is_not_cut", |c| {
            equal("length", c.alias("values", "long")?.alias_host.map(|host| host.len()), Some(500))
        }),
        case(&[], "an_umlaut_comes_back_in_the_bytes_of_its_column", |c| {
            let stored = c.shape.values.store("/Maildir/.Postf\u{e4}cher/".as_bytes());
            equal("host", c.alias("values", "accents")?.alias_host, stored)
        }),
        case(&[Need::UnicodeValues], "another_script_comes_back_as_stored", |c| {
            equal("host", c.alias("values", "emoji")?.alias_host, text("/Maildir/.\u{1f600}/"))
        }),
        case(&[], "a_cell_that_says_null_is_not_null", |c| {
            equal("user", c.alias("values", "word")?.alias_username, text("NULL"))
        }),
        case(&[], "a_percent_sign_in_a_key_is_no_wildcard", |c| {
            equal("row", c.alias("keys", "%")?.alias_username, text("percent"))
        }),
        case(&[], "an_underscore_in_a_key_is_no_wildcard", |c| {
            equal("row", c.alias("keys", "_")?.alias_username, text("underscore"))
        }),
        case(&[], "digits_are_not_numbers", |c| {
            equal("007", c.alias("keys", "007")?.alias_username, text("zeros"))?;
            equal("7", c.alias("keys", "7")?.alias_username, text("seven"))?;
            c.absent(&Question::aliases([("keys", "07"), ("keys", "7.0"), ("keys", "0")]))
        }),
        case(&[], "a_quote_in_a_key_is_a_value", |c| {
            equal("row", c.alias("keys", "o'brien")?.alias_username, text("quote"))
        }),
        case(&[], "a_backslash_in_a_key_is_a_value", |c| {
            equal("row", c.alias("keys", "back\\slash")?.alias_username, text("backslash"))?;
            c.absent(&Question::aliases([("keys", "backslash"), ("keys", "back\\\\slash")]))
        }),
        case(&[], "a_stored_trailing_blank_is_not_the_key_without", |c| {
            c.absent(&Question::aliases([("keys", "trail")]))?;
            c.absent(&Question::aliases([("keys", "own")]))
        }),
        case(&[], "a_stored_blank_is_not_the_empty_extension", |c| c.absent(&Question::aliases([("only-blank", "")]))),
        case(&[Need::Latin1Keys], "a_stored_accent_is_not_the_plain_letter", |c| {
            c.absent(&Question::aliases([("keys", "rene")]))
        }),
        case(&[Need::WideNames], "an_extension_of_128_bytes_is_found", |c| {
            let row = c.alias(&"y".repeat(128), &"z".repeat(128))?;
            equal("row", row.alias_username, text("wide"))
        }),
        case(&[Need::Seq], "seq_comes_back_and_orders_the_set", |c| {
            let mut rows = c.aliases([("iain", "list")])?;
            ensure(rows.iter().all(|row| row.seq.is_some()), "a seq is missing")?;
            rows.sort_by_key(seq);
            equal("order", users(&rows), ["|", ".", "zed", "a"])
        }),
        case(&[Need::NoSeq], "without_the_column_seq_is_none", |c| {
            let rows = c.aliases([("iain", "list")])?;
            ensure(rows.iter().all(|row| row.seq.is_none()), "a seq came out of nowhere")
        }),
    ]
}

fn seq(row: &AliasRow) -> Option<u64> {
    std::str::from_utf8(row.seq.as_deref()?).ok()?.parse().ok()
}

fn users(rows: &[AliasRow]) -> Vec<String> {
    rows.iter()
        .map(|row| String::from_utf8_lossy(row.alias_username.as_deref().unwrap_or_default()).into_owned())
        .collect()
}
