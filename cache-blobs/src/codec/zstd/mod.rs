//! Zstandard: independent frames.

mod decoder;
mod encoder;
pub(super) mod frame;

pub(super) use decoder::ZstdDecoder;

use std::io::Read;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ::zstd::zstd_safe;
use cache_core::{Compression, MediaType, Result};

use crate::codec::contexts::ContextsByLevel;
use crate::codec::encoder::Encoder;
use crate::codec::level::Levels;
use crate::codec::pieces::Pieces;
use crate::codec::port::{Codec, LayerMediaTypes};
use crate::codec::recipe::Recipe;
use crate::codec::sample::Sample;

/// Bytes of tar in a frame. With the window of [`WINDOW_LOG`], frames of 8 MiB are 3 % smaller than the output of `zstd -3`,
/// frames of 4 MiB 0.8 % (docs/codecs.md).
const BLOCK_BYTES: usize = 8 << 20;

/// The window is the whole frame: 8 MiB, which RFC 8878 asks every reader to accept.
pub(super) const WINDOW_LOG: u32 = 23;

/// The library's own default.
pub(super) const LIBRARY_LEVEL: i32 = 3;

/// zstd's number for whatever is the default, which is [`frame::fast_context`] here.
const OUR_LEVEL: i32 = 0;

/// Of that one, the entries of the table and the shortest match.
const FAST_HASH_LOG: u32 = 17;
const FAST_MIN_MATCH: u32 = 6;

/// The library's negative levels go on for long; below -7 they only lose.
const LEVELS: Levels = Levels::new(LIBRARY_LEVELS, OUR_LEVEL);

/// The library's levels that are accepted.
pub(super) const LIBRARY_LEVELS: RangeInclusive<i32> = -7..=22;

/// zstd layers. They are written as a sequence of independent frames with their sizes. Levels are the
/// library's, but for 0, the default: it lies between 2 and 3.
#[derive(Debug, Default)]
pub struct Zstd {
    contexts: ContextsByLevel<zstd_safe::CCtx<'static>>,
}

impl Zstd {
    /// The codec.
    pub fn new() -> Self {
        Self::default()
    }

    fn resolve(&self, level: Option<i32>) -> Result<i32> {
        Ok(LEVELS.resolve(&Compression::Zstd, level)?.unwrap_or(OUR_LEVEL))
    }
}

impl Codec for Zstd {
    fn compression(&self) -> Compression {
        Compression::Zstd
    }

    /// Docker has a name for zstd layers, though not every Docker reads them; BuildKit writes them, too.
    fn media_types(&self) -> LayerMediaTypes {
        LayerMediaTypes { oci: MediaType::OCI_LAYER_ZSTD, docker: Some(MediaType::DOCKER_LAYER_ZSTD) }
    }

    fn levels(&self) -> Levels {
        LEVELS
    }

    fn recipe(&self, level: Option<i32>) -> Result<Recipe> {
        let level = self.resolve(level)?;
        let search = match level {
            OUR_LEVEL => format!("fast,hash-log={FAST_HASH_LOG},min-match={FAST_MIN_MATCH},"),
            _ => String::new(),
        };
        Ok(Recipe::new(Compression::Zstd.name())
            .with_library("zstd", zstd_safe::version_string())
            .with_level(level)
            .with_block(BLOCK_BYTES as u64)
            .with_parameters(format!("{search}window-log={WINDOW_LOG}")))
    }

    fn encoder(&self, level: Option<i32>) -> Result<Encoder> {
        let level = self.resolve(level)?;
        Ok(Encoder::Blocks(Arc::new(encoder::ZstdEncoder::new(level, self.contexts.of(level)))))
    }

    fn decoder(&self, source: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(ZstdDecoder::new(source)?))
    }

    /// Frames are decoded as fast as the DiffID is taken, so more threads gain nothing.
    fn pieces(&self) -> Option<Arc<dyn Pieces>> {
        None
    }

    fn detects(&self, sample: &Sample<'_>) -> bool {
        sample.is_zstd()
    }
}
