//! Sinks, data and toy codecs for the tests of the packer.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::panic, missing_docs)]

mod packing;

pub(crate) use packing::pack_with;

use std::future::poll_fn;
use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use cache_blobs::codec::{
    Block, BlockEncoder, Codec, Codecs, Decoding, Encoded, Encoder, LayerMediaTypes, Levels, Recipe, Sample, Sequence,
    error_of_io,
};
use cache_blobs::pack::{Budget, PackWriter};
use cache_core::ports::{BlobInfo, Committed, Expected, Ingest, IngestStatus, Pool};
use cache_core::{CodecId, Compression, Digest, Error, ErrorKind, Labels, MediaType, Result, ThreadPool, Timestamp};

/// What became of a sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    #[default]
    Open,
    Committed(Labels),
    Aborted,
    Dropped,
}

/// How a sink takes bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    Fast,
    /// Is asked so many times before it takes a write.
    Slow(u32),
    /// Takes so many bytes and never answers again.
    StallsAfter(usize),
    /// Takes so many bytes and then fails with this kind.
    FailsAfter(usize, ErrorKind),
    /// Takes all and refuses to commit it.
    RefusesCommit(ErrorKind),
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fate: Fate,
}

#[derive(Debug)]
pub(crate) struct Sink {
    pace: Pace,
    seen: Arc<Mutex<Seen>>,
}

pub(crate) fn sink(pace: Pace) -> (Box<dyn Ingest>, Arc<Mutex<Seen>>) {
    let seen = Arc::<Mutex<Seen>>::default();
    (Box::new(Sink { pace, seen: Arc::clone(&seen) }), seen)
}

impl Sink {
    fn end(&self, fate: Fate) {
        self.seen.lock().unwrap().fate = fate;
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let mut seen = self.seen.lock().unwrap();
        if seen.fate == Fate::Open {
            seen.fate = Fate::Dropped;
        }
    }
}

#[async_trait]
impl Ingest for Sink {
    fn offset(&self) -> u64 {
        self.seen.lock().unwrap().bytes.len() as u64
    }

    fn status(&self) -> IngestStatus {
        IngestStatus {
            key: "sink".to_owned(),
            offset: self.offset(),
            expected: Expected::UNKNOWN,
            started_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let taken = self.seen.lock().unwrap().bytes.len();
        match self.pace {
            Pace::Fast | Pace::RefusesCommit(_) => {}
            Pace::Slow(mut polls) => {
                poll_fn(|context| {
                    polls = polls.saturating_sub(1);
                    context.waker().wake_by_ref();
                    if polls == 0 { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
            Pace::StallsAfter(bytes) if taken >= bytes => std::future::pending().await,
            Pace::FailsAfter(bytes, kind) if taken >= bytes => return Err(Error::new(kind, "write", "the sink")),
            Pace::StallsAfter(_) | Pace::FailsAfter(..) => {}
        }
        self.seen.lock().unwrap().bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn keep(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    async fn commit(self: Box<Self>, _expected: Option<Digest>, labels: Labels) -> Result<Committed> {
        if let Pace::RefusesCommit(kind) = self.pace {
            return Err(Error::new(kind, "commit", "the sink"));
        }
        self.end(Fate::Committed(labels.clone()));
        let seen = self.seen.lock().unwrap();
        Ok(Committed::New(BlobInfo {
            digest: Digest::of(&seen.bytes),
            size: seen.bytes.len() as u64,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            labels,
        }))
    }

    async fn abort(self: Box<Self>) -> Result<()> {
        self.end(Fate::Aborted);
        Ok(())
    }
}

pub(crate) fn pool() -> Arc<dyn Pool> {
    Arc::new(ThreadPool::new())
}

pub(crate) fn budget(workers: usize, memory_bytes: u64) -> Budget {
    Budget::new(NonZeroUsize::new(workers).unwrap(), memory_bytes).unwrap()
}

/// Bytes that compress, never the same for two seeds.
pub(crate) fn data(bytes: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut data = Vec::with_capacity(bytes + 64);
    while data.len() < bytes {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let [a, b, c, d] = state.to_le_bytes();
        if a < 96 && !data.is_empty() {
            let from = data.len() - 1 - usize::from(b) % data.len().min(200);
            for at in from..from + usize::from(c % 60) {
                data.push(data[at]);
            }
        } else {
            data.extend_from_slice(&[b & 0x3f, c & 0x3f, d]);
        }
    }
    data.truncate(bytes);
    data
}

/// Everything that `blob` decodes to.
pub(crate) fn decode(codecs: &Codecs, blob: Vec<u8>) -> Result<Vec<u8>> {
    let mut decoding: Decoding = codecs.decode(Box::new(std::io::Cursor::new(blob)))?;
    let mut tar = Vec::new();
    decoding.read_to_end(&mut tar).map_err(|error| error_of_io("decode", "a test blob", error))?;
    Ok(tar)
}

/// Waits until `condition` holds, which other threads bring about soon.
pub(crate) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

/// A codec of any block encoder.
#[derive(Debug)]
pub(crate) struct BlockCodec(pub(crate) Arc<dyn BlockEncoder>);

impl Codec for BlockCodec {
    fn compression(&self) -> Compression {
        Compression::Custom(CodecId::new("blocks"))
    }

    fn media_types(&self) -> LayerMediaTypes {
        LayerMediaTypes { oci: MediaType::new("application/vnd.example.blocks"), docker: None }
    }

    fn levels(&self) -> Levels {
        Levels::NONE
    }

    fn recipe(&self, _level: Option<i32>) -> Result<Recipe> {
        Ok(Recipe::new("blocks"))
    }

    fn encoder(&self, _level: Option<i32>) -> Result<Encoder> {
        Ok(Encoder::Blocks(Arc::clone(&self.0)))
    }

    fn decoder(&self, source: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>> {
        Ok(source)
    }

    fn pieces(&self) -> Option<Arc<dyn cache_blobs::codec::Pieces>> {
        None
    }

    fn detects(&self, _sample: &Sample<'_>) -> bool {
        false
    }
}

/// Blocks that become themselves, by way of the workers.
#[derive(Debug)]
pub(crate) struct SameBytes {
    pub(crate) block_bytes: usize,
}

impl BlockEncoder for SameBytes {
    fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    fn encoded_bound(&self) -> usize {
        self.block_bytes
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        None
    }

    fn encode(&self, block: &mut Block) -> Result<Encoded> {
        Ok(Encoded { bytes: std::mem::take(&mut block.bytes), notes: None })
    }
}

pub(crate) fn same_bytes(block_bytes: usize) -> BlockCodec {
    BlockCodec(Arc::new(SameBytes { block_bytes }))
}

/// Writes `tar` in pieces.
pub(crate) fn write_all(writer: &mut PackWriter, tar: &[u8]) -> Result<()> {
    for piece in tar.chunks(1013) {
        writer.write_all(piece).map_err(|error| error_of_io("write", "a test tar", error))?;
    }
    Ok(())
}
