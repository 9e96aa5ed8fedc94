//! Why an archive could not be read or written.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Failure of a [`Reader`](super::Reader) or a [`Writer`](super::Writer).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The underlying reader failed.
    #[error("cannot read the archive {place}")]
    Read {
        /// Where the reader stood.
        place: Place,
        /// The reader's own error.
        source: Arc<io::Error>,
    },
    /// The underlying writer failed.
    #[error("cannot write the archive {place}")]
    Write {
        /// Where the writer stood.
        place: Place,
        /// The writer's own error.
        source: Arc<io::Error>,
    },
    /// The source of an entry's contents failed.
    #[error("cannot read the contents {place}")]
    Contents {
        /// The entry.
        place: Place,
        /// The source's own error.
        source: Arc<io::Error>,
    },
    /// The archive is damaged or can be understood in more than one way.
    #[error("{problem} {place}")]
    Malformed {
        /// Where it is so.
        place: Place,
        /// What is wrong.
        problem: Problem,
    },
    /// The archive is larger than the named limit allows.
    #[error("{limit} above the limit of {maximum} {place}")]
    LimitExceeded {
        /// Where it is so.
        place: Place,
        /// Which limit to raise.
        limit: Limit,
        /// Its current value.
        maximum: u64,
    },
    /// An entry of a kind that layers do not have.
    #[error("entry type {type_flag:#04x} is not supported {place}")]
    Unsupported {
        /// The entry.
        place: Place,
        /// Its type byte.
        type_flag: u8,
    },
    /// A value that no tar format can hold.
    #[error("the {field} cannot be written {place}")]
    NotEncodable {
        /// The entry.
        place: Place,
        /// The value.
        field: Field,
    },
    /// Contents that are shorter or longer than the header said.
    #[error("contents are not {expected} bytes long {place}")]
    WrongSize {
        /// The entry.
        place: Place,
        /// Size in the header.
        expected: u64,
    },
    /// An earlier entry was left unfinished, so the archive is unusable.
    #[error("the entry before was not finished {place}")]
    Unfinished {
        /// Where the writer stood.
        place: Place,
    },
}

impl Error {
    /// Where it happened.
    #[must_use]
    pub fn place(&self) -> &Place {
        match self {
            Self::Read { place, .. }
            | Self::Write { place, .. }
            | Self::Contents { place, .. }
            | Self::Malformed { place, .. }
            | Self::LimitExceeded { place, .. }
            | Self::Unsupported { place, .. }
            | Self::NotEncodable { place, .. }
            | Self::WrongSize { place, .. }
            | Self::Unfinished { place } => place,
        }
    }
}

/// Position in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Bytes from the start of the archive to the header, or to the byte that could not be read or written.
    pub offset: u64,
    /// Path of the entry, where it was already known.
    pub path: Option<Vec<u8>>,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "at byte {}", self.offset)?;
        match &self.path {
            Some(path) => write!(formatter, " ({})", String::from_utf8_lossy(path).escape_debug()),
            None => Ok(()),
        }
    }
}

/// What is wrong with an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It ends inside a header or inside an entry's contents.
    #[error("the archive ends too early")]
    Truncated,
    /// A header's checksum does not match it.
    #[error("wrong header checksum")]
    Checksum,
    /// One zero block, then something else than a second one.
    #[error("data after a single zero block")]
    Trailer,
    /// A number field holds something else than a number, or one out of range.
    #[error("invalid number")]
    Number,
    /// Extended headers in an order that programs understand differently, or without an entry.
    #[error("extended headers in an ambiguous order")]
    HeaderOrder,
    /// A PAX record that is not `LENGTH KEY=VALUE` with its own length.
    #[error("malformed PAX record")]
    Record,
    /// The same PAX key twice.
    #[error("duplicate PAX key")]
    DuplicateKey,
    /// A global header that would change where the following entries start or what they are called.
    #[error("global PAX header sets a name or a size")]
    GlobalRecord,
    /// A NUL byte inside a name.
    #[error("NUL byte in a name")]
    NulInName,
    /// The size in the header and the one in the PAX record differ.
    #[error("two different sizes")]
    SizeMismatch,
    /// A size on a kind of entry that has no contents.
    #[error("a size on an entry without contents")]
    SizeWithoutContents,
    /// A sparse map that is unordered, overlaps, or does not fit its file.
    #[error("invalid sparse map")]
    SparseMap,
}

/// Which of the [`ReadLimits`](super::ReadLimits) was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Limit {
    /// [`ReadLimits::header_bytes`](super::ReadLimits::header_bytes).
    #[error("extended header bytes")]
    HeaderBytes,
    /// [`ReadLimits::path_bytes`](super::ReadLimits::path_bytes).
    #[error("path length")]
    PathBytes,
    /// [`ReadLimits::records`](super::ReadLimits::records).
    #[error("PAX records")]
    Records,
    /// [`ReadLimits::key_bytes`](super::ReadLimits::key_bytes).
    #[error("PAX key length")]
    KeyBytes,
    /// [`ReadLimits::sparse_pieces`](super::ReadLimits::sparse_pieces).
    #[error("sparse pieces")]
    SparsePieces,
}

/// A value of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Field {
    /// [`Header::path`](super::Header::path).
    #[error("path")]
    Path,
    /// [`Header::link`](super::Header::link).
    #[error("link target")]
    Link,
    /// [`Header::user_name`](super::Header::user_name) or [`Header::group_name`](super::Header::group_name).
    #[error("owner name")]
    OwnerName,
    /// [`Header::mode`](super::Header::mode).
    #[error("mode")]
    Mode,
    /// [`Header::size`](super::Header::size).
    #[error("size")]
    Size,
    /// [`Header::modified`](super::Header::modified).
    #[error("modification time")]
    Modified,
    /// [`Header::device_major`](super::Header::device_major) or [`Header::device_minor`](super::Header::device_minor).
    #[error("device number")]
    Device,
    /// One of [`Header::xattrs`](super::Header::xattrs) or [`Header::records`](super::Header::records).
    #[error("PAX record")]
    Record,
    /// All PAX records together, above the 1 MiB that Go's writer allows.
    #[error("extended header")]
    ExtendedHeader,
}
