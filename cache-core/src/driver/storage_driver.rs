//! Where bytes lie.

use std::fmt::Debug;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::ports::ByteStream;

/// Keeps objects: bytes under a name that are added at the end and never changed. Names are short, of ASCII letters, digits
/// and `-`, and are not used again. One object has one caller that appends, and any number that read.
///
/// Mirrors: distribution `registry/storage/driver.StorageDriver`.
///
/// # Cancel safety
/// A dropped call of [`append`](Self::append) or [`sync`](Self::sync) is taken as a failed one, one of [`delete`](Self::delete) as one that
/// deleted nothing: it is repeated. One of [`read`](Self::read) holds nothing.
#[async_trait]
pub trait StorageDriver: Send + Sync + Debug + 'static {
    /// Adds `bytes`, which are some, to the end of the object `name`. The first call makes it.
    ///
    /// # Errors
    /// `NoSpace`, and the driver's own failures. What was added then is unknown; the object is not read, only deleted.
    async fn append(&self, name: &str, bytes: Bytes) -> Result<()>;

    /// Returns when what was added to the object `name` will outlive a crash.
    ///
    /// # Errors
    /// `NoSpace`, and the driver's own failures.
    async fn sync(&self, name: &str) -> Result<()>;

    /// The bytes of `range`, which is not empty and inside of what was added to the object `name`, as chunks of any size.
    ///
    /// # Errors
    /// The driver's own failures, here or as an item of the stream, which then ends.
    async fn read(&self, name: &str, range: Range<u64>) -> Result<ByteStream>;

    /// Deletes the object `name`; one that is not there is no error.
    ///
    /// # Errors
    /// The driver's own failures.
    async fn delete(&self, name: &str) -> Result<()>;
}
