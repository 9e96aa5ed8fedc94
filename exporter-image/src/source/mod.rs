//! Sources: images that are read from layouts and archives, or through any provider.

#[cfg(unix)]
mod archive;
#[cfg(unix)]
mod archive_entries;
mod choose;
#[cfg(unix)]
mod docker_archive;
mod load;
#[cfg(unix)]
mod location;
mod platform_match;
mod read_document;

pub use load::{LoadOptions, SourceImage, load_image};
#[cfg(unix)]
pub use location::ImageSource;
