//! The way of layers from a provider on the caller's task into an archive on a thread that may block.

use std::io::{BufRead, Write};

use cache_blobs::codec::error_of_io;
use cache_blobs::pack::{PipeReader, PipeWriter, ReaderGone, pipe};
use cache_blobs::tar::{Header, Writer};
use cache_core::ports::{Phase, Pool, PoolExt, Provider};
use cache_core::{Descriptor, DigestHasher, ErrorKind};
use futures::StreamExt;

use super::entries::Entry;
use super::options::OutputOptions;
use crate::docker_zstd::warn_of_docker_zstd;
use crate::error::{Error, Result};

/// Runs `work` on the pool with the bytes of all layers, one after the other. Comes back when it has ended.
pub(super) async fn run_on_pool<T: Send + 'static>(
    pool: &dyn Pool,
    entries: Vec<(String, Entry)>,
    provider: &dyn Provider,
    options: &OutputOptions,
    work: impl FnOnce(Vec<(String, Entry)>, PipeReader) -> Result<T> + Send + 'static,
) -> Result<T> {
    let phase = Phase::start(&options.progress, "sending tarball");
    let layers: Vec<_> = entries.iter().filter_map(|(_, entry)| layer_of(entry).cloned()).collect();
    warn_of_docker_zstd(&layers, &phase);
    let (writer, reader) = pipe();
    let job = pool.run(move || Ok(work(entries, reader)));
    let (fed, done) = futures::join!(feed(&layers, provider, writer, &phase), job);
    let outcome = fed.map_err(Error::Port).and_then(|()| done?);
    phase.finish(outcome.as_ref().err().map(Error::kind));
    outcome
}

fn layer_of(entry: &Entry) -> Option<&Descriptor> {
    match entry {
        Entry::Layer(descriptor) => Some(descriptor),
        _ => None,
    }
}

/// Sends the layers. A reader that has gone away says itself why.
async fn feed(
    layers: &[Descriptor],
    provider: &dyn Provider,
    mut writer: PipeWriter,
    phase: &Phase,
) -> cache_core::Result<()> {
    let mut sent = 0;
    for layer in layers {
        match feed_layer(layer, provider, &mut writer, |bytes| {
            sent += bytes;
            phase.advance(sent);
        })
        .await
        {
            Ok(Ok(())) => {}
            Ok(Err(ReaderGone)) => return Ok(()),
            Err(error) => {
                writer.end(Err(error.clone()));
                return Err(error);
            }
        }
    }
    writer.end(Ok(()));
    Ok(())
}

/// Sends exactly as many bytes as the layer has; the next one begins after them.
async fn feed_layer(
    layer: &Descriptor,
    provider: &dyn Provider,
    writer: &mut PipeWriter,
    mut advance: impl FnMut(u64),
) -> cache_core::Result<Result<(), ReaderGone>> {
    let error = |kind| cache_core::Error::new(kind, "archive layer", layer.digest);
    let reader = provider.open(layer).await?.ok_or_else(|| error(ErrorKind::NotFound))?;
    if reader.size() != layer.size {
        return Err(error(ErrorKind::Corrupt));
    }
    let mut left = layer.size;
    let mut chunks = reader.read(0..layer.size).await?;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        let length = chunk.len() as u64;
        left = left.checked_sub(length).ok_or_else(|| error(ErrorKind::Corrupt))?;
        if let Err(gone) = writer.send(chunk).await {
            return Ok(Err(gone));
        }
        advance(length);
    }
    if left == 0 { Ok(Ok(())) } else { Err(error(ErrorKind::Corrupt)) }
}

/// Writes the archive of `entries`, whose layers come from `layers`. Blocks.
pub(super) fn write_entries<W: Write>(entries: Vec<(String, Entry)>, mut layers: PipeReader, writer: W) -> Result<W> {
    let mut tar = Writer::new(writer);
    for (path, entry) in entries {
        match entry {
            Entry::Directory => tar.append_header(&Header::directory(path)).map_err(Error::Archive)?,
            Entry::File { bytes, mode } => {
                let header = Header::file(path, bytes.len() as u64).with_mode(mode);
                tar.append(&header, &bytes[..]).map_err(Error::Archive)?;
            }
            Entry::Layer(descriptor) => write_layer(&mut tar, path, &descriptor, &mut layers)?,
        }
    }
    // The end has to come, too: else nobody waits for the archive any more.
    layers.fill_buf().map_err(carried)?;
    tar.finish().map_err(Error::Archive)
}

fn write_layer<W: Write>(
    tar: &mut Writer<W>,
    path: String,
    descriptor: &Descriptor,
    layers: &mut PipeReader,
) -> Result<()> {
    let mut hasher = DigestHasher::new(descriptor.digest.algorithm());
    let mut entry = tar.begin(&Header::file(path, descriptor.size).with_mode(0o444)).map_err(Error::Archive)?;
    let mut left = descriptor.size;
    while left > 0 {
        let chunk = layers.fill_buf().map_err(carried)?;
        let length = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
        let Some(chunk) = chunk.get(..length).filter(|chunk| !chunk.is_empty()) else {
            return Err(cache_core::Error::new(ErrorKind::Corrupt, "archive layer", descriptor.digest).into());
        };
        hasher.update(chunk);
        entry.write_all(chunk).map_err(Error::Archive)?;
        layers.consume(length);
        left -= length as u64;
    }
    if hasher.finish() != descriptor.digest {
        return Err(cache_core::Error::new(ErrorKind::Corrupt, "archive layer", descriptor.digest).into());
    }
    entry.finish().map_err(Error::Archive)
}

/// The error that a pipe carries.
fn carried(error: std::io::Error) -> Error {
    error_of_io("archive", "layers", error).into()
}
