//! How much of the limits a layer has used up.

use std::sync::atomic::Ordering;

use super::{Applied, ApplyLimit, ApplyOptions, Error};

/// Counts against [`ApplyLimits`](super::ApplyLimits).
pub(super) struct Budget<'a> {
    options: &'a ApplyOptions,
    /// Bytes other than those of holes.
    written: u64,
    /// Is told of them.
    progress: &'a mut dyn FnMut(u64),
}

impl<'a> Budget<'a> {
    pub(super) fn new(options: &'a ApplyOptions, progress: &'a mut dyn FnMut(u64)) -> Self {
        Self { options, written: 0, progress }
    }

    /// One more entry of `size` bytes, `depth` components deep.
    pub(super) fn entry(&self, applied: &mut Applied, path: &[u8], size: u64, depth: usize) -> Result<(), Error> {
        let limits = &self.options.limits;
        applied.entries += 1;
        applied.bytes = applied.bytes.saturating_add(size);
        within(applied.entries, limits.entries, ApplyLimit::Entries, path)?;
        within(applied.bytes, limits.bytes, ApplyLimit::Bytes, path)?;
        within(depth as u64, limits.depth as u64, ApplyLimit::Depth, path)
    }

    /// So many bytes go to disk.
    pub(super) fn write(&mut self, count: usize, path: &[u8]) -> Result<(), Error> {
        let limits = &self.options.limits;
        self.written = self.written.saturating_add(count as u64);
        (self.progress)(self.written);
        let Some(compressed) = &self.options.compressed else {
            return Ok(());
        };
        let most = compressed.load(Ordering::Relaxed).saturating_mul(limits.ratio).saturating_add(limits.allowance);
        if self.written > most {
            return Err(Error::LimitExceeded { path: path.to_vec(), limit: ApplyLimit::Ratio, maximum: limits.ratio });
        }
        Ok(())
    }

    /// So many bytes follow the end of the archive.
    pub(super) fn trailing(&self, applied: &Applied, bytes: u64) -> Result<(), Error> {
        let maximum = self.options.limits.bytes;
        within(applied.bytes.saturating_add(bytes), maximum, ApplyLimit::Bytes, b"")
    }
}

fn within(value: u64, maximum: u64, limit: ApplyLimit, path: &[u8]) -> Result<(), Error> {
    if value > maximum { Err(Error::LimitExceeded { path: path.to_vec(), limit, maximum }) } else { Ok(()) }
}
