//! Caches are read from any fetcher; what is none, or lies, is an error of the right kind.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::ports::{BlobReader, Fetcher, Progress, ProgressEvent};
use cache_core::{Descriptor, Digest, ErrorKind, MediaType, annotation};
use cache_remote::config::ConfigLimits;
use cache_remote::{
    CacheError, CacheLayout, CacheWarning, ConfigSchema, Fault, ImportOptions, ImportedCache, KeyId, ParseMode,
    import_cache,
};
use pollster::block_on;
use support::Whole;

/// Blobs under whatever digest, and which of them were fetched.
#[derive(Debug, Default)]
struct Blobs {
    blobs: BTreeMap<Digest, Bytes>,
    fetched: Mutex<Vec<Digest>>,
}

#[async_trait]
impl Fetcher for Blobs {
    async fn fetch(&self, descriptor: &Descriptor) -> cache_core::Result<Option<Box<dyn BlobReader>>> {
        self.fetched.lock().unwrap().push(descriptor.digest);
        let found = self.blobs.get(&descriptor.digest);
        Ok(found.map(|content| Box::new(Whole(content.clone())) as Box<dyn BlobReader>))
    }
}

impl Blobs {
    fn put(&mut self, media_type: MediaType, content: impl AsRef<[u8]>) -> Descriptor {
        let content = content.as_ref();
        let descriptor = Descriptor::of(media_type, content);
        self.blobs.insert(descriptor.digest, Bytes::copy_from_slice(content));
        descriptor
    }
}

fn import(blobs: Blobs, root: &Descriptor, options: &ImportOptions) -> Result<ImportedCache, CacheError> {
    let fetcher: Arc<dyn Fetcher> = Arc::new(blobs);
    block_on(import_cache(&fetcher, root, options))
}

fn fails(blobs: Blobs, root: &Descriptor) -> CacheError {
    import(blobs, root, &ImportOptions::default()).unwrap_err()
}

fn json(descriptor: &Descriptor) -> String {
    serde_json::to_string(descriptor).unwrap()
}

fn layer(blobs: &mut Blobs, content: &str) -> Descriptor {
    blobs.put(MediaType::OCI_LAYER, content).with_annotation(annotation::UNCOMPRESSED, Digest::of(content).to_string())
}

/// A cache of one record with one layer, and its manifest.
fn sample() -> (Blobs, Descriptor) {
    let mut blobs = Blobs::default();
    let layer = layer(&mut blobs, "layer");
    let config = format!(
        r#"{{"layers":[{{"blob":"{}","parent":-1}}],"records":[{{"digest":"{}","layers":[{{"layer":0,"createdAt":"2026-01-02T03:04:05Z"}}]}}]}}"#,
        layer.digest,
        Digest::of("record")
    );
    let config = blobs.put(MediaType::BUILDKIT_CACHE_CONFIG, config);
    let root = manifest(&mut blobs, &config, &[layer]);
    (blobs, root)
}

fn manifest(blobs: &mut Blobs, config: &Descriptor, layers: &[Descriptor]) -> Descriptor {
    let layers: Vec<_> = layers.iter().map(json).collect();
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
        MediaType::OCI_MANIFEST,
        json(config),
        layers.join(",")
    );
    blobs.put(MediaType::OCI_MANIFEST, text)
}

#[test]
fn only_manifest_and_config_are_fetched() {
    let (blobs, root) = sample();
    let blobs = Arc::new(blobs);
    let fetcher: Arc<dyn Fetcher> = blobs.clone();
    let imported = block_on(import_cache(&fetcher, &root, &ImportOptions::default())).unwrap();
    let fetched = blobs.fetched.lock().unwrap().clone();
    assert_eq!(fetched, [root.digest, imported.manifest().config.digest]);
    let key = imported.keys_in_config()[0].unwrap();
    assert_eq!(key, KeyId::new(Digest::of("record")));
    let results = imported.results_of(&key);
    assert_eq!(results[0].remote.layers()[0].layer.diff_id, Digest::of("layer"));
}

#[test]
fn inline_data_of_a_descriptor_spares_a_fetch_if_it_is_the_blob() {
    let (blobs, mut root) = sample();
    root.data = Some(blobs.blobs[&root.digest].to_vec());
    let blobs = Arc::new(blobs);
    let fetcher: Arc<dyn Fetcher> = blobs.clone();
    block_on(import_cache(&fetcher, &root, &ImportOptions::default())).unwrap();
    assert_eq!(blobs.fetched.lock().unwrap().len(), 1);
    root.data = Some(b"something else".to_vec());
    block_on(import_cache(&fetcher, &root, &ImportOptions::default())).unwrap();
    assert_eq!(blobs.fetched.lock().unwrap().len(), 3);
}

#[test]
fn a_missing_manifest_and_a_missing_config_are_not_found() {
    for gone in 0..2 {
        let (mut blobs, root) = sample();
        let config = serde_json::from_slice::<serde_json::Value>(&blobs.blobs[&root.digest]).unwrap();
        let config: Digest = config["config"]["digest"].as_str().unwrap().parse().unwrap();
        let gone = [root.digest, config][gone];
        blobs.blobs.remove(&gone);
        let error = fails(blobs, &root);
        assert!(matches!(error, CacheError::MissingBlob(digest) if digest == gone));
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

#[test]
fn documents_that_are_not_what_their_descriptors_say_are_corrupt() {
    for change in ["wrong", "short", "long"] {
        for which in 0..2 {
            let (mut blobs, root) = sample();
            let config = serde_json::from_slice::<serde_json::Value>(&blobs.blobs[&root.digest]).unwrap();
            let digest = [root.digest, config["config"]["digest"].as_str().unwrap().parse().unwrap()][which];
            let mut content = blobs.blobs[&digest].to_vec();
            match change {
                "wrong" => content[3] ^= 1,
                "short" => drop(content.pop()),
                _ => content.push(b' '),
            }
            blobs.blobs.insert(digest, content.into());
            assert_eq!(fails(blobs, &root).kind(), ErrorKind::Corrupt, "{change} {which}");
        }
    }
}

#[test]
fn sizes_over_the_limit_are_refused_before_anything_is_read() {
    let (blobs, root) = sample();
    let options = ImportOptions::default().with_max_manifest_bytes(100);
    let error = import(blobs, &root, &options).unwrap_err();
    assert!(matches!(error, CacheError::Limit { limit: "max_manifest_bytes", most: 100 }));
    let (blobs, root) = sample();
    let options = ImportOptions::default().with_limits(ConfigLimits::default().with_max_bytes(10));
    assert_eq!(import(blobs, &root, &options).unwrap_err().kind(), ErrorKind::LimitExceeded);
    // A size without bytes behind it makes no room for them.
    let (blobs, mut root) = sample();
    root.size = u64::MAX;
    assert_eq!(fails(blobs, &root).kind(), ErrorKind::LimitExceeded);
}

#[test]
fn a_document_that_is_a_manifest_and_an_index_is_refused() {
    for extra in ["manifests", "MANIFESTS"] {
        let (mut blobs, root) = sample();
        let text = String::from_utf8(blobs.blobs[&root.digest].to_vec()).unwrap();
        let both = text.replacen("\"config\"", &format!("\"{extra}\":[],\"config\""), 1);
        let both = blobs.put(MediaType::OCI_MANIFEST, both);
        let error = fails(blobs, &both);
        assert!(matches!(error, CacheError::Ambiguous(digest) if digest == both.digest), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_document_must_be_what_it_and_its_descriptor_call_it() {
    let (mut blobs, root) = sample();
    let text = String::from_utf8(blobs.blobs[&root.digest].to_vec()).unwrap();
    let as_index = blobs.put(MediaType::OCI_MANIFEST, text.replace("image.manifest.v1", "image.index.v1"));
    assert!(matches!(fails(blobs, &as_index), CacheError::MediaTypeMismatch { .. }));

    let (blobs, root) = sample();
    let announced = Descriptor { media_type: MediaType::OCI_INDEX, ..root };
    assert!(matches!(fails(blobs, &announced), CacheError::MediaTypeMismatch { .. }));

    let (mut blobs, _) = sample();
    let foreign = blobs.put(MediaType::OCI_MANIFEST, text.replace("vnd.oci.image.manifest.v1", "vnd.something"));
    assert!(matches!(fails(blobs, &foreign), CacheError::MediaTypeMismatch { .. }));
}

#[test]
fn without_media_types_docker_ones_are_meant() {
    let (mut blobs, root) = sample();
    let text = String::from_utf8(blobs.blobs[&root.digest].to_vec()).unwrap();
    let media_type = format!("\"mediaType\":\"{}\",", MediaType::OCI_MANIFEST);
    let bare = blobs.put(MediaType::default(), text.replacen(&media_type, "", 1));
    assert!(import(blobs, &bare, &ImportOptions::default()).is_ok());

    let mut blobs = Blobs::default();
    let config = blobs.put(MediaType::BUILDKIT_CACHE_CONFIG, "{}");
    let list = blobs.put(MediaType::default(), format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, json(&config)));
    let imported = import(blobs, &list, &ImportOptions::default()).unwrap();
    assert_eq!(imported.manifest().layout, CacheLayout::DockerList);
}

#[test]
fn what_has_no_cache_config_or_two_is_no_cache() {
    let mut blobs = Blobs::default();
    let image_config = blobs.put(MediaType::OCI_CONFIG, "{}");
    let image = manifest(&mut blobs, &image_config, &[]);
    assert!(matches!(fails(blobs, &image), CacheError::NoCacheConfig(_)));

    for count in [0, 2] {
        let mut blobs = Blobs::default();
        let config = json(&blobs.put(MediaType::BUILDKIT_CACHE_CONFIG, "{}"));
        let list = vec![config; count].join(",");
        let index = blobs.put(MediaType::OCI_INDEX, format!(r#"{{"manifests":[{list}]}}"#));
        let error = fails(blobs, &index);
        assert!(matches!(error, CacheError::NoCacheConfig(_)), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn what_is_no_manifest_is_corrupt() {
    for text in [
        "",
        "[]",
        "7",
        "{",
        r#"{"manifests":7}"#,
        r#"{"manifests":[{"digest":"sha256:xyz","size":1}]}"#,
        r#"{"manifests":[{"digest":"sha256:../../etc/passwd","size":1}]}"#,
        r#"{"config":{"size":-1}}"#,
        &"[".repeat(100_000),
    ] {
        let mut blobs = Blobs::default();
        let root = blobs.put(MediaType::default(), text);
        let error = fails(blobs, &root);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{:.40}: {error:?}", text);
    }
}

#[test]
fn layers_without_diff_id_are_left_out_with_a_warning() {
    let (mut blobs, root) = sample();
    let text = String::from_utf8(blobs.blobs[&root.digest].to_vec()).unwrap();
    let root = blobs.put(MediaType::OCI_MANIFEST, text.replace(annotation::UNCOMPRESSED, "something.else"));
    let imported = import(blobs, &root, &ImportOptions::default()).unwrap();
    let blob = Digest::of("layer");
    assert_eq!(imported.warnings(), [CacheWarning::NoDiffId { blob }, CacheWarning::ResultWithoutBlob { blob }]);
    assert_eq!(imported.results_of(&imported.keys_in_config()[0].unwrap()).len(), 0);
}

#[test]
fn an_unsound_config_is_read_as_far_as_it_goes_or_refused() {
    let mut blobs = Blobs::default();
    let text = format!(
        r#"{{"records":[{{"digest":"{}","inputs":[null]}},{{"digest":"{}"}}]}}"#,
        Digest::of("bad"),
        Digest::of("good")
    );
    let config = blobs.put(MediaType::BUILDKIT_CACHE_CONFIG, text);
    let root = manifest(&mut blobs, &config, &[]);
    let fetcher: Arc<dyn Fetcher> = Arc::new(blobs);
    let imported = block_on(import_cache(&fetcher, &root, &ImportOptions::default())).unwrap();
    assert_eq!(imported.keys_in_config(), [None, Some(KeyId::new(Digest::of("good")))]);
    let fault = Fault::EmptyInput { record: 0, input: 0 };
    assert_eq!(imported.warnings(), [CacheWarning::Dropped(fault.clone())]);
    let strict = ImportOptions::default().with_mode(ParseMode::Strict);
    let error = block_on(import_cache(&fetcher, &root, &strict)).unwrap_err();
    assert!(matches!(error, CacheError::Unsound(found) if found == fault));
}

#[derive(Debug, Default)]
struct Lines(Mutex<Vec<ProgressEvent>>);

impl Progress for Lines {
    fn event(&self, event: ProgressEvent) {
        self.0.lock().unwrap().push(event);
    }
}

#[test]
fn progress_names_the_cache_and_how_it_ended() {
    let lines = Arc::new(Lines::default());
    let options = ImportOptions::default().with_name("type=local,src=dir").with_progress(lines.clone());
    let (mut blobs, root) = sample();
    blobs.blobs.remove(&root.digest);
    import(blobs, &root, &options).unwrap_err();
    let id = "importing cache manifest from type=local,src=dir".to_owned();
    let finished = ProgressEvent::Finished { id: id.clone(), error: Some(ErrorKind::NotFound) };
    assert_eq!(*lines.0.lock().unwrap(), [ProgressEvent::Started { id, total: None }, finished]);
}

#[test]
fn a_cache_of_2017_is_imported_as_records_without_inputs() {
    let mut blobs = Blobs::default();
    let (base, top) = (blobs.put(MediaType::DOCKER_LAYER_GZIP, "base"), blobs.put(MediaType::DOCKER_LAYER_GZIP, "top"));
    let (key, other, content) = (Digest::of("key"), Digest::of("other"), Digest::of("content"));
    let (base_diff, top_diff) = (Digest::of("base diff"), Digest::of("top diff"));
    let item = |blob: &str, key: &str, content: &str, parent: &str, diff: &str| {
        format!(
            r#"{{"Blobsum":"{blob}","CacheKey":"{key}","ContentKey":"{content}","Parent":"{parent}","DiffID":"{diff}"}}"#
        )
    };
    let items = [
        item(&top.digest.to_string(), &key.to_string(), "", &base.digest.to_string(), &top_diff.to_string()),
        item("", &other.to_string(), &content.to_string(), "", ""),
        item(&base.digest.to_string(), "", "", "", &base_diff.to_string()),
    ];
    let config = blobs.put(MediaType::BUILDKIT_CACHE_CONFIG, format!(r#"{{"Items":[{}]}}"#, items.join(",")));
    let list = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{},{},{}]}}"#,
        MediaType::DOCKER_MANIFEST_LIST,
        json(&top),
        json(&base),
        json(&config)
    );
    let root = blobs.put(MediaType::DOCKER_MANIFEST_LIST, list);
    let imported = import(blobs, &root, &ImportOptions::default().with_mode(ParseMode::Strict)).unwrap();
    assert_eq!(*imported.schema(), ConfigSchema::Legacy { content_keys: BTreeMap::from([(content, vec![other])]) });
    let results = imported.results_of(&KeyId::new(key));
    assert_eq!(results[0].remote.chain().diff_ids(), [base_diff, top_diff]);
    assert_eq!(imported.results_of(&KeyId::new(other)).len(), 0);
}
