//! `demo`: the FAQ's rows in a real SQLite file, the FAQ's questions, and each decision.

mod rows;

use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::session::Session;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::{Sources, load};
use qmail_lookup_core::getpw::Owner;
use qmail_lookup_core::rules::{Accepted, Delivery, Explain, Getpw, Route};
use qmail_lookup_core::{AuthAnswer, Change, Secret, Table, TableOptions, Username};
use serde_json::json;
use std::sync::Arc;

/// A question, and the FAQ's sentence that it is about.
enum Ask {
    Getpw(&'static str),
    Explain(&'static str),
    Auth(&'static str, &'static str),
    Rcpthost(&'static str),
}

const QUESTIONS: &[(&str, Ask)] = &[
    ("a mailbox", Ask::Getpw("iain")),
    ("a mailbox with a dash in its name beats user and extension", Ask::Getpw("iain-sanity")),
    ("a user with an extension that is in the alias table", Ask::Getpw("iain-slowlaris")),
    ("Mailbox delivery", Ask::Explain("iain")),
    ("its alias row", Ask::Explain("iain-slowlaris")),
    ("the virtual catch-all", Ask::Explain("anything@virtual.com")),
    ("the same, as qmail-getpw is asked", Ask::Getpw("=virtual.com=-anything")),
    ("forwarded to an external address", Ask::Explain("user@virtual.com")),
    ("listed, so delivered", Ask::Explain("sales@sillydomain.com")),
    ("not listed, so it bounces", Ask::Explain("made-up@sillydomain.com")),
    ("a row with both targets blank: deferred, not eaten", Ask::Explain("iain-bogus")),
    ("a suspended mailbox still gets its mail", Ask::Explain("sleepy")),
    ("accepted by table rcpthosts", Ask::Rcpthost("sillydomain.com")),
    ("password_type Password", Ask::Auth("iain", rows::PASSWORD)),
    ("password_type Crypt-Password", Ask::Auth("iain-sanity", rows::PASSWORD)),
    ("password_type MySQL-Password", Ask::Auth("dmp", rows::PASSWORD)),
    ("a wrong password", Ask::Auth("iain", "wrong")),
    ("a suspended mailbox may not log in", Ask::Auth("sleepy", rows::PASSWORD)),
];

pub(crate) async fn run(keep: bool, registry: &Registry, output: &mut Output) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::temporary(format!("cannot make a temporary folder: {error}"));
    let folder = tempfile::Builder::new().prefix("qmail-lookup-demo.").tempdir().map_err(failed)?;
    let path = folder.path().join("mail.db");
    let url = format!("sqlite:{}", path.display());
    let mut config = load(&Sources { store_url: Some(url.clone()), ..Sources::default() }, registry)?;
    // The example's ids may be taken by somebody on this machine; nobody becomes them here.
    config.rules.deny_uids.clear();
    config.rules.deny_gids.clear();
    let session = Session::of(config, registry)?;
    fill(&session).await?;
    let mut shown = Vec::new();
    for (about, ask) in QUESTIONS {
        let (question, decision) = answer(&session, ask).await?;
        shown.push((question, decision, *about));
    }
    let rows: Vec<_> =
        shown.iter().map(|(q, d, about)| json!({ "question": q, "decision": d, "about": about })).collect();
    output.result(&json!({ "result": "ok", "store": url, "decisions": rows }), |out| {
        out.line(format!("The FAQ's example rows in {url}\n"));
        for (question, decision, about) in &shown {
            out.line(format!("# {about}\n{question}\n    {decision}"));
        }
    });
    if keep {
        let kept = folder.keep().join("mail.db");
        if !output.is_json() {
            let store = format!("--store sqlite:{}", kept.display());
            output.line(format!(
                "\nKept. Ask it yourself, for example:\n  qmail-lookup {store} explain sales@sillydomain.com"
            ));
        }
    }
    Ok(Exit::Yes)
}

async fn fill(session: &Session) -> Result<(), Failure> {
    let store = &session.stores.mailbox;
    let Some(editor) = store.editor() else {
        return Err(Failure::temporary("the embedded store cannot be changed"));
    };
    let failed = |error: qmail_lookup_core::EditError| Failure::temporary(error.to_string());
    editor.create_tables(&Table::ALL, TableOptions::default(), session.by).await.map_err(failed)?;
    let changes: Vec<_> = rows::all().into_iter().map(Change::Insert).collect();
    editor.apply(&changes, session.by).await.map_err(failed)
}

async fn answer(session: &Session, ask: &Ask) -> Result<(String, String), Failure> {
    let lookup = &session.lookup;
    Ok(match ask {
        Ask::Getpw(local) => {
            let decision = match lookup.decide(Getpw { local: local.as_bytes().to_vec() }, session.by).await? {
                Owner::Mailbox { mailbox, dash, ext } => format!(
                    "{} {} {} {} '{}' '{}'",
                    mailbox.username,
                    mailbox.uid,
                    mailbox.gid,
                    text(&mailbox.home),
                    text(dash),
                    text(&ext)
                ),
                Owner::AliasUser { ext } => format!("the alias user, '{}'", text(&ext)),
                Owner::Stock { .. } => "nobody: the stock qmail-getpw decides".to_owned(),
            };
            (format!("getpw {local}"), decision)
        }
        Ask::Explain(address) => {
            let question = Explain {
                address: address.as_bytes().to_vec(),
                control: Arc::default(),
                alias_home: session.alias_home(),
            };
            let decision = match lookup.decide(question, session.by).await {
                Err(error) => format!("temporary: {}", error.what()),
                Ok(outcome) => {
                    let owner = match &outcome.route {
                        Some(Route::Mailbox { mailbox, .. }) => format!(" ({})", mailbox.username),
                        _ => String::new(),
                    };
                    let how = match &outcome.delivery {
                        Some(Delivery::Rows { instructions, .. }) => {
                            instructions.iter().map(|i| text(&i.to_line())).collect::<Vec<_>>().join(", ")
                        }
                        Some(Delivery::Bounce(words) | Delivery::Defer(words)) => words.clone().into_owned(),
                        Some(Delivery::Files { .. }) => "qmail's own files decide".to_owned(),
                        None => String::new(),
                    };
                    format!("{}: {how}{owner}", outcome.verdict.as_str())
                }
            };
            (format!("explain {address}"), decision)
        }
        Ask::Auth(user, password) => {
            let question = format!("auth {user} '{password}'");
            let Some((name, authenticator)) =
                Username::new(user.as_bytes()).zip(session.stores.mailbox.authenticator())
            else {
                return Ok((question, "not possible".to_owned()));
            };
            let offered = Secret::new(password.as_bytes().to_vec());
            let decision = match authenticator.authenticate(&name, &offered, session.by).await? {
                AuthAnswer::Granted(mailbox) => format!("granted as {}", mailbox.username),
                AuthAnswer::Refused(why) => format!("refused: {}", why.as_str()),
            };
            (question, decision)
        }
        Ask::Rcpthost(host) => {
            let found = lookup.decide(Accepted { host: host.as_bytes().to_vec() }, session.by).await?;
            let decision = found.map_or("no row".to_owned(), |row| format!("accepted by row {row}"));
            (format!("rcpthost {host}"), decision)
        }
    })
}
