//! Rows on their way into another store: which are to be written, and what happens to their numbers.
//!
//! | what | room |
//! |---|---|
//! | column seq of table alias (rule A3) | [`numbers`] |
//! | cells that may be NULL in one table and not in another | [`fit`] |
//! | passwords that a directory would not let anybody in by | [`logins`] |
//! | the rows of one key, here and there | [`sets`] |

pub mod fit;
pub mod logins;
pub mod numbers;
pub mod sets;

pub use fit::{Blank, Fit};
pub use numbers::{Numbers, meant, planned};
pub use sets::{Difference, difference, set_key};
