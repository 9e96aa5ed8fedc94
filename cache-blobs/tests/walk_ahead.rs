//! Other threads that compare directories and read files ahead change nothing but the time.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;
mod thread_rig;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{ThreadId, current};

use cache_blobs::changes::{
    Change, Directory, DoubleWalk, Error, MemoryTree, Metadata, OpenFile, Tree, double_walk, overlay_upper,
};
use cache_blobs::layer::{self, LayerOptions, write_layer, write_layer_ahead};
use cache_blobs::tar::{self, Header};
use support::{directory, file, lines, link, symlink, tree, whiteout};
use thread_rig::Meeting;

/// More directories than are compared ahead, some deep, one with more files than a batch, with contents of every size class.
fn wide(mark: &str) -> MemoryTree {
    let mut entries = Vec::new();
    for outer in 0..40 {
        entries.push((Header::directory(format!("d{outer:02}")), String::new()));
        for inner in 0..outer % 5 {
            let files = if outer == 33 { 150 } else { 3 };
            for number in 0..files {
                let bytes = [0, 1, 511, 1024, 32 * 1024, 32 * 1024 + 1, 200_000][(outer + inner + number) % 7];
                let changed = (outer * inner + number) % 11 == 0;
                let text = if changed { mark } else { "same" }.repeat(bytes).chars().take(bytes).collect::<String>();
                entries.push((Header::file(format!("d{outer:02}/s{inner}/t/f{number:03}"), 0), text));
            }
        }
    }
    let entries: Vec<_> = entries.iter().map(|(header, text)| (header.clone(), text.as_str())).collect();
    let more = [link("d40/linked", "d33/s0/t/f001"), symlink("d41/link", "x"), file(mark, "new"), directory("e")];
    tree(&[entries, more.to_vec()].concat())
}

fn bytes(walk: DoubleWalk) -> Vec<u8> {
    write_layer(walk, Vec::new(), LayerOptions::default()).unwrap().0
}

fn bytes_ahead(walk: DoubleWalk) -> Vec<u8> {
    write_layer_ahead(walk, Vec::new(), LayerOptions::default()).unwrap().0
}

#[test]
fn a_walk_with_a_helper_gives_the_same_changes_in_the_same_order() {
    let (lower, upper) = (wide("one"), wide("two"));
    for lower in [None, Some(&lower as &dyn Tree)] {
        let alone = lines(double_walk(lower, &upper).unwrap());
        assert!(alone.len() > 20);
        for _ in 0..8 {
            assert_eq!(lines(double_walk(lower, &upper).unwrap().with_helper()), alone);
        }
    }
}

#[test]
fn a_layer_whose_files_are_read_ahead_has_the_same_bytes() {
    let (lower, upper) = (wide("one"), wide("two"));
    for lower in [None, Some(&lower as &dyn Tree)] {
        let alone = bytes(double_walk(lower, &upper).unwrap());
        for _ in 0..4 {
            assert!(bytes_ahead(double_walk(lower, &upper).unwrap().with_helper()) == alone);
        }
    }
}

#[test]
fn an_upperdir_that_is_read_ahead_has_the_same_bytes() {
    let lower = tree(&[file("d/e/gone", "x"), file("d/e/kept", "x"), file("d/same", "x")]);
    let upper: Arc<dyn Tree> = Arc::new(tree(&[
        directory("d"),
        directory("d/e"),
        whiteout("d/e/gone"),
        file("d/e/kept", "yy"),
        file("d/same", "x"),
    ]));
    let changes = || overlay_upper(&lower, &upper).unwrap();
    let alone = write_layer(changes(), Vec::new(), LayerOptions::default()).unwrap().0;
    let ahead = write_layer_ahead(changes(), Vec::new(), LayerOptions::default()).unwrap().0;
    assert!(ahead == alone);
    assert_eq!(support::names(&ahead), ["d/", "d/e/", "d/e/.wh.gone", "d/e/kept"]);
}

/// What a [`Touchy`] directory does when the file `bad` is opened.
#[derive(Clone, Copy, Debug)]
enum Mood {
    /// Gives so many bytes, whatever the metadata says.
    Gives(usize),
    Fails,
    Panics,
}

/// A tree of which one file is odd. Counts on its `Arc` tell whether anybody still has it.
#[derive(Debug)]
struct Touchy(Arc<dyn Directory>, Mood, Arc<()>);

impl Tree for Touchy {
    fn root(&self) -> Result<Arc<dyn Directory>, Error> {
        Ok(Arc::new(Self(Arc::clone(&self.0), self.1, Arc::clone(&self.2))))
    }
}

impl Directory for Touchy {
    fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
        self.0.names()
    }
    fn metadata(&self, name: &[u8]) -> Result<Option<Metadata>, Error> {
        self.0.metadata(name)
    }
    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        Ok(Arc::new(Self(self.0.directory(name)?, self.1, Arc::clone(&self.2))))
    }
    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.link_target(name)
    }
    fn file(&self, name: &[u8]) -> Result<OpenFile, Error> {
        match self.1 {
            _ if name != b"bad" => self.0.file(name),
            Mood::Gives(bytes) => {
                let content = Box::new(cache_blobs::content::Plain(std::io::Cursor::new(vec![b'x'; bytes])));
                Ok(OpenFile { content, xattr_names: Vec::new() })
            }
            Mood::Fails => Err(Error::Changed { path: b"bad".to_vec() }),
            Mood::Panics => panic!("a tree that panics"),
        }
    }
    fn xattr(&self, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.0.xattr(name, key)
    }
    fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        self.0.xattr_names(name)
    }
}

/// Writes the layer of a tree with the odd file in the middle; afterwards no thread has anything of the tree.
fn write_touchy(mood: Mood) -> std::thread::Result<Result<Vec<u8>, layer::Error>> {
    let many: Vec<_> = (0..300).map(|number| format!("d{:02}/f{number}", number % 30)).collect();
    let mut entries: Vec<_> = many.iter().map(|path| file(path, "x")).collect();
    entries.push(file("d15/bad", "12345"));
    let held = Arc::new(());
    let touchy = Touchy(tree(&entries).root().unwrap(), mood, Arc::clone(&held));
    let write = || {
        let walk = double_walk(None, &touchy).unwrap().with_helper();
        write_layer_ahead(walk, Vec::new(), LayerOptions::default()).map(|(archive, _)| archive)
    };
    let outcome = catch_unwind(AssertUnwindSafe(write));
    drop(touchy);
    assert_eq!(Arc::strong_count(&held), 1, "a thread goes on with {mood:?}");
    outcome
}

#[test]
fn a_small_file_that_grows_or_shrinks_meanwhile_is_an_error() {
    assert!(write_touchy(Mood::Gives(5)).unwrap().is_ok());
    for bytes in [0, 4, 6, 100_000] {
        let written = write_touchy(Mood::Gives(bytes)).unwrap();
        assert!(matches!(written, Err(layer::Error::Archive(tar::Error::WrongSize { .. }))), "{bytes}");
    }
}

#[test]
fn an_error_of_the_other_thread_is_given_when_that_has_ended() {
    let written = write_touchy(Mood::Fails).unwrap();
    assert!(matches!(written, Err(layer::Error::Changes(Error::Changed { .. }))));
}

#[test]
fn a_panic_of_the_other_thread_comes_out_where_the_layer_is_written() {
    let payload = write_touchy(Mood::Panics).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"a tree that panics"));
}

#[test]
fn a_walk_that_nobody_goes_on_with_leaves_no_thread() {
    let held = Arc::new(());
    let touchy = Touchy(wide("one").root().unwrap(), Mood::Fails, Arc::clone(&held));
    for steps in [0, 1, 30] {
        let walk = double_walk(None, &touchy).unwrap().with_helper();
        let changes: Vec<Change> = walk.take(steps).map(Result::unwrap).collect();
        assert_eq!(changes.len(), steps);
    }
    drop(touchy);
    assert_eq!(Arc::strong_count(&held), 1);
}

/// Which threads a tree was read by.
#[derive(Debug, Default)]
struct Seen {
    /// Those that read a directory below the root.
    listing: Meeting,
    /// Sizes of the files that were opened, and by whom.
    opening: Mutex<Vec<(u64, ThreadId)>>,
}

/// A tree that notes who reads it. A directory is read no sooner than two threads read one, but for the root.
#[derive(Debug)]
struct Noting {
    directory: Arc<dyn Directory>,
    depth: usize,
    seen: Arc<Seen>,
}

impl Noting {
    fn of(tree: &dyn Tree) -> (Self, Arc<Seen>) {
        let seen = Arc::<Seen>::default();
        (Self { directory: tree.root().unwrap(), depth: 0, seen: Arc::clone(&seen) }, seen)
    }
}

impl Tree for Noting {
    fn root(&self) -> Result<Arc<dyn Directory>, Error> {
        Ok(Arc::new(Self { directory: Arc::clone(&self.directory), depth: 0, seen: Arc::clone(&self.seen) }))
    }
}

impl Directory for Noting {
    fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
        self.directory.names()
    }
    fn entries(&self) -> Result<Vec<(Vec<u8>, Metadata)>, Error> {
        if self.depth > 0 {
            self.seen.listing.come();
        }
        self.directory.entries()
    }
    fn metadata(&self, name: &[u8]) -> Result<Option<Metadata>, Error> {
        self.directory.metadata(name)
    }
    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        let directory = self.directory.directory(name)?;
        Ok(Arc::new(Self { directory, depth: self.depth + 1, seen: Arc::clone(&self.seen) }))
    }
    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        self.directory.link_target(name)
    }
    fn file(&self, name: &[u8]) -> Result<OpenFile, Error> {
        let size = self.directory.metadata(name)?.unwrap().size;
        self.seen.opening.lock().unwrap().push((size, current().id()));
        self.directory.file(name)
    }
    fn xattr(&self, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.directory.xattr(name, key)
    }
    fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        self.directory.xattr_names(name)
    }
}

#[test]
fn a_walk_with_a_helper_compares_on_two_threads() {
    let trees = [wide("one"), wide("two")].map(|tree| Noting::of(&tree));
    let [(lower, _), (upper, _)] = &trees;
    assert!(double_walk(Some(lower), upper).unwrap().with_helper().count() > 20);
    for (_, seen) in &trees {
        let threads = seen.listing.threads();
        assert!(threads.len() == 2 && threads.contains(&current().id()));
    }
}

#[test]
fn small_files_are_opened_by_another_thread_than_the_writers() {
    let (tree, seen) = Noting::of(&wide("one"));
    bytes_ahead(double_walk(None, &tree).unwrap().with_helper());
    let opening = seen.opening.lock().unwrap();
    let threads = |is_meant: fn(u64) -> bool| -> HashSet<ThreadId> {
        opening.iter().filter(|(size, _)| is_meant(*size)).map(|(_, thread)| *thread).collect()
    };
    let (small, large) = (threads(|size| size <= 32 * 1024), threads(|size| size > 32 * 1024));
    assert!(small.len() == 1 && !small.contains(&current().id()));
    assert_eq!(large, HashSet::from([current().id()]));
    // The trees are compared by the second reader and its helper, while the writer only writes.
    let listing = seen.listing.threads();
    assert!(listing.len() == 2 && listing.is_superset(&small) && !listing.contains(&current().id()));
}
