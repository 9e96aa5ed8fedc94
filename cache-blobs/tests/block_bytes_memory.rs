//! The memory of large blocks; alone in its process, whose pages are counted.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use cache_blobs::codec::BlockBytes;

const BYTES: usize = 64 << 20;

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn the_memory_of_a_large_block_goes_back_to_the_system() {
    let mut bytes = BlockBytes::with_capacity(BYTES);
    let before = resident();
    bytes
        .write_with(BYTES, |room| {
            room.fill(1);
            Ok::<_, ()>(room.len())
        })
        .unwrap();
    let full = resident();
    assert!(full > before + BYTES / 2, "{before} bytes before, {full} then");
    // Small memory that is younger and lives on keeps nothing back.
    let younger = vec![1; 1000];
    drop(Bytes::from(bytes));
    assert!(resident() < full - BYTES / 2, "{full} bytes before, {} then", resident());
    drop(younger);
}
