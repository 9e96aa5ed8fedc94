//! What unpacking a layer did.

use std::collections::BTreeMap;

use crate::layer::LeftOut;

/// Outcome of [`unpack`](super::unpack()).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// Entries of the archive, whiteouts included.
    pub entries: u64,
    /// Bytes of contents according to the headers, holes included.
    pub bytes: u64,
    /// Bytes of the whole stream, up to its very end. A digest of the stream covers these.
    pub stream_bytes: u64,
    /// Extended attributes that were not set, by name: those that only the host may set, and those that the file
    /// system or the lack of privileges refused.
    pub xattrs: BTreeMap<Vec<u8>, LeftOut>,
    /// Device nodes that were not made, see [`Devices::SkipDenied`](super::Devices::SkipDenied).
    pub devices: LeftOut,
}
