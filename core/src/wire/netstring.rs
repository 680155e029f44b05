//! Netstrings (cr.yp.to/proto/netstrings.txt): `LENGTH:BYTES,`.

use super::Malformed;

/// Longest length field that is read. Unit: digits.
const DIGITS_MAX: usize = 8;

/// Appends `content` as a netstring.
pub fn write(out: &mut Vec<u8>, content: &[u8]) {
    write_parts(out, &[content]);
}

/// Appends the concatenation of `parts` as one netstring.
pub fn write_parts(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.reserve(length + DIGITS_MAX + 2);
    write_number(out, length);
    out.push(b':');
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.push(b',');
}

/// Appends `number` in decimal.
fn write_number(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        if let (Some(digit), Ok(value)) = (digits.get_mut(at), u8::try_from(rest % 10)) {
            *digit = b'0' + value;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Several contents as netstrings, one after the other.
#[must_use]
pub fn list(contents: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(contents.iter().map(|content| content.len() + 8).sum());
    contents.iter().for_each(|content| write(&mut out, content));
    out
}

/// Reads the netstring at the start of `bytes`: its content and how many bytes it takes. `None` if more bytes have to
/// come first.
///
/// # Errors
/// If it is no netstring, or its content is longer than `max`. That is found out as early as the bytes allow.
pub fn read(bytes: &[u8], max: usize) -> Result<Option<(&[u8], usize)>, Malformed> {
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits > DIGITS_MAX {
        return Err(Malformed("the length of a netstring is too long"));
    }
    let number = bytes.get(..digits).unwrap_or_default();
    if digits > 1 && number.first() == Some(&b'0') {
        return Err(Malformed("the length of a netstring begins with 0"));
    }
    let length = number.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    if length > max {
        return Err(Malformed("a netstring is longer than it may be"));
    }
    match bytes.get(digits) {
        None => return Ok(None),
        Some(b':') if digits > 0 => {}
        Some(_) => return Err(Malformed("not a netstring")),
    }
    let (start, end) = (digits + 1, digits + 1 + length);
    match (bytes.get(start..end), bytes.get(end)) {
        (Some(content), Some(b',')) => Ok(Some((content, end + 1))),
        (Some(_), Some(_)) => Err(Malformed("a netstring does not end in a comma")),
        _ => Ok(None),
    }
}

/// Appends `contents` as netstrings inside one. `out` grows once, before the first byte is written, so that no copy of a
/// secret is left behind in memory that was given back.
pub fn write_list(out: &mut Vec<u8>, contents: &[&[u8]]) {
    const FRAME: usize = DIGITS_MAX + 2;
    out.reserve(contents.iter().map(|content| content.len() + FRAME).sum::<usize>() + FRAME);
    let digits = |number: usize| {
        1 + std::iter::successors(Some(number / 10), |rest| Some(rest / 10)).take_while(|&rest| rest > 0).count()
    };
    write_number(out, contents.iter().map(|content| digits(content.len()) + content.len() + 2).sum());
    out.push(b':');
    contents.iter().for_each(|content| write(out, content));
    out.push(b',');
}

/// Splits `bytes` into the netstrings that it consists of.
///
/// # Errors
/// If it does not consist of whole netstrings.
pub fn fields(mut bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (content, used) = read(bytes, usize::MAX)?.ok_or(Malformed("a netstring is cut off"))?;
        found.push(content);
        bytes = bytes.get(used..).unwrap_or_default();
    }
    Ok(found)
}

/// Splits `bytes` into exactly `N` netstrings.
///
/// # Errors
/// If there are more or fewer.
pub fn exactly<const N: usize>(bytes: &[u8]) -> Result<[&[u8]; N], Malformed> {
    fields(bytes)?.try_into().map_err(|_| Malformed("not the expected number of fields"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_it_writes_and_waits_for_the_rest() {
        let mut out = Vec::new();
        write(&mut out, b"");
        write_parts(&mut out, &[b"hello ", b"world!"]);
        assert_eq!(out, b"0:,12:hello world!,");
        assert_eq!(read(&out, 0), Ok(Some((&b""[..], 3))));
        for cut in 3..out.len() {
            assert_eq!(read(&out[3..cut], 12), Ok(None), "{cut}");
        }
        assert_eq!(read(&out[3..], 12), Ok(Some((&b"hello world!"[..], 16))));
        assert_eq!(fields(&out), Ok(vec![&b""[..], b"hello world!"]));
        assert_eq!(exactly::<2>(&out).unwrap()[1], b"hello world!");
        assert!(exactly::<1>(&out).is_err() && exactly::<3>(&out).is_err());
        assert_eq!(list(&[b"a", b""]), b"1:a,0:,");
    }

    #[test]
    fn what_is_none_is_found_out_early() {
        for bad in ["x", ":a,", "01:a,", "00:,", "1:ab", "-1:,", " 1:a,", "1 :a,", "1234567", "13", "13:"] {
            assert!(read(bad.as_bytes(), 12).is_err(), "{bad}");
        }
        for short in ["", "1", "12", "0", "0:", "1:", "1:a"] {
            assert_eq!(read(short.as_bytes(), 12), Ok(None), "{short}");
        }
        assert!(fields(b"1:a,2:b").is_err() && fields(b"1:a,x").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6)) {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let written = list(&parts);
            prop_assert_eq!(fields(&written), Ok(parts.clone()));
            let (mut nested, mut at_once) = (Vec::new(), Vec::new());
            write(&mut nested, &written);
            write_list(&mut at_once, &parts);
            prop_assert_eq!(nested, at_once);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (read(&bytes, 16), fields(&bytes));
        }
    }
}
