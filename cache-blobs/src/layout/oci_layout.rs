//! The layout as a target, a fetcher, a provider and a resolver.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use cache_core::ports::{Begun, BlobReader, Expected, ExportTarget, Fetcher, Pool, PoolExt, Provider, Resolver};
use cache_core::{Descriptor, Digest, Error, ErrorKind, MediaType, Result};

use super::blob::LayoutBlob;
use super::directory::Directory;
use super::index::LayoutIndex;
use super::ingest::{self, LayoutIngest};
use super::lock::IndexLock;
use super::temporary::{self, Temporary};

const VERSION_FILE: &str = "oci-layout";
const INDEX_FILE: &str = "index.json";
const VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// The most bytes of `index.json` by default: some ten thousand named manifests.
const MAX_INDEX_BYTES: u64 = 4 * 1024 * 1024;

/// Limits of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayoutOptions {
    /// The most bytes that `index.json` and `oci-layout` may have; 4 MiB by default.
    pub max_index_bytes: u64,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self { max_index_bytes: MAX_INDEX_BYTES }
    }
}

impl LayoutOptions {
    /// The same with at most `bytes` of `index.json`.
    #[must_use]
    pub fn with_max_index_bytes(mut self, bytes: u64) -> Self {
        self.max_index_bytes = bytes;
        self
    }
}

/// An OCI image layout. Several processes may write to one at once. Blocking work runs on the pool that it is given.
///
/// As an [`ExportTarget`] it verifies size and digest at commit. It takes a blob for present if a file of the expected
/// length lies in its place; one of another length is replaced. It keeps neither labels nor partial blobs.
#[derive(Clone, Debug)]
pub struct OciLayout {
    directory: Arc<Directory>,
    pool: Arc<dyn Pool>,
    options: LayoutOptions,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    image_layout_version: String,
}

impl OciLayout {
    /// The layout at `path`; `None` if there is no directory, or one without `oci-layout` and `index.json`.
    ///
    /// # Errors
    /// `Unsupported` for a layout of another version; `Corrupt` for one whose version cannot be read or whose files are
    /// symbolic links; what the file system gives.
    pub async fn open(path: impl Into<PathBuf>, pool: Arc<dyn Pool>, options: LayoutOptions) -> Result<Option<Self>> {
        let path = path.into();
        let opened = pool.run(move || {
            let Some(directory) = Directory::open(&path)? else { return Ok(None) };
            let version = check_version(&directory, options)?;
            let index = directory.read_small(INDEX_FILE, options.max_index_bytes)?;
            Ok((version.is_some() || index.is_some()).then_some(directory))
        });
        Ok(opened.await?.map(|directory| Self { directory: Arc::new(directory), pool, options }))
    }

    /// The layout at `path`, made if there is none. What killed writers left in it is removed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn create(path: impl Into<PathBuf>, pool: Arc<dyn Pool>, options: LayoutOptions) -> Result<Self> {
        let path = path.into();
        let created = pool.run(move || {
            let directory = Arc::new(Directory::create(&path)?);
            temporary::sweep(&directory)?;
            if check_version(&directory, options)?.is_none() {
                replace(&directory, VERSION_FILE, VERSION.as_bytes())?;
            }
            Ok(directory)
        });
        Ok(Self { directory: created.await?, pool, options })
    }

    /// The directory, as it was given.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What has a name; empty if there is no `index.json` yet.
    ///
    /// # Errors
    /// `Corrupt` if it is no index; `LimitExceeded` past [`LayoutOptions::max_index_bytes`].
    pub async fn index(&self) -> Result<LayoutIndex> {
        let (directory, options) = (Arc::clone(&self.directory), self.options);
        self.pool.run(move || read_index(&directory, options)).await
    }

    /// Adds `entries` to `index.json`, each as [`LayoutIndex::put`] does, under a lock that all processes heed. Entries
    /// of other names stay.
    ///
    /// # Errors
    /// As [`index`](Self::index), and what the file system gives; `index.json` is as it was then.
    ///
    /// # Cancel safety
    /// A dropped call has added all entries or none, or does so a moment later.
    pub async fn add_to_index(&self, entries: Vec<Descriptor>) -> Result<()> {
        let (directory, options) = (Arc::clone(&self.directory), self.options);
        let add = move || {
            let _lock = IndexLock::acquire(&directory)?;
            let mut index = read_index(&directory, options)?;
            entries.into_iter().for_each(|entry| index.put(entry));
            let bytes = index.to_json()?;
            if bytes.len() as u64 > options.max_index_bytes {
                return Err(directory.error(ErrorKind::LimitExceeded, "write (max_index_bytes)", INDEX_FILE));
            }
            replace(&directory, INDEX_FILE, &bytes)
        };
        self.pool.run(add).await
    }

    async fn open_blob(&self, digest: Digest) -> Result<Option<LayoutBlob>> {
        let directory = Arc::clone(&self.directory);
        let opened = self.pool.run(move || directory.open_blob(&digest)).await?;
        Ok(opened.map(|(file, size)| LayoutBlob {
            file: Arc::new(file),
            path: self.directory.blob_path(&digest),
            size,
            pool: Arc::clone(&self.pool),
        }))
    }
}

fn check_version(directory: &Directory, options: LayoutOptions) -> Result<Option<()>> {
    let Some(bytes) = directory.read_small(VERSION_FILE, options.max_index_bytes)? else { return Ok(None) };
    let version: Version = serde_json::from_slice(&bytes)
        .map_err(|source| directory.error(ErrorKind::Corrupt, "read", VERSION_FILE).with_source(source))?;
    if version.image_layout_version == "1.0.0" {
        Ok(Some(()))
    } else {
        Err(directory.error(ErrorKind::Unsupported, "read a layout of another version,", VERSION_FILE))
    }
}

fn read_index(directory: &Directory, options: LayoutOptions) -> Result<LayoutIndex> {
    match directory.read_small(INDEX_FILE, options.max_index_bytes)? {
        Some(bytes) => LayoutIndex::parse(&bytes, directory.path().join(INDEX_FILE).display()),
        None => Ok(LayoutIndex::default()),
    }
}

/// Replaces a file of the layout; a crash leaves the old one or the new one.
fn replace(directory: &Arc<Directory>, name: &str, bytes: &[u8]) -> Result<()> {
    let mut file = Temporary::create(directory)?;
    file.write(bytes)?;
    file.persist(directory.root(), name)
}

#[async_trait]
impl Provider for OciLayout {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        Ok(self.open_blob(descriptor.digest).await?.map(|blob| Box::new(blob) as Box<dyn BlobReader>))
    }
}

#[async_trait]
impl Fetcher for OciLayout {
    /// # Errors
    /// `Corrupt` if the file has another length than the descriptor says, or is none.
    async fn fetch(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        let Some(blob) = self.open_blob(descriptor.digest).await? else { return Ok(None) };
        if blob.size != descriptor.size {
            return Err(Error::new(ErrorKind::Corrupt, "fetch blob of another size than", descriptor.digest));
        }
        Ok(Some(Box::new(blob)))
    }
}

#[async_trait]
impl Resolver for OciLayout {
    /// As [`LayoutIndex::find`]. A digest that the index does not list, but whose blob is there, has an empty media type.
    async fn resolve(&self, name: &str) -> Result<Option<Descriptor>> {
        if let Some(descriptor) = self.index().await?.find(name) {
            return Ok(Some(descriptor.clone()));
        }
        let Ok(digest) = name.parse() else { return Ok(None) };
        let blob = self.open_blob(digest).await?;
        Ok(blob.map(|blob| Descriptor::new(MediaType::default(), digest, blob.size)))
    }
}

#[async_trait]
impl ExportTarget for OciLayout {
    async fn begin(&self, key: &str, expected: Expected) -> Result<Begun> {
        if let Some(digest) = expected.digest
            && let Some(blob) = self.open_blob(digest).await?
            && expected.size.is_none_or(|size| size == blob.size)
        {
            return Ok(Begun::AlreadyThere(ingest::blob_info(digest, blob.size)));
        }
        let (directory, pool) = (Arc::clone(&self.directory), Arc::clone(&self.pool));
        Ok(Begun::Started(Box::new(LayoutIngest::begin(directory, pool, key, expected).await?)))
    }
}
