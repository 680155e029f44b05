//! `explain ADDR`: every decision for an address, and what they were made from.

use crate::alias_user;
use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::session::Session;
use qmail_lookup_config::control;
use qmail_lookup_core::lookup::{Asked, Trace};
use qmail_lookup_core::rules::{Delivery, Explain, Note, Outcome, Route, Verdict, shown};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) async fn run(session: &Session, address: &[u8], output: &mut Output) -> Result<Exit, Failure> {
    let read = control::control(&session.config.qmail);
    let question = Explain {
        address: address.to_vec(),
        control: Arc::new(read.map_err(|error| Failure::temporary(error.to_string()))?),
        alias_home: session.alias_home(),
    };
    let (answer, mut trace) = session.lookup.explain(question, session.by).await;
    let decided = answer.map_err(Failure::from).and_then(|outcome| view(session, outcome, &mut trace));
    let (view, failure) = match decided {
        Ok(view) => (view, None),
        Err(failure) => (View::temporary(failure.line()), Some(failure)),
    };
    let value = json!({
        "address": text(address),
        "verdict": view.verdict.as_str(),
        "mailbox": view.mailbox,
        "instructions": view.instructions,
        "text": view.text,
        "error": failure.as_ref().map(Failure::to_json),
        "steps": steps(&trace),
    });
    output.result(&value, |out| print(out, &text(address), &view, &trace));
    if let Some(failure) = failure {
        output.complain(&failure.line());
    }
    Ok(match view.verdict {
        Verdict::Deliver | Verdict::Forward | Verdict::Files => Exit::Yes,
        Verdict::Bounce | Verdict::NotOurs => Exit::No,
        Verdict::Temporary => Exit::Temporary,
    })
}

/// The end of it, as it is shown.
struct View {
    verdict: Verdict,
    mailbox: Option<String>,
    instructions: Vec<String>,
    text: Option<String>,
}

impl View {
    fn temporary(text: String) -> Self {
        Self { verdict: Verdict::Temporary, mailbox: None, instructions: Vec::new(), text: Some(text) }
    }
}

fn view(session: &Session, outcome: Outcome, trace: &mut Trace) -> Result<View, Failure> {
    let rules = &session.config.rules;
    let mut view = View { verdict: outcome.verdict, mailbox: None, instructions: Vec::new(), text: None };
    match &outcome.route {
        Some(Route::Mailbox { mailbox, .. }) => view.mailbox = Some(mailbox.username.to_string()),
        Some(Route::AliasUser { .. } | Route::Forward(_)) => {
            view.text = Some(format!("owner: the alias user '{}'", rules.alias_user));
        }
        Some(Route::Stock { local }) => {
            if let Some(user) = alias_user::system_user(local, &rules.break_chars)? {
                let text = format!("this machine has a system user {user}: the stock qmail-getpw finds it first");
                trace.notes.push(Note::Decided { rule: "G4", text });
                return Ok(View { verdict: Verdict::Files, text: Some(format!("owner: system user {user}")), ..view });
            }
            view.text =
                Some(format!("owner: the alias user '{}', after the stock qmail-getpw found nobody", rules.alias_user));
        }
        Some(Route::Unknown) | None => {}
    }
    match outcome.delivery {
        Some(Delivery::Rows { instructions, .. }) => {
            view.instructions = instructions.iter().map(|i| text(&i.to_line())).collect();
        }
        Some(Delivery::Bounce(words) | Delivery::Defer(words)) => view.text = Some(words.into_owned()),
        Some(Delivery::Files { .. }) | None => {}
    }
    Ok(view)
}

fn found(asked: &Asked) -> Vec<String> {
    match &asked.told {
        Ok(told) => shown(told),
        Err(error) => vec![format!("error: {error}")],
    }
}

/// Every question and decision, in order.
fn steps(trace: &Trace) -> Vec<Value> {
    let step = |note: &Note| match note {
        Note::Asked { rule, question } => {
            let asked = trace.asked.get(*question)?;
            let micros = u64::try_from(asked.took.as_micros()).unwrap_or(u64::MAX);
            Some(json!({
                "rule": rule, "asked": asked.ask.to_string(), "place": asked.place, "query": asked.query,
                "found": found(asked), "microseconds": micros, "decided": null,
            }))
        }
        Note::Decided { rule, text } => Some(json!({
            "rule": rule, "asked": null, "place": null, "query": null, "found": null, "microseconds": null, "decided": text,
        })),
    };
    trace.notes.iter().filter_map(step).collect()
}

fn print(out: &mut Output, address: &str, view: &View, trace: &Trace) {
    let mut pairs = vec![("address", address.to_owned()), ("verdict", view.verdict.as_str().to_owned())];
    pairs.extend(view.mailbox.clone().map(|name| ("mailbox", name)));
    pairs.extend(view.text.clone().map(|text| ("", text)));
    pairs.extend(view.instructions.iter().map(|line| ("instruction", line.clone())));
    out.pairs(&pairs);
    out.line("");
    for note in &trace.notes {
        match note {
            Note::Decided { rule, text } => out.line(format!("{rule:3} {text}")),
            Note::Asked { rule, question } => {
                let Some(asked) = trace.asked.get(*question) else { continue };
                out.line(format!("{rule:3} asked {} for {} ({} us)", asked.place, asked.ask, asked.took.as_micros()));
                out.line(format!("      {}", asked.query));
                let rows = found(asked);
                let nothing = ["nothing".to_owned()];
                for row in if rows.is_empty() { &nothing[..] } else { &rows[..] } {
                    out.line(format!("      -> {row}"));
                }
            }
        }
    }
}
