//! What makes variants.

use std::num::NonZeroUsize;
use std::sync::Arc;

use cache_core::flight::{Group, Held};
use cache_core::ports::{ContentStore, Lease, LeaseManager, Pool, TemporaryLease};
use cache_core::variants::link_variant;
use cache_core::{Compression, CompressionConfig, Digest, Layer, Result};

use crate::codec::Codecs;
use crate::convert::find::find_variant;
use crate::convert::limits::ConversionLimits;
use crate::convert::recode::recode;
use crate::convert::stored_codec::check_media_type;
use crate::pack::Budget;

/// Layers of one chain that are converted at the same time, unless the caller says otherwise. Each holds an ingest, an open
/// blob and a pipe; the bytes and the workers are bounded by the packer's budget.
const CONCURRENT_CONVERSIONS: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

/// Identifies shared work: the source, the compression and the level.
type ConversionKey = (Digest, Compression, Option<i32>);

/// What a [`Converter`] works with.
#[derive(Clone, Debug)]
pub struct ConverterBackends {
    /// Blobs, old and new.
    pub content: Arc<dyn ContentStore>,
    /// Leases over them.
    pub leases: Arc<dyn LeaseManager>,
    /// Threads that may block.
    pub pool: Arc<dyn Pool>,
    /// The codecs.
    pub codecs: Codecs,
    /// What packing may use.
    pub budget: Arc<Budget>,
}

impl ConverterBackends {
    /// `layer` in `wanted` if the store has it so, as itself or as a variant.
    ///
    /// # Errors
    /// `Corrupt` if it is found as itself, but under another compression's media type: what stays as it is, nobody looks at again.
    pub(super) async fn find(&self, layer: &Layer, wanted: &Compression) -> Result<Option<Layer>> {
        let found = find_variant(self.content.as_ref(), &self.codecs, layer, wanted).await?;
        if found.as_ref().is_some_and(|found| found.descriptor.digest == layer.descriptor.digest) {
            check_media_type(&self.codecs, &layer.descriptor, wanted)?;
        }
        Ok(found)
    }
}

/// Gives layers in a wanted compression, and makes those that are missing. Clones share the work: callers that want the
/// same variant at the same time wait for one.
#[derive(Clone, Debug)]
pub struct Converter {
    backends: ConverterBackends,
    limits: ConversionLimits,
    concurrent: NonZeroUsize,
    flights: Arc<Group<ConversionKey, Result<Held<Layer>>>>,
}

impl Converter {
    /// A converter over `backends`.
    pub fn new(backends: ConverterBackends) -> Self {
        Self {
            backends,
            limits: ConversionLimits::default(),
            concurrent: CONCURRENT_CONVERSIONS,
            flights: Arc::default(),
        }
    }

    /// The same with other limits, and work that it shares with its own clones only.
    #[must_use]
    pub fn with_limits(mut self, limits: ConversionLimits) -> Self {
        self.limits = limits;
        self.flights = Arc::default();
        self
    }

    /// The same, with so many layers of one chain at a time.
    #[must_use]
    pub fn with_concurrent_conversions(mut self, conversions: NonZeroUsize) -> Self {
        self.concurrent = conversions;
        self
    }

    /// What it works with.
    pub fn backends(&self) -> &ConverterBackends {
        &self.backends
    }

    /// `layer` in `wanted`: itself if it is, else a variant that the store has, else one that is made now: the same tar in a new
    /// blob, which is linked as a variant. `lease` holds what is made; what exists, whatever holds `layer`. The level of `wanted`
    /// is that of new blobs; existing ones are taken at any level.
    ///
    /// The tar is verified on the way: a blob that does not decode to the layer's DiffID makes none. The new layer has the same
    /// DiffID, unless the codec of either has a rule of its own: into eStargz goes the tar alone, and only the tar comes out of it, so
    /// that DiffIDs differ.
    ///
    /// # Errors
    /// `Invalid` for a level out of range, or a dead lease; `NotFound` if the store has no such blob; `Corrupt` if the blob does not
    /// decode, not to the layer's DiffID, or is not what its media type says; `LimitExceeded` past a limit; `Unsupported` for a compression without a codec;
    /// what the store gives. Nothing new is visible then.
    ///
    /// # Cancel safety
    /// A dropped call leaves a whole variant or none, and no ingest. Work that another caller shares goes on.
    ///
    /// Mirrors: BuildKit `cache/converter.go`, `util/converter` and `cache/blobs.go`, `ensureCompression`.
    pub async fn convert(&self, lease: &Lease, layer: &Layer, wanted: &CompressionConfig) -> Result<Layer> {
        let codec = self.backends.codecs.of(&wanted.compression)?;
        let level = codec.levels().resolve(&wanted.compression, wanted.level)?;
        let backends = &self.backends;
        let wanted = &wanted.compression;
        if let Some(found) = backends.find(layer, wanted).await? {
            return Ok(found);
        }
        let key = (layer.descriptor.digest, wanted.clone(), level);
        let work = || convert_alone(backends.clone(), self.limits.clone(), layer.clone(), wanted.clone(), level);
        self.flights.run(key, work).await?.adopt_into(lease).await
    }

    /// What a layer may decode to.
    #[cfg(feature = "estargz")]
    pub(super) fn limits(&self) -> &ConversionLimits {
        &self.limits
    }

    /// How many layers of one chain are converted at a time.
    pub(crate) fn concurrent(&self) -> usize {
        self.concurrent.get()
    }

    /// Refuses a compression without a codec, and a level out of range, also where nothing has to be made.
    pub(crate) fn check(&self, wanted: &CompressionConfig) -> Result<()> {
        self.backends.codecs.of(&wanted.compression)?.levels().resolve(&wanted.compression, wanted.level).map(drop)
    }
}

async fn convert_alone(
    backends: ConverterBackends,
    limits: ConversionLimits,
    layer: Layer,
    wanted: Compression,
    level: Option<i32>,
) -> Result<Held<Layer>> {
    // Somebody may have made it while this call was on its way.
    if let Some(found) = backends.find(&layer, &wanted).await? {
        return Ok(Held::found(found));
    }
    let lease = TemporaryLease::create(backends.leases.as_ref()).await?;
    let made = recode(&backends, limits, lease.lease(), &layer, &wanted, level).await?;
    link_variant(backends.content.as_ref(), &layer, &made).await?;
    Ok(Held::new(made, lease))
}
