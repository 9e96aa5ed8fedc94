//! Finding codecs by compression, name, media type and content.
#![cfg(all(feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::io::Read;
use std::sync::Arc;

use cache_blobs::codec::{Codec, Codecs, Encoder, LayerMediaTypes, Levels, Recipe, Sample, Uncompressed};
use cache_core::{CodecId, Compression, ErrorKind, MediaType, Result};

/// A special form of gzip that its footer tells, as eStargz is.
#[derive(Debug)]
struct Footed;

const FOOTED: Compression = Compression::Custom(CodecId::new("footed"));

impl Codec for Footed {
    fn compression(&self) -> Compression {
        FOOTED
    }

    fn media_types(&self) -> LayerMediaTypes {
        LayerMediaTypes { oci: MediaType::OCI_LAYER_GZIP, docker: None }
    }

    fn levels(&self) -> Levels {
        Levels::NONE
    }

    fn recipe(&self, _level: Option<i32>) -> Result<Recipe> {
        Ok(Recipe::new("footed"))
    }

    fn encoder(&self, level: Option<i32>) -> Result<Encoder> {
        Uncompressed.encoder(level)
    }

    fn decoder(&self, source: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>> {
        Ok(source)
    }

    fn pieces(&self) -> Option<Arc<dyn cache_blobs::codec::Pieces>> {
        None
    }

    fn detects(&self, sample: &Sample<'_>) -> bool {
        sample.head.starts_with(&[0x1f, 0x8b]) && sample.tail.is_some_and(|tail| tail.ends_with(b"FOOT"))
    }
}

fn detected(sample: &Sample<'_>) -> Compression {
    Codecs::default().with(Arc::new(Footed)).detect(sample).unwrap().compression()
}

#[test]
fn detection_is_by_the_first_bytes() {
    let table: [(&[u8], Compression); 12] = [
        (b"", Compression::Uncompressed),
        (&[0x1f, 0x8b], Compression::Uncompressed),
        (&[0x1f, 0x8b, 7, 0], Compression::Uncompressed),
        (&[0x1f, 0x8b, 8], Compression::Gzip),
        (&[0x28, 0xb5, 0x2f], Compression::Uncompressed),
        (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
        (&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0], Compression::Uncompressed),
        (&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], Compression::Zstd),
        (&[0x5f, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], Compression::Zstd),
        (&[0x60, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], Compression::Uncompressed),
        (&[0x4f, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], Compression::Uncompressed),
        (b"etc/passwd\0\0\0", Compression::Uncompressed),
    ];
    for (head, compression) in table {
        assert_eq!(detected(&Sample::of_head(head)), compression, "{head:x?}");
    }
}

#[test]
fn a_later_codec_claims_a_special_form_by_its_footer() {
    let head = &[0x1f, 0x8b, 8, 0];
    assert_eq!(detected(&Sample::of_head(head).with_tail(b"..FOOT")), FOOTED);
    assert_eq!(detected(&Sample::of_head(head).with_tail(b"......")), Compression::Gzip);
    assert_eq!(detected(&Sample::of_head(head)), Compression::Gzip);
}

#[test]
fn media_types_of_all_families_find_their_codec() {
    let codecs = Codecs::default().with(Arc::new(Footed));
    let table = [
        (MediaType::OCI_LAYER, Some(Compression::Uncompressed)),
        (MediaType::DOCKER_LAYER, Some(Compression::Uncompressed)),
        (MediaType::OCI_LAYER_NON_DISTRIBUTABLE, Some(Compression::Uncompressed)),
        (MediaType::DOCKER_LAYER_FOREIGN, Some(Compression::Uncompressed)),
        (MediaType::OCI_LAYER_GZIP, Some(Compression::Gzip)),
        (MediaType::DOCKER_LAYER_GZIP, Some(Compression::Gzip)),
        (MediaType::OCI_LAYER_NON_DISTRIBUTABLE_GZIP, Some(Compression::Gzip)),
        (MediaType::DOCKER_LAYER_FOREIGN_GZIP, Some(Compression::Gzip)),
        (MediaType::OCI_LAYER_ZSTD, Some(Compression::Zstd)),
        (MediaType::DOCKER_LAYER_ZSTD, Some(Compression::Zstd)),
        (MediaType::OCI_LAYER_NON_DISTRIBUTABLE_ZSTD, Some(Compression::Zstd)),
        (MediaType::OCI_CONFIG, None),
        (MediaType::default(), None),
    ];
    for (media_type, compression) in table {
        assert_eq!(codecs.of_media_type(&media_type).map(|codec| codec.compression()), compression, "{media_type}");
    }
}

#[test]
fn custom_codecs_are_found_by_compression_and_by_name() {
    let codecs = Codecs::default().with(Arc::new(Footed));
    assert_eq!(codecs.of(&FOOTED).unwrap().compression(), FOOTED);
    assert_eq!(codecs.named("footed").unwrap().compression(), FOOTED);
    assert_eq!(codecs.named("zstd").unwrap().compression(), Compression::Zstd);
}

#[test]
fn an_unknown_codec_is_unsupported_and_the_error_names_the_known_ones() {
    for error in [Codecs::default().of(&FOOTED).unwrap_err(), Codecs::default().named("footed").unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.target().contains("uncompressed, gzip, zstd"), "{error}");
    }
}

#[test]
fn a_codec_takes_the_place_of_the_one_of_the_same_compression() {
    let before = Codecs::default();
    let after = before.clone().with(Arc::new(Uncompressed));
    assert_eq!(after.iter().count(), before.iter().count());
}

#[test]
fn docker_names_are_missing_where_a_codec_forbids_them() {
    let codecs = Codecs::default().with(Arc::new(Footed));
    assert_eq!(codecs.named("footed").unwrap().media_types().docker, None);
    assert_eq!(codecs.named("zstd").unwrap().media_types().docker, Some(MediaType::DOCKER_LAYER_ZSTD));
}

#[test]
fn recipes_survive_their_label_and_unknown_ones_are_invalid() {
    let recipe = Recipe::new("x").with_library("l", "1.2").with_level(-3).with_block(4096).with_parameters("p");
    assert_eq!(Recipe::from_label(&recipe.to_label()).unwrap(), recipe);
    assert_eq!(Recipe::new("uncompressed").to_label(), r#"{"codec":"uncompressed"}"#);
    for label in ["", "{}", "[]", r#"{"codec":"gzip","threads":2}"#, r#"{"codec":1}"#] {
        assert_eq!(Recipe::from_label(label).unwrap_err().kind(), ErrorKind::Invalid, "{label}");
    }
}

#[test]
fn public_types_are_debug_send_and_sync() {
    fn check<T: std::fmt::Debug + Send + Sync>() {}
    check::<Codecs>();
    check::<cache_blobs::codec::Decoding>();
    check::<Encoder>();
    check::<cache_blobs::codec::Encoded>();
    check::<cache_blobs::codec::Gzip>();
    check::<cache_blobs::codec::Zstd>();
    #[cfg(feature = "estargz")]
    {
        check::<cache_blobs::codec::Estargz>();
        check::<cache_blobs::codec::estargz::EstargzReader>();
        check::<cache_blobs::codec::estargz::TocLimits>();
        check::<cache_blobs::codec::estargz::Footer>();
        check::<cache_blobs::codec::estargz::Toc>();
    }
    #[cfg(feature = "zstd-chunked")]
    {
        check::<cache_blobs::codec::ZstdChunked>();
        check::<cache_blobs::codec::zstd_chunked::ZstdChunkedReader>();
        check::<cache_blobs::codec::zstd_chunked::Footer>();
        check::<cache_blobs::codec::zstd_chunked::TocEntry>();
    }
    check::<cache_blobs::pack::Budget>();
    check::<cache_blobs::pack::PackWriter>();
    check::<cache_blobs::pack::PipeReader>();
    check::<cache_blobs::pack::PipeWriter>();
    check::<Box<dyn cache_blobs::codec::StreamEncoder>>();
    check::<Box<dyn cache_blobs::codec::Sequence>>();
}
