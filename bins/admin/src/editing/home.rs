//! Homes and Maildirs, made by a child that has taken the mailbox's uid and gid.

use crate::cli;
use crate::output::{Failure, text};
use serde_json::Value;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long a child may take: a file server that does not answer must not hold us.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is there afterwards.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// The directories that were not there before, in the order in which they were made.
    pub(crate) directories: Vec<String>,
}

/// What a child said.
struct Said {
    word: String,
    why: String,
    made: Vec<String>,
}

/// Makes the home and a Maildir in it, unless they are there. Where the directory above is root's alone, which a mailbox's
/// uid may not write, the home itself is made by a child that is root.
///
/// # Errors
/// Why not all of it is there, and what was made until then, which stays.
pub(crate) async fn create(options: &cli::MakeHome) -> Result<Made, Failure> {
    let mut directories = Vec::new();
    for options in [options.clone(), cli::MakeHome { as_root: true, ..options.clone() }, options.clone()] {
        let said = run(&options).await.map_err(|why| trouble(&directories, &why, true))?;
        directories.extend(said.made);
        match said.word.as_str() {
            "made" if options.as_root => {}
            "made" => return Ok(Made { directories }),
            "parent" => {}
            "refused" => return Err(trouble(&directories, &said.why, false)),
            _ => return Err(trouble(&directories, &said.why, true)),
        }
    }
    let why = format!("{}: its directory may not be written by uid {}", options.home.display(), options.uid);
    Err(trouble(&directories, &why, false))
}

fn trouble(made: &[String], why: &str, temporary: bool) -> Failure {
    let stays = match made {
        [] => String::new(),
        made => format!("; made until then, and left as it is: {}", made.join(", ")),
    };
    let what = format!("{why}{stays}");
    if temporary { Failure::temporary(what) } else { Failure::refused(what) }
}

async fn run(options: &cli::MakeHome) -> Result<Said, String> {
    // Not its path: that may be another program by now.
    let mut command = Command::new("/proc/self/exe");
    command.arg("make-home").args(["--uid", &options.uid.to_string(), "--gid", &options.gid.to_string()]);
    if options.as_root {
        command.arg("--as-root");
    }
    command.arg("--").arg(std::ffi::OsStr::from_bytes(options.home.as_os_str().as_bytes()));
    command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.kill_on_drop(true);
    let what = |why: String| format!("{}: {why}", options.home.display());
    let child = command.spawn().map_err(|error| what(format!("no child can be started to make it: {error}")))?;
    let output = match tokio::time::timeout(PATIENCE, child.wait_with_output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(what(format!("the child that makes it is lost: {error}"))),
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            return Err(what(format!("not made within {seconds} s; how much of it is there is not known")));
        }
    };
    let malformed = || what(format!("the child that makes it ended with {}", output.status));
    let value: Value = serde_json::from_slice(&output.stdout).map_err(|_| malformed())?;
    let word = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let made = value.get("made").and_then(Value::as_array).ok_or_else(malformed)?;
    let made = made.iter().filter_map(Value::as_str).map(|path| text(path.as_bytes())).collect();
    Ok(Said { word: word("result"), why: word("why"), made })
}
