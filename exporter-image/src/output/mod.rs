//! Outputs: image archives and layouts.

mod archive;
mod archive_file;
mod docker_manifest;
mod entries;
mod index_entries;
#[cfg(unix)]
mod layout;
mod options;
mod stream;

pub use archive::{ArchiveKind, write_archive};
pub use archive_file::write_archive_file;
#[cfg(unix)]
pub(crate) use docker_manifest::DockerImage;
pub use index_entries::{Unnamed, index_entries};
#[cfg(unix)]
pub use layout::write_layout;
pub use options::OutputOptions;
