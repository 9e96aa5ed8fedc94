//! How long trees live, and who sees them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::conformance::mount::{MountSubject, bind, write};
use crate::conformance::require::{require, require_equal};
use crate::conformance::tree::{Change, observe, require_tree};
use crate::conformance::{Outcome, Unmet};
use crate::ports::Access;

/// Trees of different directories, and two of the same one, are each their own.
pub async fn trees_stand_beside_each_other(subject: MountSubject) -> Outcome {
    let first = subject.directory("first", &[Change::file("one", "1", 0o644)])?;
    let second = subject.directory("second", &[Change::file("two", "2", 0o644)])?;
    let trees = [
        (subject.mount(&[bind(&first, "rw")], Access::ReadWrite).await?, &first),
        (subject.mount(&[bind(&second, "rw")], Access::ReadWrite).await?, &second),
        (subject.mount(&[bind(&first, "rw")], Access::ReadOnly).await?, &first),
    ];
    write(&*trees[0].0, "new")?;
    for (tree, source) in &trees {
        require_tree(&tree.path(), &observe(source)?, "each tree shows its own directory")?;
    }
    require(!second.join("new").exists(), "a change is made in one directory")
}

/// A tree is there until its last handle is dropped.
pub async fn a_tree_lives_as_long_as_a_handle_of_it(subject: MountSubject) -> Outcome {
    let source = subject.directory("source", &[Change::file("f", "1", 0o644)])?;
    let tree = subject.mount(&[bind(&source, "rw")], Access::ReadWrite).await?;
    let other = Arc::clone(&tree);
    drop(tree);
    write(&*other, "later")?;
    require(source.join("later").exists(), "a tree outlives its first handle")?;
    drop(other);
    fs::remove_dir_all(&source)?;
    require(!source.exists(), "a tree that is gone holds nothing in its place")
}

/// No mount appears in the mount table of this process, so that none is left behind and no program trips over one.
pub async fn nobody_else_sees_a_mount(subject: MountSubject) -> Outcome {
    const TABLE: &str = "/proc/self/mountinfo";
    if !Path::new(TABLE).exists() {
        return Err(Unmet::needs("a mount table to look into"));
    }
    let source = subject.directory("source", &[Change::file("f", "1", 0o644)])?;
    let mine = || -> Result<usize, Unmet> {
        let scratch = subject.scratch.to_string_lossy().into_owned();
        Ok(fs::read_to_string(TABLE)?.lines().filter(|line| line.contains(&scratch)).count())
    };
    let before = mine()?;
    for access in [Access::ReadWrite, Access::ReadOnly] {
        let tree = subject.mount(&[bind(&source, "rw")], access).await?;
        require_equal(&mine()?, &before, "a mount is not in the table")?;
        drop(tree);
        require_equal(&mine()?, &before, "a mount that is gone is not in the table")?;
    }
    Ok(())
}

/// The same mounts can be mounted again and again, one after the other.
pub async fn mounting_can_be_repeated(subject: MountSubject) -> Outcome {
    let source = subject.directory("source", &[Change::file("f", "1", 0o644)])?;
    for number in 0..20 {
        let tree = subject.mount(&[bind(&source, "rw")], Access::ReadWrite).await?;
        write(&*tree, &format!("file {number}"))?;
    }
    let tree = subject.mount(&[bind(&source, "rw")], Access::ReadOnly).await?;
    require_equal(&observe(&tree.path())?.paths().count(), &41, "every change is there")
}
