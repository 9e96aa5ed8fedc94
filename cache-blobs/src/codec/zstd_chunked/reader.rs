//! Reading single files of a zstd:chunked blob.

use std::ops::Range;
use std::sync::Arc;

use cache_core::ports::{BlobReader, ByteStream, Pool};
use cache_core::{Annotations, Error, ErrorKind, Result};

use super::FORM;
use super::footer::Footer;
use super::open_toc::{footer_of, toc_of};
use super::skippable::HEADER_BYTES;
use crate::codec::toc::{Toc, TocEntry, TocFiles, TocLimits};

/// A zstd:chunked blob whose files are read by their paths: of the blob, only the ranges that they need.
/// Mirrors: containers/storage `pkg/chunked/compression_linux.go`, `readZstdChunkedManifest`.
#[derive(Debug)]
pub struct ZstdChunkedReader {
    files: TocFiles,
    footer: Footer,
}

impl ZstdChunkedReader {
    /// Reads the table of contents of `blob`, and checks it. The layer's `annotations` tell where it is and its digest. If they do
    /// not, the footer tells the place, and the chunks are only as trustworthy as the blob.
    ///
    /// # Errors
    /// `Corrupt` if there is no table of contents, if it points where it must not, or if it has another digest; `LimitExceeded`;
    /// `Unsupported` for another version; what reading `blob` gives.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn open(
        pool: Arc<dyn Pool>,
        blob: Box<dyn BlobReader>,
        annotations: &Annotations,
        limits: TocLimits,
    ) -> Result<Self> {
        let (digest, footer) = match Footer::of_annotations(annotations)? {
            Some((digest, footer)) => (Some(digest), footer),
            None => {
                let footer = footer_of(&*blob).await?;
                let none = || Error::new(ErrorKind::Corrupt, "find the footer of", "a zstd:chunked layer");
                (None, footer.ok_or_else(none)?)
            }
        };
        let toc = toc_of(&*pool, &*blob, footer.manifest, digest, &limits).await?;
        let toc_offset = footer.manifest.offset.saturating_sub(HEADER_BYTES);
        Ok(Self { files: TocFiles::new(FORM, pool, blob, limits, toc, toc_offset)?, footer })
    }

    /// The table of contents.
    pub fn toc(&self) -> &Toc {
        self.files.toc()
    }

    /// Where the table of contents and the tar-split data are.
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// The entry that `path` names; leading and trailing slashes, `.` and `..` make no difference.
    pub fn entry(&self, path: &str) -> Option<&TocEntry> {
        self.files.entry(path)
    }

    /// The bytes of `range` of the regular file `path`, which may be a hard link; `None` if nothing has that name. A range that ends past
    /// the file gives the bytes there are. Each piece was verified before it is given, but for runs of zeros, which nobody has to
    /// fetch if the table says that they are some; at most one chunk is held.
    ///
    /// # Errors
    /// `Invalid` if `path` is no regular file; `Corrupt` for a hard link to nothing. The stream, which ends with its first error,
    /// gives `Corrupt` for a chunk that is not as the table says, `LimitExceeded` for one that is too large, and what reading
    /// the blob gives.
    pub fn read(&self, path: &str, range: Range<u64>) -> Result<Option<ByteStream>> {
        self.files.read(path, range)
    }
}
