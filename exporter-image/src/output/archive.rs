//! Image archives: an OCI layout, or one that Docker loads too, in a tar.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use cache_blobs::tar::{Header, Writer};
use cache_core::ports::{Pool, PoolExt, Provider};
use cache_core::{Descriptor, Digest, DigestHasher, ErrorKind, MediaTypeFamily, Timestamp};
use futures::channel::mpsc::Sender;
use futures::{SinkExt, StreamExt};

use super::docker_manifest::docker_manifest;
use super::index_entries::{Unnamed, index_entries};
use super::pump::{Outlet, pump};
use crate::compose::ComposedImage;
use crate::config::EmptyLists;
use crate::error::{Error, Result};
use crate::image_name::ImageName;
use crate::index::Index;

/// Contents of the file that makes a directory a layout.
const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Who is to read the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ArchiveKind {
    /// Whoever reads OCI layouts.
    #[default]
    Oci,
    /// Docker too, which needs a `manifest.json`.
    Docker,
}

/// How an archive is written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ArchiveOptions {
    /// Who is to read it.
    pub kind: ArchiveKind,
    /// Under which names it lists the image.
    pub names: Vec<ImageName>,
    /// When the image was created, for the index: the epoch, or else the time now.
    pub created: Timestamp,
}

impl ArchiveOptions {
    /// An archive of `kind` that lists its image without name.
    pub fn new(kind: ArchiveKind, created: Timestamp) -> Self {
        Self { kind, names: Vec::new(), created }
    }

    /// The same with names of the image.
    #[must_use]
    pub fn with_names(mut self, names: Vec<ImageName>) -> Self {
        self.names = names;
        self
    }
}

/// Streams an archive of `image`, whose layers `provider` has, into `writer`, which runs on `pool` and is given back
/// unflushed. Each blob is there once, and each digest is verified on the way; entries are sorted by name. Equal images give
/// equal archives. Mirrors: containerd `core/images/archive.Export`.
///
/// # Errors
/// `NotFound` if the provider lacks a layer; `Corrupt` if a layer's bytes are not those of its digest;
/// [`Error::Archive`] if the writer fails. What was written then is no archive.
///
/// # Cancel safety
/// When the call is dropped, the writer is dropped at the next block, without the end of the archive.
pub async fn write_archive<W: Write + Send + 'static>(
    pool: &dyn Pool,
    image: &ComposedImage,
    provider: &dyn Provider,
    options: &ArchiveOptions,
    writer: W,
) -> Result<W> {
    stream_archive(pool, image, provider, options, |outlet| write_entries(outlet, writer)).await
}

/// The path of a blob in a layout.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("{}{}", algorithm_path(digest), digest.hex())
}

fn algorithm_path(digest: &Digest) -> String {
    format!("blobs/{}/", digest.algorithm())
}

/// What a job is told to write. Contents follow their file, and `End` everything.
#[derive(Debug)]
pub(super) enum Message {
    Directory(String),
    File { path: String, size: u64, mode: u32, digest: Option<Digest> },
    Contents(Bytes),
    End,
}

/// Runs `job` on the pool and tells it what to write. Comes back when the job has ended.
pub(super) async fn stream_archive<T: Send + 'static>(
    pool: &dyn Pool,
    image: &ComposedImage,
    provider: &dyn Provider,
    options: &ArchiveOptions,
    job: impl FnOnce(Outlet<Message>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let entries = entries(image, options)?;
    let (sender, outlet) = pump();
    let job = pool.run(move || Ok(job(outlet)));
    let (told, done) = futures::join!(tell(entries, provider, sender), job);
    told?;
    done?
}

#[derive(Debug)]
enum Entry {
    Directory,
    File { bytes: Bytes, mode: u32 },
    Document { descriptor: Descriptor, bytes: Bytes },
    Layer(Descriptor),
}

/// Everything in the archive, by name.
fn entries(image: &ComposedImage, options: &ArchiveOptions) -> Result<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::from([("blobs/".to_owned(), Entry::Directory)]);
    let layers = image.layers.iter().map(|layer| (&layer.descriptor, Entry::Layer(layer.descriptor.clone())));
    let documents = [&image.config, &image.manifest].map(|document| {
        let (descriptor, bytes) = (document.descriptor.clone(), document.bytes.clone());
        (&document.descriptor, Entry::Document { descriptor, bytes })
    });
    for (descriptor, entry) in layers.chain(documents) {
        entries.insert(algorithm_path(&descriptor.digest), Entry::Directory);
        entries.insert(blob_path(&descriptor.digest), entry);
    }
    let manifests = index_entries(image, &options.names, options.created, Unnamed::Bare);
    let index = Index::new(MediaTypeFamily::Oci, manifests).to_compact_bytes(EmptyLists::Null)?;
    entries.insert("index.json".to_owned(), Entry::File { bytes: index.into(), mode: 0o644 });
    if options.kind == ArchiveKind::Docker {
        let manifest = docker_manifest(image, &options.names)?;
        entries.insert("manifest.json".to_owned(), Entry::File { bytes: manifest.into(), mode: 0o644 });
    }
    let layout = Bytes::from_static(OCI_LAYOUT);
    entries.insert("oci-layout".to_owned(), Entry::File { bytes: layout, mode: 0o444 });
    Ok(entries)
}

/// Tells the job of every entry. A job that has gone away says itself why.
async fn tell(entries: BTreeMap<String, Entry>, provider: &dyn Provider, mut to: Sender<Message>) -> Result<()> {
    for (path, entry) in entries {
        let sent = match entry {
            Entry::Directory => to.send(Message::Directory(path)).await.is_ok(),
            Entry::File { bytes, mode } => {
                let file = Message::File { path, size: bytes.len() as u64, mode, digest: None };
                to.send(file).await.is_ok() && to.send(Message::Contents(bytes)).await.is_ok()
            }
            Entry::Document { descriptor, bytes } => {
                to.send(blob(path, &descriptor)).await.is_ok() && to.send(Message::Contents(bytes)).await.is_ok()
            }
            Entry::Layer(descriptor) => tell_layer(path, &descriptor, provider, &mut to).await?,
        };
        if !sent {
            return Ok(());
        }
    }
    // Without this message the job takes the end of the channel for a call that was dropped.
    drop(to.send(Message::End).await);
    Ok(())
}

fn blob(path: String, descriptor: &Descriptor) -> Message {
    Message::File { path, size: descriptor.size, mode: 0o444, digest: Some(descriptor.digest) }
}

async fn tell_layer(
    path: String,
    descriptor: &Descriptor,
    provider: &dyn Provider,
    to: &mut Sender<Message>,
) -> Result<bool> {
    let error = |kind| cache_core::Error::new(kind, "archive layer", descriptor.digest);
    let reader = provider.open(descriptor).await?.ok_or_else(|| error(ErrorKind::NotFound))?;
    if reader.size() != descriptor.size {
        return Err(error(ErrorKind::Corrupt).into());
    }
    if to.send(blob(path, descriptor)).await.is_err() {
        return Ok(false);
    }
    let mut chunks = reader.read(0..descriptor.size).await?;
    while let Some(chunk) = chunks.next().await {
        if to.send(Message::Contents(chunk?)).await.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes what it is told. Runs on a thread that may block.
pub(super) fn write_entries<W: Write>(mut from: Outlet<Message>, writer: W) -> Result<W> {
    let mut tar = Writer::new(writer);
    let mut next = from.receive();
    loop {
        match next {
            Some(Message::Directory(path)) => {
                tar.append_header(&Header::directory(path)).map_err(Error::Archive)?;
                next = from.receive();
            }
            Some(Message::File { path, size, mode, digest }) => {
                next = write_file(&mut tar, &mut from, Header::file(path, size).with_mode(mode), digest)?;
            }
            Some(Message::End) => return tar.finish().map_err(Error::Archive),
            Some(Message::Contents(_)) | None => {
                return Err(cache_core::Error::new(ErrorKind::Cancelled, "write", "image archive").into());
            }
        }
    }
}

/// Writes a file's contents and gives the message after them.
fn write_file<W: Write>(
    tar: &mut Writer<W>,
    from: &mut Outlet<Message>,
    header: Header,
    digest: Option<Digest>,
) -> Result<Option<Message>> {
    let mut hasher = digest.map(|digest| DigestHasher::new(digest.algorithm()));
    let mut entry = tar.begin(&header).map_err(Error::Archive)?;
    let next = loop {
        match from.receive() {
            Some(Message::Contents(chunk)) => {
                if let Some(hasher) = &mut hasher {
                    hasher.update(&chunk);
                }
                entry.write_all(&chunk).map_err(Error::Archive)?;
            }
            other => break other,
        }
    };
    if next.is_none() {
        return Ok(None);
    }
    if let (Some(hasher), Some(digest)) = (hasher, digest)
        && hasher.finish() != digest
    {
        return Err(cache_core::Error::new(ErrorKind::Corrupt, "archive layer", digest).into());
    }
    entry.finish().map_err(Error::Archive)?;
    Ok(next)
}
