//! Finding and reading the table of contents of a blob.

use std::io::{self, Read};

use cache_core::ports::{BlobReader, Pool};
use cache_core::{Digest, DigestHasher, Error, ErrorKind, Result};

use super::footer::{Footer, JsonPlace};
use super::skippable::{self, HEADER_BYTES};
use crate::codec::failure::error_of_io;
use crate::codec::toc::{Toc, TocLimits, collect};
use crate::codec::zstd::ZstdDecoder;
use crate::pack::{PipeReader, read_blocking};

/// Whether `blob` is zstd:chunked: it has the footer, and where that points is a skippable frame of the length that it tells.
///
/// # Errors
/// What reading `blob` gives, unless the bytes are just not those of zstd:chunked.
///
/// # Cancel safety
/// Nothing is changed.
pub async fn is_zstd_chunked(blob: &dyn BlobReader) -> Result<bool> {
    let found = async {
        let Some(footer) = footer_of(blob).await? else { return Ok(false) };
        let begin = frame_of(blob, footer.manifest)?.start;
        let header = collect(blob.read(begin..begin + HEADER_BYTES).await?, Footer::MAX_BYTES).await?;
        Ok(skippable::header(footer.manifest.compressed_bytes).is_some_and(|expected| header == expected))
    };
    match found.await {
        Err(error) if Error::kind(&error) == ErrorKind::Corrupt => Ok(false),
        outcome => outcome,
    }
}

/// The footer of `blob`, if it has one.
///
/// # Errors
/// What reading gives.
pub(super) async fn footer_of(blob: &dyn BlobReader) -> Result<Option<Footer>> {
    let size = blob.size();
    let begin = size.saturating_sub(Footer::MAX_BYTES as u64);
    let tail = collect(blob.read(begin..size).await?, Footer::MAX_BYTES).await?;
    Ok(Footer::of_tail(&tail))
}

/// The table of contents at `place`, which must have the digest `expected`, if that is known.
///
/// # Errors
/// `Corrupt` if it is none, or not the right one; `LimitExceeded`; what reading gives.
pub(super) async fn toc_of(
    pool: &dyn Pool,
    blob: &dyn BlobReader,
    place: JsonPlace,
    expected: Option<Digest>,
    limits: &TocLimits,
) -> Result<Toc> {
    let maximum = limits.toc_bytes;
    let range = frame_of(blob, place)?;
    if place.compressed_bytes > maximum || place.bytes > maximum {
        let target = format_args!("a table of contents of more than {maximum} bytes (toc_bytes)");
        return Err(Error::new(ErrorKind::LimitExceeded, "read", target));
    }
    let stream = blob.read(range).await?;
    let json = read_blocking(pool, stream, move |source| json_of(source, place, expected)).await?;
    let toc = Toc::parse(&json.1)?;
    Ok(Toc { digest: json.0, ..toc })
}

/// The skippable frame with what is at `place`: all of it has to lie before the end of `blob`.
fn frame_of(blob: &dyn BlobReader, place: JsonPlace) -> Result<std::ops::Range<u64>> {
    let begin = place.offset.checked_sub(HEADER_BYTES);
    let end = place.offset.checked_add(place.compressed_bytes).filter(|end| *end <= blob.size());
    match (begin, end) {
        (Some(begin), Some(end)) => Ok(begin..end),
        _ => Err(corrupt(format_args!("at byte {}, outside of the blob", place.offset))),
    }
}

/// The digest of the compressed JSON that `source` gives in its skippable frame, and the JSON.
fn json_of(mut source: PipeReader, place: JsonPlace, expected: Option<Digest>) -> Result<(Digest, Vec<u8>)> {
    let failure = |error| error_of_io("read", "the table of contents of a zstd:chunked layer", error);
    let mut header = [0; 8];
    source.read_exact(&mut header).map_err(failure)?;
    if skippable::header(place.compressed_bytes) != Some(header) {
        return Err(corrupt(format_args!("at byte {}, where no such frame is", place.offset)));
    }
    let mut compressed = Vec::new();
    source.read_to_end(&mut compressed).map_err(failure)?;
    let mut hasher = DigestHasher::new(expected.map(|digest| digest.algorithm()).unwrap_or_default());
    hasher.update(&compressed);
    let digest = hasher.finish();
    if let Some(expected) = expected.filter(|expected| *expected != digest) {
        return Err(corrupt(format_args!("{digest}, which should be {expected}")));
    }
    let mut json = Vec::new();
    let decoder = ZstdDecoder::new(Box::new(io::Cursor::new(compressed)))?;
    decoder.take(place.bytes.saturating_add(1)).read_to_end(&mut json).map_err(failure)?;
    if json.len() as u64 == place.bytes {
        Ok((digest, json))
    } else {
        Err(corrupt(format_args!("that is not of {} bytes", place.bytes)))
    }
}

fn corrupt(what: std::fmt::Arguments<'_>) -> Error {
    let target = format_args!("the table of contents of a zstd:chunked layer, {what}");
    Error::new(ErrorKind::Corrupt, "read", target)
}
