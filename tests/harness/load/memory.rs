//! Rows in memory.

use crate::subject::Opened;
use qmail_lookup_backends::memory::Memory;
use qmail_lookup_core::TableRow;
use std::sync::Arc;

/// A store that holds `rows`.
#[must_use]
pub fn filled(rows: &[TableRow]) -> Opened {
    let empty = Memory::new(Vec::new(), Arc::default());
    Opened { empty: Some(Arc::new(empty)), ..Opened::of(Arc::new(Memory::new(rows.to_vec(), Arc::default()))) }
}
