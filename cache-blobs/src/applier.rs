//! The applier: a layer blob becomes files of a snapshot.

use std::io::Read;
use std::sync::Arc;

use async_trait::async_trait;
use cache_core::ports::{
    Access, Applied, Applier, ApplyOptions, ApplySource, BlobReader, ContentStore, Mount, MountedTree, Mounter, Pool,
};
use cache_core::{Compression, Descriptor, Digest, Error, ErrorKind, MediaType, MediaTypeFamily, Result};

use crate::apply::{self, unpack};
use crate::codec::Codecs;
use crate::decoding_ahead::DecodingAhead;
use crate::failure::apply_failure;
use crate::pack::read_blocking;

/// Unpacks layers of any registered codec through mounts. One pass verifies and decodes the blob, computes the DiffID,
/// makes the names and writes the files, each of the four on a thread of its own.
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
            pool: Arc::clone(&self.pool),
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
    pool: Arc<dyn Pool>,
    codecs: Codecs,
    options: apply::ApplyOptions,
    tree: Arc<dyn MountedTree>,
}

impl Unpacking {
    fn run(self, blob: impl Read + Send + 'static) -> Result<Applied> {
        let descriptor = &self.descriptor;
        let algorithm = descriptor.digest.algorithm();
        let mut tar = DecodingAhead::start(&*self.pool, &self.codecs, Box::new(blob), Some(algorithm))?;
        if !may_be(&descriptor.media_type, &tar.codec().compression()) {
            return Err(corrupt(descriptor, "the layer is not what its media type says"));
        }
        let options = self.options.with_compressed(tar.compressed());
        let unpacked = unpack(&mut tar, self.tree.directory(), &options);
        let unpacked = unpacked.map_err(|error| apply_failure(descriptor.digest, error))?;
        let decoded = tar.finish()?;
        if decoded.blob_bytes != descriptor.size || decoded.blob_digest != Some(descriptor.digest) {
            return Err(corrupt(descriptor, "the blob has another digest"));
        }
        if self.expected.is_some_and(|expected| expected != decoded.diff_id) {
            return Err(corrupt(descriptor, "the layer has another DiffID"));
        }
        if !unpacked.xattrs.is_empty() || unpacked.devices.count > 0 {
            tracing::warn!(layer = %descriptor.digest, xattrs = ?unpacked.xattrs, devices = ?unpacked.devices,
                "some of the layer could not be unpacked here");
        }
        Ok(Applied { diff_id: decoded.diff_id, size: unpacked.stream_bytes })
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
