//! Finds what deflate makes no smaller: archives, pictures and packages that are compressed already.
//!
//! libdeflate spends as long on noise as on text, and then stores it. In a root file system of Debian that is a sixth of the time
//! of level 5 and a quarter of that of level 1. All arithmetic is in integers, since the outcome decides about bytes.

/// Bytes that are judged as one.
pub(super) const PART_BYTES: usize = 64 << 10;

/// Fewer bytes tell nothing.
const LEAST_BYTES: usize = 4096;

/// From each part, so many pieces of so many bytes are counted.
const PIECES: usize = 16;
const PIECE_BYTES: usize = 256;

/// At the first positions of each stretch, a repetition of what begins at an earlier, noted one is looked for: whatever repeats for
/// longer than a stretch is found.
const STRETCH_BYTES: usize = 256;
const SOUGHT: usize = 16;
const NOTED_EVERY: usize = 8;

/// What a run of bytes is to deflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Worth compressing.
    Dense,
    /// Best stored.
    Noise,
}

/// `block` cut where its content changes; one run at least.
pub(super) fn runs(block: &[u8]) -> Vec<(Content, &[u8])> {
    let mut last = Content::Dense;
    let contents: Vec<_> = block
        .chunks(PART_BYTES)
        .map(|part| {
            if part.len() >= LEAST_BYTES {
                last = if is_level(part) && !repeats(part) { Content::Noise } else { Content::Dense };
            }
            last
        })
        .collect();
    let mut rest = block;
    let mut runs = Vec::new();
    for run in contents.chunk_by(Content::eq) {
        let (bytes, later) = rest.split_at(rest.len().min(run.len() * PART_BYTES));
        runs.extend(run.first().map(|content| (*content, bytes)));
        rest = later;
    }
    if runs.is_empty() {
        runs.push((Content::Dense, block));
    }
    runs
}

/// Whether all values are about as frequent: Huffman codes would save less than a hundredth. With the frequencies f of n bytes, 256 Σf² is n² for
/// perfectly level ones and n² + 256 n for noise; compressed data and noise differ from that by less than n² / 16.
fn is_level(part: &[u8]) -> bool {
    let mut frequencies = [0_u64; 256];
    let mut counted = 0;
    for piece in part.chunks(part.len().div_ceil(PIECES)) {
        for byte in piece.iter().take(PIECE_BYTES) {
            frequencies[usize::from(*byte)] += 1;
            counted += 1;
        }
    }
    let squares: u64 = frequencies.iter().map(|frequency| frequency * frequency).sum();
    256 * squares <= counted * counted + counted * counted / 16 + 256 * counted
}

/// Whether more than one in 64 of the positions that are looked at repeats one before its stretch.
fn repeats(part: &[u8]) -> bool {
    const SLOTS_LOG: u32 = 13;
    let slot = |word: u32| (word.wrapping_mul(0x9e37_79b1) >> (u32::BITS - SLOTS_LOG)) as usize;
    let mut noted = vec![None; 1 << SLOTS_LOG];
    let (mut sought, mut found) = (0_usize, 0_usize);
    for stretch in part.chunks(STRETCH_BYTES) {
        for word in stretch.windows(4).take(SOUGHT).filter_map(word) {
            sought += 1;
            found += usize::from(noted.get(slot(word)) == Some(&Some(word)));
        }
        for word in stretch.chunks_exact(NOTED_EVERY).filter_map(word) {
            if let Some(noted) = noted.get_mut(slot(word)) {
                *noted = Some(word);
            }
        }
    }
    found * 64 > sought
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
