//! Layers of any encoding in the embedded store, and what makes their variants.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use cache_blobs::codec::Codecs;
use cache_blobs::convert::{Converter, ConverterBackends};
use cache_blobs::tar::{Header, Writer};
use cache_core::cache::{ImmutableRef, RefOptions};
use cache_core::ports::{
    Begun, Collector, Expected, Ingester, Lease, LeaseManager, LeaseOptions, Manager, Provider, Resource, Start,
};
use cache_core::{Compression, CompressionConfig, Descriptor, Digest, Labels, Layer, MediaType};
use futures::TryStreamExt;
use pollster::block_on;

use crate::cancel_rig::Rig;

pub(crate) const ALL: [Compression; 3] = [Compression::Uncompressed, Compression::Gzip, Compression::Zstd];

pub(crate) fn config(compression: &Compression) -> CompressionConfig {
    CompressionConfig::new(compression.clone())
}

pub(crate) fn backends(rig: &Rig) -> ConverterBackends {
    ConverterBackends {
        content: rig.backends.content.clone(),
        leases: rig.backends.leases.clone(),
        pool: rig.backends.pool.clone(),
        codecs: rig.codecs.clone(),
        budget: rig.budget.clone(),
    }
}

pub(crate) fn converter(rig: &Rig) -> Converter {
    Converter::new(backends(rig))
}

pub(crate) fn lease(rig: &Rig) -> Lease {
    block_on(rig.local.leases.create(LeaseOptions::default())).unwrap()
}

/// A tar with one file.
pub(crate) fn tar(name: &str, bytes: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..bytes).map(|at| (at / 7 % 251) as u8 ^ name.as_bytes()[at % name.len()]).collect();
    let mut writer = Writer::new(Vec::new());
    writer.append(&Header::file(name, content.len() as u64), &content[..]).unwrap();
    writer.finish().unwrap()
}

/// The tars of other programs that lie in the fixtures.
pub(crate) fn foreign_tars() -> Vec<(String, Vec<u8>)> {
    let mut tars = Vec::new();
    for folder in ["foreign-archives", "layer-diffs"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "zst") {
                let tar = zstd::stream::decode_all(File::open(&path).unwrap()).unwrap();
                tars.push((path.file_name().unwrap().to_str().unwrap().to_owned(), tar));
            }
        }
    }
    assert!(tars.len() > 50);
    tars
}

/// How a foreign program would write a blob of `compression`: one that our own encoder never makes.
pub(crate) fn foreign_blob(compression: &Compression, tar: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Gzip => {
            // Two members, the first one with a comment.
            let (one, other) = tar.split_at(tar.len() / 3);
            let builder = flate2::GzBuilder::new().comment("made elsewhere");
            let mut first = builder.write(Vec::new(), flate2::Compression::new(1));
            first.write_all(one).unwrap();
            let mut second = flate2::write::GzEncoder::new(first.finish().unwrap(), flate2::Compression::new(9));
            second.write_all(other).unwrap();
            second.finish().unwrap()
        }
        Compression::Zstd => {
            // A skippable frame before the first one.
            let mut blob = vec![0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
            blob.extend(zstd::bulk::compress(tar, 1).unwrap());
            blob
        }
        _ => tar.to_vec(),
    }
}

pub(crate) fn media_type(compression: &Compression) -> MediaType {
    Codecs::default().of(compression).unwrap().media_types().oci
}

/// `bytes` in the store.
pub(crate) fn put(rig: &Rig, lease: &Lease, bytes: &[u8]) -> Digest {
    block_on(async {
        let digest = Digest::of(bytes);
        let expected = Expected { digest: Some(digest), size: Some(bytes.len() as u64) };
        let begun = rig.local.content.begin(lease, &format!("put-{digest}"), expected, Start::Fresh).await.unwrap();
        if let Begun::Started(mut ingest) = begun {
            ingest.write(bytes.to_vec().into()).await.unwrap();
            ingest.commit(None, Labels::new()).await.unwrap();
        }
        digest
    })
}

/// The layer of `tar` in a foreign blob of `compression`, in the store.
pub(crate) fn layer(rig: &Rig, lease: &Lease, compression: &Compression, tar: &[u8]) -> Layer {
    let blob = foreign_blob(compression, tar);
    put(rig, lease, &blob);
    Layer::new(Descriptor::of(media_type(compression), &blob), Digest::of(tar))
}

pub(crate) fn bytes(rig: &Rig, descriptor: &Descriptor) -> Vec<u8> {
    block_on(async {
        let reader = rig.local.content.open(descriptor).await.unwrap().unwrap();
        let chunks: Vec<_> = reader.read(0..reader.size()).await.unwrap().try_collect().await.unwrap();
        chunks.concat()
    })
}

pub(crate) fn labels(rig: &Rig, digest: &Digest) -> Labels {
    block_on(rig.local.content.info(digest)).unwrap().unwrap().labels
}

pub(crate) fn blobs(rig: &Rig) -> BTreeSet<Digest> {
    block_on(rig.local.content.list().map_ok(|info| info.digest).try_collect()).unwrap()
}

pub(crate) fn collect(rig: &Rig) {
    rig.pool.wait_until_idle();
    block_on(rig.cache.flush());
    block_on(rig.local.collector.collect()).unwrap();
}

/// Takes the blob of a ref out of the store.
pub(crate) fn lose(rig: &Rig, of: &ImmutableRef, lease: &Lease) {
    let blob = [Resource::Content(of.layer().unwrap().descriptor.digest)];
    block_on(async {
        let own = rig.local.leases.get(of.id()).await.unwrap().unwrap();
        rig.local.leases.detach(&own, &blob).await.unwrap();
        rig.local.leases.detach(lease, &blob).await.unwrap();
    });
    collect(rig);
    assert!(block_on(rig.local.content.info(&of.layer().unwrap().descriptor.digest)).unwrap().is_none());
}

/// A chain of refs from blobs, bottom first, each a foreign blob of the compression that is named; the top.
pub(crate) fn chain(rig: &Rig, lease: &Lease, compressions: &[Compression], name: &str) -> ImmutableRef {
    let mut top: Option<ImmutableRef> = None;
    for (at, compression) in compressions.iter().enumerate() {
        let layer = layer(rig, lease, compression, &tar(&format!("{name}-{at}"), 3000 + at));
        let made = rig.cache.get_by_blob(lease, &layer, top.as_ref(), RefOptions::default());
        top = Some(block_on(made).unwrap());
    }
    top.unwrap()
}
