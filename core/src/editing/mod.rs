//! What an edit means as changes of rows.
//!
//! | what | room |
//! |---|---|
//! | alias sets: their next numbers, their lines | `sets` |
//! | mailboxes: suspending, and another name | `mailbox` |
//! | addresses and patterns as people write them | `written` |
//! | rows with changes made that the store does not have yet | `ahead` |

mod ahead;
mod mailbox;
mod sets;
mod written;

pub use ahead::Ahead;
pub use mailbox::{belongs_to, of_owner, renamed, with_standing};
pub use sets::{added, with_lines};
pub use written::{fits, virtual_cells};
