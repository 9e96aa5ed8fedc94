//! eStargz: layers that BuildKit wrote are read, and ours of the same tar have the same table of contents.
#![cfg(feature = "estargz")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use cache_blobs::codec::estargz::{TOC_DIGEST, TocLimits, UNCOMPRESSED_SIZE};
use cache_core::Digest;
use toc_rig::reading::every_file_has_its_digest;
use toc_rig::{Format, Stargz, buildkit_layers};

#[test]
fn buildkits_layers_are_parsed_and_every_file_has_its_digest() {
    let mut files = 0;
    for (layer, blob) in buildkit_layers() {
        assert!(Stargz::is(blob.clone()));
        let reader = Stargz::open_with(blob.clone(), &layer.descriptor.annotations, TocLimits::default()).unwrap();
        assert_eq!(Some(reader.toc().digest.to_string()), layer.descriptor.annotations.get(TOC_DIGEST).cloned());
        assert_eq!(reader.toc_offset(), Stargz::body(&blob).len() as u64);
        files += every_file_has_its_digest::<Stargz>(&reader, &reader.toc().entries, Some(Digest::of([])));
        let whole = Stargz::decode(&blob);
        assert_eq!(Digest::of(&whole), layer.diff_id);
        assert_eq!(layer.descriptor.annotations[UNCOMPRESSED_SIZE], whole.len().to_string());
    }
    assert_eq!(files, 17);
}

#[test]
fn of_the_same_tar_ours_has_the_same_entries_but_for_the_offset_in_the_same_json() {
    for (layer, theirs) in buildkit_layers() {
        let (packed, ours) = Stargz::packed(&Stargz::decode(Stargz::body(&theirs)));
        let without_offsets = |blob: &[u8]| {
            let mut toc = Stargz::toc(blob);
            toc.entries.iter_mut().for_each(|entry| entry.offset = 0);
            let json = String::from_utf8(Stargz::json(blob)).unwrap();
            let lines: Vec<_> = json.lines().filter(|line| !line.contains("\"offset\": ")).map(str::to_owned).collect();
            (toc.entries, lines)
        };
        assert_eq!(without_offsets(&ours), without_offsets(&theirs));
        assert_eq!(packed.annotations[UNCOMPRESSED_SIZE], layer.descriptor.annotations[UNCOMPRESSED_SIZE]);
        let has_files = Stargz::toc(&theirs).entries.iter().any(|entry| entry.offset > 0);
        // The table of contents is in the DiffID, and our compressor puts files at other offsets.
        assert_eq!(packed.diff_id == layer.diff_id, !has_files);
    }
}
