//! The configs that BuildKit wrote are read and written again byte for byte.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use cache_core::ports::{BlobReader, Provider};
use cache_core::{Descriptor, MediaType};
use cache_remote::config::{CacheConfig, ConfigDocument, ConfigLimits};
use cache_remote::{DescriptorPlace, ParseMode, layer_table, parse};
use serde::Deserialize;

/// No test here reads a blob.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Provider for Nothing {
    async fn open(&self, _: &Descriptor) -> cache_core::Result<Option<Box<dyn BlobReader>>> {
        Ok(None)
    }
}

#[derive(Deserialize)]
struct Document {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

fn caches() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/buildkit-0.32.2");
    let entries = std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path());
    let mut caches: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    caches.sort();
    assert_eq!(caches.len(), 10);
    caches
}

fn blob(cache: &Path, descriptor: &Descriptor) -> Vec<u8> {
    std::fs::read(cache.join("blobs/sha256").join(descriptor.digest.hex())).unwrap()
}

/// The config's bytes and the layers' descriptors.
fn load(cache: &Path) -> (Vec<u8>, Vec<Descriptor>) {
    let index: Document = serde_json::from_slice(&std::fs::read(cache.join("index.json")).unwrap()).unwrap();
    let document: Document = serde_json::from_slice(&blob(cache, &index.manifests[0])).unwrap();
    let (configs, mut layers): (Vec<_>, Vec<_>) =
        document.manifests.into_iter().partition(|entry| entry.media_type == MediaType::BUILDKIT_CACHE_CONFIG);
    layers.extend(document.layers);
    (blob(cache, &configs.into_iter().chain(document.config).next().unwrap()), layers)
}

fn config(bytes: &[u8]) -> CacheConfig {
    match ConfigDocument::from_json(bytes, &ConfigLimits::default()).unwrap() {
        ConfigDocument::Current(config) => config,
        ConfigDocument::Legacy(legacy) => panic!("legacy: {legacy:?}"),
    }
}

#[test]
fn every_config_is_emitted_again_from_the_model() {
    for cache in caches() {
        let (bytes, _) = load(&cache);
        assert_eq!(config(&bytes).to_json().unwrap(), bytes, "{}", cache.display());
    }
}

#[test]
fn every_config_survives_the_builder() {
    for cache in caches() {
        let (bytes, layers) = load(&cache);
        let provider: Arc<dyn Provider> = Arc::new(Nothing);
        let (table, warnings) = layer_table(&layers, &provider);
        assert_eq!(warnings, []);
        let config = config(&bytes);
        let parsed = parse(&config, &table, ParseMode::Strict, &ConfigLimits::default()).unwrap();
        assert_eq!(parsed.warnings, []);
        assert!(parsed.records.iter().all(Option::is_some));
        let marshalled = parsed.chains.marshal(DescriptorPlace::Manifest, |_| true);
        assert_eq!(
            String::from_utf8(marshalled.config.to_json().unwrap()).unwrap(),
            String::from_utf8(bytes).unwrap(),
            "{}",
            cache.display()
        );
        let written: Vec<_> = marshalled.layers.iter().map(|layer| layer.layer.descriptor.digest).collect();
        assert_eq!(written, layers.iter().map(|layer| layer.digest).collect::<Vec<_>>());
    }
}

#[test]
fn the_order_in_which_records_come_does_not_matter() {
    for cache in caches() {
        let (bytes, layers) = load(&cache);
        let provider: Arc<dyn Provider> = Arc::new(Nothing);
        let (table, _) = layer_table(&layers, &provider);
        let mut turned = config(&bytes);
        // Everything the other way round: layers, records, and the links of every input.
        let (records, table_len) = (turned.records.len() as i64, turned.layers.len() as i64);
        turned.records.reverse();
        turned.layers.reverse();
        for layer in &mut turned.layers {
            layer.parent = if layer.parent < 0 { layer.parent } else { table_len - 1 - layer.parent };
        }
        for record in &mut turned.records {
            record.results.iter_mut().for_each(|result| result.layer = table_len - 1 - result.layer);
            for slot in &mut record.inputs {
                slot.reverse();
                slot.iter_mut().for_each(|link| link.link = records - 1 - link.link);
            }
        }
        let parsed = parse(&turned, &table, ParseMode::Strict, &ConfigLimits::default()).unwrap();
        let again = parsed.chains.marshal(DescriptorPlace::Manifest, |_| true).config.to_json().unwrap();
        assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(bytes).unwrap(), "{}", cache.display());
    }
}
