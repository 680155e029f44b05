//! The real program on a SQLite store, asked over its sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod activation;
mod bounds;
mod http;
mod logins;
mod peers;
mod questions;
mod reload;
mod site;
mod start;
