//! A qmail on this machine: its control files, its programs, its queue, its qmail-send. What `sync`, `install`, `uninstall`
//! and `doctor` share; none of it decides anything.

pub(crate) mod assigned;
pub(crate) mod cdb;
pub(crate) mod files;
mod idle;
pub(crate) mod net;
pub(crate) mod programs;
pub(crate) mod queue;
pub(crate) mod send;
pub(crate) mod swap;
