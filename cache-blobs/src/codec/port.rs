//! The port that every codec implements.

use std::fmt::Debug;
use std::io::Read;
use std::sync::Arc;

use cache_core::{Compression, MediaType, Result};

use crate::codec::encoder::Encoder;
use crate::codec::level::Levels;
use crate::codec::pieces::Pieces;
use crate::codec::recipe::Recipe;
use crate::codec::sample::Sample;

/// The names of a codec's layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerMediaTypes {
    /// The OCI name.
    pub oci: MediaType,
    /// The Docker name; `None` where such a layer may not be in a Docker manifest, as eStargz may not.
    pub docker: Option<MediaType>,
}

/// Turns the tar of a layer into the bytes of a blob and back. Mirrors: BuildKit `util/compression.Type`.
///
/// The bytes that an encoder gives depend on its [`Recipe`] and the tar alone: never on threads, timing, the machine or
/// on what else is linked into the process.
pub trait Codec: Send + Sync + Debug + 'static {
    /// The compression that it stands for.
    fn compression(&self) -> Compression;

    /// The media types of its layers.
    fn media_types(&self) -> LayerMediaTypes;

    /// The levels that it accepts.
    fn levels(&self) -> Levels;

    /// By what its bytes are made at `level`; `None` is the default level.
    ///
    /// # Errors
    /// `Invalid` for a level out of range; the target of the error names the range.
    fn recipe(&self, level: Option<i32>) -> Result<Recipe>;

    /// A new encoder for one layer.
    ///
    /// # Errors
    /// As [`recipe`](Self::recipe).
    fn encoder(&self, level: Option<i32>) -> Result<Encoder>;

    /// The tar in the blob that `source` gives from its first byte on. It blocks where `source` does.
    ///
    /// The tar ends only where the blob ends: a damaged, truncated or continued blob is an error of kind
    /// [`InvalidData`](std::io::ErrorKind::InvalidData) or [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof), which
    /// [`error_of_io`](crate::codec::error_of_io) reads as `Corrupt`. Errors of `source` are passed on untouched.
    ///
    /// # Errors
    /// `Unavailable` if there is no memory for it.
    fn decoder(&self, source: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>>;

    /// How the parts of its blobs that do not depend on each other are found, so that they are decoded on several threads; `None` if
    /// there are none. A blob of another writer need not have them.
    fn pieces(&self) -> Option<Arc<dyn Pieces>>;

    /// Whether a blob that looks like `sample` is this codec's. The registry asks the codec that was registered last
    /// first, so that a codec may claim a special form of another one's blobs.
    fn detects(&self, sample: &Sample<'_>) -> bool;
}
