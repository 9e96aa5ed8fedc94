//! Configs, manifests, indexes and whole archives are the bytes that BuildKit wrote.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use cache_core::{Annotations, MediaTypeFamily, ThreadPool};
use exporter_image::config::{ConfigPatch, ImageConfig, patch_config};
use exporter_image::output::{ArchiveKind, OutputOptions, Unnamed, index_entries, write_archive};
use exporter_image::{
    ComposeOptions, ComposedImage, EmptyLists, ImageLayer, ImageName, Index, JsonLimits, compose_image,
};
use support::{Blobs, SCRATCH_CONFIG, TWO_CONFIG, blob, epoch, files, fixture, plain_layers, rewritten_layers};

fn two() -> ComposeOptions {
    ComposeOptions::default().with_config(TWO_CONFIG).with_epoch(epoch())
}

fn names(names: &[&str]) -> Vec<ImageName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

struct Case {
    fixture: &'static str,
    config: &'static str,
    manifest: &'static str,
    layers: Vec<ImageLayer>,
    options: ComposeOptions,
    kind: ArchiveKind,
    names: Vec<ImageName>,
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            fixture: "two.oci.tar",
            config: "6f528a310bab0290ee99fab5ad850e89951f956cdb6d0ba0afc16307bb330e27",
            manifest: "caf700bbad84e0d5fd02820a863dff6aa2c2873de5eaf3b630fae9b3685ac7c2",
            layers: rewritten_layers(),
            options: two(),
            kind: ArchiveKind::Oci,
            names: names(&["org/repo:tag1"]),
        },
        Case {
            fixture: "two.noname.tar",
            config: "4937aeedb1df0aa52be7962766c74e523b84566db77d531a6a1e549c0997cf87",
            manifest: "0e50846a798d060a3f26a6e49051795479427a815e252a1a826ec0281e365dd6",
            layers: plain_layers(),
            options: two(),
            kind: ArchiveKind::Oci,
            names: Vec::new(),
        },
        Case {
            fixture: "two.docker.tar",
            config: "4937aeedb1df0aa52be7962766c74e523b84566db77d531a6a1e549c0997cf87",
            manifest: "0e50846a798d060a3f26a6e49051795479427a815e252a1a826ec0281e365dd6",
            layers: plain_layers(),
            options: two(),
            kind: ArchiveKind::Docker,
            names: names(&["docker.io/org/repo:tag1", "other.io/x/y"]),
        },
        Case {
            fixture: "two.docker-legacy.tar",
            config: "4937aeedb1df0aa52be7962766c74e523b84566db77d531a6a1e549c0997cf87",
            manifest: "97ec3df9fddfc77abad0d89e6dc173e69886b7c8ccf8fbfb526e005dca660a97",
            layers: plain_layers(),
            options: two().with_family(MediaTypeFamily::Docker),
            kind: ArchiveKind::Docker,
            names: names(&["org/repo:tag1"]),
        },
        Case {
            fixture: "scratch.oci.tar",
            config: "19312b0e01f8291345d461f93716ea5dc6c2ed9d6274370ba829d4c5a1dfa0ba",
            manifest: "82685b9b330dca1201dfd317459e55b1694c71250de0aaf7d9eaeda4b509ad30",
            layers: Vec::new(),
            options: ComposeOptions::default().with_config(SCRATCH_CONFIG).with_epoch(epoch()),
            kind: ArchiveKind::Oci,
            names: names(&["org/repo:tag1"]),
        },
        Case {
            fixture: "inline.oci.tar",
            config: "0e4ef2f6015caf94a1dd92848f71df3a59fea084fe22ab60eebb58c665578de3",
            manifest: "a3b62b9e9b74e44512b55348ddc9871b1f09f3a4adbf3bd4d53b89b126ef2128",
            layers: plain_layers(),
            options: two().with_inline_cache(inline_cache()),
            kind: ArchiveKind::Oci,
            names: Vec::new(),
        },
    ]
}

fn inline_cache() -> Vec<u8> {
    br#"[{"layers":[{"layer":1,"createdAt":"2026-11-20T13:54:16.535575689Z"}],"digest":"sha256:6cd536d720c175debdaa132859d60e7bb974a1d59e73c1ff0b521b142a125842","inputs":[[{"link":1}],[{"link":2}]]},{"layers":[{"layer":0,"createdAt":"2026-11-20T13:54:16.522976991Z"}],"digest":"sha256:738d4f9760dd5cf80cfa032e486acd456fada41be63270253151d0a0fc8c3d45","inputs":[[{"link":3}]]},{"digest":"sha256:881d55faa292605d89a0cb35e432c4aad1ac40575e6bb0767a24cfb8d59157d3"},{"digest":"sha256:c24a47b576469b52903dd7e5045a62fee5855b447dee1771d67b829458d2c08e"}]"#.to_vec()
}

impl Case {
    fn image(&self) -> ComposedImage {
        compose_image(&self.layers, &self.options).unwrap()
    }
}

#[test]
fn configs_are_those_that_buildkit_writes() {
    for case in cases() {
        let golden = blob(case.fixture, case.config);
        assert_eq!(
            String::from_utf8_lossy(&case.image().config.bytes),
            String::from_utf8_lossy(&golden),
            "{}",
            case.fixture
        );
    }
}

#[test]
fn manifests_are_those_that_buildkit_writes() {
    for case in cases() {
        let image = case.image();
        let golden = blob(case.fixture, case.manifest);
        assert_eq!(
            String::from_utf8_lossy(&image.manifest.bytes),
            String::from_utf8_lossy(&golden),
            "{}",
            case.fixture
        );
        assert_eq!(image.digest().hex(), case.manifest);
        assert_eq!(image.manifest.descriptor.platform.as_ref().unwrap().to_string(), "linux/amd64");
    }
}

#[test]
fn archives_are_those_that_buildkit_writes() {
    let pool = ThreadPool::new();
    for case in cases() {
        let options = OutputOptions::new(epoch()).with_names(case.names.clone());
        let blobs = Blobs::of_fixture(case.fixture);
        let written =
            pollster::block_on(write_archive(&pool, &case.image(), &blobs, case.kind, &options, Vec::new())).unwrap();
        for (name, golden) in files(case.fixture) {
            let ours =
                support::files_of(&written).remove(&name).unwrap_or_else(|| panic!("{name} of {}", case.fixture));
            assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&golden), "{name} of {}", case.fixture);
        }
        assert!(written == std::fs::read(fixture(case.fixture)).unwrap(), "{}", case.fixture);
    }
}

#[test]
fn configs_that_buildkit_wrote_come_out_of_patching_as_they_are() {
    for fixture in ["docker-gzip.tar", "multi.oci.tar", "multi-empty.oci.tar", "inline.oci.tar", "scratch.oci.tar"] {
        let configs: Vec<_> = files(fixture).into_values().filter(|bytes| bytes.starts_with(b"{\"arch")).collect();
        assert!(!configs.is_empty(), "{fixture}");
        for golden in configs {
            let parsed = ImageConfig::parse(&golden, JsonLimits::CONFIG).unwrap();
            let patch = ConfigPatch::new(parsed.rootfs.diff_ids, parsed.history);
            let patched = patch_config(&golden, &patch, JsonLimits::CONFIG).unwrap();
            assert_eq!(String::from_utf8_lossy(&patched), String::from_utf8_lossy(&golden), "{fixture}");
        }
    }
}

#[test]
fn the_index_of_a_directory_is_that_which_buildkit_writes() {
    let image = compose_image(&plain_layers(), &two()).unwrap();
    let entries = index_entries(&image, &[], epoch(), Unnamed::Latest);
    let index = Index::new(MediaTypeFamily::Oci, entries).to_compact_bytes(EmptyLists::Null).unwrap();
    let golden = std::fs::read(fixture("dir1/index.json")).unwrap();
    assert_eq!(String::from_utf8_lossy(&index), String::from_utf8_lossy(&golden));
}

#[test]
fn the_index_of_two_platforms_is_that_which_buildkit_writes() {
    let annotations = |key: &str, value: &str| Annotations::from([(key.to_owned(), value.to_owned())]);
    let amd64 = compose_image(&plain_layers(), &two().with_annotations(annotations("mk", "mv"))).unwrap();
    let config = TWO_CONFIG.replace("amd64", "arm64");
    let options = ComposeOptions::default().with_config(config).with_epoch(epoch());
    let options =
        options.with_annotations(annotations("mk", "mv")).with_descriptor_annotations(annotations("mdk", "mdv"));
    let arm64 = compose_image(&plain_layers(), &options).unwrap();

    let golden = |hex| blob("multi.oci.tar", hex);
    assert_eq!(amd64.manifest.bytes, golden("5f3055bdc49c09ab4c196ffe1764d0493ea8265a92136c6bae1a0f2f214652ac"));
    assert_eq!(arm64.manifest.bytes, golden("5b9a029d564dcfef33751729757a38c4f5f8705c4cbf7f16140bf9165c5bf2c1"));

    let mut index = Index::new(MediaTypeFamily::Oci, vec![amd64.manifest.descriptor, arm64.manifest.descriptor]);
    index.annotations = annotations("ik", "iv");
    let bytes = index.to_bytes(EmptyLists::Null).unwrap();
    let golden = golden("81d3b0888e10424b4e92b569c2d0e4939b736bd7be3496d591e47d282f1348f6");
    assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&golden));
}
