//! A tree is read once, in however many compressions it is wanted.
#![cfg(all(feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cache_blobs::changes::{Directory, Error, MemoryTree, Metadata, OpenFile, Tree, double_walk};
use cache_blobs::codec::Codecs;
use cache_blobs::layer::{self, LayerOptions, write_layer_ahead};
use cache_blobs::pack::{PackOptions, PackTarget, PackWriter, PackedVariants, pack_variants};
use cache_blobs::tar::Header;
use cache_core::{Compression, ErrorKind};
use pack_rig::{Pace, budget, data, pool, sink};
use pollster::block_on;

/// How often each thing in a tree was asked for.
type Asked = Arc<Mutex<BTreeMap<String, usize>>>;

#[derive(Debug)]
struct Counted<T: ?Sized> {
    asked: Asked,
    inner: Arc<T>,
}

impl<T: ?Sized> Counted<T> {
    fn note(&self, what: &str, name: &[u8]) {
        let what = format!("{what} {}", String::from_utf8_lossy(name));
        *self.asked.lock().unwrap().entry(what).or_default() += 1;
    }
}

impl Tree for Counted<MemoryTree> {
    fn root(&self) -> Result<Arc<dyn Directory>, Error> {
        self.note("root", b"");
        Ok(Arc::new(Counted { asked: Arc::clone(&self.asked), inner: self.inner.root()? }))
    }
}

impl Directory for Counted<dyn Directory> {
    fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
        self.inner.names()
    }

    fn entries(&self) -> Result<Vec<(Vec<u8>, Metadata)>, Error> {
        self.inner.entries()
    }

    fn metadata(&self, name: &[u8]) -> Result<Option<Metadata>, Error> {
        self.inner.metadata(name)
    }

    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        self.note("directory", name);
        Ok(Arc::new(Self { asked: Arc::clone(&self.asked), inner: self.inner.directory(name)? }))
    }

    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        self.note("link", name);
        self.inner.link_target(name)
    }

    fn file(&self, name: &[u8]) -> Result<OpenFile, Error> {
        self.note("file", name);
        self.inner.file(name)
    }

    fn xattr(&self, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.inner.xattr(name, key)
    }

    fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        self.inner.xattr_names(name)
    }
}

fn tree() -> MemoryTree {
    let mut tree = MemoryTree::new();
    for at in 0..40 {
        tree.insert(&Header::directory(format!("d{at}")), &[][..]).unwrap();
        for file in 0..at % 4 {
            let content = data(at * file * 5000, 1);
            let header = Header::file(format!("d{at}/f{at}-{file}"), content.len() as u64);
            tree.insert(&header, &content).unwrap();
        }
    }
    tree.insert(&Header::symlink("link", "d1"), &[][..]).unwrap();
    tree
}

fn packed(compressions: &[Compression], asked: &Asked) -> PackedVariants<()> {
    let codecs: Vec<_> = compressions.iter().map(|compression| Codecs::default().of(compression).unwrap()).collect();
    let targets = codecs.iter().map(|codec| {
        let (ingest, _) = sink(Pace::Fast);
        PackTarget { codec: &**codec, ingest, options: PackOptions::default() }
    });
    let counted = Counted { asked: Arc::clone(asked), inner: Arc::new(tree()) };
    let failed = |_: layer::Error| cache_core::Error::new(ErrorKind::Corrupt, "write", "a test layer");
    let produce = move |writer: &mut PackWriter| {
        let changes = double_walk(None, &counted).map_err(layer::Error::from).map_err(failed)?.with_helper();
        write_layer_ahead(changes, writer, LayerOptions::default()).map(drop).map_err(failed)
    };
    block_on(pack_variants(&budget(2, 64 << 20), &pool(), targets.collect(), produce)).unwrap()
}

#[test]
fn every_directory_file_and_link_is_opened_once_for_all_variants() {
    let (alone, together) = (Asked::default(), Asked::default());
    let gzip = packed(&[Compression::Gzip], &alone);
    let compressions = Codecs::default().iter().map(|codec| codec.compression()).collect::<Vec<_>>();
    let all = packed(&compressions, &together);
    assert!(all.variants.len() > 2 && all.variants.contains(&gzip.variants[0]));
    assert_eq!(*alone.lock().unwrap(), *together.lock().unwrap());
    let asked = together.lock().unwrap();
    assert!(asked.len() > 60 && asked.values().all(|times| *times == 1), "{asked:?}");
}
