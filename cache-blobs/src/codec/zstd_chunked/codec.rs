//! The codec.

use std::io::Read;
use std::sync::Arc;

use ::zstd::zstd_safe;
use cache_core::{Compression, MediaType, Result};

use super::encoder::ZstdChunkedEncoder;
use super::footer::Footer;
use super::{BLOCK_BYTES, rollsum, splitter};
use crate::codec::contexts::ContextsByLevel;
use crate::codec::encoder::Encoder;
use crate::codec::level::Levels;
use crate::codec::pieces::Pieces;
use crate::codec::port::{Codec, LayerMediaTypes};
use crate::codec::recipe::Recipe;
use crate::codec::sample::Sample;
use crate::codec::zstd::{LIBRARY_LEVEL, LIBRARY_LEVELS, WINDOW_LOG, ZstdDecoder};

/// zstd:chunked layers. The table of contents is found in the bytes of the tar, whoever wrote it. Levels are those of
/// [`Zstd`](crate::codec::Zstd).
#[derive(Debug, Default)]
pub struct ZstdChunked {
    contexts: ContextsByLevel<zstd_safe::CCtx<'static>>,
}

impl ZstdChunked {
    /// The codec.
    pub fn new() -> Self {
        Self::default()
    }
}

/// The library's, whose default suits the many small frames better than that of [`Zstd`](crate::codec::Zstd).
const LEVELS: Levels = Levels::new(LIBRARY_LEVELS, LIBRARY_LEVEL);

fn resolve(wish: Option<i32>) -> Result<i32> {
    Ok(match LEVELS.resolve(&Compression::ZSTD_CHUNKED, wish)? {
        None | Some(0) => LIBRARY_LEVEL,
        Some(level) => level,
    })
}

impl Codec for ZstdChunked {
    fn compression(&self) -> Compression {
        Compression::ZSTD_CHUNKED
    }

    /// Docker's manifests have no annotations of layers, without which nobody can trust the table of contents.
    fn media_types(&self) -> LayerMediaTypes {
        LayerMediaTypes { oci: MediaType::OCI_LAYER_ZSTD, docker: None }
    }

    fn levels(&self) -> Levels {
        LEVELS
    }

    fn recipe(&self, level: Option<i32>) -> Result<Recipe> {
        let (bits, zeros) = (rollsum::SPLIT_BITS, splitter::MIN_ZEROS);
        Ok(Recipe::new(Compression::ZSTD_CHUNKED.name())
            .with_library("zstd", zstd_safe::version_string())
            .with_level(resolve(level)?)
            .with_block(BLOCK_BYTES as u64)
            .with_parameters(format!("window-log={WINDOW_LOG},rollsum={bits},zeros={zeros}")))
    }

    fn encoder(&self, level: Option<i32>) -> Result<Encoder> {
        let level = resolve(level)?;
        Ok(Encoder::Blocks(Arc::new(ZstdChunkedEncoder::new(level, self.contexts.of(level)))))
    }

    /// Gives the tar: what follows it is in frames that decode to nothing.
    fn decoder(&self, source: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(ZstdDecoder::new(source)?))
    }

    /// Frames are decoded as fast as the DiffID is taken, so more threads gain nothing.
    fn pieces(&self) -> Option<Arc<dyn Pieces>> {
        None
    }

    /// Looks at the footer. Without a tail the blob is seen as zstd, which it is, too; whether there is a table of contents
    /// where the footer points is for [`is_zstd_chunked`](super::is_zstd_chunked) to say.
    fn detects(&self, sample: &Sample<'_>) -> bool {
        sample.is_zstd() && sample.tail.is_some_and(|tail| Footer::of_tail(tail).is_some())
    }
}
