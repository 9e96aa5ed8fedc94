//! gzip: independent members.

mod decoder;
mod deflater;
mod deflaters;
mod encoder;
mod library;
pub(super) mod member;
mod noise;
mod pieces;
mod sample;

pub(super) use decoder::GzipDecoder;
pub(super) use deflaters::Deflaters;
#[cfg(feature = "estargz")]
pub(super) use deflaters::DeflatersAt;
pub use library::DeflateLibrary;
pub(super) use pieces::GzipPieces;

use std::io::Read;
use std::sync::Arc;

use cache_core::{Compression, MediaType, Result};

use crate::codec::encoder::Encoder;
use crate::codec::level::Levels;
use crate::codec::pieces::Pieces;
use crate::codec::port::{Codec, LayerMediaTypes};
use crate::codec::recipe::Recipe;
use crate::codec::sample::Sample;

/// Bytes of tar in a member. By libdeflate at level 5, members of 2 MiB are 0.1 to 0.4 % smaller than the output of `gzip -6`, and members of
/// 512 KiB up to 0.2 % larger; a member takes a worker some 20 ms (docs/codecs.md).
pub(super) const BLOCK_BYTES: usize = 2 << 20;

/// gzip layers. They are written as a sequence of independent members, which every reader of gzip understands, and each
/// member's header tells its size, so that members can be found without inflating them. Levels are those of the library.
#[derive(Debug, Default)]
pub struct Gzip {
    deflaters: Deflaters,
}

impl Gzip {
    /// The codec by the [default](DeflateLibrary::default) library of this build.
    pub fn new() -> Self {
        Self::default()
    }

    /// The codec by `library`.
    pub fn by(library: DeflateLibrary) -> Self {
        Self { deflaters: Deflaters::of(library) }
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
        self.deflaters.levels()
    }

    fn recipe(&self, level: Option<i32>) -> Result<Recipe> {
        Ok(self.deflaters.recipe(&Compression::Gzip, level)?.with_parameters("member-size,noise-stored"))
    }

    fn encoder(&self, level: Option<i32>) -> Result<Encoder> {
        let deflaters = self.deflaters.at(&Compression::Gzip, level)?;
        Ok(Encoder::Blocks(Arc::new(encoder::GzipEncoder::new(deflaters)?)))
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
