//! Why a layer could not be written.

use crate::{changes, tar};

/// Failure while a layer is written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tree that is packed could not be read.
    #[error("cannot read what changed")]
    Changes(#[from] changes::Error),
    /// The archive could not be written, or an entry does not fit into one.
    #[error("cannot write the layer")]
    Archive(#[from] tar::Error),
}
