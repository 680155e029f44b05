//! A private slapd: ldapi, ldap with StartTLS, and ldaps on 127.0.0.1; one mdb database, nothing kept.

use super::certificates::certificates;
use super::find;
use super::mariadb::next_name;
use super::process::{Process, folder};
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Suffix of the database. The bases of the tests are below it.
pub const SUFFIX: &str = "dc=test";
/// The account that stores are opened with: reads and writes everything, without limits.
pub const USER: &str = "cn=qmail,dc=test";
/// Its password, and that of the [`LIMITED`] ones.
pub const PASSWORD: &str = super::mariadb::PASSWORD;
/// Accounts that may do less: see [`Slapd::start`] for what.
pub const LIMITED: [&str; 8] = ["blind", "homeless", "few", "reader", "stranger", "unsearching", "unreading", "writer"];

const ROOT: &str = "cn=root,dc=test";
const POLICY: &str = "cn=policy,dc=test";
const ROOT_PASSWORD: &str = "root";

/// Longest start. Unit: seconds. It takes a tenth of one on an idle machine.
const START_MAX: u64 = 60;

/// Which schema a server knows, beside the standard ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Ours.
    Native,
    /// Ours, but without attribute qlookHome: as if an old version of the file were loaded.
    WithoutHome,
    /// That of qmail-ldap.
    QmailLdap,
    /// RFC 2307's only, with its mail aliases.
    Posix,
}

/// Which certificate a server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// A good one.
    Good,
    /// One that has expired.
    Expired,
    /// One of another address.
    Elsewhere,
}

/// A server.
#[derive(Debug)]
pub struct Slapd {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    tls_port: u16,
    process: Mutex<Option<Process>>,
}

/// Why there can be no slapd here; `None` if there can.
#[must_use]
pub fn missing() -> Option<String> {
    for (program, package) in
        [("slapd", "slapd"), ("ldapsearch", "ldap-utils"), ("ldapadd", "ldap-utils"), ("openssl", "openssl")]
    {
        if find(program).is_none() {
            return Some(format!("{program} is not installed (Debian: {package})"));
        }
    }
    let schema = schema_folder().is_none();
    schema.then(|| "slapd's schema files are not installed (/etc/ldap/schema)".to_owned())
}

fn schema_folder() -> Option<PathBuf> {
    let usual = ["/etc/ldap/schema", "/etc/openldap/schema", "/usr/share/openldap/schema"];
    usual.into_iter().map(PathBuf::from).find(|folder| folder.join("nis.schema").is_file())
}

fn module_folder() -> Option<PathBuf> {
    let usual = ["/usr/lib/ldap", "/usr/lib/openldap", "/usr/lib64/openldap", "/usr/libexec/openldap"];
    usual.into_iter().map(PathBuf::from).find(|folder| folder.is_dir())
}

fn has_module(folder: &Path, name: &str) -> bool {
    ["so", "la"].iter().any(|ending| folder.join(format!("{name}.{ending}")).exists())
}

/// True if the servers can lock accounts.
#[must_use]
pub fn has_policies() -> bool {
    module_folder().is_some_and(|folder| has_module(&folder, "ppolicy"))
}

/// True if the servers count their changes.
#[must_use]
pub fn has_stamps() -> bool {
    module_folder().is_some_and(|folder| has_module(&folder, "syncprov"))
}

impl Slapd {
    /// Starts a fresh server that holds nothing but the accounts [`USER`] and [`LIMITED`]: `blind` sees no mailbox,
    /// `homeless` sees no home, `few` gets at most five entries, `reader` sees all but
    /// passwords and writes nothing, `writer` does the same but writes everything, `stranger` sees nothing at all. With our schema, `unsearching` may not even search by
    /// extension, virtual user and suspended, and `unreading` may search by them and not read them.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(schema: Schema, certificate: Certificate) -> Result<Self, Failed> {
        let program = find("slapd").ok_or("slapd is not installed")?;
        let folder = folder(&next_name("l"))?;
        std::fs::create_dir(folder.join("db"))?;
        std::fs::write(folder.join("slapd.conf"), configuration(&folder, schema, certificate)?)?;
        // Somebody else may take a port between our look and the server's: then with other ports.
        let mut failure = Failed::without_message();
        for _ in 0..5 {
            let (port, tls_port) = (free_port()?, free_port()?);
            let (program, folder) = (program.clone(), folder.clone());
            let server = Self { program, folder, port, tls_port, process: Mutex::new(None) };
            match server.run() {
                Ok(()) => {
                    server.add(&accounts())?;
                    return Ok(server);
                }
                Err(failed) => failure = failed,
            }
        }
        Err(failure)
    }

    /// Starts it (again) over the same data, and waits until it answers.
    ///
    /// # Errors
    /// If it does not start.
    pub fn run(&self) -> Result<(), Failed> {
        let urls = format!("{} {} {}", self.ldapi(), self.ldap(), self.ldaps());
        // In the foreground: a server that forks has another process id.
        let arguments = ["-d", "0", "-f", &self.configuration().display().to_string(), "-h", &urls];
        let mut process = Process::start(&self.program, &arguments.map(str::to_owned))?;
        let until = Instant::now() + Duration::from_secs(START_MAX);
        while self.search("", "base", "(objectClass=*)").is_err() {
            if !process.is_running() || Instant::now() > until {
                process.kill();
                return Err(format!("{} does not start: {}", self.program.display(), self.complaint()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        *self.process() = Some(process);
        Ok(())
    }

    /// What the configuration test says.
    fn complaint(&self) -> String {
        let mut command = Command::new(&self.program);
        command.args(["-T", "test", "-f"]).arg(self.configuration()).stdin(Stdio::null());
        command.output().map_or_else(|error| error.to_string(), |output| text(&output.stderr))
    }

    /// Kills it in whatever it is doing.
    pub fn kill(&self) {
        if let Some(process) = self.process().take() {
            process.kill();
        }
    }

    /// Stops it in good order.
    pub fn stop(&self) {
        if let Some(process) = self.process().take() {
            process.stop();
        }
    }

    /// Freezes it: it keeps its connections, the kernel takes new ones, and nothing is answered.
    pub fn freeze(&self) {
        if let Some(process) = &*self.process() {
            process.signal(Signal::SIGSTOP);
        }
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        if let Some(process) = &*self.process() {
            process.signal(Signal::SIGCONT);
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("slapd.conf")
    }

    /// Path of its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    /// `ldapi://` and the escaped path of its socket.
    #[must_use]
    pub fn ldapi(&self) -> String {
        format!("ldapi://{}", self.socket().display().to_string().replace('/', "%2F"))
    }

    /// `ldap://127.0.0.1:PORT`.
    #[must_use]
    pub fn ldap(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// `ldaps://127.0.0.1:PORT`.
    #[must_use]
    pub fn ldaps(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    /// Adds entries as the administrator.
    ///
    /// # Errors
    /// The server's, with the entry.
    pub fn add(&self, ldif: &str) -> Result<(), Failed> {
        self.tool("ldapadd", &[], ldif).map(drop)
    }

    /// Modifies entries as the administrator.
    ///
    /// # Errors
    /// The server's.
    pub fn modify(&self, ldif: &str) -> Result<(), Failed> {
        self.tool("ldapmodify", &[], ldif).map(drop)
    }

    /// Locks an account for ever, where [`has_policies`].
    ///
    /// # Errors
    /// The server's.
    pub fn lock(&self, dn: &str) -> Result<(), Failed> {
        self.modify(&format!(
            "dn: {dn}\nchangetype: modify\nreplace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n\n"
        ))
    }

    /// Deletes an entry and all below it as the administrator.
    ///
    /// # Errors
    /// The server's.
    pub fn delete(&self, dn: &str) -> Result<(), Failed> {
        self.tool("ldapdelete", &["-r", dn], "").map(drop)
    }

    /// Searches as the administrator; gives LDIF.
    ///
    /// # Errors
    /// The server's.
    pub fn search(&self, base: &str, scope: &str, filter: &str) -> Result<String, Failed> {
        self.tool("ldapsearch", &["-LLL", "-o", "ldif-wrap=no", "-l", "5", "-b", base, "-s", scope, filter, "*"], "")
    }

    fn tool(&self, name: &str, arguments: &[&str], input: &str) -> Result<String, Failed> {
        let program = find(name).ok_or_else(|| format!("{name} is not installed"))?;
        let mut command = Command::new(program);
        // The configuration of this machine is not the test's.
        command.env("LDAPNOINIT", "1").args(["-x", "-D", ROOT, "-w", ROOT_PASSWORD, "-o", "nettimeout=5", "-H"]);
        command.arg(self.ldapi()).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        // Written beside the reading: these programs say a line for every entry.
        let Output { status, stdout, stderr } = std::thread::scope(|scope| {
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
            child.wait_with_output()
        })?;
        if status.success() {
            return Ok(String::from_utf8_lossy(&stdout).into_owned());
        }
        Err(format!("{name}: {} {}", text(&stderr), text(&stdout).lines().last().unwrap_or_default()).into())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

fn free_port() -> Result<u16, Failed> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The schema file of the LDAP store, the one that `init --print` gives.
const NATIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../backends/src/ldap/schema/qmail-lookup.schema");
const QMAIL_LDAP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/harness/load/qmail-ldap.schema");

fn configuration(folder: &Path, schema: Schema, certificate: Certificate) -> Result<String, Failed> {
    let mut conf = String::new();
    if let Some(modules) = module_folder() {
        writeln!(conf, "modulepath {}", modules.display())?;
        // Built in where there is no file. None but the first is in the bare package.
        for module in ["back_mdb", "pw-sha2", "argon2", "ppolicy", "syncprov"] {
            if has_module(&modules, module) {
                writeln!(conf, "moduleload {module}")?;
            }
        }
    }
    let standard = schema_folder().ok_or("slapd's schema files are not installed")?;
    for name in ["core", "cosine", "nis", "inetorgperson"] {
        writeln!(conf, "include {}", standard.join(format!("{name}.schema")).display())?;
    }
    match schema {
        Schema::Native => writeln!(conf, "include {NATIVE}")?,
        Schema::WithoutHome => {
            let path = folder.join("old.schema");
            std::fs::write(&path, without_home(&std::fs::read_to_string(NATIVE)?)?)?;
            writeln!(conf, "include {}", path.display())?;
        }
        Schema::QmailLdap => writeln!(conf, "include {QMAIL_LDAP}")?,
        Schema::Posix => writeln!(conf, "include {}", standard.join("misc.schema").display())?,
    }
    let tls = certificates()?;
    let shown = match certificate {
        Certificate::Good => &tls.server,
        Certificate::Expired => &tls.expired,
        Certificate::Elsewhere => &tls.elsewhere,
    };
    let home = if schema == Schema::Native { "qlookHome" } else { "homeDirectory" };
    write!(
        conf,
        "sizelimit 500
TLSCACertificateFile {ca}
TLSCertificateFile {shown}
TLSCertificateKeyFile {key}
TLSVerifyClient never
database mdb
maxsize 268435456
dbnosync
suffix \"{SUFFIX}\"
rootdn \"{ROOT}\"
rootpw {ROOT_PASSWORD}
directory {folder}/db
limits dn.exact=\"{USER}\" size=unlimited time=unlimited
limits dn.exact=\"cn=few,{SUFFIX}\" size=5
limits dn.exact=\"cn=blind,{SUFFIX}\" size=unlimited
limits dn.exact=\"cn=homeless,{SUFFIX}\" size=unlimited
limits dn.exact=\"cn=reader,{SUFFIX}\" size=unlimited
limits dn.exact=\"cn=writer,{SUFFIX}\" size=unlimited
index objectClass eq
{indexes}access to * by dn.exact=\"{USER}\" manage by dn.exact=\"cn=stranger,{SUFFIX}\" auth by * break
access to attrs=userPassword by dn.exact=\"cn=writer,{SUFFIX}\" =w by anonymous auth by * none
access to dn.regex=\"^[^,]+,ou=mailbox,\" by dn.exact=\"cn=blind,{SUFFIX}\" none by * break
{ours}access to attrs={home} by dn.exact=\"cn=homeless,{SUFFIX}\" none by * break
access to * by dn.exact=\"cn=writer,{SUFFIX}\" write by users read by anonymous auth
{policies}{counting}",
        ca = tls.ca.display(),
        ours = if schema == Schema::Native {
            format!(
                "access to attrs=qlookAlias,qlookVirtualUser,qlookSuspended by dn.exact=\"cn=unsearching,{SUFFIX}\" none \
                 by dn.exact=\"cn=unreading,{SUFFIX}\" search by * break\n"
            )
        } else {
            String::new()
        },
        shown = shown.display(),
        key = tls.key.display(),
        folder = folder.display(),
        counting = if has_stamps() { "overlay syncprov\n" } else { "" },
        policies =
            if has_policies() { format!("overlay ppolicy\nppolicy_default \"{POLICY}\"\n") } else { String::new() },
        indexes = match schema {
            Schema::Native | Schema::WithoutHome =>
                "index qlookUser,qlookAlias,qlookVirtualHost,qlookVirtualUser,qlookRcptHost eq\nindex qlookVirtualPattern pres,eq\n",
            Schema::QmailLdap => "index uid,mail,mailAlternateAddress eq\n",
            Schema::Posix => "index uid eq\n",
        },
    )?;
    Ok(conf)
}

/// The schema without the attribute: neither defined nor demanded.
fn without_home(schema: &str) -> Result<String, Failed> {
    let from = schema.find("attributetype ( qlookAttr:4 ").ok_or("the schema has no qlookAttr:4")?;
    let rest = schema.get(from + 1..).and_then(|rest| rest.find("attributetype (")).ok_or("nothing after it")?;
    let (before, after) = (schema.get(..from).unwrap_or_default(), schema.get(from + 1 + rest..).unwrap_or_default());
    Ok(format!("{before}{after}").replace(" $ qlookHome", ""))
}

fn accounts() -> String {
    let mut ldif = format!("dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: test\no: test\n\n");
    let names = LIMITED.iter().map(|name| format!("cn={name},{SUFFIX}")).chain([USER.to_owned()]);
    for dn in names {
        let _ = write!(
            ldif,
            "dn: {dn}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\nuserPassword: {PASSWORD}\n\n"
        );
    }
    if has_policies() {
        // Accounts can be locked, but not by wrong passwords: those are part of the tests.
        let _ = write!(
            ldif,
            "dn: {POLICY}\nobjectClass: device\nobjectClass: pwdPolicy\npwdAttribute: userPassword\npwdLockout: TRUE\npwdMaxFailure: 0\n\n"
        );
    }
    ldif
}
