//! Platforms in Go's names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::json::null_as_empty;

/// A platform with Go's names of architectures and operating systems, normalised as containerd does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `linux`, `windows`, …
    pub os: String,
    /// The version of the operating system, on Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// Features of the operating system that must be there.
    #[serde(
        rename = "os.features",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_empty"
    )]
    pub os_features: Vec<String>,
    /// `v7`, `v8`, … where it differs from the architecture's usual one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl Platform {
    /// A normalised platform: `x86_64` becomes `amd64`, `aarch64` `arm64`; `arm` without variant becomes `v7`; the
    /// variants `amd64/v1` and `arm64/v8`, which say nothing, are dropped. Mirrors: containerd `platforms.Normalize`.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let (architecture, variant) = (architecture.to_ascii_lowercase(), variant.to_ascii_lowercase());
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", ""),
            ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
            ("i386" | "i686" | "x86" | "386", _) => ("386", ""),
            ("aarch64" | "arm64", "" | "8" | "v8") => ("arm64", ""),
            ("aarch64" | "arm64", variant) => ("arm64", variant),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "" | "7") => ("arm", "v7"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "6") => ("arm", "v6"),
            ("arm", "8") => ("arm", "v8"),
            ("powerpc64", variant) => ("ppc64", variant),
            (other, variant) => (other, variant),
        };
        Self {
            architecture: architecture.to_owned(),
            os,
            os_version: String::new(),
            os_features: Vec::new(),
            variant: variant.to_owned(),
        }
    }

    /// The platform that this program runs on.
    pub fn host() -> Self {
        let architecture = match (std::env::consts::ARCH, cfg!(target_endian = "little")) {
            ("powerpc64", true) => "ppc64le",
            ("mips64", true) => "mips64le",
            ("mips", true) => "mipsle",
            ("loongarch64", _) => "loong64",
            (other, _) => other,
        };
        Self::new(std::env::consts::OS, architecture, "")
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

impl FromStr for Platform {
    type Err = Error;

    /// Reads `os/architecture[/variant]`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::new(ErrorKind::Invalid, "parse platform", text.escape_debug());
        let parts: Vec<_> = text.split('/').collect();
        let word = |part: &&str| {
            part.bytes().any(|byte| byte.is_ascii_alphanumeric())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        if !parts.iter().all(word) {
            return Err(invalid());
        }
        match parts[..] {
            [os, architecture] => Ok(Self::new(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::new(os, architecture, variant)),
            _ => Err(invalid()),
        }
    }
}
