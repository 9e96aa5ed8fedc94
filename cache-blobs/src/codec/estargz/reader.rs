//! Reading single files of an eStargz blob.

use std::ops::Range;
use std::sync::Arc;

use cache_core::ports::{BlobReader, ByteStream, Pool};
use cache_core::{Digest, Error, ErrorKind, Result};

use super::FORM;
use super::open_toc::{footer_of, toc_of};
use crate::codec::toc::{Toc, TocEntry, TocFiles, TocLimits};

/// An eStargz blob whose files are read by their paths: of the blob, only the ranges that they need.
/// Mirrors: stargz-snapshotter `estargz.Reader` with `VerifyTOC`.
#[derive(Debug)]
pub struct EstargzReader {
    files: TocFiles,
    toc_offset: u64,
}

impl EstargzReader {
    /// Reads the footer and the table of contents of `blob`, and checks them. The table must have the digest `toc_digest`, which
    /// the layer's annotation [`TOC_DIGEST`](super::TOC_DIGEST) tells; without it, chunks are only as trustworthy as the blob.
    ///
    /// # Errors
    /// `Corrupt` if there is no footer or table of contents, if either points where it must not, or if the table has another
    /// digest; `LimitExceeded`; `Unsupported` for another version; what reading `blob` gives.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn open(
        pool: Arc<dyn Pool>,
        blob: Box<dyn BlobReader>,
        toc_digest: Option<Digest>,
        limits: TocLimits,
    ) -> Result<Self> {
        let footer = footer_of(&*blob).await?;
        let footer = footer.ok_or_else(|| Error::new(ErrorKind::Corrupt, "find the footer of", "an eStargz layer"))?;
        let toc = toc_of(&*pool, &*blob, footer, &limits).await?;
        if let Some(expected) = toc_digest.filter(|expected| *expected != toc.digest) {
            let target = format_args!("the table of contents {}, which should be {expected}", toc.digest);
            return Err(Error::new(ErrorKind::Corrupt, "verify", target));
        }
        let toc_offset = footer.toc_offset;
        Ok(Self { files: TocFiles::new(FORM, pool, blob, limits, toc, toc_offset)?, toc_offset })
    }

    /// The table of contents.
    pub fn toc(&self) -> &Toc {
        self.files.toc()
    }

    /// Bytes of blob before the table of contents: decoded, they are the tar.
    pub fn toc_offset(&self) -> u64 {
        self.toc_offset
    }

    /// The entry that `path` names; leading and trailing slashes, `.` and `..` make no difference.
    pub fn entry(&self, path: &str) -> Option<&TocEntry> {
        self.files.entry(path)
    }

    /// The bytes of `range` of the regular file `path`, which may be a hard link; `None` if nothing has that name. A range that ends past
    /// the file gives the bytes there are. Each piece was verified before it is given; at most one chunk is held.
    ///
    /// # Errors
    /// `Invalid` if `path` is no regular file; `Corrupt` for a hard link to nothing. The stream, which ends with its first error,
    /// gives `Corrupt` for a chunk that is not as the table says, `LimitExceeded` for one that is too large, and what reading
    /// the blob gives.
    pub fn read(&self, path: &str, range: Range<u64>) -> Result<Option<ByteStream>> {
        self.files.read(path, range)
    }
}
