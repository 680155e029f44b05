//! Rows on their way from one place to another.
//!
//! | what | room |
//! |---|---|
//! | the two sides of `compare` and `migrate` | `sides` |
//! | whole tables in a temporary file, in order | `rows` |

mod rows;
mod sides;

pub(crate) use rows::Rows;
pub(crate) use sides::{Side, sides};
