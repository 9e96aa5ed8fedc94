//! Trees of bind mounts, of nothing, and of what this mounter does not know.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod snapshot_support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cache_core::mount::LinuxMounter;
use cache_core::ports::{Access, Mount, MountKind, MountedTree, Mounter};
use cache_core::{ErrorKind, Result, ThreadPool};
use pollster::block_on;
use snapshot_support::{EROFS, create, errno, may_mount, names};
use tempfile::TempDir;

fn bind(source: &Path, options: &[&str]) -> Mount {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    Mount { kind: MountKind::Bind, source: source.to_owned(), options }
}

fn mount(scratch: &Path, mounts: &[Mount], access: Access) -> Result<Arc<dyn MountedTree>> {
    block_on(LinuxMounter::new(Arc::new(ThreadPool::new()), scratch).mount(mounts, access))
}

#[test]
fn a_writable_bind_mount_is_its_directory() {
    let directory = TempDir::new().unwrap();
    let tree = mount(directory.path(), &[bind(directory.path(), &["rw", "rbind"])], Access::ReadWrite).unwrap();
    create(&tree.path().join("file")).unwrap();
    assert!(directory.path().join("file").exists());
}

#[test]
fn the_kernel_keeps_a_read_only_tree_of_root_read_only() {
    if !may_mount() {
        return;
    }
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("below")).unwrap();
    for (options, access) in [
        (["rw", "rbind"], Access::ReadOnly),
        (["ro", "rbind"], Access::ReadOnly),
        (["ro", "rbind"], Access::ReadWrite),
        (["bind", "ro"], Access::ReadWrite),
    ] {
        let tree = mount(directory.path(), &[bind(directory.path(), &options)], access).unwrap();
        assert_eq!(names(&tree.path()), ["below"]);
        assert_eq!(errno(create(&tree.path().join("file"))), Some(EROFS), "{options:?} {access:?}");
        assert_eq!(errno(fs::remove_dir(tree.path().join("below"))), Some(EROFS), "{options:?} {access:?}");
    }
    create(&directory.path().join("file")).unwrap();
}

#[test]
fn a_tree_of_root_ends_at_its_root() {
    if !may_mount() {
        return;
    }
    let outer = TempDir::new().unwrap();
    let inner = outer.path().join("inner");
    fs::create_dir(&inner).unwrap();
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let tree = mount(outer.path(), &[bind(&inner, &["rbind", "rw"])], access).unwrap();
        assert_eq!(names(&tree.path().join("..")), names(&tree.path()), "{access:?}: `..` leads out");
    }
}

#[test]
fn no_mounts_are_an_empty_tree_to_which_nothing_can_be_added() {
    let directory = TempDir::new().unwrap();
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let tree = mount(directory.path(), &[], access).unwrap();
        assert!(names(&tree.path()).is_empty());
        assert!(create(&tree.path().join("file")).is_err());
        assert!(names(directory.path()).is_empty(), "the scratch directory is clean at once");
    }
}

#[test]
fn what_is_not_known_is_unsupported() {
    let directory = TempDir::new().unwrap();
    let plain = bind(directory.path(), &["rbind", "rw"]);
    let unknown = [
        vec![Mount { kind: MountKind::Other("erofs".to_owned()), ..plain.clone() }],
        vec![bind(directory.path(), &["rbind", "uidmap=0:1:1"])],
        vec![plain.clone(), plain],
    ];
    for mounts in unknown {
        let refused = mount(directory.path(), &mounts, Access::ReadWrite);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported, "{mounts:?}");
    }
    let missing = mount(directory.path(), &[bind(&directory.path().join("missing"), &[])], Access::ReadOnly);
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
}
