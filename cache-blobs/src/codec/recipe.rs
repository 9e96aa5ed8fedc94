//! How the bytes of a blob were made.

use cache_core::{Error, ErrorKind, Result, json};
use serde::{Deserialize, Serialize};

/// Everything besides the tar on which the bytes of a blob depend. It is kept with the blob, as compact JSON in the label
/// [`RECIPE`](cache_core::annotation::RECIPE), so that the blob can be made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Recipe {
    /// The codec's name.
    pub codec: String,
    /// The library that compresses; empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub library: String,
    /// The library's version, or what stands for it where the library does not tell; empty if there is no library.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The level; `None` for a codec without levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<i32>,
    /// Bytes of tar in a block that is compressed by itself; `None` if the tar is compressed as one stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// What else the codec chose, in its own words; empty if there is nothing else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub parameters: String,
}

impl Recipe {
    /// The recipe of a codec that needs no library, level or blocks.
    pub fn new(codec: impl Into<String>) -> Self {
        Self {
            codec: codec.into(),
            library: String::new(),
            version: String::new(),
            level: None,
            block: None,
            parameters: String::new(),
        }
    }

    /// The same by `library` of `version`.
    #[must_use]
    pub fn with_library(mut self, library: impl Into<String>, version: impl Into<String>) -> Self {
        self.library = library.into();
        self.version = version.into();
        self
    }

    /// The same at `level`.
    #[must_use]
    pub fn with_level(mut self, level: i32) -> Self {
        self.level = Some(level);
        self
    }

    /// The same in blocks of `bytes` bytes of tar.
    #[must_use]
    pub fn with_block(mut self, bytes: u64) -> Self {
        self.block = Some(bytes);
        self
    }

    /// The same with what else the codec chose.
    #[must_use]
    pub fn with_parameters(mut self, parameters: impl Into<String>) -> Self {
        self.parameters = parameters.into();
        self
    }

    /// The value of the label.
    pub fn to_label(&self) -> String {
        let bytes = json::to_vec(self).expect("a struct of strings and numbers has a JSON form");
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }

    /// Reads the value of the label.
    ///
    /// # Errors
    /// `Invalid` if it is no recipe, or one with parts that this version does not know.
    pub fn from_label(label: &str) -> Result<Self> {
        serde_json::from_str(label)
            .map_err(|source| Error::new(ErrorKind::Invalid, "read recipe", label.escape_debug()).with_source(source))
    }
}
