//! Whether the daemon answers: until it does, local mail waits.

use super::remarks::Remarks;
use crate::socketmap;
use qmail_lookup_config::Config;
use qmail_lookup_core::Deadline;

/// Asks it something that root may ask. Any whole answer will do.
pub(super) async fn judge(config: &Config, remarks: &mut Remarks) {
    let socket = &config.daemon.lookup_socket;
    let by = Deadline::after(config.deadline).instant().into();
    let why = match tokio::time::timeout_at(by, socketmap::ask(socket, "rcpthosts", b"localhost")).await {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    let what = format!("qmail-lookupd does not answer at {} ({why})", socket.display());
    remarks.warn(what, "START IT: until it answers, all local mail waits in the queue");
}
