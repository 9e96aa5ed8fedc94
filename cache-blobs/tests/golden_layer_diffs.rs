//! Both differs write, byte for byte, what BuildKit and containerd wrote for the same trees.
#![cfg(feature = "zstd")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use cache_blobs::changes::{Change, Error, MemoryTree, Overlay, Tree, double_walk, overlay_upper};
use cache_blobs::layer::{LayerOptions, write_layer};
use cache_blobs::tar::Reader;
use sha2::{Digest, Sha256};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layer-diffs").join(name)
}

fn unpacked(name: &str) -> Vec<u8> {
    zstd::stream::decode_all(File::open(fixture(name)).unwrap()).unwrap()
}

fn tree(archive: &[u8], directory: &str) -> MemoryTree {
    MemoryTree::from_archive(&mut Reader::new(archive), directory.as_bytes()).unwrap()
}

fn pack(changes: impl Iterator<Item = Result<Change, Error>>) -> Vec<u8> {
    write_layer(changes, Vec::new(), LayerOptions::default()).unwrap().0
}

fn diff_id(archive: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(archive) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// The entries of an archive in a form that can be compared by eye.
fn listing(archive: &[u8]) -> Vec<String> {
    let mut reader = Reader::new(archive);
    let mut lines = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let header = entry.header();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        lines.push(format!(
            "{:?} {} -> {} {:o} {}:{} {} {:?} {:?}",
            header.kind,
            text(&header.path),
            text(&header.link),
            header.mode,
            header.uid,
            header.gid,
            header.size,
            header.modified,
            header.xattrs
        ));
    }
    lines
}

fn check(case: &str, differ: &str, ours: &[u8], diff_id_wanted: &str) {
    let theirs = unpacked(&format!("{case}.{differ}.tar.zst"));
    assert_eq!(diff_id(&theirs), diff_id_wanted, "{case} {differ}: the fixture itself");
    assert_eq!(listing(ours), listing(&theirs), "{case} {differ}: entries");
    assert!(ours == theirs, "{case} {differ}: same entries, other bytes");
}

/// Lowers, and the DiffID of each differ. `serde_json` would be a dependency for this one file.
fn expectations() -> BTreeMap<String, (Vec<String>, BTreeMap<String, String>)> {
    let text = fs::read_to_string(fixture("expected.json")).unwrap();
    let words: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
    let mut cases: BTreeMap<String, (Vec<String>, BTreeMap<String, String>)> = BTreeMap::new();
    let (mut case, mut differ, mut in_lowers) = (String::new(), String::new(), false);
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        match word {
            "lowers" => in_lowers = true,
            "upper" => {
                in_lowers = false;
                words.next();
            }
            "overlay" | "walking" => differ = word.to_owned(),
            "diffID" => {
                cases.get_mut(&case).unwrap().1.insert(differ.clone(), words.next().unwrap().to_owned());
            }
            "tar" => {
                words.next();
            }
            lower if in_lowers => cases.get_mut(&case).unwrap().0.push(lower.to_owned()),
            name => {
                name.clone_into(&mut case);
                cases.insert(case.clone(), Default::default());
            }
        }
    }
    cases
}

#[test]
fn every_case_has_both_archives() {
    let cases = expectations();
    assert_eq!(cases.len(), 19);
    assert!(cases.values().all(|(lowers, ids)| !lowers.is_empty() && ids.len() == 2));
}

#[test]
fn the_double_walk_writes_the_bytes_of_containerd() {
    for (case, (_, ids)) in expectations() {
        let trees = unpacked(&format!("{case}.trees.tar.zst"));
        let (before, after) = (tree(&trees, "before"), tree(&trees, "after"));
        let ours = pack(double_walk(Some(&before), &after).unwrap());
        check(&case, "walking", &ours, &ids["walking"]);
    }
}

#[test]
fn the_overlay_differ_writes_the_bytes_of_buildkit() {
    for (case, (lowers, ids)) in expectations() {
        let trees = unpacked(&format!("{case}.trees.tar.zst"));
        let lowers = lowers.iter().map(|lower| Arc::new(tree(&trees, lower)) as Arc<dyn Tree>).collect();
        let upper: Arc<dyn Tree> = Arc::new(tree(&trees, "u"));
        let ours = pack(overlay_upper(&Overlay::new(lowers), &upper).unwrap());
        check(&case, "overlay", &ours, &ids["overlay"]);
    }
}

#[test]
fn the_double_walk_of_a_merged_view_equals_that_of_the_whole_tree() {
    for (case, (lowers, ids)) in expectations() {
        let trees = unpacked(&format!("{case}.trees.tar.zst"));
        let mut layers: Vec<Arc<dyn Tree>> =
            lowers.iter().map(|lower| Arc::new(tree(&trees, lower)) as Arc<dyn Tree>).collect();
        let before = Overlay::new(layers.clone());
        layers.insert(0, Arc::new(tree(&trees, "u")));
        let after = Overlay::new(layers);
        let ours = pack(double_walk(Some(&before), &after).unwrap());
        assert_eq!(diff_id(&ours), ids["walking"], "{case}");
    }
}
