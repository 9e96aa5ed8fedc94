//! What stands for a library's version.
//!
//! The libraries do not tell their versions, and an embedder's lock file may choose others than ours. So the recipe
//! names what the library makes of a fixed sample: equal versions give equal names, and versions that compress alike share one.

use std::sync::OnceLock;

use cache_core::Result;

use super::deflater::Deflater;
use super::library::DeflateLibrary;
use super::member;

/// A window of deflate.
const WINDOW_BYTES: usize = 32 * 1024;

/// What became of the sample at each level.
type Outcomes<const LEVELS: usize> = [OnceLock<u32>; LEVELS];

/// The version that a recipe by `library` at `level` names.
pub(super) fn version(library: DeflateLibrary, level: i32) -> Result<String> {
    let known = usize::try_from(level).ok().and_then(|level| known(library).get(level));
    let outcome = match known.and_then(OnceLock::get) {
        Some(outcome) => *outcome,
        None => {
            let outcome = measure(library, level)?;
            known.map_or(outcome, |known| *known.get_or_init(|| outcome))
        }
    };
    Ok(format!("sample-{outcome:08x}"))
}

fn known(library: DeflateLibrary) -> &'static [OnceLock<u32>] {
    #[cfg(feature = "libdeflate")]
    static LIBDEFLATE: Outcomes<13> = [const { OnceLock::new() }; 13];
    static ZLIB_RS: Outcomes<10> = [const { OnceLock::new() }; 10];
    match library {
        #[cfg(feature = "libdeflate")]
        DeflateLibrary::Libdeflate => &LIBDEFLATE,
        DeflateLibrary::ZlibRs => &ZLIB_RS,
    }
}

/// The CRC-32 of the member that the sample becomes.
fn measure(library: DeflateLibrary, level: i32) -> Result<u32> {
    let sample = match library {
        #[cfg(feature = "libdeflate")]
        DeflateLibrary::Libdeflate => sample(2 * WINDOW_BYTES),
        // It moves its window on at every 32 KiB after the first 64.
        DeflateLibrary::ZlibRs => sample(4 * WINDOW_BYTES),
    };
    let mut deflater = Deflater::new(library, level)?;
    Ok(crc32fast::hash(&member::compress(&mut deflater, &sample)?))
}

/// `bytes` bytes: runs of noise and of repetitions at many distances, from a generator that never changes (xorshift32).
fn sample(bytes: usize) -> Vec<u8> {
    let mut state = 0x6c61_7965_u32;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let mut sample = Vec::with_capacity(bytes);
    while sample.len() < bytes {
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
    sample.truncate(bytes);
    sample
}
