//! Rows into a store that may hold some already: set by set, so that it makes no difference how often it is done.

use super::judge::judge;
use super::merge::{Copied, Merge, Merged, Policy, Way};
use super::stop::Stop;
use super::target::Target;
use super::told::Told;
use super::{PrivateFile, Rows};
use crate::cli;
use crate::output::{Failure, Output};
use crate::progress::Progress;
use crate::session::Session;
use qmail_lookup_config::Role;
use qmail_lookup_core::moving::logins::may_bind;
use qmail_lookup_core::moving::meant;
use qmail_lookup_core::wire::export;
use qmail_lookup_core::{Table, TableOptions, TableRow};
use serde_json::{Value, json};

/// What [`copy_with`] is told by who calls it, and tells him.
pub(crate) struct Hooks<'h> {
    /// The rows that the target holds are from an earlier run of this.
    pub(crate) begun_before: bool,
    /// The rows are read again at the end, and must be there: for who cannot compare otherwise.
    pub(crate) verifies: bool,
    /// Called before anything is written into a target that held no row: before tables are made, and before rows are.
    pub(crate) begins: &'h mut dyn FnMut() -> Result<(), Failure>,
    pub(crate) stop: &'h Stop,
}

/// Writes `rows`, which came from `from`, into the target. `begun_before`: rows that the target holds are from an
/// earlier run of this.
///
/// # Errors
/// If the target holds rows and may not, cannot express some, or could not be read or written to the end.
pub(crate) async fn copy(
    rows: &Rows,
    from: &str,
    target: &Session,
    options: &cli::Into,
    begun_before: bool,
    output: &mut Output,
) -> Result<Copied, Failure> {
    let stop = Stop::default();
    let hooks = Hooks { begun_before, verifies: false, begins: &mut || Ok(()), stop: &stop };
    stop.guard(copy_with(rows, from, target, options, hooks, output)).await
}

/// As [`copy`], for who has to know when writing begins, and is guarded already.
///
/// # Errors
/// As [`copy`].
pub(crate) async fn copy_with(
    rows: &Rows,
    from: &str,
    session: &Session,
    options: &cli::Into,
    hooks: Hooks<'_>,
    output: &mut Output,
) -> Result<Copied, Failure> {
    let mut progress = Progress::with_lines(options.quiet);
    let done = run(rows, from, session, options, hooks, &mut progress, output).await;
    progress.end();
    done
}

async fn run(
    rows: &Rows,
    from: &str,
    session: &Session,
    options: &cli::Into,
    hooks: Hooks<'_>,
    progress: &mut Progress,
    output: &mut Output,
) -> Result<Copied, Failure> {
    let target = Target::look(session).await?;
    progress.begin("reading the target", None);
    let now = Rows::of_tables(session, &target.tables(), |_, n| progress.advance(n)).await?;
    if target.tables().contains(&Table::Mailbox) {
        now.show_passwords(session).await?;
    }
    let was_empty = counts(&now)?.iter().all(|(_, n)| *n == 0);
    if !was_empty && !options.merge && !options.replace && !hooks.begun_before {
        return Err(Failure::refused(format!(
            "the target holds rows ({}); --merge adds to them, --replace makes it like {from}",
            words(&counts(&now)?)
        )));
    }
    let policy = if options.replace {
        Policy::Replace
    } else if hooks.begun_before || was_empty {
        Policy::Complete
    } else {
        Policy::Leave
    };
    let total: u64 = counts(rows)?.iter().map(|(_, n)| n).sum();
    let (numbers, with_seq) = target.numbers(rows, &now).await?;
    let mut way = Way { numbers, fit: target.fit() };
    let tables = TableOptions { username_width: width(rows, &target, options, output)?, with_seq };
    progress.begin("judging", Some(total));
    let judged = judge(rows, &now, policy, &target, tables, &mut way, progress).await?;
    progress.end();
    tell_unrehearsed(&judged.unrehearsed, output);
    judged.told.show("The target cannot express:", output);
    if judged.told.count() > 0 {
        output.add("not_expressible", judged.told.json());
    }
    if judged.told.count() > 0 && options.skip.is_none() && !options.dry_run {
        return Err(Failure::refused(format!(
            "the target cannot express {} rows, so nothing was written; change them, or leave them out with --skip FILE",
            judged.told.count()
        )));
    }
    let locked_out = locked_out(rows, session, output)?;
    let merge = Merge { rows, now: &now, judged: &judged, way, policy, stop: hooks.stop, yes: options.yes };
    if policy == Policy::Replace || options.dry_run {
        progress.begin("comparing rows", Some(total));
        let plan = merge.run(None, progress).await?;
        progress.end();
        if policy == Policy::Replace {
            tell_columns(&plan, &target, output);
            if let Some(why) = loss(&plan, rows, &now)?.filter(|_| !options.yes) {
                tell_rows(&plan, policy, output);
                return Err(Failure::refused(format!(
                    "--replace would delete much of the target ({why}): is the source whole, and may this account read \
                     all of it? Nothing was written; --yes does it all the same"
                )));
            }
        }
        if options.dry_run {
            tell_rows(&plan, policy, output);
            return Ok(Copied { locked_out, ..plan.all() });
        }
    }
    if let Some(place) = options.skip.as_ref().filter(|_| judged.told.count() > 0) {
        let mut file = PrivateFile::begin(place)?;
        write_rows(&judged.refused, &mut file)?;
        file.keep()?;
    }
    if was_empty {
        (hooks.begins)()?;
    }
    target.make_tables(tables).await?;
    if was_empty {
        (hooks.begins)()?;
    }
    progress.begin("writing", Some(total));
    hooks.stop.writes(true);
    let merged = merge.run(Some(&target), progress).await;
    hooks.stop.writes(false);
    progress.end();
    let merged = merged?;
    tell_rows(&merged, policy, output);
    if hooks.verifies {
        let now = Rows::of(session, true, |_, _| {}).await?;
        let again = Merge { now: &now, ..merge }.run(None, progress).await?.all();
        let missing = again.inserted + again.replaced + again.deleted;
        if missing > 0 || again.differing > merged.all().differing {
            return Err(Failure::temporary(format!(
                "{missing} of the rows are not in the target as they were written: does something else write to it?"
            )));
        }
    }
    Ok(Copied { locked_out, ..merged.all() })
}

/// How many mailboxes nobody can log in to any more, because the directory decides logins itself.
fn locked_out(rows: &Rows, session: &Session, output: &mut Output) -> Result<u64, Failure> {
    if session.config.store.role(Role::Mailbox).compares_passwords() {
        return Ok(0);
    }
    let mut told = Told::default();
    let mut sets = rows.sets(Table::Mailbox);
    loop {
        let set = sets.next_set()?;
        if set.is_empty() {
            break;
        }
        set.iter().filter(|row| !may_bind(row)).for_each(|row| told.add(row, "no directory lets anybody in by it"));
    }
    told.show("Passwords that are carried over, but let nobody in while auth = \"bind\" (\"compare\" would):", output);
    if told.count() > 0 {
        output.add("locked_out", told.json());
    }
    Ok(told.count())
}

/// Of which tables it could not be known beforehand what they refuse.
fn tell_unrehearsed(tables: &[Table], output: &mut Output) {
    for table in tables {
        output.complain(&format!(
            "table {table} is a view, has partitions, or is kept by a module: what it cannot express is not known \
             beforehand; each row is read back as it is written"
        ));
    }
    if !tables.is_empty() {
        output.add("not_rehearsed", tables.iter().map(|table| json!(table.name())).collect());
    }
}

/// Whose further columns are lost with a row.
fn tell_columns(plan: &Merged, target: &Target<'_>, output: &Output) {
    for (table, copied) in &plan.each {
        let columns = target.further_columns(*table);
        if !columns.is_empty() && copied.inserted + copied.replaced + copied.deleted > 0 {
            output.complain(&format!(
                "table {table} has further columns ({}): a row that is replaced keeps what it has there, one that is \
                 deleted loses it, a new one has nothing",
                columns.join(", ")
            ));
        }
    }
}

/// What is left, or deleted, though the source has it not or otherwise.
fn tell_rows(merged: &Merged, policy: Policy, output: &mut Output) {
    merged.differing.show("Other rows of the same key are in the target, and left as they are:", output);
    if merged.differing.count() > 0 {
        output.add("differing", merged.differing.json());
    }
    let fate = if policy == Policy::Replace { "to be deleted" } else { "left there" };
    merged.replaced.show("Rows of the target that are replaced:", output);
    if merged.replaced.count() > 0 {
        output.add("rows_replaced", merged.replaced.json());
    }
    merged.only_there.show(&format!("Only in the target, {fate}:"), output);
    if merged.only_there.count() > 0 {
        output.add("rows_only_in_target", merged.only_there.json());
    }
    let tables = merged.each.iter().map(|(table, copied)| (table.name().to_owned(), copied.json()));
    output.add("tables", Value::Object(tables.collect()));
}

/// Most rows of a table that --replace deletes unasked, whatever their share.
const FEW: u64 = 5;

/// Largest share of a table that it deletes unasked: one in so many rows.
const SHARE: u64 = 5;

/// Why a plan looks as if the source had not shown all its rows.
fn loss(plan: &Merged, rows: &Rows, now: &Rows) -> Result<Option<String>, Failure> {
    let mut why = Vec::new();
    let all = plan.all();
    if rows.count(Table::Mailbox)? == 0 && all.deleted + all.replaced > 0 {
        why.push("the source has no mailbox at all".to_owned());
    }
    for (table, copied) in &plan.each {
        let there = now.count(*table)?;
        let emptied = rows.count(*table)? == 0 && there > 0;
        if emptied || copied.deleted > FEW && copied.deleted.saturating_mul(SHARE) > there {
            why.push(format!("table {table}: {} of {there} rows", copied.deleted));
        }
    }
    Ok((!why.is_empty()).then(|| why.join(", ")))
}

/// Writes rows as `export` does.
fn write_rows(rows: &Rows, file: &mut PrivateFile) -> Result<(), Failure> {
    let mut text = Vec::new();
    let mut writer = export::Writer::new(true, &mut text);
    for table in Table::ALL {
        let mut sets = rows.sets(table);
        loop {
            let set = sets.next_set()?;
            if set.is_empty() {
                break;
            }
            for row in set.into_iter().map(meant) {
                writer.row(&row, &mut text).map_err(|error| Failure::refused(error.to_string()))?;
            }
            file.write(&std::mem::take(&mut text))?;
        }
    }
    writer.end(&mut text);
    file.write(&text)
}

fn counts(rows: &Rows) -> Result<Vec<(Table, u64)>, Failure> {
    Table::ALL.into_iter().map(|table| Ok((table, rows.count(table)?))).collect()
}

fn words(counts: &[(Table, u64)]) -> String {
    let each = counts.iter().filter(|(_, n)| *n > 0).map(|(table, n)| format!("{table} {n}"));
    each.collect::<Vec<_>>().join(", ")
}

/// The width of column username in tables that have to be made: no name may be cut.
fn width(rows: &Rows, target: &Target<'_>, options: &cli::Into, output: &Output) -> Result<u16, Failure> {
    let there = target.tables();
    let mut widest = 0;
    for (table, place) in [(Table::Mailbox, 0), (Table::Alias, 0), (Table::Virtual, 2)] {
        if there.contains(&table) {
            continue;
        }
        let mut sets = rows.sets(table);
        loop {
            let set = sets.next_set()?;
            if set.is_empty() {
                break;
            }
            let name = |row: &TableRow| {
                row.cells()
                    .get(place)
                    .copied()
                    .flatten()
                    .map_or(0, |name| String::from_utf8_lossy(name).chars().count())
            };
            widest = set.iter().map(name).fold(widest, usize::max);
        }
    }
    let widest = u16::try_from(widest).unwrap_or(u16::MAX).min(TableOptions::WIDTH_MAX);
    if widest > options.username_width {
        output.complain(&format!(
            "column username is made {widest} characters wide: the source has a name as long (--username-width)"
        ));
    }
    Ok(options.username_width.max(widest))
}
