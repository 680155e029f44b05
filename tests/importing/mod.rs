//! `export` and `import`, and the importers of other systems.

mod dumps;
mod stock;
mod text;

use libtest_mimic::Trial;

/// All trials.
pub(crate) fn trials() -> Vec<Trial> {
    [text::trials(), dumps::trials(), stock::trials()].into_iter().flatten().collect()
}
