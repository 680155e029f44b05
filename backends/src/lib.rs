//! The stores, one folder each with the same file names, and the layers over any of them.
//!
//! A store fetches rows and decides nothing: which key to ask, which row wins and whether a cell is usable is the
//! business of `qmail_lookup_core::rules`. Layers, outermost first: [`deadline`], [`trust`], and inside the networked
//! stores `failover` and `workers`. What several stores share stands beside their folders, one subject a file.

pub mod authenticate;
#[cfg(any(feature = "mysql", feature = "ldap"))]
mod cells;
pub mod deadline;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod inlined;
pub mod memory;
#[cfg(any(feature = "mysql", feature = "ldap"))]
mod percent;
#[cfg(any(feature = "mysql", feature = "ldap"))]
mod question;
pub mod registry;
#[cfg(any(feature = "mysql", feature = "ldap"))]
mod secret_file;
pub mod trust;

#[cfg(any(feature = "mysql", feature = "ldap"))]
pub mod failover;
#[cfg(feature = "ldap")]
pub mod ldap;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "mysql", feature = "ldap"))]
pub mod workers;
