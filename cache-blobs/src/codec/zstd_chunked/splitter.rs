//! Cutting a file into chunks by what is in it.

use super::rollsum::RollSum;
use crate::codec::toc::ChunkKind;

/// Zeros that are worth a chunk of their own. Mirrors: containers/storage `pkg/chunked/compressor/compressor.go`,
/// `holesThreshold`.
pub(super) const MIN_ZEROS: usize = 1024;

/// Cuts one file: at runs of zeros, and where the rolling checksum says. Runs are looked for in each part of the file that it
/// is given; one that reaches into the next part goes on there, but one that is too short before and after the border is none.
#[derive(Debug)]
pub(super) struct Splitter {
    sum: RollSum,
    /// The chunk that the last part did not end.
    open: Option<ChunkKind>,
}

/// Bytes of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) kind: ChunkKind,
    /// 0 if all that is to say is that the chunk is over.
    pub(super) bytes: usize,
    /// Whether the chunk is over.
    pub(super) ends: bool,
}

impl Splitter {
    /// A splitter at the beginning of a file.
    pub(super) fn new() -> Self {
        Self { sum: RollSum::new(), open: None }
    }

    /// Tells of each run of `part`, the next bytes of the file. The checksum ends at most `cuts` chunks, from which it counts down.
    pub(super) fn split(&mut self, part: &[u8], cuts: &mut usize, mut tell: impl FnMut(Run)) {
        let mut tell = |open: &mut Option<ChunkKind>, kind, bytes, ends: bool| {
            *open = (!ends).then_some(kind);
            tell(Run { kind, bytes, ends });
        };
        let mut at = 0;
        if self.open == Some(ChunkKind::Zeros) && !part.is_empty() {
            at = leading_zeros(part);
            tell(&mut self.open, ChunkKind::Zeros, at, at < part.len());
        }
        while let Some(rest) = part.get(at..).filter(|rest| !rest.is_empty()) {
            let (begin, length) = find_zeros(rest).unwrap_or((rest.len(), 0));
            let (mut data, after) = rest.split_at(begin);
            while let Some(bytes) = if *cuts > 0 { self.sum.next_split(data) } else { None } {
                *cuts -= 1;
                tell(&mut self.open, ChunkKind::Data, bytes, true);
                data = data.get(bytes..).unwrap_or_default();
            }
            if !data.is_empty() || (self.open.is_some() && length > 0) {
                tell(&mut self.open, ChunkKind::Data, data.len(), length > 0);
            }
            if length > 0 {
                tell(&mut self.open, ChunkKind::Zeros, length, length < after.len());
                self.sum = RollSum::new();
            }
            at += begin + length;
        }
    }
}

fn leading_zeros(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len())
}

/// The first run of enough zeros: the bytes before it, and its length.
fn find_zeros(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut begin = 0;
    // Of so many bytes the last one is looked at first: if it is none, none of the others can begin a run.
    while let Some(run) = bytes.get(begin..begin + MIN_ZEROS) {
        match run.iter().rposition(|byte| *byte != 0) {
            Some(at) => begin += at + 1,
            None => return Some((begin, leading_zeros(bytes.get(begin..)?))),
        }
    }
    None
}
