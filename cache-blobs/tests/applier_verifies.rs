//! The applier takes nothing on trust: digests, sizes, formats and limits are checked, and nothing is touched outside.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cache_blobs::LayerApplier;
use cache_blobs::apply::{ApplyLimits, ApplyOptions as UnpackOptions};
use cache_blobs::codec::Codecs;
use cache_blobs::tar::{Header, ReadLimits, Writer};
use cache_core::memory::{ManualClock, Memory};
use cache_core::mount::LinuxMounter;
use cache_core::ports::{
    Applied, Applier, ApplyOptions, ApplySource, Begun, BlobReader, ByteStream, Expected, Ingester, LayerMode,
    LeaseManager, LeaseOptions, Mount, MountKind, Pool, Start,
};
use cache_core::{Descriptor, Digest, ErrorKind, Labels, MediaType, Result, ThreadPool};
use futures::StreamExt;
use pollster::block_on;
use tempfile::TempDir;

/// An applier over a directory in a directory, of which the outer one must stay as it is.
struct Bench {
    memory: Memory,
    applier: LayerApplier,
    outside: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with_options(UnpackOptions::default())
    }

    fn with_options(options: UnpackOptions) -> Self {
        let outside = tempfile::tempdir().unwrap();
        for directory in ["root", "scratch"] {
            fs::create_dir(outside.path().join(directory)).unwrap();
        }
        fs::write(outside.path().join("secret"), "untouched").unwrap();
        let memory = Memory::new(Arc::new(ManualClock::default()));
        let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
        let mounter = Arc::new(LinuxMounter::new(Arc::clone(&pool), outside.path().join("scratch")));
        let applier = LayerApplier::new(memory.content.clone(), mounter, pool, Codecs::default()).with_options(options);
        Self { memory, applier, outside }
    }

    fn root(&self) -> PathBuf {
        self.outside.path().join("root")
    }

    fn commit(&self, blob: &[u8]) {
        block_on(async {
            let lease = self.memory.leases.create(LeaseOptions::default()).await.unwrap();
            let begun = self.memory.content.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await.unwrap();
            let Begun::Started(mut ingest) = begun else { panic!("nothing was expected") };
            ingest.write(Bytes::copy_from_slice(blob)).await.unwrap();
            ingest.commit(None, Labels::new()).await.unwrap();
        });
    }

    fn apply(&self, descriptor: &Descriptor, source: ApplySource, options: &ApplyOptions) -> Result<Applied> {
        let mounts = [Mount { kind: MountKind::Bind, source: self.root(), options: vec!["rbind".into(), "rw".into()] }];
        let applied = block_on(self.applier.apply(descriptor, source, &mounts, options));
        let mut left: Vec<_> =
            fs::read_dir(self.outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["root", "scratch", "secret"]);
        assert_eq!(fs::read(self.outside.path().join("secret")).unwrap(), b"untouched");
        applied
    }

    /// Applies `blob` under its own digest.
    fn apply_blob(&self, media_type: MediaType, blob: &[u8]) -> Result<Applied> {
        self.commit(blob);
        self.apply(&Descriptor::of(media_type, blob), ApplySource::Committed, &ApplyOptions::default())
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.root()).unwrap().next().is_none()
    }
}

fn kind<T>(outcome: Result<T>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind())
}

/// A layer with 200 kB of contents that do not compress.
fn tar() -> Vec<u8> {
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(200_000)
    .collect();
    archive(&[(Header::directory("d"), &[]), (Header::file("d/noise", 200_000), &noise), (Header::file("f", 1), b"f")])
}

fn archive(entries: &[(Header, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (header, contents) in entries {
        writer.append(header, *contents).unwrap();
    }
    writer.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Every compression with its OCI media type.
fn blobs(tar: &[u8]) -> [(MediaType, Vec<u8>); 3] {
    [
        (MediaType::OCI_LAYER, tar.to_vec()),
        (MediaType::OCI_LAYER_GZIP, gzip(tar)),
        (MediaType::OCI_LAYER_ZSTD, zstd(tar)),
    ]
}

/// A reader that says one size and gives other bytes.
#[derive(Debug)]
struct Lying {
    size: u64,
    bytes: Bytes,
}

#[async_trait]
impl BlobReader for Lying {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, _: Range<u64>) -> Result<ByteStream> {
        Ok(futures::stream::iter([Ok(self.bytes.clone())]).boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}

#[test]
fn a_layer_of_every_compression_is_unpacked_and_its_diff_id_told() {
    let tar = tar();
    for (media_type, blob) in blobs(&tar) {
        let bench = Bench::new();
        let applied = bench.apply_blob(media_type, &blob).unwrap();
        assert_eq!(applied, Applied { diff_id: Digest::of(&tar), size: tar.len() as u64 });
        assert_eq!(fs::metadata(bench.root().join("d/noise")).unwrap().len(), 200_000);
        assert_eq!(fs::read(bench.root().join("f")).unwrap(), b"f");
    }
}

#[test]
fn a_blob_with_another_digest_is_corrupt() {
    for (media_type, blob) in blobs(&tar()) {
        let bench = Bench::new();
        let size = blob.len() as u64;
        let wrong = Descriptor::new(media_type, Digest::of("something else"), size);
        let source = ApplySource::Reader(Box::new(Lying { size, bytes: blob.into() }));
        assert_eq!(kind(bench.apply(&wrong, source, &ApplyOptions::default())), Some(ErrorKind::Corrupt));
    }
}

#[test]
fn a_blob_of_another_size_is_corrupt_before_anything_is_unpacked() {
    for (media_type, blob) in blobs(&tar()) {
        for size in [0, blob.len() as u64 - 1, blob.len() as u64 + 1, u64::MAX] {
            let bench = Bench::new();
            bench.commit(&blob);
            let wrong = Descriptor::new(media_type.clone(), Digest::of(&blob), size);
            let applied = bench.apply(&wrong, ApplySource::Committed, &ApplyOptions::default());
            assert_eq!(kind(applied), Some(ErrorKind::Corrupt));
            assert!(bench.is_empty());
        }
    }
}

#[test]
fn a_reader_that_gives_less_or_more_than_it_says_is_corrupt() {
    for (media_type, blob) in blobs(&tar()) {
        let descriptor = Descriptor::of(media_type, &blob);
        let more = [&blob[..], b"more"].concat();
        for bytes in [&blob[..blob.len() - 1], &blob[..blob.len() / 2], &blob[..0], &more[..]] {
            let bench = Bench::new();
            let lying = Lying { size: blob.len() as u64, bytes: Bytes::copy_from_slice(bytes) };
            let applied = bench.apply(&descriptor, ApplySource::Reader(Box::new(lying)), &ApplyOptions::default());
            assert_eq!(kind(applied), Some(ErrorKind::Corrupt), "{} of {} bytes", bytes.len(), blob.len());
        }
    }
}

#[test]
fn a_layer_with_another_diff_id_is_corrupt() {
    let tar = tar();
    for (media_type, blob) in blobs(&tar) {
        let bench = Bench::new();
        bench.commit(&blob);
        let descriptor = Descriptor::of(media_type, &blob);
        let wrong = ApplyOptions::default().with_expected_diff_id(Digest::of("another tar"));
        assert_eq!(kind(bench.apply(&descriptor, ApplySource::Committed, &wrong)), Some(ErrorKind::Corrupt));
        let right = ApplyOptions::default().with_expected_diff_id(Digest::of(&tar));
        assert_eq!(kind(bench.apply(&descriptor, ApplySource::Committed, &right)), None);
    }
}

#[test]
fn a_layer_that_was_cut_off_is_corrupt_although_its_digest_is_right() {
    for (media_type, blob) in blobs(&tar()) {
        // In the contents of a file; and for a compressed layer, before the checksum at its end, too.
        let cuts: &[usize] = match media_type == MediaType::OCI_LAYER {
            true => &[600, 2000, 150_000],
            false => &[12, 2000, 150_000, blob.len() - 1],
        };
        for cut in cuts {
            let bench = Bench::new();
            let applied = bench.apply_blob(media_type.clone(), &blob[..*cut]);
            assert_eq!(kind(applied), Some(ErrorKind::Corrupt), "{media_type:?} cut at {cut}");
        }
    }
}

#[test]
fn what_follows_a_compressed_layer_is_corrupt_although_its_digest_is_right() {
    for (media_type, blob) in blobs(&tar()).into_iter().skip(1) {
        for garbage in [&b"garbage"[..], &[0x1f], &[0xff; 4096]] {
            let bench = Bench::new();
            let applied = bench.apply_blob(media_type.clone(), &[&blob[..], garbage].concat());
            assert_eq!(kind(applied), Some(ErrorKind::Corrupt), "{media_type:?} and {} bytes", garbage.len());
        }
    }
}

#[test]
fn what_follows_the_end_of_a_tar_counts_for_its_diff_id() {
    let tar = [&tar()[..], b"trailing bytes"].concat();
    for (media_type, blob) in blobs(&tar) {
        let applied = Bench::new().apply_blob(media_type, &blob).unwrap();
        assert_eq!(applied, Applied { diff_id: Digest::of(&tar), size: tar.len() as u64 });
    }
}

#[test]
fn an_oci_media_type_that_names_another_compression_is_corrupt() {
    let tar = tar();
    let [(plain_type, plain), (gzip_type, gzip), (zstd_type, zstd)] = blobs(&tar);
    let wrong = [
        (&gzip_type, &zstd),
        (&gzip_type, &plain),
        (&zstd_type, &gzip),
        (&zstd_type, &plain),
        (&plain_type, &gzip),
        (&plain_type, &zstd),
        (&MediaType::OCI_LAYER_NON_DISTRIBUTABLE_GZIP, &zstd),
    ];
    for (media_type, blob) in wrong {
        let bench = Bench::new();
        assert_eq!(kind(bench.apply_blob(media_type.clone(), blob)), Some(ErrorKind::Corrupt), "{media_type:?}");
        assert!(bench.is_empty(), "{media_type:?}");
    }
}

#[test]
fn a_docker_or_unknown_media_type_promises_no_compression() {
    let tar = tar();
    for media_type in
        [MediaType::DOCKER_LAYER_GZIP, MediaType::DOCKER_LAYER, MediaType::new("x/y"), MediaType::default()]
    {
        for (_, blob) in blobs(&tar) {
            assert_eq!(Bench::new().apply_blob(media_type.clone(), &blob).unwrap().diff_id, Digest::of(&tar));
        }
    }
}

#[test]
fn bytes_that_are_no_layer_are_corrupt_or_unsupported() {
    let bench = Bench::new();
    for garbage in [&[0xa5; 5000][..], &b"hello"[..], &[0x28, 0xb5, 0x2f, 0xfd, 0, 1, 2][..], &[0x1f, 0x8b, 8, 0][..]] {
        let kind = kind(bench.apply_blob(MediaType::default(), garbage)).unwrap();
        assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::Unsupported), "{kind:?} for {garbage:?}");
        assert!(bench.is_empty());
    }
}

#[test]
fn a_blob_that_the_store_lacks_is_not_found() {
    let bench = Bench::new();
    let descriptor = Descriptor::of(MediaType::OCI_LAYER, &tar());
    let applied = bench.apply(&descriptor, ApplySource::Committed, &ApplyOptions::default());
    assert_eq!(kind(applied), Some(ErrorKind::NotFound));
    assert!(bench.is_empty());
}

#[test]
fn a_windows_layer_is_verified_and_stripped() {
    let bench = Bench::new();
    let tar = archive(&[
        (Header::directory("Hives"), &[]),
        (Header::file("Hives/hive", 4), b"hive"),
        (Header::file("Files/f", 3), b"one"),
    ]);
    bench.commit(&tar);
    let options = ApplyOptions::default().with_layer_mode(LayerMode::Windows);
    let descriptor = Descriptor::of(MediaType::OCI_LAYER, &tar);
    let wrong = options.clone().with_expected_diff_id(Digest::of("another"));
    assert_eq!(kind(bench.apply(&descriptor, ApplySource::Committed, &wrong)), Some(ErrorKind::Corrupt));

    let applied = bench.apply(&descriptor, ApplySource::Committed, &options).unwrap();
    assert_eq!((applied.diff_id, applied.size), (Digest::of(&tar), tar.len() as u64));
    let names: Vec<_> = fs::read_dir(bench.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["f"]);
}

#[test]
fn a_layer_past_a_limit_is_refused_by_the_limit() {
    let deep = format!("{}f", "d/".repeat(20));
    let tar = archive(&[
        (Header::file(deep.as_str(), 0), &[]),
        (Header::file("ones", 300_000), &[1; 300_000]),
        (Header::file("zeros", 300_000), &[0; 300_000]),
    ]);
    let limits = ApplyLimits::default;
    let refused = [
        ("entries", limits().with_entries(2)),
        ("bytes", limits().with_bytes(300_000)),
        ("ratio", limits().with_ratio(10, 100_000)),
        ("depth", limits().with_depth(20)),
    ];
    for (media_type, blob) in blobs(&tar).into_iter().skip(1) {
        for (name, limits) in &refused {
            let bench = Bench::with_options(UnpackOptions::default().with_limits(limits.clone()));
            let applied = bench.apply_blob(media_type.clone(), &blob);
            assert_eq!(kind(applied), Some(ErrorKind::LimitExceeded), "{name} of {media_type:?}");
        }
        let wide = limits().with_entries(3).with_bytes(1 << 20).with_depth(21).with_ratio(10, 400_000);
        let bench = Bench::with_options(UnpackOptions::default().with_limits(wide));
        assert_eq!(kind(bench.apply_blob(media_type, &blob)), None);
    }
    let short = UnpackOptions::default().with_read_limits(ReadLimits::default().with_path_bytes(40));
    assert_eq!(kind(Bench::with_options(short).apply_blob(MediaType::OCI_LAYER, &tar)), Some(ErrorKind::LimitExceeded));
}

#[test]
fn a_layer_of_zeros_passes_however_small_it_is() {
    let zeros = vec![0; 4 << 20];
    let tar = archive(&[(Header::file("zeros", zeros.len() as u64), &zeros)]);
    let limits = ApplyLimits::default().with_ratio(10, 0);
    for (media_type, blob) in blobs(&tar).into_iter().skip(1) {
        let bench = Bench::with_options(UnpackOptions::default().with_limits(limits.clone()));
        assert_eq!(kind(bench.apply_blob(media_type, &blob)), None);
    }
}

#[test]
fn nothing_leaves_the_root_by_links_or_parents() {
    let hostile = [
        archive(&[(Header::symlink("out", ".."), &[]), (Header::file("out/secret", 3), b"bad")]),
        archive(&[(Header::symlink("out", "/"), &[]), (Header::file("out/secret", 3), b"bad")]),
        archive(&[(Header::file("../secret", 3), b"bad")]),
        archive(&[(Header::file("/secret", 3), b"bad")]),
        archive(&[(Header::hard_link("link", "../secret"), &[]), (Header::file("link", 3), b"bad")]),
        archive(&[(Header::symlink("out", "../"), &[]), (Header::file("out/.wh.secret", 0), b"")]),
    ];
    for tar in hostile {
        for (media_type, blob) in blobs(&tar) {
            // Whether it is refused or contained is its own test; the bench checks that the outside is as it was.
            let _ = Bench::new().apply_blob(media_type, &blob);
        }
    }
}
