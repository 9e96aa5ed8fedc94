//! Where the tar of a blob ends and its table of contents begins.

use std::io::{self, Cursor, Read};

use cache_core::ports::BlobReader;
use cache_core::{Error, ErrorKind, Result};
use futures::TryStreamExt;

use super::TOC_NAME;
use super::open_toc::footer_of;
use crate::codec::failure::error_of_io;
use crate::codec::gzip::GzipDecoder;
use crate::failure::archive_kind;
use crate::tar::{self, Header, Kind, Reader, TAR_BLOCK_BYTES};

/// Bytes of a table of contents in which its tar header is, however it was compressed.
const HEAD_BYTES: u64 = 4096;

/// Bytes of `blob` that decode to the tar alone; `None` if it is no eStargz: it has no footer, or where that points begins no
/// table of contents. Reads the footer and the table's first bytes.
///
/// # Errors
/// What reading `blob` gives.
pub(crate) async fn tar_end(blob: &dyn BlobReader) -> Result<Option<u64>> {
    let footer = match footer_of(blob).await {
        Ok(Some(footer)) => footer,
        Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
        Ok(None) | Err(_) => return Ok(None),
    };
    let end = blob.size().saturating_sub(footer.bytes as u64);
    let range = footer.toc_offset..end.min(footer.toc_offset.saturating_add(HEAD_BYTES));
    let pieces: Vec<_> = blob.read(range).await?.try_collect().await?;
    let mut head = Vec::with_capacity(TAR_BLOCK_BYTES);
    // The member is longer than what was read of it, so it may end in an error, behind the header.
    let inflated = GzipDecoder::new(Box::new(Cursor::new(pieces.concat())));
    drop(inflated.take(TAR_BLOCK_BYTES as u64).read_to_end(&mut head));
    let mut archive = Reader::new(&head[..]);
    let is_toc = matches!(archive.next_entry(), Ok(Some(entry)) if is_toc(entry.header()));
    Ok(is_toc.then_some(footer.toc_offset))
}

/// Reads `rest`, what decodes behind the tar, to its end: it must be a table of contents and nothing else. A reader of the
/// archive alone would else see other files than who cuts it off.
///
/// # Errors
/// `Corrupt` if it is anything else; what reading gives.
pub(crate) fn read_toc_alone(rest: &mut dyn Read) -> Result<()> {
    let lie = || Error::new(ErrorKind::Corrupt, "cut off the table of contents of", "an eStargz layer");
    let failed = |source: tar::Error| {
        Error::new(archive_kind(&source), "cut off the table of contents of", "an eStargz layer").with_source(source)
    };
    let mut archive = Reader::new(&mut *rest);
    match archive.next_entry().map_err(failed)? {
        Some(entry) if is_toc(entry.header()) => {}
        _ => return Err(lie().with_source("the footer points elsewhere")),
    }
    if archive.next_entry().map_err(failed)?.is_some() {
        return Err(lie().with_source("something follows it"));
    }
    drop(archive);
    let read = io::copy(rest, &mut io::sink());
    read.map(drop).map_err(|error| error_of_io("decode", "an eStargz layer", error))
}

fn is_toc(header: &Header) -> bool {
    header.kind == Kind::File && header.path == TOC_NAME.as_bytes()
}
