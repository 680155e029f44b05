//! The environment of programs.

use super::lines::Lines;
use super::recipient::Recipient;

/// The variables, besides what is inherited. `default` is None if DEFAULT stays as it was.
#[must_use]
pub fn variables(
    recipient: &Recipient,
    lines: &Lines,
    new_sender: &[u8],
    default: Option<&[u8]>,
) -> Vec<(&'static str, Vec<u8>)> {
    let Recipient { user, home, local, ext, domain, sender, .. } = recipient;
    let [ext2, ext3, ext4] = after_dashes(ext);
    let [host2, host3, host4] = before_dots(domain);
    let always: [(_, &[u8]); 17] = [
        ("HOST", domain),
        ("HOME", home),
        ("USER", user),
        ("LOCAL", local),
        ("RECIPIENT", &recipient.address()),
        ("DTLINE", &lines.delivered_to),
        ("SENDER", sender),
        ("NEWSENDER", new_sender),
        ("RPLINE", &lines.return_path),
        ("UFLINE", &lines.from),
        ("EXT", ext),
        ("EXT2", ext2),
        ("EXT3", ext3),
        ("EXT4", ext4),
        ("HOST2", host2),
        ("HOST3", host3),
        ("HOST4", host4),
    ];
    always
        .into_iter()
        .chain(default.map(|default| ("DEFAULT", default)))
        .map(|(name, to)| (name, to.to_vec()))
        .collect()
}

/// What follows the first, the second and the third dash of `ext`: nothing if there are not as many.
fn after_dashes(ext: &[u8]) -> [&[u8]; 3] {
    let mut rest = ext;
    [(); 3].map(|()| {
        rest = rest.splitn(2, |&byte| byte == b'-').nth(1).unwrap_or_default();
        rest
    })
}

/// What precedes the last dot of `domain`, the last but one and the one before it: the same again if there are not as
/// many.
fn before_dots(domain: &[u8]) -> [&[u8]; 3] {
    let mut rest = domain;
    [(); 3].map(|()| {
        rest = rest.rsplitn(2, |&byte| byte == b'.').nth(1).unwrap_or(rest);
        rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn of(ext: &str, domain: &str, default: Option<&str>) -> BTreeMap<&'static str, String> {
        let recipient = Recipient {
            user: b"joe".to_vec(),
            home: b"/home/joe".to_vec(),
            local: format!("joe-{ext}").into(),
            dash: b"-".to_vec(),
            ext: ext.into(),
            domain: domain.into(),
            sender: b"send@er.test".to_vec(),
        };
        let lines = Lines {
            from: b"From send@er.test Sun Nov 22 07:13:18 2026\n".to_vec(),
            return_path: b"Return-Path: <send@er.test>\n".to_vec(),
            delivered_to: b"Delivered-To: somebody\n".to_vec(),
        };
        let found = variables(&recipient, &lines, b"new@er.test", default.map(str::as_bytes));
        let names = found.len();
        let found: BTreeMap<_, _> =
            found.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect();
        assert_eq!(found.len(), names, "no variable comes twice");
        found
    }

    #[test]
    fn every_variable_has_its_value() {
        let text = of("One-Two.X-Three", "host.test", Some("Two.X-Three"))
            .into_iter()
            .map(|(name, value)| format!("{name}={value}|"))
            .collect::<String>();
        assert_eq!(
            text,
            "DEFAULT=Two.X-Three|DTLINE=Delivered-To: somebody\n|EXT=One-Two.X-Three|EXT2=Two.X-Three|EXT3=Three|EXT4=|\
             HOME=/home/joe|HOST=host.test|HOST2=host|HOST3=host|HOST4=host|LOCAL=joe-One-Two.X-Three|\
             NEWSENDER=new@er.test|RECIPIENT=joe-One-Two.X-Three@host.test|RPLINE=Return-Path: <send@er.test>\n|\
             SENDER=send@er.test|UFLINE=From send@er.test Sun Nov 22 07:13:18 2026\n|USER=joe|"
        );
    }

    #[test]
    fn default_is_set_only_if_it_is_known() {
        assert_eq!(of("a", "x", None).get("DEFAULT"), None);
        assert_eq!(of("a-", "x", Some("")).get("DEFAULT"), Some(&String::new()));
    }

    #[test]
    fn extensions_are_cut_at_dashes() {
        for (ext, parts) in [
            ("", ["", "", ""]),
            ("a", ["", "", ""]),
            ("a-", ["", "", ""]),
            ("-a", ["a", "", ""]),
            ("a-b-c-d-e", ["b-c-d-e", "c-d-e", "d-e"]),
            ("a--b", ["-b", "b", ""]),
            ("---", ["--", "-", ""]),
        ] {
            let found = of(ext, "x", None);
            assert_eq!(["EXT2", "EXT3", "EXT4"].map(|name| &found[name][..]), parts, "{ext}");
        }
    }

    #[test]
    fn hosts_are_cut_at_dots() {
        for (host, parts) in [
            ("a.b.c.d.e", ["a.b.c.d", "a.b.c", "a.b"]),
            ("virtual.com", ["virtual", "virtual", "virtual"]),
            ("localhost", ["localhost", "localhost", "localhost"]),
            ("", ["", "", ""]),
            (".x", ["", "", ""]),
            ("a..b.", ["a..b", "a.", "a"]),
        ] {
            let found = of("", host, None);
            assert_eq!(["HOST2", "HOST3", "HOST4"].map(|name| &found[name][..]), parts, "{host}");
        }
    }
}
