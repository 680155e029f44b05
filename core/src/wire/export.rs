//! What `qmail-lookup export` writes: one row a line.
