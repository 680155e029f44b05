//! `import`: rows from a file of `export`, or of another system.
//!
//! | what | room |
//! |---|---|
//! | what `export` wrote | `text` |
//! | the files of a stock qmail | `stock` |
//! | statements of mysqldump | `dump` |
//! | the old patch's tables, vpopmail's, postfixadmin's | `old_patch`, `vpopmail`, `postfixadmin` |
//! | what could not be carried over | `losses` |

mod dump;
mod losses;
mod old_patch;
mod postfixadmin;
mod stock;
mod text;
mod vpopmail;

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;

pub(crate) async fn run(_session: &Session, _options: &cli::Import, _output: &mut Output) -> Result<Exit, Failure> {
    Err(Failure::usage("not here yet"))
}
