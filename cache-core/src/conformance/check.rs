//! Checks and how they end.

use std::error::Error as StdError;
use std::fmt;
use std::panic::Location;

use futures::future::BoxFuture;

use crate::error::Error;

/// One check of a suite whose subjects are `S`. Every run takes a fresh subject.
pub struct Check<S> {
    /// Its name, a sentence.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(S) -> BoxFuture<'static, Outcome>,
}

impl<S> Clone for Check<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Check<S> {}

impl<S> fmt::Debug for Check<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a check ended. `Ok` says that the promise was kept.
pub type Outcome = Result<(), Unmet>;

/// Why a check did not pass.
#[derive(Debug)]
pub enum Unmet {
    /// The subject broke a promise.
    Violated(Violation),
    /// The check says nothing of this subject, or of any on this system.
    NotApplicable {
        /// What it needs.
        needs: &'static str,
    },
}

impl Unmet {
    /// The check needs `needs`.
    pub(crate) fn needs(needs: &'static str) -> Self {
        Self::NotApplicable { needs }
    }
}

/// A broken promise: which one, how, and at which line of the suite. `Debug` reads like `Display`, because a test that
/// returns it prints the former.
pub struct Violation {
    promise: String,
    location: &'static Location<'static>,
    source: Option<Error>,
}

impl Violation {
    #[track_caller]
    pub(crate) fn new(promise: impl Into<String>) -> Self {
        Self { promise: promise.into(), location: Location::caller(), source: None }
    }

    /// What was promised, and what was found instead.
    pub fn promise(&self) -> &str {
        &self.promise
    }
}

impl From<Violation> for Unmet {
    fn from(violation: Violation) -> Self {
        Self::Violated(violation)
    }
}

impl From<Error> for Unmet {
    /// A failure of the subject where the suite needs a success.
    #[track_caller]
    fn from(error: Error) -> Self {
        let promise = format!("a call that must succeed failed: {error}");
        Self::Violated(Violation { promise, location: Location::caller(), source: Some(error) })
    }
}

impl From<std::io::Error> for Unmet {
    /// A failure of the system under what the suite does by itself.
    #[track_caller]
    fn from(error: std::io::Error) -> Self {
        Error::io("access", "the file tree of a check", error).into()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.promise, self.location.file(), self.location.line())
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match self.source.as_ref().and_then(StdError::source) {
            Some(cause) => write!(f, ", because: {cause}"),
            None => Ok(()),
        }
    }
}

impl StdError for Violation {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as &(dyn StdError + 'static))
    }
}
