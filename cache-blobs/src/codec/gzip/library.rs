//! The libraries that compress members.

use cache_core::{Compression, Result};

use crate::codec::level::Levels;

/// A library that compresses the members of gzip and eStargz layers. Two libraries never give the same bytes, and a
/// [`Recipe`](crate::codec::Recipe) names the one that was taken.
///
/// The default is the fastest one that the build has, and Cargo unites the features that all crates of a build ask for: an
/// embedder whose blobs may not change when another crate asks for `libdeflate` names its library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeflateLibrary {
    /// libdeflate, which needs a C compiler. Levels 0 to 12; the default 5 gives no more bytes than `gzip -6`.
    #[cfg(feature = "libdeflate")]
    Libdeflate,
    /// zlib-rs, which is Rust alone. Levels 0 to 9, which are those of zlib-ng; the default is 6.
    ZlibRs,
}

impl Default for DeflateLibrary {
    /// libdeflate where the build has it, else zlib-rs.
    #[cfg(feature = "libdeflate")]
    fn default() -> Self {
        Self::Libdeflate
    }

    /// libdeflate where the build has it, else zlib-rs.
    #[cfg(not(feature = "libdeflate"))]
    fn default() -> Self {
        Self::ZlibRs
    }
}

impl DeflateLibrary {
    /// Its name in recipes.
    pub const fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "libdeflate")]
            Self::Libdeflate => "libdeflate",
            Self::ZlibRs => "zlib-rs",
        }
    }

    /// The levels that it accepts. What one level means in two libraries has nothing to do with each other (docs/codecs.md).
    pub const fn levels(self) -> Levels {
        Levels::new(0..=self.max_level(), self.default_level())
    }

    /// The level that a wish of a layer of `compression` stands for.
    pub(in crate::codec) fn resolve(self, compression: &Compression, wish: Option<i32>) -> Result<i32> {
        Ok(self.levels().resolve(compression, wish)?.unwrap_or(self.default_level()))
    }

    /// libdeflate's is the fastest that is never larger than `gzip -6`. zlib-rs has none but 9 that is as small, at three times the
    /// time of 6, which is 1 to 2 % larger (docs/codecs.md).
    const fn default_level(self) -> i32 {
        match self {
            #[cfg(feature = "libdeflate")]
            Self::Libdeflate => 5,
            Self::ZlibRs => 6,
        }
    }

    const fn max_level(self) -> i32 {
        match self {
            #[cfg(feature = "libdeflate")]
            Self::Libdeflate => 12,
            Self::ZlibRs => 9,
        }
    }
}
