//! Images of layercache: configs, manifests, layouts and archives, with the bytes that BuildKit writes.
//!
//! - [`compose_image`] makes the config and the manifest of an image from layers and a caller's config. It touches nothing.
//! - [`ImageExporter`] writes an image into any export target, layers first and the manifest last, and names it.
//! - [`output`] writes it as an OCI layout or as an archive for OCI tools or Docker.
//! - [`source`] reads images from there again, for a base image, to look at them, or to unpack them.
//! - [`config`] and [`history`] are the parts of which the first one is made.
//!
//! ```
//! use std::sync::Arc;
//! use cache_core::memory::{ManualClock, Memory};
//! use cache_core::ports::{LeaseManager, LeaseOptions};
//! use exporter_image::{ComposeOptions, ImageExporter, compose_image};
//!
//! # pollster::block_on(async {
//! let memory = Memory::new(Arc::new(ManualClock::default()));
//! let lease = memory.leases.create(LeaseOptions::default()).await?;
//! let config = r#"{"os":"linux","architecture":"amd64","config":{"Cmd":["/hello"]},"x":1.0}"#;
//! // Layers come from the packer; this image has none.
//! let image = compose_image(&[], &ComposeOptions::default().with_config(config))?;
//! let exporter = ImageExporter::into_store(memory.content.clone(), lease).with_image_store(memory.images.clone());
//! let names = ["docker.io/library/hello:latest".to_owned()];
//! let exported = exporter.export(&image, memory.content.as_ref(), &names).await?;
//! assert_eq!(exported.digest(), image.digest());
//! # Ok::<_, exporter_image::Error>(())
//! # }).unwrap();
//! ```

pub mod config;
pub mod history;
pub mod output;
pub mod source;

mod compose;
mod docker_zstd;
mod error;
mod image;
mod image_name;
mod index;
mod json;
mod manifest;
mod naming;

pub use compose::{ComposeOptions, ComposedImage, Document, ImageLayer, compose_image};
pub use config::EmptyLists;
pub use error::{ConfigProblem, DocumentProblem, Error, JsonError, NameProblem, Result};
pub use image::{ExportedImage, ImageExporter};
pub use image_name::ImageName;
pub use index::Index;
pub use json::{JsonLimits, compact};
pub use manifest::{Manifest, layer_descriptor};
pub use naming::name_image;
