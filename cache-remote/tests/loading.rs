//! A result becomes refs: every layer is fetched, verified, and stands on the one below.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]
#![cfg(target_os = "linux")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cache_blobs::embedded::{Embedded, EmbeddedOptions, SnapshotterChoice};
use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_blobs::remote::{Remote, RemoteLayer};
use cache_core::ports::{BlobReader, MountedTree, Provider, TemporaryLease};
use cache_core::{Descriptor, Digest, ErrorKind, ThreadPool, annotation};
use cache_remote::{CacheError, ImportOptions, LoadOptions, import_from_layout, load};
use pollster::block_on;
use support::{Named, Whole, at, layer};

fn store(path: &Path) -> Embedded {
    let options = EmbeddedOptions::default().with_snapshotter(SnapshotterChoice::Native);
    block_on(Embedded::open(path, options)).unwrap()
}

fn lease(store: &Embedded) -> TemporaryLease {
    block_on(TemporaryLease::create(store.backends.leases.as_ref())).unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Counts how often blobs are opened.
#[derive(Debug)]
struct Counting {
    inner: Named,
    opened: AtomicUsize,
}

#[async_trait]
impl Provider for Counting {
    async fn open(&self, descriptor: &Descriptor) -> cache_core::Result<Option<Box<dyn BlobReader>>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.inner.open(descriptor).await
    }
}

fn remote(provider: Arc<dyn Provider>, names: &[&str]) -> Remote {
    Remote::new(names.iter().map(|name| layer(name, &provider)).collect())
}

#[test]
fn every_layer_is_a_ref_on_the_one_below() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let lease = lease(&store);
    let names = ["bottom", "middle", "top"];
    let provider = Arc::new(Counting { inner: Named::of(&names), opened: AtomicUsize::new(0) });
    let mut layers = remote(provider.clone(), &names).layers().to_vec();
    let annotations = &mut layers[1].layer.descriptor.annotations;
    annotations.insert(annotation::CREATED_AT.to_owned(), at(1234).to_string());
    annotations.insert(annotation::DESCRIPTION.to_owned(), "what it was".to_owned());
    let remote = Remote::new(layers);

    let refs = block_on(load(&remote, &store.cache, lease.lease(), &LoadOptions::default())).unwrap();
    assert_eq!(refs.len(), 3);
    let chain = remote.chain();
    assert_eq!(refs[2].chain_id(), chain.chain_id());
    assert_eq!(refs[2].blob_chain_id(), chain.blob_chain_id());
    assert_eq!(refs[2].parent().map(|parent| parent.id().to_owned()).as_deref(), Some(refs[1].id()));
    assert_eq!((refs[1].created_at(), refs[1].description()), (at(1234), "what it was".to_owned()));
    assert_eq!(refs[0].description(), format!("imported {}", Digest::of("bottom")));
    for name in names {
        assert!(block_on(store.backends.content.info(&Digest::of(name))).unwrap().is_some());
    }

    // The second time nothing is fetched, and the refs are the same.
    let opened = provider.opened.load(Ordering::SeqCst);
    let again = block_on(load(&remote, &store.cache, lease.lease(), &LoadOptions::default())).unwrap();
    assert_eq!(again[2].id(), refs[2].id());
    assert_eq!(provider.opened.load(Ordering::SeqCst), opened);
}

#[test]
fn a_blob_that_comes_twice_is_fetched_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let lease = lease(&store);
    let provider = Arc::new(Counting { inner: Named::of(&["a", "b"]), opened: AtomicUsize::new(0) });
    let remote = remote(provider.clone(), &["a", "b", "a"]);
    let refs = block_on(load(&remote, &store.cache, lease.lease(), &LoadOptions::default())).unwrap();
    assert_eq!(refs.len(), 3);
    assert_eq!(provider.opened.load(Ordering::SeqCst), 2);
}

#[test]
fn no_layers_are_no_refs() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let lease = lease(&store);
    let refs = block_on(load(&Remote::default(), &store.cache, lease.lease(), &LoadOptions::default())).unwrap();
    assert!(refs.is_empty());
}

#[test]
fn a_missing_blob_is_told_by_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let lease = lease(&store);
    let provider: Arc<dyn Provider> = Arc::new(Named::of(&["here"]));
    let remote = remote(provider, &["here", "gone"]);
    let error = block_on(load(&remote, &store.cache, lease.lease(), &LoadOptions::default())).unwrap_err();
    assert!(matches!(error, CacheError::MissingBlob(digest) if digest == Digest::of("gone")));
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// Gives the same bytes for every blob.
#[derive(Debug)]
struct Always(&'static str);

#[async_trait]
impl Provider for Always {
    async fn open(&self, _: &Descriptor) -> cache_core::Result<Option<Box<dyn BlobReader>>> {
        Ok(Some(Box::new(Whole(Bytes::from_static(self.0.as_bytes())))))
    }
}

#[test]
fn a_wrong_blob_is_corrupt_and_the_right_one_is_taken_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let lease = lease(&store);
    for wrong in ["hostil", "hones", "honest!"] {
        let remote = remote(Arc::new(Always(wrong)), &["honest"]);
        let error = block_on(load(&remote, &store.cache, lease.lease(), &LoadOptions::default())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{wrong}");
        assert!(block_on(store.backends.content.info(&Digest::of("honest"))).unwrap().is_none());
    }
    let remote = remote(Arc::new(Always("honest")), &["honest"]);
    block_on(load(&remote, &store.cache, lease.lease(), &LoadOptions::default())).unwrap();
}

#[test]
fn loads_at_the_same_time_do_not_hinder_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..8).map(|at| at.to_string().repeat(100_000)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let names = names.as_slice();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // A store handle of its own, as another process would have.
                let store = store(dir.path());
                let lease = lease(&store);
                let provider: Arc<dyn Provider> = Arc::new(Named::of(names));
                let remote = remote(provider, names);
                let refs = block_on(load(&remote, &store.cache, lease.lease(), &LoadOptions::default())).unwrap();
                assert_eq!(refs[7].chain_id(), remote.chain().chain_id());
            });
        }
    });
}

#[test]
fn the_results_of_buildkits_caches_unpack_to_its_files() {
    if !is_root() {
        println!("skipped: needs root");
        return;
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/buildkit-0.32.2");
    for entry in std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let name = entry.display();
        let pool = Arc::new(ThreadPool::new());
        let layout = block_on(OciLayout::open(&entry, pool, LayoutOptions::default())).unwrap().unwrap();
        let cache = block_on(import_from_layout(&layout, "latest", &ImportOptions::default())).unwrap().unwrap();
        let results = cache.keys_in_config().into_iter().flatten().flat_map(|key| cache.results_of(&key));
        let longest: Remote = results.map(|result| result.remote).max_by_key(|it| it.layers().len()).unwrap();

        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let lease = lease(&store);
        let refs = block_on(load(&longest, &store.cache, lease.lease(), &LoadOptions::default())).unwrap();
        let top = refs.last().unwrap();
        // The time at which BuildKit made the layer.
        let layers: &[RemoteLayer] = longest.layers();
        if let Some(created) = layers.last().unwrap().layer.descriptor.annotations.get(annotation::CREATED_AT) {
            assert_eq!(top.created_at(), created.parse().unwrap(), "{name}");
        }
        let tree = block_on(top.mount()).unwrap();
        let read = |path: &str| std::fs::read_to_string(tree.path().join(path)).ok();
        assert_eq!(read("done").as_deref(), Some("done\n"), "{name}");
        assert_eq!(read("data/keep/one").as_deref(), Some("one\n"), "{name}");
        assert_eq!(read("data/opaque/new").as_deref(), Some("new\n"), "{name}");
        assert_eq!(read("linked/numbers"), read("copied/numbers"), "{name}");
        assert_eq!(read("copied/numbers").unwrap().lines().count(), 500, "{name}");
        for gone in ["data/keep/two", "data/opaque/old", "data/opaque/sub", "data/deep"] {
            assert!(!tree.path().join(gone).exists(), "{name}: {gone}");
        }
    }
}
