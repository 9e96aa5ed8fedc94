//! Images of layercache: configs, manifests, layouts and archives.

pub mod config;
pub mod history;

mod compose;
mod error;
mod image_name;
mod index;
mod json;
mod manifest;

pub use compose::{ComposeOptions, ComposedImage, Document, ImageLayer, compose_image};
pub use error::{ConfigProblem, DocumentProblem, Error, JsonError, NameProblem, Result};
pub use image_name::ImageName;
pub use index::Index;
pub use json::{JsonLimits, compact};
pub use manifest::{Manifest, layer_descriptor};
