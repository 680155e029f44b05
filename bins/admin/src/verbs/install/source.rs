//! The programs of ours that are put in place.

use super::remarks::Remarks;
use crate::qmail::{programs, swap};
use qmail_lookup_core::dropin::Dropin;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// One of them.
#[derive(Clone, Debug)]
pub(in crate::verbs) struct Source {
    pub(in crate::verbs) program: Dropin,
    pub(in crate::verbs) path: PathBuf,
}

impl Source {
    /// The program in `folder`, if it is ours, and runs here.
    pub(super) fn find(folder: &Path, program: Dropin, remarks: &mut Remarks) -> Option<Self> {
        let source = Self { program, path: folder.join(program.name()) };
        let path = source.path.display();
        let help = "name the folder of the programs of qmail-lookup with --programs";
        match std::fs::metadata(&source.path) {
            Ok(is) if !is.is_file() || is.permissions().mode() & 0o111 == 0 => {
                remarks.refuse(format!("{path} is no program"), help);
                return None;
            }
            Err(error) => {
                remarks.refuse(format!("{path}: {error}"), help);
                return None;
            }
            Ok(_) => (),
        }
        if !remarks.known(programs::is(&source.path, program))? {
            remarks.refuse(format!("{path} is not the {} of qmail-lookup", program.name()), help);
            return None;
        }
        if let Err(error) = swap::run_idle(&source.path, source.idle_status()) {
            remarks.refuse(error.to_string(), "build it for this system (bins/dropin/build.sh)");
            return None;
        }
        Some(source)
    }

    /// How it ends without arguments, and with every descriptor from 3 on closed: it then does nothing at all.
    pub(super) fn idle_status(&self) -> i32 {
        match self.program {
            Dropin::Getpw => 118,
            Dropin::Local => 100,
            Dropin::Checkpassword => 2,
            Dropin::DovecotCheckpassword | Dropin::Rcptcheck => 111,
        }
    }
}
