//! Which way a difference is found, and what the options make of it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::fs;
use std::io::Read;
use std::num::NonZeroUsize;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache_blobs::codec::Codecs;
use cache_blobs::differ::{DifferPath, Difference, FoundBy, TreeDiffer, Upperdir, upperdir};
use cache_blobs::embedded::{Embedded, EmbeddedOptions, SnapshotterChoice};
use cache_blobs::pack::Budget;
use cache_blobs::tar::{Header, Reader};
use cache_core::cache::RefOptions;
use cache_core::memory::{ManualClock, Memory};
use cache_core::mount::{LinuxMounter, OverlayLayers};
use cache_core::ports::{
    Access, BlobReader, DiffOptions, Differ, Ingester, LayerMode, Lease, LeaseManager, LeaseOptions, Manager, Mount,
    MountKind, MountedTree, Mounter, Pool, Provider, XattrPolicy,
};
use cache_core::{CodecId, Compression, CompressionConfig, Digest, ErrorKind, Result, ThreadPool, Timestamp};
use futures::TryStreamExt;
use pollster::block_on;
use rustix::fs::{XattrFlags, setxattr};
use tempfile::TempDir;

/// A differ over directories, and a place for them.
struct Bench {
    memory: Memory,
    mounter: Arc<LinuxMounter>,
    differ: TreeDiffer,
    lease: Lease,
    directory: TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::new(Arc::new(ManualClock::default()));
        let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
        let scratch = directory.path().join("scratch");
        fs::create_dir(&scratch).unwrap();
        let mounter = Arc::new(LinuxMounter::new(Arc::clone(&pool), scratch));
        let budget = Arc::new(Budget::new(NonZeroUsize::MIN, Budget::DEFAULT_MEMORY_BYTES).unwrap());
        let differ = TreeDiffer::new(memory.content.clone(), mounter.clone(), pool, Codecs::default(), budget);
        let lease = block_on(memory.leases.create(LeaseOptions::default())).unwrap();
        Self { memory, mounter, differ, lease, directory }
    }

    /// A directory with files, each with its own name in it.
    fn tree(&self, name: &str, files: &[&str]) -> PathBuf {
        let tree = self.directory.path().join(name);
        fs::create_dir_all(&tree).unwrap();
        for file in files {
            fs::create_dir_all(tree.join(file).parent().unwrap()).unwrap();
            fs::write(tree.join(file), file).unwrap();
        }
        tree
    }

    fn compare(&self, path: DifferPath, lower: &[Mount], upper: &[Mount]) -> Result<Difference> {
        self.compare_with(path, lower, upper, &DiffOptions::new(CompressionConfig::uncompressed()))
    }

    fn compare_with(
        &self,
        path: DifferPath,
        lower: &[Mount],
        upper: &[Mount],
        options: &DiffOptions,
    ) -> Result<Difference> {
        block_on(self.differ.clone().with_path(path).compare(&self.lease, "key", lower, upper, options))
    }

    fn headers(&self, difference: &Difference) -> Vec<Header> {
        let reader = block_on(self.memory.content.open(&difference.layer.descriptor)).unwrap().unwrap();
        headers(reader.as_ref(), difference.layer.diff_id)
    }

    fn names(&self, difference: &Difference) -> Vec<String> {
        self.headers(difference).into_iter().map(|header| String::from_utf8(header.path).unwrap()).collect()
    }

    /// Nothing was left of a call that failed.
    fn is_clean(&self) -> bool {
        block_on(self.memory.content.ingests()).unwrap().is_empty()
    }
}

fn headers(reader: &dyn BlobReader, diff_id: Digest) -> Vec<Header> {
    let blob: Vec<u8> = block_on(async {
        let stream = reader.read(0..reader.size()).await.unwrap();
        let chunks: Vec<_> = stream.try_collect().await.unwrap();
        chunks.concat()
    });
    let mut tar = Vec::new();
    Codecs::default().decode(Box::new(std::io::Cursor::new(blob))).unwrap().read_to_end(&mut tar).unwrap();
    assert_eq!(Digest::of(&tar), diff_id);
    let mut reader = Reader::new(&tar[..]);
    let mut headers = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        headers.push(entry.header().clone());
    }
    headers
}

fn bind(path: &Path) -> Mount {
    Mount { kind: MountKind::Bind, source: path.to_owned(), options: vec!["rbind".into(), "ro".into()] }
}

fn overlay(upper: Option<&Path>, lower: &[&Path], options: &[&str]) -> Mount {
    let layers = OverlayLayers {
        upper: upper.map(Path::to_owned),
        work: upper.map(|upper| upper.with_extension("work")),
        lower: lower.iter().map(|path| (*path).to_owned()).collect(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    };
    layers.to_mount().unwrap()
}

fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: {test} needs root");
    }
    root
}

/// Sets an attribute, unless the file system has none of the kind.
fn attribute(path: &Path, name: &str, value: &str) -> bool {
    let outcome = setxattr(path, name, value.as_bytes(), XattrFlags::empty());
    if let Err(error) = outcome {
        println!("skipped: {name} cannot be set here ({error})");
    }
    outcome.is_ok()
}

#[test]
fn mounts_that_differ_in_one_upperdir_are_told_from_all_others() {
    let [a, b, c, d] = ["/a", "/b", "/c", "/d"].map(Path::new);
    let found = |upper: &Path, lowers: &[&Path]| {
        Some(Upperdir { upper: upper.to_owned(), lowers: lowers.iter().map(|path| (*path).to_owned()).collect() })
    };
    let volatile = |mount: Mount| Mount { options: [mount.options, vec!["volatile".into()]].concat(), ..mount };
    let cases = [
        ("nothing under a directory", vec![], vec![bind(a)], found(a, &[])),
        ("one lower", vec![bind(a)], vec![overlay(Some(b), &[a], &[])], found(b, &[a])),
        ("two lowers", vec![overlay(None, &[b, a], &[])], vec![overlay(Some(c), &[b, a], &[])], found(c, &[b, a])),
        ("a view", vec![overlay(None, &[b, a], &[])], vec![overlay(None, &[c, b, a], &[])], found(c, &[b, a])),
        (
            "known options",
            vec![bind(a)],
            vec![overlay(Some(b), &[a], &["index=off", "userxattr", "redirect_dir=off"])],
            found(b, &[a]),
        ),
        ("an unknown option", vec![bind(a)], vec![volatile(overlay(Some(b), &[a], &[]))], None),
        (
            "an unknown option below",
            vec![volatile(overlay(None, &[b, a], &[]))],
            vec![overlay(Some(c), &[b, a], &[])],
            None,
        ),
        ("two layers more", vec![bind(a)], vec![overlay(Some(c), &[b, a], &[])], None),
        (
            "three lowers, of which one is another",
            vec![overlay(None, &[c, b, a], &[])],
            vec![overlay(Some(d), &[c, a, b], &[])],
            None,
        ),
        ("no layer more", vec![overlay(None, &[b, a], &[])], vec![overlay(None, &[b, a], &[])], None),
        ("two directories", vec![bind(a)], vec![bind(b)], None),
        ("nothing over a directory", vec![bind(a)], vec![], None),
        ("mounts over mounts", vec![bind(a)], vec![bind(a), overlay(Some(b), &[a], &[])], None),
        ("another kind", vec![], vec![Mount { kind: MountKind::Other("erofs".into()), ..bind(a) }], None),
    ];
    for (name, lower, upper, expected) in cases {
        assert_eq!(upperdir(&lower, &upper), expected, "{name}");
    }
}

#[test]
fn an_upperdir_is_read_without_mounting_anything() {
    let bench = Bench::new();
    let (lower, middle) = (bench.tree("lower", &["a/old", "same"]), bench.tree("middle", &["a/middle"]));
    let upper = bench.tree("upper", &["a/new"]);
    fs::write(upper.join("same"), "changed").unwrap();
    let cases = [
        (vec![], vec![bind(&upper)]),
        (vec![bind(&lower)], vec![overlay(Some(&upper), &[&lower], &[])]),
        (vec![overlay(None, &[&middle, &lower], &[])], vec![overlay(Some(&upper), &[&middle, &lower], &[])]),
    ];
    for (lower, upper) in cases {
        for path in [DifferPath::Auto, DifferPath::OverlayOnly] {
            let difference = bench.compare(path, &lower, &upper).unwrap();
            assert_eq!(difference.found_by, FoundBy::Upperdir);
            assert_eq!(bench.names(&difference), ["a/", "a/new", "same"]);
            assert!(difference.report.is_complete());
        }
    }
}

#[test]
fn directories_that_are_no_overlay_are_both_walked() {
    let bench = Bench::new();
    let (lower, upper) = (bench.tree("lower", &["gone", "same"]), bench.tree("upper", &["new"]));
    fs::hard_link(lower.join("same"), upper.join("same")).unwrap();
    for (lower, upper, names) in [
        (vec![bind(&lower)], vec![bind(&upper)], vec![".wh.gone", "new"]),
        (vec![bind(&lower)], vec![], vec![".wh.gone", ".wh.same"]),
        (vec![], vec![], vec![]),
    ] {
        for path in [DifferPath::Auto, DifferPath::WalkingOnly] {
            let difference = bench.compare(path, &lower, &upper).unwrap();
            assert_eq!(difference.found_by, FoundBy::DoubleWalk);
            assert_eq!(bench.names(&difference), names);
        }
        let refused = bench.compare(DifferPath::OverlayOnly, &lower, &upper).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(bench.is_clean());
    }
    let whole = bench.compare(DifferPath::WalkingOnly, &[], &[bind(&upper)]).unwrap();
    assert_eq!((whole.found_by, bench.names(&whole)), (FoundBy::DoubleWalk, vec!["new".to_owned(), "same".to_owned()]));
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_its_path_and_nothing_is_left() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root reads every file");
        return;
    }
    let bench = Bench::new();
    let upper = bench.tree("upper", &["d/readable", "d/secret"]);
    fs::set_permissions(upper.join("d/secret"), fs::Permissions::from_mode(0o0)).unwrap();
    for compression in [CompressionConfig::uncompressed(), CompressionConfig::gzip(), CompressionConfig::zstd()] {
        let options = DiffOptions::new(compression);
        let refused = bench.compare_with(DifferPath::WalkingOnly, &[], &[bind(&upper)], &options).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        let said = std::iter::successors(Some(&refused as &dyn std::error::Error), |error| error.source());
        assert!(said.map(ToString::to_string).any(|text| text.contains("d/secret")), "{refused:?}");
        assert!(bench.is_clean());
        let blobs: Vec<_> = block_on(bench.memory.content.list().try_collect()).unwrap();
        assert!(blobs.is_empty());
    }
}

#[test]
fn snapshots_of_copies_are_walked() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let options = EmbeddedOptions::default().with_snapshotter(SnapshotterChoice::Native);
        let store = Embedded::open(directory.path(), options).await.unwrap();
        let step = async |parent: Option<&_>, name: &str| {
            let made = store.cache.create(parent, RefOptions::default()).await.unwrap();
            let tree = made.mount(Access::ReadWrite).await.unwrap();
            fs::write(tree.path().join(name), name).unwrap();
            drop(tree);
            made.commit().await.unwrap()
        };
        let lower = step(None, "one").await;
        let upper = step(Some(&lower), "two").await;
        let lease = store.local.leases.create(LeaseOptions::default()).await.unwrap();
        let (below, above) = (lower.mounts().await.unwrap(), upper.mounts().await.unwrap());
        let options = DiffOptions::default();
        let difference = store.differ.compare(&lease, "key", &below, &above, &options).await.unwrap();
        assert_eq!(difference.found_by, FoundBy::DoubleWalk);
        let reader = store.local.content.open(&difference.layer.descriptor).await.unwrap().unwrap();
        let names: Vec<_> = headers(reader.as_ref(), difference.layer.diff_id).into_iter().map(|it| it.path).collect();
        assert_eq!(names, [b"two"]);
        // Only two trees can be compared here.
        let only = store.differ.clone().with_path(DifferPath::OverlayOnly);
        let refused = only.compare(&lease, "key", &below, &above, &options).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(store.local.content.ingests().await.unwrap().is_empty());
    });
}

#[test]
fn a_redirect_in_the_upperdir_is_unsupported_where_only_it_may_be_read() {
    let bench = Bench::new();
    let (lower, upper) = (bench.tree("lower", &["old/f"]), bench.tree("upper", &["new/g"]));
    if !attribute(&upper.join("new"), "user.overlay.redirect", "/old") {
        return;
    }
    let refused = bench.compare(DifferPath::OverlayOnly, &[bind(&lower)], &[overlay(Some(&upper), &[&lower], &[])]);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(bench.is_clean());
}

#[test]
fn an_upperdir_that_is_not_there_is_not_found() {
    let bench = Bench::new();
    let lower = bench.tree("lower", &["f"]);
    let gone = bench.directory.path().join("gone");
    for path in [DifferPath::Auto, DifferPath::OverlayOnly] {
        let missing = bench.compare(path, &[bind(&lower)], &[overlay(Some(&gone), &[&lower], &[])]).unwrap_err();
        // Without the right to mount, the second way ends before it finds that out.
        let kinds = [ErrorKind::NotFound, ErrorKind::PermissionDenied];
        assert!(kinds[..if path == DifferPath::Auto { 2 } else { 1 }].contains(&missing.kind()), "{missing}");
        assert!(bench.is_clean());
    }
}

#[test]
fn a_renamed_directory_falls_back_to_the_walk_of_the_mounted_overlay() {
    if !is_root("a renamed directory in an overlay") {
        return;
    }
    let bench = Bench::new();
    let lower = bench.tree("lower", &["old/f", "same"]);
    let upper = bench.tree("upper", &[]);
    fs::create_dir(upper.with_extension("work")).unwrap();
    let mounts = [overlay(Some(&upper), &[&lower], &["redirect_dir=on"])];
    let tree = match block_on(bench.mounter.mount(&mounts, Access::ReadWrite)) {
        Ok(tree) => tree,
        Err(error) => return println!("skipped: overlayfs does not mount here ({error})"),
    };
    fs::rename(tree.path().join("old"), tree.path().join("new")).unwrap();
    drop(tree);
    let difference = bench.compare(DifferPath::Auto, &[bind(&lower)], &mounts).unwrap();
    assert_eq!(difference.found_by, FoundBy::DoubleWalk);
    assert_eq!(bench.names(&difference), ["new/", "new/f", ".wh.old"]);
    let refused = bench.compare(DifferPath::OverlayOnly, &[bind(&lower)], &mounts).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(bench.is_clean());
}

#[test]
fn an_overlay_with_an_unknown_option_is_walked() {
    if !is_root("an overlay with an unknown option") {
        return;
    }
    let bench = Bench::new();
    let (lower, upper) = (bench.tree("lower", &["a/old"]), bench.tree("upper", &["a/new"]));
    fs::create_dir(upper.with_extension("work")).unwrap();
    let mounts = [overlay(Some(&upper), &[&lower], &["xino=off"])];
    match bench.compare(DifferPath::Auto, &[bind(&lower)], &mounts) {
        Ok(difference) => {
            assert_eq!(
                (difference.found_by, bench.names(&difference).pop()),
                (FoundBy::DoubleWalk, Some("a/new".into()))
            );
        }
        Err(error) => println!("skipped: overlayfs does not mount here ({error})"),
    }
    let refused = bench.compare(DifferPath::OverlayOnly, &[bind(&lower)], &mounts).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[test]
fn options_that_no_codec_heeds_are_refused_before_anything_is_written() {
    let bench = Bench::new();
    let upper = bench.tree("upper", &["f"]);
    let custom = Compression::Custom(CodecId::from_name("nobody-has-it"));
    let windows = DiffOptions::new(CompressionConfig::new(Compression::EStargz)).with_layer_mode(LayerMode::Windows);
    let cases = [
        (DiffOptions::new(CompressionConfig::gzip().with_level(13)), ErrorKind::Invalid),
        (DiffOptions::new(CompressionConfig::gzip().with_level(-1)), ErrorKind::Invalid),
        (DiffOptions::new(CompressionConfig::zstd().with_level(23)), ErrorKind::Invalid),
        (DiffOptions::new(CompressionConfig::zstd().with_level(-8)), ErrorKind::Invalid),
        (DiffOptions::new(CompressionConfig::new(custom)), ErrorKind::Unsupported),
        (DiffOptions::new(CompressionConfig::new(Compression::EStargz).with_level(13)), ErrorKind::Invalid),
        (windows, ErrorKind::Unsupported),
    ];
    for (options, kind) in cases {
        assert!(!bench.differ.supports(&options), "{options:?}");
        for path in [DifferPath::Auto, DifferPath::WalkingOnly] {
            let refused = bench.compare_with(path, &[], &[bind(&upper)], &options).unwrap_err();
            assert_eq!(refused.kind(), kind, "{options:?}");
            assert!(bench.is_clean(), "{options:?}");
        }
    }
}

#[test]
fn every_level_that_is_supported_gives_the_same_diff_id() {
    let bench = Bench::new();
    let upper = bench.tree("upper", &["a/f", "b/g"]);
    let plain = bench.compare(DifferPath::Auto, &[], &[bind(&upper)]).unwrap();
    // A plain tar has no levels, and any is accepted.
    let configs = [
        CompressionConfig::uncompressed().with_level(40),
        CompressionConfig::gzip(),
        CompressionConfig::gzip().with_level(0),
        CompressionConfig::gzip().with_level(12),
        CompressionConfig::zstd(),
        CompressionConfig::zstd().with_level(-7),
        CompressionConfig::zstd().with_level(22),
    ];
    for config in configs {
        let options = DiffOptions::new(config);
        assert!(bench.differ.supports(&options), "{options:?}");
        let made = bench.compare_with(DifferPath::Auto, &[], &[bind(&upper)], &options).unwrap();
        assert_eq!(made.layer.diff_id, plain.layer.diff_id, "{options:?}");
        assert_eq!(made.uncompressed_bytes, plain.uncompressed_bytes);
        let compression = made.layer.descriptor.media_type.layer_compression();
        assert_eq!(compression, Some(options.compression.compression));
    }
}

#[test]
fn attributes_beside_capabilities_are_left_out_and_reported_unless_all_are_kept() {
    let bench = Bench::new();
    let (upper, lower) = (bench.tree("upper", &["f"]), bench.tree("lower", &[]));
    if !attribute(&upper.join("f"), "user.note", "kept") {
        return;
    }
    attribute(&upper.join("f"), "user.overlay.origin", "overlayfs's own");
    for (lower, found_by) in [(vec![], FoundBy::Upperdir), (vec![bind(&lower)], FoundBy::DoubleWalk)] {
        let default = bench.compare(DifferPath::Auto, &lower, &[bind(&upper)]).unwrap();
        assert_eq!(default.found_by, found_by);
        assert!(bench.headers(&default)[0].xattrs.is_empty());
        assert!(!default.report.is_complete(), "{found_by:?}");
        let options = DiffOptions::new(CompressionConfig::uncompressed()).with_xattrs(XattrPolicy::All);
        let all = bench.compare_with(DifferPath::Auto, &lower, &[bind(&upper)], &options).unwrap();
        let xattrs = &bench.headers(&all)[0].xattrs;
        let names: Vec<_> = xattrs.keys().filter(|name| name.starts_with(b"user.")).collect();
        assert_eq!(names, [b"user.note"], "{found_by:?}");
        assert_ne!(all.layer.diff_id, default.layer.diff_id);
    }
}

#[test]
fn times_after_the_epoch_become_it_and_earlier_ones_stay() {
    let bench = Bench::new();
    let upper = bench.tree("upper", &["new", "old"]);
    symlink("new", upper.join("link")).unwrap();
    let set = |name: &str, seconds| {
        let file = fs::File::options().write(true).open(upper.join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
    };
    set("new", 2_000_000_000);
    set("old", 1_000_000_000);
    let epoch = Timestamp::from_unix(1_500_000_000, 0).unwrap();
    let options = DiffOptions::new(CompressionConfig::uncompressed()).with_epoch(epoch);
    for lower in [vec![], vec![bind(&bench.tree("lower", &["gone"]))]] {
        let difference = bench.compare_with(DifferPath::Auto, &lower, &[bind(&upper)], &options).unwrap();
        for header in bench.headers(&difference) {
            let seconds = match header.path.as_slice() {
                b"old" => 1_000_000_000,
                // Whiteouts have no time of their own.
                b".wh.gone" => 0,
                _ => 1_500_000_000,
            };
            assert_eq!(header.modified.seconds, seconds, "{:?}", String::from_utf8_lossy(&header.path));
        }
    }
}
