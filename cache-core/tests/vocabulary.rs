//! Media types, descriptors, times, platforms, labels and JSON bytes.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, HashMap};

use cache_core::{
    Compression, CompressionConfig, Descriptor, ErrorKind, LabelChange, Labels, MAX_LABEL_BYTES, MediaType,
    MediaTypeFamily, Platform, Timestamp, apply_label_changes, json,
};

const LAYERS: [MediaType; 11] = [
    MediaType::OCI_LAYER,
    MediaType::OCI_LAYER_GZIP,
    MediaType::OCI_LAYER_ZSTD,
    MediaType::OCI_LAYER_NON_DISTRIBUTABLE,
    MediaType::OCI_LAYER_NON_DISTRIBUTABLE_GZIP,
    MediaType::OCI_LAYER_NON_DISTRIBUTABLE_ZSTD,
    MediaType::DOCKER_LAYER,
    MediaType::DOCKER_LAYER_GZIP,
    MediaType::DOCKER_LAYER_ZSTD,
    MediaType::DOCKER_LAYER_FOREIGN,
    MediaType::DOCKER_LAYER_FOREIGN_GZIP,
];

#[test]
fn layer_types_convert_between_families_by_buildkits_table() {
    let pairs = [
        (MediaType::OCI_LAYER, MediaType::DOCKER_LAYER),
        (MediaType::OCI_LAYER_GZIP, MediaType::DOCKER_LAYER_GZIP),
        (MediaType::OCI_LAYER_ZSTD, MediaType::DOCKER_LAYER_ZSTD),
        (MediaType::OCI_LAYER_NON_DISTRIBUTABLE, MediaType::DOCKER_LAYER_FOREIGN),
        (MediaType::OCI_LAYER_NON_DISTRIBUTABLE_GZIP, MediaType::DOCKER_LAYER_FOREIGN_GZIP),
    ];
    for (oci, docker) in pairs {
        assert_eq!(oci.to_family(MediaTypeFamily::Docker), docker);
        assert_eq!(docker.to_family(MediaTypeFamily::Oci), oci);
    }
    let lone = MediaType::OCI_LAYER_NON_DISTRIBUTABLE_ZSTD;
    assert_eq!(lone.to_family(MediaTypeFamily::Docker), lone);
    assert!(!lone.has_name_in(MediaTypeFamily::Docker));
    let unknown = MediaType::new("application/x-unknown");
    assert_eq!(unknown.to_family(MediaTypeFamily::Docker), unknown);
    assert!(!unknown.is_layer());
}

#[test]
fn every_layer_type_knows_its_distribution_and_its_compression() {
    for layer in LAYERS {
        assert!(layer.is_layer() && layer.layer_compression().is_some(), "{layer}");
        assert!(!layer.to_distributable().is_non_distributable(), "{layer}");
        assert_eq!(layer.to_distributable().layer_compression(), layer.layer_compression(), "{layer}");
    }
    // BuildKit's own table maps Docker's foreign gzip onto itself only; Docker's plain gzip has to be mapped too.
    assert_eq!(MediaType::DOCKER_LAYER_GZIP.to_non_distributable(), MediaType::DOCKER_LAYER_FOREIGN_GZIP);
    assert_eq!(MediaType::DOCKER_LAYER_ZSTD.to_non_distributable(), MediaType::DOCKER_LAYER_ZSTD);
}

#[test]
fn a_descriptor_serialises_in_gos_order_with_sorted_annotations() {
    let mut descriptor =
        Descriptor::of(MediaType::OCI_MANIFEST, b"{}").with_annotation("b", "<&>").with_annotation("a", "\u{2028}é");
    descriptor.urls = vec!["https://example.com/a?b&c".into()];
    descriptor.data = Some(b"{}".to_vec());
    descriptor.platform = Some(Platform::new("linux", "arm", ""));
    descriptor.artifact_type = Some(MediaType::new("application/x"));
    let expected = concat!(
        r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
        r#""digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"#,
        r#""urls":["https://example.com/a?b\u0026c"],"annotations":{"a":"\u2028é","b":"\u003c\u0026\u003e"},"#,
        r#""data":"e30=","platform":{"architecture":"arm","os":"linux","variant":"v7"},"artifactType":"application/x"}"#
    );
    assert_eq!(String::from_utf8(json::to_vec(&descriptor).unwrap()).unwrap(), expected);
    assert_eq!(serde_json::from_str::<Descriptor>(expected).unwrap(), descriptor);
    assert_eq!(descriptor.verified_data(), Some(&b"{}"[..]));
    descriptor.data = Some(b"[]".to_vec());
    assert_eq!(descriptor.verified_data(), None);
}

#[test]
fn a_descriptor_with_negative_size_or_odd_digest_is_refused() {
    for text in [
        r#"{"mediaType":"x","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":-1}"#,
        r#"{"mediaType":"x","digest":"sha256:../../../etc/passwd","size":1}"#,
        r#"{"mediaType":"x","size":1}"#,
    ] {
        assert!(serde_json::from_str::<Descriptor>(text).is_err(), "{text}");
    }
}

#[test]
fn null_lists_and_maps_read_as_empty() {
    let text = r#"{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"urls":null,"annotations":null}"#;
    let descriptor: Descriptor = serde_json::from_str(text).unwrap();
    assert!(descriptor.urls.is_empty() && descriptor.annotations.is_empty() && descriptor.media_type.is_empty());
}

#[test]
fn descriptors_convert_to_oci_spec_and_back() {
    let mut descriptor = Descriptor::of(MediaType::OCI_LAYER_ZSTD, b"x").with_annotation("k", "v");
    descriptor.urls = vec!["https://example.com/".into()];
    descriptor.data = Some(b"x".to_vec());
    descriptor.platform = Some(Platform::new("linux", "arm64", "v9"));
    let there = oci_spec::image::Descriptor::try_from(&descriptor).unwrap();
    assert_eq!(there.digest().to_string(), descriptor.digest.to_string());
    assert_eq!(Descriptor::try_from(&there).unwrap(), descriptor);
}

#[test]
fn times_keep_their_zone_and_compare_as_instants() {
    for text in [
        "0001-01-01T00:00:00Z",
        "2026-01-02T03:04:05.6Z",
        "2026-11-20T13:57:02.176391403Z",
        "2026-11-20T15:57:02.1+02:00",
        "1969-12-31T23:59:59.999999999-07:30",
    ] {
        assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
    }
    let (a, b): (Timestamp, Timestamp) =
        ("2026-11-20T15:00:00+02:00".parse().unwrap(), "2026-11-20T13:00:00Z".parse().unwrap());
    assert_eq!(a, b);
    assert_eq!(a.to_utc().to_string(), "2026-11-20T13:00:00Z");
    assert_eq!(Timestamp::zero().to_string(), "0001-01-01T00:00:00Z");
    for text in ["", "2026", "2026-13-01T00:00:00Z", "2026-01-01 00:00:00", "x\0"] {
        assert_eq!(text.parse::<Timestamp>().unwrap_err().kind(), ErrorKind::Invalid, "{text:?}");
    }
}

#[test]
fn platforms_normalise_as_containerd_does() {
    for (text, normal) in [
        ("linux/x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("Linux/i386", "linux/386"),
        ("macos/aarch64", "darwin/arm64"),
    ] {
        assert_eq!(text.parse::<Platform>().unwrap().to_string(), normal);
    }
    for text in ["", "linux", "linux/", "a/b/c/d", "linux/../x", "linux/amd 64"] {
        assert_eq!(text.parse::<Platform>().unwrap_err().kind(), ErrorKind::Invalid, "{text:?}");
    }
}

#[test]
fn label_changes_touch_only_their_keys_and_keep_the_limits() {
    let mut labels: Labels = [("a".into(), "1".into()), ("b".into(), "2".into())].into();
    apply_label_changes(&mut labels, &[LabelChange::set("c", "3"), LabelChange::remove("a"), LabelChange::remove("x")])
        .unwrap();
    assert_eq!(labels, BTreeMap::from([("b".into(), "2".into()), ("c".into(), "3".into())]));
    let before = labels.clone();
    let long = "v".repeat(MAX_LABEL_BYTES);
    let refused = apply_label_changes(&mut labels, &[LabelChange::set("b", "9"), LabelChange::set("k", long)]);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::LimitExceeded);
    assert_eq!(apply_label_changes(&mut labels, &[LabelChange::set("", "")]).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(labels, before);
}

#[test]
fn compressions_have_buildkits_names() {
    for name in ["uncompressed", "gzip", "estargz", "zstd"] {
        assert_eq!(name.parse::<Compression>().unwrap().name(), name);
    }
    assert_eq!("lzma".parse::<Compression>().unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(CompressionConfig::default(), CompressionConfig::gzip());
}

#[test]
fn indented_json_is_gos() {
    let value: BTreeMap<&str, Vec<u8>> = [("empty", vec![]), ("two", vec![1, 2])].into();
    let text = String::from_utf8(json::to_vec_indented(&value).unwrap()).unwrap();
    assert_eq!(text, "{\n  \"empty\": [],\n  \"two\": [\n    1,\n    2\n  ]\n}");
    let odd: HashMap<Vec<u8>, u8> = [(vec![1], 1)].into();
    assert_eq!(json::to_vec(&odd).unwrap_err().kind(), ErrorKind::Invalid);
}
