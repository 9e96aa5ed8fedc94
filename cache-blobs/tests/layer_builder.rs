//! A layer can be written from entries alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::io;

use cache_blobs::layer::{EntryProblem, Error, LayerBuilder};
use cache_blobs::tar::{Header, Kind, Reader, Timestamp};
use support::names;

fn problem(result: Result<(), Error>) -> EntryProblem {
    match result {
        Err(Error::Entry { problem, .. }) => problem,
        other => panic!("not refused: {other:?}"),
    }
}

fn builder() -> LayerBuilder<Vec<u8>> {
    LayerBuilder::new(Vec::new())
}

#[test]
fn parents_are_written_once_and_before_their_children() {
    let mut layer = builder();
    layer.add(&Header::file("/a/b/./c", 1), &b"x"[..]).unwrap();
    layer.add(&Header::file("a/b/d", 1), &b"y"[..]).unwrap();
    layer.whiteout("a/e/f").unwrap();
    layer.opaque("g").unwrap();
    assert_eq!(
        names(&layer.finish().unwrap()),
        ["a/", "a/b/", "a/b/c", "a/b/d", "a/e/", "a/e/.wh.f", "g/", "g/.wh..wh..opq"]
    );
}

#[test]
fn a_parent_may_be_described_after_its_children() {
    let mut layer = builder();
    layer.add(&Header::file("a/b", 0), io::empty()).unwrap();
    layer.add(&Header::directory("a").with_mode(0o700), io::empty()).unwrap();
    assert_eq!(problem(layer.add(&Header::directory("a"), io::empty())), EntryProblem::Duplicate);
    assert_eq!(names(&layer.finish().unwrap()), ["a/", "a/b", "a/"]);
}

#[test]
fn missing_parents_look_like_the_template() {
    let template = Header::directory("").with_mode(0o711).with_owner(5, 6).with_modified(Timestamp::from_seconds(7));
    let mut layer = builder().with_parents(template);
    layer.add(&Header::file("a/b", 0), io::empty()).unwrap();
    let archive = layer.finish().unwrap();
    let mut reader = Reader::new(&archive[..]);
    let header = reader.next_entry().unwrap().unwrap().into_header();
    assert_eq!((header.mode, header.uid, header.gid, header.modified.seconds), (0o711, 5, 6, 7));
}

#[test]
fn times_are_whole_seconds_and_not_after_the_epoch() {
    let mut layer = builder().with_epoch(100);
    for (path, seconds) in [("a", 99), ("b", 101)] {
        let header = Header::file(path, 0).with_modified(Timestamp { seconds, nanos: 5 });
        layer.add(&header, io::empty()).unwrap();
    }
    let archive = layer.finish().unwrap();
    let mut reader = Reader::new(&archive[..]);
    for seconds in [99, 100] {
        let header = reader.next_entry().unwrap().unwrap().into_header();
        assert_eq!(header.modified, Timestamp::from_seconds(seconds));
    }
}

#[test]
fn entries_that_no_layer_can_hold_are_refused() {
    let mut layer = builder();
    for path in ["", "/", ".", "..", "a/../b"] {
        assert_eq!(problem(layer.add(&Header::file(path, 0), io::empty())), EntryProblem::Path);
        assert_eq!(problem(layer.whiteout(path)), EntryProblem::Path);
    }
    for path in [".wh.a", "a/.wh.b", ".wh.a/b", ".wh..wh..opq"] {
        assert_eq!(problem(layer.add(&Header::file(path, 0), io::empty())), EntryProblem::Reserved);
    }
    layer.add(&Header::file("f", 0), io::empty()).unwrap();
    assert_eq!(problem(layer.add(&Header::file("f", 0), io::empty())), EntryProblem::Duplicate);
    assert_eq!(problem(layer.add(&Header::file("f/g", 0), io::empty())), EntryProblem::ParentNotDirectory);
    assert_eq!(problem(layer.whiteout("f")), EntryProblem::Duplicate);
    assert_eq!(names(&layer.finish().unwrap()), ["f"]);
}

#[test]
fn hard_links_repeat_what_the_layer_holds() {
    let mut layer = builder();
    layer.add(&Header::file("d/f", 1), &b"x"[..]).unwrap();
    layer.add(&Header::hard_link("g", "/d/f"), io::empty()).unwrap();
    for target in ["missing", "d", "../f"] {
        assert!(layer.add(&Header::hard_link("h", target), io::empty()).is_err());
    }
    assert_eq!(names(&layer.finish().unwrap()), ["d/", "d/f", "g -> d/f"]);
}

#[test]
fn what_was_removed_may_be_added_anew() {
    let mut layer = builder();
    layer.whiteout("d").unwrap();
    layer.add(&Header::file("d/f", 0), io::empty()).unwrap();
    assert_eq!(names(&layer.finish().unwrap()), [".wh.d", "d/", "d/f"]);
}

#[test]
fn every_kind_can_be_added() {
    let mut layer = builder();
    layer.add(&Header::new(Kind::Fifo, "p"), io::empty()).unwrap();
    layer.add(&Header::new(Kind::CharDevice, "null").with_device(1, 3), io::empty()).unwrap();
    layer.add(&Header::symlink("s", "/anywhere/../at/all"), io::empty()).unwrap();
    assert_eq!(names(&layer.finish().unwrap()), ["p", "null", "s -> /anywhere/../at/all"]);
}

#[test]
fn contents_of_another_size_are_refused() {
    let mut layer = builder();
    assert!(matches!(layer.add(&Header::file("f", 3), &b"12"[..]), Err(Error::Archive(_))));
    assert!(layer.finish().is_err());
}
