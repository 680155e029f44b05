//! One local delivery: run by qmail-lspawn as the user whose mail it is.

fn main() -> std::process::ExitCode {
    qmail_lookup_dropin::local::main()
}
