//! The questions, in the FAQ's words where it has them.

pub(super) const SQLSERVER: &str = "The control/sqlserver file doesn't work";
pub(super) const INSECURE: &str = "The control/sqlserver file is insecure";
pub(super) const CONNECTING: &str = "Are you sure you are connecting to it properly?";
pub(super) const SELECT: &str = "A user who only needs SELECT privileges should only have SELECT privileges";
pub(super) const CANARY: &str = "Does the store prove itself? (canary)";
pub(super) const LSPAWN: &str = "I keep getting \"Temporary failure in qmail-lspawn.\"";
pub(super) const MEMORY: &str = "I see \"alert: out of memory, sleeping...\" in the log file and no deliveries happen";
pub(super) const HANGS: &str = "When I run qmail-getpw it hangs and then prints out details for the alias user";
pub(super) const SETUIDGID: &str = "setuidgid qmailp bin/qmail-getpw alias";
pub(super) const ALIAS: &str =
    "When I run qmail-getpw it doesn't hang but prints out details for alias yet I have the user in my mailbox table";
pub(super) const MAILDIR: &str = "I can't read mail by POP3: I get \"this user has no $HOME/Maildir\"";
pub(super) const ALIAS_USER: &str = "The alias user's home takes mail";
pub(super) const LOCAL: &str = "bin/qmail-local -n, as the user of a mailbox and as the alias user";
pub(super) const CHECKPASSWORD: &str = "checkpassword can't connect to the database";
pub(super) const REFUSES: &str = "checkpassword always refuses to authenticate my users";
pub(super) const BEST_MX: &str = "Messages to virtual domains bounce (\"although I'm listed as a best-preference MX or A \
                                  for that host\"): every host routed";
pub(super) const ACCEPTED: &str = "Mail is accepted for the hosts of table rcpthosts, and the host is no open relay";
pub(super) const FUNKY: &str = "I upgraded to FUNKY QUERIES and now none of my virtual domain catchalls work!";
pub(super) const MISCONFIGURATION: &str =
    "I get \"MySQL misconfiguration: <some nasty sounding message>\" in the logs!";
pub(super) const ASSIGNED: &str = "users/cdb is asked before qmail-getpw";
pub(super) const SEND: &str = "qmail-send is running, with the control files as they are";
pub(super) const NET: &str = "Virtual mail waits, should the stock programs come back (safety net)";
pub(super) const DELIVERIES: &str = "The daemon takes as many questions at a time as qmail delivers (concurrencylocal)";
pub(super) const LIFETIME: &str = "Mail waits long enough for an outage to end (queuelifetime)";
