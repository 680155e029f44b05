//! Whether a recipient exists: run by a qmail-smtpd with the RCPTCHECK patch.

fn main() -> std::process::ExitCode {
    qmail_lookup_dropin::rcptcheck::main()
}
