//! A tar, packed in one go.

use std::io::Write;

use cache_blobs::codec::{Codec, error_of_io};
use cache_blobs::pack::{PackOptions, PackWriter, Packed, pack};
use cache_core::{Error, Result};
use pollster::block_on;

use super::{Fate, Pace, budget, pool, sink};

/// `tar`, written in pieces of so many bytes and packed by `codec`: the outcome, and what the sink has of it.
pub(crate) fn pack_with(
    codec: &dyn Codec,
    tar: &[u8],
    workers: usize,
    pace: Pace,
    piece: usize,
) -> (Result<Packed<()>>, Vec<u8>, Fate) {
    let (ingest, seen) = sink(pace);
    let tar = tar.to_vec();
    let produce = move |writer: &mut PackWriter| {
        for piece in tar.chunks(piece) {
            writer.write_all(piece).map_err(|error| error_of_io("write", "a test tar", error))?;
        }
        Ok::<_, Error>(())
    };
    let budget = budget(workers, 128 << 20);
    let packed = block_on(pack(&budget, &pool(), codec, ingest, PackOptions::default(), produce));
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (packed, seen.bytes, seen.fate)
}
