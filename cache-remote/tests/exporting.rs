//! Caches are written into any target: layers first, the manifest last, nothing if there is nothing.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cache_blobs::remote::{Remote, RemoteLayer};
use cache_core::memory::{ManualClock, Memory, MemoryRemote};
use cache_core::ports::{
    Begun, BlobReader, ByteStream, Expected, ExportTarget, Fetcher, LeaseManager, LeaseOptions, Leased, Manager,
    Progress, ProgressEvent, Provider,
};
use cache_core::{Descriptor, Digest, ErrorKind, MediaType};
use cache_remote::{
    CacheChains, CacheError, CacheLayout, CacheWarning, Document, ExportOptions, ExportOutcome, ExportResult, Exported,
    ImportOptions, MissingBlobs, RecordLink, export_cache, import_cache,
};
use futures::StreamExt;
use pollster::block_on;
use support::{Named, at, key, layer, result};

fn memory_remote() -> MemoryRemote {
    MemoryRemote::new(Arc::new(ManualClock::default()))
}

/// A target that writes down what is begun.
#[derive(Debug)]
struct Recording {
    inner: MemoryRemote,
    begun: Mutex<Vec<Expected>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Recording {
    fn new() -> Arc<Self> {
        let (begun, now, most) = (Mutex::default(), AtomicUsize::default(), AtomicUsize::default());
        Arc::new(Self { inner: memory_remote(), begun, now, most })
    }

    fn digests(&self) -> Vec<Digest> {
        self.begun.lock().unwrap().iter().map(|expected| expected.digest.unwrap()).collect()
    }
}

#[async_trait]
impl ExportTarget for Recording {
    async fn begin(&self, key: &str, expected: Expected) -> cache_core::Result<Begun> {
        self.begun.lock().unwrap().push(expected);
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        // Gives the others their turn.
        yield_once().await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        self.inner.begin(key, expected).await
    }
}

/// A future that wakes its task and is pending once.
fn yield_once() -> impl Future<Output = ()> {
    let mut first = true;
    std::future::poll_fn(move |context| {
        if std::mem::take(&mut first) {
            context.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(())
    })
}

#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl Progress for Lines {
    fn event(&self, event: ProgressEvent) {
        if let ProgressEvent::Finished { id, error } = event {
            let outcome = error.map_or_else(String::new, |kind| format!(" ({kind})"));
            self.0.lock().unwrap().push(format!("{id}{outcome}"));
        }
    }
}

fn exported(outcome: ExportOutcome) -> Exported {
    match outcome {
        ExportOutcome::Exported(exported) => *exported,
        ExportOutcome::Empty => panic!("empty"),
    }
}

fn export(
    chains: &CacheChains,
    target: Arc<dyn ExportTarget>,
    options: &ExportOptions,
) -> Result<Exported, CacheError> {
    block_on(export_cache(chains, &target, options)).map(exported)
}

/// One blob on two parents, and a record without result.
fn sample() -> CacheChains {
    let mut chains = CacheChains::new();
    let source = chains.add(key("source"), &[], &[]).unwrap().unwrap();
    let inputs = [vec![RecordLink::whole(source)]];
    chains.add(key("one"), &inputs, &[result(1, &["a", "shared"])]).unwrap();
    chains.add(key("two"), &inputs, &[result(2, &["b", "shared"])]).unwrap();
    chains
}

#[test]
fn an_empty_cache_writes_nothing_and_says_so() {
    let mut chains = CacheChains::new();
    chains.add(key("source"), &[], &[]).unwrap();
    let target = Recording::new();
    let lines = Arc::new(Lines::default());
    let options = ExportOptions::default().with_progress(lines.clone());
    let erased: Arc<dyn ExportTarget> = target.clone();
    assert_eq!(block_on(export_cache(&chains, &erased, &options)).unwrap(), ExportOutcome::Empty);
    assert_eq!(target.digests(), []);
    assert_eq!(*lines.0.lock().unwrap(), ["skipping cache export for empty result"]);
}

#[test]
fn layers_come_first_each_once_then_the_config_and_the_manifest_last() {
    for layout in [CacheLayout::ImageManifest, CacheLayout::Index, CacheLayout::DockerList] {
        let target = Recording::new();
        let options = ExportOptions::default().with_layout(layout);
        let exported = export(&sample(), target.clone(), &options).unwrap();
        let begun = target.digests();
        assert_eq!(begun.len(), 5);
        assert_eq!(begun[3..], [exported.manifest.config.digest, exported.descriptor.digest]);
        for name in ["a", "b", "shared"] {
            assert!(begun[..3].contains(&Digest::of(name)));
        }
        // The manifest lists the shared blob for each of its parents.
        assert_eq!(exported.manifest.layers.len(), 4);
        assert_eq!(exported.descriptor.media_type, layout.media_type());
    }
}

#[test]
fn what_was_exported_is_imported_in_every_layout() {
    for layout in [CacheLayout::ImageManifest, CacheLayout::Index, CacheLayout::DockerList] {
        let target = memory_remote();
        let chains = sample();
        let options = ExportOptions::default().with_layout(layout);
        let exported = export(&chains, Arc::new(target.clone()), &options).unwrap();
        let fetcher: Arc<dyn Fetcher> = Arc::new(target);
        let imported = block_on(import_cache(&fetcher, &exported.descriptor, &ImportOptions::default())).unwrap();
        assert_eq!(imported.manifest(), &exported.manifest);
        assert_eq!(imported.warnings(), []);
        let media_type = &imported.manifest().layers[0].media_type;
        let docker = layout == CacheLayout::DockerList;
        assert_eq!(*media_type, if docker { MediaType::DOCKER_LAYER } else { MediaType::OCI_LAYER });
        // And exported again, from the import.
        let again = export(imported.chains(), Arc::new(memory_remote()), &options).unwrap();
        assert_eq!(again, exported);
    }
}

#[test]
fn progress_has_buildkits_words() {
    for (layout, words) in
        [(CacheLayout::ImageManifest, "writing cache image manifest"), (CacheLayout::Index, "writing cache manifest")]
    {
        let lines = Arc::new(Lines::default());
        let options = ExportOptions::default().with_progress(lines.clone()).with_layout(layout);
        let exported = export(&sample(), Arc::new(memory_remote()), &options).unwrap();
        let lines = lines.0.lock().unwrap();
        for name in ["a", "b", "shared"] {
            assert!(lines[..3].contains(&format!("writing layer {}", Digest::of(name))), "{lines:?}");
        }
        let config = format!("writing config {}", exported.manifest.config.digest);
        assert_eq!(lines[3..], [config, format!("{words} {}", exported.descriptor.digest)]);
    }
}

#[test]
fn contradictory_options_are_an_error_before_there_is_an_exporter() {
    use cache_core::MediaTypeFamily::{Docker, Oci};
    use cache_remote::ManifestForm::{ImageManifest, List};
    for (family, form, layout) in [
        (Oci, None, CacheLayout::ImageManifest),
        (Oci, Some(ImageManifest), CacheLayout::ImageManifest),
        (Oci, Some(List), CacheLayout::Index),
        (Docker, None, CacheLayout::DockerList),
        (Docker, Some(List), CacheLayout::DockerList),
    ] {
        assert_eq!(CacheLayout::choose(family, form).unwrap(), layout);
    }
    let error = CacheLayout::choose(Docker, Some(ImageManifest)).unwrap_err();
    assert!(matches!(error, CacheError::Contradiction(_)));
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

fn lacking(missing: &str) -> CacheChains {
    let mut named = Named::of(&["old", "base", "top"]);
    named.missing.insert(Digest::of(missing));
    let provider: Arc<dyn Provider> = Arc::new(named);
    let with = |seconds, names: &[&str]| {
        let remote = Remote::new(names.iter().map(|name| layer(name, &provider)).collect());
        ExportResult { created_at: at(seconds), remote }
    };
    let mut chains = CacheChains::new();
    chains.add(key("step"), &[], &[with(1, &["old"]), with(2, &["base", "top"])]).unwrap();
    chains
}

#[test]
fn a_missing_blob_is_an_error_before_anything_is_written() {
    let target = Recording::new();
    let error = export(&lacking("top"), target.clone(), &ExportOptions::default()).unwrap_err();
    assert!(matches!(error, CacheError::MissingBlob(digest) if digest == Digest::of("top")));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(target.digests(), []);
}

#[test]
fn a_missing_blob_can_be_left_out_for_an_older_result() {
    let target = Recording::new();
    let options = ExportOptions::default().with_missing_blobs(MissingBlobs::LeaveOut);
    let exported = export(&lacking("base"), target.clone(), &options).unwrap();
    assert_eq!(exported.manifest.layers.iter().map(|layer| layer.digest).collect::<Vec<_>>(), [Digest::of("old")]);
    assert_eq!(exported.warnings, [CacheWarning::ResultWithoutBlob { blob: Digest::of("base") }]);
    assert_eq!(target.digests()[0], Digest::of("old"));
}

/// A blob that says and gives something else than its descriptor.
#[derive(Debug)]
struct Lying {
    says: u64,
    gives: Bytes,
}

#[async_trait]
impl BlobReader for Lying {
    fn size(&self) -> u64 {
        self.says
    }

    async fn read(&self, _: std::ops::Range<u64>) -> cache_core::Result<ByteStream> {
        Ok(futures::stream::iter([Ok(self.gives.clone())]).boxed())
    }

    fn local_file(&self) -> Option<std::path::PathBuf> {
        None
    }
}

#[derive(Debug)]
struct Liar {
    says: u64,
    gives: &'static str,
}

#[async_trait]
impl Provider for Liar {
    async fn open(&self, _: &Descriptor) -> cache_core::Result<Option<Box<dyn BlobReader>>> {
        Ok(Some(Box::new(Lying { says: self.says, gives: Bytes::from_static(self.gives.as_bytes()) })))
    }
}

fn from_liar(says: u64, gives: &'static str) -> CacheChains {
    let provider: Arc<dyn Provider> = Arc::new(Liar { says, gives });
    let remote = Remote::new(vec![layer("honest", &provider)]);
    let mut chains = CacheChains::new();
    chains.add(key("step"), &[], &[ExportResult { created_at: at(1), remote }]).unwrap();
    chains
}

#[test]
fn wrong_truncated_and_overlong_blobs_are_corrupt_and_nothing_names_them() {
    // "honest" has six bytes.
    for (says, gives) in [(6, "hostil"), (6, "hon"), (6, "honest and more"), (7, "honest!"), (5, "hones")] {
        let target = Recording::new();
        let error = export(&from_liar(says, gives), target.clone(), &ExportOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{gives}");
        // The blob at most was begun; the config was not.
        assert!(target.digests().iter().all(|digest| *digest == Digest::of("honest")), "{gives}");
    }
}

#[test]
fn a_wrong_blob_does_not_poison_the_next_attempt() {
    // A store that resumes: what a wrong blob left must not be what the right one continues.
    let memory = Memory::new(Arc::new(ManualClock::default()));
    let lease = block_on(memory.leases.create(LeaseOptions::default())).unwrap();
    let target: Arc<dyn ExportTarget> = Arc::new(Leased::new(memory.content.clone(), lease));
    let options = ExportOptions::default();
    let error = export(&from_liar(6, "hostil"), Arc::clone(&target), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    export(&from_liar(6, "honest"), target, &options).unwrap();
    assert!(block_on(memory.content.info(&Digest::of("honest"))).unwrap().is_some());
}

#[test]
fn a_store_of_blobs_is_a_target_too() {
    let memory = Memory::new(Arc::new(ManualClock::default()));
    let lease = block_on(memory.leases.create(LeaseOptions::default())).unwrap();
    let target: Arc<dyn ExportTarget> = Arc::new(Leased::new(memory.content.clone(), lease));
    let exported = export(&sample(), Arc::clone(&target), &ExportOptions::default()).unwrap();
    assert!(block_on(memory.content.info(&exported.descriptor.digest)).unwrap().is_some());
    // Everything is there already the second time.
    assert_eq!(export(&sample(), target, &ExportOptions::default()).unwrap(), exported);
    assert_eq!(block_on(memory.content.list().count()), 5);
}

#[test]
fn no_more_layers_are_under_way_than_allowed() {
    let names: Vec<String> = (0..20).map(|at| at.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut chains = CacheChains::new();
    chains.add(key("step"), &[], &[result(1, &names)]).unwrap();
    for allowed in [1, 3, 64] {
        let target = Recording::new();
        let options = ExportOptions::default().with_parallel_layers(NonZeroUsize::new(allowed).unwrap());
        export(&chains, target.clone(), &options).unwrap();
        assert_eq!(target.most.load(Ordering::SeqCst), allowed.min(20));
    }
}

#[test]
fn a_config_that_buildkit_would_not_read_is_a_warning() {
    let mut chains = CacheChains::new();
    for at in 0..13_000 {
        chains.add(key(&at.to_string()), &[], &[]).unwrap();
    }
    chains.add(key("step"), &[], &[result(1, &["a"])]).unwrap();
    let exported = export(&chains, Arc::new(memory_remote()), &ExportOptions::default()).unwrap();
    let large = |warning: &CacheWarning| matches!(warning, CacheWarning::TooLargeForBuildKit { document: Document::Config, bytes } if *bytes > 1 << 20);
    assert!(exported.warnings.iter().any(large), "{:?}", exported.warnings);
}

#[test]
fn a_media_type_without_docker_name_is_kept_with_a_warning() {
    let provider: Arc<dyn Provider> = Arc::new(Named::of(&["a"]));
    let mut special: RemoteLayer = layer("a", &provider);
    special.layer.descriptor.media_type = MediaType::OCI_LAYER_NON_DISTRIBUTABLE_ZSTD;
    let mut chains = CacheChains::new();
    let remote = Remote::new(vec![special]);
    chains.add(key("step"), &[], &[ExportResult { created_at: at(1), remote }]).unwrap();
    let options = ExportOptions::default().with_layout(CacheLayout::DockerList);
    let exported = export(&chains, Arc::new(memory_remote()), &options).unwrap();
    let media_type = MediaType::OCI_LAYER_NON_DISTRIBUTABLE_ZSTD;
    assert_eq!(exported.manifest.layers[0].media_type, media_type);
    assert_eq!(exported.warnings, [CacheWarning::KeptMediaType { blob: Digest::of("a"), media_type }]);
}

#[test]
fn the_futures_can_be_sent_to_other_threads() {
    fn sendable<T: Send>(_: T) {}
    let chains = sample();
    let target: Arc<dyn ExportTarget> = Arc::new(memory_remote());
    sendable(export_cache(&chains, &target, &ExportOptions::default()));
    let fetcher: Arc<dyn Fetcher> = Arc::new(memory_remote());
    let descriptor = Descriptor::of(MediaType::OCI_MANIFEST, b"");
    sendable(import_cache(&fetcher, &descriptor, &ImportOptions::default()));
}
