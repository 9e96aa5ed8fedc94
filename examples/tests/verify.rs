//! `verify`: blobs made again by their recipes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};

use cache_blobs::codec::Codecs;
use cache_blobs::embedded::{Embedded, EmbeddedOptions};
use cache_blobs::tar::{Header, Writer};
use cache_core::annotation::RECIPE;
use cache_core::ports::Manager;
use cache_core::{Digest, LabelChange};
use pollster::block_on;
use serde_json::Value;
use support::building::{assert_prunes_to_nothing, assert_undamaged, blob, option};
use support::{layercache, run_json};
use tempfile::tempdir;

fn tar(work: &Path) -> PathBuf {
    let mut layer = Writer::new(Vec::new());
    let content: Vec<u8> = (0..100_000_u32).flat_map(|at| (at / 3 % 1000).to_le_bytes()).collect();
    layer.append(&Header::file("file", content.len() as u64), &content[..]).unwrap();
    let file = work.join("layer.tar");
    std::fs::write(&file, layer.finish().unwrap()).unwrap();
    file
}

fn convert(store: &Path, blob: &Path, compression: &str) -> String {
    let compression = format!("--compression={compression}");
    let arguments =
        ["convert".into(), "--json".into(), option("store", store), option("blob", blob), compression.into()];
    run_json(arguments)["digest"].as_str().unwrap().to_owned()
}

fn verify(store: &Path, digest: &str) -> Value {
    run_json(["verify".into(), "--json".into(), option("store", store), format!("--blob={digest}").into()])
}

#[test]
fn blobs_of_every_codec_are_the_same_made_again() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    let tar = tar(work.path());
    let mut last = tar.clone();
    for compression in ["gzip", "zstd", "estargz"] {
        let digest = convert(&store, &tar, compression);
        let found = verify(&store, &digest);
        assert_eq!(found["same"], true, "{compression}: {found}");
        assert_eq!(found["recipe"]["codec"], compression);
        assert_eq!(found["digest"], digest.as_str());
        assert_eq!(found["size"].as_u64().unwrap(), blob(&store, &digest).metadata().unwrap().len());
        assert_eq!(
            found["derivedFrom"],
            Digest::of(std::fs::read(&tar).unwrap()).to_string(),
            "the plain tar is a variant"
        );
        last = blob(&store, &digest);
    }
    // Another store, which has no plain tar before it is made.
    let other = work.path().join("other");
    let digest = convert(&other, &last, "uncompressed");
    assert_eq!(verify(&other, &digest)["same"], true);
    assert_eq!(digest, Digest::of(std::fs::read(&tar).unwrap()).to_string(), "the tar without the table of contents");
    for store in [store, other] {
        assert_undamaged(&store);
        assert_prunes_to_nothing(&store);
    }
}

#[test]
fn a_blob_whose_recipe_names_another_level_is_not_the_same() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    let digest = convert(&store, &tar(work.path()), "gzip");
    let named: Digest = digest.parse().unwrap();
    let recipe = Codecs::default().named("gzip").unwrap().recipe(Some(1)).unwrap();
    let opened = block_on(Embedded::open(&store, EmbeddedOptions::default())).unwrap();
    let change = [LabelChange::Set(RECIPE.to_owned(), recipe.to_label())];
    block_on(opened.local.content.change_labels(&named, &change)).unwrap();
    drop(opened);
    let found = verify(&store, &digest);
    assert_eq!(found["same"], false);
    assert_eq!(found["recipe"]["level"], 1);
    assert_ne!(found["digest"], digest.as_str());
}

#[test]
fn a_blob_that_is_absent_or_has_no_recipe_is_an_error() {
    let work = tempdir().unwrap();
    let store = work.path().join("store");
    let tar = tar(work.path());
    convert(&store, &tar, "gzip");
    let foreign = Digest::of(std::fs::read(&tar).unwrap()).to_string();
    for digest in [foreign, Digest::of(b"absent").to_string()] {
        let arguments = ["verify".into(), option("store", &store), format!("--blob={digest}").into()];
        assert_eq!(layercache(arguments).output().unwrap().status.code(), Some(1), "{digest}");
    }
    let arguments = ["verify".into(), option("store", &store), "--blob=x".into()];
    assert_eq!(layercache(arguments).output().unwrap().status.code(), Some(2));
}
