//! `import`: rows from a file of `export`, or of another system.
//!
//! | what | room |
//! |---|---|
//! | the file that is imported | `source` |
//! | what `export` wrote; mailboxes of it without passwords | `text`, `passwords` |
//! | the files of a stock qmail | `stock` |
//! | statements of mysqldump | `dump` |
//! | the old patch's tables, vpopmail's, postfixadmin's | `old_patch`, `vpopmail`, `postfixadmin` |
//! | what is common to the last two | `accounts` |
//! | what could not be carried over | `losses` |
//! | what --replace may not do | `replace` |
//! | whether the store holds the rows at the end | `verify` |

mod accounts;
mod dump;
mod losses;
mod old_patch;
mod passwords;
mod postfixadmin;
mod replace;
mod source;
mod stock;
mod text;
mod verify;
mod vpopmail;

use crate::cli::{self, Format};
use crate::editing;
use crate::exit::Exit;
use crate::moving::{Copied, Rows, copy};
use crate::output::{Failure, Output};
use crate::session::Session;
use losses::Losses;
use qmail_lookup_core::Table;
use serde_json::json;

pub(crate) async fn run(session: &Session, options: &cli::Import, output: &mut Output) -> Result<Exit, Failure> {
    refuse_what_does_not_fit(options)?;
    let (mut rows, mut losses) = (Rows::new()?, Losses::default());
    match options.format {
        Format::Text => text::read(session, options, &mut rows, &mut losses).await?,
        Format::Mysqldump => old_patch::read(options, &mut rows, &mut losses)?,
        Format::Vpopmail => vpopmail::read(session, options, &mut rows, &mut losses)?,
        Format::Postfixadmin => postfixadmin::read(session, options, &mut rows, &mut losses)?,
        Format::Qmail => stock::read(session, options, &mut rows, &mut losses)?,
    }
    rows.finish()?;
    // Before anything is written: whoever reads it can still stop.
    losses.tell(output);
    if options.into.replace {
        replace::refuse_to_empty(session, &rows, &losses).await?;
    }
    let from = options.source.display().to_string();
    let copied = copy(&rows, &from, session, &options.into, false, output).await;
    if !options.into.dry_run {
        // Also if only a part of the rows is there.
        editing::tell_daemon(session, output).await;
    }
    let copied = match copied {
        Err(failure) if failure.exit() == Exit::Temporary && !options.into.merge && !options.into.replace => {
            let help = "with --merge the import goes on where it stopped, if rows were written";
            return Err(Failure::temporary(format!("{} ({help})", failure.line())));
        }
        other => other?,
    };
    if !options.into.dry_run {
        let there = Rows::of(session, true, |_, _| {}).await?;
        let (missing, explained) = (verify::missing(&rows, &there)?, copied.refused + copied.differing);
        if missing > explained {
            return Err(Failure::temporary(format!(
                "{} of the rows are not in the store: does something else write to it? Run it again with --merge",
                missing - explained
            )));
        }
    }
    report(options, &rows, &losses, copied, output)
}

/// Options that would be without effect, or would do harm.
fn refuse_what_does_not_fit(options: &cli::Import) -> Result<(), Failure> {
    let refused = |what: &str| Err(Failure::usage(what));
    if options.no_passwords && options.format != Format::Text {
        return refused("--no-passwords is for files that `export` wrote");
    }
    if options.no_passwords && options.into.replace {
        return refused("--no-passwords with --replace would take the passwords away that the store has");
    }
    if (options.passwd.is_some() || options.shadow.is_some()) && options.format != Format::Qmail {
        return refused("--passwd and --shadow are for --format qmail");
    }
    Ok(())
}

fn report(
    options: &cli::Import,
    rows: &Rows,
    losses: &Losses,
    copied: Copied,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut read = serde_json::Map::new();
    for table in Table::ALL {
        read.insert(table.name().to_owned(), json!(rows.count(table)?));
    }
    let Copied { inserted, replaced, deleted, same, differing, refused, .. } = copied;
    let whole = losses.list().is_empty() && refused + differing + copied.locked_out == 0;
    let (lost, notes) = losses.to_json();
    let value = json!({
        "result": if whole { "imported" } else { "losses" }, "dry_run": options.into.dry_run, "read": read,
        "losses": lost, "notes": notes,
    });
    let counts: Vec<_> = read.iter().map(|(table, count)| format!("{table} {count}")).collect();
    output.result(&value, |out| {
        out.say(&format!("{}: rows of {}", options.source.display(), counts.join(", ")));
        let (done, would) = (["inserted", "replaced", "deleted"], if options.into.dry_run { "would be " } else { "" });
        let fates =
            done.into_iter().zip([inserted, replaced, deleted]).filter(|(fate, n)| *n > 0 || *fate == "inserted");
        let fates: Vec<_> = fates.map(|(fate, n)| format!("{n} {would}{fate}")).collect();
        let rest = [("were there already", same), ("differ and were left", differing), ("left out", refused)];
        let rest: Vec<_> = rest.into_iter().filter(|(_, n)| *n > 0).map(|(fate, n)| format!("{n} {fate}")).collect();
        out.line([fates, rest].concat().join(", "));
        if !losses.list().is_empty() {
            out.line(format!("{} could not be carried over", losses.list().len()));
        }
    });
    Ok(if whole { Exit::Yes } else { Exit::No })
}
