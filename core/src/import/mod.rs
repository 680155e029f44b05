//! Rows of other systems, as rows of ours. Pure: whoever reads the files is elsewhere.
