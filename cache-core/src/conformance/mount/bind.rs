//! Directories as they are, and no directory at all.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::conformance::Outcome;
use crate::conformance::mount::{MountSubject, bind, write};
use crate::conformance::require::{require, require_equal, require_kind};
use crate::conformance::tree::{Change, observe, require_tree};
use crate::error::ErrorKind;
use crate::ports::{Access, Mount, MountKind};

/// A bind mount shows the names, contents, modes, times and links of its directory.
pub async fn a_directory_is_shown_as_it_is(subject: MountSubject) -> Outcome {
    let source = subject.directory(
        "source with space",
        &[
            Change::directory("d", 0o750),
            Change::file("d/f", "content", 0o640),
            Change::symlink("l", "d/f"),
            Change::hard_link("h", "d/f"),
        ],
    )?;
    let wanted = observe(&source)?;
    for (option, access) in [("rw", Access::ReadWrite), ("rw", Access::ReadOnly), ("ro", Access::ReadOnly)] {
        let tree = subject.mount(&[bind(&source, option)], access).await?;
        require_tree(&tree.path(), &wanted, "a directory is shown as it is")?;
    }
    Ok(())
}

/// A change through the tree is one of the directory, and the other way round.
pub async fn what_is_written_is_in_the_directory(subject: MountSubject) -> Outcome {
    let source = subject.directory("source", &[])?;
    let tree = subject.mount(&[bind(&source, "rw")], Access::ReadWrite).await?;
    write(&*tree, "through")?;
    require_tree(&source, &observe(&tree.path())?, "what is written through the tree is in the directory")?;
    require(source.join("through").exists(), "what is written is there")?;
    fs::write(source.join("beside"), "2")?;
    require_equal(&fs::read(tree.path().join("beside"))?, &b"2".to_vec(), "the tree shows later changes")
}

/// There is no tree of a directory that is not there.
pub async fn a_missing_directory_is_refused(subject: MountSubject) -> Outcome {
    let missing = subject.scratch.join("missing");
    let mounted = subject.mounter.mount(&[bind(&missing, "rw")], Access::ReadWrite).await;
    require(mounted.is_err(), "a missing directory is refused")?;
    require(!missing.exists(), "a refusal creates nothing")
}

/// The directory handle and the path are of the same directory.
pub async fn handle_and_path_lead_to_the_same_root(subject: MountSubject) -> Outcome {
    let source = subject.directory("source", &[Change::file("f", "content", 0o644)])?;
    for mounts in [vec![bind(&source, "rw")], vec![bind(&source, "ro")], vec![]] {
        let tree = subject.mount(&mounts, Access::ReadOnly).await?;
        let by_handle = rustix::fs::fstat(tree.directory()).map_err(std::io::Error::from)?;
        let by_path = fs::metadata(tree.path())?;
        let found = (by_path.dev(), by_path.ino());
        require_equal(&found, &(by_handle.st_dev, by_handle.st_ino), "handle and path lead to the same root")?;
        require(by_path.is_dir(), "a root is a directory")?;
    }
    Ok(())
}

/// An empty list is an empty tree.
pub async fn no_mounts_are_an_empty_tree(subject: MountSubject) -> Outcome {
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let tree = subject.mount(&[], access).await?;
        require_equal(&observe(&tree.path())?.paths().count(), &0, "no mounts are an empty tree")?;
    }
    Ok(())
}

/// A file system type that the mounter does not know is `Unsupported`.
pub async fn unknown_kinds_are_unsupported(subject: MountSubject) -> Outcome {
    let kind = MountKind::Other("no-such-file-system".to_owned());
    let mount = Mount { kind, source: PathBuf::from("source"), options: Vec::new() };
    let mounted = subject.mounter.mount(&[mount], Access::ReadOnly).await;
    require_kind(mounted, ErrorKind::Unsupported, "an unknown kind is refused")
}
