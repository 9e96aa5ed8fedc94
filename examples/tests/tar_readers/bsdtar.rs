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
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cache_blobs::tar::{Header, Writer};

use super::listing::{Listing, from_columns};

/// The link before the archive.
pub const PRIMER: &str = ".primer";

/// What it says of `file`: mode, number of links, user, group, size and three columns of time, then the name.
pub fn list(file: &Path, ours: &Listing) -> Listing {
    let output = run(Command::new("bsdtar").arg("-tvf").arg(file), ours);
    from_columns(&output.stdout, 8, 4, ours)
}

/// Extracts `file` into the directory `into`. `-P` keeps what looks like the root of a drive in a name.
pub fn extract(file: &Path, into: &Path, ours: &Listing) {
    run(Command::new("bsdtar").args(["-xpP", "--numeric-owner", "-C"]).arg(into).arg("-f").arg(file), ours);
}

fn run(command: &mut Command, ours: &Listing) -> Output {
    let output = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    let is_utf8 = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
    let may_warn = !ours.iter().all(|seen| is_utf8(&seen.name) && is_utf8(&seen.link));
    let text = String::from_utf8_lossy(&output.stderr);
    let unexpected = |line: &&str| {
        let is_warning = line.ends_with("name can't be converted from UTF-8 to current locale.");
        !may_warn || !(is_warning || line.ends_with("Error exit delayed from previous errors."))
    };
    assert_eq!(text.lines().find(unexpected), None, "{command:?}\n{text}");
    assert_eq!(output.status.code(), Some(i32::from(!text.is_empty())), "{command:?}\n{text}");
    output
}

/// Whether the first link of an archive has no ASCII byte.
pub fn loses_first_link(ours: &Listing) -> bool {
    let first = ours.iter().find(|seen| matches!(seen.kind, 'l' | 'h'));
    first.is_some_and(|seen| !seen.link.iter().any(u8::is_ascii))
}

/// `file` behind a link that is not lost.
pub fn primed(file: &Path) -> PathBuf {
    let mut writer = Writer::new(Vec::new());
    writer.append(&Header::symlink(PRIMER, "ascii"), &b""[..]).unwrap();
    let mut tar = writer.finish().unwrap();
    // One header; the rest is the end of the archive.
    tar.truncate(512);
    tar.extend(fs::read(file).unwrap());
    let primed = file.with_extension("primed");
    fs::write(&primed, tar).unwrap();
    primed
}
