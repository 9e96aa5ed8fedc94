//! Readers of tar that are not ours, and archives for them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, unreachable_pub)]

pub mod archives;
pub mod bsdtar;
pub mod gnu_tar;
pub mod listing;
pub mod one_meaning;
pub mod python;
