//! The levels that a codec accepts.

use std::ops::RangeInclusive;

use cache_core::{Compression, Error, ErrorKind, Result};

/// The levels of a codec, and the one that is meant when none is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels(Option<(RangeInclusive<i32>, i32)>);

impl Levels {
    /// A codec without levels: any level is accepted and says nothing, as BuildKit has it for plain tars.
    pub const NONE: Self = Self(None);

    /// The levels of `accepted`, with `default` for those who name none.
    pub const fn new(accepted: RangeInclusive<i32>, default: i32) -> Self {
        Self(Some((accepted, default)))
    }

    /// The accepted range; `None` for a codec without levels.
    pub fn accepted(&self) -> Option<&RangeInclusive<i32>> {
        self.0.as_ref().map(|(accepted, _)| accepted)
    }

    /// Whether `level` is one of them, as every level is for a codec without levels.
    pub fn accepts(&self, level: i32) -> bool {
        self.accepted().is_none_or(|accepted| accepted.contains(&level))
    }

    /// The level that a wish stands for; `None` for a codec without levels.
    ///
    /// # Errors
    /// `Invalid` for a level out of range; its target names `compression` and the range.
    pub fn resolve(&self, compression: &Compression, wish: Option<i32>) -> Result<Option<i32>> {
        match (&self.0, wish) {
            (None, _) => Ok(None),
            (Some((_, default)), None) => Ok(Some(*default)),
            (Some((accepted, _)), Some(level)) if accepted.contains(&level) => Ok(Some(level)),
            (Some((accepted, _)), Some(level)) => Err(Error::new(
                ErrorKind::Invalid,
                "accept the compression level",
                format_args!("{level} of {compression}, which has {} to {}", accepted.start(), accepted.end()),
            )),
        }
    }
}
