//! How many layers of a chain are converted at once.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod variant_rig;

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use async_trait::async_trait;
use cache_blobs::chain::RemoteExt;
use cache_blobs::convert::{Converter, ConverterBackends};
use cache_core::ports::{
    Begun, BlobInfo, BlobReader, ByteStream, ContentStore, DiffOptions, Expected, IngestStatus, Ingester, Lease,
    Manager, Provider, Start,
};
use cache_core::{Compression, Descriptor, Digest, LabelChange, Result};
use cancel_rig::Rig;
use futures::stream::BoxStream;
use pollster::block_on;
use variant_rig::{chain, config, lease};

#[derive(Debug, Default)]
struct Reading {
    now: AtomicUsize,
    peak: AtomicUsize,
    /// How many blobs are to be read at once before any goes on, as far as anybody reads them.
    gather: usize,
}

/// A store that counts the blobs that are being read from their beginning to their end.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn ContentStore>,
    reading: Arc<Reading>,
}

#[derive(Debug)]
struct Reader {
    inner: Box<dyn BlobReader>,
    reading: Arc<Reading>,
    counted: AtomicUsize,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.reading.now.fetch_sub(self.counted.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

#[async_trait]
impl BlobReader for Reader {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        if range == (0..self.size()) {
            let now = self.reading.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.counted.fetch_add(1, Ordering::SeqCst);
            self.reading.peak.fetch_max(now, Ordering::SeqCst);
            let mut turns = 0;
            poll_fn(|context| {
                turns += 1;
                if self.reading.peak.load(Ordering::SeqCst) >= self.reading.gather || turns > 20_000 {
                    return Poll::Ready(());
                }
                std::thread::yield_now();
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
        self.inner.read(range).await
    }

    fn local_file(&self) -> Option<PathBuf> {
        self.inner.local_file()
    }
}

#[async_trait]
impl Provider for Watched {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        let reader = |inner| Reader { inner, reading: Arc::clone(&self.reading), counted: AtomicUsize::new(0) };
        Ok(self.inner.open(descriptor).await?.map(|inner| Box::new(reader(inner)) as Box<dyn BlobReader>))
    }
}

#[async_trait]
impl Ingester for Watched {
    async fn begin(&self, lease: &Lease, key: &str, expected: Expected, start: Start) -> Result<Begun> {
        self.inner.begin(lease, key, expected, start).await
    }

    async fn abort(&self, key: &str) -> Result<bool> {
        Ingester::abort(&*self.inner, key).await
    }

    async fn ingests(&self) -> Result<Vec<IngestStatus>> {
        self.inner.ingests().await
    }
}

#[async_trait]
impl Manager for Watched {
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

#[test]
fn layers_are_converted_at_once_but_no_more_than_wanted() {
    for (wanted, peak) in [(Some(1), 1), (Some(3), 3), (None, 4), (Some(50), 6)] {
        let rig = Rig::new("native").unwrap();
        let lease = lease(&rig);
        let top = chain(&rig, &lease, &vec![Compression::Gzip; 6], "layer");
        let reading = Arc::new(Reading { gather: peak + 1, ..Reading::default() });
        let content = Arc::new(Watched { inner: rig.backends.content.clone(), reading: Arc::clone(&reading) });
        let mut converter = Converter::new(ConverterBackends { content, ..variant_rig::backends(&rig) });
        if let Some(wanted) = wanted {
            converter = converter.with_concurrent_conversions(NonZeroUsize::new(wanted).unwrap());
        }
        let layers = rig.layers.clone().with_converter(converter);
        let forced = DiffOptions::new(config(&Compression::Zstd).forced());
        let remote = block_on(top.ensure_remote(&lease, &layers, &forced)).unwrap();
        assert_eq!(remote.layers().len(), 6);
        assert_eq!(reading.peak.load(Ordering::SeqCst), peak, "{wanted:?} at a time");
        // What is converted is not read again.
        reading.peak.store(0, Ordering::SeqCst);
        assert_eq!(block_on(top.ensure_remote(&lease, &layers, &forced)).unwrap().chain(), remote.chain());
        assert_eq!(reading.peak.load(Ordering::SeqCst), 0);
        rig.wait_for_budget();
    }
}
