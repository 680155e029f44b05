//! One local delivery: run by qmail-lspawn as the user whose mail it is.

use qmail_lookup_core::dropin::Dropin;
use qmail_lookup_dropin::{local, mark};

fn main() -> std::process::ExitCode {
    mark::keep(const { Dropin::Local.mark() });
    local::main()
}
