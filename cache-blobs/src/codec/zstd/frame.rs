//! A zstd frame (RFC 8878).

use ::zstd::zstd_safe::{CCtx, CParameter, ErrorCode, compress_bound, get_error_name};
use cache_core::{Error, ErrorKind, Result};

use super::WINDOW_LOG;

/// A context that writes the frame's size, which is the library's default, and a checksum: four bytes a frame by which
/// any reader finds damage, also one that does not know the blob's digest.
pub(in crate::codec) fn context(level: i32) -> Result<CCtx<'static>> {
    let mut context =
        CCtx::try_create().ok_or_else(|| Error::new(ErrorKind::Unavailable, "create", "a zstd context"))?;
    let parameters =
        [CParameter::CompressionLevel(level), CParameter::WindowLog(WINDOW_LOG), CParameter::ChecksumFlag(true)];
    for parameter in parameters {
        context.set_parameter(parameter).map_err(failure)?;
    }
    Ok(context)
}

/// Appends `bytes` as one frame to `frames`, which grows by the frame's bound while that is done.
pub(in crate::codec) fn append(context: &mut CCtx<'static>, bytes: &[u8], frames: &mut Vec<u8>) -> Result<()> {
    frames.reserve(compress_bound(bytes.len()));
    let begin = frames.len();
    let mut rest = std::io::Cursor::new(frames);
    rest.set_position(begin as u64);
    context.compress2(&mut rest, bytes).map_err(failure)?;
    Ok(())
}

pub(in crate::codec) fn failure(code: ErrorCode) -> Error {
    Error::new(ErrorKind::Unavailable, "compress", "a zstd frame").with_source(get_error_name(code))
}
