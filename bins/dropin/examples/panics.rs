//! Begins as the program that it is told to be, and panics: what a bug in that program would do. For the tests.

use qmail_lookup_dropin::{checkpassword, dovecot, getpw, local, rcptcheck};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("qmail-getpw") => getpw::begin(),
        Some("checkpassword") => checkpassword::begin(),
        Some("dovecot-checkpassword") => dovecot::begin(),
        Some("qmail-local") => local::begin(),
        Some("qmail-rcptcheck") => rcptcheck::begin(),
        _ => {}
    }
    panic!("on purpose");
}
