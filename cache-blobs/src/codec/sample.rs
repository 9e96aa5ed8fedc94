//! What detection is given of a blob.

/// Bytes of a blob's head that a codec can count on in [`Sample::head`], if the blob has as many. containerd looks at ten.
pub const SAMPLE_HEAD_BYTES: usize = 512;

/// Bytes of a blob's end that are in [`Sample::tail`], if the blob has as many. eStargz's footer takes 51, that of containers/storage
/// for chunked zstd 72.
pub const SAMPLE_TAIL_BYTES: usize = 512;

/// The parts of a blob by which codecs recognise their own.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Sample<'a> {
    /// Its first bytes: at least [`SAMPLE_HEAD_BYTES`], or all there are.
    pub head: &'a [u8],
    /// Its last bytes, where the blob can be read from its end; footers are recognised there.
    pub tail: Option<&'a [u8]>,
}

impl<'a> Sample<'a> {
    /// A blob that is read from its beginning.
    pub const fn of_head(head: &'a [u8]) -> Self {
        Self { head, tail: None }
    }

    /// The same with the blob's last bytes.
    #[must_use]
    pub const fn with_tail(mut self, tail: &'a [u8]) -> Self {
        self.tail = Some(tail);
        self
    }

    /// Whether it begins as gzip with deflate does.
    pub(crate) fn is_gzip(&self) -> bool {
        self.head.starts_with(&[0x1f, 0x8b, 8])
    }

    /// Whether it begins with a zstd frame, or with a skippable one whose header is whole.
    /// Mirrors: containerd `pkg/archive/compression.DetectCompression`.
    pub(crate) fn is_zstd(&self) -> bool {
        match self.head {
            [0x28, 0xb5, 0x2f, 0xfd, ..] => true,
            [first, 0x2a, 0x4d, 0x18, _, _, _, _, ..] => first & 0xf0 == 0x50,
            _ => false,
        }
    }
}
