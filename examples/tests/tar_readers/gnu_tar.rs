//! GNU tar.

use std::path::Path;
use std::process::Command;

use super::archives::Archive;
use super::listing::{Listing, from_columns};
use crate::support::succeed;

/// What it says of `archive`: mode, owner, size, date and time, then the name. Of owners beyond 32 bits it says that they are
/// out of range, and ends with 2; it lists their entries all the same.
pub fn list(archive: &Archive) -> Listing {
    let options = ["--list", "--verbose", "--absolute-names", "--numeric-owner", "--quoting-style=escape", "--file"];
    let mut command = Command::new("tar");
    let output = command.env("LC_ALL", "C").args(options).arg(&archive.file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let has_range = |id: u64| u32::try_from(id).is_ok();
    if archive.headers().all(|header| has_range(header.uid) && has_range(header.gid)) {
        assert!(output.status.success(), "{command:?}\n{text}");
    }
    let known = ["is out of range", "Ignoring unknown extended header keyword", "due to previous errors"];
    assert_eq!(text.lines().find(|line| !known.iter().any(|known| line.contains(known))), None, "{command:?}");
    from_columns(&output.stdout, 5, 2, &archive.ours)
}

/// Extracts `file` into the directory `into`.
pub fn extract(file: &Path, into: &Path) {
    let options = ["--extract", "--preserve-permissions", "--numeric-owner", "--delay-directory-restore", "--file"];
    succeed(Command::new("tar").env("LC_ALL", "C").args(options).arg(file).arg("--directory").arg(into));
}
