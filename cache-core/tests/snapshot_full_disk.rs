//! Snapshots on a disk that is full.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod snapshot_support;

use std::fs;
use std::path::Path;

use cache_core::mount::run_attached;
use cache_core::ports::{Mount, MountKind, Snapshotter};
use cache_core::{ErrorKind, Labels};
use pollster::block_on;
use rustix::mount::{MountFlags, mount};
use snapshot_support::{Fixture, may_mount};

/// Runs `work` with a disk of one mebibyte, which is gone afterwards.
fn with_small_disk(work: impl FnOnce(&Path) + Send) {
    let at = tempfile::tempdir().unwrap();
    let bind =
        Mount { kind: MountKind::Bind, source: at.path().to_owned(), options: vec!["rbind".into(), "rw".into()] };
    run_attached(&[bind], at.path(), |at| {
        mount("tmpfs", at, "tmpfs", MountFlags::empty(), c"size=1m").unwrap();
        work(at);
    })
    .unwrap();
}

#[test]
fn a_copy_that_does_not_fit_is_no_space_and_leaves_the_store_usable() {
    if !may_mount() {
        return;
    }
    with_small_disk(|disk| {
        let fixture = Fixture::native_in(disk);
        let root = fixture.prepare("a", None)[0].source.clone();
        fs::create_dir(root.join("directory")).unwrap();
        fs::write(root.join("directory/large"), vec![7; 700 * 1024]).unwrap();
        fixture.commit("large", "a");
        let prepared = block_on(fixture.snapshotter.prepare(&fixture.lease, "b", Some("large"), Labels::new()));
        assert_eq!(prepared.unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(block_on(fixture.snapshotter.stat("b")).unwrap(), None);

        fixture.prepare("b", None);
        fixture.commit("small", "b");
        block_on(fixture.snapshotter.remove("large")).unwrap();
        let root = fixture.prepare("c", Some("small"))[0].source.clone();
        fs::write(root.join("large"), vec![7; 700 * 1024]).unwrap();
        fixture.commit("fits-now", "c");
    });
}
