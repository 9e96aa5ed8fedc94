//! The 512 bytes of a header block and the fields in it.

use std::ops::Range;

use super::TAR_BLOCK_BYTES;
use super::number;

pub(super) const NAME: Range<usize> = 0..100;
pub(super) const MODE: Range<usize> = 100..108;
pub(super) const UID: Range<usize> = 108..116;
pub(super) const GID: Range<usize> = 116..124;
pub(super) const SIZE: Range<usize> = 124..136;
pub(super) const MODIFIED: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
pub(super) const TYPE_FLAG: usize = 156;
pub(super) const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
pub(super) const USER_NAME: Range<usize> = 265..297;
pub(super) const GROUP_NAME: Range<usize> = 297..329;
pub(super) const DEVICE_MAJOR: Range<usize> = 329..337;
pub(super) const DEVICE_MINOR: Range<usize> = 337..345;
/// POSIX only; star uses the last 24 bytes of it for times, which a NUL before them separates.
pub(super) const PREFIX: Range<usize> = 345..500;
/// Old GNU only: four pieces, a flag, the real size.
pub(super) const GNU_SPARSE: Range<usize> = 386..482;
pub(super) const GNU_EXTENDED: usize = 482;
pub(super) const GNU_REAL_SIZE: Range<usize> = 483..495;

/// Which dialect a header block is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V7,
    Posix,
    /// POSIX magic, but the prefix ends with star's times.
    Star,
    Gnu,
}

/// One header block.
#[derive(Debug, Clone)]
pub(super) struct Block(pub(super) [u8; TAR_BLOCK_BYTES]);

impl Block {
    pub(super) const fn zeroed() -> Self {
        Self([0; TAR_BLOCK_BYTES])
    }

    /// The block of exactly so many bytes.
    #[cfg(any(feature = "estargz", feature = "zstd-chunked"))]
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    #[cfg(any(feature = "estargz", feature = "zstd-chunked"))]
    pub(super) fn type_flag(&self) -> u8 {
        self.0[TYPE_FLAG]
    }

    pub(super) fn field(&self, range: Range<usize>) -> &[u8] {
        &self.0[range]
    }

    pub(super) fn field_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        &mut self.0[range]
    }

    /// A text field up to its first NUL.
    pub(super) fn text(&self, range: Range<usize>) -> &[u8] {
        self.0[range].split(|byte| *byte == 0).next().unwrap_or_default()
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.field(MAGIC) {
            magic if magic.starts_with(b"ustar\0") && self.0[508..512] == *b"tar\0" => Dialect::Star,
            // Some writers leave the version out; Go looks at the first six bytes only, too.
            magic if magic.starts_with(b"ustar\0") => Dialect::Posix,
            b"ustar  \0" => Dialect::Gnu,
            _ => Dialect::V7,
        }
    }

    /// Writes the POSIX magic and the checksum over everything before.
    pub(super) fn seal(&mut self) {
        self.field_mut(MAGIC).copy_from_slice(b"ustar\x0000");
        let (unsigned, _) = self.sums();
        let field = self.field_mut(CHECKSUM);
        number::put_octal(&mut field[..7], unsigned);
        field[7] = b' ';
    }

    /// Historic writers summed signed bytes, so either sum is right.
    pub(super) fn checksum_matches(&self) -> bool {
        let (unsigned, signed) = self.sums();
        number::parse(self.field(CHECKSUM))
            .is_some_and(|stored| stored == signed || u64::try_from(stored) == Ok(unsigned))
    }

    fn sums(&self) -> (u64, i64) {
        let (mut unsigned, mut signed) = (0u64, 0i64);
        for (index, byte) in self.0.iter().enumerate() {
            let byte = if CHECKSUM.contains(&index) { b' ' } else { *byte };
            unsigned += u64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        (unsigned, signed)
    }
}
