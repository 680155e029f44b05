//! The tests of qmail-lookup: one data set, one battery of contract sentences, every store a subject.
//!
//! A store of your own joins with a [`Subject`] and a line:
//! ```no_run
//! use qmail_lookup_tests::{Opened, Shape, Subject, battery, example_backend::Tsv};
//! use std::sync::Arc;
//!
//! let subject = Subject::new("tsv", Shape::anything(), |rows| {
//!     let folder = tempfile::tempdir()?;
//!     let store = Tsv::create(folder.path().join("rows.tsv"), rows)?;
//!     Ok(Opened { keep: Box::new(folder), ..Opened::of(Arc::new(store)) })
//! });
//! let arguments = libtest_mimic::Arguments::from_args();
//! libtest_mimic::run(&arguments, battery(&Arc::new(subject))).exit();
//! ```
//! The servers are real, private to the run, and die with it.

pub mod battery;
pub mod check;
pub mod dataset;
pub mod example_backend;
pub mod load;
pub mod model;
pub mod proxy;
pub mod qmail;
pub mod questions;
pub mod server;
pub mod shape;
pub mod site;
pub mod subject;
pub mod subjects;

pub use battery::battery;
pub use check::Outcome;
pub use shape::{Need, Shape};
pub use subject::{Ctx, Opened, Subject};
