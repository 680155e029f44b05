//! `deliver`: qmail-local's arguments as the key, and what to do with the mail as the data. The rows are told by `exact`, or
//! by the offset in the extension at which DEFAULT begins.

use super::{Malformed, VERSION, netstring};
use crate::alias::Instruction;
use crate::rules::{Deliver, Delivery, OwnerFlags, Set};

/// Longest content of a frame that answers. Unit: bytes. Source: ours; a list of some 200,000 addresses.
pub const ANSWER_MAX: usize = 16 << 20;

/// Writes the key.
#[must_use]
pub fn encode_question(asked: &Deliver) -> Vec<u8> {
    netstring::list(&[&asked.user, &asked.local, &asked.dash, &asked.ext, &asked.domain])
}

/// Reads the key. [`Deliver::system_home`] and [`Deliver::is_local`] are not part of it.
///
/// # Errors
/// If it is not five fields.
pub fn decode_question(key: &[u8]) -> Result<Deliver, Malformed> {
    let [user, local, dash, ext, domain] = netstring::exactly(key)?.map(<[u8]>::to_vec);
    Ok(Deliver { user, local, dash, ext, domain, system_home: None, is_local: false })
}

/// Writes the data: version, policy, which rows, owner flags, and the instructions or the text.
#[must_use]
pub fn encode(delivery: &Delivery) -> Vec<u8> {
    let (policy, set, owner, rest): (&[u8], Vec<u8>, _, _) = match delivery {
        Delivery::Rows { set, instructions, owner } => {
            let mut lines = Vec::new();
            instructions.iter().for_each(|instruction| write_instruction(&mut lines, instruction));
            let set = match set {
                Set::Exact => b"exact".to_vec(),
                Set::Default(begin) => begin.to_string().into_bytes(),
            };
            (b"deliver", set, *owner, lines)
        }
        Delivery::Files { owner } => (b"files", Vec::new(), *owner, Vec::new()),
        Delivery::Bounce(text) => (b"bounce", Vec::new(), OwnerFlags::default(), text.as_bytes().to_vec()),
        Delivery::Defer(text) => (b"defer", Vec::new(), OwnerFlags::default(), text.as_bytes().to_vec()),
    };
    netstring::list(&[VERSION, policy, &set, &flags(owner), &rest])
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// On anything else; also on rows without an instruction, which would eat the mail.
pub fn decode(data: &[u8]) -> Result<Delivery, Malformed> {
    let [version, policy, set, owner, rest] = netstring::exactly(data)?;
    if version != VERSION {
        return Err(Malformed("another version"));
    }
    let text = || std::str::from_utf8(rest).map(|text| text.to_owned().into()).map_err(|_| Malformed("not a text"));
    let owner = unflags(owner)?;
    match (policy, set) {
        (b"deliver", set) if !set.is_empty() => {
            let instructions = netstring::fields(rest)?.into_iter().map(instruction).collect::<Result<Vec<_>, _>>()?;
            if instructions.is_empty() {
                return Err(Malformed("rows without an instruction"));
            }
            let set = match set {
                b"exact" => Set::Exact,
                digits => Set::Default(offset(digits)?),
            };
            Ok(Delivery::Rows { set, instructions, owner })
        }
        (b"files", b"") if rest.is_empty() => Ok(Delivery::Files { owner }),
        (b"bounce", b"") => Ok(Delivery::Bounce(text()?)),
        (b"defer", b"") => Ok(Delivery::Defer(text()?)),
        _ => Err(Malformed("an unknown policy")),
    }
}

fn write_instruction(out: &mut Vec<u8>, instruction: &Instruction) {
    let (kind, text): (&[u8], _) = match instruction {
        Instruction::Program(text) => (b"|", text),
        Instruction::Mbox(path) => (b"b", path),
        Instruction::Maildir(path) => (b"d", path),
        Instruction::Forward(address) => (b"&", address),
    };
    netstring::write_parts(out, &[kind, text]);
}

fn instruction(bytes: &[u8]) -> Result<Instruction, Malformed> {
    match bytes {
        [_, text @ ..] if text.is_empty() || text.contains(&0) || text.contains(&b'\n') => {
            Err(Malformed("an instruction that no line could hold"))
        }
        [b'|', text @ ..] => Ok(Instruction::Program(text.to_vec())),
        [b'b', path @ ..] => Ok(Instruction::Mbox(path.to_vec())),
        [b'd', path @ ..] if path.ends_with(b"/") => Ok(Instruction::Maildir(path.to_vec())),
        [b'&', address @ ..] => Ok(Instruction::Forward(address.to_vec())),
        _ => Err(Malformed("an unknown instruction")),
    }
}

/// An offset in an extension.
fn offset(digits: &[u8]) -> Result<usize, Malformed> {
    let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
    number.filter(|number: &usize| number.to_string().as_bytes() == digits).ok_or(Malformed("unknown rows"))
}

/// One letter for each that is set, in this order.
fn flags(owner: OwnerFlags) -> Vec<u8> {
    let letters = [(owner.owner, b'o'), (owner.owner_default, b'd'), (owner.no_files, b'x')];
    letters.into_iter().filter_map(|(set, letter)| set.then_some(letter)).collect()
}

fn unflags(text: &[u8]) -> Result<OwnerFlags, Malformed> {
    let has = |letter| text.contains(&letter);
    let owner = OwnerFlags { owner: has(b'o'), owner_default: has(b'd'), no_files: has(b'x') };
    if flags(owner) == text { Ok(owner) } else { Err(Malformed("unknown owner flags")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delivery_comes_back_and_none_of_it_cut() {
        let instructions = vec![
            Instruction::Program(b" exit 99".to_vec()),
            Instruction::Mbox(b"./Mailbox".to_vec()),
            Instruction::Maildir(b"./Maildir/".to_vec()),
            Instruction::Forward(b"a@b".to_vec()),
        ];
        let owner = OwnerFlags { owner: true, owner_default: true, no_files: false };
        for delivery in [
            Delivery::Rows { set: Set::Exact, instructions: instructions.clone(), owner },
            Delivery::Rows { set: Set::Default(7), instructions, owner: OwnerFlags::default() },
            Delivery::Files { owner: OwnerFlags { owner: false, ..owner } },
            Delivery::Files { owner: OwnerFlags { no_files: true, ..OwnerFlags::default() } },
            Delivery::Bounce("no".into()),
            Delivery::Defer("later".into()),
        ] {
            let data = encode(&delivery);
            for cut in 0..data.len() {
                assert!(decode(&data[..cut]).is_err());
            }
            assert_eq!(decode(&data), Ok(delivery));
        }
    }

    #[test]
    fn what_could_eat_mail_is_no_answer() {
        let data = |parts: [&[u8]; 5]| decode(&netstring::list(&parts));
        assert!(data([b"1", b"files", b"", b"o", b""]).is_ok());
        for bad in [
            [&b"2"[..], b"files", b"", b"", b""],
            [b"1", b"deliver", b"exact", b"", b""],
            [b"1", b"deliver", b"", b"", b"4:|exi,"],
            [b"1", b"deliver", b"default", b"", b"4:|exi,"],
            [b"1", b"deliver", b"07", b"", b"4:|exi,"],
            [b"1", b"deliver", b"exact", b"", b"1:|,"],
            [b"1", b"deliver", b"exact", b"", b"4:dabc,"],
            [b"1", b"deliver", b"exact", b"", b"4:b\nab,"],
            [b"1", b"deliver", b"exact", b"", b"4:xabc,"],
            [b"1", b"files", b"exact", b"", b""],
            [b"1", b"files", b"", b"y", b""],
            [b"1", b"files", b"", b"do", b""],
            [b"1", b"files", b"", b"oo", b""],
            [b"1", b"files", b"", b"", b"x"],
            [b"1", b"eat", b"", b"", b""],
        ] {
            assert!(data(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_question_comes_back() {
        let asked = Deliver {
            user: b"iain".to_vec(),
            local: b"=virtual.com=-Iain".to_vec(),
            dash: b"-".to_vec(),
            ext: b"x,1:".to_vec(),
            domain: b"Virtual.COM".to_vec(),
            system_home: None,
            is_local: false,
        };
        assert_eq!(decode_question(&encode_question(&asked)), Ok(asked));
        assert!(decode_question(b"1:a,").is_err());
    }
}
