//! eStargz whose prioritised files come first, so that a reader can fetch them ahead in one piece.
//!
//! This changes the tar, and with it the DiffID, so no [`Codec`](crate::codec::Codec) does it: a [`PrefetchOrder`] puts the
//! entries of a finished tar into another order and adds the landmark, and what comes of it is packed as any other tar.
//! [`Converter::prioritize`](crate::convert::Converter::prioritize) does both for a layer of a store.

mod archive;
mod names;
mod options;
mod order;
mod picker;

pub use options::{MissingFiles, PrefetchOptions};
pub use order::{Piece, PrefetchOrder};

/// The entry behind the prioritised files: a reader fetches what is in front of it ahead.
/// Mirrors: stargz-snapshotter `estargz/types.go`, `PrefetchLandmark`.
pub const PREFETCH_LANDMARK: &str = ".prefetch.landmark";
/// The first entry of a layer without prioritised files, of which nothing is worth fetching ahead.
/// Mirrors: stargz-snapshotter `estargz/types.go`, `NoPrefetchLandmark`.
pub const NO_PREFETCH_LANDMARK: &str = ".no.prefetch.landmark";

/// All that is in a landmark, since only chunks have a place in the table of contents.
const LANDMARK_CONTENTS: [u8; 1] = [0xf];
