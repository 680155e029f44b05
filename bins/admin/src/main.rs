//! `qmail-lookup`, the command-line tool.

fn main() -> std::process::ExitCode {
    qmail_lookup::run(std::env::args_os(), &qmail_lookup_backends::registry::Registry::builtin())
}
