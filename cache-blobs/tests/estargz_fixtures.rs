//! eStargz: layers that BuildKit wrote are read, and ours of the same tar have the same table of contents.
#![cfg(feature = "estargz")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod estargz_rig;
mod pack_rig;

use std::path::Path;

use cache_blobs::codec::estargz::{TOC_DIGEST, TocKind, TocLimits, UNCOMPRESSED_SIZE, is_estargz};
use cache_core::{Descriptor, Digest};
use estargz_rig::{MemoryBlob, body, gunzip, open_with, packed, read, toc, toc_json};
use pack_rig::pool;
use pollster::block_on;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    file: String,
    #[serde(rename = "diffID")]
    diff_id: Digest,
    descriptor: Descriptor,
}

fn layers() -> Vec<(Layer, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/estargz");
    let layers: Vec<Layer> = serde_json::from_slice(&std::fs::read(folder.join("layers.json")).unwrap()).unwrap();
    assert_eq!(layers.len(), 7);
    layers
        .into_iter()
        .map(|layer| (std::fs::read(folder.join(&layer.file)).unwrap(), layer))
        .map(|(b, l)| (l, b))
        .collect()
}

#[test]
fn buildkits_layers_are_parsed_and_every_file_has_its_digest() {
    let mut files = 0;
    for (layer, blob) in layers() {
        let toc_digest = layer.descriptor.annotations[TOC_DIGEST].parse().unwrap();
        assert!(block_on(is_estargz(&*pool(), &MemoryBlob::new(blob.clone()))).unwrap());
        let reader = open_with(blob.clone(), Some(toc_digest), TocLimits::default()).unwrap();
        assert_eq!(reader.toc_offset(), body(&blob).len() as u64);
        for entry in reader.toc().entries.iter().filter(|entry| entry.kind == TocKind::Reg) {
            let contents = read(&reader, &entry.name).unwrap();
            assert_eq!(contents.len() as u64, entry.size);
            assert_eq!(Some(Digest::of(contents)), entry.digest);
            files += 1;
        }
        let whole = gunzip(&blob);
        assert_eq!(Digest::of(&whole), layer.diff_id);
        assert_eq!(layer.descriptor.annotations[UNCOMPRESSED_SIZE], whole.len().to_string());
    }
    assert_eq!(files, 17);
}

#[test]
fn of_the_same_tar_ours_has_the_same_entries_but_for_the_offset_in_the_same_json() {
    let mut others = 0;
    for (layer, theirs) in layers() {
        let (packed, ours) = packed(&gunzip(body(&theirs)));
        let without_offsets = |blob: &[u8]| {
            let mut toc = toc(blob);
            toc.entries.iter_mut().for_each(|entry| entry.offset = 0);
            let json = String::from_utf8(toc_json(blob)).unwrap();
            let lines: Vec<_> = json.lines().filter(|line| !line.contains("\"offset\": ")).map(str::to_owned).collect();
            (toc.entries, lines)
        };
        assert_eq!(without_offsets(&ours), without_offsets(&theirs));
        assert_eq!(packed.annotations[UNCOMPRESSED_SIZE], layer.descriptor.annotations[UNCOMPRESSED_SIZE]);
        // The table of contents is in the DiffID, and our compressor puts files at other offsets.
        let same_offsets = toc(&ours).entries == toc(&theirs).entries;
        assert_eq!(packed.diff_id == layer.diff_id, same_offsets);
        others += u32::from(!same_offsets);
    }
    assert!(others > 0);
}
