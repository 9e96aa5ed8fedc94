//! SQLite's failures as the ports' kinds.

use rusqlite::ErrorCode;

use crate::error::{Error, ErrorKind, Result};

/// `SQLITE_IOERR_SHMSIZE`: the shared-memory file could not grow, which in practice is a full disk.
const IOERR_SHMSIZE: i32 = 10 | (19 << 8);

/// The database, as the target of an error.
const DATABASE: &str = "cache.db";

/// Names what was tried where SQLite failed.
pub(super) trait SqlContext<T> {
    fn doing(self, operation: &'static str) -> Result<T>;
}

impl<T> SqlContext<T> for rusqlite::Result<T> {
    fn doing(self, operation: &'static str) -> Result<T> {
        self.map_err(|error| Error::new(kind(&error), operation, DATABASE).with_source(error))
    }
}

/// A row that holds what this code never writes.
pub(super) fn corrupt_row(operation: &'static str, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, operation, DATABASE).with_source(format!("unexpected {what}"))
}

fn kind(error: &rusqlite::Error) -> ErrorKind {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return ErrorKind::Corrupt;
    };
    if failure.extended_code == IOERR_SHMSIZE {
        return ErrorKind::NoSpace;
    }
    match failure.code {
        ErrorCode::DiskFull => ErrorKind::NoSpace,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => ErrorKind::Corrupt,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => ErrorKind::Busy,
        ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::AuthorizationForStatementDenied => {
            ErrorKind::PermissionDenied
        }
        ErrorCode::TooBig => ErrorKind::LimitExceeded,
        ErrorCode::NoLargeFileSupport => ErrorKind::Unsupported,
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}
