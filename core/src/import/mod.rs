//! Rows of other systems, as rows of ours. Pure: whoever reads the files is elsewhere.
//!
//! | what | room |
//! |---|---|
//! | the files of a stock qmail | [`stock`] |
//! | vpopmail's tables, postfixadmin's | [`vpopmail`], [`postfixadmin`] |
//! | addresses as rows | [`book`] |
//! | stored passwords | [`hash`] |
//! | what is lost, by kind | [`tally`] |

pub mod book;
pub mod hash;
pub mod postfixadmin;
pub mod stock;
pub mod tally;
pub mod vpopmail;
