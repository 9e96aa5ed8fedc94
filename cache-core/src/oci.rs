//! Conversions from and to the types of the `oci-spec` crate; nothing else in this crate names it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_spec::image as oci;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::media_type::MediaType;
use crate::platform::Platform;

fn invalid(what: impl std::fmt::Display, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Invalid, "convert to oci-spec", what).with_source(source)
}

impl TryFrom<&oci::Descriptor> for Descriptor {
    type Error = Error;

    /// # Errors
    /// `Invalid` for a digest of an unknown algorithm or inline data that is no base64.
    fn try_from(value: &oci::Descriptor) -> Result<Self> {
        let digest: Digest = value.digest().to_string().parse()?;
        let mut descriptor = Self::new(MediaType::new(value.media_type().to_string()), digest, value.size());
        descriptor.urls = value.urls().clone().unwrap_or_default();
        descriptor.annotations = value.annotations().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        descriptor.platform = value.platform().as_ref().map(Platform::from);
        descriptor.artifact_type = value.artifact_type().as_ref().map(|name| MediaType::new(name.to_string()));
        if let Some(data) = value.data() {
            let decoded = STANDARD.decode(data);
            descriptor.data = Some(decoded.map_err(|source| invalid(digest, source))?);
        }
        Ok(descriptor)
    }
}

impl TryFrom<&Descriptor> for oci::Descriptor {
    type Error = Error;

    /// # Errors
    /// `Invalid` where `oci-spec` refuses the digest or the platform.
    fn try_from(value: &Descriptor) -> Result<Self> {
        let digest: oci::Digest = value.digest.to_string().parse().map_err(|source| invalid(value.digest, source))?;
        let mut descriptor = Self::new(value.media_type.as_str().into(), value.size, digest);
        if !value.urls.is_empty() {
            descriptor.set_urls(Some(value.urls.clone()));
        }
        if !value.annotations.is_empty() {
            descriptor.set_annotations(Some(value.annotations.clone().into_iter().collect()));
        }
        if let Some(data) = &value.data {
            descriptor.set_data(Some(STANDARD.encode(data)));
        }
        if let Some(platform) = &value.platform {
            descriptor.set_platform(Some(platform.try_into()?));
        }
        if let Some(artifact_type) = &value.artifact_type {
            descriptor.set_artifact_type(Some(artifact_type.as_str().into()));
        }
        Ok(descriptor)
    }
}

impl From<&oci::Platform> for Platform {
    fn from(value: &oci::Platform) -> Self {
        Self {
            architecture: value.architecture().to_string(),
            os: value.os().to_string(),
            os_version: value.os_version().clone().unwrap_or_default(),
            os_features: value.os_features().clone().unwrap_or_default(),
            variant: value.variant().clone().unwrap_or_default(),
        }
    }
}

impl TryFrom<&Platform> for oci::Platform {
    type Error = Error;

    /// # Errors
    /// `Invalid` where `oci-spec` refuses the platform.
    fn try_from(value: &Platform) -> Result<Self> {
        let mut builder =
            oci::PlatformBuilder::default().architecture(value.architecture.as_str()).os(value.os.as_str());
        if !value.os_version.is_empty() {
            builder = builder.os_version(value.os_version.clone());
        }
        if !value.os_features.is_empty() {
            builder = builder.os_features(value.os_features.clone());
        }
        if !value.variant.is_empty() {
            builder = builder.variant(value.variant.clone());
        }
        builder.build().map_err(|source| invalid(value, source))
    }
}
