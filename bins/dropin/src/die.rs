//! Last words.

use std::io::{IsTerminal, Write};

/// Writes one sentence to standard error if that is a terminal. Under qmail descriptor 2 may be the message file or the
/// network; nothing may be written there.
pub fn say(program: &str, why: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let shown: String = why.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
        let _ = stderr.write_all(format!("{program}: {shown}\n").as_bytes());
    }
}
