//! What a blob is, is found by its content once and remembered in labels.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "zstd", feature = "estargz"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod pack_rig;
mod toc_rig;
mod variant_rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cache_blobs::codec::Codecs;
use cache_blobs::convert::find_variant;
use cache_core::annotation::{DETECTED, ESTARGZ_DETECTED};
use cache_core::ports::{
    Begun, BlobInfo, BlobReader, ContentStore, Expected, IngestStatus, Ingester, Lease, Manager, Provider, Start,
};
use cache_core::{Compression, Descriptor, Digest, LabelChange, Layer, MediaType, Result};
use cancel_rig::Rig;
use futures::stream::BoxStream;
use pollster::block_on;
use toc_rig::{Format, Stargz};
use variant_rig::{labels, layer, lease, put, tar};

/// A store that counts how often a blob is opened, without which none of its bytes can be read.
#[derive(Clone, Debug)]
struct Opened {
    inner: Arc<dyn ContentStore>,
    times: Arc<AtomicUsize>,
}

#[async_trait]
impl Provider for Opened {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        self.times.fetch_add(1, Ordering::SeqCst);
        self.inner.open(descriptor).await
    }
}

#[async_trait]
impl Ingester for Opened {
    async fn begin(&self, lease: &Lease, key: &str, expected: Expected, start: Start) -> Result<Begun> {
        self.inner.begin(lease, key, expected, start).await
    }

    async fn abort(&self, key: &str) -> Result<bool> {
        self.inner.abort(key).await
    }

    async fn ingests(&self) -> Result<Vec<IngestStatus>> {
        self.inner.ingests().await
    }
}

#[async_trait]
impl Manager for Opened {
    async fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        self.inner.info(digest).await
    }

    async fn change_labels(&self, digest: &Digest, changes: &[LabelChange]) -> Result<BlobInfo> {
        self.inner.change_labels(digest, changes).await
    }

    fn list(&self) -> BoxStream<'_, Result<BlobInfo>> {
        self.inner.list()
    }
}

struct World {
    rig: Rig,
    lease: Lease,
    content: Opened,
}

impl World {
    fn new() -> Self {
        let rig = Rig::new("native").unwrap();
        let content = Opened { inner: rig.backends.content.clone(), times: Arc::default() };
        Self { lease: lease(&rig), rig, content }
    }

    /// Whether `layer` is in `compression` for `codecs`, and how often its blob was opened for that.
    fn asks(&self, codecs: &Codecs, layer: &Layer, compression: &Compression) -> (bool, usize) {
        self.content.times.store(0, Ordering::SeqCst);
        let found = block_on(find_variant(&self.content, codecs, layer, compression)).unwrap();
        (found.is_some(), self.content.times.load(Ordering::SeqCst))
    }

    fn foreign(&self) -> Vec<(Compression, Layer)> {
        let plain = [Compression::Uncompressed, Compression::Gzip, Compression::Zstd];
        let tar = tar("file", 1000);
        let mut layers: Vec<_> =
            plain.into_iter().map(|it| (it.clone(), layer(&self.rig, &self.lease, &it, &tar))).collect();
        layers.push((Compression::EStargz, self.put_estargz(&Stargz::packed(&tar).1)));
        layers
    }

    fn put_estargz(&self, blob: &[u8]) -> Layer {
        put(&self.rig, &self.lease, blob);
        Layer::new(Descriptor::of(MediaType::OCI_LAYER_GZIP, blob), Digest::of(Stargz::decode(blob)))
    }
}

#[test]
fn a_second_detection_reads_no_byte_of_the_blob() {
    let world = World::new();
    let codecs = &world.rig.codecs;
    for (compression, layer) in world.foreign() {
        assert_eq!(world.asks(codecs, &layer, &compression), (true, 1), "{compression}");
        for wanted in [Compression::Uncompressed, Compression::Gzip, Compression::Zstd, Compression::EStargz] {
            assert_eq!(world.asks(codecs, &layer, &wanted), (wanted == compression, 0), "{wanted} of {compression}");
        }
        let labels = labels(&world.rig, &layer.descriptor.digest);
        assert_eq!(
            labels[ESTARGZ_DETECTED],
            (compression == Compression::EStargz).to_string(),
            "as BuildKit writes it"
        );
        assert!(labels[DETECTED].starts_with(compression.name()));
    }
}

#[test]
fn what_buildkit_remembers_is_believed() {
    let world = World::new();
    let layer = world.put_estargz(&Stargz::packed(&tar("file", 1000)).1);
    let memo = LabelChange::Set(ESTARGZ_DETECTED.to_owned(), "true".to_owned());
    block_on(world.rig.local.content.change_labels(&layer.descriptor.digest, &[memo])).unwrap();
    assert_eq!(world.asks(&world.rig.codecs, &layer, &Compression::EStargz), (true, 0));
}

#[test]
fn a_codec_that_was_not_asked_then_is_asked_now() {
    let world = World::new();
    let layer = world.put_estargz(&Stargz::packed(&tar("file", 1000)).1);
    // As a build without eStargz leaves it.
    let memo = LabelChange::Set(DETECTED.to_owned(), "gzip uncompressed gzip zstd".to_owned());
    block_on(world.rig.local.content.change_labels(&layer.descriptor.digest, &[memo])).unwrap();
    assert_eq!(world.asks(&world.rig.codecs, &layer, &Compression::EStargz), (true, 1));
    assert_eq!(world.asks(&world.rig.codecs, &layer, &Compression::EStargz), (true, 0));
}

#[test]
fn estargz_is_told_by_its_footer_and_the_table_to_which_it_points() {
    let world = World::new();
    let codecs = &world.rig.codecs;
    let body = Stargz::encode(&tar("file", 1000));
    for offset in [0, body.len() as u64 / 2, body.len() as u64, 1 << 40] {
        let layer = world.put_estargz(&[&body[..], &Stargz::footer(offset)].concat());
        assert!(!world.asks(codecs, &layer, &Compression::EStargz).0, "{offset}");
        assert!(world.asks(codecs, &layer, &Compression::Gzip).0, "{offset}");
    }
}
