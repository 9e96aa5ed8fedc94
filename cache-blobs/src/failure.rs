//! Failures of archives, trees and layers as the error of the ports.

use std::fmt::Display;
use std::io;

use cache_core::{Error, ErrorKind};

#[cfg(target_os = "linux")]
use crate::apply;
use crate::codec::carried;
use crate::{changes, layer, tar};

/// `error`, which happened while the layer `target` was written.
pub(crate) fn layer_failure(target: impl Display, error: layer::Error) -> Error {
    let kind = match &error {
        layer::Error::Changes(error) => changes_kind(error),
        layer::Error::Archive(error) => archive_kind(error),
        layer::Error::Entry { .. } => ErrorKind::Invalid,
    };
    Error::new(kind, "write layer", target).with_source(error)
}

/// `error`, which happened while a tree of `target` was read.
pub(crate) fn tree_failure(target: impl Display, error: changes::Error) -> Error {
    Error::new(changes_kind(&error), "read tree", target).with_source(error)
}

/// `error`, which happened while the layer `target` was unpacked.
#[cfg(target_os = "linux")]
pub(crate) fn apply_failure(target: impl Display, error: apply::Error) -> Error {
    let kind = match &error {
        apply::Error::Archive(error) => archive_kind(error),
        apply::Error::Invalid { .. } => ErrorKind::Corrupt,
        apply::Error::LimitExceeded { .. } => ErrorKind::LimitExceeded,
        apply::Error::Io { source, .. } => io_kind(source),
        apply::Error::Parents(error) => changes_kind(error),
    };
    Error::new(kind, "unpack layer", target).with_source(error)
}

fn changes_kind(error: &changes::Error) -> ErrorKind {
    match error {
        changes::Error::Io { source, .. } => io_kind(source),
        changes::Error::Changed { .. } => ErrorKind::Busy,
        changes::Error::Unsupported { .. } => ErrorKind::Unsupported,
        changes::Error::Archive(error) => archive_kind(error),
        changes::Error::Invalid { .. } => ErrorKind::Invalid,
    }
}

/// What a failed archive calls for. A file that is not as long as it was a moment before is being written to.
pub(crate) fn archive_kind(error: &tar::Error) -> ErrorKind {
    match error {
        tar::Error::Read { source, .. } | tar::Error::Write { source, .. } | tar::Error::Contents { source, .. } => {
            io_kind(source)
        }
        tar::Error::Malformed { .. } => ErrorKind::Corrupt,
        tar::Error::LimitExceeded { .. } => ErrorKind::LimitExceeded,
        tar::Error::Unsupported { .. } => ErrorKind::Unsupported,
        tar::Error::NotEncodable { .. } => ErrorKind::Invalid,
        tar::Error::WrongSize { .. } | tar::Error::Unfinished { .. } => ErrorKind::Busy,
    }
}

/// The kind of an I/O error; one that carries a port's error has that one's kind.
pub(crate) fn io_kind(error: &io::Error) -> ErrorKind {
    carried(error).map_or_else(|| Error::io("", "", error.kind().into()).kind(), Error::kind)
}
