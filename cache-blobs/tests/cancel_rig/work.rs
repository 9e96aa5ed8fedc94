//! What the tests do, and drop.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use cache_core::cache::{ImmutableRef, RefOptions};
use cache_core::ports::{Access, Mount, MountKind, MountedTree, TemporaryLease};
use pollster::block_on;

use super::Rig;

/// Runs `attempt` with 0, 1, 2, … polls until it says that its future ended; how many times it was dropped.
pub(crate) fn every_await_point(mut attempt: impl FnMut(usize) -> bool) -> usize {
    (0..).find(|polls| attempt(*polls)).unwrap()
}

pub(crate) fn temporary(rig: &Rig) -> TemporaryLease {
    block_on(TemporaryLease::create(rig.backends.leases.as_ref())).unwrap()
}

/// Files of every kind that needs no root, whose bytes are several of the packer's chunks.
pub(crate) fn fill(tree: &Path, seed: u8) {
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::write(tree.join("a/one"), [seed; 3000]).unwrap();
    let noise: Vec<u8> = (0..700_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed).collect();
    fs::write(tree.join("a/b/noise"), noise).unwrap();
    symlink("one", tree.join(format!("a/link-{seed}"))).unwrap();
    fs::hard_link(tree.join("a/one"), tree.join(format!("a/again-{seed}"))).unwrap();
}

pub(crate) fn bind(path: &Path) -> [Mount; 1] {
    [Mount { kind: MountKind::Bind, source: path.to_owned(), options: vec!["rbind".into(), "rw".into()] }]
}

/// A committed ref with a tree of its own.
pub(crate) fn step(rig: &Rig, parent: Option<&ImmutableRef>, seed: u8) -> ImmutableRef {
    block_on(async {
        let made = rig.cache.create(parent, RefOptions::default()).await.unwrap();
        let tree = made.mount(Access::ReadWrite).await.unwrap();
        fill(&tree.path(), seed);
        drop(tree);
        made.commit().await.unwrap()
    })
}
