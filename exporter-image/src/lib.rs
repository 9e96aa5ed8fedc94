//! Images of layercache: configs, manifests, layouts and archives.

pub mod config;
pub mod history;
pub mod output;
pub mod source;

mod compose;
mod copy;
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
