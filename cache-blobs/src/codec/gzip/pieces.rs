//! Members that tell their lengths.

use cache_core::Result;
use flate2::{Decompress, FlushDecompress, Status};

use super::BLOCK_BYTES;
use super::member::{HEADER_BYTES, TRAILER_BYTES, member_bytes};
use crate::codec::pieces::{Cut, PieceDecoder, Pieces, Refused};

/// A member that is longer than its block and this is nobody's of ours.
const SLACK_BYTES: usize = 64 * 1024;

/// Cuts what this crate's encoders write.
#[derive(Debug)]
pub(in crate::codec) struct GzipPieces;

impl Pieces for GzipPieces {
    fn cut(&self, ahead: &[u8]) -> Cut {
        let Some(header) = ahead.first_chunk() else {
            return Cut::More(HEADER_BYTES);
        };
        let bytes = match member_bytes(header).map(usize::try_from) {
            Some(Ok(bytes)) if (HEADER_BYTES + TRAILER_BYTES..=BLOCK_BYTES + SLACK_BYTES).contains(&bytes) => bytes,
            _ => return Cut::Stream,
        };
        let Some(member) = ahead.get(..bytes) else {
            return Cut::More(bytes);
        };
        match member.last_chunk().map(|length| usize::try_from(u32::from_le_bytes(*length))) {
            Some(Ok(tar_bytes)) if tar_bytes <= BLOCK_BYTES => Cut::Piece { bytes, tar_bytes },
            _ => Cut::Stream,
        }
    }

    fn decoder(&self) -> Result<Box<dyn PieceDecoder>> {
        Ok(Box::new(MemberDecoder(Decompress::new(false))))
    }
}

/// zlib-rs tells where a member ends in what it was given; libdeflate's binding does not.
struct MemberDecoder(Decompress);

impl PieceDecoder for MemberDecoder {
    fn decode(&mut self, piece: &[u8], tar: &mut [u8]) -> std::result::Result<(), Refused> {
        let end = piece.len().checked_sub(TRAILER_BYTES).ok_or(Refused)?;
        let (deflated, trailer) = (piece.get(HEADER_BYTES..end).ok_or(Refused)?, piece.get(end..).ok_or(Refused)?);
        let length = u32::try_from(tar.len()).map_err(|_| Refused)?;
        self.0.reset(false);
        let status = self.0.decompress(deflated, tar, FlushDecompress::Finish).map_err(|_| Refused)?;
        let is_exact = status == Status::StreamEnd
            && self.0.total_in() == deflated.len() as u64
            && self.0.total_out() == tar.len() as u64
            && trailer == [crc32fast::hash(tar).to_le_bytes(), length.to_le_bytes()].concat();
        is_exact.then_some(()).ok_or(Refused)
    }
}
