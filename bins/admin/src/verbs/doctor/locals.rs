//! A virtual host that control/locals makes a local one.

use super::check::Outcome;
use super::host::Host;
use qmail_lookup_config::quoted;
use qmail_lookup_core::Host as Name;
use qmail_lookup_core::sync::around::{Around, prepend};

/// What to do if the host is control/me.
pub(super) const WORDS_ME: &str =
    "give this machine a name of its own in control/me, or take the rows of this one away";

/// What is wrong, and the command that makes the host virtual. Mail for a host that is in neither file would be sent out,
/// so the line in virtualdomains comes first; only both together are told to qmail-send.
pub(super) fn leave(host: &Host<'_>, name: &Name, around: &Around) -> Outcome {
    let what = format!("{name}: control/locals has it, so that no row of table virtual counts");
    let locals = host.at("control/locals");
    if !locals.exists() {
        let what =
            format!("{name}: there is no control/locals, so control/me is local, and no row of table virtual counts");
        return Outcome::wrong(what, WORDS_ME);
    }
    let own = around.own_routes.get(name.as_bytes());
    if let Some(other) = own.filter(|other| **other != prepend(name.as_bytes())) {
        let other = String::from_utf8_lossy(other);
        let mend = format!("decide between both tables and the line `{name}:{other}` of control/virtualdomains");
        return Outcome::wrong(what, mend);
    }
    let virtualdomains = host.at("control/virtualdomains");
    let mut steps = Vec::new();
    if own.is_none() && !around.routed.contains(name) {
        let line = format!("{name}:={name}=");
        let path = quoted(&virtualdomains);
        // sed finds no first line in an empty file.
        let has_lines = std::fs::metadata(&virtualdomains).is_ok_and(|file| file.len() > 0);
        steps.push(if has_lines {
            format!("sed -i --follow-symlinks '1i {line}' {path}")
        } else {
            format!("echo {line} >{path}")
        });
    }
    let pattern = name.to_string().replace('.', "\\.");
    steps.push(format!("sed -i --follow-symlinks '/^{pattern}[ \\t]*$/Id' {}", quoted(&locals)));
    steps.extend(host.tell());
    steps.push(host.sync());
    Outcome::wrong(what, steps.join(" && "))
}
