//! Packing and unpacking on a disk that is really full.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "local"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::fs;
use std::path::Path;

use cache_blobs::embedded::{Embedded, EmbeddedOptions, SnapshotterChoice};
use cache_core::mount::run_attached;
use cache_core::ports::{
    Applied, ApplyOptions, ApplySource, DiffOptions, Differ, Ingester, Lease, LeaseManager, LeaseOptions, Manager,
    Mount, MountKind,
};
use cache_core::{CompressionConfig, ErrorKind, Layer, Result};
use futures::TryStreamExt;
use pollster::block_on;
use rustix::mount::{MountFlags, mount};

/// Bytes of a file that does not fit.
const LARGE: usize = 16 << 20;

fn bind(directory: &Path) -> [Mount; 1] {
    [Mount { kind: MountKind::Bind, source: directory.to_owned(), options: vec!["rbind".into(), "rw".into()] }]
}

/// Runs `work` with a disk of eight mebibytes, which is gone afterwards.
fn with_small_disk(work: impl FnOnce(&Path) + Send) {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: needs root");
    }
    let at = tempfile::tempdir().unwrap();
    run_attached(&bind(at.path()), at.path(), |at| {
        match mount("tmpfs", at, "tmpfs", MountFlags::empty(), c"size=8m") {
            Ok(()) => work(at),
            Err(error) => println!("skipped: a tmpfs cannot be mounted here ({error})"),
        }
    })
    .unwrap();
}

/// A tree with one file.
fn tree(in_directory: &Path, name: &str, content: Vec<u8>) -> [Mount; 1] {
    let root = in_directory.join(name);
    fs::create_dir(&root).unwrap();
    fs::write(root.join("file"), content).unwrap();
    bind(&root)
}

/// What no codec makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

fn pack(store: &Embedded, lease: &Lease, tree: &[Mount]) -> Result<Layer> {
    let options = DiffOptions::new(CompressionConfig::gzip());
    block_on(store.differ.diff(lease, "key", &[], tree, &options))
}

fn unpack(store: &Embedded, layer: &Layer, into: &Path) -> Result<Applied> {
    fs::create_dir(into).unwrap();
    let applier = store.backends.applier.as_ref().unwrap();
    let options = ApplyOptions::default().with_expected_diff_id(layer.diff_id);
    block_on(applier.apply(&layer.descriptor, ApplySource::Committed, &bind(into), &options))
}

#[test]
fn packing_and_unpacking_on_a_full_disk_are_no_space_and_the_store_stays_usable() {
    with_small_disk(|disk| {
        let elsewhere = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions::default().with_snapshotter(SnapshotterChoice::Native);
        let store = block_on(Embedded::open(disk.join("store"), options)).unwrap();
        let lease = block_on(store.local.leases.create(LeaseOptions::default())).unwrap();

        let incompressible = tree(elsewhere.path(), "noise", noise(LARGE));
        assert_eq!(pack(&store, &lease, &incompressible).unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(block_on(store.local.content.list().try_collect::<Vec<_>>()).unwrap(), []);
        assert_eq!(block_on(store.local.content.ingests()).unwrap(), []);

        // A small layer can still be packed, and unpacks to more than there is room for.
        let packed = pack(&store, &lease, &tree(elsewhere.path(), "text", b"layer ".repeat(LARGE / 6))).unwrap();
        let into = disk.join("into");
        assert_eq!(unpack(&store, &packed, &into).unwrap_err().kind(), ErrorKind::NoSpace);
        fs::remove_dir_all(&into).unwrap();

        let small = pack(&store, &lease, &tree(elsewhere.path(), "small", noise(1 << 20))).unwrap();
        unpack(&store, &small, &into).unwrap();
        assert_eq!(fs::read(into.join("file")).unwrap(), fs::read(elsewhere.path().join("small/file")).unwrap());
    });
}
