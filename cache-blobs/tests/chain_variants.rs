//! Blob chains whose new layers are wanted in several compressions.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod variant_rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cache_blobs::chain::{Creation, LayerBackends, RemoteExt, compute_blob_chain};
use cache_blobs::convert::{find_variant, variants};
use cache_core::cache::ImmutableRef;
use cache_core::ports::{DiffOptions, Differ, Lease, LeaseManager, Mount, ParentDiff, ParentDiffer};
use cache_core::{Compression, CompressionConfig, ErrorKind, Layer, Result};
use cancel_rig::Rig;
use cancel_rig::work::step;
use futures::future::join;
use pollster::block_on;
use variant_rig::{blobs, collect, converter, lease};

/// Counts its calls, and those with variants.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn Differ>,
    heeds_variants: bool,
    calls: AtomicUsize,
    with_variants: AtomicUsize,
}

impl Counting {
    fn new(rig: &Rig, heeds_variants: bool) -> Arc<Self> {
        let inner = Arc::new(rig.differ.clone());
        Arc::new(Self { inner, heeds_variants, calls: AtomicUsize::new(0), with_variants: AtomicUsize::new(0) })
    }

    /// All calls, and those with variants.
    fn calls(&self) -> (usize, usize) {
        (self.calls.load(Ordering::SeqCst), self.with_variants.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Differ for Counting {
    fn supports(&self, options: &DiffOptions) -> bool {
        (self.heeds_variants || options.variants.is_empty()) && self.inner.supports(options)
    }

    async fn diff(
        &self,
        lease: &Lease,
        key: &str,
        lower: &[Mount],
        upper: &[Mount],
        options: &DiffOptions,
    ) -> Result<Layer> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.with_variants.fetch_add(usize::from(!options.variants.is_empty()), Ordering::SeqCst);
        self.inner.diff(lease, key, lower, upper, options).await
    }
}

/// Knows one snapshot.
#[derive(Debug)]
struct Knows(String, Layer);

#[async_trait]
impl ParentDiffer for Knows {
    async fn compare_with_parent(&self, _: &Lease, key: &str, _: &DiffOptions) -> Result<Option<ParentDiff>> {
        let known = ParentDiff { diff_id: self.1.diff_id, blob: Some(self.1.descriptor.clone()) };
        Ok((*key == self.0).then_some(known))
    }
}

fn gzip() -> DiffOptions {
    DiffOptions::new(CompressionConfig::gzip())
}

fn gzip_zstd_and_plain() -> DiffOptions {
    gzip().with_variants([CompressionConfig::zstd(), CompressionConfig::uncompressed()])
}

fn steps(rig: &Rig, count: u8) -> ImmutableRef {
    let first = step(rig, None, 1);
    (1..count).fold(first, |parent, at| step(rig, Some(&parent), 1 + at))
}

fn make(top: &ImmutableRef, lease: &Lease, backends: &LayerBackends, options: &DiffOptions) -> Result<Vec<Layer>> {
    let chain = block_on(compute_blob_chain(top, lease, backends, options, Creation::MakeMissing))?;
    Ok(chain.unwrap().into_layers())
}

fn has(rig: &Rig, layer: &Layer, compression: &Compression) -> bool {
    block_on(find_variant(rig.backends.content.as_ref(), &rig.codecs, layer, compression)).unwrap().is_some()
}

fn variants_of(rig: &Rig, layer: &Layer) -> usize {
    block_on(variants(rig.backends.content.as_ref(), layer)).unwrap().len()
}

#[test]
fn new_layers_are_made_in_all_compressions_by_one_diff_each_and_stay_with_their_refs() {
    let rig = Rig::new("native").unwrap();
    let (top, holds, differ) = (steps(&rig, 3), lease(&rig), Counting::new(&rig, true));
    let backends = LayerBackends::new(differ.clone());
    let layers = make(&top, &holds, &backends, &gzip_zstd_and_plain()).unwrap();
    assert_eq!(differ.calls(), (3, 3));
    assert_eq!((layers.len(), blobs(&rig).len()), (3, 9));
    // When the caller's lease is gone, the refs keep them.
    block_on(rig.local.leases.delete(holds.id())).unwrap();
    collect(&rig);
    for layer in &layers {
        assert_eq!(variants_of(&rig, layer), 3);
        assert!([Compression::Zstd, Compression::Uncompressed].iter().all(|wanted| has(&rig, layer, wanted)));
    }
    assert_eq!(blobs(&rig).len(), 9);
}

#[test]
fn forcing_what_is_a_variant_already_converts_nothing() {
    let rig = Rig::new("native").unwrap();
    let (top, holds) = (steps(&rig, 2), lease(&rig));
    let backends = LayerBackends::new(Counting::new(&rig, true)).with_converter(converter(&rig));
    make(&top, &holds, &backends, &gzip_zstd_and_plain()).unwrap();
    let before = blobs(&rig);
    let forced = DiffOptions::new(CompressionConfig::zstd().forced());
    let remote = block_on(top.ensure_remote(&holds, &backends, &forced)).unwrap();
    assert!(remote.layers().iter().all(|shown| shown.layer.descriptor.media_type.as_str().ends_with("+zstd")));
    assert_eq!(blobs(&rig), before);
}

#[test]
fn layers_that_exist_stay_as_they_are() {
    let rig = Rig::new("native").unwrap();
    let (bottom, holds, differ) = (step(&rig, None, 1), lease(&rig), Counting::new(&rig, true));
    let backends = LayerBackends::new(differ.clone());
    make(&bottom, &holds, &backends, &gzip()).unwrap();
    let layers = make(&step(&rig, Some(&bottom), 2), &holds, &backends, &gzip_zstd_and_plain()).unwrap();
    assert_eq!(differ.calls(), (2, 1));
    assert_eq!([variants_of(&rig, &layers[0]), variants_of(&rig, &layers[1])], [1, 3]);
}

#[test]
fn callers_that_want_the_same_variants_share_one_diff_and_others_do_not() {
    let rig = Rig::new("native").unwrap();
    let (differ, holds) = (Counting::new(&rig, true), lease(&rig));
    let backends = LayerBackends::new(differ.clone());
    let both = |top: &ImmutableRef, other: &DiffOptions| {
        let options = gzip_zstd_and_plain();
        let one = compute_blob_chain(top, &holds, &backends, &options, Creation::MakeMissing);
        let other = compute_blob_chain(top, &holds, &backends, other, Creation::MakeMissing);
        let (one, other) = block_on(join(one, other));
        let one = one.unwrap().unwrap();
        assert_eq!(one, other.unwrap().unwrap(), "one blob is the ref's");
        variants_of(&rig, &one.layers()[0])
    };
    assert_eq!(both(&step(&rig, None, 1), &gzip_zstd_and_plain()), 3);
    assert_eq!(differ.calls(), (1, 1));
    assert_eq!(both(&step(&rig, None, 2), &gzip()), 3);
    assert_eq!(differ.calls(), (3, 2));
}

#[test]
fn a_differ_that_makes_variants_is_preferred_to_one_that_does_not() {
    let rig = Rig::new("native").unwrap();
    let (without, with) = (Counting::new(&rig, false), Counting::new(&rig, true));
    let backends = LayerBackends::new(without.clone()).with_fallback(with.clone());
    make(&step(&rig, None, 1), &lease(&rig), &backends, &gzip_zstd_and_plain()).unwrap();
    assert_eq!((without.calls(), with.calls()), ((0, 0), (1, 1)));
}

#[test]
fn what_no_differ_makes_is_converted_and_unsupported_without_a_converter() {
    let rig = Rig::new("native").unwrap();
    let (differ, holds) = (Counting::new(&rig, false), lease(&rig));
    let backends = LayerBackends::new(differ.clone());
    let refused = make(&step(&rig, None, 1), &holds, &backends, &gzip_zstd_and_plain());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    rig.settle();
    assert!(blobs(&rig).is_empty());
    let backends = backends.with_converter(converter(&rig));
    let layers = make(&step(&rig, None, 2), &holds, &backends, &gzip_zstd_and_plain()).unwrap();
    assert_eq!(variants_of(&rig, &layers[0]), 3);
    let nobodys = gzip().with_variants([CompressionConfig::zstd().with_level(99)]);
    assert_eq!(make(&step(&rig, None, 3), &holds, &backends, &nobodys).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_layer_that_the_parent_differ_knows_is_converted() {
    let rig = Rig::new("native").unwrap();
    let holds = lease(&rig);
    let known = make(&step(&rig, None, 1), &holds, &rig.layers, &gzip()).unwrap().remove(0);
    let (top, differ) = (step(&rig, None, 2), Counting::new(&rig, true));
    let backends = LayerBackends::new(differ.clone()).with_converter(converter(&rig));
    let backends = backends.with_parent_differ(Arc::new(Knows(top.snapshot_key(), known.clone())));
    let layers = make(&top, &holds, &backends, &gzip_zstd_and_plain()).unwrap();
    assert_eq!((layers[0].diff_id, differ.calls()), (known.diff_id, (0, 0)));
    assert_eq!(variants_of(&rig, &layers[0]), 3);
}
