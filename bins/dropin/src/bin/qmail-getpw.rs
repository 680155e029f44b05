//! Who gets the mail of a local part: run by qmail-lspawn.

fn main() -> std::process::ExitCode {
    qmail_lookup_dropin::getpw::main()
}
