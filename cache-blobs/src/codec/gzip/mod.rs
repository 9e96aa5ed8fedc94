//! gzip: independent members that libdeflate compresses.

mod decoder;
mod encoder;
pub(super) mod member;
mod noise;
mod pieces;
mod sample;

pub(super) use decoder::GzipDecoder;
#[cfg(feature = "estargz")]
pub(super) use encoder::compression_level;
pub(super) use pieces::GzipPieces;
pub(super) use sample::version;

use std::io::Read;
use std::sync::Arc;

use cache_core::{Compression, MediaType, Result};
use libdeflater::Compressor;

use crate::codec::contexts::ContextsByLevel;
use crate::codec::encoder::Encoder;
use crate::codec::level::Levels;
use crate::codec::pieces::Pieces;
use crate::codec::port::{Codec, LayerMediaTypes};
use crate::codec::recipe::Recipe;
use crate::codec::sample::Sample;

/// Bytes of tar in a member. At level 5, members of 2 MiB are 0.1 to 0.4 % smaller than the output of `gzip -6`, and members of
/// 512 KiB up to 0.2 % larger; a member takes a worker some 20 ms (docs/codecs.md).
pub(super) const BLOCK_BYTES: usize = 2 << 20;

/// The fastest level whose output is smaller than that of `gzip -6` (docs/codecs.md).
pub(super) const DEFAULT_LEVEL: i32 = 5;

/// The highest of libdeflate's levels.
const MAX_LEVEL: i32 = 12;

pub(super) const LEVELS: Levels = Levels::new(0..=MAX_LEVEL, DEFAULT_LEVEL);

/// gzip layers. They are written as a sequence of independent members, which every reader of gzip understands, and each
/// member's header tells its size, so that members can be found without inflating them. Levels are libdeflate's.
#[derive(Debug, Default)]
pub struct Gzip {
    contexts: ContextsByLevel<Compressor>,
}

impl Gzip {
    /// The codec.
    pub fn new() -> Self {
        Self::default()
    }

    fn resolve(&self, level: Option<i32>) -> Result<i32> {
        Ok(LEVELS.resolve(&Compression::Gzip, level)?.unwrap_or(DEFAULT_LEVEL))
    }
}

impl Codec for Gzip {
    fn compression(&self) -> Compression {
        Compression::Gzip
    }

    fn media_types(&self) -> LayerMediaTypes {
        LayerMediaTypes { oci: MediaType::OCI_LAYER_GZIP, docker: Some(MediaType::DOCKER_LAYER_GZIP) }
    }

    fn levels(&self) -> Levels {
        LEVELS
    }

    fn recipe(&self, level: Option<i32>) -> Result<Recipe> {
        let level = self.resolve(level)?;
        Ok(Recipe::new(Compression::Gzip.name())
            .with_library("libdeflate", version(level)?)
            .with_level(level)
            .with_block(BLOCK_BYTES as u64)
            .with_parameters("member-size,noise-stored"))
    }

    fn encoder(&self, level: Option<i32>) -> Result<Encoder> {
        let level = self.resolve(level)?;
        Ok(Encoder::Blocks(Arc::new(encoder::GzipEncoder::new(level, self.contexts.of(level))?)))
    }

    fn decoder(&self, source: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(GzipDecoder::new(source)))
    }

    fn pieces(&self) -> Option<Arc<dyn Pieces>> {
        Some(Arc::new(GzipPieces))
    }

    fn detects(&self, sample: &Sample<'_>) -> bool {
        sample.is_gzip()
    }
}
