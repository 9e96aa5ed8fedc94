//! A difference that is wanted in several compressions: one reading of the trees, blobs that are tied together.
#![cfg(all(target_os = "linux", feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cache_blobs::codec::Codecs;
use cache_blobs::convert::{Converter, ConverterBackends, find_variant, variants};
use cache_blobs::differ::{DifferPath, Difference, TreeDiffer};
use cache_blobs::pack::Budget;
use cache_core::annotation::VARIANT;
use cache_core::memory::{ManualClock, Memory};
use cache_core::mount::LinuxMounter;
use cache_core::ports::{
    Access, DiffOptions, Differ, Ingester, LayerMode, Lease, LeaseManager, LeaseOptions, Manager, Mount, MountKind,
    MountedTree, Mounter, Pool, Resource,
};
use cache_core::{CodecId, Compression, CompressionConfig, ErrorKind, LabelChange, Labels, Layer, Result, ThreadPool};
use futures::TryStreamExt;
use pollster::block_on;
use tempfile::TempDir;

/// Counts the trees that are mounted.
#[derive(Debug)]
struct Counting {
    inner: LinuxMounter,
    mounted: AtomicUsize,
}

#[async_trait]
impl Mounter for Counting {
    async fn mount(&self, mounts: &[Mount], access: Access) -> Result<Arc<dyn MountedTree>> {
        self.mounted.fetch_add(1, Ordering::SeqCst);
        self.inner.mount(mounts, access).await
    }
}

/// A store, and a tree that is compared with nothing.
struct Bench {
    memory: Memory,
    mounter: Arc<Counting>,
    differ: TreeDiffer,
    converter: Converter,
    lease: Lease,
    upper: [Mount; 1],
    _directory: TempDir,
}

fn fill(tree: &Path) {
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::write(tree.join("a/small"), "small").unwrap();
    let noise: Vec<u8> = (0..3_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(tree.join("a/b/noise"), noise).unwrap();
    // Equal in all benches, as layers are.
    let time = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    for path in ["a/small", "a/b/noise", "a/b", "a", ""] {
        fs::File::open(tree.join(path)).unwrap().set_times(time).unwrap();
    }
}

impl Bench {
    fn new() -> Self {
        Self::with_memory(Budget::DEFAULT_MEMORY_BYTES)
    }

    fn with_memory(bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (scratch, tree) = (directory.path().join("scratch"), directory.path().join("tree"));
        fs::create_dir(&scratch).unwrap();
        fill(&tree);
        let memory = Memory::new(Arc::new(ManualClock::default()));
        let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
        let inner = LinuxMounter::new(Arc::clone(&pool), scratch);
        let mounter = Arc::new(Counting { inner, mounted: AtomicUsize::new(0) });
        let budget = Arc::new(Budget::new(NonZeroUsize::new(2).unwrap(), bytes).unwrap());
        let (content, codecs) = (memory.content.clone(), Codecs::default());
        let differ = TreeDiffer::new(content.clone(), mounter.clone(), pool.clone(), codecs.clone(), budget.clone());
        let leases = memory.leases.clone();
        let converter = Converter::new(ConverterBackends { content, leases, pool, codecs, budget });
        let lease = block_on(memory.leases.create(LeaseOptions::default())).unwrap();
        let options = vec!["rbind".into(), "ro".into()];
        let upper = [Mount { kind: MountKind::Bind, source: tree, options }];
        Self { memory, mounter, differ, converter, lease, upper, _directory: directory }
    }

    fn compare(&self, path: DifferPath, options: &DiffOptions) -> Result<Difference> {
        block_on(self.differ.clone().with_path(path).compare(&self.lease, "key", &[], &self.upper, options))
    }

    /// What each blob is labelled with, by its digest.
    fn blobs(&self) -> Vec<(String, Labels)> {
        let list = self.memory.content.list().map_ok(|info| (info.digest.to_string(), info.labels));
        let mut blobs: Vec<_> = block_on(list.try_collect()).unwrap();
        blobs.sort();
        blobs
    }
}

fn several() -> Vec<CompressionConfig> {
    vec![
        CompressionConfig::zstd(),
        CompressionConfig::uncompressed(),
        CompressionConfig::new(Compression::EStargz),
        CompressionConfig::new(Compression::ZSTD_CHUNKED),
    ]
}

fn gzip_and(variants: impl IntoIterator<Item = CompressionConfig>) -> DiffOptions {
    DiffOptions::new(CompressionConfig::gzip()).with_variants(variants)
}

#[test]
fn the_trees_are_mounted_once_for_all_variants_and_each_is_what_it_is_alone() {
    for path in [DifferPath::Auto, DifferPath::WalkingOnly] {
        let bench = Bench::new();
        let difference = bench.compare(path, &gzip_and(several())).unwrap();
        let mounted = bench.mounter.mounted.load(Ordering::SeqCst);
        assert_eq!(mounted, usize::from(path == DifferPath::WalkingOnly));
        assert_eq!(difference.variants.len(), 4);
        assert_eq!(bench.blobs().len(), 5);
        let layers = [vec![difference.layer.clone()], difference.variants].concat();
        let configs = [vec![CompressionConfig::gzip()], several()].concat();
        for (layer, config) in layers.iter().zip(configs) {
            let alone = Bench::new().compare(path, &DiffOptions::new(config.clone())).unwrap();
            assert_eq!(*layer, alone.layer, "{config:?}");
            let has_own = config.compression == Compression::EStargz;
            assert_eq!(layer.diff_id == difference.layer.diff_id, !has_own);
        }
    }
}

#[test]
fn variants_are_tied_to_the_layer_as_conversions_of_it_are() {
    let (bench, converting) = (Bench::new(), Bench::new());
    let difference = bench.compare(DifferPath::Auto, &gzip_and(several())).unwrap();
    let own = converting.compare(DifferPath::Auto, &gzip_and([])).unwrap();
    let mut converted = Vec::new();
    for config in several() {
        converted.push(block_on(converting.converter.convert(&converting.lease, &own.layer, &config)).unwrap());
    }
    assert_eq!(difference.variants, converted);
    assert_eq!(bench.blobs(), converting.blobs(), "the same blobs with the same labels");
    let found = block_on(variants(&*bench.memory.content, &difference.layer)).unwrap();
    assert_eq!(found.len(), 5);
    let held = block_on(bench.memory.leases.resources(&bench.lease)).unwrap();
    assert!(found.iter().all(|layer| held.contains(&Resource::Content(layer.descriptor.digest))));
}

#[test]
fn edges_that_a_crash_left_out_are_made_by_the_next_call() {
    let bench = Bench::new();
    let options = gzip_and(several());
    let difference = bench.compare(DifferPath::Auto, &options).unwrap();
    let whole = bench.blobs();
    let content = &*bench.memory.content;
    let own = difference.layer.descriptor.digest;
    let edge = |variant: &Layer| LabelChange::Remove(format!("{VARIANT}{}", variant.descriptor.digest));
    // The labels of a variant come before the edge that leads to it: a crash may leave out the last edges.
    for kept in 0..4 {
        let lost: Vec<_> = difference.variants[kept..].iter().map(edge).collect();
        block_on(content.change_labels(&own, &lost)).unwrap();
        assert_eq!(block_on(variants(content, &difference.layer)).unwrap().len(), 1 + kept);
        let again = bench.compare(DifferPath::Auto, &options).unwrap();
        assert_eq!(again, difference);
        assert_eq!(bench.blobs(), whole);
    }
}

#[test]
fn what_is_wanted_twice_is_made_once_and_levels_are_variants_of_their_own() {
    let bench = Bench::new();
    let gzip = CompressionConfig::gzip();
    let wanted = [CompressionConfig::zstd(), gzip.clone().with_level(5), gzip.with_level(1), CompressionConfig::zstd()];
    let Difference { layer, variants, .. } = bench.compare(DifferPath::Auto, &gzip_and(wanted)).unwrap();
    assert_eq!(bench.blobs().len(), 3, "5 is gzip's default");
    assert_eq!((&variants[1], &variants[3]), (&layer, &variants[0]));
    assert!(variants[2] != layer && variants[2].diff_id == layer.diff_id);
    let found = block_on(find_variant(&*bench.memory.content, &Codecs::default(), &layer, &Compression::Zstd));
    assert_eq!(found.unwrap().as_ref(), Some(&variants[0]));
}

#[test]
fn variants_that_no_codec_makes_are_not_supported_and_nothing_is_begun() {
    let bench = Bench::new();
    let unknown = CompressionConfig::new(Compression::Custom(CodecId::new("nobody-has-this-codec")));
    let estargz = CompressionConfig::new(Compression::EStargz);
    let cases = [
        (gzip_and([unknown]), ErrorKind::Unsupported),
        (gzip_and([CompressionConfig::zstd(), CompressionConfig::zstd().with_level(99)]), ErrorKind::Invalid),
        (gzip_and([estargz]).with_layer_mode(LayerMode::Windows), ErrorKind::Unsupported),
    ];
    for (options, kind) in cases {
        assert!(!bench.differ.supports(&options));
        assert_eq!(bench.compare(DifferPath::Auto, &options).unwrap_err().kind(), kind);
        assert_eq!(block_on(bench.memory.content.ingests()).unwrap(), []);
    }
    assert!(bench.differ.supports(&gzip_and(several())));
    assert_eq!(bench.blobs(), []);
}

#[test]
fn variants_for_which_the_budget_has_no_room_exceed_its_limit_and_leave_nothing() {
    let bench = Bench::with_memory(17 << 20);
    let zstd = DiffOptions::new(CompressionConfig::zstd());
    let both = zstd.clone().with_variants([CompressionConfig::gzip()]);
    assert_eq!(bench.compare(DifferPath::Auto, &both).unwrap_err().kind(), ErrorKind::LimitExceeded);
    assert_eq!((block_on(bench.memory.content.ingests()).unwrap(), bench.blobs()), (vec![], vec![]));
    bench.compare(DifferPath::Auto, &zstd).unwrap();
}
