//! placeholder
/// placeholder
#[derive(Debug)]
pub struct Lookup;
