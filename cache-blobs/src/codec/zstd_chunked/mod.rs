//! zstd:chunked: zstd whose files can be found by a table of contents and read one by one.
//!
//! [`ZstdChunked`] packs it, as podman, buildah, skopeo and CRI-O read it. [`ZstdChunkedReader`] reads single files of a blob
//! that is somewhere else, and believes none of it: the table is compared with its digest, and every chunk with the table's
//! digest of it.
//! Mirrors: containers/storage `pkg/chunked`.

mod codec;
mod crc64;
mod encoder;
mod footer;
mod manifest;
mod open_file;
mod open_toc;
mod packed_json;
mod reader;
mod rollsum;
mod sequence;
mod skippable;
mod splitter;
mod tar_split;
mod times;

pub use codec::ZstdChunked;
pub use footer::{Footer, JsonPlace};
pub use open_toc::is_zstd_chunked;
pub use reader::ZstdChunkedReader;

use super::toc::Form;
pub use super::toc::{Base64Bytes, ChunkKind, Toc, TocEntry, TocKind, TocLimits};
use super::zstd::ZstdDecoder;

/// Annotation of the layer: the digest of the compressed table of contents, by which a reader knows that it is the right one.
pub const MANIFEST_CHECKSUM: &str = "io.github.containers.zstd-chunked.manifest-checksum";
/// Annotation of the layer: where the table of contents is, as `offset:compressed:uncompressed:1` in bytes.
pub const MANIFEST_POSITION: &str = "io.github.containers.zstd-chunked.manifest-position";
/// Annotation of the layer: where the tar-split data is, as `offset:compressed:uncompressed` in bytes.
pub const TAR_SPLIT_POSITION: &str = "io.github.containers.zstd-chunked.tarsplit-position";

const FORM: Form = Form { name: "zstd:chunked", decode: |source| Ok(Box::new(ZstdDecoder::new(source)?)) };

/// Bytes of tar that are encoded at a time. Frames end with a block, so that chunks of 64 KiB on average are seldom cut; every worker
/// holds one.
const BLOCK_BYTES: usize = 4 << 20;

/// The most places of a block at which a chunk may begin because of the bytes before it: one every 4 KiB, where one every 64 KiB
/// is usual. It bounds frames and entries of files that are made to be cut often.
const ROLLING_CUTS_PER_BLOCK: usize = BLOCK_BYTES / 4096;
