//! The footer, which tells where the table of contents is: an empty gzip member with the place in its extra field.

/// Bytes of the footer that is written now.
const BYTES: usize = 51;
/// Bytes of stargz's, which has the place without the header of a subfield.
const LEGACY_BYTES: usize = 47;

/// No time, no name, unknown operating system, an extra field.
const MEMBER: [u8; 10] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff];
/// Length of the extra field; subfield `SG` of 22 bytes.
const FIELD: [u8; 6] = [26, 0, b'S', b'G', 22, 0];
/// Length of the extra field.
const LEGACY_FIELD: [u8; 2] = [22, 0];
const MAGIC: &[u8] = b"STARGZ";
/// An empty stored block, then checksum and length of nothing.
const EMPTY: [u8; 13] = [1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];

/// What a footer says. Mirrors: stargz-snapshotter `estargz/gzip.go`, `gzipFooterBytes` and the two `ParseFooter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Footer {
    /// Bytes of blob before the table of contents; before it is the archive.
    pub toc_offset: u64,
    /// Bytes of the footer itself: 51, or 47 in the older format of stargz.
    pub bytes: usize,
}

impl Footer {
    /// The most bytes that a footer takes.
    pub const MAX_BYTES: usize = BYTES;

    /// The footer of a blob whose table of contents begins at `toc_offset`.
    pub(super) fn new(toc_offset: u64) -> Self {
        Self { toc_offset, bytes: BYTES }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let place = format!("{:016x}", self.toc_offset);
        [&MEMBER[..], &FIELD, place.as_bytes(), MAGIC, &EMPTY].concat()
    }

    /// The footer at the end of `tail`, the last bytes of a blob; `None` if there is none. Where it points is not checked.
    pub fn of_tail(tail: &[u8]) -> Option<Self> {
        let form = |bytes: usize, field: &[u8]| {
            let footer = tail.get(tail.len().checked_sub(bytes)?..)?;
            let place = footer.strip_prefix(&MEMBER)?.strip_prefix(field)?;
            let digits = place.strip_suffix(&EMPTY)?.strip_suffix(MAGIC)?;
            let digits =
                std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|it| it.is_ascii_hexdigit()))?;
            Some(Self { toc_offset: u64::from_str_radix(digits, 16).ok()?, bytes })
        };
        form(BYTES, &FIELD).or_else(|| form(LEGACY_BYTES, &LEGACY_FIELD))
    }
}
