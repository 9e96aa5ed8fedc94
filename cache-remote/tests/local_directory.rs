//! The caches that BuildKit wrote are read from their directories, and written again byte for byte.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unused_must_use)]
#![cfg(unix)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_core::{ErrorKind, ThreadPool};
use cache_remote::{
    CacheChains, CacheLayout, ExportOptions, ExportOutcome, ImportOptions, ImportedCache, ParseMode, export_to_layout,
    import_from_layout,
};
use pollster::block_on;
use support::{key, result};

fn fixtures() -> Vec<(String, PathBuf)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/buildkit-0.32.2");
    let entries = std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path());
    let caches = entries.filter(|path| path.is_dir());
    let mut caches: Vec<_> =
        caches.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path)).collect();
    caches.sort();
    assert_eq!(caches.len(), 10);
    caches
}

fn layout(path: &Path) -> OciLayout {
    let options = LayoutOptions::default();
    block_on(OciLayout::open(path, Arc::new(ThreadPool::new()), options)).unwrap().unwrap()
}

fn new_layout(path: &Path) -> OciLayout {
    block_on(OciLayout::create(path, Arc::new(ThreadPool::new()), LayoutOptions::default())).unwrap()
}

fn import(layout: &OciLayout, name: &str) -> Option<ImportedCache> {
    let options = ImportOptions::default().with_mode(ParseMode::Strict);
    block_on(import_from_layout(layout, name, &options)).unwrap()
}

fn export(chains: &CacheChains, layout: &OciLayout, tag: &str, options: &ExportOptions) -> ExportOutcome {
    block_on(export_to_layout(chains, layout, tag, options)).unwrap()
}

fn files(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut queue = vec![path.to_owned()];
    while let Some(directory) = queue.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                queue.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(path).unwrap().to_owned();
                found.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

fn layout_of(name: &str) -> CacheLayout {
    match name.rsplit('-').next() {
        Some("image") => CacheLayout::ImageManifest,
        Some("index") => CacheLayout::Index,
        Some("docker") => CacheLayout::DockerList,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_cache_of_buildkit_is_read() {
    for (name, path) in fixtures() {
        let imported = import(&layout(&path), "latest").unwrap();
        assert_eq!(imported.manifest().layout, layout_of(&name), "{name}");
        assert_eq!(imported.warnings(), [], "{name}");
        assert_eq!(imported.config().records.len(), 14, "{name}");
        assert!(imported.keys_in_config().iter().all(Option::is_some), "{name}");
        // The longest chain is that of the last step: all seven layers.
        let keys = imported.keys_in_config();
        let longest = keys.iter().flatten().flat_map(|key| imported.results_of(key)).map(|it| it.remote.layers().len());
        assert_eq!(longest.max(), Some(7), "{name}");
    }
}

#[test]
fn a_copy_in_the_same_layout_is_the_same_directory() {
    for (name, path) in fixtures() {
        let imported = import(&layout(&path), "latest").unwrap();
        let copy = tempfile::tempdir().unwrap();
        let options = ExportOptions::default().with_layout(layout_of(&name));
        let outcome = export(imported.chains(), &new_layout(copy.path()), "latest", &options);
        assert!(matches!(outcome, ExportOutcome::Exported(exported) if exported.warnings.is_empty()));
        let (ours, theirs) = (files(copy.path()), files(&path));
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{name}");
        assert!(ours == theirs, "{name}");
    }
}

#[test]
fn the_layouts_are_copied_into_each_other() {
    let fixtures: BTreeMap<_, _> = fixtures().into_iter().collect();
    for mode in ["min", "max"] {
        for from in ["image", "index", "docker"] {
            for to in ["image", "index", "docker"] {
                let [from, to] = [from, to].map(|layout| format!("cache-gzip-{mode}-{layout}"));
                let imported = import(&layout(&fixtures[&from]), "latest").unwrap();
                let copy = tempfile::tempdir().unwrap();
                let options = ExportOptions::default().with_layout(layout_of(&to));
                export(imported.chains(), &new_layout(copy.path()), "latest", &options);
                // All six are of one build, so the copy is what BuildKit wrote in that layout.
                assert!(files(copy.path()) == files(&fixtures[&to]), "{from} to {to}");
            }
        }
    }
}

#[test]
fn tags_are_kept_apart_and_replaced_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let layout = new_layout(dir.path());
    let chains = |blob: &str| {
        let mut chains = CacheChains::new();
        chains.add(key(blob), &[], &[result(1, &[blob])]).unwrap();
        chains
    };
    let options = ExportOptions::default();
    export(&chains("one"), &layout, "a", &options);
    export(&chains("two"), &layout, "b", &options);
    let first = import(&layout, "a").unwrap();
    export(&chains("three"), &layout, "a", &options);
    let blob = |cache: &ImportedCache| cache.config().layers[0].blob.get().unwrap();
    assert_ne!(blob(&import(&layout, "a").unwrap()), blob(&first));
    assert_eq!(blob(&import(&layout, "b").unwrap()), cache_core::Digest::of("two"));
    assert!(import(&layout, "latest").is_none());
    // The digest finds what no tag stands for any more.
    let by_digest = import(&layout, &first.descriptor().digest.to_string()).unwrap();
    assert_eq!(by_digest.config(), first.config());
    assert_eq!(block_on(layout.index()).unwrap().manifests.len(), 2);
}

#[test]
fn an_empty_cache_leaves_the_directory_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let layout = new_layout(dir.path());
    let before = files(dir.path());
    assert_eq!(export(&CacheChains::new(), &layout, "latest", &ExportOptions::default()), ExportOutcome::Empty);
    assert_eq!(files(dir.path()), before);
}

#[test]
fn an_empty_tag_is_invalid_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let layout = new_layout(dir.path());
    let mut chains = CacheChains::new();
    chains.add(key("step"), &[], &[result(1, &["blob"])]).unwrap();
    let error = block_on(export_to_layout(&chains, &layout, "", &ExportOptions::default())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(files(dir.path()).len(), 1);
}

#[test]
fn exports_at_the_same_time_leave_every_tag_and_every_blob() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..6 {
            let path = dir.path();
            scope.spawn(move || {
                let layout = new_layout(path);
                let mut chains = CacheChains::new();
                let own = writer.to_string();
                chains.add(key("step"), &[], &[result(1, &["common", "shared", &own])]).unwrap();
                export(&chains, &layout, &own, &ExportOptions::default());
            });
        }
    });
    let layout = layout(dir.path());
    for writer in 0..6 {
        let imported = import(&layout, &writer.to_string()).unwrap();
        // Copying it reads and verifies every blob.
        let copy = tempfile::tempdir().unwrap();
        export(imported.chains(), &new_layout(copy.path()), "copy", &ExportOptions::default());
    }
    assert_eq!(files(dir.path()).keys().filter(|name| !name.starts_with("blobs")).count(), 2);
}

#[test]
fn a_blob_that_was_changed_in_the_directory_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let source = new_layout(dir.path());
    let mut chains = CacheChains::new();
    chains.add(key("step"), &[], &[result(1, &["blob"])]).unwrap();
    export(&chains, &source, "latest", &ExportOptions::default());
    let path = dir.path().join("blobs/sha256").join(cache_core::Digest::of("blob").hex());
    for content in ["BLOB", "blo", "blobs"] {
        std::fs::write(&path, content).unwrap();
        let imported = import(&source, "latest").unwrap();
        let copy = tempfile::tempdir().unwrap();
        let outcome =
            block_on(export_to_layout(imported.chains(), &new_layout(copy.path()), "copy", &ExportOptions::default()));
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Corrupt, "{content}");
        assert!(!copy.path().join("index.json").exists(), "{content}");
    }
}
