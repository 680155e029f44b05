//! `qmail-lookupd`: answers qmail's lookup questions and logins, and alone holds the stores' credentials.
//!
//! | what | room |
//! |---|---|
//! | options; start, signals, end | `cli`, `run`, `exit`, `log` |
//! | what a HUP exchanges | `state`, `reload`, `locals` |
//! | the files of the sockets, the lock | `listen`, `lock`, `activation` |
//! | who asks, and what they may | `peer` |
//! | how much at a time | `bounds`, `frame` |
//! | the lookup socket: connections, questions | `lookup_socket`, `question`, `answer`, `deliver`, `postfix` |
//! | logins | `auth`, `cvm`, `serve_auth` |
//! | system users | `system` |
//! | what is told: metrics, health, alarms | `metrics`, `http`, `overdue`, `quiet` |
//! | a second store, asked after each answer | `shadow` |
//! | all unsafe | `sys` |

mod accept;
mod activation;
mod answer;
mod auth;
mod bounds;
mod cli;
mod control_files;
mod cvm;
mod daemon;
mod deliver;
mod exit;
mod frame;
mod http;
mod listen;
mod lock;
mod log;
mod lookup_socket;
mod metrics;
mod overdue;
mod peer;
mod postfix;
mod question;
mod quiet;
mod reload;
mod run;
mod serve_auth;
mod shadow;
mod state;
mod sys;
mod system;

pub use exit::Exit;

use clap::Parser;
use qmail_lookup_backends::registry::Registry;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the daemon with these arguments; third parties pass a registry with their own kinds of store.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>, registry: &Registry) -> ExitCode {
    match cli::Cli::try_parse_from(args) {
        Ok(cli) => run::run(&cli, registry).into(),
        Err(error) => {
            let _ = error.print();
            // --help and --version come this way too.
            if error.use_stderr() { Exit::Usage } else { Exit::Done }.into()
        }
    }
}
