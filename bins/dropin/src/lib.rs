//! The programs that qmail, qmail-popup, Dovecot and a patched qmail-smtpd run in place of their own.
//!
//! | program | room |
//! |---|---|
//! | `qmail-getpw` | [`getpw`], with [`home`] (rule G3) and [`stock`] (rule G4) |
//! | `qmail-local` | [`local`] |
//! | `checkpassword` | [`checkpassword`] |
//! | `dovecot-checkpassword` | [`dovecot`] |
//! | `qmail-rcptcheck` | [`rcptcheck`] |
//!
//! They hold no credentials and read no TOML: [`control`] finds the daemon's socket, [`ask`] puts one question to it,
//! [`believe`] says whether whoever answers may be believed. Not knowing is always the program's temporary exit code
//! ([`exit`]); a panic is one, too. Every file holds a [`mark`]. Unsafe code is in [`sys`] and nowhere else.

pub mod ask;
pub mod believe;
pub mod checkpassword;
pub mod control;
pub mod die;
pub mod dovecot;
pub mod exit;
pub mod getpw;
pub mod home;
pub mod local;
pub mod mark;
pub mod rcptcheck;
pub mod stdout;
pub mod stock;
pub mod sys;
pub mod wiped;
