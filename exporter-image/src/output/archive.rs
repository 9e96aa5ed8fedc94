//! Image archives: an OCI layout, or one that Docker loads too, in a tar.

use std::io::Write;

use cache_blobs::pack::PipeReader;
use cache_core::ports::{Pool, Provider};

use super::entries::{Entry, entries};
use super::options::OutputOptions;
use super::stream::{run_on_pool, write_entries};
use crate::compose::ComposedImage;
use crate::error::Result;

/// Who is to read an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ArchiveKind {
    /// Whoever reads OCI layouts.
    #[default]
    Oci,
    /// Docker too, which needs a `manifest.json`.
    Docker,
}

/// Streams an archive of `image`, whose layers `provider` has, into `writer`, which runs on `pool` and is given back
/// unflushed. Each blob is there once, and each layer is verified on the way; entries are sorted by name. Equal images and
/// options give equal archives. Mirrors: containerd `core/images/archive.Export`.
///
/// # Errors
/// `NotFound` if the provider lacks a layer; `Corrupt` if a layer's bytes are not those of its digest;
/// [`Error::Archive`](crate::Error::Archive) if the writer fails. What was written then is no archive.
///
/// # Cancel safety
/// When the call is dropped, the writer is dropped at its next block, without the end of the archive.
pub async fn write_archive<W: Write + Send + 'static>(
    pool: &dyn Pool,
    image: &ComposedImage,
    provider: &dyn Provider,
    kind: ArchiveKind,
    options: &OutputOptions,
    writer: W,
) -> Result<W> {
    let entries = entries(image, kind, options)?;
    let write = |entries: Vec<(String, Entry)>, layers: PipeReader| write_entries(entries, layers, writer);
    run_on_pool(pool, entries, provider, options, write).await
}
