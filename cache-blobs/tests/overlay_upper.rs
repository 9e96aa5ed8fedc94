//! An upper directory tells the same changes as the double walk of the mounted overlay.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use cache_blobs::changes::{
    Change, Error, MemoryTree, Overlay, OverlayFeature, Tree, double_walk, lookup, overlay_upper,
};
use cache_blobs::tar::Header;
use support::{directory, file, lines, link, opaque, symlink, tree, whiteout};

fn changes(lowers: &[&MemoryTree], upper: &MemoryTree) -> Vec<String> {
    let lowers: Vec<Arc<dyn Tree>> = lowers.iter().map(|lower| Arc::new((*lower).clone()) as Arc<dyn Tree>).collect();
    let upper: Arc<dyn Tree> = Arc::new(upper.clone());
    let base = Overlay::new(lowers.clone());
    let found = lines(overlay_upper(&base, &upper).unwrap());
    let merged = Overlay::new([vec![upper], lowers].concat());
    let walked = lines(double_walk(Some(&base), &merged).unwrap());
    assert_eq!(found, walked, "the double walk disagrees");
    found
}

fn refused(upper: MemoryTree) -> OverlayFeature {
    let upper: Arc<dyn Tree> = Arc::new(upper);
    let base = Overlay::new(vec![Arc::new(tree(&[file("d/f", "x"), file("f", "x")]))]);
    let opened = |change: Result<Change, Error>| change?.entry.map(|entry| entry.file()).transpose();
    match overlay_upper(&base, &upper).unwrap().find_map(|change| opened(change).err()) {
        Some(Error::Unsupported { feature, .. }) => feature,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn added_modified_and_deleted_files_are_told_apart() {
    let lower = tree(&[directory("d"), file("d/old", "x"), file("d/same", "x"), file("gone", "x")]);
    let upper = tree(&[directory("d"), file("d/new", "y"), file("d/old", "longer"), whiteout("gone")]);
    assert_eq!(changes(&[&lower], &upper), ["A d/new", "M d/old", "D gone"]);
}

#[test]
fn a_copy_without_a_change_is_no_change() {
    let lower = tree(&[directory("d"), file("d/f", "x"), symlink("s", "t")]);
    assert!(changes(&[&lower], &lower).is_empty());
}

#[test]
fn a_whiteout_of_nothing_is_dropped() {
    let lower = tree(&[file("f", "x")]);
    assert!(
        changes(&[&lower], &tree(&[whiteout("never-was"), directory("f2"), whiteout("f2/x")])).contains(&"A f2".into())
    );
    assert_eq!(changes(&[&lower], &tree(&[file("f/g", ""), whiteout("f/h")])), ["M f", "A f/g"]);
}

#[test]
fn a_removed_tree_is_one_deletion() {
    let lower = tree(&[file("dir1/a/b", ""), file("dir1-before/f", "")]);
    assert_eq!(changes(&[&lower], &tree(&[whiteout("dir1"), whiteout("dir1-before")])), ["D dir1", "D dir1-before"]);
}

#[test]
fn an_opaque_directory_becomes_explicit_deletions() {
    let lower = tree(&[file("d/a", "x"), file("d/b/c", "x"), file("d/k", "x"), file("e", "x")]);
    let mut upper = tree(&[opaque("d"), file("d/k", "x"), file("d/n", "x"), file("f", "")]);
    assert_eq!(changes(&[&lower], &upper), ["D d/a", "D d/b", "A d/n", "A f"]);
    upper.insert(&Header::directory("d").with_xattr("user.overlay.opaque", "y").with_mode(0o700), b"").unwrap();
    assert_eq!(changes(&[&lower], &upper), ["M d", "D d/a", "D d/b", "A d/n", "A f"]);
}

#[test]
fn an_opaque_directory_over_nothing_or_over_a_file_is_all_new() {
    let lower = tree(&[file("f", "x")]);
    let upper = tree(&[opaque("d"), file("d/a", ""), opaque("f"), file("f/a", "")]);
    assert_eq!(changes(&[&lower], &upper), ["A d", "A d/a", "M f", "A f/a"]);
}

#[test]
fn a_file_takes_the_place_of_a_directory_and_back() {
    let lower = tree(&[file("a/b/c", ""), file("x", "")]);
    assert_eq!(changes(&[&lower], &tree(&[file("a", ""), file("x/y", "")])), ["M a", "M x", "A x/y"]);
}

#[test]
fn several_lowers_are_merged_with_their_whiteouts() {
    let bottom = tree(&[file("a", "x"), file("b", "x"), file("d/old", "x"), file("r/one", "x"), file("t/u", "x")]);
    let middle = tree(&[whiteout("a"), opaque("d"), file("d/new", "x"), file("r/two", "x"), file("t", "x")]);
    let upper = tree(&[
        file("a", "x"),
        whiteout("b"),
        whiteout("d/new"),
        whiteout("d/old"),
        whiteout("r/one"),
        whiteout("r/two"),
        whiteout("t"),
    ]);
    assert_eq!(changes(&[&middle, &bottom], &upper), ["A a", "D b", "D d/new", "D r/one", "D r/two", "D t"]);
}

#[test]
fn whiteouts_as_attributes_hide_files_of_a_lower() {
    let bottom = tree(&[file("d/gone", "x"), file("d/kept", "x")]);
    let marked = (Header::file("d/gone", 0).with_xattr("trusted.overlay.whiteout", ""), "");
    let middle = tree(&[(Header::directory("d").with_xattr("trusted.overlay.opaque", "x"), ""), marked]);
    let merged = Overlay::new(vec![Arc::new(middle), Arc::new(bottom)]);
    assert!(lookup(&merged, b"d/gone").unwrap().is_none());
    assert!(lookup(&merged, b"d/kept").unwrap().is_some());
}

#[test]
fn overlay_attributes_are_hidden_from_the_view() {
    let upper =
        tree(&[(Header::directory("d").with_xattr("trusted.overlay.origin", "o").with_xattr("user.a", "a"), "")]);
    let view = Overlay::new(vec![Arc::new(upper)]);
    let entry = lookup(&view, b"d").unwrap().unwrap();
    assert_eq!(entry.xattr_names().unwrap(), [b"user.a"]);
    assert_eq!(entry.xattr(b"trusted.overlay.origin").unwrap(), None);
}

#[test]
fn renamed_directories_and_metadata_only_copies_are_left_to_the_kernel() {
    for space in ["trusted", "user"] {
        let redirect = Header::directory("new").with_xattr(format!("{space}.overlay.redirect"), "/d");
        assert_eq!(refused(tree(&[(redirect, "")])), OverlayFeature::Redirect);
        let metacopy = Header::file("f", 0).with_xattr(format!("{space}.overlay.metacopy"), "");
        assert_eq!(refused(tree(&[(metacopy, "x")])), OverlayFeature::Metacopy);
    }
    let lower = tree(&[(Header::directory("d").with_xattr("trusted.overlay.redirect", "/x"), "")]);
    let upper: Arc<dyn Tree> = Arc::new(tree(&[file("d/f", "")]));
    let base = Overlay::new(vec![Arc::new(lower)]);
    assert!(overlay_upper(&base, &upper).unwrap().any(|change| matches!(change, Err(Error::Unsupported { .. }))));
}

#[test]
fn a_copy_with_a_new_name_is_reported_like_buildkit_does() {
    // `ln a b` copies a up; BuildKit sees only b, the double walk also the unchanged name a.
    let lower = tree(&[file("a", "x")]);
    let upper: Arc<dyn Tree> = Arc::new(tree(&[file("a", "x"), link("b", "a")]));
    let base = Overlay::new(vec![Arc::new(lower)]);
    assert_eq!(lines(overlay_upper(&base, &upper).unwrap()), ["A b"]);
    let merged = Overlay::new(vec![upper]);
    assert_eq!(lines(double_walk(Some(&base), &merged).unwrap()), ["U a", "A b"]);
}
