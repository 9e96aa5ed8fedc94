//! What a check requires of an answer.

use std::fmt::Debug;

use crate::conformance::check::{Outcome, Violation};
use crate::error::{ErrorKind, Result};

/// Requires `holds`; `promise` says what a failure breaks.
#[track_caller]
pub(super) fn require(holds: bool, promise: &str) -> Outcome {
    if holds { Ok(()) } else { Err(Violation::new(promise).into()) }
}

/// Requires that `found` is `wanted`.
#[track_caller]
pub(super) fn require_equal<T: PartialEq + Debug>(found: &T, wanted: &T, promise: &str) -> Outcome {
    if found == wanted {
        return Ok(());
    }
    Err(Violation::new(format!("{promise}: found {found:?}, wanted {wanted:?}")).into())
}

/// Requires a value.
#[track_caller]
pub(super) fn require_some<T>(found: Option<T>, promise: &str) -> Result<T, crate::conformance::Unmet> {
    match found {
        Some(value) => Ok(value),
        None => Err(Violation::new(promise).into()),
    }
}

/// Requires a failure of `kind`.
#[track_caller]
pub(super) fn require_kind<T>(result: Result<T>, kind: ErrorKind, promise: &str) -> Outcome {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Violation::new(format!("{promise}: wanted {kind}, found {error}")).into()),
        Ok(_) => Err(Violation::new(format!("{promise}: wanted {kind}, but the call succeeded")).into()),
    }
}
