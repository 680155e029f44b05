//! What qmail-send makes of a recipient.

use crate::control::{lines, names};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Result;
use std::path::Path;

/// Where mail for a recipient goes, and the recipient as it stands in the queue from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Local(Vec<u8>),
    Remote(Vec<u8>),
}

/// The maps. Those that HUP does not read again are kept.
#[derive(Debug)]
pub(crate) struct Routes {
    no_at: Vec<u8>,
    percenthack: BTreeSet<Vec<u8>>,
    locals: BTreeSet<Vec<u8>>,
    virtuals: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Routes {
    pub(crate) fn read(home: &Path) -> Result<Self> {
        let me = crate::control::first(home, "me")?.unwrap_or_default();
        let no_at = crate::control::first(home, "envnoathost")?.unwrap_or(me);
        let percenthack = folded(lines(home, "percenthack")?.unwrap_or_default());
        let mut routes = Self { no_at, percenthack, locals: BTreeSet::new(), virtuals: BTreeMap::new() };
        routes.reread(home)?;
        Ok(routes)
    }

    /// Reads locals and virtualdomains; on an error both stay as they were.
    pub(crate) fn reread(&mut self, home: &Path) -> Result<()> {
        let locals = match lines(home, "locals")? {
            Some(lines) => lines,
            None => crate::control::first(home, "me")?.into_iter().collect(),
        };
        let virtuals = lines(home, "virtualdomains")?.unwrap_or_default();
        self.locals = folded(locals);
        self.virtuals =
            virtuals.iter().filter_map(|line| cut(line, b':')).map(|(k, v)| (fold(k), v.to_vec())).collect();
        Ok(())
    }

    /// Rewrites `recipient`.
    pub(crate) fn way(&self, recipient: &[u8]) -> Way {
        let mut address = recipient.to_vec();
        if !address.contains(&b'@') {
            address.push(b'@');
            address.extend_from_slice(&self.no_at);
        }
        let (mut local, mut domain) = split(&address);
        while self.percenthack.contains(&fold(&domain)) {
            let Some(at) = local.iter().rposition(|byte| *byte == b'%') else { break };
            domain = local.split_off(at).split_off(1);
        }
        let address = [&local[..], b"@", &domain].concat();
        if self.locals.contains(&fold(&domain)) {
            return Way::Local(address);
        }
        let keys = std::iter::once(fold(&address)).chain(names(&domain)).chain([Vec::new()]);
        match keys.into_iter().find_map(|key| self.virtuals.get(&key)) {
            Some(prepend) if !prepend.is_empty() => Way::Local([prepend, &b"-"[..], &address].concat()),
            _ => Way::Remote(address),
        }
    }

    /// A recipient of the queue as its bounce shows it: what the map of now puts before it is taken off.
    pub(crate) fn stripped(&self, recipient: &[u8]) -> Vec<u8> {
        let (_, domain) = split(recipient);
        let keys = names(&domain).into_iter().chain([Vec::new()]);
        let prepend = keys.into_iter().find_map(|key| self.virtuals.get(&key)).filter(|prepend| !prepend.is_empty());
        let rest = prepend.and_then(|prepend| recipient.strip_prefix(&prepend[..])?.strip_prefix(b"-"));
        rest.unwrap_or(recipient).to_vec()
    }
}

/// The sender of a list whose sender names each recipient.
pub(crate) fn expanded(sender: &[u8], recipient: &[u8]) -> Vec<u8> {
    let list = sender.strip_suffix(b"-@[]").filter(|list| list.contains(&b'@'));
    list.map_or_else(
        || sender.to_vec(),
        |list| {
            let ((list, host), (local, domain)) = (split(list), split(recipient));
            [&list[..], &local, b"=", &domain, b"@", &host].concat()
        },
    )
}

/// What stands before and after the last `@`.
pub(crate) fn split(address: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let at = address.iter().rposition(|byte| *byte == b'@');
    let (local, domain) = at.map_or((address, &b"@"[..]), |at| address.split_at(at));
    (local.to_vec(), domain.get(1..).unwrap_or_default().to_vec())
}

fn cut(line: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == at)?;
    Some((line.get(..colon)?, line.get(colon + 1..)?))
}

fn fold(bytes: &[u8]) -> Vec<u8> {
    bytes.to_ascii_lowercase()
}

fn folded(lines: Vec<Vec<u8>>) -> BTreeSet<Vec<u8>> {
    lines.into_iter().map(|line| fold(&line)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Routes, Way, expanded};

    fn routes() -> Routes {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("control")).unwrap();
        for (name, text) in [
            ("me", "mail.test\n"),
            ("locals", "Mail.test\nboth.test\n"),
            ("percenthack", "hack.test\n"),
            (
                "virtualdomains",
                "# no\nnone\nV.test:first\nv.test:=v.test= \nboth.test:x\n.w.test:=.w.test=\nweird:a:b\nOne@v.test:own\nout.v.w.test:\n",
            ),
        ] {
            std::fs::write(folder.path().join("control").join(name), text).unwrap();
        }
        Routes::read(folder.path()).unwrap()
    }

    #[test]
    fn recipients_are_rewritten_in_qmails_order() {
        let routes = routes();
        let local = |to: &str| Way::Local(to.as_bytes().to_vec());
        let remote = |to: &str| Way::Remote(to.as_bytes().to_vec());
        for (recipient, way) in [
            ("joe", local("joe@mail.test")),
            ("Joe@MAIL.test", local("Joe@MAIL.test")),
            ("x@both.test", local("x@both.test")),
            ("A@V.Test", local("=v.test=-A@V.Test")),
            ("one@V.test", local("own-one@V.test")),
            ("a@sub.W.test", local("=.w.test=-a@sub.W.test")),
            ("a@w.test", remote("a@w.test")),
            ("a@out.v.w.test", remote("a@out.v.w.test")),
            ("a@v.test.", remote("a@v.test.")),
            ("a@weird", local("a:b-a@weird")),
            ("a%v.test@hack.test", local("=v.test=-a@v.test")),
            ("a@b@v.test", local("=v.test=-a@b@v.test")),
        ] {
            assert_eq!(routes.way(recipient.as_bytes()), way, "{recipient}");
        }
        for (queued, shown) in [
            ("=v.test=-A@V.Test", "A@V.Test"),
            ("own-one@v.test", "own-one@v.test"),
            ("=gone.test=-a@gone.test", "=gone.test=-a@gone.test"),
            ("=.w.test=-a@b.w.test", "a@b.w.test"),
        ] {
            assert_eq!(routes.stripped(queued.as_bytes()), shown.as_bytes(), "{queued}");
        }
    }

    #[test]
    fn a_list_names_each_recipient_as_it_stands_in_the_queue() {
        let verp = |sender: &str| expanded(sender.as_bytes(), b"=v.test=-a@v.test");
        assert_eq!(verp("list-@lists.test-@[]"), b"list-=v.test=-a=v.test@lists.test");
        assert_eq!(verp("joe@mail.test"), b"joe@mail.test");
        assert_eq!(verp("#@[]"), b"#@[]");
    }
}
