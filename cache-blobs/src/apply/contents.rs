//! Writing a file's contents, zeros as holes.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use super::budget::Budget;
use super::{Error, Operation};
use crate::content::{BLOCK_BYTES, Extent};
use crate::tar::Entry;

/// Shorter runs of zeros are written, since no file system leaves smaller holes.
const MIN_HOLE_BYTES: usize = 4096;

/// Writes what `entry` holds to the empty `file`.
pub(super) fn write_contents<R: Read>(
    entry: &mut Entry<'_, R>,
    file: &File,
    buffer: &mut Vec<u8>,
    budget: &mut Budget<'_>,
) -> Result<(), Error> {
    buffer.resize(BLOCK_BYTES, 0);
    let (mut position, mut end) = (0u64, 0u64);
    loop {
        match entry.next_extent(buffer)? {
            Extent::Data(count) if count >= MIN_HOLE_BYTES && is_zero(&buffer[..count]) => position += count as u64,
            Extent::Data(count) => {
                let path = &entry.header().path;
                budget.write(count, path)?;
                file.write_all_at(&buffer[..count], position)
                    .map_err(|error| Error::io(Operation::Write, path, error))?;
                position += count as u64;
                end = position;
            }
            Extent::Hole(length) => position += length,
            Extent::End => break,
        }
    }
    if position > end {
        file.set_len(position).map_err(|error| Error::io(Operation::Write, &entry.header().path, error))?;
    }
    Ok(())
}

fn is_zero(bytes: &[u8]) -> bool {
    // In words, which the compiler turns into vector instructions; a byte loop with an early exit stays scalar.
    let (chunks, rest) = bytes.as_chunks::<64>();
    chunks.iter().all(|chunk| chunk.iter().fold(0, |seen, byte| seen | byte) == 0) && rest.iter().all(|byte| *byte == 0)
}
