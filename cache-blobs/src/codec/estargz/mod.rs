//! eStargz: gzip whose files can be found by a table of contents and read one by one.
//!
//! [`Estargz`] packs it. [`EstargzReader`] reads single files of a blob that is somewhere else, and believes none of it: the
//! table is compared with its digest, and every chunk with the table's digest of it.
//! Mirrors: stargz-snapshotter `estargz`, in the lossless mode of BuildKit `util/compression/estargz.go`.

mod codec;
mod cut;
mod encoder;
mod footer;
mod open_file;
mod open_toc;
mod prefetch;
mod reader;
mod sequence;
mod time;
mod toc_tar;

pub use codec::Estargz;
pub(crate) use cut::{read_toc_alone, tar_end};
pub use footer::Footer;
pub use open_toc::is_estargz;
pub use prefetch::{MissingFiles, NO_PREFETCH_LANDMARK, PREFETCH_LANDMARK, Piece, PrefetchOptions, PrefetchOrder};
pub use reader::EstargzReader;

use super::gzip::GzipDecoder;
use super::toc::Form;
pub use super::toc::{Base64Bytes, ChunkKind, Toc, TocEntry, TocKind, TocLimits};

/// Annotation of the layer: the digest of the table of contents, as JSON, by which a reader knows that it is the right one.
pub const TOC_DIGEST: &str = "containerd.io/snapshot/stargz/toc.digest";
/// Annotation of the layer: decimal bytes of all that the blob inflates to, table of contents included.
pub const UNCOMPRESSED_SIZE: &str = "io.containers.estargz.uncompressed-size";

const FORM: Form = Form { name: "eStargz", decode: |source| Ok(Box::new(GzipDecoder::new(source))) };

/// The name of the table of contents in the archive.
const TOC_NAME: &str = "stargz.index.json";

/// Bytes of a file in a chunk, the default of stargz-snapshotter.
const CHUNK_BYTES: u64 = 4 << 20;
