//! The double walk finds the changes that containerd finds, in its order.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use cache_blobs::changes::{MemoryTree, double_walk};
use cache_blobs::tar::{Header, Kind, Timestamp};
use support::{EXACT, TRUNCATED, directory, file, lines, link, symlink, tree};

fn changes(lower: &MemoryTree, upper: &MemoryTree) -> Vec<String> {
    lines(double_walk(Some(lower), upper).unwrap())
}

#[test]
fn equal_trees_have_no_changes() {
    let entries = [directory("d"), file("d/f", "x"), symlink("s", "t")];
    assert!(changes(&tree(&entries), &tree(&entries)).is_empty());
}

#[test]
fn without_a_lower_tree_everything_is_added() {
    let upper = tree(&[directory("d"), file("d/f", "x"), link("l", "d/f")]);
    assert_eq!(lines(double_walk(None, &upper).unwrap()), ["A d", "A d/f", "A l"]);
}

#[test]
fn changes_come_depth_first_with_names_in_byte_order() {
    let upper =
        tree(&[file("a/x", ""), file("a-b", ""), file("a.b", ""), file("B", ""), file("ab", ""), file("a/y", "")]);
    assert_eq!(changes(&tree(&[]), &upper), ["A B", "A a", "A a/x", "A a/y", "A a-b", "A a.b", "A ab"]);
}

#[test]
fn a_removed_tree_is_one_deletion_and_its_neighbours_are_others() {
    let lower = tree(&[file("dir1/a", ""), file("dir1/b/c", ""), file("dir1-before/f", ""), file("dir1x", "")]);
    assert_eq!(changes(&lower, &tree(&[])), ["D dir1", "D dir1-before", "D dir1x"]);
}

#[test]
fn a_file_in_place_of_a_directory_implies_the_deletions_below() {
    let lower = tree(&[file("a/b", ""), file("c", "")]);
    let upper = tree(&[file("a", ""), file("c/d", "")]);
    assert_eq!(changes(&lower, &upper), ["M a", "M c", "A c/d"]);
}

#[test]
fn every_child_of_an_emptied_directory_is_deleted() {
    let lower = tree(&[directory("d"), file("d/a", ""), file("d/b", "")]);
    assert_eq!(changes(&lower, &tree(&[directory("d")])), ["D d/a", "D d/b"]);
}

#[test]
fn owner_mode_and_kind_make_a_difference() {
    let base = || Header::file("f", 0).with_modified(EXACT);
    for changed in [
        base().with_mode(0o600),
        base().with_owner(1, 0),
        base().with_owner(0, 1),
        Header::new(Kind::Fifo, "f").with_modified(EXACT),
        base().with_xattr("security.capability", "c"),
    ] {
        assert_eq!(changes(&tree(&[(base(), "")]), &tree(&[(changed, "")])), ["M f"]);
    }
    let device = |minor| (Header::new(Kind::CharDevice, "f").with_device(1, minor).with_modified(EXACT), "");
    assert_eq!(changes(&tree(&[device(3)]), &tree(&[device(5)])), ["M f"]);
}

#[test]
fn other_attributes_make_no_difference() {
    let changed = (Header::file("f", 0).with_modified(EXACT).with_xattr("user.note", "n"), "");
    assert!(changes(&tree(&[file("f", "")]), &tree(&[changed])).is_empty());
}

#[test]
fn the_time_of_a_directory_makes_no_difference() {
    let at = |time| tree(&[(Header::directory("d").with_modified(time), "")]);
    assert!(changes(&at(EXACT), &at(TRUNCATED)).is_empty());
}

#[test]
fn contents_are_compared_only_when_both_times_are_truncated() {
    let other_nanos = Timestamp { nanos: 6, ..EXACT };
    let at = |time, content| tree(&[(Header::file("f", 0).with_modified(time), content)]);
    for (lower, upper, differs) in [
        (at(EXACT, "one"), at(EXACT, "one"), false),
        (at(EXACT, "one"), at(other_nanos, "one"), true),
        // The same time to the nanosecond: nobody looks inside.
        (at(EXACT, "one"), at(EXACT, "two"), false),
        (at(EXACT, "one"), at(EXACT, "three"), true),
        (at(EXACT, "one"), at(TRUNCATED, "one"), true),
        (at(TRUNCATED, "one"), at(EXACT, "one"), true),
        (at(TRUNCATED, "one"), at(TRUNCATED, "one"), false),
        (at(TRUNCATED, "one"), at(TRUNCATED, "two"), true),
        (at(TRUNCATED, ""), at(TRUNCATED, ""), false),
    ] {
        assert_eq!(!changes(&lower, &upper).is_empty(), differs);
    }
    let at = |time, target: &str| tree(&[(Header::symlink("s", target).with_modified(time), "")]);
    assert_eq!(changes(&at(TRUNCATED, "one"), &at(TRUNCATED, "two")), ["M s"]);
    assert!(changes(&at(EXACT, "one"), &at(EXACT, "two")).is_empty());
}

#[test]
fn large_contents_are_compared_to_the_end() {
    let mut content = "x".repeat(300_000);
    let lower = tree(&[(Header::file("f", 0).with_modified(TRUNCATED), content.as_str())]);
    content.replace_range(299_999.., "y");
    let upper = tree(&[(Header::file("f", 0).with_modified(TRUNCATED), content.as_str())]);
    assert_eq!(changes(&lower, &upper), ["M f"]);
}

#[test]
fn unchanged_names_of_a_linked_file_are_reported() {
    let lower = tree(&[file("b", "x"), link("c", "b")]);
    let upper = tree(&[file("a", "x"), link("b", "a"), link("c", "a")]);
    assert_eq!(changes(&lower, &upper), ["A a", "U b", "U c"]);
}

#[test]
fn a_walk_ends_after_its_first_error() {
    use cache_blobs::changes::{Directory, Error, Operation, Tree};
    use std::sync::Arc;

    #[derive(Debug)]
    struct Broken(Arc<dyn Directory>);
    impl Tree for Broken {
        fn root(&self) -> Result<Arc<dyn Directory>, Error> {
            Ok(Arc::new(Self(Arc::clone(&self.0))))
        }
    }
    fn failed<T>(name: &[u8]) -> Result<T, Error> {
        let source = Arc::new(std::io::ErrorKind::Other.into());
        Err(Error::Io { operation: Operation::Open, path: name.to_vec(), source })
    }
    impl Directory for Broken {
        fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
            self.0.names()
        }
        fn metadata(&self, name: &[u8]) -> Result<Option<cache_blobs::changes::Metadata>, Error> {
            self.0.metadata(name)
        }
        fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
            failed(name)
        }
        fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
            failed(name)
        }
        fn file(&self, name: &[u8]) -> Result<cache_blobs::changes::OpenFile, Error> {
            failed(name)
        }
        fn xattr(&self, name: &[u8], _: &[u8]) -> Result<Option<Vec<u8>>, Error> {
            failed(name)
        }
        fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
            failed(name)
        }
    }
    let upper = Broken(tree(&[file("a", ""), directory("d"), file("e", "")]).root().unwrap());
    let mut walk = double_walk(None, &upper).unwrap();
    assert!(walk.next().unwrap().is_ok());
    assert!(matches!(walk.next(), Some(Err(Error::Io { .. }))));
    assert!(walk.next().is_none());
}
