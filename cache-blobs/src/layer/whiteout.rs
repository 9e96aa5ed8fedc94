//! How a layer says that something is gone.

use crate::tar::Header;

/// Put in front of a removed file's name.
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";

/// Name of the file that hides everything from below in its directory. Layers of this crate do not hold it, because
/// those of BuildKit do not; appliers must know it.
pub const OPAQUE_MARKER: &[u8] = b".wh..wh..opq";

/// The entry that removes `path`: an empty file with mode, owner and time 0.
pub(super) fn whiteout(path: &[u8]) -> Header {
    let (directory, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => path.split_at(slash + 1),
        None => (&b""[..], path),
    };
    Header::file([directory, WHITEOUT_PREFIX, name].concat(), 0).with_mode(0)
}
