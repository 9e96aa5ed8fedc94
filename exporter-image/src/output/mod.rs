//! Outputs: image archives and layouts.

mod archive;
mod archive_file;
mod docker_manifest;
mod index_entries;
#[cfg(unix)]
mod layout;
mod pump;

pub use archive::{ArchiveKind, ArchiveOptions, write_archive};
pub use archive_file::write_archive_file;
#[cfg(unix)]
pub(crate) use docker_manifest::DockerImage;
pub use index_entries::{Unnamed, index_entries};
#[cfg(unix)]
pub use layout::write_layout;
