//! Does nothing. For the benchmarks: what any program costs that is built as the drop-ins are.

fn main() {}
