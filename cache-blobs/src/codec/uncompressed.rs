//! The plain tar.

use std::io::Read;
use std::sync::Arc;

use cache_core::{Compression, MediaType, Result};

use crate::codec::encoder::Encoder;
use crate::codec::level::Levels;
use crate::codec::pieces::Pieces;
use crate::codec::port::{Codec, LayerMediaTypes};
use crate::codec::recipe::Recipe;
use crate::codec::sample::Sample;

/// Plain tars. It accepts and ignores levels, as BuildKit does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uncompressed;

impl Codec for Uncompressed {
    fn compression(&self) -> Compression {
        Compression::Uncompressed
    }

    fn media_types(&self) -> LayerMediaTypes {
        LayerMediaTypes { oci: MediaType::OCI_LAYER, docker: Some(MediaType::DOCKER_LAYER) }
    }

    fn levels(&self) -> Levels {
        Levels::NONE
    }

    fn recipe(&self, _level: Option<i32>) -> Result<Recipe> {
        Ok(Recipe::new(self.compression().name()))
    }

    fn encoder(&self, _level: Option<i32>) -> Result<Encoder> {
        Ok(Encoder::Identity)
    }

    fn decoder(&self, source: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>> {
        Ok(source)
    }

    /// Whatever no other codec claims is a plain tar, the empty blob too, which Docker once wrote.
    fn pieces(&self) -> Option<Arc<dyn Pieces>> {
        None
    }

    fn detects(&self, sample: &Sample<'_>) -> bool {
        !sample.is_gzip() && !sample.is_zstd()
    }
}
