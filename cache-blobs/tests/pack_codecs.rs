//! The codec port carries more than gzip and zstd: a stream with a trailer, and blocks with a table of contents.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use std::io::{self, Read, Write};
use std::sync::Arc;

use cache_blobs::codec::{
    Block, BlockEncoder, Codec, Codecs, DiffIdRule, Encoded, EncodedBlock, Encoder, Ending, LayerMediaTypes, Levels,
    Recipe, Sample, Sequence, StreamEncoder, TarTotal, error_of_io,
};
use cache_blobs::pack::{PackOptions, PackWriter, Packed, pack};
use cache_core::annotation::UNCOMPRESSED;
use cache_core::{Annotations, CodecId, Compression, Digest, Error, ErrorKind, MediaType, Result};
use pack_rig::{Fate, Pace, budget, data, decode, pool, sink, write_all};
use pollster::block_on;

/// The shapes that the toy takes.
#[derive(Clone, Copy, Debug)]
enum Toy {
    /// Every byte flipped, then a trailer; the DiffID covers the trailer, too, as with eStargz.
    Stream,
    /// Blocks flipped on any worker, then a table of where each entry's payload went.
    Table,
    /// The DiffID is the blob's digest, as with Nydus.
    OfBlob,
}

const MAGIC: &[u8] = b"TOY!";
const KEY: u8 = 0x5a;
const TRAILER: &[u8] = b"the end";
const BLOCK_BYTES: usize = 1000;

impl Codec for Toy {
    fn compression(&self) -> Compression {
        Compression::Custom(CodecId::new("toy"))
    }

    fn media_types(&self) -> LayerMediaTypes {
        LayerMediaTypes { oci: MediaType::new("application/vnd.example.toy"), docker: None }
    }

    fn levels(&self) -> Levels {
        Levels::new(1..=2, 1)
    }

    fn recipe(&self, level: Option<i32>) -> Result<Recipe> {
        let level = self.levels().resolve(&self.compression(), level)?;
        Ok(level.into_iter().fold(Recipe::new("toy"), Recipe::with_level))
    }

    fn encoder(&self, _level: Option<i32>) -> Result<Encoder> {
        Ok(match self {
            Self::Stream | Self::OfBlob => Encoder::Stream(Box::new(Flipping { toy: *self, calls: 0 })),
            Self::Table => Encoder::Blocks(Arc::new(FlippingBlocks)),
        })
    }

    fn decoder(&self, mut source: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>> {
        let mut magic = [0; 4];
        source.read_exact(&mut magic).map_err(|error| error_of_io("decode", "toy", error))?;
        Ok(Box::new(Unflipping(source)))
    }

    fn pieces(&self) -> Option<Arc<dyn cache_blobs::codec::Pieces>> {
        None
    }

    fn detects(&self, sample: &Sample<'_>) -> bool {
        sample.head.starts_with(MAGIC)
    }
}

struct Unflipping(Box<dyn Read + Send>);

impl Read for Unflipping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.read(buffer)?;
        buffer[..bytes].iter_mut().for_each(|byte| *byte ^= KEY);
        Ok(bytes)
    }
}

fn flip(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ KEY).collect()
}

#[derive(Debug)]
struct Flipping {
    toy: Toy,
    calls: usize,
}

impl StreamEncoder for Flipping {
    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    fn encoded_bound(&self) -> usize {
        BLOCK_BYTES + MAGIC.len()
    }

    fn encode(&mut self, block: &mut Block) -> Result<Vec<u8>> {
        assert_eq!(block.offset, (self.calls * BLOCK_BYTES) as u64, "blocks come in order");
        self.calls += 1;
        let magic = if block.offset == 0 { MAGIC } else { b"" };
        Ok([magic, &flip(&block.bytes)].concat())
    }

    fn finish(self: Box<Self>, total: TarTotal) -> Result<Ending> {
        assert_eq!(total.blob_bytes, total.tar_bytes + MAGIC.len() as u64);
        let mut hasher = total.hasher;
        hasher.update(TRAILER);
        let uncompressed_bytes = total.tar_bytes + TRAILER.len() as u64;
        let diff_id = match self.toy {
            Toy::OfBlob => DiffIdRule::OfBlob,
            Toy::Stream | Toy::Table => DiffIdRule::Own { diff_id: hasher.finish(), uncompressed_bytes },
        };
        let annotations = Annotations::from([("toy/blocks".to_owned(), self.calls.to_string())]);
        Ok(Ending { trailer: flip(TRAILER), annotations, diff_id })
    }
}

#[derive(Debug)]
struct FlippingBlocks;

impl BlockEncoder for FlippingBlocks {
    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    fn encoded_bound(&self) -> usize {
        2 * BLOCK_BYTES
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        Some(Box::new(Table::default()))
    }

    /// Writes a `|` at each place of the plan, and tells where it went.
    fn encode(&self, block: &mut Block) -> Result<Encoded> {
        let plan = block.plan.take().unwrap().downcast::<Vec<u64>>().unwrap();
        let mut bytes = Vec::new();
        let mut cuts = Vec::new();
        for (at, byte) in block.bytes.iter().enumerate() {
            if plan.contains(&(block.offset + at as u64)) {
                bytes.push(b'|');
                cuts.push(bytes.len());
            }
            bytes.push(byte ^ KEY);
        }
        Ok(Encoded { bytes: bytes.into(), notes: Some(Box::new(cuts)) })
    }
}

#[derive(Debug, Default)]
struct Table {
    seen: Vec<u8>,
    places: Vec<u64>,
    blob_bytes: u64,
}

impl Sequence for Table {
    fn block(&mut self, block: &mut Block) -> Result<()> {
        assert_eq!(block.offset, self.seen.len() as u64);
        self.seen.extend_from_slice(&block.bytes);
        block.plan = Some(Box::new(payload_places()));
        Ok(())
    }

    fn encoded(&mut self, encoded: EncodedBlock) -> Result<()> {
        assert_eq!(encoded.blob_offset, self.blob_bytes);
        self.blob_bytes += encoded.blob_bytes;
        let cuts = encoded.notes.unwrap().downcast::<Vec<usize>>().unwrap();
        self.places.extend(cuts.iter().map(|cut| encoded.blob_offset + *cut as u64));
        Ok(())
    }

    fn finish(self: Box<Self>, total: TarTotal) -> Result<Ending> {
        assert_eq!(total.blob_bytes, self.blob_bytes);
        assert_eq!(total.hasher.finish(), Digest::of(&self.seen));
        let places: Vec<_> = self.places.iter().flat_map(|place| place.to_le_bytes()).collect();
        Ok(Ending { trailer: places, ..Ending::default() })
    }
}

const PAYLOADS: [usize; 6] = [10, 0, 2500, 999, 1, 4000];

/// Where payloads begin in [`tar`].
fn payload_places() -> Vec<u64> {
    let mut offset = 0;
    let mut places = Vec::new();
    for bytes in PAYLOADS {
        offset += 8;
        if bytes > 0 {
            places.push(offset);
        }
        offset += bytes as u64;
    }
    places
}

fn write(writer: &mut PackWriter) -> Result<Vec<u64>> {
    write_all(writer, &tar())?;
    Ok(payload_places())
}

/// Something like a tar: eight bytes of header before each payload.
fn tar() -> Vec<u8> {
    let pieces = (1..).zip(PAYLOADS).flat_map(|(seed, bytes)| [b"[header]".to_vec(), data(bytes, seed)]);
    pieces.collect::<Vec<_>>().concat()
}

fn pack_toy(toy: Toy, workers: usize) -> (Packed<Vec<u64>>, Vec<u8>, Fate) {
    let (ingest, seen) = sink(Pace::Slow(3));
    let budget = budget(workers, 1 << 20);
    let packed = block_on(pack(&budget, &pool(), &toy, ingest, PackOptions::default(), write)).unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (packed, seen.bytes, seen.fate)
}

#[test]
fn a_stream_codec_sees_all_in_order_and_ends_with_trailer_annotation_and_diff_id_of_its_own() {
    for workers in [1, 3] {
        let (packed, blob, fate) = pack_toy(Toy::Stream, workers);
        let whole = [&tar(), TRAILER].concat();
        assert_eq!(blob, [MAGIC, &flip(&whole)].concat());
        assert_eq!(packed.diff_id, Digest::of(&whole));
        assert_eq!(packed.uncompressed_bytes, whole.len() as u64);
        assert_eq!(packed.annotations["toy/blocks"], tar().len().div_ceil(BLOCK_BYTES).to_string());
        assert_eq!(packed.layer().descriptor.annotations, packed.annotations);
        let Fate::Committed(labels) = fate else { panic!("{fate:?}") };
        assert_eq!(labels[UNCOMPRESSED], packed.diff_id.to_string());
        assert_eq!(decode(&Codecs::default().with(Arc::new(Toy::Stream)), blob).unwrap(), whole);
    }
}

#[test]
fn a_block_codec_knows_where_every_payload_went_without_leaving_the_workers() {
    for workers in [1, 2, 8] {
        let (packed, blob, _) = pack_toy(Toy::Table, workers);
        let (body, table) = blob.split_at(blob.len() - 8 * packed.produced.len());
        let mut cuts_before = 0;
        for (place, entry) in packed.produced.iter().zip(table.chunks(8)) {
            cuts_before += 1;
            assert_eq!(u64::from_le_bytes(entry.try_into().unwrap()), place + cuts_before);
            assert_eq!(body[(place + cuts_before) as usize - 1], b'|');
        }
        assert_eq!(packed.diff_id, Digest::of(tar()));
    }
}

#[test]
fn a_diff_id_may_be_the_digest_of_the_blob() {
    let (packed, blob, fate) = pack_toy(Toy::OfBlob, 2);
    assert_eq!(packed.diff_id, Digest::of(&blob));
    assert_eq!(packed.uncompressed_bytes, blob.len() as u64);
    let Fate::Committed(labels) = fate else { panic!("{fate:?}") };
    assert!(!labels.contains_key(UNCOMPRESSED));
}

#[test]
fn a_level_that_a_custom_codec_refuses_is_invalid_and_aborts_the_ingest() {
    let (ingest, seen) = sink(Pace::Fast);
    let options = PackOptions::default().with_level(Some(3));
    let outcome = block_on(pack(&budget(1, 1 << 20), &pool(), &Toy::Stream, ingest, options, write));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(seen.lock().unwrap().fate, Fate::Aborted);
}

#[test]
fn an_encoder_that_exceeds_its_own_bound_is_refused() {
    #[derive(Debug)]
    struct Liar;
    impl BlockEncoder for Liar {
        fn block_bytes(&self) -> usize {
            10
        }
        fn encoded_bound(&self) -> usize {
            10
        }
        fn sequence(&self) -> Option<Box<dyn Sequence>> {
            None
        }
        fn encode(&self, _block: &mut Block) -> Result<Encoded> {
            Ok(Encoded { bytes: vec![0; 11].into(), notes: None })
        }
    }
    let toy = pack_rig::BlockCodec(Arc::new(Liar));
    let (ingest, seen) = sink(Pace::Fast);
    let produce =
        |writer: &mut PackWriter| writer.write_all(&[1; 100]).map_err(|error| error_of_io("write", "it", error));
    let outcome =
        block_on(pack::<_, Error, _>(&budget(1, 1 << 20), &pool(), &toy, ingest, PackOptions::default(), produce));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(seen.lock().unwrap().fate, Fate::Aborted);
}
