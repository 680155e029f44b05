//! `qmail-lookup`: asks, explains and checks the stores from the command line. One file per verb under `verbs`.

mod alias_user;
mod cli;
mod editing;
mod exit;
mod home;
mod moving;
mod output;
mod pages;
mod path_repair;
mod progress;
mod qmail;
mod session;
mod socketmap;
mod verbs;

pub use exit::Exit;

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use output::Output;
use qmail_lookup_backends::registry::Registry;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the tool with these arguments; third parties pass a registry with their own kinds of store.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>, registry: &Registry) -> ExitCode {
    keep_memory_private();
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // --help and --version come this way too.
            return if error.use_stderr() { Exit::Usage } else { Exit::Yes }.into();
        }
    };
    let level = if cli.verbose { "debug" } else { "off" };
    tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr).init();
    let mut output = Output::new(cli.json);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(verbs::run(&cli, registry, &mut output));
            // A store that hangs must not keep the tool from ending at its deadline.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(output::Failure::temporary(format!("cannot start: {error}"))),
    };
    output.finish(outcome).into()
}

/// Before anything secret is read: no core of this process, and nobody of the same uid looks into it.
fn keep_memory_private() {
    // Either does alone; neither can fail where the kernel is not older than we need.
    let _ = nix::sys::prctl::set_dumpable(false);
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_CORE) {
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, most);
    }
}
