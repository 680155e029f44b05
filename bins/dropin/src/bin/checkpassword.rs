//! Checks a password and becomes the user: run by qmail-popup and its kin.

use qmail_lookup_core::dropin::Dropin;
use qmail_lookup_dropin::{checkpassword, mark};

fn main() -> std::process::ExitCode {
    mark::keep(const { Dropin::Checkpassword.mark() });
    checkpassword::main()
}
