//! Entries that become files.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::fs::FileType;

use crate::conformance::apply::ApplySubject;
use crate::conformance::require::{require, require_equal};
use crate::conformance::tree::{Archive, Change, is_root, observe, require_tree};
use crate::conformance::{Outcome, Unmet};

impl ApplySubject {
    /// Requires that the archive of `changes` becomes the tree that they are.
    pub(super) async fn becomes(&self, changes: &[Change]) -> Outcome {
        let archive = Archive::of(changes);
        let (wanted, root) = (self.directory("wanted")?, self.directory("root")?);
        archive.make(&wanted)?;
        self.apply(&root, &archive.bytes()).await?;
        require_tree(&root, &observe(&wanted)?, "a layer becomes its files")
    }
}

/// Files, directories, links and pipes, with modes, attributes and times; those of directories, too.
pub async fn files_of_every_sort_are_made(subject: ApplySubject) -> Outcome {
    subject
        .becomes(&[
            Change::directory("d", 0o750),
            Change::directory("d/sticky", 0o1777),
            Change::file("d/f", "content", 0o640),
            Change::file("d/empty", "", 0o600),
            Change::file("d/program", "#!/bin/sh\n", 0o4755),
            Change::File("large".into(), vec![7; 3_000_001], 0o644),
            Change::symlink("absolute", "/etc/passwd"),
            Change::symlink("dangling", "no/where"),
            Change::hard_link("linked", "d/f"),
            Change::hard_link("d/linked to a link", "dangling"),
            Change::Node("pipe".into(), FileType::Fifo, 0, 0),
            Change::xattr("d/f", "user.name", b"value \x00\xff"),
            Change::xattr("d", "user.name", b"value"),
            Change::time("d/f", 1, 0),
        ])
        .await
}

/// Devices with their numbers, owners, and a file capability, which needs an owner first.
pub async fn devices_and_owners_are_made(subject: ApplySubject) -> Outcome {
    if !is_root() {
        return Err(Unmet::needs("root"));
    }
    subject
        .becomes(&[
            Change::Node("null".into(), FileType::CharacterDevice, 1, 3),
            Change::Node("disk".into(), FileType::BlockDevice, 259, 70_000),
            Change::directory("owned", 0o700),
            Change::owner("owned", 1000, 2000),
            Change::file("owned/setuid", "", 0o6755),
            Change::owner("owned/setuid", 1000, 4_000_000_000),
            Change::symlink("link", "owned"),
            Change::owner("link", 7, 8),
            Change::file("capable", "", 0o755),
            Change::owner("capable", 1, 1),
            // cap_net_raw=ep, version 2.
            Change::xattr(
                "capable",
                "security.capability",
                &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            ),
        ])
        .await
}

/// Names of 255 bytes, paths longer than a header has room for, and bytes that are no text.
pub async fn names_may_be_long_or_odd(subject: ApplySubject) -> Outcome {
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"not \xff text\n");
    let long = "n".repeat(255);
    let deep = format!("{0}/{0}/{0}", "d".repeat(90));
    subject
        .becomes(&[
            Change::file(&long, "1", 0o644),
            Change::directory(&"d".repeat(90), 0o755),
            Change::directory(&format!("{0}/{0}", "d".repeat(90)), 0o755),
            Change::directory(&deep, 0o755),
            Change::file(&format!("{deep}/f"), "2", 0o644),
            Change::symlink("link to the deep", &format!("{deep}/f")),
            Change::hard_link("linked", &format!("{deep}/f")),
            Change::File(odd.into(), b"3".to_vec(), 0o644),
            Change::file("..almost parent", "4", 0o644),
            Change::file("\u{44f}\u{437}\u{44b}\u{43a}", "5", 0o644),
        ])
        .await
}

/// A directory that no entry makes is made with mode 0755.
pub async fn missing_parents_are_made(subject: ApplySubject) -> Outcome {
    let root = subject.directory("root")?;
    let archive = Archive::of(&[Change::file("a/b/f", "content", 0o600)]);
    subject.apply(&root, &archive.bytes()).await?;
    require(fs::read(root.join("a/b/f"))? == b"content", "a file is made in a directory that no entry made")?;
    for path in ["a", "a/b"] {
        require_equal(&(fs::metadata(root.join(path))?.mode() & 0o7777), &0o755, "a missing parent has mode 0755")?;
    }
    Ok(())
}
