//! GNU tar.

use std::path::Path;
use std::process::Command;

use super::listing::{Listing, from_columns};
use crate::support::succeed;

/// What it says of `file`: mode, owner, size, date and time, then the name.
pub fn list(file: &Path, ours: &Listing) -> Listing {
    let options = ["--list", "--verbose", "--full-time", "--numeric-owner", "--quoting-style=escape", "--file"];
    let listed = succeed(Command::new("tar").env("LC_ALL", "C").args(options).arg(file));
    from_columns(&listed.stdout, 5, 2, ours)
}

/// Extracts `file` into the directory `into`.
pub fn extract(file: &Path, into: &Path) {
    let options = ["--extract", "--preserve-permissions", "--numeric-owner", "--delay-directory-restore", "--file"];
    succeed(Command::new("tar").env("LC_ALL", "C").args(options).arg(file).arg("--directory").arg(into));
}
