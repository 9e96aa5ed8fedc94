//! How layer bytes are compressed.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// The name of a codec that the embedder registered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodecId(Cow<'static, str>);

impl CodecId {
    /// A codec's name, as users write it after `compression=`.
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// A codec's name that is only known at run time.
    pub fn from_name(name: impl Into<String>) -> Self {
        Self(Cow::Owned(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A layer compression. BuildKit's own ones have names here; any other is [`Custom`](Self::Custom).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// The plain tar.
    Uncompressed,
    /// gzip, BuildKit's default.
    #[default]
    Gzip,
    /// Seekable gzip with a table of contents; its media type is gzip's.
    EStargz,
    /// Zstandard.
    Zstd,
    /// A codec that the embedder registered.
    Custom(CodecId),
}

impl Compression {
    /// Zstandard with a table of contents, as podman and skopeo name it; its media type is zstd's. BuildKit has none.
    pub const ZSTD_CHUNKED: Self = Self::Custom(CodecId::new("zstd:chunked"));

    /// The name in options and labels: `uncompressed`, `gzip`, `estargz`, `zstd`, or the custom codec's.
    pub fn name(&self) -> &str {
        match self {
            Self::Uncompressed => "uncompressed",
            Self::Gzip => "gzip",
            Self::EStargz => "estargz",
            Self::Zstd => "zstd",
            Self::Custom(id) => id.as_str(),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = Error;

    /// Accepts the four names that BuildKit has; custom codecs are looked up in the embedder's registry instead.
    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "uncompressed" => Ok(Self::Uncompressed),
            "gzip" => Ok(Self::Gzip),
            "estargz" => Ok(Self::EStargz),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Error::new(ErrorKind::Invalid, "parse compression", name.escape_debug())),
        }
    }
}

/// Whether layers that exist in another compression are converted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Conversion {
    /// The compression applies to newly made layers only.
    #[default]
    NewLayersOnly,
    /// Every layer is converted, base and cached ones too (BuildKit's `force-compression`).
    AllLayers,
}

/// The wanted compression of layers. Mirrors: BuildKit `util/compression.Config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CompressionConfig {
    /// The compression.
    pub compression: Compression,
    /// The codec's own level; `None` is the codec's default. Validated by the codec.
    pub level: Option<i32>,
    /// What happens to layers that exist already.
    pub conversion: Conversion,
}

impl CompressionConfig {
    /// `compression` at its default level, for new layers only.
    pub fn new(compression: Compression) -> Self {
        Self { compression, ..Self::default() }
    }

    /// Plain tars.
    pub fn uncompressed() -> Self {
        Self::new(Compression::Uncompressed)
    }

    /// gzip at its default level.
    pub fn gzip() -> Self {
        Self::new(Compression::Gzip)
    }

    /// zstd at its default level.
    pub fn zstd() -> Self {
        Self::new(Compression::Zstd)
    }

    /// The same with the codec's `level`.
    #[must_use]
    pub fn with_level(mut self, level: i32) -> Self {
        self.level = Some(level);
        self
    }

    /// The same for every layer, also those that exist in another compression.
    #[must_use]
    pub fn forced(mut self) -> Self {
        self.conversion = Conversion::AllLayers;
        self
    }
}
