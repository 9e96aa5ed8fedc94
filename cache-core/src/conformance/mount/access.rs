//! Who may write.

use crate::conformance::mount::{MountSubject, bind, refuses};
use crate::conformance::require::require;
use crate::conformance::tree::{Change, is_root, observe, require_tree};
use crate::conformance::{Outcome, Unmet};
use crate::ports::Access;

fn changes() -> [Change; 2] {
    [Change::file("f", "content", 0o644), Change::directory("d", 0o755)]
}

/// Through read-only access nothing is changed, also where the mount would allow it, and by root. Without the right to
/// mount, only a file's mode stands in the way of its owner, and no mounter can promise more.
pub async fn read_only_access_changes_nothing(subject: MountSubject) -> Outcome {
    if !is_root() {
        return Err(Unmet::needs("the right to mount"));
    }
    let source = subject.directory("source", &changes())?;
    let wanted = observe(&source)?;
    for option in ["rw", "ro"] {
        let tree = subject.mount(&[bind(&source, option)], Access::ReadOnly).await?;
        refuses(&*tree, "f")?;
        require_tree(&source, &wanted, "the directory stays as it is")?;
    }
    Ok(())
}

/// A mount that is read-only by itself is not written to, whatever access is asked for: it is refused, or its tree
/// refuses.
pub async fn a_read_only_mount_is_never_written_to(subject: MountSubject) -> Outcome {
    let source = subject.directory("source", &changes())?;
    let wanted = observe(&source)?;
    if let Ok(tree) = subject.mounter.mount(&[bind(&source, "ro")], Access::ReadWrite).await {
        refuses(&*tree, "f")?;
    }
    require_tree(&source, &wanted, "the directory stays as it is")?;
    require(subject.mounter.mount(&[bind(&source, "ro")], Access::ReadOnly).await.is_ok(), "it can be read")
}
