//! Blob chains: what is looked for, what is made, by whom, how often, and what is left.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;

use std::collections::BTreeSet;
use std::fs;
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use cache_blobs::chain::{Creation, LayerBackends, RemoteExt, compute_blob_chain};
use cache_blobs::convert::variants;
use cache_core::annotation::CREATED_AT;
use cache_core::cache::{ImmutableRef, RefOptions};
use cache_core::ports::{
    Access, DiffOptions, Differ, Lease, LeaseManager, LeaseOptions, Manager, Mount, MountedTree, ParentDiff,
    ParentDiffer, Resource,
};
use cache_core::{
    BlobChain, Compression, CompressionConfig, Digest, Error, ErrorKind, Layer, MediaType, Result, chain_id,
};
use cancel_rig::Rig;
use futures::TryStreamExt;
use futures::future::join;
use pollster::block_on;

/// A differ that counts its calls, and those that run at once, and fails where it is told.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn Differ>,
    calls: Mutex<Vec<String>>,
    running: AtomicUsize,
    peak: AtomicUsize,
    /// How many calls are to run at once before any goes on, as far as anybody starts them.
    gather: usize,
    /// The compression of which it knows nothing.
    unsupported: Option<Compression>,
    /// Fails for refs whose id is here.
    broken: BTreeSet<String>,
}

impl Watched {
    fn new(rig: &Rig) -> Self {
        Self {
            inner: Arc::new(rig.differ.clone()),
            calls: Mutex::default(),
            running: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            gather: 1,
            unsupported: None,
            broken: BTreeSet::new(),
        }
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// Lets the other calls of the same task have their turns, but not forever.
    async fn gather(&self) {
        let mut turns = 0;
        poll_fn(|context| {
            turns += 1;
            if self.peak.load(Ordering::SeqCst) >= self.gather || turns > 20_000 {
                return Poll::Ready(());
            }
            std::thread::yield_now();
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Differ for Watched {
    fn supports(&self, options: &DiffOptions) -> bool {
        self.unsupported.as_ref() != Some(&options.compression.compression) && self.inner.supports(options)
    }

    async fn diff(
        &self,
        lease: &Lease,
        key: &str,
        lower: &[Mount],
        upper: &[Mount],
        options: &DiffOptions,
    ) -> Result<Layer> {
        self.calls.lock().unwrap().push(key.to_owned());
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _leaving = Leaving(&self.running);
        self.peak.fetch_max(running, Ordering::SeqCst);
        self.gather().await;
        if self.broken.iter().any(|id| key.contains(id)) {
            return Err(Error::new(ErrorKind::Unavailable, "diff", key));
        }
        self.inner.diff(lease, key, lower, upper, options).await
    }
}

/// Knows some snapshots.
#[derive(Debug, Default)]
struct Knows {
    answers: Vec<(String, Result<Option<ParentDiff>>)>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl ParentDiffer for Knows {
    async fn compare_with_parent(&self, _: &Lease, key: &str, _: &DiffOptions) -> Result<Option<ParentDiff>> {
        self.asked.lock().unwrap().push(key.to_owned());
        self.answers.iter().find(|(known, _)| known == key).map_or(Ok(None), |(_, answer)| answer.clone())
    }
}

fn step(rig: &Rig, parent: Option<&ImmutableRef>, name: &str) -> ImmutableRef {
    block_on(async {
        let made = rig.cache.create(parent, RefOptions::default()).await.unwrap();
        let tree = made.mount(Access::ReadWrite).await.unwrap();
        fs::write(tree.path().join(name), name.repeat(50)).unwrap();
        drop(tree);
        made.commit().await.unwrap()
    })
}

/// A chain of so many refs; the last one.
fn steps(rig: &Rig, count: usize) -> ImmutableRef {
    let mut top = None;
    for number in 0..count {
        top = Some(step(rig, top.as_ref(), &format!("file-{number}")));
    }
    top.unwrap()
}

fn lease(rig: &Rig) -> Lease {
    block_on(rig.local.leases.create(LeaseOptions::default())).unwrap()
}

fn make(top: &ImmutableRef, lease: &Lease, backends: &LayerBackends, options: &DiffOptions) -> Result<BlobChain> {
    let chain = compute_blob_chain(top, lease, backends, options, Creation::MakeMissing);
    block_on(chain).map(|chain| chain.unwrap())
}

fn look(rig: &Rig, top: &ImmutableRef, lease: &Lease) -> Option<BlobChain> {
    block_on(compute_blob_chain(top, lease, &rig.layers, &gzip(), Creation::LookOnly)).unwrap()
}

fn gzip() -> DiffOptions {
    DiffOptions::new(CompressionConfig::gzip())
}

fn blobs(rig: &Rig) -> Vec<Digest> {
    block_on(rig.local.content.list().map_ok(|info| info.digest).try_collect()).unwrap()
}

fn held(rig: &Rig, lease: &Lease) -> Vec<Resource> {
    block_on(rig.local.leases.resources(lease)).unwrap()
}

#[test]
fn looking_neither_finalizes_nor_makes_anything() {
    let rig = Rig::new("native").unwrap();
    let top = steps(&rig, 2);
    let lease = lease(&rig);
    let before = rig.visible();
    assert_eq!(look(&rig, &top, &lease), None);
    assert!(!top.is_finalized(), "a look finalized the ref");
    assert_eq!(rig.visible(), before);
    // One of two is still none.
    let bottom = top.parent().unwrap();
    let lower = make(&bottom, &lease, &rig.layers, &gzip()).unwrap();
    let before = rig.visible();
    assert_eq!(look(&rig, &top, &lease), None);
    assert!(!top.is_finalized());
    assert_eq!(rig.visible(), before);
    assert_eq!(look(&rig, &bottom, &lease), Some(lower));
    let whole = make(&top, &lease, &rig.layers, &gzip()).unwrap();
    assert!(top.is_finalized());
    assert_eq!(look(&rig, &top, &lease), Some(whole));
    assert!(block_on(bottom.remote(&lease, &rig.layers)).unwrap().is_some());
}

#[test]
fn parents_and_own_blob_are_made_at_once_but_no_more_than_wanted() {
    for (wanted, peak) in [(1, 1), (3, 3), (50, 6)] {
        let rig = Rig::new("native").unwrap();
        let top = steps(&rig, 6);
        let watched = Arc::new(Watched { gather: peak, ..Watched::new(&rig) });
        let backends = LayerBackends::new(watched.clone()).with_concurrent_layers(NonZeroUsize::new(wanted).unwrap());
        let chain = make(&top, &lease(&rig), &backends, &gzip()).unwrap();
        assert_eq!(chain.layers().len(), 6);
        assert_eq!((watched.calls(), watched.peak.load(Ordering::SeqCst)), (6, peak), "{wanted} at a time");
        // What exists is not made again.
        make(&top, &lease(&rig), &backends, &gzip()).unwrap();
        assert_eq!(watched.calls(), 6);
    }
}

#[test]
fn chain_ids_are_those_of_the_layers() {
    let rig = Rig::new("native").unwrap();
    let top = steps(&rig, 4);
    assert_eq!((top.chain_id(), top.blob_chain_id()), (None, None));
    let chain = make(&top, &lease(&rig), &rig.layers, &gzip()).unwrap();
    let refs = top.layer_chain();
    for (at, of) in refs.iter().enumerate() {
        let below = BlobChain::new(chain.layers()[..=at].to_vec());
        assert_eq!(of.layer().as_ref(), chain.layers().get(at));
        assert_eq!(of.chain_id(), chain_id(&below.diff_ids()));
        assert_eq!((of.chain_id(), of.blob_chain_id()), (below.chain_id(), below.blob_chain_id()));
    }
    let all: BTreeSet<_> = chain.diff_ids().into_iter().collect();
    assert_eq!(all.len(), 4, "every step made a layer of its own");
    let remote = block_on(top.remote(&lease(&rig), &rig.layers)).unwrap().unwrap();
    for (layer, of) in remote.layers().iter().zip(&refs) {
        assert_eq!(layer.layer.diff_id, of.layer().unwrap().diff_id);
        assert_eq!(layer.layer.descriptor.annotations[CREATED_AT], of.created_at().to_utc().to_string());
    }
}

#[test]
fn a_differ_that_knows_the_parent_is_asked_first() {
    let rig = Rig::new("native").unwrap();
    let top = steps(&rig, 3);
    let refs = top.layer_chain();
    let holds = lease(&rig);
    // The blob of another ref stands for what the store of snapshots has anyway.
    let other = make(&step(&rig, None, "elsewhere"), &holds, &rig.layers, &gzip()).unwrap().into_layers().remove(0);
    let known = ParentDiff { diff_id: other.diff_id, blob: Some(other.descriptor.clone()) };
    let unknown_blob = ParentDiff { diff_id: Digest::of("known without a blob"), blob: None };
    let knows = Arc::new(Knows {
        answers: vec![(refs[0].snapshot_key(), Ok(Some(known))), (refs[1].snapshot_key(), Ok(Some(unknown_blob)))],
        asked: Mutex::default(),
    });
    let watched = Arc::new(Watched::new(&rig));
    let backends = LayerBackends::new(watched.clone()).with_parent_differ(knows.clone());
    let chain = make(&top, &holds, &backends, &gzip()).unwrap();
    assert_eq!(chain.layers()[0].descriptor.digest, other.descriptor.digest);
    assert_eq!(chain.layers()[0].diff_id, other.diff_id);
    let asked: BTreeSet<_> = knows.asked.lock().unwrap().iter().cloned().collect();
    assert_eq!(asked, refs.iter().map(ImmutableRef::snapshot_key).collect());
    let calls = watched.calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 2, "the one whose blob is known is not compared");
    assert!(!calls.iter().any(|key| key.contains(refs[0].id())));
}

#[test]
fn a_failure_of_the_differ_that_knows_the_parent_is_told() {
    let rig = Rig::new("native").unwrap();
    let top = steps(&rig, 1);
    let failed = Err(Error::new(ErrorKind::PermissionDenied, "ask", "the parent differ"));
    let knows = Knows { answers: vec![(top.snapshot_key(), failed)], asked: Mutex::default() };
    let watched = Arc::new(Watched::new(&rig));
    let backends = LayerBackends::new(watched.clone()).with_parent_differ(Arc::new(knows));
    let refused = make(&top, &lease(&rig), &backends, &gzip()).unwrap_err();
    assert_eq!((refused.kind(), watched.calls()), (ErrorKind::PermissionDenied, 0));
    assert!(blobs(&rig).is_empty());
}

#[test]
fn options_that_one_differ_does_not_support_are_left_to_the_next() {
    let rig = Rig::new("native").unwrap();
    let picky = Arc::new(Watched { unsupported: Some(Compression::Zstd), ..Watched::new(&rig) });
    let able = Arc::new(Watched::new(&rig));
    let backends = LayerBackends::new(picky.clone()).with_fallback(able.clone());
    let zstd = DiffOptions::new(CompressionConfig::zstd());
    make(&steps(&rig, 1), &lease(&rig), &backends, &gzip()).unwrap();
    assert_eq!((picky.calls(), able.calls()), (1, 0));
    make(&steps(&rig, 1), &lease(&rig), &backends, &zstd).unwrap();
    assert_eq!((picky.calls(), able.calls()), (1, 1));
    let alone = LayerBackends::new(picky.clone());
    let (before, top) = (blobs(&rig), steps(&rig, 1));
    assert_eq!(make(&top, &lease(&rig), &alone, &zstd).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(blobs(&rig), before);
}

#[test]
fn a_differ_that_fails_leaves_the_layers_below_and_nothing_half_done() {
    for concurrent in [1, 4] {
        let rig = Rig::new("native").unwrap();
        let top = steps(&rig, 4);
        let refs = top.layer_chain();
        let holds = lease(&rig);
        let before = rig.visible();
        let broken = [refs[2].id().to_owned()].into();
        let watched = Arc::new(Watched { broken, ..Watched::new(&rig) });
        let backends = LayerBackends::new(watched).with_concurrent_layers(NonZeroUsize::new(concurrent).unwrap());
        let refused = make(&top, &holds, &backends, &gzip()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        rig.pool.wait_until_idle();
        rig.wait_for_budget();
        let layers: Vec<_> = refs.iter().map(ImmutableRef::layer).collect();
        if concurrent == 1 {
            assert!(layers[0].is_some() && layers[1].is_some(), "what was finished before stays");
        }
        assert!(layers[2].is_none() && layers[3].is_none());
        // What other refs got stays theirs; the failed one has nothing, and nothing of the work is left.
        rig.settle();
        let after = rig.visible();
        assert_eq!((after.trees, &after.mounts, &after.ingests), (before.trees, &before.mounts, &before.ingests));
        let kept = |digest: &Digest| held(&rig, &holds).contains(&Resource::Content(*digest));
        assert!(after.blobs.iter().all(kept));
        // The same refs again, with a differ that works.
        assert_eq!(make(&top, &holds, &rig.layers, &gzip()).unwrap().layers().len(), 4);
        assert_eq!(rig.visible().trees, 0);
    }
}

#[test]
fn a_dead_lease_is_invalid_and_makes_nothing() {
    let rig = Rig::new("native").unwrap();
    let top = steps(&rig, 1);
    let dead = lease(&rig);
    block_on(rig.local.leases.delete(dead.id())).unwrap();
    assert_eq!(make(&top, &dead, &rig.layers, &gzip()).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(top.layer().is_none());
    rig.settle();
    assert!(blobs(&rig).is_empty());
}

/// Two callers at once, with a lease each.
fn both<F, G>(one: F, other: G) -> (BlobChain, BlobChain)
where
    F: Future<Output = Result<Option<BlobChain>>>,
    G: Future<Output = Result<Option<BlobChain>>>,
{
    let (one, other) = block_on(join(one, other));
    (one.unwrap().unwrap(), other.unwrap().unwrap())
}

#[test]
fn two_callers_that_want_the_same_share_one_diff_and_both_leases_hold_it() {
    let rig = Rig::new("native").unwrap();
    let top = steps(&rig, 2);
    let watched = Arc::new(Watched { gather: 2, ..Watched::new(&rig) });
    let backends = LayerBackends::new(watched.clone());
    // Clones share the work, too.
    let clone = backends.clone();
    let (first, second) = (lease(&rig), lease(&rig));
    let options = gzip();
    let (one, other) = both(
        compute_blob_chain(&top, &first, &backends, &options, Creation::MakeMissing),
        compute_blob_chain(&top, &second, &clone, &options, Creation::MakeMissing),
    );
    assert_eq!(one, other);
    assert_eq!(watched.calls(), 2, "one diff for each of two refs");
    for layer in one.layers() {
        let content = Resource::Content(layer.descriptor.digest);
        assert!(held(&rig, &first).contains(&content) && held(&rig, &second).contains(&content));
    }
    assert_eq!(rig.visible().trees, 0);
}

#[test]
fn two_compressions_make_two_diffs_and_the_ref_keeps_the_first() {
    let rig = Rig::new("native").unwrap();
    let top = steps(&rig, 1);
    let watched = Arc::new(Watched { gather: 2, ..Watched::new(&rig) });
    let backends = LayerBackends::new(watched.clone());
    let (first, second) = (lease(&rig), lease(&rig));
    let (gzip, zstd) = (gzip(), DiffOptions::new(CompressionConfig::zstd()));
    let (one, other) = both(
        compute_blob_chain(&top, &first, &backends, &gzip, Creation::MakeMissing),
        compute_blob_chain(&top, &second, &backends, &zstd, Creation::MakeMissing),
    );
    assert_eq!((watched.calls(), watched.peak.load(Ordering::SeqCst)), (2, 2));
    assert_eq!(one, other, "both get what the ref has");
    assert_eq!(top.layer().as_ref(), one.layers().first());
    assert_eq!(blobs(&rig).len(), 2, "each lease holds what was made for it");
    // What the ref did not take is a variant of what it took, and stays with it.
    for lease in [first, second] {
        block_on(rig.local.leases.delete(lease.id())).unwrap();
    }
    rig.settle();
    let layers = block_on(variants(rig.backends.content.as_ref(), &one.layers()[0])).unwrap();
    let types: BTreeSet<_> = layers.into_iter().map(|layer| layer.descriptor.media_type).collect();
    assert_eq!(types, [MediaType::OCI_LAYER_GZIP, MediaType::OCI_LAYER_ZSTD].into());
    assert_eq!(blobs(&rig).len(), 2);
}

#[test]
fn two_levels_of_one_compression_are_two_diffs() {
    let rig = Rig::new("native").unwrap();
    let top = steps(&rig, 1);
    let watched = Arc::new(Watched { gather: 2, ..Watched::new(&rig) });
    let backends = LayerBackends::new(watched.clone());
    let (first, second) = (lease(&rig), lease(&rig));
    let [fast, best] = [1, 9].map(|level| DiffOptions::new(CompressionConfig::gzip().with_level(level)));
    let (one, other) = both(
        compute_blob_chain(&top, &first, &backends, &fast, Creation::MakeMissing),
        compute_blob_chain(&top, &second, &backends, &best, Creation::MakeMissing),
    );
    assert_eq!((watched.calls(), one), (2, other));
}

#[test]
fn a_shared_failure_is_told_to_every_caller_and_a_later_one_starts_afresh() {
    let rig = Rig::new("native").unwrap();
    let top = steps(&rig, 1);
    let watched = Watched { broken: [top.id().to_owned()].into(), ..Watched::new(&rig) };
    let backends = LayerBackends::new(Arc::new(watched));
    let (first, second) = (lease(&rig), lease(&rig));
    let options = gzip();
    let outcomes = block_on(join(
        compute_blob_chain(&top, &first, &backends, &options, Creation::MakeMissing),
        compute_blob_chain(&top, &second, &backends, &options, Creation::MakeMissing),
    ));
    for outcome in [outcomes.0, outcomes.1] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(make(&top, &first, &rig.layers, &options).unwrap().layers().len(), 1);
}
