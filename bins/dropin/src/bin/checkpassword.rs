//! Checks a password and becomes the user: run by qmail-popup and its kin.

fn main() -> std::process::ExitCode {
    qmail_lookup_dropin::checkpassword::main()
}
