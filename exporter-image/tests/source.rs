//! Images are found in layouts and archives, and checked.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use cache_blobs::tar::Header;
use cache_core::ports::Pool;
use cache_core::{Descriptor, Digest, ErrorKind, MediaType, Platform, ThreadPool};
use exporter_image::source::{ImageSource, LoadOptions, SourceImage, load_image};
use exporter_image::{DocumentProblem, Error, JsonError, JsonLimits, Result};
use pollster::block_on;
use support::{Blobs, archive_of, digest, fixture};

fn open(source: &str) -> Result<SourceImage> {
    open_for(source, &LoadOptions::default())
}

fn open_for(source: &str, options: &LoadOptions) -> Result<SourceImage> {
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    block_on(source.parse::<ImageSource>().unwrap().open(&pool, options))
}

fn golden(kind: &str, name: &str) -> String {
    format!("{kind}:{}", fixture(name).display())
}

fn amd64() -> LoadOptions {
    LoadOptions::default().with_platform(Platform::new("linux", "amd64", ""))
}

fn for_platform(text: &str) -> LoadOptions {
    LoadOptions::default().with_platform(text.parse().unwrap())
}

#[test]
fn sources_are_written_as_type_path_and_name() {
    let path = PathBuf::from;
    let name = |text: &str| Some(text.to_owned());
    for (text, source) in [
        ("oci:dir", ImageSource::Layout { directory: path("dir"), tag: None }),
        ("oci:/a/b:v1", ImageSource::Layout { directory: path("/a/b"), tag: name("v1") }),
        ("oci-archive:f.tar:h:5000/x:1", ImageSource::OciArchive { file: path("f.tar"), tag: name("h:5000/x:1") }),
        ("docker-archive:f.tar:a/b:1", ImageSource::DockerArchive { file: path("f.tar"), name: name("a/b:1") }),
    ] {
        assert_eq!(text.parse::<ImageSource>().unwrap(), source);
    }
    for text in ["", "oci", "oci:", "oci:dir:", "oci-archive::x", "dir:x", "OCI:x", "registry:x/y"] {
        assert_eq!(text.parse::<ImageSource>().unwrap_err().kind(), ErrorKind::Invalid, "{text}");
    }
}

#[test]
fn the_same_image_is_read_from_a_directory_and_from_both_archives() {
    for source in [
        golden("oci", "dir1"),
        golden("oci", "dir1") + ":latest",
        golden("oci-archive", "two.noname.tar"),
        golden("oci-archive", "two.docker.tar"),
        golden("oci-archive", "two.docker.tar") + ":tag1",
        golden("oci-archive", "two.docker.tar") + ":other.io/x/y",
        golden("docker-archive", "two.docker.tar"),
        golden("docker-archive", "two.docker.tar") + ":org/repo:tag1",
        golden("docker-archive", "two.docker.tar") + ":other.io/x/y:latest",
    ] {
        let image = open(&source).unwrap();
        let manifest = digest("0e50846a798d060a3f26a6e49051795479427a815e252a1a826ec0281e365dd6");
        assert_eq!(image.manifest.descriptor.digest, manifest, "{source}");
        assert_eq!(image.manifest.descriptor.media_type, MediaType::OCI_MANIFEST);
        assert_eq!(
            image.config.descriptor.digest.hex(),
            "4937aeedb1df0aa52be7962766c74e523b84566db77d531a6a1e549c0997cf87"
        );
        assert_eq!(image.image_config.config.env[1], "X=1");
        assert_eq!(image.platforms, [Platform::new("linux", "amd64", "")]);
        assert_eq!(image.layers.len(), 2);
        for layer in &image.layers {
            assert_eq!(layer.descriptor.digest, layer.diff_id);
            assert_eq!(read(&image, &layer.descriptor).len() as u64, layer.descriptor.size);
            assert_eq!(Digest::of(read(&image, &layer.descriptor)), layer.diff_id);
        }
    }
}

fn read(image: &SourceImage, descriptor: &Descriptor) -> Vec<u8> {
    use futures::TryStreamExt;
    block_on(async {
        let reader = image.provider.open(descriptor).await.unwrap().unwrap();
        let chunks: Vec<Bytes> = reader.read(0..descriptor.size).await.unwrap().try_collect().await.unwrap();
        chunks.concat()
    })
}

#[test]
fn an_archive_is_read_in_ranges() {
    use futures::TryStreamExt;
    let image = open(&golden("oci-archive", "two.oci.tar")).unwrap();
    let layer = &image.layers[0].descriptor;
    let whole = read(&image, layer);
    block_on(async {
        let reader = image.provider.open(layer).await.unwrap().unwrap();
        for range in [0..0, 5..9, 600..2560, 2000..9999, 9999..10000, 100..u64::MAX] {
            let chunks: Vec<Bytes> = reader.read(range.clone()).await.unwrap().try_collect().await.unwrap();
            let index = |offset: u64| (offset as usize).min(whole.len());
            assert_eq!(chunks.concat(), whole[index(range.start)..index(range.end)]);
        }
    });
}

#[test]
fn an_image_without_layers_is_read() {
    let image = open(&golden("oci-archive", "scratch.oci.tar")).unwrap();
    assert!(image.layers.is_empty());
    assert_eq!(image.image_config.config.labels["foo"], "bar");
}

#[test]
fn a_platform_is_chosen_from_an_index() {
    let source = golden("oci-archive", "multi.oci.tar");
    for (platform, manifest) in [
        ("linux/amd64", "5f3055bdc49c09ab4c196ffe1764d0493ea8265a92136c6bae1a0f2f214652ac"),
        ("linux/amd64/v3", "5f3055bdc49c09ab4c196ffe1764d0493ea8265a92136c6bae1a0f2f214652ac"),
        ("linux/arm64", "5b9a029d564dcfef33751729757a38c4f5f8705c4cbf7f16140bf9165c5bf2c1"),
        ("linux/arm64/v9", "5b9a029d564dcfef33751729757a38c4f5f8705c4cbf7f16140bf9165c5bf2c1"),
    ] {
        let image = open_for(&source, &for_platform(platform)).unwrap();
        assert_eq!(image.manifest.descriptor.digest, digest(manifest), "{platform}");
        let platforms: Vec<_> = image.platforms.iter().map(Platform::to_string).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    }
    for platform in ["windows/amd64", "linux/386", "linux/arm/v7"] {
        let error = open_for(&source, &for_platform(platform)).unwrap_err();
        assert!(matches!(error, Error::NoSuchImage { .. }) && error.kind() == ErrorKind::NotFound, "{platform}");
    }
}

#[test]
fn older_variants_run_on_newer_ones_and_the_newest_is_best() {
    let manifest = |variant: &str, hex: &str| {
        let mut descriptor = Descriptor::new(MediaType::OCI_MANIFEST, digest(&hex.repeat(64)), 9);
        descriptor.platform = Some(Platform::new("linux", "arm", variant));
        descriptor
    };
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [manifest("v5", "5"), manifest("v7", "7"), manifest("v6", "6")]});
    let mut blobs = Blobs::default();
    let root = blobs.add(MediaType::OCI_INDEX, index.to_string());
    for (platform, chosen) in
        [("linux/arm/v7", "7"), ("linux/arm64", "7"), ("linux/arm/v6", "6"), ("linux/arm/v5", "5")]
    {
        let error = block_on(load_image(Arc::new(blobs.clone()), &root, &for_platform(platform))).unwrap_err();
        // The manifests are not there; the error names the one that was chosen.
        assert!(
            matches!(&error, Error::Document { document, .. } if *document == digest(&chosen.repeat(64)).to_string())
        );
    }
}

#[test]
fn attestations_beside_an_image_are_not_taken_for_it() {
    let image = open(&golden("oci-archive", "attest.oci.tar")).unwrap();
    assert_eq!(
        image.manifest.descriptor.digest.hex(),
        "0e50846a798d060a3f26a6e49051795479427a815e252a1a826ec0281e365dd6"
    );
    assert_eq!(image.platforms, [Platform::new("linux", "amd64", "")]);
}

#[test]
fn an_attestation_is_no_image() {
    let blobs = Blobs::of_fixture("attest.oci.tar");
    let hex = "7442b98bf8d15748903385f9a9ae021726dece59b91c9d609ff9d7ced782ea05";
    let root = Descriptor::of(MediaType::OCI_MANIFEST, &blobs.0[&digest(hex)]);
    let error = block_on(load_image(Arc::new(blobs), &root, &amd64())).unwrap_err();
    assert!(matches!(error, Error::Document { problem: DocumentProblem::NotAnImage { .. }, .. }));
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn names_that_are_not_there_are_not_found_and_say_what_is() {
    for source in [
        golden("oci-archive", "two.docker.tar") + ":tag9",
        golden("docker-archive", "two.docker.tar") + ":org/repo:tag9",
    ] {
        match open(&source).unwrap_err() {
            Error::NoSuchImage { candidates, .. } => assert_eq!(candidates.len(), 2, "{source}"),
            other => panic!("{other:?}"),
        }
    }
    for source in ["oci:/nonexistent", "oci-archive:/nonexistent", "docker-archive:/nonexistent"] {
        assert_eq!(open(source).unwrap_err().kind(), ErrorKind::NotFound, "{source}");
    }
}

/// An image of hand-made documents.
struct Made {
    blobs: Blobs,
    config: String,
    layers: Vec<Descriptor>,
    manifest: String,
}

impl Made {
    fn new() -> Self {
        let mut blobs = Blobs::default();
        let layer = blobs.add(MediaType::OCI_LAYER, "layer");
        let config = format!(
            r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
            layer.digest
        );
        let manifest = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":CONFIG,"layers":LAYERS}"#;
        Self { blobs, config, layers: vec![layer], manifest: manifest.to_owned() }
    }

    fn load(mut self) -> Result<SourceImage> {
        let config = self.blobs.add(MediaType::OCI_CONFIG, self.config);
        let manifest = self
            .manifest
            .replace("CONFIG", &serde_json::to_string(&config).unwrap())
            .replace("LAYERS", &serde_json::to_string(&self.layers).unwrap());
        let root = self.blobs.add(MediaType::OCI_MANIFEST, manifest);
        block_on(load_image(Arc::new(self.blobs), &root, &amd64()))
    }

    fn problem(self) -> DocumentProblem {
        match self.load() {
            Err(Error::Document { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_hand_made_image_is_read() {
    let image = Made::new().load().unwrap();
    assert_eq!(image.layers.len(), 1);
}

#[test]
fn as_many_layers_as_diff_ids_are_needed() {
    let mut made = Made::new();
    made.layers.clear();
    assert!(matches!(made.problem(), DocumentProblem::LayerCount { layers: 0, diff_ids: 1 }));
    let mut made = Made::new();
    made.config = r#"{"os":"linux","architecture":"amd64"}"#.to_owned();
    assert!(matches!(made.problem(), DocumentProblem::LayerCount { layers: 1, diff_ids: 0 }));
}

#[test]
fn media_types_must_agree_with_each_other_and_with_the_document() {
    for wrong in
        ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.v2+json", "text/x"]
    {
        let mut made = Made::new();
        made.manifest = made.manifest.replace("application/vnd.oci.image.manifest.v1+json", wrong);
        assert!(matches!(made.problem(), DocumentProblem::MediaType { .. }), "{wrong}");
    }
    let mut made = Made::new();
    made.manifest = made.manifest.replace(r#""mediaType":"application/vnd.oci.image.manifest.v1+json","#, "");
    assert_eq!(made.load().unwrap().manifest.descriptor.media_type, MediaType::OCI_MANIFEST);
}

#[test]
fn documents_that_are_manifest_and_index_are_refused() {
    let mut made = Made::new();
    made.manifest = made.manifest.replace(r#""layers""#, r#""manifests":[],"layers""#);
    assert!(matches!(made.problem(), DocumentProblem::Ambiguous));
}

#[test]
fn hostile_documents_are_refused() {
    let refused = |config: &str| {
        let mut made = Made::new();
        made.config = config.to_owned();
        made.load().unwrap_err().kind()
    };
    assert_eq!(refused(&format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100))), ErrorKind::LimitExceeded);
    assert_eq!(refused("[]"), ErrorKind::Corrupt);
    assert_eq!(refused(r#"{"rootfs":{"diff_ids":["sha256:../../etc"]}}"#), ErrorKind::Corrupt);
    assert_eq!(refused(r#"{"rootfs":{"diff_ids":["x"]}}"#), ErrorKind::Corrupt);
    assert_eq!(refused(r#"{"os":"linux","os":"windows"}"#), ErrorKind::Corrupt);
    for size in ["-1", "1e1", "18446744073709551616", "2.0"] {
        let mut made = Made::new();
        made.manifest =
            made.manifest.replace("LAYERS", &format!(r#"[{{"digest":"{}","size":{size}}}]"#, Digest::of("x")));
        assert!(matches!(made.problem(), DocumentProblem::Json(JsonError::Shape(_))), "{size}");
    }
    for digest in ["sha256:", "sha256:zz", "md5:00", "../../etc/passwd", ""] {
        let mut made = Made::new();
        made.manifest = made.manifest.replace("LAYERS", &format!(r#"[{{"digest":"{digest}","size":1}}]"#));
        assert!(matches!(made.problem(), DocumentProblem::Json(JsonError::Shape(_))), "{digest}");
    }
}

#[test]
fn documents_are_limited_before_they_are_read() {
    let mut blobs = Blobs::default();
    let mut root = blobs.add(MediaType::OCI_MANIFEST, "{}");
    root.size = 1 << 40;
    let error = block_on(load_image(Arc::new(blobs.clone()), &root, &amd64())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let small = amd64().with_manifest_limits(JsonLimits::MANIFEST.with_bytes(1));
    root.size = 2;
    let error = block_on(load_image(Arc::new(blobs), &root, &small)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[test]
fn documents_of_other_bytes_or_another_size_are_corrupt() {
    let mut blobs = Blobs::default();
    let root = blobs.add(MediaType::OCI_MANIFEST, "{}");
    for bytes in ["[]", "{ }", ""] {
        blobs.0.insert(root.digest, Bytes::from_static(bytes.as_bytes()));
        let error = block_on(load_image(Arc::new(blobs.clone()), &root, &amd64())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    blobs.0.clear();
    let error = block_on(load_image(Arc::new(blobs), &root, &amd64())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn indexes_are_followed_only_so_deep() {
    let mut blobs = Blobs::default();
    let config = blobs.add(MediaType::OCI_CONFIG, r#"{"os":"linux","architecture":"amd64"}"#);
    let manifest = serde_json::json!({"schemaVersion": 2, "config": config});
    let mut root = blobs.add(MediaType::OCI_MANIFEST, manifest.to_string());
    for level in 0..8 {
        let loaded = block_on(load_image(Arc::new(blobs.clone()), &root, &LoadOptions::default()));
        assert_eq!(loaded.as_ref().err().map(Error::kind), (level > 4).then_some(ErrorKind::LimitExceeded), "{level}");
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [root]});
        root = blobs.add(MediaType::OCI_INDEX, index.to_string());
    }
}

fn file(directory: &tempfile::TempDir, bytes: &[u8]) -> String {
    let path = directory.path().join("image.tar");
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

#[test]
fn several_images_without_a_name_must_be_chosen_from() {
    let directory = tempfile::tempdir().unwrap();
    let entry = |tag: &str, hex: &str| {
        let descriptor = Descriptor::new(MediaType::OCI_MANIFEST, digest(&hex.repeat(64)), 9);
        descriptor.with_annotation("org.opencontainers.image.ref.name", tag)
    };
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [entry("a", "1"), entry("b", "2")]}).to_string();
    let version = br#"{"imageLayoutVersion":"1.0.0"}"#;
    let archive = archive_of(&[
        (Header::file("./index.json", index.len() as u64), index.as_bytes()),
        (Header::file("./oci-layout", version.len() as u64), version),
    ]);
    let source = format!("oci-archive:{}", file(&directory, &archive));
    let error = open(&source).unwrap_err();
    assert!(matches!(&error, Error::Choose { candidates, .. } if *candidates == ["a", "b"]));
    assert_eq!(error.kind(), ErrorKind::Invalid);
    // With a name the blob is looked for; it is not there.
    assert_eq!(open(&(source + ":a")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn damaged_archives_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let golden = std::fs::read(fixture("two.noname.tar")).unwrap();
    let kind = |bytes: &[u8]| open(&format!("oci-archive:{}", file(&directory, bytes))).unwrap_err().kind();
    assert_eq!(kind(&golden[..golden.len() / 2]), ErrorKind::Corrupt);
    assert_eq!(kind(b""), ErrorKind::NotFound);
    assert_eq!(kind(&[b'x'; 512]), ErrorKind::Corrupt);
    assert_eq!(kind(b"\x1f\x8b\x08\x00gzip"), ErrorKind::Unsupported);
    assert_eq!(kind(b"\x28\xb5\x2f\xfdzstd"), ErrorKind::Unsupported);
    let version = br#"{"imageLayoutVersion":"2.0.0"}"#;
    let other = archive_of(&[(Header::file("oci-layout", version.len() as u64), version)]);
    assert_eq!(kind(&other), ErrorKind::Unsupported);
    let twice = archive_of(&[(Header::file("x", 1), b"a"), (Header::file("./x", 1), b"b")]);
    assert_eq!(kind(&twice), ErrorKind::Corrupt);
    assert_eq!(open(&format!("oci-archive:{}", directory.path().display())).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_pipe_in_the_place_of_an_archive_does_not_block() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert_eq!(open(&format!("oci-archive:{}", path.display())).unwrap_err().kind(), ErrorKind::Invalid);
}
