//! Images are exported so that whoever sees the manifest sees the whole image.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::memory::MemoryRemote;
use cache_core::ports::{
    Begun, BlobReader, ByteStream, Collector, ContentStore, Expected, ExportTarget, Fetcher, ImageStore, Ingester,
    Lease, LeaseManager, LeaseOptions, Manager, Progress, ProgressEvent, Provider, Start,
};
use cache_core::{Descriptor, Digest, ErrorKind, Labels, Layer, MediaType, Result};
use exporter_image::{ComposeOptions, ComposedImage, ImageExporter, ImageLayer, compose_image};
use futures::StreamExt;
use pollster::block_on;
use support::{Blobs, TWO_CONFIG, memory, plain_layers};

fn two() -> (ComposedImage, Blobs) {
    let image = compose_image(&plain_layers(), &ComposeOptions::default().with_config(TWO_CONFIG)).unwrap();
    (image, Blobs::of_fixture("two.noname.tar"))
}

async fn lease(leases: &dyn LeaseManager) -> Lease {
    leases.create(LeaseOptions::default()).await.unwrap()
}

/// A target that notes in which order blobs become visible.
#[derive(Debug)]
struct Recording {
    inner: MemoryRemote,
    begun: Mutex<Vec<String>>,
}

impl Recording {
    fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryRemote::new(memory().clock), begun: Mutex::default() })
    }

    fn begun(&self) -> Vec<String> {
        self.begun.lock().unwrap().clone()
    }

    async fn has(&self, digest: Digest) -> bool {
        self.inner.fetch(&Descriptor::new(MediaType::default(), digest, 0)).await.unwrap().is_some()
    }
}

#[async_trait]
impl ExportTarget for Recording {
    async fn begin(&self, key: &str, expected: Expected) -> Result<Begun> {
        self.begun.lock().unwrap().push(key.to_owned());
        self.inner.begin(key, expected).await
    }
}

#[derive(Debug, Default)]
struct Events(Mutex<Vec<ProgressEvent>>);

impl Progress for Events {
    fn event(&self, event: ProgressEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl Events {
    fn lines(&self) -> Vec<String> {
        let line = |event: &ProgressEvent| match event {
            ProgressEvent::Started { id, .. } => Some(format!("start {id}")),
            ProgressEvent::Finished { id, error: None } => Some(format!("done {id}")),
            ProgressEvent::Finished { id, error: Some(kind) } => Some(format!("{kind} {id}")),
            _ => None,
        };
        self.0.lock().unwrap().iter().filter_map(line).collect()
    }
}

#[test]
fn layers_come_first_then_the_config_and_the_manifest_last() {
    let (image, blobs) = two();
    let target = Recording::new();
    block_on(ImageExporter::new(target.clone()).export(&image, &blobs, &[])).unwrap();
    let begun = target.begun();
    let mut layers: Vec<_> = begun[..2].to_vec();
    layers.sort();
    let mut expected: Vec<_> = image.layers.iter().map(|layer| layer.descriptor.digest.to_string()).collect();
    expected.sort();
    assert_eq!(layers, expected);
    assert_eq!(begun[2..], [image.config.descriptor.digest.to_string(), image.digest().to_string()]);
}

#[test]
fn the_answer_names_the_manifest_its_config_and_its_platform() {
    let (image, blobs) = two();
    let exported = block_on(ImageExporter::new(Recording::new()).export(&image, &blobs, &["x".to_owned()])).unwrap();
    assert_eq!(exported.digest(), image.digest());
    assert_eq!(exported.config_digest, image.config.descriptor.digest);
    assert_eq!(exported.descriptor.platform.as_ref().unwrap().to_string(), "linux/amd64");
    assert!(exported.names.is_empty(), "there is no image store");
}

#[test]
fn a_missing_layer_is_not_found_and_no_manifest_appears() {
    let (image, mut blobs) = two();
    blobs.0.remove(&image.layers[1].descriptor.digest);
    let target = Recording::new();
    let error = block_on(ImageExporter::new(target.clone()).export(&image, &blobs, &[])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!block_on(target.has(image.digest())));
    assert!(!block_on(target.has(image.config.descriptor.digest)));
}

#[test]
fn a_layer_of_other_bytes_is_corrupt_and_no_manifest_appears() {
    let (image, mut blobs) = two();
    let layer = &image.layers[0].descriptor;
    for wrong in [Bytes::from(vec![7; layer.size as usize]), Bytes::from_static(b"short")] {
        blobs.0.insert(layer.digest, wrong);
        let target = Recording::new();
        let error = block_on(ImageExporter::new(target.clone()).export(&image, &blobs, &[])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(!block_on(target.has(image.digest())));
    }
}

#[test]
fn a_copy_that_turned_out_wrong_is_not_what_the_next_one_resumes() {
    block_on(async {
        let (image, good) = two();
        let memory = memory();
        let lease = lease(memory.leases.as_ref()).await;
        let exporter = ImageExporter::into_store(memory.content.clone(), lease);
        let layer = &image.layers[0].descriptor;
        let mut bad = good.clone();
        bad.0.insert(layer.digest, vec![7; layer.size as usize].into());
        assert_eq!(exporter.export(&image, &bad, &[]).await.unwrap_err().kind(), ErrorKind::Corrupt);
        exporter.export(&image, &good, &[]).await.unwrap();
        assert!(memory.content.info(&layer.digest).await.unwrap().is_some());
    });
}

#[test]
fn an_interrupted_copy_is_resumed_where_it_stopped() {
    block_on(async {
        let (image, blobs) = two();
        let memory = memory();
        let lease = lease(memory.leases.as_ref()).await;
        let layer = &image.layers[0].descriptor;
        let key = layer.digest.to_string();
        let begun = memory.content.begin(&lease, &key, Expected::of(layer), Start::Fresh).await.unwrap();
        let Begun::Started(mut ingest) = begun else { panic!("it is not there yet") };
        ingest.write(blobs.0[&layer.digest].slice(..1000)).await.unwrap();
        ingest.keep().await.unwrap();

        let events = Arc::new(Events::default());
        let exporter = ImageExporter::into_store(memory.content.clone(), lease).with_progress(events.clone());
        exporter.export(&image, &blobs, &[]).await.unwrap();
        let total: u64 = image.layers.iter().map(|layer| layer.descriptor.size).sum();
        let counted = events
            .0
            .lock()
            .unwrap()
            .iter()
            .filter_map(|event| match event {
                ProgressEvent::Advanced { current, .. } => Some(*current),
                _ => None,
            })
            .max();
        assert_eq!(counted, Some(total));
        let mut read = memory.content.open(layer).await.unwrap().unwrap().read(0..layer.size).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = read.next().await {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        assert_eq!(Digest::of(bytes), layer.digest);
    });
}

#[test]
fn equal_layers_are_written_once() {
    let mut blobs = Blobs::default();
    let descriptor = blobs.add(MediaType::OCI_LAYER, "the same tar twice");
    let layer = ImageLayer::from(Layer::new(descriptor.clone(), descriptor.digest));
    let image = compose_image(&vec![layer; 9], &ComposeOptions::default()).unwrap();
    let target = Recording::new();
    block_on(ImageExporter::new(target.clone()).export(&image, &blobs, &[])).unwrap();
    assert_eq!(target.begun().len(), 3);
}

#[test]
fn an_image_without_layers_is_exported() {
    let image = compose_image(&[], &ComposeOptions::default()).unwrap();
    let target = Recording::new();
    block_on(ImageExporter::new(target.clone()).export(&image, &Blobs::default(), &[])).unwrap();
    assert_eq!(target.begun().len(), 2);
}

#[test]
fn in_a_content_store_the_manifest_holds_its_config_and_layers() {
    block_on(async {
        let (image, blobs) = two();
        let memory = memory();
        let lease = lease(memory.leases.as_ref()).await;
        let exporter = ImageExporter::into_store(memory.content.clone(), lease.clone());
        let exporter = exporter.with_image_store(memory.images.clone());
        let exported = exporter.export(&image, &blobs, &["a".to_owned(), "b".to_owned()]).await.unwrap();
        assert_eq!(exported.names, ["a", "b"]);

        let info = memory.content.info(&image.digest()).await.unwrap().unwrap();
        assert_eq!(info.labels, references(&image));
        let layer = &image.layers[0];
        let info = memory.content.info(&layer.descriptor.digest).await.unwrap().unwrap();
        assert_eq!(info.labels["containerd.io/uncompressed"], layer.diff_id.to_string());

        memory.leases.delete(lease.id()).await.unwrap();
        memory.collector.collect().await.unwrap();
        assert_eq!(blobs_of(memory.content.as_ref()).await, 4, "the names hold the whole image");
        for name in ["a", "b"] {
            assert_eq!(memory.images.get(name).await.unwrap().unwrap().target, image.manifest.descriptor);
            memory.images.delete(name).await.unwrap();
        }
        memory.collector.collect().await.unwrap();
        assert_eq!(blobs_of(memory.content.as_ref()).await, 0);
    });
}

#[test]
fn a_manifest_that_was_there_without_labels_gets_them() {
    block_on(async {
        let (image, blobs) = two();
        let memory = memory();
        let lease = lease(memory.leases.as_ref()).await;
        let manifest = &image.manifest;
        let expected = Expected::of(&manifest.descriptor);
        let begun = memory.content.begin(&lease, "other", expected, Start::Fresh).await.unwrap();
        let Begun::Started(mut ingest) = begun else { panic!("it is not there yet") };
        ingest.write(manifest.bytes.clone()).await.unwrap();
        ingest.commit(None, Labels::from([("kept".to_owned(), "yes".to_owned())])).await.unwrap();

        let store: Arc<dyn ContentStore> = memory.content.clone();
        ImageExporter::into_store(store, lease).export(&image, &blobs, &[]).await.unwrap();
        let mut expected = references(&image);
        expected.insert("kept".to_owned(), "yes".to_owned());
        assert_eq!(memory.content.info(&image.digest()).await.unwrap().unwrap().labels, expected);
    });
}

fn references(image: &ComposedImage) -> BTreeMap<String, String> {
    let layers = image.layers.iter().map(|layer| layer.descriptor.digest);
    let digests = std::iter::once(image.config.descriptor.digest).chain(layers);
    let label =
        |(index, digest): (usize, Digest)| (format!("containerd.io/gc.ref.content.{index}"), digest.to_string());
    digests.enumerate().map(label).collect()
}

async fn blobs_of(manager: &dyn Manager) -> usize {
    manager.list().count().await
}

#[test]
fn progress_is_told_in_buildkits_words() {
    block_on(async {
        let (image, mut blobs) = two();
        let memory = memory();
        let lease = lease(memory.leases.as_ref()).await;
        let events = Arc::new(Events::default());
        let exporter = ImageExporter::into_store(memory.content.clone(), lease).with_progress(events.clone());
        let exporter = exporter.with_image_store(memory.images.clone());
        exporter.export(&image, &blobs, &["x".to_owned()]).await.unwrap();
        let (config, manifest) = (image.config.descriptor.digest, image.digest());
        let phases = [
            "exporting layers".to_owned(),
            format!("exporting config {config}"),
            format!("exporting manifest {manifest}"),
            "naming to x".to_owned(),
        ];
        let expected: Vec<_> = phases.iter().flat_map(|id| [format!("start {id}"), format!("done {id}")]).collect();
        assert_eq!(events.lines(), expected);

        blobs.0.clear();
        let events = Arc::new(Events::default());
        let exporter = ImageExporter::new(Recording::new()).with_progress(events.clone());
        exporter.export(&image, &blobs, &[]).await.unwrap_err();
        assert_eq!(events.lines(), ["start exporting layers", "not found exporting layers"]);
    });
}

/// Blobs that come in many pieces, each after a wait.
#[derive(Debug)]
struct Slow(Blobs);

#[derive(Debug)]
struct SlowBlob(Box<dyn BlobReader>);

#[async_trait]
impl Provider for Slow {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        Ok(self.0.open(descriptor).await?.map(|blob| Box::new(SlowBlob(blob)) as Box<dyn BlobReader>))
    }
}

#[async_trait]
impl BlobReader for SlowBlob {
    fn size(&self) -> u64 {
        self.0.size()
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        let chunks = self.0.read(range).await?.then(|chunk| async {
            let mut waited = false;
            std::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            chunk
        });
        Ok(chunks.boxed())
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}

#[test]
fn a_dropped_export_shows_no_manifest_and_tells_that_it_was_cancelled() {
    let (image, blobs) = two();
    let blobs = Slow(blobs);
    for polls in 0.. {
        let target = Recording::new();
        let events = Arc::new(Events::default());
        let exporter = ImageExporter::new(target.clone()).with_progress(events.clone());
        let ended = support::poll_at_most(polls, exporter.export(&image, &blobs, &[]));
        if ended.is_some() {
            assert!(polls > 3, "it waited for each chunk");
            return;
        }
        assert!(!block_on(target.has(image.digest())));
        let cancelled = ["start exporting layers", "cancelled exporting layers"];
        assert_eq!(events.lines(), if polls == 0 { &[][..] } else { &cancelled });
    }
}

#[test]
fn everything_public_can_be_shared_and_shown() {
    fn check<T: std::fmt::Debug + Send + Sync>() {}
    check::<ImageExporter>();
    check::<ComposedImage>();
    check::<ComposeOptions>();
    check::<exporter_image::ExportedImage>();
    check::<exporter_image::Error>();
    check::<exporter_image::Index>();
    check::<exporter_image::Manifest>();
    check::<exporter_image::ImageName>();
    check::<exporter_image::output::OutputOptions>();
    check::<exporter_image::source::SourceImage>();
    check::<exporter_image::source::ImageSource>();
    check::<exporter_image::source::LoadOptions>();
}
