//! The memory of large blocks; alone in its process, whose pages are counted.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use cache_blobs::codec::BlockBytes;

const BLOCKS: usize = 8;
const BYTES: usize = 8 << 20;

/// Bytes of this process that are in memory or in swap.
fn in_use() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let sizes = status.lines().filter_map(|line| line.strip_prefix("RssAnon:").or(line.strip_prefix("VmSwap:")));
    sizes.map(|size| size.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024).sum()
}

#[test]
fn the_memory_of_a_large_block_goes_back_to_the_system() {
    // glibc maps what is larger than anything that was given back before, up to 32 MiB, and keeps the rest below what lives on.
    drop(vec![1_u8; 2 * BYTES]);
    let (mut blocks, mut younger) = (Vec::new(), Vec::new());
    let before = in_use();
    for _ in 0..BLOCKS {
        let mut bytes = BlockBytes::with_capacity(BYTES);
        let fill = |room: &mut [u8]| {
            room.fill(1);
            Ok::<_, ()>(room.len())
        };
        bytes.write_with(BYTES, fill).unwrap();
        blocks.push(bytes);
        younger.push(vec![1_u8; 100_000]);
    }
    let full = in_use();
    assert!(full > before + BLOCKS * BYTES, "{before} bytes before, {full} then");
    for bytes in blocks {
        drop(Bytes::from(bytes));
    }
    let left = in_use();
    assert!(left < before + 2 * BYTES, "{before} bytes before, {left} at last");
    assert_eq!(younger.len(), BLOCKS);
}
