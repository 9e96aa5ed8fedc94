//! Conversion from and to zstd:chunked: the tar stays, and the annotations are those of the blob.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod pack_rig;
mod toc_rig;
mod variant_rig;

use std::path::Path;

use cache_blobs::codec::estargz::PrefetchOptions;
use cache_blobs::codec::zstd_chunked::{MANIFEST_CHECKSUM, MANIFEST_POSITION, TAR_SPLIT_POSITION};
use cache_blobs::convert::variants;
use cache_core::annotation::{ESTARGZ_TOC_DIGEST, ESTARGZ_UNCOMPRESSED_SIZE, UNCOMPRESSED};
use cache_core::ports::Lease;
use cache_core::{Annotations, Compression, Descriptor, Digest, ErrorKind, Layer, MediaType};
use cancel_rig::Rig;
use pack_rig::{Pace, data, decode};
use pollster::block_on;
use toc_rig::{Chunked, Format, Stargz, buildkit_layers, json_of, manifest, numbers, tar_split};
use variant_rig::{ALL, blobs, bytes, config, converter, foreign_tars, labels, lease, media_type, put, tar};

const CHUNKED: Compression = Compression::ZSTD_CHUNKED;

const EVERY: [Compression; 5] =
    [Compression::Uncompressed, Compression::Gzip, Compression::Zstd, Compression::EStargz, CHUNKED];

/// The archives in the fixtures with a sparse file in them.
const SPARSE: [&str; 6] =
    ["27-sparse.trees", "bsd-pax", "gnu-sparse-0.0", "gnu-sparse-0.1", "gnu-sparse-1.0", "gnu-sparse-old"];

/// A store of its own for one source, so that nothing that another one made is found.
struct World {
    rig: Rig,
    lease: Lease,
}

impl World {
    fn new() -> Self {
        let rig = Rig::new("native").unwrap();
        Self { lease: lease(&rig), rig }
    }

    fn put(&self, blob: &[u8], media_type: MediaType, annotations: Annotations, diff_id: Digest) -> Layer {
        put(&self.rig, &self.lease, blob);
        let mut descriptor = Descriptor::of(media_type, blob);
        descriptor.annotations = annotations;
        Layer::new(descriptor, diff_id)
    }

    /// The layer of `tar` in a blob of `from`.
    fn source(&self, from: &Compression, tar: &[u8]) -> Layer {
        match from {
            Compression::Custom(_) => {
                let (packed, blob) = Chunked::packed(tar);
                self.put(&blob, MediaType::OCI_LAYER_ZSTD, packed.annotations, Digest::of(tar))
            }
            Compression::EStargz => {
                let (packed, blob) = Stargz::packed(tar);
                let diff_id = Digest::of(Stargz::decode(&blob));
                self.put(&blob, MediaType::OCI_LAYER_GZIP, packed.annotations, diff_id)
            }
            from => variant_rig::layer(&self.rig, &self.lease, from, tar),
        }
    }

    /// `source` in `to`, or the kind of the error.
    fn convert(&self, source: &Layer, to: &Compression) -> Result<Layer, ErrorKind> {
        block_on(converter(&self.rig).convert(&self.lease, source, &config(to))).map_err(|error| error.kind())
    }

    /// Makes a new blob of `source` in `to`, and checks the tar, the DiffID, the annotations and the label.
    fn assert_becomes(&self, source: &Layer, to: &Compression, tar: &[u8], what: &str) -> Layer {
        let before = blobs(&self.rig).len();
        let made = self.convert(source, to).unwrap();
        assert_eq!(blobs(&self.rig).len(), before + 1, "{what} to {to}");
        let blob = bytes(&self.rig, &made.descriptor);
        assert!(tar_in(&self.rig, to, &blob) == tar, "{what} to {to}");
        let diff_id = if *to == Compression::EStargz { Digest::of(Stargz::decode(&blob)) } else { Digest::of(tar) };
        assert_eq!(made.diff_id, diff_id, "{what} to {to}");
        assert_eq!(made.descriptor.media_type, media_type(to));
        assert_eq!(made.descriptor.size, blob.len() as u64);
        assert_eq!(made.descriptor.annotations, annotations_of(to, &blob), "{what} to {to}");
        assert!(*to != CHUNKED || made.descriptor.annotations.len() == 3, "{what} to {to}");
        if *to != Compression::Uncompressed {
            assert_eq!(labels(&self.rig, &made.descriptor.digest)[UNCOMPRESSED], diff_id.to_string());
        }
        // Whoever finds it later gets the annotations, too.
        let found = block_on(variants(self.rig.backends.content.as_ref(), source)).unwrap();
        assert!(found.contains(&made), "{what} to {to}");
        made
    }
}

/// The tar in a blob of `compression`, found without the converter.
fn tar_in(rig: &Rig, compression: &Compression, blob: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Custom(_) => {
            // Any reader of zstd finds no more than the table of contents has before it.
            let tar = Chunked::decode(Chunked::body(blob));
            assert!(Chunked::decode(blob) == tar);
            tar
        }
        Compression::EStargz => Stargz::decode(Stargz::body(blob)),
        _ => decode(&rig.codecs, blob.to_vec()).unwrap(),
    }
}

/// What the descriptor of a blob of `compression` must say of its table of contents.
fn annotations_of(compression: &Compression, blob: &[u8]) -> Annotations {
    let annotation = |key: &str, value: String| (key.to_owned(), value);
    match compression {
        Compression::Custom(_) => {
            let [offset, compressed, bytes, form, split @ ..] = numbers(blob);
            let mut annotations = Annotations::from([
                annotation(MANIFEST_CHECKSUM, Digest::of(manifest(blob)).to_string()),
                annotation(MANIFEST_POSITION, format!("{offset}:{compressed}:{bytes}:{form}")),
            ]);
            if tar_split(blob).is_some() {
                let split = split.map(|number| number.to_string()).join(":");
                annotations.extend([annotation(TAR_SPLIT_POSITION, split)]);
            }
            annotations
        }
        Compression::EStargz => Annotations::from([
            annotation(ESTARGZ_TOC_DIGEST, Digest::of(Stargz::json(blob)).to_string()),
            annotation(ESTARGZ_UNCOMPRESSED_SIZE, Stargz::decode(blob).len().to_string()),
        ]),
        _ => Annotations::new(),
    }
}

/// Our tars, GNU tar's and others', and those of BuildKit's differs; all but those with sparse files.
fn tars() -> Vec<(String, Vec<u8>)> {
    let mut tars = foreign_tars();
    tars.retain(|(name, _)| !SPARSE.contains(&name.trim_end_matches(".tar.zst")));
    tars.push(("ours".to_owned(), tar("ours", 3_000_000)));
    tars.push(("no bytes".to_owned(), Vec::new()));
    tars
}

/// What containers/storage wrote.
fn containers_layer() -> (Annotations, Vec<u8>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zstd-chunked");
    let annotations = std::fs::read(folder.join("annotations.json")).unwrap();
    (serde_json::from_slice(&annotations).unwrap(), std::fs::read(folder.join("layer.tar.zst")).unwrap())
}

#[test]
fn zstd_chunked_becomes_every_other_with_the_same_tar_and_without_its_annotations() {
    for (name, tar) in tars() {
        let world = World::new();
        let source = world.source(&CHUNKED, &tar);
        for to in EVERY.iter().filter(|to| **to != CHUNKED) {
            world.assert_becomes(&source, to, &tar, &name);
        }
        assert_eq!(world.convert(&source, &CHUNKED), Ok(source), "what is zstd:chunked stays as it is");
    }
}

#[test]
fn plain_tars_gzip_and_zstd_become_zstd_chunked_with_the_same_tar_and_its_annotations() {
    for (name, tar) in tars() {
        let mut made = Vec::new();
        for from in &ALL {
            let world = World::new();
            let source = world.source(from, &tar);
            made.push(world.assert_becomes(&source, &CHUNKED, &tar, &name));
        }
        assert!(made.iter().all(|it| *it == made[0]), "{name}: one tar is one blob");
    }
}

#[test]
fn estargz_becomes_zstd_chunked_with_the_diff_id_of_the_tar_and_no_annotation_of_estargz() {
    for (name, tar) in tars() {
        let world = World::new();
        let source = world.source(&Compression::EStargz, &tar);
        assert_ne!(source.diff_id, Digest::of(&tar));
        world.assert_becomes(&source, &CHUNKED, &tar, &name);
    }
    for (source, blob) in buildkit_layers() {
        let world = World::new();
        put(&world.rig, &world.lease, &blob);
        world.assert_becomes(&source, &CHUNKED, &Stargz::decode(Stargz::body(&blob)), "BuildKit's");
    }
}

#[test]
fn the_layer_of_containers_storage_becomes_every_other_and_its_tar_becomes_zstd_chunked_again() {
    let (annotations, blob) = containers_layer();
    let tar = Chunked::decode(&blob);
    assert_eq!(annotations, annotations_of(&CHUNKED, &blob), "what theirs has, ours are compared with");
    let world = World::new();
    let source = world.put(&blob, MediaType::OCI_LAYER_ZSTD, annotations, Digest::of(&tar));
    for to in EVERY.iter().filter(|to| **to != CHUNKED) {
        let made = world.assert_becomes(&source, to, &tar, "theirs");
        assert_eq!(world.convert(&made, &CHUNKED), Ok(source.clone()), "{to} and back");
        let elsewhere = World::new();
        let alone =
            elsewhere.put(&bytes(&world.rig, &made.descriptor), media_type(to), Annotations::new(), made.diff_id);
        elsewhere.assert_becomes(&alone, &CHUNKED, &tar, "their tar");
    }
}

#[test]
fn every_compression_comes_back_by_way_of_every_other() {
    let tar = tar("file", 300_000);
    for from in &EVERY {
        for to in EVERY.iter().filter(|to| *to != from) {
            let world = World::new();
            let source = world.source(from, &tar);
            let made = world.convert(&source, to).unwrap();
            assert_eq!(world.convert(&made, from), Ok(source), "{from} to {to} and back");
        }
    }
}

#[test]
fn a_tar_with_sparse_files_is_unsupported_as_zstd_chunked_and_makes_nothing() {
    let is_sparse = |name: &str| SPARSE.contains(&name.trim_end_matches(".tar.zst"));
    let tars: Vec<_> = foreign_tars().into_iter().filter(|(name, _)| is_sparse(name)).collect();
    assert_eq!(tars.len(), SPARSE.len());
    for (name, tar) in tars {
        for from in &ALL {
            let world = World::new();
            let source = world.source(from, &tar);
            assert_eq!(world.convert(&source, &CHUNKED), Err(ErrorKind::Unsupported), "{name} from {from}");
            world.rig.settle();
            assert_eq!((blobs(&world.rig).len(), world.rig.visible().ingests), (1, Vec::new()), "{name} from {from}");
        }
        let (packed, _, _) = Chunked::try_pack(&tar, 2, Pace::Fast, 70_001);
        assert_eq!(packed.unwrap_err().kind(), ErrorKind::Unsupported, "{name}");
        // Whatever a table of somebody else's says of such files, the tar is there.
        let world = World::new();
        let blob = Chunked::with_toc(&Chunked::encode(&tar), &json_of(&[]));
        let annotations = annotations_of(&CHUNKED, &blob);
        let source = world.put(&blob, MediaType::OCI_LAYER_ZSTD, annotations, Digest::of(&tar));
        for to in &ALL {
            world.assert_becomes(&source, to, &tar, &name);
        }
        assert_eq!(world.convert(&source, &Compression::EStargz), Err(ErrorKind::Unsupported), "{name}");
        let blob = Stargz::with_toc(&Stargz::encode(&tar), &json_of(&[]));
        let diff_id = Digest::of(Stargz::decode(&blob));
        let source = world.put(&blob, MediaType::OCI_LAYER_GZIP, Annotations::new(), diff_id);
        assert_eq!(world.convert(&source, &CHUNKED), Err(ErrorKind::Unsupported), "{name} from eStargz");
    }
}

#[test]
fn what_is_no_tar_is_corrupt_as_zstd_chunked() {
    for from in &ALL {
        let world = World::new();
        let source = world.source(from, &data(100_000, 3));
        assert_eq!(world.convert(&source, &CHUNKED), Err(ErrorKind::Corrupt), "{from}");
    }
}

/// Nobody reads a blob that is what is wanted already, so what is wrong in it is found on the way to others only; what its media
/// type says wrongly is found wherever it goes.
#[test]
fn a_layer_with_a_table_of_contents_that_is_not_what_its_descriptor_says_is_corrupt_and_makes_nothing() {
    let tar = tar("file", 200_000);
    let (chunked, estargz) = (Chunked::packed(&tar).1, Stargz::packed(&tar).1);
    let whole = Digest::of(&tar);
    let with_toc = Digest::of(Stargz::decode(&estargz));
    let mut damaged = chunked.clone();
    let middle = Chunked::body(&chunked).len() / 2;
    damaged[middle] ^= 0x55;
    let continued = [&chunked[..], b"and more"].concat();
    let (gzip, zstd) = (MediaType::OCI_LAYER_GZIP, MediaType::OCI_LAYER_ZSTD);
    let table = [
        ("another DiffID", &chunked, &zstd, Digest::of("another tar"), vec![CHUNKED]),
        ("damaged", &damaged, &zstd, whole, vec![CHUNKED]),
        ("continued", &continued, &zstd, whole, vec![Compression::Zstd]),
        ("zstd:chunked under gzip's name", &chunked, &gzip, whole, Vec::new()),
        ("zstd:chunked under a plain tar's name", &chunked, &MediaType::OCI_LAYER, whole, Vec::new()),
        ("eStargz under zstd's name", &estargz, &zstd, with_toc, Vec::new()),
        ("eStargz under a plain tar's name", &estargz, &MediaType::OCI_LAYER, with_toc, Vec::new()),
        ("a plain tar under zstd's name", &tar, &zstd, whole, Vec::new()),
    ];
    for (what, blob, media_type, diff_id, unread) in table {
        let world = World::new();
        let source = world.put(blob, media_type.clone(), Annotations::new(), diff_id);
        for to in &EVERY {
            let expected = if unread.contains(to) { Ok(source.clone()) } else { Err(ErrorKind::Corrupt) };
            assert_eq!(world.convert(&source, to), expected, "{what} to {to}");
        }
        let options = PrefetchOptions::default().with_prioritized(["file"]);
        let refused = block_on(converter(&world.rig).prioritize(&world.lease, &source, &options, None)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{what} with a file first");
        world.rig.settle();
        assert_eq!((blobs(&world.rig).len(), world.rig.visible().ingests), (1, Vec::new()), "{what}");
    }
}
