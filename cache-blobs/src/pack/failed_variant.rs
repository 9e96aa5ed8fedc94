//! Which variant of a layer failed.

use std::error::Error as StdError;
use std::fmt;

use cache_core::{Compression, Error};

/// The variant because of which none was made, in the causes of the error that tells it. Only where several are packed of one
/// tar there is something to tell apart.
#[derive(Clone, Debug)]
pub struct FailedVariant {
    compression: Compression,
    level: Option<i32>,
    cause: Error,
}

impl FailedVariant {
    /// The variant that `error` names.
    pub fn of(error: &Error) -> Option<&Self> {
        let mut cause = StdError::source(error);
        while let Some(this) = cause {
            if let Some(found) = this.downcast_ref() {
                return Some(found);
            }
            cause = this.source();
        }
        None
    }

    /// Its compression.
    pub fn compression(&self) -> &Compression {
        &self.compression
    }

    /// The level that was asked for; `None` is the codec's default.
    pub fn level(&self) -> Option<i32> {
        self.level
    }

    /// Why it failed.
    pub fn cause(&self) -> &Error {
        &self.cause
    }
}

impl fmt::Display for FailedVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the variant in {}", self.compression)?;
        match self.level {
            Some(level) => write!(f, " at level {level} failed"),
            None => f.write_str(" failed"),
        }
    }
}

impl StdError for FailedVariant {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.cause)
    }
}

/// What a variant is called in errors: nothing where it is the only one.
#[derive(Clone, Debug)]
pub(super) struct VariantName(Option<(Compression, Option<i32>)>);

impl VariantName {
    pub(super) const LONE: Self = Self(None);

    pub(super) fn one_of_several(compression: Compression, level: Option<i32>) -> Self {
        Self(Some((compression, level)))
    }

    /// `cause` with the variant that it befell.
    pub(super) fn name(&self, cause: Error) -> Error {
        match self.0.clone() {
            Some((compression, level)) => {
                let error = Error::new(cause.kind(), "pack", "a layer in several compressions");
                error.with_source(FailedVariant { compression, level, cause })
            }
            None => cause,
        }
    }
}
