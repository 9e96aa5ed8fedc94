//! Blobs of a remote.

use futures::TryStreamExt;

use crate::conformance::blob::{ALL, gather, read_range};
use crate::conformance::fetch::{FetchSubject, samples};
use crate::conformance::require::{require, require_equal, require_some};
use crate::conformance::{Outcome, Unmet};
use crate::descriptor::Descriptor;
use crate::media_type::MediaType;
use crate::ports::BlobReader;

impl FetchSubject {
    async fn fetch(&self, descriptor: &Descriptor) -> Result<Box<dyn BlobReader>, Unmet> {
        require_some(self.fetcher.fetch(descriptor).await?, "what the remote has is fetched")
    }
}

/// A blob comes with its size and its bytes, more than once.
pub async fn every_blob_comes_whole(subject: FetchSubject) -> Outcome {
    for (descriptor, bytes) in samples() {
        let reader = subject.fetch(&descriptor).await?;
        for _ in 0..2 {
            require_equal(&reader.size(), &descriptor.size, "a reader knows its size")?;
            require(read_range(&*reader, ALL).await? == bytes, "a blob comes whole")?;
        }
    }
    Ok(())
}

/// Any range gives the bytes that the blob has there; what is past the end gives none.
pub async fn every_range_gives_its_bytes(subject: FetchSubject) -> Outcome {
    for (descriptor, bytes) in samples() {
        let reader = subject.fetch(&descriptor).await?;
        let size = descriptor.size;
        let edges = [0, 1, size / 3, size / 2, size.saturating_sub(1), size, size + 1, u64::MAX];
        for from in edges.into_iter().rev() {
            for to in edges.into_iter().filter(|to| *to >= from) {
                let found = read_range(&*reader, from..to).await?;
                let at = |position: u64| usize::try_from(position.min(size)).unwrap_or(bytes.len());
                let wanted = bytes.slice(at(from)..at(to));
                require(found == wanted, &format!("the range {from}..{to} of {size} bytes gives its bytes"))?;
            }
        }
    }
    Ok(())
}

/// Two readers, of one blob or of two, and two streams of one reader, each go their own way.
pub async fn readers_do_not_disturb_each_other(subject: FetchSubject) -> Outcome {
    let samples = samples();
    let mut readers = Vec::new();
    for (descriptor, bytes) in samples.iter().chain(&samples) {
        readers.push((subject.fetch(descriptor).await?, bytes));
    }
    let mut streams = Vec::new();
    for (reader, bytes) in &readers {
        streams.push((reader.read(0..u64::MAX).await?, 0, *bytes));
        let half = bytes.len() / 2;
        streams.push((reader.read(half as u64..u64::MAX).await?, half, *bytes));
    }
    let mut flowing = true;
    while flowing {
        flowing = false;
        for (stream, offset, bytes) in &mut streams {
            if let Some(chunk) = stream.try_next().await? {
                let wanted = bytes.get(*offset..*offset + chunk.len());
                require(wanted == Some(chunk.as_ref()), "every stream gives its own bytes in order")?;
                *offset += chunk.len();
                flowing = true;
            }
        }
    }
    for (_, offset, bytes) in streams {
        require_equal(&offset, &bytes.len(), "every stream gives all of its bytes")?;
    }
    Ok(())
}

/// After a stream was dropped in its middle, its reader and others give whole blobs.
pub async fn a_stream_that_is_dropped_disturbs_nothing(subject: FetchSubject) -> Outcome {
    for (descriptor, bytes) in samples() {
        let reader = subject.fetch(&descriptor).await?;
        for _ in 0..3 {
            let mut stream = reader.read(ALL).await?;
            let first = stream.try_next().await?;
            require(first.is_none_or(|first| bytes.starts_with(&first)), "a stream begins at its range")?;
            drop(stream);
        }
        require(gather(reader.read(ALL).await?).await? == bytes, "the reader reads on")?;
        let other = subject.fetch(&descriptor).await?;
        require(read_range(&*other, ALL).await? == bytes, "other readers read on")?;
    }
    Ok(())
}

/// What the remote does not have is `None`, not an error.
pub async fn what_the_remote_lacks_is_none(subject: FetchSubject) -> Outcome {
    for media_type in [MediaType::OCI_LAYER, MediaType::OCI_MANIFEST] {
        let absent = Descriptor::of(media_type, b"never pushed");
        require(subject.fetcher.fetch(&absent).await?.is_none(), "what the remote lacks is none")?;
    }
    Ok(())
}
