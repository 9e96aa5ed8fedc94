//! The codec.

use std::io::Read;
use std::sync::Arc;

use cache_core::{Compression, MediaType, Result};
use libdeflater::Compressor;

use super::encoder::EstargzEncoder;
use super::footer::Footer;
use crate::codec::contexts::ContextsByLevel;
use crate::codec::encoder::Encoder;
use crate::codec::gzip::{BLOCK_BYTES, DEFAULT_LEVEL, GzipDecoder, GzipPieces, LEVELS, version};
use crate::codec::level::Levels;
use crate::codec::pieces::Pieces;
use crate::codec::port::{Codec, LayerMediaTypes};
use crate::codec::recipe::Recipe;
use crate::codec::sample::Sample;

/// eStargz layers, whose tar is kept as it is: no landmark is added and nothing moved to the front. The table of contents is
/// found in the bytes of the tar, whoever wrote it. Levels are those of [`Gzip`](crate::codec::Gzip).
#[derive(Debug, Default)]
pub struct Estargz {
    contexts: ContextsByLevel<Compressor>,
}

impl Estargz {
    /// The codec.
    pub fn new() -> Self {
        Self::default()
    }

    fn resolve(&self, level: Option<i32>) -> Result<i32> {
        Ok(LEVELS.resolve(&Compression::EStargz, level)?.unwrap_or(DEFAULT_LEVEL))
    }
}

impl Codec for Estargz {
    fn compression(&self) -> Compression {
        Compression::EStargz
    }

    /// Docker's manifests have no annotations of layers, without which nobody can trust the table of contents.
    fn media_types(&self) -> LayerMediaTypes {
        LayerMediaTypes { oci: MediaType::OCI_LAYER_GZIP, docker: None }
    }

    fn levels(&self) -> Levels {
        LEVELS
    }

    fn recipe(&self, level: Option<i32>) -> Result<Recipe> {
        let level = self.resolve(level)?;
        Ok(Recipe::new(Compression::EStargz.name())
            .with_library("libdeflate", version(level)?)
            .with_level(level)
            .with_block(BLOCK_BYTES as u64)
            .with_parameters(format!("member-size,noise-stored,chunk={}", super::CHUNK_BYTES)))
    }

    fn encoder(&self, level: Option<i32>) -> Result<Encoder> {
        let level = self.resolve(level)?;
        Ok(Encoder::Blocks(Arc::new(EstargzEncoder::new(level, self.contexts.of(level))?)))
    }

    /// Gives what the DiffID covers: the tar, and behind its end the archive with the table of contents. The tar alone is what
    /// the blob's first [`toc_offset`](super::Footer::toc_offset) bytes decode to.
    fn decoder(&self, source: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(GzipDecoder::new(source)))
    }

    fn pieces(&self) -> Option<Arc<dyn Pieces>> {
        Some(Arc::new(GzipPieces))
    }

    /// Looks at the footer. Without a tail the blob is seen as gzip, which it is, too; whether there is a table of contents
    /// where the footer points is for [`is_estargz`](super::is_estargz) to say.
    fn detects(&self, sample: &Sample<'_>) -> bool {
        sample.is_gzip() && sample.tail.is_some_and(|tail| Footer::of_tail(tail).is_some())
    }
}
