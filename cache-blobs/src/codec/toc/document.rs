//! A table of contents.

use cache_core::json::null_as_empty;
use cache_core::{Digest, Error, ErrorKind, Result};
use serde::Deserialize;

use super::entry::TocEntry;

/// The only version there is.
const VERSION: u32 = 1;

/// A table of contents as it was written; what it says is not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Toc {
    /// The digest by which it is known: in eStargz that of its JSON, in zstd:chunked that of the compressed JSON.
    pub digest: Digest,
    /// Its entries in the order of the archive.
    pub entries: Vec<TocEntry>,
    /// The digest of the compressed tar-split data, which rebuilds the archive from the table and the files; only in zstd:chunked,
    /// and not in every blob.
    pub tar_split: Option<Digest>,
}

impl Toc {
    /// Reads its JSON, whose digest is taken for the table's.
    ///
    /// # Errors
    /// `Corrupt` if it is none, `Unsupported` for another version than 1.
    pub fn parse(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Document {
            version: u32,
            #[serde(default, deserialize_with = "null_as_empty")]
            entries: Vec<TocEntry>,
            #[serde(default, rename = "tarSplitDigest")]
            tar_split: Option<Digest>,
        }
        let document: Document = serde_json::from_slice(json).map_err(|source| {
            Error::new(ErrorKind::Corrupt, "read the table of contents", "a layer").with_source(source)
        })?;
        match document.version {
            VERSION => Ok(Self { digest: Digest::of(json), entries: document.entries, tar_split: document.tar_split }),
            version => Err(Error::new(
                ErrorKind::Unsupported,
                "read the table of contents",
                format_args!("a layer, of version {version}"),
            )),
        }
    }
}
