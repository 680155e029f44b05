//! The stores, one folder each with the same file names, and the layers over any of them.
//!
//! A store fetches rows and decides nothing: which key to ask, which row wins and whether a cell is usable is the
//! business of `qmail_lookup_core::rules`. Layers, outermost first: [`deadline`], [`cache`], [`sample`], [`coalesce`],
//! [`trust`], and inside the networked stores `failover` and `workers`. What several stores share stands beside their
//! folders, one subject a file.

pub mod authenticate;
pub mod cache;
#[cfg(any(feature = "mysql", feature = "ldap"))]
mod cells;
pub mod coalesce;
pub mod deadline;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod inlined;
mod layer;
pub mod memory;
pub mod overlay;
#[cfg(any(feature = "mysql", feature = "ldap"))]
mod percent;
#[cfg(any(feature = "mysql", feature = "ldap"))]
mod question;
pub mod registry;
pub mod rehash;
pub mod sample;
#[cfg(test)]
mod scripted;
#[cfg(any(feature = "mysql", feature = "ldap"))]
mod secret_file;
#[cfg(any(feature = "sqlite", feature = "ldap"))]
pub mod spool;
mod stamp;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod statement;
mod table_key;
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
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod written;
