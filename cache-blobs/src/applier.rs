//! The applier: a layer blob becomes files of a snapshot.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cache_core::ports::{
    Access, Applied, Applier, ApplyOptions, ApplySource, BlobReader, ContentStore, Mount, MountedTree, Mounter, Pool,
};
use cache_core::{Compression, Descriptor, Digest, DigestHasher, Error, ErrorKind, MediaType, MediaTypeFamily, Result};

use crate::apply::{self, unpack};
use crate::codec::Codecs;
use crate::failure::apply_failure;
use crate::pack::read_blocking;

/// Unpacks layers of any registered codec through mounts. One pass verifies the blob, decodes it, computes the DiffID and
/// creates the files.
///
/// Mirrors: containerd `core/diff/apply`.
#[derive(Clone, Debug)]
pub struct LayerApplier {
    content: Arc<dyn ContentStore>,
    mounter: Arc<dyn Mounter>,
    pool: Arc<dyn Pool>,
    codecs: Codecs,
    options: apply::ApplyOptions,
}

impl LayerApplier {
    /// An applier that reads committed blobs from `content` and mounts through `mounter`.
    pub fn new(content: Arc<dyn ContentStore>, mounter: Arc<dyn Mounter>, pool: Arc<dyn Pool>, codecs: Codecs) -> Self {
        Self { content, mounter, pool, codecs, options: apply::ApplyOptions::default() }
    }

    /// The same with other limits, owners and treatment of devices.
    #[must_use]
    pub fn with_options(mut self, options: apply::ApplyOptions) -> Self {
        self.options = options;
        self
    }

    async fn open(&self, descriptor: &Descriptor, source: ApplySource) -> Result<Box<dyn BlobReader>> {
        let reader = match source {
            ApplySource::Reader(reader) => reader,
            ApplySource::Committed => self
                .content
                .open(descriptor)
                .await?
                .ok_or_else(|| Error::new(ErrorKind::NotFound, "open layer", descriptor.digest))?,
        };
        if reader.size() == descriptor.size {
            Ok(reader)
        } else {
            Err(corrupt(descriptor, "the blob is not as long as its descriptor says"))
        }
    }
}

#[async_trait]
impl Applier for LayerApplier {
    async fn apply(
        &self,
        descriptor: &Descriptor,
        source: ApplySource,
        mounts: &[Mount],
        options: &ApplyOptions,
    ) -> Result<Applied> {
        let reader = self.open(descriptor, source).await?;
        let tree = self.mounter.mount(mounts, Access::ReadWrite).await?;
        let stream = reader.read(0..reader.size()).await?;
        let work = Unpacking {
            descriptor: descriptor.clone(),
            expected: options.expected_diff_id,
            codecs: self.codecs.clone(),
            options: self.options.clone().with_layer_mode(options.layer_mode),
            tree,
        };
        let applied = read_blocking(&*self.pool, stream, move |blob| work.run(blob)).await;
        drop(reader);
        applied
    }
}

struct Unpacking {
    descriptor: Descriptor,
    expected: Option<Digest>,
    codecs: Codecs,
    options: apply::ApplyOptions,
    tree: Arc<dyn MountedTree>,
}

impl Unpacking {
    fn run(self, blob: impl Read + Send + 'static) -> Result<Applied> {
        let descriptor = &self.descriptor;
        let seen = Arc::new(AtomicU64::new(0));
        let blob_hasher = Arc::new(Mutex::new(DigestHasher::new(descriptor.digest.algorithm())));
        let blob = Watched { inner: blob, seen: Arc::clone(&seen), hasher: Arc::clone(&blob_hasher) };
        let decoding = self.codecs.decode(Box::new(blob))?;
        let compression = decoding.codec().compression();
        if !may_be(&descriptor.media_type, &compression) {
            return Err(corrupt(descriptor, "the layer is not what its media type says"));
        }
        let mut tar = Hashed { inner: decoding, hasher: DigestHasher::default() };
        let options = self.options.with_compressed(Arc::clone(&seen));
        let unpacked = unpack(&mut tar, self.tree.directory(), &options);
        let unpacked = unpacked.map_err(|error| apply_failure(descriptor.digest, error))?;
        let blob_digest = blob_hasher.lock().unwrap_or_else(PoisonError::into_inner).clone().finish();
        if seen.load(Ordering::Relaxed) != descriptor.size || blob_digest != descriptor.digest {
            return Err(corrupt(descriptor, "the blob has another digest"));
        }
        let diff_id = tar.hasher.finish();
        if self.expected.is_some_and(|expected| expected != diff_id) {
            return Err(corrupt(descriptor, "the layer has another DiffID"));
        }
        if !unpacked.xattrs.is_empty() || unpacked.devices.count > 0 {
            tracing::warn!(layer = %descriptor.digest, xattrs = ?unpacked.xattrs, devices = ?unpacked.devices,
                "some of the layer could not be unpacked here");
        }
        Ok(Applied { diff_id, size: unpacked.stream_bytes })
    }
}

/// Whether a blob of `compression` may be called `media_type`. Docker's types never said it reliably, and a type that is
/// unknown or missing says nothing.
fn may_be(media_type: &MediaType, compression: &Compression) -> bool {
    let is_oci =
        media_type.has_name_in(MediaTypeFamily::Oci) && media_type.to_family(MediaTypeFamily::Oci) == *media_type;
    match media_type.layer_compression() {
        Some(named) if is_oci => match compression {
            Compression::EStargz => named == Compression::Gzip,
            Compression::Custom(_) => true,
            other => named == *other,
        },
        _ => true,
    }
}

fn corrupt(descriptor: &Descriptor, why: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "unpack layer", descriptor.digest).with_source(why)
}

/// A blob that is counted and hashed while it is read.
struct Watched<R> {
    inner: R,
    seen: Arc<AtomicU64>,
    hasher: Arc<Mutex<DigestHasher>>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.lock().unwrap_or_else(PoisonError::into_inner).update(&buffer[..count]);
        self.seen.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A tar that is hashed while it is read.
struct Hashed<R> {
    inner: R,
    hasher: DigestHasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
