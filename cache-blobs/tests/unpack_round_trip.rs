//! Every golden layer turns the tree before into the tree after.
#![cfg(all(target_os = "linux", feature = "zstd"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache_blobs::apply::{ApplyOptions, OverlayXattrs, Resolution, Whiteouts, unpack};
use cache_blobs::changes::{
    Directory, DirectoryTree, FileKind, Identity, MemoryTree, Overlay, Tree, TreeEntry, double_walk,
};
use cache_blobs::content::Filled;
use cache_blobs::layer::{LayerOptions, XattrPolicy, write_layer};
use cache_blobs::tar::Reader;
use tempfile::tempdir;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn cases() -> Vec<String> {
    let folder = fixture("");
    let mut cases: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().into_string().unwrap().strip_suffix(".trees.tar.zst").map(str::to_owned)
        })
        .collect();
    cases.sort();
    assert_eq!(cases.len(), 19);
    cases
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layer-diffs").join(name)
}

fn unpacked(name: &str) -> Vec<u8> {
    zstd::stream::decode_all(File::open(fixture(name)).unwrap()).unwrap()
}

fn tree(archive: &[u8], directory: &str) -> MemoryTree {
    MemoryTree::from_archive(&mut Reader::new(archive), directory.as_bytes()).unwrap()
}

/// The whole tree as a layer with all attributes.
fn whole(tree: &dyn Tree) -> Vec<u8> {
    let options = LayerOptions::default().with_xattrs(XattrPolicy::All);
    write_layer(double_walk(None, tree).unwrap(), Vec::new(), options).unwrap().0
}

fn apply(layer: &[u8], root: &Path, options: &ApplyOptions) {
    unpack(layer, File::open(root).unwrap(), options).unwrap();
}

/// All that a layer can carry about a tree, one line for each file. Owners, capabilities and devices take privileges, so
/// whoever has none does not compare them.
fn describe(tree: &dyn Tree, privileged: bool) -> BTreeMap<String, String> {
    let mut groups = HashMap::new();
    let mut found = BTreeMap::new();
    describe_in(&tree.root().unwrap(), "", privileged, &mut groups, &mut found);
    found
}

fn describe_in(
    directory: &Arc<dyn Directory>,
    above: &str,
    privileged: bool,
    groups: &mut HashMap<Identity, String>,
    found: &mut BTreeMap<String, String>,
) {
    let mut names = directory.names().unwrap();
    names.sort();
    for name in names {
        let metadata = directory.metadata(&name).unwrap().unwrap();
        let path = format!("{above}/{}", name.escape_ascii());
        if !privileged && matches!(metadata.kind, FileKind::CharDevice | FileKind::BlockDevice) {
            continue;
        }
        let entry = TreeEntry { directory: Arc::clone(directory), name, metadata: metadata.clone() };
        let content = match metadata.kind {
            FileKind::File if !privileged && metadata.mode & 0o400 == 0 => {
                format!("{} bytes", metadata.size)
            }
            FileKind::File => {
                let mut content = Vec::new();
                Filled::new(entry.content().unwrap()).read_to_end(&mut content).unwrap();
                format!(
                    "{} bytes {:x}",
                    content.len(),
                    content.iter().fold(7u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(*byte))
                )
            }
            FileKind::Symlink => entry.link_target().unwrap().escape_ascii().to_string(),
            _ => String::new(),
        };
        let first = groups.entry(metadata.identity).or_insert_with(|| path.clone()).clone();
        let owner = if privileged { (metadata.uid, metadata.gid) } else { (0, 0) };
        let capability = if privileged { entry.xattr(b"security.capability").unwrap() } else { None };
        let mode = if metadata.kind == FileKind::Symlink { 0 } else { metadata.mode };
        found.insert(
            path.clone(),
            format!(
                "{:?} {mode:o} {owner:?} {}:{} {} {content} {capability:?} {first}",
                metadata.kind, metadata.device_major, metadata.device_minor, metadata.modified.seconds
            ),
        );
        if metadata.is_directory() {
            describe_in(&entry.open().unwrap(), &path, privileged, groups, found);
        }
    }
}

/// What the case changed and no differ sees: a directory's time, and a copy that left its hard link group.
fn forgive(case: &str, lines: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if case != "20-noop-copyup" {
        return lines;
    }
    let shorter = |line: String| match line.starts_with("Directory") {
        true => String::new(),
        false => without_group(&line).to_owned(),
    };
    lines.into_iter().map(|(path, line)| (path, shorter(line))).collect()
}

fn without_group(line: &str) -> &str {
    line.rsplit_once(' ').unwrap().0
}

#[test]
fn a_whole_tree_survives_being_packed_and_unpacked() {
    for case in cases() {
        let after = tree(&unpacked(&format!("{case}.trees.tar.zst")), "after");
        let root = tempdir().unwrap();
        apply(&whole(&after), root.path(), &ApplyOptions::default());
        let found = describe(&DirectoryTree::open(root.path()).unwrap(), is_root());
        assert_eq!(found, describe(&after, is_root()), "{case}");
    }
}

#[test]
fn a_layer_turns_the_tree_before_into_the_tree_after() {
    for case in cases() {
        let trees = unpacked(&format!("{case}.trees.tar.zst"));
        let (before, after) = (tree(&trees, "before"), tree(&trees, "after"));
        for (differ, resolution) in [("walking", Resolution::Automatic), ("overlay", Resolution::Walk)] {
            let root = tempdir().unwrap();
            let options = ApplyOptions::default().with_resolution(resolution);
            apply(&whole(&before), root.path(), &options);
            apply(&unpacked(&format!("{case}.{differ}.tar.zst")), root.path(), &options);
            let found = describe(&DirectoryTree::open(root.path()).unwrap(), is_root());
            let wanted = describe(&after, is_root());
            assert_eq!(forgive(&case, found), forgive(&case, wanted), "{case} {differ}");
        }
    }
}

#[test]
fn a_layer_becomes_an_upper_directory_that_shows_the_tree_after() {
    for case in cases() {
        let trees = unpacked(&format!("{case}.trees.tar.zst"));
        let (before, after) = (tree(&trees, "before"), tree(&trees, "after"));
        let (lower, upper) = (tempdir().unwrap(), tempdir().unwrap());
        apply(&whole(&before), lower.path(), &ApplyOptions::default());
        let options = ApplyOptions::default().with_whiteouts(Whiteouts::Overlay(OverlayXattrs::User));
        apply(&unpacked(&format!("{case}.overlay.tar.zst")), upper.path(), &options);
        let view = Overlay::new(vec![
            Arc::new(DirectoryTree::open(upper.path()).unwrap()),
            Arc::new(DirectoryTree::open(lower.path()).unwrap()),
        ]);
        let found = describe(&view, is_root());
        // Names that stay below and names in the upper directory cannot be one group, so groups are not compared.
        let ungrouped = |lines: BTreeMap<String, String>| -> Vec<String> {
            forgive(&case, lines)
                .iter()
                .map(|(path, line)| format!("{path} {}", line.rsplit_once(' ').map_or("", |(line, _)| line)))
                .collect()
        };
        assert_eq!(ungrouped(found), ungrouped(describe(&after, is_root())), "{case}");
    }
}
