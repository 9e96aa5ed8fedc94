//! Layer tars of layercache: archives, changes, layers.
//!
//! - [`tar`] writes archives byte for byte as containerd and BuildKit do, and reads them strictly.
//! - [`content`] is a file's bytes with its holes.

pub mod content;
pub mod tar;
