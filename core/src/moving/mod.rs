//! Rows on their way into another store: which are to be written, and what happens to their numbers.
