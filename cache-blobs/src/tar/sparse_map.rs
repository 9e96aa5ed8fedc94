//! Where the stored pieces of a sparse file belong.

use super::Problem;

/// A stored run of bytes and the place in the file where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Pieces in order, checked against the file's size and the stored bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SparseMap {
    pub(super) pieces: Vec<Piece>,
    pub(super) real_size: u64,
}

impl SparseMap {
    /// Orders nothing and repairs nothing: pieces must ascend without overlap, end within the file, and be exactly
    /// the stored bytes.
    pub(super) fn new(pieces: Vec<Piece>, real_size: u64, stored: u64) -> Result<Self, Problem> {
        let (mut end, mut sum) = (0u64, 0u64);
        for piece in &pieces {
            if piece.offset < end {
                return Err(Problem::SparseMap);
            }
            end = piece.offset.checked_add(piece.length).ok_or(Problem::SparseMap)?;
            sum += piece.length;
        }
        if end > real_size || sum != stored || i64::try_from(real_size).is_err() {
            return Err(Problem::SparseMap);
        }
        Ok(Self { pieces, real_size })
    }
}
