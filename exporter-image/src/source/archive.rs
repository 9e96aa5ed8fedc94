//! An image archive as a provider of its blobs.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::ports::{BlobReader, ByteStream, Pool, PoolExt, Provider};
use cache_core::{Descriptor, Digest};
use futures::StreamExt;

use super::archive_entries::{ArchiveEntries, Slice};
use crate::error::{DocumentProblem, Error, JsonError, Result};
use crate::index::Index;
use crate::json::{self, JsonLimits};

/// Bytes that one job of the pool reads. One chunk is in flight for each stream.
const CHUNK_BYTES: u64 = 256 * 1024;

/// First bytes of archives that are compressed as a whole.
const COMPRESSED: [&[u8]; 4] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ"];

/// An open image archive. It is read where it lies; nothing is unpacked.
#[derive(Clone, Debug)]
pub(super) struct ImageArchive {
    file: Arc<File>,
    pool: Arc<dyn Pool>,
    target: String,
    entries: Arc<ArchiveEntries>,
    pub(super) blobs: BTreeMap<Digest, Slice>,
    /// Blobs that are not in the archive, but were made from it.
    pub(super) made: BTreeMap<Digest, Bytes>,
}

impl ImageArchive {
    pub(super) async fn open(path: PathBuf, pool: Arc<dyn Pool>) -> Result<Self> {
        let target = path.display().to_string();
        let name = target.clone();
        let scan = move || -> Result<_> {
            let file = open_regular(&path);
            let file = file.map_err(|source| cache_core::Error::io("open image archive", &name, source))?;
            refuse_compressed(&file, &name)?;
            let entries = ArchiveEntries::scan(&file, &name)?;
            Ok((file, entries))
        };
        let (file, entries) = pool.run(move || Ok(scan())).await??;
        let blobs = entries.blobs();
        let (file, entries) = (Arc::new(file), Arc::new(entries));
        Ok(Self { file, pool, target, entries, blobs, made: BTreeMap::new() })
    }

    /// The archive's name in errors.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// Where the file `name` is.
    pub(super) fn find(&self, name: &str) -> Option<Slice> {
        self.entries.find(name)
    }

    /// The file `name`, whole; `None` if there is none.
    pub(super) async fn read(&self, name: &str, limits: JsonLimits) -> Result<Option<Bytes>> {
        let Some(slice) = self.find(name) else { return Ok(None) };
        if slice.size > limits.bytes {
            return Err(self.problem(name, JsonError::TooLong { maximum: limits.bytes }.into()));
        }
        let (file, target) = (Arc::clone(&self.file), self.target.clone());
        let length = usize::try_from(slice.size).unwrap_or(usize::MAX);
        let bytes = self.pool.run(move || read_at(&file, &target, slice.offset, length)).await?;
        Ok(Some(bytes))
    }

    /// The `index.json`.
    pub(super) async fn index(&self, limits: JsonLimits) -> Result<Index> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            image_layout_version: String,
        }
        let missing = |name: &str| self.problem(name, DocumentProblem::Missing { name: name.to_owned() });
        let version = self.read("oci-layout", limits).await?.ok_or_else(|| missing("oci-layout"))?;
        let version: Version =
            json::parse_object(&version, limits).map_err(|error| self.problem("oci-layout", error.into()))?;
        if version.image_layout_version != "1.0.0" {
            return Err(self.problem("oci-layout", DocumentProblem::LayoutVersion));
        }
        let index = self.read("index.json", limits).await?.ok_or_else(|| missing("index.json"))?;
        Index::parse(&index, limits).map_err(|problem| self.problem("index.json", problem))
    }

    /// A failure of the file `name`.
    pub(super) fn problem(&self, name: &str, problem: DocumentProblem) -> Error {
        Error::Document { document: format!("{name} in {}", self.target), problem }
    }

    /// A reader of `slice`.
    pub(super) fn reader(&self, slice: Slice) -> ArchiveBlob {
        let (file, pool) = (Arc::clone(&self.file), Arc::clone(&self.pool));
        ArchiveBlob { file, pool, target: self.target.clone(), slice }
    }
}

/// A pipe in the place of the archive must not block us for ever.
fn open_regular(path: &PathBuf) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let file = File::options().read(true).custom_flags(i32::try_from(flags).unwrap_or_default()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::ErrorKind::InvalidInput.into()) }
}

fn refuse_compressed(file: &File, target: &str) -> Result<()> {
    let start = read_at(file, target, 0, 8)?;
    if COMPRESSED.iter().any(|magic| start.starts_with(magic)) {
        return Err(Error::Document { document: target.to_owned(), problem: DocumentProblem::Compressed });
    }
    Ok(())
}

/// At most `length` bytes from `offset` on, fewer only at the end of the file. Blocks.
fn read_at(file: &File, target: &str, offset: u64, length: usize) -> cache_core::Result<Bytes> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cache_core::Error::io("read image archive", target, error)),
        }
    }
    bytes.truncate(filled);
    Ok(bytes.into())
}

#[async_trait]
impl Provider for ImageArchive {
    async fn open(&self, descriptor: &Descriptor) -> cache_core::Result<Option<Box<dyn BlobReader>>> {
        if let Some(bytes) = self.made.get(&descriptor.digest) {
            return Ok(Some(Box::new(MadeBlob(bytes.clone()))));
        }
        let slice = self.blobs.get(&descriptor.digest);
        Ok(slice.map(|slice| Box::new(self.reader(*slice)) as Box<dyn BlobReader>))
    }
}

/// A blob in the archive's file.
#[derive(Debug)]
pub(super) struct ArchiveBlob {
    file: Arc<File>,
    pool: Arc<dyn Pool>,
    target: String,
    slice: Slice,
}

#[async_trait]
impl BlobReader for ArchiveBlob {
    fn size(&self) -> u64 {
        self.slice.size
    }

    async fn read(&self, range: Range<u64>) -> cache_core::Result<ByteStream> {
        let (file, pool, target) = (Arc::clone(&self.file), Arc::clone(&self.pool), self.target.clone());
        let (start, end) = (self.slice.offset, range.end.min(self.slice.size));
        let stream = futures::stream::try_unfold(range.start, move |at| {
            let (file, pool, target) = (Arc::clone(&file), Arc::clone(&pool), target.clone());
            async move {
                let length = usize::try_from(end.saturating_sub(at).min(CHUNK_BYTES)).unwrap_or_default();
                if length == 0 {
                    return Ok(None);
                }
                let chunk = pool.run(move || read_at(&file, &target, start + at, length)).await?;
                let next = at + chunk.len() as u64;
                Ok((!chunk.is_empty()).then_some((chunk, next)))
            }
        });
        Ok(stream.boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}

/// A blob in memory.
#[derive(Debug)]
struct MadeBlob(Bytes);

#[async_trait]
impl BlobReader for MadeBlob {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> cache_core::Result<ByteStream> {
        let end = range.end.min(self.size());
        let start = range.start.min(end);
        let index = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.0.slice(index(start)..index(end));
        Ok(futures::stream::once(async { Ok(bytes) }).boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}
