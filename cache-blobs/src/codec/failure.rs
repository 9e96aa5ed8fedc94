//! Port errors inside of `std::io` errors, for readers and writers between two ports.

use std::io;

use cache_core::Error;

/// `error` as an I/O error from which [`error_of_io`] takes it back.
pub fn io_error(error: Error) -> io::Error {
    io::Error::other(error)
}

/// The failure of `operation` on `target` that `error` stands for: the port error in it, if [`io_error`] made it, else a
/// new one of the kind that fits, where damaged or missing bytes are `Corrupt`.
pub fn error_of_io(operation: &'static str, target: impl std::fmt::Display, error: io::Error) -> Error {
    match carried(&error) {
        Some(carried) => carried.clone(),
        None => Error::io(operation, target, error),
    }
}

/// The port error in `error`, if there is one.
pub(crate) fn carried(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}
