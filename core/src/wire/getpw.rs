//! Data of `getpw`: version, the two policies of rule G3, the winner, the alias user. Five netstrings; six fields are
//! six netstrings inside one.

use super::{Malformed, VERSION, netstring};
use crate::getpw::{Answer, SixFields, Winner};
use crate::settings::HomeTrouble;

/// Writes `answer`.
#[must_use]
pub fn encode(answer: &Answer) -> Vec<u8> {
    let winner = match &answer.winner {
        Winner::Mailbox(fields) => six(fields),
        Winner::Stock(local) => netstring::list(&[b"stock", local]),
        Winner::AliasUser => Vec::new(),
    };
    let alias = answer.alias.as_ref().map(six).unwrap_or_default();
    netstring::list(&[VERSION, word(answer.home_missing), word(answer.home_mismatch), &winner, &alias])
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// On anything else. Uid and gid 0 are not read: qmail-lspawn would take a bad gid for 0 and deliver as root's group.
pub fn decode(data: &[u8]) -> Result<Answer, Malformed> {
    let [version, home_missing, home_mismatch, winner, alias] = netstring::exactly(data)?;
    if version != VERSION {
        return Err(Malformed("another version"));
    }
    let winner = match netstring::fields(winner)?[..] {
        [] => Winner::AliasUser,
        [b"stock", local] => Winner::Stock(local.to_vec()),
        _ => Winner::Mailbox(unsix(winner)?),
    };
    let alias = if alias.is_empty() { None } else { Some(unsix(alias)?) };
    Ok(Answer { home_missing: policy(home_missing)?, home_mismatch: policy(home_mismatch)?, winner, alias })
}

fn six(fields: &SixFields) -> Vec<u8> {
    let (uid, gid) = (fields.uid.to_string(), fields.gid.to_string());
    netstring::list(&[&fields.user, uid.as_bytes(), gid.as_bytes(), &fields.home, &fields.dash, &fields.ext])
}

fn unsix(bytes: &[u8]) -> Result<SixFields, Malformed> {
    let [user, uid, gid, home, dash, ext] = netstring::exactly(bytes)?;
    if user.is_empty() || home.first() != Some(&b'/') || !matches!(dash, b"" | b"-") {
        return Err(Malformed("a user without a name or home, or with an unknown dash"));
    }
    let owned = <[u8]>::to_vec;
    let (uid, gid) = (super::id(uid)?, super::id(gid)?);
    Ok(SixFields { user: owned(user), uid, gid, home: owned(home), dash: owned(dash), ext: owned(ext) })
}

fn word(policy: HomeTrouble) -> &'static [u8] {
    match policy {
        HomeTrouble::Defer => b"defer",
        HomeTrouble::Alias => b"alias",
    }
}

fn policy(word: &[u8]) -> Result<HomeTrouble, Malformed> {
    match word {
        b"defer" => Ok(HomeTrouble::Defer),
        b"alias" => Ok(HomeTrouble::Alias),
        _ => Err(Malformed("an unknown policy")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(user: &str, ext: &str) -> SixFields {
        SixFields {
            user: user.into(),
            uid: 800,
            gid: 100,
            home: b"/home/x".to_vec(),
            dash: b"-".to_vec(),
            ext: ext.into(),
        }
    }

    #[test]
    fn every_answer_comes_back() {
        let winners = [Winner::Mailbox(fields("iain", "wo\0rk,")), Winner::Stock(b"stock".to_vec()), Winner::AliasUser];
        for winner in winners {
            for alias in [None, Some(fields("alias", "iain"))] {
                let (home_missing, home_mismatch) = (HomeTrouble::Defer, HomeTrouble::Alias);
                let answer = Answer { home_missing, home_mismatch, winner: winner.clone(), alias };
                let data = encode(&answer);
                assert_eq!(decode(&data), Ok(answer));
                for cut in 0..data.len() {
                    assert!(decode(&data[..cut]).is_err(), "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn what_would_be_root_or_is_of_another_version_is_no_answer() {
        let answer = Answer {
            home_missing: HomeTrouble::Defer,
            home_mismatch: HomeTrouble::Defer,
            winner: Winner::Mailbox(fields("iain", "")),
            alias: None,
        };
        let text = String::from_utf8(encode(&answer)).unwrap();
        assert!(decode(text.as_bytes()).is_ok());
        let changes = [
            ("1:1,", "1:2,"),
            ("3:800,", "3:000,"),
            ("3:800,", "3:8x0,"),
            ("3:100,", "3:-10,"),
            ("7:/home/x,", "7:xhome/x,"),
            ("1:-,", "1:+,"),
            ("5:defer,", "5:deny!,"),
        ];
        for (from, to) in changes {
            assert!(text.contains(from));
            assert!(decode(text.replace(from, to).as_bytes()).is_err(), "{from} -> {to}");
        }
        let root = SixFields { uid: 0, ..fields("iain", "") };
        assert!(decode(&encode(&Answer { winner: Winner::Mailbox(root), ..answer })).is_err());
    }
}
