//! Rows on their way from one place to another.
//!
//! | what | room |
//! |---|---|
//! | the two sides of `compare` and `migrate` | `sides` |
//! | whole tables in a temporary file, in order | `rows` |
//! | files that hold rows | `private` |
//! | rows into a store that may hold some already | `copy`, `merge` |
//! | what that store is like, and what it cannot express | `target`, `judge` |
//! | changes in batches; signals | `write`, `stop` |
//! | rows that somebody has to be told of | `told` |
//! | that a migration was begun | `state` |

mod copy;
mod judge;
mod merge;
mod private;
mod rows;
mod sides;
mod state;
mod stop;
mod target;
mod told;
mod write;

pub(crate) use copy::{Hooks, copy, copy_with};
pub(crate) use merge::Copied;
pub(crate) use private::PrivateFile;
pub(crate) use rows::{Rows, Sets};
pub(crate) use sides::{Side, common, sides};
pub(crate) use state::{Migration, State, default_path, was_begun};
pub(crate) use stop::Stop;
pub(crate) use target::file_of;
