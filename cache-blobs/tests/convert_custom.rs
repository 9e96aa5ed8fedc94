//! Conversion from and to codecs of an embedder, with DiffIDs of their own and without any hashing.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod variant_rig;

use std::io::Read;
use std::sync::Arc;

use cache_blobs::chain::RemoteExt;
use cache_blobs::codec::{
    Block, BlockEncoder, Codec, DiffIdRule, Encoded, EncodedBlock, Encoder, Ending, LayerMediaTypes, Levels, Recipe,
    Sample, Sequence, TarTotal,
};
use cache_blobs::convert::{Converter, ConverterBackends, find_variant};
use cache_blobs::pack::Budget;
use cache_core::annotation::UNCOMPRESSED;
use cache_core::ports::DiffOptions;
use cache_core::{
    Algorithm, CodecId, Compression, CompressionConfig, Descriptor, Digest, DigestHasher, ErrorKind, Layer, MediaType,
    Result,
};
use cancel_rig::Rig;
use pollster::block_on;
use variant_rig::{bytes, chain, labels, layer, lease, tar};

const STAMP: &[u8] = b"stamp behind the tar";

/// Writes the tar as it is, and a stamp behind it that its DiffID covers, or nothing and no rule at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Toy {
    Stamped,
    Bare,
}

impl Toy {
    fn name(self) -> &'static str {
        if self == Self::Stamped { "stamped" } else { "bare" }
    }

    fn id(self) -> Compression {
        Compression::Custom(CodecId::new(self.name()))
    }
}

impl Codec for Toy {
    fn compression(&self) -> Compression {
        self.id()
    }

    fn media_types(&self) -> LayerMediaTypes {
        LayerMediaTypes { oci: MediaType::new(format!("application/vnd.example.{}", self.name())), docker: None }
    }

    fn levels(&self) -> Levels {
        Levels::NONE
    }

    fn recipe(&self, _level: Option<i32>) -> Result<Recipe> {
        Ok(Recipe::new(self.name()))
    }

    fn encoder(&self, _level: Option<i32>) -> Result<Encoder> {
        Ok(if *self == Self::Stamped { Encoder::Blocks(Arc::new(*self)) } else { Encoder::Identity })
    }

    fn decoder(&self, source: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>> {
        Ok(source)
    }

    fn pieces(&self) -> Option<Arc<dyn cache_blobs::codec::Pieces>> {
        None
    }

    fn detects(&self, sample: &Sample<'_>) -> bool {
        *self == Self::Stamped && sample.tail.is_some_and(|tail| tail.ends_with(STAMP))
    }
}

impl BlockEncoder for Toy {
    fn block_bytes(&self) -> usize {
        10_000
    }

    fn encoded_bound(&self) -> usize {
        10_000
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        Some(Box::new(*self))
    }

    fn encode(&self, block: &mut Block) -> Result<Encoded> {
        Ok(Encoded { bytes: std::mem::take(&mut block.bytes), notes: None })
    }
}

impl Sequence for Toy {
    fn block(&mut self, _block: &mut Block) -> Result<()> {
        Ok(())
    }

    fn encoded(&mut self, _encoded: EncodedBlock) -> Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>, total: TarTotal) -> Result<Ending> {
        let mut hasher = total.hasher;
        hasher.update(STAMP);
        Ok(Ending {
            trailer: STAMP.to_vec(),
            annotations: [("example.stamp".to_owned(), "kept".to_owned())].into(),
            diff_id: DiffIdRule::Own {
                diff_id: hasher.finish(),
                uncompressed_bytes: total.tar_bytes + STAMP.len() as u64,
            },
        })
    }
}

fn backends(rig: &Rig) -> ConverterBackends {
    let codecs = rig.codecs.clone().with(Arc::new(Toy::Stamped)).with(Arc::new(Toy::Bare));
    ConverterBackends { codecs, ..variant_rig::backends(rig) }
}

fn to(toy: Toy) -> CompressionConfig {
    CompressionConfig::new(toy.id())
}

#[test]
fn a_codec_keeps_its_own_diff_id_and_its_annotations_through_conversions() {
    let rig = Rig::new("native").unwrap();
    let (lease, backends) = (lease(&rig), backends(&rig));
    let converter = Converter::new(backends.clone());
    let tar = tar("file", 100_000);
    let source = layer(&rig, &lease, &Compression::Gzip, &tar);
    let stamped = block_on(converter.convert(&lease, &source, &to(Toy::Stamped))).unwrap();
    let whole = [&tar[..], STAMP].concat();
    assert_eq!((stamped.diff_id, bytes(&rig, &stamped.descriptor)), (Digest::of(&whole), whole.clone()));
    assert_ne!(stamped.diff_id, source.diff_id);
    assert_eq!(labels(&rig, &stamped.descriptor.digest)[UNCOMPRESSED], stamped.diff_id.to_string());
    assert_eq!(stamped.descriptor.annotations["example.stamp"], "kept");
    // Found again as it was made, by its recipe or by its end.
    let wanted = Toy::Stamped.id();
    let found = find_variant(backends.content.as_ref(), &backends.codecs, &source, &wanted);
    assert_eq!(block_on(found).unwrap(), Some(stamped.clone()));

    // A layer that begins as a stamped one is verified by what decoding gives, which its DiffID covers.
    let other = [&variant_rig::tar("other", 1000)[..], STAMP].concat();
    variant_rig::put(&rig, &lease, &other);
    let named = |diff_id| Layer::new(Descriptor::of(Toy::Stamped.media_types().oci, &other), diff_id);
    let wrong = block_on(converter.convert(&lease, &named(Digest::of("wrong")), &CompressionConfig::zstd()));
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Corrupt);
    let zstd = block_on(converter.convert(&lease, &named(Digest::of(&other)), &CompressionConfig::zstd()));
    assert_eq!(zstd.unwrap().diff_id, Digest::of(&other));
}

#[test]
fn a_remote_that_is_forced_into_such_a_codec_shows_its_diff_ids() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let layers = rig.layers.clone().with_converter(Converter::new(backends(&rig)));
    let top = chain(&rig, &lease, &vec![Compression::Zstd; 6], "layer");
    let forced = DiffOptions::new(to(Toy::Stamped).forced());
    let remote = block_on(top.ensure_remote(&lease, &layers, &forced)).unwrap();
    for (shown, of) in remote.layers().iter().zip(top.layer_chain()) {
        assert_eq!(shown.layer.diff_id, shown.layer.descriptor.digest, "this codec's blob is what it decodes to");
        assert_ne!(shown.layer.diff_id, of.layer().unwrap().diff_id, "the record's own stays");
        assert_eq!(shown.layer.descriptor.annotations["example.stamp"], "kept");
    }
    let docker = cache_blobs::chain::RemoteOptions::new(forced).with_family(cache_core::MediaTypeFamily::Docker);
    let refused = block_on(top.main_remote(&lease, &layers, &docker)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "it has no name of Docker's");
}

#[test]
fn a_tar_that_the_packer_does_not_hash_is_verified_all_the_same() {
    let rig = Rig::new("native").unwrap();
    let (lease, converter) = (lease(&rig), Converter::new(backends(&rig)));
    let tar = tar("file", 100_000);
    let mut source = layer(&rig, &lease, &Compression::Gzip, &tar);
    let bare = block_on(converter.convert(&lease, &source, &to(Toy::Bare))).unwrap();
    assert_eq!((bare.diff_id, bytes(&rig, &bare.descriptor)), (source.diff_id, tar.clone()));
    // Its own content shows a plain tar, but its recipe says what it is.
    let zstd = layer(&rig, &lease, &Compression::Zstd, &variant_rig::tar("other", 100));
    let other = block_on(converter.convert(&lease, &zstd, &to(Toy::Bare))).unwrap();
    assert_eq!(block_on(converter.convert(&lease, &other, &CompressionConfig::gzip())).unwrap().diff_id, zstd.diff_id);

    // A DiffID by another algorithm than the packer's, right and wrong.
    let mut hasher = DigestHasher::new(Algorithm::Sha512);
    hasher.update(&tar);
    source = layer(&rig, &lease, &Compression::Zstd, &tar);
    source.diff_id = hasher.finish();
    block_on(converter.convert(&lease, &source, &CompressionConfig::gzip())).unwrap();
    let mut wrong = layer(&rig, &lease, &Compression::Zstd, &variant_rig::tar("third", 100));
    wrong.diff_id = source.diff_id;
    for wanted in [CompressionConfig::gzip(), to(Toy::Bare), CompressionConfig::uncompressed()] {
        let refused = block_on(converter.convert(&lease, &wrong, &wanted)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{wanted:?}");
    }
}

#[test]
fn a_budget_in_which_no_block_fits_is_limit_exceeded() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let small = Arc::new(Budget::new(std::num::NonZeroUsize::MIN, 1 << 20).unwrap());
    let converter = Converter::new(ConverterBackends { budget: small, ..backends(&rig) });
    let source = layer(&rig, &lease, &Compression::Gzip, &tar("file", 100));
    let refused = block_on(converter.convert(&lease, &source, &CompressionConfig::zstd())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
    rig.settle();
    assert!(rig.visible().ingests.is_empty());
}
