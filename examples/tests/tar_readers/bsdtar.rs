//! libarchive's bsdtar.
//!
//! It says of every name and link that is no UTF-8 that it cannot convert it, and ends with 1; but it lists and extracts the
//! bytes as they are. Anything else that it says is a failure.
//!
//! It loses a PAX `linkpath` where nothing before it in the archive had a link and the link's own field is empty, as the
//! field is without an ASCII byte in the link: Go's archive/tar, and so our writer, leaves out of the fields what is not
//! ASCII. See [`loses_first_link`]. It is then no link but a file, and libarchive's mtree writer crashes over it
//! (libarchive's pull request 3057). Such archives are read behind a link with an ASCII target ([`primed`]), which changes
//! no byte of theirs.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use cache_blobs::tar::Header;

use super::archives::Archive;
use super::listing::{Listing, by_us, from_columns};
use crate::property;

/// The link before the archive.
pub const PRIMER: &str = ".primer";

/// What it says of `archive`: mode, number of links, user, group, size and three columns of time, then the name.
pub fn list(archive: &Archive) -> Listing {
    let output = run(Command::new("bsdtar").args(["--numeric-owner", "-tvf"]).arg(&archive.file), archive);
    from_columns(&output.stdout, 8, 4, &archive.ours)
}

/// Extracts `archive` into the directory `into`. `-P` keeps what looks like the root of a drive in a name.
pub fn extract(archive: &Archive, into: &Path) {
    let mut command = Command::new("bsdtar");
    run(command.args(["--numeric-owner", "-xpP", "-C"]).arg(into).arg("-f").arg(&archive.file), archive);
}

fn run(command: &mut Command, archive: &Archive) -> Output {
    let output = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    let texts = |header: &Header| [&header.path, &header.link, &header.user_name, &header.group_name].map(Clone::clone);
    let may_warn = archive.headers().flat_map(texts).any(|text| std::str::from_utf8(&text).is_err());
    let said = String::from_utf8_lossy(&output.stderr);
    let is_known = |line: &str| {
        line.ends_with("name can't be converted from UTF-8 to current locale.")
            || line.ends_with("Error exit delayed from previous errors.")
    };
    assert_eq!(said.lines().find(|line| !may_warn || !is_known(line)), None, "{command:?}\n{said}");
    assert!(matches!(output.status.code(), Some(0 | 1)), "{command:?} ended with {}", output.status);
    output
}

/// Whether the first link of an archive has no ASCII byte.
pub fn loses_first_link(archive: &Archive) -> bool {
    let first = archive.ours.iter().find(|seen| matches!(seen.kind, 'l' | 'h'));
    first.is_some_and(|seen| !seen.link.iter().any(u8::is_ascii))
}

/// `archive` behind a link that is not lost.
pub fn primed(archive: &Archive) -> Archive {
    let primer = Header::symlink(PRIMER, "ascii");
    let primer = vec![(primer, Vec::new())];
    let mut tar = property::archive(&primer);
    // One header; the rest is the end of the archive.
    tar.truncate(512);
    tar.extend(fs::read(&archive.file).unwrap());
    let file = archive.file.with_extension("primed");
    fs::write(&file, &tar).unwrap();
    Archive { file, entries: [primer, archive.entries.clone()].concat(), ours: by_us(&tar) }
}
