//! Codecs: how the tar of a layer becomes the bytes of a blob, and back.
//!
//! [`Codec`] is the port. An embedder registers its own codecs beside the built-in ones in [`Codecs`].

mod block_bytes;
#[cfg(any(feature = "gzip", feature = "zstd"))]
mod contexts;
mod encoder;
#[cfg(feature = "estargz")]
pub mod estargz;
mod failure;
#[cfg(feature = "gzip")]
mod gzip;
mod level;
mod pieces;
mod port;
mod recipe;
mod recognise;
mod registry;
mod sample;
#[cfg(any(feature = "estargz", feature = "zstd-chunked"))]
mod toc;
mod uncompressed;
#[cfg(feature = "zstd")]
mod zstd;
#[cfg(feature = "zstd-chunked")]
pub mod zstd_chunked;

pub use block_bytes::BlockBytes;
pub use encoder::{
    Block, BlockEncoder, DiffIdRule, Encoded, EncodedBlock, Encoder, Ending, Notes, Sequence, StreamEncoder, TarTotal,
};
#[cfg(feature = "estargz")]
pub use estargz::Estargz;
pub(crate) use failure::carried;
pub use failure::{error_of_io, io_error};
#[cfg(feature = "gzip")]
pub use gzip::{DeflateLibrary, Gzip};
pub use level::Levels;
pub use pieces::{Cut, PieceDecoder, Pieces, Refused};
pub use port::{Codec, LayerMediaTypes};
pub use recipe::Recipe;
pub use registry::{Codecs, Decoding};
pub use sample::{SAMPLE_HEAD_BYTES, SAMPLE_TAIL_BYTES, Sample};
pub use uncompressed::Uncompressed;
#[cfg(feature = "zstd")]
pub use zstd::Zstd;
#[cfg(feature = "zstd-chunked")]
pub use zstd_chunked::ZstdChunked;
