//! What a layer may decode to at most when it is converted.

use cache_core::{Error, ErrorKind, Result};

/// Bounds on what one layer may decode to. All are on by default, and those of the applier, so that whatever can be
/// unpacked can be converted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversionLimits {
    /// Bytes of tar. Default 1 TiB.
    pub bytes: u64,
    /// Bytes of tar per byte of blob, once [`allowance`](Self::allowance) is used up; runs of zeros count nothing. Default 2048:
    /// deflate cannot exceed 1032.
    pub ratio: u64,
    /// Bytes of tar that the ratio does not count. Default 1 GiB.
    pub allowance: u64,
}

impl Default for ConversionLimits {
    fn default() -> Self {
        Self { bytes: 1 << 40, ratio: 2048, allowance: 1 << 30 }
    }
}

impl ConversionLimits {
    /// Other bound on [`bytes`](Self::bytes).
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Other bound on [`ratio`](Self::ratio), beyond the first `allowance` bytes.
    #[must_use]
    pub fn with_ratio(mut self, ratio: u64, allowance: u64) -> Self {
        self.ratio = ratio;
        self.allowance = allowance;
        self
    }
}

/// How much of the limits a layer has used up.
#[derive(Debug)]
pub(super) struct Used {
    limits: ConversionLimits,
    bytes: u64,
    counted: u64,
}

impl Used {
    pub(super) fn new(limits: ConversionLimits) -> Self {
        Self { limits, bytes: 0, counted: 0 }
    }

    /// `tar` was decoded of the first `blob_bytes` bytes of the blob.
    pub(super) fn decoded(&mut self, tar: &[u8], blob_bytes: u64) -> Result<()> {
        let count = tar.len() as u64;
        self.bytes = self.bytes.saturating_add(count);
        if tar.iter().any(|byte| *byte != 0) {
            self.counted = self.counted.saturating_add(count);
        }
        let most = blob_bytes.saturating_mul(self.limits.ratio).saturating_add(self.limits.allowance);
        if self.bytes > self.limits.bytes {
            return Err(exceeded(format_args!("more than {} bytes of tar (bytes)", self.limits.bytes)));
        }
        if self.counted > most {
            return Err(exceeded(format_args!("{} bytes of {blob_bytes} (ratio {})", self.bytes, self.limits.ratio)));
        }
        Ok(())
    }
}

fn exceeded(what: std::fmt::Arguments<'_>) -> Error {
    Error::new(ErrorKind::LimitExceeded, "convert layer to (ConversionLimits)", what)
}
