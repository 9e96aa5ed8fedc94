//! The checksum that tar-split keeps of each file: CRC-64 of ISO 3309, as Go's `hash/crc64` has it.

/// The polynomial, its bits reversed.
const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;

/// Bytes that are taken at a time.
const SLICES: usize = 8;

/// The sums of each byte with none to seven zero bytes behind it.
const TABLES: [[u64; 256]; SLICES] = tables();

/// A running checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crc64(u64);

impl Crc64 {
    pub(super) fn new() -> Self {
        Self(!0)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<SLICES>();
        for block in blocks {
            let mixed = (self.0 ^ u64::from_le_bytes(*block)).to_le_bytes();
            self.0 = TABLES.iter().rev().zip(mixed).fold(0, |sum, (table, byte)| sum ^ table[usize::from(byte)]);
        }
        for byte in rest {
            let [low, ..] = self.0.to_le_bytes();
            self.0 = TABLES[0][usize::from(low ^ byte)] ^ (self.0 >> 8);
        }
    }

    /// The checksum, its first byte the highest.
    pub(super) fn finish(self) -> [u8; 8] {
        (!self.0).to_be_bytes()
    }
}

const fn tables() -> [[u64; 256]; SLICES] {
    let mut tables = [[0; 256]; SLICES];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut slice = 1;
    while slice < SLICES {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[slice - 1][byte];
            tables[slice][byte] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            byte += 1;
        }
        slice += 1;
    }
    tables
}
