//! Ranges of a blob that are held whole.

use bytes::Bytes;
use cache_core::ports::ByteStream;
use cache_core::{Error, ErrorKind, Result};
use futures::StreamExt;

/// All of `stream`, which must not give more than `maximum` bytes.
pub(in crate::codec) async fn collect(mut stream: ByteStream, maximum: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece: Bytes = piece?;
        if piece.len() > maximum - bytes.len() {
            return Err(Error::new(ErrorKind::Corrupt, "read", "a range that gives more bytes than were asked for"));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
