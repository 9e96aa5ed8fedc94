//! The codec.

use std::io::Read;
use std::sync::Arc;

use cache_core::{Compression, MediaType, Result};

use super::encoder::EstargzEncoder;
use super::footer::Footer;
use crate::codec::encoder::Encoder;
use crate::codec::gzip::{DeflateLibrary, Deflaters, GzipDecoder, GzipPieces};
use crate::codec::level::Levels;
use crate::codec::pieces::Pieces;
use crate::codec::port::{Codec, LayerMediaTypes};
use crate::codec::recipe::Recipe;
use crate::codec::sample::Sample;

/// eStargz layers, whose tar is kept as it is: no landmark is added and nothing moved to the front. The table of contents is
/// found in the bytes of the tar, whoever wrote it. Levels are those of [`Gzip`](crate::codec::Gzip).
#[derive(Debug, Default)]
pub struct Estargz {
    deflaters: Deflaters,
}

impl Estargz {
    /// The codec by the [default](DeflateLibrary::default) library of this build.
    pub fn new() -> Self {
        Self::default()
    }

    /// The codec by `library`.
    pub fn by(library: DeflateLibrary) -> Self {
        Self { deflaters: Deflaters::of(library) }
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
        self.deflaters.levels()
    }

    fn recipe(&self, level: Option<i32>) -> Result<Recipe> {
        let parameters = format!("member-size,noise-stored,chunk={}", super::CHUNK_BYTES);
        Ok(self.deflaters.recipe(&Compression::EStargz, level)?.with_parameters(parameters))
    }

    fn encoder(&self, level: Option<i32>) -> Result<Encoder> {
        let deflaters = self.deflaters.at(&Compression::EStargz, level)?;
        Ok(Encoder::Blocks(Arc::new(EstargzEncoder::new(deflaters)?)))
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
