//! Certificates for the test servers, made once a run: a CA, what it signed for 127.0.0.1, the same but expired, and
//! the certificate of a CA that has nothing to do with it.

use super::find;
use super::process::folder;
use libtest_mimic::Failed;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Files in PEM.
#[derive(Debug)]
pub struct Certificates {
    /// Certificate of the CA.
    pub ca: PathBuf,
    /// Certificate of another CA.
    pub foreign_ca: PathBuf,
    /// Certificate of a server at 127.0.0.1.
    pub server: PathBuf,
    /// The same, expired.
    pub expired: PathBuf,
    /// The same, for another address.
    pub elsewhere: PathBuf,
    /// Private key of the server's certificates.
    pub key: PathBuf,
}

static MADE: LazyLock<Result<Certificates, String>> =
    LazyLock::new(|| make().map_err(|failed| failed.message().unwrap_or("no reason given").to_owned()));

/// The certificates of this run.
///
/// # Errors
/// If openssl is missing or fails.
pub fn certificates() -> Result<&'static Certificates, Failed> {
    MADE.as_ref().map_err(Failed::from)
}

const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

fn make() -> Result<Certificates, Failed> {
    let at = folder("tls")?;
    for (name, key) in [("ca", "ca-key"), ("foreign", "foreign-key")] {
        let mut request = openssl(&at)?;
        request.args(["req", "-x509"]).args(NEW_KEY).args(["-days", "30", "-subj", "/CN=qmail-lookup test CA"]);
        request.args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        done(request.args(["-keyout", &format!("{key}.pem"), "-out", &format!("{name}.pem")]))?;
    }
    let mut request = openssl(&at)?;
    request.arg("req").args(NEW_KEY).args(["-subj", "/CN=127.0.0.1", "-keyout", "key.pem", "-out", "server.csr"]);
    done(&mut request)?;
    for (name, days, address) in
        [("server", "30", "127.0.0.1"), ("expired", "-1", "127.0.0.1"), ("elsewhere", "30", "192.0.2.1")]
    {
        let extensions = format!(
            "subjectAltName=IP:{address}\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n"
        );
        std::fs::write(at.join("extensions"), extensions)?;
        let mut sign = openssl(&at)?;
        sign.args(["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial"]);
        done(sign.args(["-days", days, "-extfile", "extensions", "-out", &format!("{name}.pem")]))?;
    }
    let file = |name: &str| at.join(format!("{name}.pem"));
    Ok(Certificates {
        ca: file("ca"),
        foreign_ca: file("foreign"),
        server: file("server"),
        expired: file("expired"),
        elsewhere: file("elsewhere"),
        key: file("key"),
    })
}

fn openssl(at: &Path) -> Result<Command, Failed> {
    let mut command = Command::new(find("openssl").ok_or("openssl is not installed")?);
    command.current_dir(at).stdin(Stdio::null());
    Ok(command)
}

fn done(command: &mut Command) -> Result<(), Failed> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("openssl: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}
