//! Refs of Windows trees: which layers they get, and what becomes of those.
#![cfg(all(target_os = "linux", feature = "local"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;

use cache_blobs::chain::{Creation, compute_blob_chain};
use cache_blobs::codec::Codecs;
use cache_blobs::differ::FoundBy;
use cache_blobs::embedded::{Embedded, EmbeddedOptions, SnapshotterChoice};
use cache_blobs::tar::Reader;
use cache_core::cache::{ImmutableRef, RefOptions};
use cache_core::ports::{Access, DiffOptions, LayerMode, LeaseManager, LeaseOptions, MountedTree, Provider};
use cache_core::{BlobChain, Compression, CompressionConfig, Digest, Layer};
use futures::TryStreamExt;
use pollster::block_on;

const COMPRESSIONS: [Compression; 3] = [Compression::Uncompressed, Compression::Gzip, Compression::Zstd];

async fn open(directory: &Path, snapshotter: SnapshotterChoice) -> Embedded {
    Embedded::open(directory, EmbeddedOptions::default().with_snapshotter(snapshotter)).await.unwrap()
}

/// A ref on `parent` that holds one more file, of the type `mode`.
async fn step(store: &Embedded, parent: Option<&ImmutableRef>, name: &str, mode: LayerMode) -> ImmutableRef {
    let made = store.cache.create(parent, RefOptions::default().with_layer_type(mode)).await.unwrap();
    let tree = made.mount(Access::ReadWrite).await.unwrap();
    fs::write(tree.path().join(name), name).unwrap();
    drop(tree);
    made.commit().await.unwrap()
}

/// A Windows ref with a child that says nothing of its type.
async fn chain(store: &Embedded) -> ImmutableRef {
    let base = step(store, None, "one", LayerMode::Windows).await;
    step(store, Some(&base), "two", LayerMode::Linux).await
}

async fn blobs(store: &Embedded, top: &ImmutableRef, compression: Compression) -> BlobChain {
    let lease = store.local.leases.create(LeaseOptions::default()).await.unwrap();
    let options = DiffOptions::new(CompressionConfig::new(compression));
    let made = compute_blob_chain(top, &lease, &store.layers, &options, Creation::MakeMissing).await;
    made.unwrap().unwrap()
}

async fn read(store: &Embedded, layer: &Layer) -> Vec<u8> {
    let reader = store.local.content.open(&layer.descriptor).await.unwrap().unwrap();
    let chunks: Vec<_> = reader.read(0..reader.size()).await.unwrap().try_collect().await.unwrap();
    chunks.concat()
}

fn names(blob: Vec<u8>, diff_id: Digest) -> Vec<String> {
    let mut tar = Vec::new();
    Codecs::default().decode(Box::new(Cursor::new(blob))).unwrap().read_to_end(&mut tar).unwrap();
    assert_eq!(Digest::of(&tar), diff_id);
    let mut reader = Reader::new(&tar[..]);
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(String::from_utf8(entry.header().path.clone()).unwrap());
    }
    names
}

#[test]
fn a_ref_is_for_windows_if_one_under_it_is_in_every_compression() {
    for compression in COMPRESSIONS {
        let directory = tempfile::tempdir().unwrap();
        block_on(async {
            let store = open(directory.path(), SnapshotterChoice::Native).await;
            let top = chain(&store).await;
            let made = blobs(&store, &top, compression.clone()).await;
            for (layer, file) in made.layers().iter().zip(["Files/one", "Files/two"]) {
                let found = names(read(&store, layer).await, layer.diff_id);
                assert_eq!(found, ["Hives/", "Files/", file], "{compression}");
            }
        });
    }
}

#[test]
fn layers_of_windows_refs_unpack_to_their_trees_again() {
    for compression in COMPRESSIONS {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        block_on(async {
            let store = open(from.path(), SnapshotterChoice::Native).await;
            let made = blobs(&store, &chain(&store).await, compression.clone()).await;
            let other = open(to.path(), SnapshotterChoice::Native).await;
            let lease = other.local.leases.create(LeaseOptions::default()).await.unwrap();
            let mut top: Option<ImmutableRef> = None;
            for layer in made.layers() {
                assert_eq!(layer.descriptor.media_type.layer_compression(), Some(compression.clone()));
                let blob = cache_blobs::BlobSource::Provider(&*store.local.content);
                let target = cache_core::ports::Leased::new(other.local.content.clone(), lease.clone());
                cache_blobs::copy_blob(blob, &target, &layer.descriptor, "layer", &Default::default()).await.unwrap();
                let options = RefOptions::default().with_layer_type(LayerMode::Windows);
                top = Some(other.cache.get_by_blob(&lease, layer, top.as_ref(), options).await.unwrap());
            }
            let tree = top.unwrap().mount().await.unwrap();
            let entries = fs::read_dir(tree.path()).unwrap().map(Result::unwrap);
            let mut files: Vec<_> =
                entries.map(|entry| (entry.file_name(), fs::read_to_string(entry.path()).unwrap())).collect();
            files.sort();
            let expected = ["one", "two"].map(|name| (name.into(), name.to_owned()));
            assert_eq!(files, expected, "{compression}");
        });
    }
}

#[test]
fn an_upperdir_is_never_read_for_a_windows_layer() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let options = EmbeddedOptions::default().with_snapshotter(SnapshotterChoice::Overlayfs);
        let store = match Embedded::open(directory.path(), options).await {
            Ok(store) => store,
            Err(error) => return println!("skipped: overlayfs does not work here ({error})"),
        };
        let base = step(&store, None, "one", LayerMode::Linux).await;
        let top = step(&store, Some(&base), "two", LayerMode::Linux).await;
        let lease = store.local.leases.create(LeaseOptions::default()).await.unwrap();
        let (lower, upper) = (base.mounts().await.unwrap(), top.mounts().await.unwrap());
        for (mode, way) in [(LayerMode::Linux, FoundBy::Upperdir), (LayerMode::Windows, FoundBy::DoubleWalk)] {
            let options = DiffOptions::default().with_layer_mode(mode);
            let made = store.differ.compare(&lease, &format!("{mode:?}"), &lower, &upper, &options).await.unwrap();
            assert_eq!(made.found_by, way);
        }
    });
}
