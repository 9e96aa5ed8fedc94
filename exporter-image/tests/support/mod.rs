//! What several tests of images need: fixture archives, blobs in memory, layers of the fixture images.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use cache_blobs::tar::{Header, Kind, Reader, Writer};
use cache_core::memory::{ManualClock, Memory};
use cache_core::ports::{BlobReader, ByteStream, Job, Pool, Provider};
use cache_core::{Descriptor, Digest, Layer, MediaType, Result, Timestamp};
use exporter_image::ImageLayer;
use exporter_image::history::LayerMeta;

/// The SOURCE_DATE_EPOCH of the fixtures.
pub(crate) const EPOCH: i64 = 1_445_412_480;

pub(crate) fn epoch() -> Timestamp {
    Timestamp::from_unix(EPOCH, 0).unwrap()
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/exporters").join(name)
}

/// The files of a fixture archive by name.
pub(crate) fn files(name: &str) -> BTreeMap<String, Bytes> {
    files_of(&std::fs::read(fixture(name)).unwrap())
}

pub(crate) fn files_of(archive: &[u8]) -> BTreeMap<String, Bytes> {
    let mut reader = Reader::new(archive);
    let mut files = BTreeMap::new();
    while let Some(mut entry) = reader.next_entry().unwrap() {
        if entry.header().kind == Kind::File {
            let path = String::from_utf8(entry.header().path.clone()).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(path, bytes.into());
        }
    }
    files
}

/// The blob `hex` of the fixture archive `name`.
pub(crate) fn blob(name: &str, hex: &str) -> Bytes {
    files(name).remove(&format!("blobs/sha256/{hex}")).unwrap()
}

/// Blobs in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blobs(pub(crate) BTreeMap<Digest, Bytes>);

impl Blobs {
    /// Every file of a fixture archive.
    pub(crate) fn of_fixture(name: &str) -> Self {
        files(name).into_values().map(|bytes| (Digest::of(&bytes), bytes)).collect::<Vec<_>>().into()
    }

    pub(crate) fn add(&mut self, media_type: MediaType, bytes: impl Into<Bytes>) -> Descriptor {
        let bytes = bytes.into();
        let descriptor = Descriptor::of(media_type, &bytes);
        self.0.insert(descriptor.digest, bytes);
        descriptor
    }
}

impl From<Vec<(Digest, Bytes)>> for Blobs {
    fn from(blobs: Vec<(Digest, Bytes)>) -> Self {
        Self(blobs.into_iter().collect())
    }
}

#[async_trait]
impl Provider for Blobs {
    async fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn BlobReader>>> {
        let blob = self.0.get(&descriptor.digest).cloned();
        Ok(blob.map(|bytes| Box::new(Blob(bytes)) as Box<dyn BlobReader>))
    }
}

#[derive(Debug)]
pub(crate) struct Blob(pub(crate) Bytes);

#[async_trait]
impl BlobReader for Blob {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        let end = range.end.min(self.size()) as usize;
        let start = (range.start as usize).min(end);
        // Small chunks, so that whoever reads must put them together.
        let chunks: Vec<_> =
            self.0.slice(start..end).chunks(700).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        Ok(Box::pin(futures::stream::iter(chunks)))
    }

    fn local_file(&self) -> Option<PathBuf> {
        None
    }
}

pub(crate) fn memory() -> Memory {
    Memory::new(Arc::new(ManualClock::default()))
}

pub(crate) fn digest(hex: &str) -> Digest {
    format!("sha256:{hex}").parse().unwrap()
}

/// The layers of `two.oci.tar`, with the annotations that the cache keeps beside the one that is exported.
pub(crate) fn rewritten_layers() -> Vec<ImageLayer> {
    [
        ("ae43e247f0c7e63ba97ef92f0e150ac78d0af7024bfd588e7b302e9708ff234f", 2560),
        ("d69d26a8f9672b79120749a911ee4a8d87a9dd6cf6f81fced74f9219f633778b", 2048),
    ]
    .map(|(hex, size)| {
        let descriptor = Descriptor::new(MediaType::OCI_LAYER, digest(hex), size)
            .with_annotation("buildkit/rewritten-timestamp", EPOCH.to_string())
            .with_annotation("buildkit/createdat", "2026-11-20T13:54:16.522976991Z")
            .with_annotation("containerd.io/distribution.source.example.com", "a,b");
        ImageLayer::new(Layer::new(descriptor, digest(hex)), meta())
    })
    .to_vec()
}

/// The layers of the other images named `two`.
pub(crate) fn plain_layers() -> Vec<ImageLayer> {
    [
        ("7e9801ab49907cbd818848a7d58f01bcba44fd09850826213cb07f1ab074cc6c", 2560),
        ("4998b1e824f75bfc089a5c4bd04596a1d6df098dfe58f692fb2afeb8b8b85d50", 2048),
    ]
    .map(|(hex, size)| {
        let descriptor = Descriptor::new(MediaType::OCI_LAYER, digest(hex), size);
        ImageLayer::new(Layer::new(descriptor, digest(hex)), meta())
    })
    .to_vec()
}

fn meta() -> LayerMeta {
    LayerMeta::new("", Some("2026-11-20T13:54:16.522976991Z".parse().unwrap()))
}

/// What a Dockerfile frontend hands over for the images named `two`: no times, no layers, keys in another order.
pub(crate) const TWO_CONFIG: &str = r#"
{
  "os": "linux", "architecture": "amd64",
  "rootfs": {"type": "layers", "diff_ids": null},
  "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "X=1"], "WorkingDir": "/"},
  "history": [
    {"created_by": "COPY a /dir/a # buildkit", "comment": "buildkit.dockerfile.v0"},
    {"comment": "buildkit.dockerfile.v0", "empty_layer": true, "created_by": "ENV X=1", "unknown": 1},
    {"created": "2026-11-20T14:54:16.5+01:00", "created_by": "COPY b /b # buildkit", "comment": "buildkit.dockerfile.v0"}
  ]
}
"#;

/// The same for the image without layers.
pub(crate) const SCRATCH_CONFIG: &str = r#"{
  "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
  "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "WorkingDir": "/", "Labels": {"foo": "bar"}},
  "history": [{"created_by": "LABEL foo=bar", "comment": "buildkit.dockerfile.v0", "empty_layer": true}]
}"#;

/// A pool whose jobs can be waited for.
#[derive(Debug, Default)]
pub(crate) struct JoinedPool(std::sync::Mutex<Vec<std::thread::JoinHandle<()>>>);

impl JoinedPool {
    pub(crate) fn join(&self) {
        let jobs = std::mem::take(&mut *self.0.lock().unwrap());
        jobs.into_iter().for_each(|job| job.join().unwrap());
    }
}

impl Pool for JoinedPool {
    fn spawn(&self, job: Job) -> Result<()> {
        self.0.lock().unwrap().push(std::thread::spawn(job));
        Ok(())
    }
}

/// Polls `future` at most `polls` times and then drops it; `None` if it was not ready.
pub(crate) fn poll_at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    pollster::block_on(std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The last poll was in vain: come back at once to give up.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }))
}

/// An archive of these entries.
pub(crate) fn archive_of(entries: &[(Header, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (header, contents) in entries {
        writer.append(header, *contents).unwrap();
    }
    writer.finish().unwrap()
}
