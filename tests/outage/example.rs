//! The example store: somebody else's store can be judged by the same steps.

use super::{answers, knows_nothing, recovers, rows, trial};
use libtest_mimic::Trial;
use qmail_lookup_core::ErrorKind;
use qmail_lookup_tests::Shape;
use qmail_lookup_tests::check::Outcome;
use qmail_lookup_tests::example_backend::Tsv;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("example", "a_file_that_is_gone_is_not_absent", gone),
        trial("example", "a_file_that_is_cut_off_is_not_absent", cut_off),
    ]
}

fn gone() -> Outcome {
    let folder = tempfile::tempdir()?;
    let rows = rows(&Shape::anything());
    let store = Tsv::create(folder.path().join("rows.tsv"), &rows)?;
    answers(&store, &rows)?;
    std::fs::rename(store.path(), folder.path().join("elsewhere"))?;
    knows_nothing(&store, &[ErrorKind::Unreachable])?;
    std::fs::rename(folder.path().join("elsewhere"), store.path())?;
    recovers(&store, &rows)
}

fn cut_off() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = Tsv::create(folder.path().join("rows.tsv"), &rows(&Shape::anything()))?;
    let text = std::fs::read(store.path())?;
    std::fs::write(store.path(), &text[..text.len() / 2 + usize::from(text[text.len() / 2 - 1] == b'\n')])?;
    knows_nothing(&store, &[ErrorKind::Schema])
}
