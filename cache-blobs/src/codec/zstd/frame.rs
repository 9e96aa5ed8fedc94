//! A zstd frame (RFC 8878).

use ::zstd::zstd_safe::{CCtx, CParameter, ErrorCode, Strategy, compress_bound, get_error_name};
use cache_core::{Error, ErrorKind, Result};

use super::{FAST_HASH_LOG, FAST_MIN_MATCH, LIBRARY_LEVEL, WINDOW_LOG};
use crate::codec::block_bytes::BlockBytes;

/// A context of the library's `level`.
pub(in crate::codec) fn context(level: i32) -> Result<CCtx<'static>> {
    context_of([CParameter::CompressionLevel(level)])
}

/// A context between the library's levels 2 and 3: the search of level 2 in tables that fit into a processor's second cache. It takes 0.7 of the
/// time of level 3 (docs/codecs.md).
pub(in crate::codec) fn fast_context() -> Result<CCtx<'static>> {
    context_of([
        CParameter::CompressionLevel(LIBRARY_LEVEL),
        CParameter::Strategy(Strategy::ZSTD_fast),
        CParameter::HashLog(FAST_HASH_LOG),
        CParameter::MinMatch(FAST_MIN_MATCH),
    ])
}

/// A context that writes the frame's size, which is the library's default, and no checksum: every byte of a layer is below two
/// digests already, and a third sum would cost every packer and every reader a fortieth of their time.
fn context_of(search: impl IntoIterator<Item = CParameter>) -> Result<CCtx<'static>> {
    let mut context =
        CCtx::try_create().ok_or_else(|| Error::new(ErrorKind::Unavailable, "create", "a zstd context"))?;
    let frame = [CParameter::WindowLog(WINDOW_LOG), CParameter::ChecksumFlag(false)];
    for parameter in search.into_iter().chain(frame) {
        context.set_parameter(parameter).map_err(failure)?;
    }
    Ok(context)
}

/// Appends `bytes` as one frame to `frames`, which grows by the frame's bound while that is done.
pub(in crate::codec) fn append(context: &mut CCtx<'static>, bytes: &[u8], frames: &mut BlockBytes) -> Result<()> {
    frames.write_with(compress_bound(bytes.len()), |room| context.compress2(room, bytes)).map_err(failure)
}

pub(in crate::codec) fn failure(code: ErrorCode) -> Error {
    Error::new(ErrorKind::Unavailable, "compress", "a zstd frame").with_source(get_error_name(code))
}
