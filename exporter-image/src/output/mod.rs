//! Outputs: image archives and layouts.

mod archive;
mod archive_file;
mod docker_manifest;
mod index_entries;
mod pump;

pub use archive::{ArchiveKind, ArchiveOptions, write_archive};
pub use archive_file::write_archive_file;
pub use index_entries::{Unnamed, index_entries};
