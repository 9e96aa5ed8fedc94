//! What holds for every archive and every tree, tried on random ones.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/archives.rs"]
mod archives;
#[path = "support/trees.rs"]
mod trees;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use archives::{archive, entry};
use cache_blobs::changes::{MemoryTree, Overlay, Tree, double_walk, overlay_upper};
use cache_blobs::layer::{LayerOptions, write_layer};
use cache_blobs::tar::{Header, Reader};
use proptest::collection::vec;
use proptest::prelude::*;
use trees::tree;

/// Reads as far as it goes, and gives what it got.
fn read(archive: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut reader = Reader::new(archive);
    let mut entries = Vec::new();
    while let Ok(Some(mut entry)) = reader.next_entry() {
        let header = entry.header().clone();
        let mut content = Vec::new();
        // A sparse bomb is not to be read.
        if (&mut entry).take(1 << 20).read_to_end(&mut content).is_err() {
            break;
        }
        entries.push((header, content));
    }
    entries
}

/// Sets the checksum right, so that what was changed is looked at.
fn mend(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn contents(layer: &[u8]) -> BTreeMap<Vec<u8>, Header> {
    read(layer).into_iter().map(|(header, _)| (header.path.clone(), header)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read(entries in vec(entry(), 0..5)) {
        prop_assert_eq!(read(&archive(&entries)), entries);
    }

    #[test]
    fn the_reader_survives_any_bytes(bytes in vec(any::<u8>(), 0..3000)) {
        read(&bytes);
    }

    #[test]
    fn the_reader_survives_damaged_archives(
        entries in vec(entry(), 1..4),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..10),
        cut in any::<prop::sample::Index>(),
        mended in any::<bool>(),
    ) {
        let mut archive = archive(&entries);
        for (index, byte) in damage {
            let at = index.index(archive.len());
            archive[at] = byte;
            if mended {
                let start = at / 512 * 512;
                mend(&mut archive[start..start + 512]);
            }
        }
        read(&archive);
        read(&archive[..cut.index(archive.len())]);
    }

    #[test]
    fn both_differs_agree(lower in tree(false), middle in tree(true), upper in tree(true)) {
        let lowers: Vec<Arc<dyn Tree>> = vec![Arc::new(middle), Arc::new(lower)];
        let upper: Arc<dyn Tree> = Arc::new(upper);
        let base = Overlay::new(lowers.clone());
        let merged = Overlay::new([vec![Arc::clone(&upper)], lowers].concat());
        let quick = overlay_upper(&base, &upper).unwrap();
        let slow = double_walk(Some(&base), &merged).unwrap();
        let quick = write_layer(quick, Vec::new(), LayerOptions::default()).unwrap().0;
        let slow = write_layer(slow, Vec::new(), LayerOptions::default()).unwrap().0;
        prop_assert_eq!(contents(&quick), contents(&slow));
        prop_assert!(quick == slow);
    }

    #[test]
    fn equal_trees_have_no_changes(tree in tree(false)) {
        prop_assert_eq!(double_walk(Some(&tree), &tree.clone()).unwrap().count(), 0);
    }

    #[test]
    fn a_layer_of_a_whole_tree_holds_every_name_once(tree in tree(false)) {
        let changes = double_walk(None, &tree).unwrap();
        let layer = write_layer(changes, Vec::new(), LayerOptions::default()).unwrap().0;
        let again = MemoryTree::from_archive(&mut Reader::new(&layer[..]), b"").unwrap();
        let layer_again =
            write_layer(double_walk(None, &again).unwrap(), Vec::new(), LayerOptions::default()).unwrap().0;
        prop_assert_eq!(contents(&layer).len(), read(&layer).len());
        prop_assert!(layer == layer_again);
    }
}
