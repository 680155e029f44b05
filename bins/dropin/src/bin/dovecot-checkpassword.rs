//! Checks a password, or finds a user, for Dovecot's checkpassword driver.

fn main() -> std::process::ExitCode {
    qmail_lookup_dropin::dovecot::main()
}
