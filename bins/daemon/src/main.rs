//! `qmail-lookupd`, the daemon.

fn main() -> std::process::ExitCode {
    qmail_lookupd::run(std::env::args_os(), &qmail_lookup_backends::registry::Registry::builtin())
}
