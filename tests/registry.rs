//! No place is forgotten when a store is added.

use libtest_mimic::Trial;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_core::TableOptions;
use qmail_lookup_tests::battery;
use qmail_lookup_tests::check::{Outcome, ensure};
use qmail_lookup_tests::subjects::Candidate;
use std::collections::BTreeSet;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

pub(crate) fn trials(candidates: &[Candidate]) -> Vec<Trial> {
    let tested: BTreeSet<_> = candidates.iter().map(|candidate| candidate.kind).collect();
    let subjects = candidates.iter().filter_map(|candidate| candidate.subject.as_ref().ok());
    let excuses: Vec<_> = subjects.flat_map(|subject| subject.excused.iter().map(|(case, _)| case.clone())).collect();
    vec![
        Trial::test("registry::every_kind_has_a_subject", move || {
            let without: Vec<_> = Registry::builtin().kinds().filter(|kind| !tested.contains(kind)).collect();
            ensure(without.is_empty(), format!("no subject in tests/harness/subjects.rs for {without:?}"))
        }),
        Trial::test("registry::every_kind_has_a_folder_and_a_loader", folders),
        Trial::test("registry::every_excuse_of_a_subject_names_a_case", move || {
            let cases = battery::cases();
            let is_case = |excuse: &String| cases.iter().any(|case| case.name == *excuse);
            let unknown: Vec<_> = excuses.iter().filter(|excuse| !is_case(excuse)).collect();
            ensure(unknown.is_empty(), format!("{unknown:?}"))
        }),
        Trial::test("registry::stores_of_one_sort_have_the_same_file_names", same_names),
        Trial::test("registry::every_kind_says_its_schema", || {
            Registry::builtin().kinds().try_for_each(|kind| {
                let schema = Registry::builtin().find(kind).map(|entry| (entry.schema)(TableOptions::default()));
                ensure(schema.is_some_and(|text| !text.is_empty()), kind)
            })
        }),
    ]
}

fn folders() -> Outcome {
    Registry::builtin().kinds().try_for_each(|kind| {
        for place in [format!("backends/src/{kind}/mod.rs"), format!("tests/harness/load/{kind}.rs")] {
            ensure(Path::new(ROOT).join(&place).is_file(), format!("{place} is missing"))?;
        }
        Ok(())
    })
}

/// Who knows one store finds the way in the next. A store may have files of its own besides.
fn same_names() -> Outcome {
    let usual = ["mod.rs", "settings.rs", "rows.rs", "error.rs"];
    let stores: Vec<_> = Registry::builtin().kinds().filter(|kind| *kind != "memory").collect();
    ensure(!stores.is_empty(), "no store but memory")?;
    for kind in stores {
        let folder = Path::new(ROOT).join("backends/src").join(kind);
        let missing: Vec<_> = usual.iter().filter(|file| !folder.join(file).is_file()).collect();
        ensure(missing.is_empty(), format!("backends/src/{kind} lacks {missing:?}"))?;
    }
    Ok(())
}
