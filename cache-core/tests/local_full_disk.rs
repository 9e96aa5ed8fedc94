//! The local store on a disk that is really full.
#![cfg(all(target_os = "linux", feature = "local"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod local_support;
mod snapshot_support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use cache_core::local::Store;
use cache_core::mount::run_attached;
use cache_core::ports::{LeaseKind, MetadataChange, Mount, MountKind, Precondition};
use cache_core::{Digest, ErrorKind, Labels, Result};
use local_support::{assert_clean_after_collection, assert_sound, bytes, commit, lease, open};
use rustix::mount::{MountFlags, mount};
use snapshot_support::may_mount;

/// Runs `work` with a disk of four mebibytes, which is gone afterwards.
fn with_small_disk(work: impl FnOnce(&Path) + Send) {
    let at = tempfile::tempdir().unwrap();
    let bind =
        Mount { kind: MountKind::Bind, source: at.path().to_owned(), options: vec!["rbind".into(), "rw".into()] };
    run_attached(&[bind], at.path(), |at| {
        mount("tmpfs", at, "tmpfs", MountFlags::empty(), c"size=4m").unwrap();
        work(at);
    })
    .unwrap();
}

/// Takes every byte that is left.
fn fill(disk: &Path) {
    let mut file = fs::File::options().create(true).append(true).open(disk.join("fill")).unwrap();
    for length in [65536, 4096, 1] {
        while file.write_all(&vec![7; length]).is_ok() {}
    }
}

fn commit_until_full(store: &Arc<Store>, lease: &str) -> (Vec<Digest>, cache_core::Error) {
    let mut committed = Vec::new();
    for number in 0_u32.. {
        match commit(store, lease, "key", &[number as u8; 50_000], &Labels::new()) {
            Ok(digest) => committed.push(digest),
            Err(error) => return (committed, error),
        }
    }
    unreachable!("a disk has an end")
}

#[test]
fn a_full_disk_is_no_space_and_can_be_pruned() {
    if !may_mount() {
        return;
    }
    with_small_disk(|disk| {
        let store = open(&disk.join("store"));
        let (held, dropped) = (lease(&store, LeaseKind::Permanent), lease(&store, LeaseKind::Permanent));
        let kept = commit(&store, &held, "kept", b"kept", &Labels::new()).unwrap();
        let (committed, error) = commit_until_full(&store, &dropped);
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error:?}");
        assert!(committed.len() > 10);
        fill(disk);
        let record = |number: u32| {
            store.change_records(&[MetadataChange::Put {
                key: number.to_string(),
                value: vec![7; 3000].into(),
                indexes: Vec::new(),
                precondition: Precondition::Any,
            }])
        };
        let refused: Result<Vec<_>> = (0..4000).map(record).collect();
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::NoSpace);
        assert_sound(&store);

        // Also by a process that comes just now.
        drop(open(store.directory()));
        fill(disk);
        assert_eq!(commit(&store, &held, "no", &[2; 500_000], &Labels::new()).unwrap_err().kind(), ErrorKind::NoSpace);

        // Nothing is left of the disk, and yet what frees some of it goes through.
        assert!(store.delete_lease(&dropped).unwrap());
        let collected = store.collect().unwrap();
        assert_eq!(collected.blobs, committed.len() as u64);
        assert!(collected.bytes > 500_000);
        assert_eq!(bytes(&store, &kept).as_deref(), Some(&b"kept"[..]));
        let again = commit(&store, &held, "again", &[1; 50_000], &Labels::new()).unwrap();
        assert_eq!(again, committed[1]);
        assert_clean_after_collection(&store);
    });
}
