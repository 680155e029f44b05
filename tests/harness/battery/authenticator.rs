//! Sentences of `Authenticator`, of stores that have one (rules P1 to P5).

use super::{Case, Part};
use crate::check::{Outcome, ensure, equal, must_fail};
use crate::model::soon;
use crate::shape::Need;
use crate::subject::Ctx;
use libtest_mimic::Failed;
use qmail_lookup_core::{AuthAnswer, LookupError, Refusal, Secret, Username};

pub(super) fn cases() -> Vec<Case> {
    let case = |needs, sentence, run: fn(&Ctx<'_>) -> Outcome| {
        Case::new("authenticator", Part::Authenticator, needs, sentence, run)
    };
    const TYPES: &[Need] = &[Need::LoginColumns];
    vec![
        case(TYPES, "a_right_password_is_granted", |c| granted(c, "iain", "sesame")),
        case(TYPES, "a_grant_names_the_mailbox", |c| match login(c, "iain", b"sesame")? {
            AuthAnswer::Granted(mailbox) => {
                equal("mailbox", (mailbox.uid, mailbox.gid, mailbox.home), (800, 100, b"/home/mail/iain".to_vec()))
            }
            AuthAnswer::Refused(why) => Err(format!("{why:?}").into()),
        }),
        case(TYPES, "a_name_in_upper_case_is_granted", |c| granted(c, "IAIN", "sesame")),
        case(TYPES, "a_name_stored_in_upper_case_is_granted", |c| granted(c, "boss", "sesame")),
        case(TYPES, "a_wrong_password_is_refused", |c| {
            ["Sesame", "sesam", "sesame ", " sesame", "sesamee", "*", "%"]
                .iter()
                .try_for_each(|wrong| refused(c, "iain", wrong.as_bytes(), Refusal::WrongPassword))
        }),
        case(&[], "an_unknown_name_is_refused", |c| refused(c, "nobody", b"sesame", Refusal::Unknown)),
        case(&[], "a_longer_name_is_not_its_prefix", |c| refused(c, "iain-list", b"sesame", Refusal::Unknown)),
        case(&[], "an_empty_password_is_refused", |c| {
            ["iain", "pw-empty", "pw-empty-crypt", "pw-empty-mysql"]
                .iter()
                .try_for_each(|name| refused_somehow(c, name, b""))
        }),
        case(&[], "a_password_with_a_nul_is_refused", |c| {
            refused_somehow(c, "iain", b"sesame\0")?;
            refused_somehow(c, "pw-des", b"secret\0")?;
            refused_somehow(c, "iain", b"\0")
        }),
        case(&[], "an_empty_stored_password_lets_nobody_in", |c| {
            for name in ["pw-empty", "pw-empty-crypt", "pw-empty-mysql"] {
                for offered in [&b" "[..], b"x", b"secret", b"*"] {
                    refused_somehow(c, name, offered)?;
                }
            }
            Ok(())
        }),
        case(TYPES, "a_trailing_blank_is_part_of_the_password", |c| {
            granted(c, "pw-blank", "secret ")?;
            refused(c, "pw-blank", b"secret", Refusal::WrongPassword)
        }),
        case(TYPES, "quotes_are_part_of_the_password", |c| granted(c, "pw-quote", "a'b\"c\\d%e_f")),
        case(TYPES, "letters_beyond_ascii_are_bytes", |c| {
            let stored = c.shape.values.store("gehe\u{ef}m".as_bytes()).unwrap_or_default();
            ensure(is_granted(&login(c, "pw-utf8", &stored)?), "the stored bytes are refused")?;
            refused_somehow(c, "pw-utf8", b"geheim")
        }),
        case(TYPES, "crypt_in_des_is_verified", |c| both(c, "pw-des")),
        case(TYPES, "crypt_in_md5_is_verified", |c| both(c, "pw-md5")),
        case(TYPES, "crypt_in_sha512_is_verified", |c| both(c, "pw-sha512")),
        case(TYPES, "mysql_passwords_are_verified", |c| both(c, "pw-mysql")),
        case(TYPES, "old_mysql_passwords_are_verified", |c| both(c, "pw-old")),
        case(&[], "a_hash_is_no_password", |c| {
            let stored = |name: &str| {
                c.rows.iter().find_map(|row| {
                    let cells = row.cells();
                    (cells.first().copied().flatten() == Some(name.as_bytes()))
                        .then(|| cells.get(4).copied().flatten())?
                })
            };
            for name in ["pw-hash-as-plain", "pw-mysql-as-plain", "pw-sha512", "pw-mysql", "pw-des"] {
                let hash = stored(name).ok_or("not stored")?.to_vec();
                refused_somehow(c, name, &hash)?;
            }
            Ok(())
        }),
        case(&[Need::FreeWords], "an_unknown_type_lets_nobody_in", |c| {
            refused_somehow(c, "pw-unknown-type", b"secret")?;
            refused_somehow(c, "pw-no-type", b"secret")
        }),
        case(TYPES, "a_suspended_mailbox_is_refused", |c| {
            refused(c, "susp-y", b"secret", Refusal::Suspended)?;
            granted(c, "susp-n", "secret")
        }),
        case(&[Need::FreeWords], "any_other_word_suspends", |c| {
            granted(c, "susp-small-n", "secret")?;
            refused(c, "susp-empty", b"secret", Refusal::Suspended)?;
            refused(c, "susp-other", b"secret", Refusal::Suspended)
        }),
        case(&[Need::Nulls, Need::LoginColumns], "null_in_suspended_is_active", |c| granted(c, "susp-null", "secret")),
        case(&[Need::Nulls], "a_null_password_lets_nobody_in", |c| {
            refused_somehow(c, "bad-null-password", b"secret")?;
            refused_somehow(c, "bad-null-password", b"NULL")
        }),
        case(TYPES, "a_bad_row_lets_nobody_in", |c| {
            ["bad-root", "bad-group", "bad-low", "bad-home-relative", "bad-home-newline"]
                .iter()
                .try_for_each(|name| must_fail(name, login(c, name, b"secret")).map(drop))
        }),
        case(&[Need::Duplicates], "two_rows_for_one_name_let_nobody_in", |c| {
            must_fail("twin", login(c, "twin", b"sesame"))?;
            must_fail("pair", login(c, "pair", b"sesame")).map(drop)
        }),
        case(TYPES, "a_padded_or_accented_twin_is_nobody", |c| {
            refused(c, "trail", b"sesame", Refusal::Unknown)?;
            granted(c, "padded", "sesame")
        }),
        case(&[], "names_that_are_syntax_are_refused", |c| {
            crate::dataset::traps::SYNTAX.iter().try_for_each(|(_, raw)| {
                let name = String::from_utf8_lossy(raw);
                refused(c, &name, b"sesame", Refusal::Unknown)
            })
        }),
    ]
}

fn login(c: &Ctx<'_>, name: &str, offered: &[u8]) -> Result<AuthAnswer, LookupError> {
    let (Some(who), Some(authenticator)) = (Username::new(name.as_bytes()), c.store.authenticator()) else {
        panic!("{name} is no usable name, or there is no authenticator");
    };
    c.wait(authenticator.authenticate(&who, &Secret::new(offered.to_vec()), soon()))
}

fn is_granted(answer: &AuthAnswer) -> bool {
    matches!(answer, AuthAnswer::Granted(_))
}

fn granted(c: &Ctx<'_>, name: &str, offered: &str) -> Outcome {
    let answer = login(c, name, offered.as_bytes())?;
    ensure(is_granted(&answer), format!("{name}: {answer:?}"))
}

fn refused(c: &Ctx<'_>, name: &str, offered: &[u8], why: Refusal) -> Outcome {
    equal(name, login(c, name, offered)?, AuthAnswer::Refused(why))
}

/// Refused, whatever the reason in the log.
fn refused_somehow(c: &Ctx<'_>, name: &str, offered: &[u8]) -> Result<(), Failed> {
    let answer = login(c, name, offered)?;
    ensure(!is_granted(&answer), format!("{name}: {answer:?}"))
}

/// `secret` gets in, anything else does not.
fn both(c: &Ctx<'_>, name: &str) -> Outcome {
    granted(c, name, "secret")?;
    refused(c, name, b"Secret1", Refusal::WrongPassword)
}
