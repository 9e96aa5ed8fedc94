//! What stands for libdeflate's version.
//!
//! The library does not tell its version, and an embedder's lock file may choose another one than ours. So the recipe
//! names what the library makes of a fixed sample: equal versions give equal names, and versions that compress alike share one.

use std::sync::OnceLock;

use cache_core::Result;
use libdeflater::Compressor;

use super::encoder::compression_level;
use super::{MAX_LEVEL, member};

/// Bytes of the sample: two windows of deflate.
const SAMPLE_BYTES: usize = 64 * 1024;

/// The version that a recipe of `level` names.
pub(in crate::codec) fn version(level: i32) -> Result<String> {
    static OUTCOMES: [OnceLock<u32>; MAX_LEVEL as usize + 1] = [const { OnceLock::new() }; MAX_LEVEL as usize + 1];
    let known = usize::try_from(level).ok().and_then(|level| OUTCOMES.get(level));
    let outcome = match known.and_then(OnceLock::get) {
        Some(outcome) => *outcome,
        None => {
            let outcome = measure(level)?;
            known.map_or(outcome, |known| *known.get_or_init(|| outcome))
        }
    };
    Ok(format!("sample-{outcome:08x}"))
}

/// The CRC-32 of the member that the sample becomes.
fn measure(level: i32) -> Result<u32> {
    let mut compressor = Compressor::new(compression_level(level)?);
    Ok(crc32fast::hash(&member::compress(&mut compressor, &sample())?))
}

/// Runs of noise and of repetitions at many distances, from a generator that never changes (xorshift32).
fn sample() -> Vec<u8> {
    let mut state = 0x6c61_7965_u32;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let mut sample = Vec::with_capacity(SAMPLE_BYTES);
    while sample.len() < SAMPLE_BYTES {
        let [kind, run, low, high] = next().to_le_bytes();
        let distance = 1 + usize::from(u16::from_le_bytes([low, high])) % 32_768;
        for _ in 0..=run {
            let repeated = sample.len().checked_sub(distance).and_then(|at| sample.get(at)).copied();
            let noise = (next() >> 24) as u8;
            sample.push(match repeated {
                Some(byte) if kind < 160 => byte,
                _ if kind < 220 => noise & 0x1f | 0x60,
                _ => noise,
            });
        }
    }
    sample.truncate(SAMPLE_BYTES);
    sample
}
