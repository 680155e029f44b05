//! Whether a recipient exists: run by a qmail-smtpd with the RCPTCHECK patch.

use qmail_lookup_core::dropin::Dropin;
use qmail_lookup_dropin::{mark, rcptcheck};

fn main() -> std::process::ExitCode {
    mark::keep(const { Dropin::Rcptcheck.mark() });
    rcptcheck::main()
}
