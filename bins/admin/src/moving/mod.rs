//! Rows on their way from one place to another.
//!
//! | what | room |
//! |---|---|
//! | the two sides of `compare` and `migrate` | `sides` |
//! | whole tables in a temporary file, in order | `rows` |
//! | files that hold rows | `private` |
//! | rows into a store that may hold some already | `copy` |
//! | what that store is like, and what it cannot express | `target`, `judge` |
//! | changes in batches; signals | `write`, `stop` |
//! | rows that somebody has to be told of | `told` |
//! | that a migration was begun | `state` |

mod copy;
mod judge;
mod private;
mod rows;
mod sides;
mod state;
mod stop;
mod target;
mod told;
mod write;

pub(crate) use copy::{Copied, Hooks, copy, copy_with};
pub(crate) use private::PrivateFile;
pub(crate) use rows::Rows;
pub(crate) use sides::{Side, sides};
pub(crate) use state::{State, default_path, identity, was_begun};
pub(crate) use stop::Stop;
pub(crate) use target::file_of;
