//! What a stored value looks like, whatever its type column says (rule P2).

/// Splits `$id$rest` into id and rest. The id is not empty and of letters, digits and `,=_-` only, so `$md5,rounds=9$`
/// counts and a password such as `$ 5$` does not.
pub(super) fn dollar(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (id, rest) = cut(value.strip_prefix(b"$")?, b'$')?;
    let sound = |b: &u8| b.is_ascii_alphanumeric() || b",=_-".contains(b);
    (!id.is_empty() && id.iter().all(sound)).then_some((id, rest))
}

/// The 40 digits of `*HEX`.
pub(super) fn star(value: &[u8]) -> Option<&[u8]> {
    let digits = value.strip_prefix(b"*")?;
    (digits.len() == 40 && digits.iter().all(u8::is_ascii_hexdigit)).then_some(digits)
}

/// Splits `{SCHEME}rest` into name and rest. Any name of at least one byte counts: slapd judges alike, and refuses
/// such a value in a bind unless it knows the scheme.
pub(super) fn scheme(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = cut(value.strip_prefix(b"{")?, b'}')?;
    (!name.is_empty()).then_some((name, rest))
}

/// The parts before and after the first `at`.
pub(super) fn cut(value: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let mut parts = value.splitn(2, |&b| b == at);
    Some((parts.next()?, parts.next()?))
}

/// Reads a decimal without sign, blanks or leading zero, as libcrypt wants it.
pub(super) fn decimal(digits: &[u8]) -> Option<u32> {
    let plain = digits.iter().all(u8::is_ascii_digit) && (digits.len() == 1 || !digits.starts_with(b"0"));
    if !plain {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// True if `value` reads as a hash: `$id$...`, `*` and 40 hex digits, or `{SCHEME}...`. Such a value is never compared
/// as plain text. The old forms without a mark (DES, 16 hex digits) cannot be told from a password.
#[must_use]
pub fn looks_like_hash(value: &[u8]) -> bool {
    dollar(value).is_some() || star(value).is_some() || scheme(value).is_some()
}
