//! `init`: makes the documented tables, or prints the statements that would.

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::{Session, configuration};
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::Role;
use qmail_lookup_core::{EditCause, TableOptions};
use serde_json::json;

pub(crate) async fn run(
    cli: &Cli,
    registry: &Registry,
    username_width: u16,
    with_seq: bool,
    print: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let options = TableOptions { username_width, with_seq };
    if print {
        let kind = configuration(cli, registry)?.store.role(Role::Mailbox).kind.clone();
        let schema = registry.find(&kind).map(|entry| (entry.schema)(options)).unwrap_or_default();
        output.result(&json!({ "kind": kind, "schema": schema }), |out| out.raw(schema.as_bytes()));
        return Ok(Exit::Yes);
    }
    let session = Session::open(cli, registry, output)?;
    let store = &session.stores.mailbox;
    let Some(editor) = store.editor() else {
        return Err(Failure::usage(format!("{} cannot be changed by this program", store.place())));
    };
    let tables = editor.create_tables(options, session.by).await.map_err(|error| match error.cause {
        EditCause::Store(cause) => Failure::from(cause),
        _ => Failure::temporary(format!("{}: {error}", store.place())),
    })?;
    let rows: Vec<_> = tables.iter().map(|(table, made)| json!({ "table": table.name(), "created": made })).collect();
    output.result(&json!({ "result": "ok", "place": store.place(), "tables": rows }), |out| {
        for (table, made) in &tables {
            out.line(format!("{table:9}  {}", if *made { "created" } else { "was there already, not changed" }));
        }
    });
    Ok(Exit::Yes)
}
