//! The footer, which tells where the table of contents is, and the annotations, which tell the same.

use cache_core::{Annotations, Digest, Error, ErrorKind, Result};

use super::skippable::{self, HEADER_BYTES};
use super::{MANIFEST_CHECKSUM, MANIFEST_POSITION, TAR_SPLIT_POSITION};

/// Bytes of the footer's frame without its header.
const BYTES: u64 = 64;
/// Bytes of the older footer, without a place for tar-split data, that stargz-snapshotter still writes.
const SHORT_BYTES: u64 = 40;

const MAGIC: &[u8; 8] = b"GNUlInUx";
const SHORT_MAGIC: &[u8; 8] = b"GnUlInUx";

/// The only form of table there is.
const CRFS: u64 = 1;

/// The annotations that stargz-snapshotter writes.
const SHORT_CHECKSUM: &str = "io.containers.zstd-chunked.manifest-checksum";
const SHORT_POSITION: &str = "io.containers.zstd-chunked.manifest-position";

/// Where compressed JSON is in a blob. It is a frame of its own in a skippable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonPlace {
    /// Bytes of blob before it, the header of the skippable frame included.
    pub offset: u64,
    /// Its bytes in the blob.
    pub compressed_bytes: u64,
    /// Bytes of JSON.
    pub bytes: u64,
}

/// What a footer says. Mirrors: containers/storage `pkg/chunked/internal/minimal`, `ZstdChunkedFooterData`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Footer {
    /// Where the table of contents is.
    pub manifest: JsonPlace,
    /// Where the tar-split data is, if there is any.
    pub tar_split: Option<JsonPlace>,
}

impl Footer {
    /// The most bytes that a footer takes.
    pub const MAX_BYTES: usize = (HEADER_BYTES + BYTES) as usize;

    pub(super) fn new(manifest: JsonPlace, tar_split: Option<JsonPlace>) -> Self {
        Self { manifest, tar_split }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let of = |place: JsonPlace| [place.offset, place.compressed_bytes, place.bytes];
        let ([a, b, c], [d, e, f]) = (of(self.manifest), self.tar_split.map_or([0; 3], of));
        let numbers = [a, b, c, CRFS, d, e, f].map(u64::to_le_bytes);
        [&numbers.concat()[..], MAGIC].concat()
    }

    /// The footer at the end of `tail`, the last bytes of a blob; `None` if there is none. Where it points is not checked.
    pub fn of_tail(tail: &[u8]) -> Option<Self> {
        let numbers = |bytes: u64, magic: &[u8]| {
            let frame = tail.get(tail.len().checked_sub(usize::try_from(HEADER_BYTES + bytes).ok()?)?..)?;
            let content = frame.strip_prefix(&skippable::header(bytes)?)?.strip_suffix(magic)?;
            Some(content.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number)).collect::<Vec<_>>())
        };
        let found = numbers(BYTES, MAGIC).or_else(|| numbers(SHORT_BYTES, SHORT_MAGIC))?;
        let place = |[offset, compressed_bytes, bytes]: [u64; 3]| JsonPlace { offset, compressed_bytes, bytes };
        match found[..] {
            [a, b, c, CRFS, d, e, f] => {
                Some(Self { manifest: place([a, b, c]), tar_split: (d > 0).then(|| place([d, e, f])) })
            }
            [a, b, c, CRFS] => Some(Self { manifest: place([a, b, c]), tar_split: None }),
            _ => None,
        }
    }

    /// What the annotations of a layer say, and the digest of the compressed table of contents; `None` if they say nothing. Also
    /// reads what stargz-snapshotter writes.
    ///
    /// # Errors
    /// `Corrupt` if only some are there, or if one makes no sense.
    pub fn of_annotations(annotations: &Annotations) -> Result<Option<(Digest, Self)>> {
        let get = |name: &str, short: &str| annotations.get(name).or_else(|| annotations.get(short));
        let (checksum, position) =
            match (get(MANIFEST_CHECKSUM, SHORT_CHECKSUM), get(MANIFEST_POSITION, SHORT_POSITION)) {
                (None, None) => return Ok(None),
                (Some(checksum), Some(position)) => (checksum, position),
                _ => return Err(corrupt("of which one is missing")),
            };
        let digest = checksum.parse().map_err(|_| corrupt("with something else for a digest"))?;
        let [offset, compressed_bytes, bytes, CRFS] = numbers_of(position)?[..] else {
            return Err(corrupt("with no place of a table of contents"));
        };
        let manifest = JsonPlace { offset, compressed_bytes, bytes };
        let tar_split = match annotations.get(TAR_SPLIT_POSITION).map(|position| numbers_of(position)).transpose()? {
            None => None,
            Some(numbers) => match numbers[..] {
                [offset, compressed_bytes, bytes] => Some(JsonPlace { offset, compressed_bytes, bytes }),
                _ => return Err(corrupt("with no place of tar-split data")),
            },
        };
        Ok(Some((digest, Self { manifest, tar_split })))
    }

    /// The annotations of a layer whose compressed table of contents has `digest`.
    pub(super) fn to_annotations(self, digest: Digest) -> Annotations {
        let of = |place: JsonPlace| format!("{}:{}:{}", place.offset, place.compressed_bytes, place.bytes);
        let mut annotations = Annotations::from([
            (MANIFEST_CHECKSUM.to_owned(), digest.to_string()),
            (MANIFEST_POSITION.to_owned(), format!("{}:{CRFS}", of(self.manifest))),
        ]);
        if let Some(place) = self.tar_split {
            annotations.insert(TAR_SPLIT_POSITION.to_owned(), of(place));
        }
        annotations
    }
}

fn numbers_of(position: &str) -> Result<Vec<u64>> {
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).ok_or_else(|| corrupt("with something else for a number"))
    };
    position.split(':').map(number).collect()
}

fn corrupt(why: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "read", format_args!("the annotations of a zstd:chunked layer, {why}"))
}
