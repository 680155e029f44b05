//! A stand-in for qmail-send: it keeps a copy of the control files at each signal, as what it would have read.

use libtest_mimic::Failed;
use qmail_lookup_tests::check::ensure;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Its name is how it is found. A signal that comes while it copies waits.
const SCRIPT: &str = r#"#!/bin/sh
home=${0%/bin/*}
signals=$home/signals
n=$(ls $signals | wc -l)
look() {
  n=$((n + 1))
  mkdir $signals/$n.new
  for file in $home/control/* $home/alias/.qmail-*; do [ -f "$file" ] && cp "$file" $signals/$n.new/; done
  echo $1 >$signals/$n.new/word
  mv $signals/$n.new $signals/$n
}
trap 'look HUP' HUP
trap 'look ALRM' ALRM
: >$home/ready
while :; do sleep 5 & wait $!; kill $!; done 2>/dev/null
"#;

/// See the module.
pub(super) struct Send {
    process: Child,
    home: PathBuf,
}

impl Send {
    /// Starts it in this folder of the qmail at `home`, and waits until it listens.
    pub(super) fn start(home: &Path, folder: &str) -> Result<Self, Failed> {
        let script = home.join("bin/qmail-send");
        if !script.exists() {
            std::fs::write(&script, SCRIPT)?;
            std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
            std::fs::create_dir_all(home.join("signals"))?;
        }
        let ready = home.join("ready");
        let _ = std::fs::remove_file(&ready);
        let mut command = Command::new(&script);
        command.current_dir(home.join(folder)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let send = Self { process: command.spawn()?, home: home.to_owned() };
        wait_for(|| ready.exists())?;
        Ok(send)
    }

    /// How many signals it got.
    pub(super) fn signals(&self) -> usize {
        signals(&self.home)
    }
}

impl Drop for Send {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How many signals whoever was qmail-send there got.
pub(super) fn signals(home: &Path) -> usize {
    (1..).take_while(|n| home.join(format!("signals/{n}")).is_dir()).count()
}

/// A file as it was at the signal of this number, from 1 on; empty if it was not there.
pub(super) fn at(home: &Path, signal: usize, file: &str) -> String {
    std::fs::read_to_string(home.join(format!("signals/{signal}/{file}"))).unwrap_or_default()
}

/// Waits until something is so, but not for ever.
pub(super) fn wait_for(mut so: impl FnMut() -> bool) -> Result<(), Failed> {
    let begun = Instant::now();
    while !so() {
        ensure(begun.elapsed() < Duration::from_secs(60), "it does not happen")?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
