//! Image configs: reading, defaults, and patching with unknown fields kept.

mod default;
mod history_entry;
mod image_config;
mod patch;
mod runtime_config;

pub use default::default_config;
pub use history_entry::HistoryEntry;
pub use image_config::{ImageConfig, RootFs};
pub(crate) use patch::read_config;
pub use patch::{ConfigPatch, EmptyLists, patch_config};
pub use runtime_config::RuntimeConfig;
