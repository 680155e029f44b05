//! `init`: makes the documented tables, each in the store of its role, or prints the statements that would.

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::{Session, configuration};
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::Role;
use qmail_lookup_core::{EditCause, Table, TableFacts, TableOptions};
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
    let mut made = Vec::new();
    for (store, tables) in session.stores() {
        let Some(editor) = store.editor() else {
            return Err(Failure::usage(format!("{} cannot be changed by this program", store.place())));
        };
        let created = editor.create_tables(&tables, options, session.by).await.map_err(|error| match error.cause {
            EditCause::Store(cause) => Failure::from(cause),
            _ => Failure::temporary(format!("{}: {error}", store.place())),
        })?;
        let facts = store.facts(session.by).await?;
        for (table, new) in created {
            let found = facts.tables.iter().find(|found| found.table == table);
            let note = found.filter(|_| !new).and_then(|found| differs(found, options));
            made.push((store.place(), table, new, note));
        }
    }
    let rows: Vec<_> = made
        .iter()
        .map(|(place, table, new, note)| json!({ "place": place, "table": table.name(), "created": new, "note": note }))
        .collect();
    output.result(&json!({ "result": "ok", "tables": rows }), |out| {
        for (place, table, new, note) in &made {
            let what = if *new { "created" } else { "was there already, not changed" };
            let note = note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
            out.line(format!("{:9}  {what} ({place}){note}", table.name()));
        }
    });
    Ok(Exit::Yes)
}

/// What of the options a table that was there already does not have, and the statement that would give it.
fn differs(found: &TableFacts, options: TableOptions) -> Option<String> {
    let table = found.table;
    let has = |column: &str| found.columns.iter().any(|(name, _)| name.eq_ignore_ascii_case(column));
    if options.with_seq && table == Table::Alias && !has("seq") {
        return Some("it has no column seq: ALTER TABLE alias ADD seq, see init --print --with-seq".to_owned());
    }
    let (_, kind) = found.columns.iter().find(|(name, _)| name.eq_ignore_ascii_case("username"))?;
    let width: u16 = kind.strip_prefix("varchar(")?.split(')').next()?.parse().ok()?;
    let wanted = options.username_width;
    (width < wanted).then(|| {
        let change = format!("alter table `{table}` change username username varchar({wanted}) not null");
        format!("username holds {width} characters: {change}")
    })
}
