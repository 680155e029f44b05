//! The miniature below a site's qmail home.

use super::Qmail;
use crate::check::{Outcome, ensure};
use crate::server::process::folder;
use crate::site::{ALIAS, QMAILD, QMAILP, Site, command, program};
use libtest_mimic::Failed;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// The uid and gid of the queue; no user has them.
pub const QUEUE: u32 = 20_910;

/// The miniature without what is there for debuggers, where it can be had: sites hold six of it each.
fn small() -> Result<&'static Path, Failed> {
    static SMALL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let make = || -> Result<PathBuf, Failed> {
        let (whole, small) = (program("miniature")?, folder("miniature")?.join("miniature"));
        let stripped = Command::new("strip").arg("-o").arg(&small).arg(&whole).status();
        Ok(if stripped.is_ok_and(|status| status.success()) { small } else { whole })
    };
    let made = SMALL.get_or_init(|| make().map_err(|failed| failed.message().unwrap_or_default().to_owned()));
    made.as_deref().map_err(Failed::from)
}

impl Qmail {
    /// A qmail in the site's home, with our qmail-getpw and qmail-local in place and the stock ones beside them.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn ours(site: &Site) -> Result<Self, Failed> {
        let qmail = Self::laid_out(site)?;
        for name in ["qmail-getpw.stock", "qmail-local.stock"] {
            qmail.put(name)?;
        }
        Ok(qmail)
    }

    /// A qmail in the site's home, with the stock programs and no trace of ours.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn stock(site: &Site) -> Result<Self, Failed> {
        let qmail = Self::laid_out(site)?;
        for name in ["bin/qmail-getpw.stock", "bin/checkpassword", "control/lookupsocket", "control/authsocket"] {
            std::fs::remove_file(qmail.path(name))?;
        }
        qmail.put_stock()?;
        Ok(qmail)
    }

    /// Puts the stock programs in the place of whatever stands there, as an upgrade of qmail does.
    ///
    /// # Errors
    /// If they cannot be copied.
    pub fn put_stock(&self) -> Outcome {
        ["qmail-getpw", "qmail-local"].into_iter().try_for_each(|name| self.put(name))
    }

    fn laid_out(site: &Site) -> Result<Self, Failed> {
        let qmail = Self { home: site.path("q"), homes: site.path("homes"), send: Mutex::new(None), real: None };
        for name in ["log", "users", "miniature", "queue", "alias"] {
            std::fs::create_dir(qmail.path(name))?;
            std::fs::set_permissions(qmail.path(name), std::fs::Permissions::from_mode(0o755))?;
        }
        for name in
            ["pid", "intd", "todo", "mess", "mess/0", "info", "info/0", "local", "local/0", "remote", "remote/0"]
        {
            let folder = qmail.path("queue").join(name);
            std::fs::create_dir(&folder)?;
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
            chown(&folder, Some(QUEUE), Some(QUEUE))?;
        }
        let alias = nix::unistd::User::from_name(ALIAS)?.ok_or("no stand-in for the alias user")?;
        let (uid, gid) = (alias.uid.as_raw(), alias.gid.as_raw());
        chown(qmail.path("alias"), Some(uid), Some(gid))?;
        let passwd = format!("{ALIAS}:{uid}:{gid}:{}\n", qmail.path("alias").display());
        for (name, text) in [("passwd", &passwd[..]), ("alias", ALIAS), ("qmailp", QMAILP)] {
            std::fs::write(qmail.path("miniature").join(name), text)?;
        }
        for name in ["qmail-send", "qmail-lspawn", "qmail-smtpd", "qmail-queue"] {
            qmail.put(name)?;
        }
        let queue = qmail.path("bin/qmail-queue");
        chown(&queue, Some(QUEUE), Some(QUEUE))?;
        std::fs::set_permissions(queue, std::fs::Permissions::from_mode(0o4711))?;
        Ok(qmail)
    }

    /// Makes the miniature the program `name`, by way of a name that nobody runs: no program is ever half there.
    fn put(&self, name: &str) -> Outcome {
        let new = self.path("bin").join(format!(".{name}.new"));
        // By another process, so that nobody inherits the file while it is open for writing.
        let copied = Command::new("cp").arg(small()?).arg(&new).status()?;
        ensure(copied.success(), format!("{name} cannot be copied"))?;
        Ok(std::fs::rename(new, self.path("bin").join(name))?)
    }

    /// qmail-smtpd as tcpserver runs it.
    pub(super) fn smtpd(&self) -> Result<Command, Failed> {
        let user = nix::unistd::User::from_name(if self.real.is_some() { "qmaild" } else { QMAILD })?;
        let user = user.ok_or("nobody plays qmaild")?;
        let mut smtpd = command(self.path("bin/qmail-smtpd"), (user.uid.as_raw(), user.gid.as_raw()));
        smtpd.env("TCPREMOTEIP", "192.0.2.1").env("TCPLOCALIP", "192.0.2.2").current_dir(&self.home);
        Ok(smtpd)
    }
}
