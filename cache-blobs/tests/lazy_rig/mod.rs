//! A registry that counts, and refs whose blobs are there.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use cache_blobs::RemoteBlob;
use cache_blobs::chain::{LayerBackends, RemoteExt, RemoteOptions};
use cache_blobs::remote::Remote;
use cache_core::cache::{ImmutableRef, RefOptions};
use cache_core::ports::{BlobReader, ByteStream, DiffOptions, Lease, Provider};
use cache_core::{Compression, Descriptor, Digest, Error, ErrorKind, Layer, Result};
use futures::StreamExt;
use pollster::block_on;

use crate::cancel_rig::Rig;
use crate::variant_rig::{config, converter, foreign_blob, lease, media_type, tar};

/// A registry that counts.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    pub(crate) blobs: Mutex<BTreeMap<Digest, Vec<u8>>>,
    /// Reads of more than a head or a tail.
    pub(crate) reads: Mutex<Vec<(Digest, u64)>>,
    pub(crate) opens: AtomicUsize,
    pub(crate) open_now: AtomicUsize,
    pub(crate) open_peak: AtomicUsize,
    /// How many readers are to be open at once before any goes on, as far as anybody opens them.
    pub(crate) gather: AtomicUsize,
    pub(crate) breaks_off: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) of: Arc<Elsewhere>,
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.of.open_now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<Elsewhere>);

#[async_trait]
impl Provider for Shared {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        self.0.opens.fetch_add(1, Ordering::SeqCst);
        let bytes = self.0.blobs.lock().unwrap().get(&descriptor.digest).cloned();
        let reader = |bytes| Reader { of: Arc::clone(&self.0), digest: descriptor.digest, bytes };
        let now = self.0.open_now.fetch_add(usize::from(bytes.is_some()), Ordering::SeqCst) + 1;
        self.0.open_peak.fetch_max(now, Ordering::SeqCst);
        Ok(bytes.map(|bytes| Box::new(reader(bytes)) as Box<dyn BlobReader>))
    }
}

impl Elsewhere {
    /// Lets the other readers of the same task have their turns, but not forever.
    pub(crate) async fn gather(&self) {
        let mut turns = 0;
        poll_fn(|context| {
            turns += 1;
            if self.open_peak.load(Ordering::SeqCst) >= self.gather.load(Ordering::SeqCst) || turns > 20_000 {
                return Poll::Ready(());
            }
            std::thread::yield_now();
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

#[async_trait]
impl BlobReader for Reader {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        self.of.gather().await;
        let end = usize::try_from(range.end).unwrap().min(self.bytes.len());
        let bytes = self.bytes[usize::try_from(range.start).unwrap().min(end)..end].to_vec();
        if bytes.len() > 512 {
            self.of.reads.lock().unwrap().push((self.digest, range.start));
        }
        let breaks_off = self.of.breaks_off.swap(false, Ordering::SeqCst);
        let kept = if breaks_off { bytes.len() / 2 } else { bytes.len() };
        let mut chunks: Vec<_> = bytes[..kept].chunks(100).map(|chunk| Ok(chunk.to_vec().into())).collect();
        if breaks_off {
            chunks.push(Err(Error::new(ErrorKind::Unavailable, "read", "elsewhere")));
        }
        Ok(futures::stream::iter(chunks).boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}

pub(crate) struct World {
    pub(crate) rig: Rig,
    pub(crate) lease: Lease,
    pub(crate) backends: LayerBackends,
    pub(crate) elsewhere: Arc<Elsewhere>,
}

pub(crate) fn world() -> World {
    let rig = Rig::new("native").unwrap();
    let backends = rig.layers.clone().with_converter(converter(&rig));
    World { lease: lease(&rig), backends, rig, elsewhere: Arc::default() }
}

impl World {
    pub(crate) fn layer(&self, compression: &Compression, name: &str) -> Layer {
        let tar = tar(name, 50_000);
        let blob = foreign_blob(compression, &tar);
        let layer = Layer::new(Descriptor::of(media_type(compression), &blob), Digest::of(&tar));
        self.elsewhere.blobs.lock().unwrap().insert(layer.descriptor.digest, blob);
        layer
    }

    pub(crate) fn lazy(&self, layer: &Layer, parent: Option<&ImmutableRef>, options: RefOptions) -> ImmutableRef {
        let source = RemoteBlob::from_provider(Arc::new(Shared(Arc::clone(&self.elsewhere))));
        block_on(self.rig.cache.get_by_remote_blob(&self.lease, layer, source, parent, options)).unwrap()
    }

    /// A chain of lazy layers of these compressions; the top.
    pub(crate) fn chain(&self, compressions: &[Compression]) -> ImmutableRef {
        let mut top = None;
        for (at, compression) in compressions.iter().enumerate() {
            let layer = self.layer(compression, &format!("file-{at}"));
            let options = RefOptions::default().with_image_name("registry.example:5000/group/image:tag");
            top = Some(self.lazy(&layer, top.as_ref(), options));
        }
        top.unwrap()
    }

    pub(crate) fn remote(&self, top: &ImmutableRef, options: &RemoteOptions) -> Remote {
        block_on(top.main_remote(&self.lease, &self.backends, options)).unwrap().unwrap()
    }

    pub(crate) fn pulls(&self) -> usize {
        self.elsewhere.reads.lock().unwrap().len()
    }
}

pub(crate) fn as_they_are() -> RemoteOptions {
    RemoteOptions::new(DiffOptions::new(config(&Compression::Gzip)))
}

pub(crate) fn forced(compression: &Compression) -> RemoteOptions {
    RemoteOptions::new(DiffOptions::new(config(compression).forced()))
}

pub(crate) fn digest(of: &ImmutableRef) -> Digest {
    of.layer().unwrap().descriptor.digest
}
