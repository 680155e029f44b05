//! A real MySQL 9 from a tree of unpacked Debian packages, run with the tree's own loader and libraries; nothing of
//! it is installed. `QL_TEST_MYSQL9` names the tree; `tests/fetch-mysql9.sh DIR` makes one.

use super::mariadb::{MariaDb, as_root, next_name};
use super::process::folder;
use libtest_mimic::Failed;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Variable that names the tree.
pub const VARIABLE: &str = "QL_TEST_MYSQL9";

/// The tree, or why there is none.
///
/// # Errors
/// The reason, for people.
pub fn tree() -> Result<PathBuf, String> {
    let Some(tree) = std::env::var_os(VARIABLE) else {
        return Err(format!("{VARIABLE} is not set: no real MySQL was tested"));
    };
    let tree = PathBuf::from(tree);
    match loader(&tree) {
        Some(_) if tree.join("usr/sbin/mysqld").is_file() => Ok(tree),
        _ => Err(format!(
            "{VARIABLE}={}: no usr/sbin/mysqld with its loader there: no real MySQL was tested",
            tree.display()
        )),
    }
}

/// The loader of the tree, in the folder of its libraries.
fn loader(tree: &Path) -> Option<PathBuf> {
    let places = [("x86_64-linux-gnu", "ld-linux-x86-64.so.2"), ("aarch64-linux-gnu", "ld-linux-aarch64.so.1")];
    places.iter().map(|(folder, file)| tree.join("usr/lib").join(folder).join(file)).find(|file| file.is_file())
}

/// Starts a fresh server with further `options`.
///
/// # Errors
/// If it does not start.
pub fn start(tree: &Path, options: &[&str]) -> Result<MariaDb, Failed> {
    let loader = loader(tree).ok_or("the tree has no loader")?;
    let libraries = loader.parent().ok_or("the loader has no folder")?;
    let base = folder(&next_name("n"))?;
    let share = tree.join("usr/share/mysql");
    let mut common = vec![
        "--library-path".to_owned(),
        libraries.display().to_string(),
        tree.join("usr/sbin/mysqld").display().to_string(),
        "--no-defaults".to_owned(),
    ];
    common.extend(as_root().map(str::to_owned));
    common.extend([
        format!("--basedir={}", tree.join("usr").display()),
        format!("--datadir={}", base.join("data").display()),
        format!("--lc-messages-dir={}", share.display()),
        "--innodb-redo-log-capacity=32M".to_owned(),
        "--secure-file-priv=NULL".to_owned(),
        "--innodb-buffer-pool-size=16M".to_owned(),
    ]);
    let installed = Command::new(&loader).args(&common).arg("--initialize-insecure").stdin(Stdio::null()).output()?;
    if !installed.status.success() {
        return Err(
            format!("mysqld --initialize-insecure: {}", String::from_utf8_lossy(&installed.stderr).trim()).into()
        );
    }
    common.extend([
        format!("--socket={}", base.join("s").display()),
        format!("--pid-file={}", base.join("pid").display()),
        format!("--character-sets-dir={}", share.join("charsets").display()),
        format!("--plugin-dir={}", libraries.join("../mysql/plugin").display()),
        format!("--log-error={}", base.join("err.log").display()),
        format!("--tmpdir={}", base.display()),
    ]);
    let fixed = [
        "--skip-networking",
        "--mysqlx=OFF",
        "--skip-log-bin",
        "--performance-schema=0",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=0",
    ];
    common.extend(fixed.iter().chain(options).map(|option| (*option).to_owned()));
    MariaDb::launch(loader, common, &base)
}
