//! Who gets the mail of a local part: run by qmail-lspawn.

use qmail_lookup_core::dropin::Dropin;
use qmail_lookup_dropin::{getpw, mark};

fn main() -> std::process::ExitCode {
    mark::keep(const { Dropin::Getpw.mark() });
    getpw::main()
}
