//! What sets the formats with a table of contents apart.

use std::io::Read;

use cache_core::Result;

/// A format whose blobs have a table of contents.
#[derive(Clone, Copy, Debug)]
pub(in crate::codec) struct Form {
    /// Its name in errors.
    pub(in crate::codec) name: &'static str,
    /// Decodes members or frames.
    pub(in crate::codec) decode: fn(Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>>,
}
