//! Table tests with the FAQ's own rows, and property tests against a second, naive model.

mod faq;
mod model;
mod properties;
mod queued;
mod tables;
