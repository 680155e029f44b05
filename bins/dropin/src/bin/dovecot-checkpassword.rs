//! Checks a password, or finds a user, for Dovecot's checkpassword driver.

use qmail_lookup_core::dropin::Dropin;
use qmail_lookup_dropin::{dovecot, mark};

fn main() -> std::process::ExitCode {
    mark::keep(const { Dropin::DovecotCheckpassword.mark() });
    dovecot::main()
}
