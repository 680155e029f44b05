//! The verbs that edit rows, and the homes that they make.

mod ground;
mod homes;
mod judge;
mod passwords;
mod rows;
mod user;

use libtest_mimic::Trial;

/// All trials.
pub(crate) fn trials() -> Vec<Trial> {
    [user::trials(), rows::trials(), judge::trials(), homes::trials(), passwords::trials()]
        .into_iter()
        .flatten()
        .collect()
}
