//! Positions in a tar that an encoder may want to know.

use std::io::{self, Write};

/// What begins at a position of the tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mark {
    /// The headers of the next entry, its PAX and long-name headers counted.
    Entry,
    /// The payload of the entry.
    Payload {
        /// Its length in bytes, without padding.
        bytes: u64,
    },
    /// The zero blocks that end the archive.
    End,
    /// A part that must be readable by itself. Only a [`Sequence`](crate::codec::Sequence) sets this one, for its own
    /// block encoder.
    Cut,
}

/// A mark and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlacedMark {
    /// Bytes of tar before it.
    pub offset: u64,
    /// What begins there.
    pub mark: Mark,
}

/// Where a tar is written together with its marks.
pub trait MarkedWrite: Write {
    /// Says what the next byte begins.
    ///
    /// # Errors
    /// As [`Write::write`].
    fn mark(&mut self, mark: Mark) -> io::Result<()>;
}
