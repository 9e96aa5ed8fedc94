//! Layers of overlayfs.

use std::path::Path;
use std::sync::Arc;

use crate::conformance::mount::{MountSubject, refuses, write};
use crate::conformance::require::{require, require_equal};
use crate::conformance::tree::{Change, observe, require_tree};
use crate::conformance::{Outcome, Unmet};
use crate::error::ErrorKind;
use crate::ports::{Access, Mount, MountKind, MountedTree};

fn overlay(lower: &[&Path], upper: Option<(&Path, &Path)>) -> Mount {
    let lower: Vec<_> = lower.iter().map(|path| path.to_string_lossy()).collect();
    let mut options = Vec::new();
    if let Some((upper, work)) = upper {
        options.push(format!("workdir={}", work.display()));
        options.push(format!("upperdir={}", upper.display()));
    }
    options.push(format!("lowerdir={}", lower.join(":")));
    Mount { kind: MountKind::Overlay, source: "overlay".into(), options }
}

impl MountSubject {
    /// A mounter that knows no layers, or may not make them here, is no subject.
    async fn layers(&self, mount: Mount, access: Access) -> Result<Arc<dyn MountedTree>, Unmet> {
        match self.mounter.mount(&[mount], access).await {
            Err(error) if [ErrorKind::Unsupported, ErrorKind::PermissionDenied].contains(&error.kind()) => {
                Err(Unmet::needs("the right to mount overlayfs"))
            }
            mounted => Ok(mounted?),
        }
    }
}

fn lower() -> [Change; 5] {
    [
        Change::directory("d", 0o755),
        Change::file("d/below", "lower", 0o644),
        Change::file("both", "lower", 0o644),
        Change::file("lower", "lower", 0o644),
        Change::file("deleted", "lower", 0o644),
    ]
}

/// Of two names the upper one is seen, and of two lower ones the one that is listed first.
pub async fn upper_lies_over_lower(subject: MountSubject) -> Outcome {
    let bottom = subject.directory("bottom", &lower())?;
    let middle = subject.directory("middle", &[Change::file("both", "middle", 0o600), Change::file("m", "", 0o644)])?;
    let upper = subject.directory("upper", &[Change::file("u", "upper", 0o644)])?;
    let work = subject.directory("work", &[])?;
    let wanted = subject.directory(
        "wanted",
        &[
            Change::directory("d", 0o755),
            Change::file("d/below", "lower", 0o644),
            Change::file("both", "middle", 0o600),
            Change::file("lower", "lower", 0o644),
            Change::file("deleted", "lower", 0o644),
            Change::file("m", "", 0o644),
            Change::file("u", "upper", 0o644),
        ],
    )?;
    let mount = overlay(&[&middle, &bottom], Some((&upper, &work)));
    for access in [Access::ReadWrite, Access::ReadOnly] {
        let tree = subject.layers(mount.clone(), access).await?;
        let found = observe(&tree.path())?.without_times();
        require_equal(&found, &observe(&wanted)?.without_times(), "the layers make one tree")?;
    }
    Ok(())
}

/// What is changed lies in the upper directory, the lower one stays as it is, and the next mount shows it.
pub async fn changes_go_to_the_upper_directory(subject: MountSubject) -> Outcome {
    let bottom = subject.directory("bottom", &lower())?;
    let before = observe(&bottom)?;
    let upper = subject.directory("upper", &[])?;
    let work = subject.directory("work", &[])?;
    let mount = overlay(&[&bottom], Some((&upper, &work)));
    let tree = subject.layers(mount.clone(), Access::ReadWrite).await?;
    write(&*tree, "both")?;
    std::fs::remove_file(tree.path().join("deleted"))?;
    let seen = observe(&tree.path())?;
    drop(tree);
    require_tree(&bottom, &before, "the lower directory stays as it is")?;
    require(upper.join("both").exists() && upper.join("both.d").exists(), "changes lie in the upper directory")?;
    let tree = subject.layers(mount, Access::ReadOnly).await?;
    require_tree(&tree.path(), &seen, "the next mount shows the same tree")?;
    require(!tree.path().join("deleted").exists(), "a deleted file is not seen")
}

/// Without an upper directory nothing can be changed.
pub async fn lower_directories_alone_are_read_only(subject: MountSubject) -> Outcome {
    let bottom = subject.directory("bottom", &lower())?;
    let middle = subject.directory("middle", &[Change::file("f", "middle", 0o644)])?;
    let wanted = (observe(&bottom)?, observe(&middle)?);
    let mount = overlay(&[&middle, &bottom], None);
    let tree = subject.layers(mount.clone(), Access::ReadOnly).await?;
    refuses(&*tree, "f")?;
    drop(tree);
    if let Ok(tree) = subject.mounter.mount(&[mount], Access::ReadWrite).await {
        refuses(&*tree, "f")?;
    }
    require(observe(&bottom)? == wanted.0 && observe(&middle)? == wanted.1, "the directories stay as they are")
}
