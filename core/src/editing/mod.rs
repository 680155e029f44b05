//! What an edit means as changes of rows.
//!
//! | what | room |
//! |---|---|
//! | alias sets: their next numbers, their lines | `sets` |
//! | mailboxes: suspending, and another name | `mailbox` |
//! | addresses and patterns as people write them | `written` |
//! | rows with changes made that the store does not have yet | `ahead` |
//! | rows that lead to what an edit takes away or gives | `pointing` |

mod ahead;
mod mailbox;
mod pointing;
mod sets;
mod written;

pub use ahead::Ahead;
pub use mailbox::{belongs_to, of_owner, renamed, with_standing};
pub use pointing::{Touched, comes_from};
pub use sets::{Fresh, added, with_lines};
pub use written::{fits, virtual_cells};
