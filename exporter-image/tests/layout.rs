//! Images in layout directories are laid out as BuildKit lays them out.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_core::ports::Pool;
use cache_core::{ErrorKind, ThreadPool};
use exporter_image::output::{OutputOptions, write_layout};
use exporter_image::source::{ImageSource, LoadOptions};
use exporter_image::{ComposeOptions, ComposedImage, ImageName, Result, compose_image};
use pollster::block_on;
use support::{Blobs, SCRATCH_CONFIG, TWO_CONFIG, epoch, fixture, plain_layers};

fn two() -> ComposedImage {
    let options = ComposeOptions::default().with_config(TWO_CONFIG).with_epoch(epoch());
    compose_image(&plain_layers(), &options).unwrap()
}

fn scratch() -> ComposedImage {
    compose_image(&[], &ComposeOptions::default().with_config(SCRATCH_CONFIG)).unwrap()
}

fn write(directory: &Path, image: &ComposedImage, blobs: &Blobs, names: &[&str]) -> Result<()> {
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let names: Vec<ImageName> = names.iter().map(|name| name.parse().unwrap()).collect();
    block_on(async {
        let layout = OciLayout::create(directory, pool, LayoutOptions::default()).await?;
        write_layout(&layout, image, blobs, &OutputOptions::new(epoch()).with_names(names)).await.map(drop)
    })
}

/// Every file under a directory.
fn tree(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().display().to_string();
                files.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_directory_holds_the_bytes_that_buildkit_writes() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &two(), &Blobs::of_fixture("two.noname.tar"), &[]).unwrap();
    let (ours, golden) = (tree(directory.path()), tree(&fixture("dir1")));
    assert_eq!(ours.keys().collect::<Vec<_>>(), golden.keys().collect::<Vec<_>>());
    assert!(ours == golden);
}

#[test]
fn names_are_added_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::of_fixture("two.noname.tar");
    write(directory.path(), &two(), &blobs, &["a/b:1", "a/b:2"]).unwrap();
    write(directory.path(), &scratch(), &blobs, &["a/b:2", "c"]).unwrap();
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    for (tag, digest) in [
        ("1", two().digest()),
        ("2", scratch().digest()),
        ("docker.io/a/b:1", two().digest()),
        ("a/b:2", scratch().digest()),
        ("c", scratch().digest()),
        (&two().digest().to_string(), two().digest()),
    ] {
        let source = ImageSource::Layout { directory: directory.path().to_owned(), tag: Some(tag.to_owned()) };
        let image = block_on(source.open(&pool, &LoadOptions::default())).unwrap();
        assert_eq!(image.manifest.descriptor.digest, digest, "{tag}");
    }
}

#[test]
fn a_failed_export_is_not_listed() {
    let directory = tempfile::tempdir().unwrap();
    let error = write(directory.path(), &two(), &Blobs::default(), &["a"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!directory.path().join("index.json").exists());
}
