//! What the benchmarks share: a real tree, and a store for its layers.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cache_blobs::convert::{Converter, ConverterBackends};
use cache_blobs::embedded::{Embedded, EmbeddedOptions};
use cache_core::ports::{Collector, DiffOptions, Lease, LeaseManager, LeaseOptions, Mount, MountKind};
use cache_core::{Compression, CompressionConfig, Layer};

/// The variable that names the tree to pack.
pub const TREE_VARIABLE: &str = "LAYERCACHE_BENCH_TREE";

/// Trees that most machines with a compiler have, each of about 100 MB; the first one that is there is taken.
const TREES: [&str; 3] = ["/usr/lib/gcc", "/usr/lib64/gcc", "/usr/share"];

/// Any failure of a benchmark.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A directory of real files, and how many bytes they have.
#[derive(Debug)]
pub struct BenchTree {
    /// The directory.
    pub path: PathBuf,
    /// Bytes of the regular files in it.
    pub bytes: u64,
}

impl BenchTree {
    /// The tree that [`TREE_VARIABLE`] names, else the first usual one.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn find() -> Result<Self> {
        let named = std::env::var_os(TREE_VARIABLE).map(PathBuf::from);
        let usual = || TREES.iter().map(PathBuf::from).find(|path| path.is_dir());
        let path = named.or_else(usual).ok_or_else(|| format!("{TREE_VARIABLE} must name a directory"))?;
        Ok(Self { bytes: bytes_of(&path)?, path })
    }
}

fn bytes_of(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            bytes += bytes_of(&entry.path())?;
        } else if metadata.is_file() {
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}

/// A store, which is empty again after every layer.
#[derive(Debug)]
pub struct BenchStore {
    /// The store.
    pub embedded: Embedded,
    _directory: tempfile::TempDir,
}

impl BenchStore {
    /// A fresh store in the temporary directory.
    ///
    /// # Errors
    /// What opening it gives.
    pub fn open() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let embedded = pollster::block_on(Embedded::open(directory.path(), EmbeddedOptions::default()))?;
        Ok(Self { embedded, _directory: directory })
    }

    /// Packs all of `tree`, lets `look` have the layer, and removes it.
    ///
    /// # Errors
    /// What packing gives.
    pub fn with_packed<T>(
        &self,
        tree: &BenchTree,
        compression: CompressionConfig,
        look: impl FnOnce(&Layer) -> Result<T>,
    ) -> Result<T> {
        self.with_difference(None, tree, compression, look)
    }

    /// Packs what changed from `lower` to `upper` by the double walk, lets `look` have the layer, and removes it.
    ///
    /// # Errors
    /// What packing gives.
    pub fn with_difference<T>(
        &self,
        lower: Option<&BenchTree>,
        upper: &BenchTree,
        compression: CompressionConfig,
        look: impl FnOnce(&Layer) -> Result<T>,
    ) -> Result<T> {
        pollster::block_on(self.on_the_side(async |lease| {
            let packed = self.pack(lease, lower, upper, &DiffOptions::new(compression)).await?;
            look(&packed)
        }))
    }

    /// Packs all of `tree` in `own` and `other` compression by one reading, lets `look` see the end, and removes both.
    ///
    /// # Errors
    /// What packing gives.
    pub fn with_variants<T>(
        &self,
        tree: &BenchTree,
        own: CompressionConfig,
        other: CompressionConfig,
        look: impl FnOnce() -> T,
    ) -> Result<T> {
        pollster::block_on(self.on_the_side(async |lease| {
            self.pack(lease, None, tree, &DiffOptions::new(own).with_variants([other])).await?;
            Ok(look())
        }))
    }

    /// Packs all of `tree` in `own` compression, converts that into `other`, lets `look` see the end, and removes both.
    ///
    /// # Errors
    /// What packing and converting give.
    pub fn with_converted<T>(
        &self,
        tree: &BenchTree,
        own: CompressionConfig,
        other: CompressionConfig,
        look: impl FnOnce() -> T,
    ) -> Result<T> {
        let Embedded { backends, codecs, budget, .. } = &self.embedded;
        let converter = Converter::new(ConverterBackends {
            content: backends.content.clone(),
            leases: backends.leases.clone(),
            pool: backends.pool.clone(),
            codecs: codecs.clone(),
            budget: budget.clone(),
        });
        pollster::block_on(self.on_the_side(async |lease| {
            let layer = self.pack(lease, None, tree, &DiffOptions::new(own)).await?;
            converter.convert(lease, &layer, &other).await?;
            Ok(look())
        }))
    }

    async fn pack(
        &self,
        lease: &Lease,
        lower: Option<&BenchTree>,
        upper: &BenchTree,
        options: &DiffOptions,
    ) -> Result<Layer> {
        let mount = |tree: &BenchTree| {
            let options = vec!["rbind".to_owned(), "ro".to_owned()];
            Mount { kind: MountKind::Bind, source: tree.path.clone(), options }
        };
        let (lower, upper): (Vec<_>, _) = (lower.map(mount).into_iter().collect(), [mount(upper)]);
        Ok(self.embedded.differ.compare(lease, "layer", &lower, &upper, options).await?.layer)
    }

    /// Runs `work` with a lease, whose blobs are removed after it.
    async fn on_the_side<T>(&self, work: impl AsyncFnOnce(&Lease) -> Result<T>) -> Result<T> {
        let local = &self.embedded.local;
        let lease = local.leases.create(LeaseOptions::default()).await?;
        let worked = work(&lease).await;
        local.leases.delete(lease.id()).await?;
        local.collector.collect().await?;
        worked
    }
}

/// Every compression, and some at other levels, with its name.
pub fn compressions() -> [(&'static str, CompressionConfig); 7] {
    [
        ("uncompressed", CompressionConfig::uncompressed()),
        ("gzip", CompressionConfig::gzip()),
        ("gzip-1", CompressionConfig::gzip().with_level(1)),
        ("zstd", CompressionConfig::zstd()),
        ("zstd-3", CompressionConfig::zstd().with_level(3)),
        ("estargz", CompressionConfig::new(Compression::EStargz)),
        ("zstd-chunked", CompressionConfig::new(Compression::ZSTD_CHUNKED)),
    ]
}
