//! Layers over what is there.

use std::fs;

use crate::conformance::Outcome;
use crate::conformance::Unmet;
use crate::conformance::apply::ApplySubject;
use crate::conformance::require::{require, require_equal};
use crate::conformance::tree::{Archive, Change, observe};

fn below() -> Archive {
    Archive::of(&[
        Change::directory("d", 0o755),
        Change::file("d/f", "old", 0o644),
        Change::file("d/kept", "old", 0o644),
        Change::directory("d/sub", 0o755),
        Change::file("d/sub/f", "old", 0o644),
        Change::file("f", "old", 0o644),
        Change::file("kept", "old", 0o644),
        Change::symlink("l", "kept"),
    ])
}

impl ApplySubject {
    /// The paths that are there after `archive` was unpacked over [`below`].
    async fn over(&self, archive: &Archive) -> Result<(std::path::PathBuf, Vec<String>), Unmet> {
        let root = self.directory("root")?;
        self.apply(&root, &below().bytes()).await?;
        self.apply(&root, &archive.bytes()).await?;
        let paths = observe(&root)?.paths().map(|path| path.to_string_lossy().into_owned()).collect();
        Ok((root, paths))
    }
}

fn strings(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

/// An entry replaces a file and changes a directory, whose other files stay.
pub async fn a_layer_lies_over_what_is_there(subject: ApplySubject) -> Outcome {
    let archive = Archive::of(&[
        Change::directory("d", 0o700),
        Change::file("d/f", "new", 0o600),
        Change::file("d/new", "new", 0o644),
        Change::file("l", "a file now", 0o644),
    ]);
    let (root, paths) = subject.over(&archive).await?;
    let wanted = strings(&["d", "d/f", "d/kept", "d/new", "d/sub", "d/sub/f", "f", "kept", "l"]);
    require_equal(&paths, &wanted, "what a layer does not name stays")?;
    require(fs::read(root.join("d/f"))? == b"new", "an entry replaces a file")?;
    require(fs::read(root.join("kept"))? == b"old", "an entry replaces a link, not what it leads to")?;
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(root.join("d"))?) & 0o7777;
    require_equal(&mode, &0o700, "an entry changes a directory")
}

/// A whiteout deletes a file or a whole directory; one of what is not there does nothing; none is left as a file.
pub async fn whiteouts_delete(subject: ApplySubject) -> Outcome {
    let archive = Archive::of(&[
        Change::remove("d/sub"),
        Change::remove("f"),
        Change::remove("l"),
        Change::remove("never there"),
        Change::remove("d/never there"),
    ]);
    let (_, paths) = subject.over(&archive).await?;
    require_equal(&paths, &strings(&["d", "d/f", "d/kept", "kept"]), "whiteouts delete what they name")
}

/// An opaque directory shows what its own layer has in it, wherever in the layer the mark stands.
pub async fn an_opaque_directory_shows_its_own_layer_alone(subject: ApplySubject) -> Outcome {
    for (number, mark_first) in [true, false].into_iter().enumerate() {
        let mark = |archive: Archive| archive.entry(b"d/.wh..wh..opq", b'0', b"", b"", 0);
        let mut archive = Archive::of(&[Change::directory("d", 0o755)]);
        if mark_first {
            archive = mark(archive);
        }
        archive = archive.entry(b"d/new", b'0', b"", b"new", 0o644).entry(b"d/sub/", b'5', b"", b"", 0o755);
        archive = archive.entry(b"d/sub/new", b'0', b"", b"new", 0o644);
        if !mark_first {
            archive = mark(archive);
        }
        let root = subject.directory(&format!("root {number}"))?;
        subject.apply(&root, &below().bytes()).await?;
        subject.apply(&root, &archive.bytes()).await?;
        let paths: Vec<_> = observe(&root)?.paths().map(|path| path.to_string_lossy().into_owned()).collect();
        let wanted = strings(&["d", "d/new", "d/sub", "d/sub/new", "f", "kept", "l"]);
        require_equal(&paths, &wanted, "an opaque directory shows its own layer alone")?;
    }
    Ok(())
}

/// A directory takes the place of a file, a file that of a directory, and a link that of either.
pub async fn a_file_of_another_sort_replaces(subject: ApplySubject) -> Outcome {
    let archive = Archive::of(&[
        Change::file("d", "a file now", 0o644),
        Change::directory("f", 0o755),
        Change::file("f/new", "new", 0o644),
        Change::symlink("kept", "elsewhere"),
        Change::directory("l", 0o755),
    ]);
    let (root, paths) = subject.over(&archive).await?;
    require_equal(&paths, &strings(&["d", "f", "f/new", "kept", "l"]), "what is replaced is gone")?;
    require(fs::symlink_metadata(root.join("l"))?.is_dir(), "a directory replaces a link to a file")?;
    require(fs::symlink_metadata(root.join("kept"))?.is_symlink(), "a link replaces a file")
}
