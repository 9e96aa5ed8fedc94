//! Verifying layer blobs.
#![cfg(all(feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use cache_blobs::codec::Codecs;
use cache_blobs::pack::{PackOptions, PackWriter, pack};
use cache_blobs::{Verified, verify_blob};
use cache_core::ports::{BlobReader, ByteStream};
use cache_core::{Compression, Descriptor, Digest, ErrorKind, MediaType, Result};
use futures::StreamExt;
use pack_rig::{Pace, budget, data, pool, sink, write_all};
use pollster::block_on;

#[derive(Debug)]
struct Blob(Vec<u8>);

#[async_trait::async_trait]
impl BlobReader for Blob {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: std::ops::Range<u64>) -> Result<ByteStream> {
        let bytes = self.0[range.start as usize..range.end as usize].to_vec();
        let chunks: Vec<_> = bytes.chunks(100_000).map(|chunk| Ok(chunk.to_vec().into())).collect();
        Ok(futures::stream::iter(chunks).boxed())
    }

    fn local_file(&self) -> Option<std::path::PathBuf> {
        None
    }
}

fn blob(compression: &Compression, tar: &[u8]) -> (Descriptor, Vec<u8>) {
    let (ingest, seen) = sink(Pace::Fast);
    let codec = Codecs::default().of(compression).unwrap();
    let tar = tar.to_vec();
    let produce = move |writer: &mut PackWriter| write_all(writer, &tar);
    let packed =
        block_on(pack(&budget(2, 64 << 20), &pool(), &*codec, ingest, PackOptions::default(), produce)).unwrap();
    let bytes = std::mem::take(&mut seen.lock().unwrap().bytes);
    (packed.layer().descriptor, bytes)
}

fn verify(descriptor: &Descriptor, bytes: Vec<u8>, expected: Option<Digest>) -> Result<Verified> {
    block_on(verify_blob(&*pool(), &Codecs::default(), &Blob(bytes), descriptor, expected))
}

#[test]
fn sound_blobs_of_every_codec_verify() {
    let tar = data(3_000_000, 1);
    for compression in [Compression::Uncompressed, Compression::Gzip, Compression::Zstd] {
        let (descriptor, bytes) = blob(&compression, &tar);
        let verified = verify(&descriptor, bytes, Some(Digest::of(&tar))).unwrap();
        assert_eq!(verified.compression, compression);
        assert_eq!(verified.diff_id, Digest::of(&tar));
        assert_eq!(verified.uncompressed_bytes, tar.len() as u64);
    }
}

#[test]
fn another_digest_size_or_diff_id_is_corrupt() {
    let tar = data(100_000, 2);
    for compression in [Compression::Uncompressed, Compression::Gzip, Compression::Zstd] {
        let (descriptor, bytes) = blob(&compression, &tar);
        let mut flipped = bytes.clone();
        flipped[5000] ^= 1;
        let longer = [&bytes[..], &[0]].concat();
        for damaged in [flipped, longer, bytes[..bytes.len() - 1].to_vec()] {
            assert_eq!(verify(&descriptor, damaged, None).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        let other = Some(Digest::of(b"another tar"));
        assert_eq!(verify(&descriptor, bytes, other).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn content_that_is_not_what_its_oci_media_type_says_is_corrupt() {
    let (mut descriptor, bytes) = blob(&Compression::Gzip, &data(1000, 3));
    let table = [
        (MediaType::OCI_LAYER_GZIP, true),
        (MediaType::OCI_LAYER_NON_DISTRIBUTABLE_GZIP, true),
        (MediaType::OCI_LAYER, false),
        (MediaType::OCI_LAYER_ZSTD, false),
        (MediaType::OCI_LAYER_NON_DISTRIBUTABLE_ZSTD, false),
        (MediaType::DOCKER_LAYER, true),
        (MediaType::DOCKER_LAYER_GZIP, true),
        (MediaType::default(), true),
        (MediaType::new("application/vnd.example"), true),
    ];
    for (media_type, sound) in table {
        descriptor.media_type = media_type;
        let outcome = verify(&descriptor, bytes.clone(), None).map_err(|error| error.kind());
        let expected = if sound { Ok(()) } else { Err(ErrorKind::Corrupt) };
        assert_eq!(outcome.map(drop), expected, "{}", descriptor.media_type);
    }
}
