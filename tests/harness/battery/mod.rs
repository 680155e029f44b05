//! The contract of a store, one case a sentence. The sentences are those of the traits in core.

mod alias;
mod authenticator;
mod backend;
mod catalog;
mod editor;
mod hostile;
mod mailbox;
mod rcpthosts;
mod stamp;
mod trial;
mod virtuals;

use crate::check::Outcome;
use crate::shape::Need;
use crate::subject::{Ctx, Opened, Subject};
use libtest_mimic::{Completion, Failed, Trial};
use std::sync::Arc;

/// Something that a store may lack. What it lacks it does not return; its cases are then passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Routing questions: every store.
    Resolvers,
    /// Reading whole tables.
    Catalog,
    /// Changing rows.
    Editor,
    /// Deciding logins.
    Authenticator,
    /// A second store with empty tables.
    Empty,
}

const PARTS: [Part; 4] = [Part::Catalog, Part::Editor, Part::Authenticator, Part::Empty];

impl Part {
    fn is_in(self, opened: &Opened) -> bool {
        match self {
            Self::Resolvers => true,
            Self::Catalog => opened.store.catalog().is_some(),
            Self::Editor => opened.store.editor().is_some(),
            Self::Authenticator => opened.store.authenticator().is_some(),
            Self::Empty => opened.empty.is_some(),
        }
    }
}

/// One sentence of the contract.
pub struct Case {
    /// `AREA::SENTENCE`.
    pub name: String,
    part: Part,
    needs: &'static [Need],
    run: Box<dyn Fn(&Ctx<'_>) -> Outcome + Send + Sync>,
}

impl Case {
    /// A case of every store whose tables hold what `needs` says.
    fn new(
        area: &str,
        part: Part,
        needs: &'static [Need],
        sentence: &str,
        run: impl Fn(&Ctx<'_>) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Self { name: format!("{area}::{sentence}"), part, needs, run: Box::new(run) }
    }
}

/// Every case.
#[must_use]
pub fn cases() -> Vec<Case> {
    let areas = [
        mailbox::cases,
        alias::cases,
        virtuals::cases,
        rcpthosts::cases,
        hostile::cases,
        backend::cases,
        authenticator::cases,
        catalog::cases,
        editor::cases,
        stamp::cases,
        trial::cases,
    ];
    areas.iter().flat_map(|area| area()).collect()
}

/// The battery as trials `conformance::SUBJECT::AREA::SENTENCE`. Cases that the subject's tables cannot hold the
/// rows for are not built. A part that the store does not return is one ignored trial if the subject is open already
/// ([`Subject::opened`]), else one for each of its cases. Cases that the subject excuses are ignored trials with the
/// reason in their name.
#[must_use]
pub fn battery(subject: &Arc<Subject>) -> Vec<Trial> {
    let lacking =
        subject.if_open().map(|opened| PARTS.into_iter().filter(|part| !part.is_in(opened)).collect::<Vec<_>>());
    let lacking = lacking.filter(|_| !subject.complete).unwrap_or_default();
    let fitting = cases().into_iter().filter(|case| case.needs.iter().all(|&need| subject.shape.allows(need)));
    let trials = fitting.filter(|case| !lacking.contains(&case.part)).map(|case| {
        let subject = Arc::clone(subject);
        let name = format!("conformance::{}::{}", subject.name, case.name);
        // With --include-ignored it runs all the same, and shows whether the excuse still holds.
        let excuse = subject.excuse(&case.name);
        let name = excuse.map_or(name.clone(), |why| format!("{name}: {why}"));
        Trial::ignorable_test(name, move || run(&subject, &case)).with_ignored_flag(excuse.is_some())
    });
    let ignored = lacking.iter().map(|part| {
        let name = format!("conformance::{}::{part:?}: the store has none", subject.name).to_lowercase();
        Trial::test(name, || Ok(())).with_ignored_flag(true)
    });
    trials.chain(ignored).collect()
}

fn run(subject: &Subject, case: &Case) -> Result<Completion, Failed> {
    let opened = subject.opened()?;
    if !case.part.is_in(opened) {
        let why = format!("{}: the store has no {:?}", subject.name, case.part).to_lowercase();
        return if subject.complete { Err(why.into()) } else { Ok(Completion::ignored_with(why)) };
    }
    let _alone = (case.part == Part::Editor).then(|| subject.turns().write());
    let _among_others = (case.part != Part::Editor).then(|| subject.turns().read());
    let ctx =
        Ctx { store: &*opened.store, empty: opened.empty.as_deref(), shape: &subject.shape, rows: subject.rows() };
    (case.run)(&ctx).map(|()| Completion::Completed)
}

#[cfg(test)]
mod tests {
    use super::run;
    use crate::load::memory;
    use crate::shape::Shape;
    use crate::subject::Subject;
    use std::collections::BTreeSet;

    /// Cases that a store without a single row passes are those about what is absent, and about what it adds itself.
    #[test]
    fn a_store_that_lost_its_rows_fails_most_cases() {
        let subject = Subject::new("lost", Shape::anything(), |_| Ok(memory::filled(&[])));
        let cases: Vec<_> = super::cases()
            .into_iter()
            .filter(|case| case.needs.iter().all(|&need| subject.shape.allows(need)))
            .collect();
        let failed = cases.iter().filter(|case| run(&subject, case).is_err()).count();
        assert!(failed * 4 > cases.len() * 3, "{failed} of {}", cases.len());
    }

    #[test]
    fn there_are_at_least_120_cases_and_no_two_have_one_name() {
        let names: Vec<_> = super::cases().into_iter().map(|case| case.name).collect();
        assert!(names.len() >= 120, "{}", names.len());
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
