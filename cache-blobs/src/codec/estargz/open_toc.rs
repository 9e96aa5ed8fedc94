//! Finding and reading the table of contents of a blob.

use std::io::Read;

use cache_core::ports::{BlobReader, Pool};
use cache_core::{Error, ErrorKind, Result};

use super::TOC_NAME;
use super::footer::Footer;
use crate::codec::failure::error_of_io;
use crate::codec::gzip::GzipDecoder;
use crate::codec::toc::{Toc, TocLimits, collect};
use crate::failure::archive_kind;
use crate::pack::{PipeReader, read_blocking};
use crate::tar::{self, Header, Kind, Reader};

/// Whether `blob` is eStargz: it has the footer, and where that points begins a table of contents. Reads the footer and the
/// beginning of the table alone. Mirrors: BuildKit `util/compression/estargz.go`, `EStargz.Is`.
///
/// # Errors
/// What reading `blob` gives, unless the bytes are just not those of eStargz.
///
/// # Cancel safety
/// Nothing is changed.
pub async fn is_estargz(pool: &dyn Pool, blob: &dyn BlobReader) -> Result<bool> {
    let found = async {
        let Some(footer) = footer_of(blob).await? else { return Ok(false) };
        let stream = blob.read(toc_range(blob, footer)).await?;
        read_blocking(pool, stream, |source| {
            let mut archive = Reader::new(GzipDecoder::new(Box::new(source)));
            let entry = archive.next_entry().map_err(tar_failure)?;
            Ok(entry.is_some_and(|entry| is_toc(entry.header())))
        })
        .await
    };
    match found.await {
        Err(error) if [ErrorKind::Corrupt, ErrorKind::Unsupported].contains(&Error::kind(&error)) => Ok(false),
        outcome => outcome,
    }
}

/// The footer of `blob`, if it has one.
///
/// # Errors
/// `Corrupt` if it points outside of the blob; what reading gives.
pub(super) async fn footer_of(blob: &dyn BlobReader) -> Result<Option<Footer>> {
    let size = blob.size();
    let begin = size.saturating_sub(Footer::MAX_BYTES as u64);
    let tail = collect(blob.read(begin..size).await?, Footer::MAX_BYTES).await?;
    let Some(footer) = Footer::of_tail(&tail) else { return Ok(None) };
    let before = size.saturating_sub(footer.bytes as u64);
    if footer.toc_offset >= before {
        let target =
            format_args!("the footer of an eStargz layer, which points to byte {} of {size}", footer.toc_offset);
        return Err(Error::new(ErrorKind::Corrupt, "follow", target));
    }
    Ok(Some(footer))
}

/// The table of contents to which `footer` points.
///
/// # Errors
/// `Corrupt` if there is none; `LimitExceeded`; what reading gives.
pub(super) async fn toc_of(pool: &dyn Pool, blob: &dyn BlobReader, footer: Footer, limits: &TocLimits) -> Result<Toc> {
    let stream = blob.read(toc_range(blob, footer)).await?;
    let maximum = limits.toc_bytes;
    read_blocking(pool, stream, move |source| parse(source, maximum)).await
}

fn toc_range(blob: &dyn BlobReader, footer: Footer) -> std::ops::Range<u64> {
    footer.toc_offset..blob.size().saturating_sub(footer.bytes as u64)
}

fn parse(source: PipeReader, maximum: u64) -> Result<Toc> {
    let mut archive = Reader::new(GzipDecoder::new(Box::new(source)));
    let json = match archive.next_entry().map_err(tar_failure)? {
        Some(mut entry) if is_toc(entry.header()) => {
            if entry.header().size > maximum {
                let target = format_args!("a table of contents of more than {maximum} bytes (toc_bytes)");
                return Err(Error::new(ErrorKind::LimitExceeded, "read", target));
            }
            let mut json = Vec::new();
            entry.read_to_end(&mut json).map_err(|error| error_of_io("read", "a table of contents", error))?;
            json
        }
        _ => return Err(Error::new(ErrorKind::Corrupt, "find the table of contents", "where the footer points")),
    };
    match archive.next_entry().map_err(tar_failure)? {
        None => Toc::parse(&json),
        Some(_) => Err(Error::new(ErrorKind::Corrupt, "read", "a table of contents that something follows")),
    }
}

fn is_toc(header: &Header) -> bool {
    header.kind == Kind::File && header.path == TOC_NAME.as_bytes()
}

fn tar_failure(error: tar::Error) -> Error {
    Error::new(archive_kind(&error), "read the table of contents of", "an eStargz layer").with_source(error)
}
