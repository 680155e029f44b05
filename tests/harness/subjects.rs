//! Every store that the battery is run against. A new store is a line here and a file in `load/`.

use crate::example_backend::Tsv;
use crate::load::{memory, mysql, sqlite};
use crate::server::mariadb::{self, MariaDb};
use crate::server::{is_required, mysql9};
use crate::shape::Shape;
use crate::subject::{Opened, Subject};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_backends::coalesce::Coalesce;
use qmail_lookup_core::Backend;
use std::sync::{Arc, LazyLock, OnceLock};

pub mod ldap;

/// A subject, or why it cannot run here.
pub struct Candidate {
    /// Kind in the registry that it tests; empty if it tests none.
    pub kind: &'static str,
    /// The subject, or the reason, with the name that it would have had.
    pub subject: Result<Arc<Subject>, (String, String)>,
}

impl Candidate {
    /// One trial that says loudly that the subject is missing; it fails where the subject is required.
    #[must_use]
    pub fn missing(&self) -> Option<Trial> {
        let Err((name, why)) = &self.subject else { return None };
        let required = is_required(name);
        let why = why.clone();
        let title = format!("conformance::{name}: {why}");
        Some(Trial::test(title, move || Err(why.into())).with_ignored_flag(!required))
    }
}

/// The server that most databases live on.
static MAIN: LazyLock<Result<MariaDb, String>> = LazyLock::new(|| shared(MariaDb::start(&[])));

/// A server whose defaults hide rows from who does not set its session: nothing is ever committed, and no SELECT
/// gives more than one row.
static HIDING: LazyLock<Result<MariaDb, String>> = LazyLock::new(|| shared(MariaDb::start(&HIDE)));

const HIDE: [&str; 2] = ["--autocommit=0", "--init-connect=SET sql_select_limit=1, sql_safe_updates=1"];

fn shared(started: Result<MariaDb, Failed>) -> Result<MariaDb, String> {
    started.map_err(|failed| failed.message().unwrap_or("no reason given").to_owned())
}

/// The server that most databases live on; it must not be disturbed.
///
/// # Errors
/// If it did not start.
pub fn main_server() -> Result<&'static MariaDb, Failed> {
    MAIN.as_ref().map_err(Failed::from)
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Candidate> {
    let mut all =
        vec![there("memory", Subject::new("memory", Shape::anything(), |rows| Ok(memory::filled(rows))).complete())];
    for (name, tables) in [
        ("sqlite", sqlite::Tables::Documented),
        ("sqlite-seq", sqlite::Tables::Seq),
        ("sqlite-by-hand", sqlite::Tables::ByHand),
    ] {
        all.push(there(
            "sqlite",
            Subject::new(name, tables.shape(), move |rows| sqlite::filled(tables, rows)).complete(),
        ));
    }
    let tables = sqlite::Tables::Documented;
    let open = move |rows: &[_]| sqlite::filled(tables, rows).map(coalesced);
    all.push(there("sqlite", Subject::new("sqlite-coalesced", tables.shape(), open).complete()));
    all.extend(mariadb());
    all.extend(mysql9());
    all.extend(ldap::all());
    let example = Subject::new("example", Shape::anything(), |rows| {
        let folder = tempfile::tempdir()?;
        let store = Tsv::create(folder.path().join("rows.tsv"), rows)?;
        let empty = Tsv::create(folder.path().join("empty.tsv"), &[])?;
        Ok(Opened { store: Arc::new(store), empty: Some(Arc::new(empty)), keep: Box::new(folder) })
    });
    // It costs nothing to open, and then the battery knows which parts it lacks. If it fails, its cases say why.
    drop(example.opened().map(drop));
    all.push(there("", example));
    all
}

fn mariadb() -> Vec<Candidate> {
    if let Some(why) = mariadb::missing() {
        return vec![Candidate { kind: "mysql", subject: Err(("mariadb".to_owned(), why)) }];
    }
    let variants = [
        ("mariadb", "documented", mysql::Tables::Documented),
        ("mariadb-seq", "with_seq", mysql::Tables::Seq),
        ("mariadb-latin1", "latin1", mysql::Tables::Latin1),
        ("mariadb-utf8mb3", "utf8mb3", mysql::Tables::Utf8mb3),
        ("mariadb-utf8mb4", "utf8mb4", mysql::Tables::Utf8mb4("utf8mb4_general_ci")),
        ("mariadb-uca1400", "uca1400", mysql::Tables::Utf8mb4("utf8mb4_uca1400_ai_ci")),
        ("mariadb-bare", "bare", mysql::Tables::Bare),
    ];
    let mut all: Vec<_> = variants
        .into_iter()
        .map(|(name, database, tables)| {
            there(
                "mysql",
                Subject::new(name, tables.shape(), move |rows| {
                    mysql::filled(MAIN.as_ref().map_err(Failed::from)?, database, tables, rows)
                })
                .complete(),
            )
        })
        .collect();
    let tables = mysql::Tables::Utf8mb4("utf8mb4_general_ci");
    all.push(there(
        "mysql",
        Subject::new("mariadb-hiding-globals", tables.shape(), move |rows| {
            mysql::filled(HIDING.as_ref().map_err(Failed::from)?, "hiding", tables, rows)
        })
        .complete(),
    ));
    let tables = mysql::Tables::Documented;
    let open =
        move |rows: &[_]| mysql::filled(MAIN.as_ref().map_err(Failed::from)?, "coalesced", tables, rows).map(coalesced);
    all.push(there("mysql", Subject::new("mariadb-coalesced", tables.shape(), open).complete()));
    all
}

/// The same stores behind the layer that joins the questions of all who ask at once.
fn coalesced(opened: Opened) -> Opened {
    let layer = |inner| -> Arc<dyn Backend> { Arc::new(Coalesce::new(inner, 2)) };
    Opened { store: layer(opened.store), empty: opened.empty.map(layer), keep: opened.keep }
}

fn mysql9() -> Vec<Candidate> {
    let tree = match mysql9::tree() {
        Ok(tree) => tree,
        Err(why) => return vec![Candidate { kind: "mysql", subject: Err(("mysql9".to_owned(), why)) }],
    };
    let (usual, hiding) = (Mysql9::default(), Mysql9::default());
    let variants = [
        ("mysql9", &usual, "documented", mysql::Tables::Documented),
        ("mysql9-seq", &usual, "with_seq", mysql::Tables::Seq),
        ("mysql9-latin1", &usual, "latin1", mysql::Tables::Latin1),
        ("mysql9-utf8mb3", &usual, "utf8mb3", mysql::Tables::Utf8mb3),
        ("mysql9-0900", &usual, "ai_ci", mysql::Tables::Utf8mb4("utf8mb4_0900_ai_ci")),
        ("mysql9-bare", &usual, "bare", mysql::Tables::Bare),
        ("mysql9-hiding-globals", &hiding, "hiding", mysql::Tables::Utf8mb4("utf8mb4_0900_ai_ci")),
    ];
    variants
        .into_iter()
        .map(|(name, server, database, tables)| {
            let (server, tree) = (Arc::clone(server), tree.clone());
            let options: &[&str] = if database == "hiding" { &HIDE } else { &[] };
            there(
                "mysql",
                Subject::new(name, tables.shape(), move |rows| {
                    let server = server.get_or_init(|| shared(mysql9::start(&tree, options)));
                    mysql::filled(server.as_ref().map_err(Failed::from)?, database, tables, rows)
                })
                .complete(),
            )
        })
        .collect()
}

/// Started by the first subject that needs it.
type Mysql9 = Arc<OnceLock<Result<MariaDb, String>>>;

fn there(kind: &'static str, subject: Subject) -> Candidate {
    Candidate { kind, subject: Ok(Arc::new(subject)) }
}
