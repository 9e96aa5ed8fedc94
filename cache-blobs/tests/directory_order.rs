//! The order in which directories name their files changes nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use cache_blobs::changes::{
    Change, Directory, Error, MemoryTree, Metadata, OpenFile, Overlay, Tree, double_walk, lookup, overlay_upper,
};
use cache_blobs::layer::{LayerOptions, write_layer, write_layer_ahead};
use cache_blobs::tar::Header;
use proptest::prelude::{ProptestConfig, any, proptest};
use support::{directory, file, lines, link, opaque, symlink, tree, whiteout};

/// A tree whose directories name their files in an order that depends on the seed.
#[derive(Debug)]
struct Shuffled(Arc<dyn Directory>, u64);

impl Shuffled {
    fn of(tree: &MemoryTree, seed: u64) -> Arc<dyn Tree> {
        let shuffled = Self(tree.root().unwrap(), seed);
        let names = |tree: &dyn Tree| lookup(tree, b"many").unwrap().unwrap().open().unwrap().names().unwrap();
        assert_ne!(names(tree), names(&shuffled), "nothing is shuffled");
        Arc::new(shuffled)
    }
}

impl Tree for Shuffled {
    fn root(&self) -> Result<Arc<dyn Directory>, Error> {
        Ok(Arc::new(Self(Arc::clone(&self.0), self.1)))
    }
}

impl Directory for Shuffled {
    fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
        let mut names = self.0.names()?;
        names.sort_by_cached_key(|name| {
            let mut hasher = DefaultHasher::new();
            (self.1, name).hash(&mut hasher);
            hasher.finish()
        });
        Ok(names)
    }
    fn metadata(&self, name: &[u8]) -> Result<Option<Metadata>, Error> {
        self.0.metadata(name)
    }
    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        Ok(Arc::new(Self(self.0.directory(name)?, self.1)))
    }
    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.link_target(name)
    }
    fn file(&self, name: &[u8]) -> Result<OpenFile, Error> {
        self.0.file(name)
    }
    fn xattr(&self, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.0.xattr(name, key)
    }
    fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        self.0.xattr_names(name)
    }
}

/// Thirty files of which some are `changed`, beside `entries`.
fn with_many<'a>(changed: &'a str, entries: &[(Header, &'a str)]) -> MemoryTree {
    let paths: Vec<_> = (0..30).map(|number| format!("many/f{number}")).collect();
    let many =
        paths.iter().enumerate().map(|(number, path)| file(path, if number % 3 == 0 { changed } else { "same" }));
    tree(&[many.collect(), entries.to_vec()].concat())
}

/// The changes one by one, and their layer, which is the same when it is read ahead.
fn told<I>(changes: impl Fn() -> I) -> (Vec<String>, Vec<u8>)
where
    I: Iterator<Item = Result<Change, Error>> + Send + 'static,
{
    let alone = write_layer(changes(), Vec::new(), LayerOptions::default()).unwrap().0;
    let ahead = write_layer_ahead(changes(), Vec::new(), LayerOptions::default()).unwrap().0;
    assert!(ahead == alone);
    (lines(changes()), alone)
}

/// Two trees with files of several names, the first of which gets the contents in a layer.
fn lower_and_upper() -> (MemoryTree, MemoryTree) {
    let old = [file("bin/sh", "old"), link("bin/ash", "bin/sh"), link("usr/sh", "bin/sh"), file("gone/x", "")];
    let new = [file("bin/sh", "newer"), link("bin/ash", "bin/sh"), link("usr/sh", "bin/sh"), link("a/sh", "bin/sh")];
    let kept = [file("kept/one", "1"), link("kept/two", "kept/one"), symlink("s", "many"), directory("empty")];
    let more = [link("kept/before", "kept/one"), link("z", "kept/two"), file("gone", "a file now")];
    (with_many("old", &[&old[..], &kept].concat()), with_many("newer", &[&new[..], &kept, &more].concat()))
}

/// Two layers of an overlay and an upper directory that hides and replaces some of them.
fn overlay() -> (MemoryTree, MemoryTree, MemoryTree) {
    let bottom = [file("d/a", "x"), file("d/b", "x"), file("o/old", "x"), file("o/e/f", "x"), file("gone/x", "x")];
    let middle = [whiteout("d/a"), file("d/c", "x"), link("d/d", "d/c"), file("o/e/g", "x"), file("t/x", "")];
    let upper = [
        whiteout("d/b"),
        file("d/c", "yy"),
        link("d/cc", "d/c"),
        link("e/c", "d/c"),
        opaque("o"),
        file("o/e/g", "x"),
        file("o/new", "x"),
        link("o/a", "o/new"),
        whiteout("gone"),
        whiteout("many/f1"),
        whiteout("many/f2"),
    ];
    (with_many("old", &bottom), with_many("old", &middle), with_many("newer", &upper))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_bytes_do_not_depend_on_the_order_in_which_directories_name_their_files(seed in any::<u64>()) {
        let (lower, upper) = lower_and_upper();
        let (other_lower, other_upper) = (Shuffled::of(&lower, seed), Shuffled::of(&upper, seed.rotate_left(1)));
        for (lower, other_lower) in [(None, None), (Some(&lower as &dyn Tree), Some(&*other_lower))] {
            let expected = told(|| double_walk(lower, &upper).unwrap());
            assert!(expected.0.len() > 15);
            let walk = || double_walk(other_lower, &*other_upper).unwrap();
            assert!(told(walk) == expected);
            assert!(told(|| walk().with_helper()) == expected);
        }
    }

    #[test]
    fn the_bytes_of_an_upperdir_do_not_depend_on_the_order_in_which_directories_name_their_files(seed in any::<u64>()) {
        let (bottom, middle, upper) = overlay();
        let changes = |layers: [Arc<dyn Tree>; 3]| {
            let [upper, lowers @ ..] = layers.clone();
            let (base, merged) = (Overlay::new(lowers.to_vec()), Overlay::new(layers.to_vec()));
            (told(|| overlay_upper(&base, &upper).unwrap()), told(|| double_walk(Some(&base), &merged).unwrap()))
        };
        let shuffled = [&upper, &middle, &bottom].map(|tree| Shuffled::of(tree, seed));
        let expected = changes([Arc::new(upper), Arc::new(middle), Arc::new(bottom)]);
        assert!(expected.0.0.len() > 15);
        assert!(changes(shuffled) == expected);
    }
}
