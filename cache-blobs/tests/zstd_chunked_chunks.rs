//! zstd:chunked: where files are cut.
#![cfg(all(feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use cache_blobs::codec::zstd_chunked::ChunkKind;
use cache_core::Digest;
use toc_rig::reading::files;
use toc_rig::{Chunked, Format, file, noise, read, tar_of};

const BLOCK: usize = 4 << 20;

/// The rolling checksum after `bytes`, made anew of its definition: only the last 64 bytes count.
fn is_split(bytes: &[u8]) -> bool {
    let window = |back: usize| bytes.len().checked_sub(back).map_or(0, |at| u32::from(bytes[at]));
    let weighted = (1..=64).fold(64_u32 * 63 * 31, |sum, back| sum.wrapping_add(back as u32 * window(back)));
    weighted & 0xffff == 0xffff
}

/// Lengths and kinds of the chunks of a file that begins a block and ends in it.
fn expected(contents: &[u8]) -> Vec<(u64, ChunkKind)> {
    let mut chunks = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while at < contents.len() {
        let zeros = contents[at..].iter().take_while(|byte| **byte == 0).count();
        if zeros >= 1024 {
            chunks.extend((at > begin).then(|| ((at - begin) as u64, ChunkKind::Data)));
            chunks.push((zeros as u64, ChunkKind::Zeros));
            at += zeros;
            begin = at;
            continue;
        }
        for _ in 0..zeros.max(1) {
            at += 1;
            if is_split(&contents[..at]) {
                chunks.push(((at - begin) as u64, ChunkKind::Data));
                begin = at;
            }
        }
    }
    chunks.extend((at > begin).then(|| ((at - begin) as u64, ChunkKind::Data)));
    chunks
}

#[test]
fn a_file_is_cut_where_the_checksum_says_and_at_runs_of_1024_zeros() {
    let zeros = |bytes: usize| vec![0; bytes];
    let cases: Vec<Vec<u8>> = vec![
        noise(900_000, 1),
        noise(64, 2),
        [noise(150_000, 3), zeros(1024), noise(150_000, 4)].concat(),
        [noise(150_000, 3), zeros(1023), noise(150_000, 4)].concat(),
        [zeros(1024), noise(10, 5)].concat(),
        [zeros(1023), noise(10, 5)].concat(),
        [noise(10, 5), zeros(1024)].concat(),
        [noise(10, 5), zeros(1023)].concat(),
        [noise(10, 5), zeros(1500), vec![1], zeros(1500), vec![1], zeros(100), vec![1], zeros(2048)].concat(),
        zeros(1024),
        zeros(500_000),
        vec![1],
    ];
    for contents in cases {
        let (_, blob) = Chunked::packed(&tar_of(&[file("f", contents.clone())]));
        let chunks = files(&Chunked::toc(&blob)).remove(0);
        let expected = expected(&contents);
        let first = &chunks[0];
        assert_eq!((first.size, first.digest), (contents.len() as u64, Some(Digest::of(&contents))));
        if expected.len() == 1 {
            // A file of one chunk says nothing of chunks.
            assert_eq!((chunks.len(), first.chunk_size, first.chunk_digest), (1, 0, None));
            assert_eq!(first.chunk_kind, ChunkKind::Data);
        } else {
            let found: Vec<_> = chunks.iter().map(|chunk| (chunk.chunk_size, chunk.chunk_kind)).collect();
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn chunks_over_the_borders_of_blocks_are_whole_and_so_are_their_digests() {
    let text = b"no chunk ends in this text ".repeat(400_000);
    let cases = [
        noise(2 * BLOCK + 5, 6),
        text[..2 * BLOCK].to_vec(),
        vec![0; 2 * BLOCK + 3],
        [&noise(BLOCK - 512, 7)[..], &vec![0; 3 * BLOCK]].concat(),
        [&vec![0; BLOCK - 512 - 500][..], &noise(3, 8), &vec![0; 400], &vec![0; 2000], &noise(3, 8)].concat(),
        [&vec![0; BLOCK - 512][..], b"x"].concat(),
        [&vec![1; BLOCK - 512 - 2000][..], &vec![0; 2000], b"x"].concat(),
        vec![3; BLOCK - 512],
        vec![3; 2 * BLOCK - 512],
    ];
    for contents in cases {
        // The header is in the first block, too, and a second file behind the first one.
        let (_, blob) = Chunked::packed(&tar_of(&[file("f", contents.clone()), file("g", b"after".to_vec())]));
        let chunks = files(&Chunked::toc(&blob)).remove(0);
        let end = chunks[0].end_offset;
        assert_eq!(chunks[0].digest, Some(Digest::of(&contents)));
        assert!(Chunked::decode(&blob[chunks[0].offset as usize..end as usize]) == contents);
        let mut covered = 0;
        for (number, chunk) in chunks.iter().enumerate().filter(|_| chunks.len() > 1) {
            assert_eq!(chunk.chunk_offset, covered);
            covered += chunk.chunk_size;
            let part = &contents[chunk.chunk_offset as usize..covered as usize];
            assert_eq!(chunk.chunk_digest, Some(Digest::of(part)), "{number}");
            assert_eq!(chunk.chunk_kind == ChunkKind::Zeros, part.len() >= 1024 && part.iter().all(|byte| *byte == 0));
            let end = chunks.get(number + 1).map_or(end, |next| next.offset);
            assert!(Chunked::decode(&blob[chunk.offset as usize..end as usize]) == part);
        }
        assert_eq!(covered, if chunks.len() > 1 { contents.len() as u64 } else { 0 });
        assert!(read(&Chunked::open(blob).unwrap(), "f").unwrap() == contents);
    }
}

/// A file that is cut as often as single bytes can bring it about.
fn often_cut(bytes: usize) -> Vec<u8> {
    let mut window = std::collections::VecDeque::from(vec![0_u32; 64]);
    let (mut plain, mut weighted) = (64_u32 * 31, 64_u32 * 63 * 31);
    let mut file = Vec::with_capacity(bytes);
    while file.len() < bytes {
        let dropped = window.pop_front().unwrap();
        let before = weighted.wrapping_add(plain).wrapping_sub(dropped).wrapping_sub(64 * (dropped + 31));
        let wanted = 0xffff_u32.wrapping_sub(before) & 0xffff;
        let byte = if wanted < 256 { wanted } else { (file.len() as u32).wrapping_mul(2_654_435_761) >> 24 };
        plain = plain.wrapping_add(byte).wrapping_sub(dropped);
        weighted = before.wrapping_add(byte);
        window.push_back(byte);
        file.push(byte as u8);
    }
    file
}

#[test]
fn a_file_that_is_made_to_be_cut_often_is_not_cut_more_than_every_4_kib() {
    let contents = often_cut(3 * BLOCK);
    let (packed, blob) = Chunked::packed(&tar_of(&[file("f", contents.clone())]));
    let chunks = files(&Chunked::toc(&blob)).remove(0);
    assert!(chunks.len() > 1024, "{}", chunks.len());
    assert!(chunks.len() <= 4 * BLOCK / 4096, "{}", chunks.len());
    assert_eq!(packed.diff_id, Digest::of(Chunked::decode(&blob)));
    assert!(read(&Chunked::open(blob).unwrap(), "f").unwrap() == contents);
}

#[test]
fn every_payload_begins_and_ends_a_frame_and_entries_without_share_one() {
    let many: Vec<_> = (0..300).map(|number| file(&format!("e{number}"), Vec::new())).collect();
    let (_, blob) = Chunked::packed(&tar_of(&many));
    // One for the tar; three are skippable.
    assert_eq!(frames(&blob), (1, 3));
    let (_, blob) =
        Chunked::packed(&tar_of(&[file("a", b"a".to_vec()), file("b", Vec::new()), file("c", b"c".to_vec())]));
    assert_eq!(frames(&blob), (5, 3));
}

/// Frames with content, and skippable ones.
fn frames(mut blob: &[u8]) -> (usize, usize) {
    let (mut data, mut skippable) = (0, 0);
    while !blob.is_empty() {
        let bytes = zstd::zstd_safe::find_frame_compressed_size(blob).unwrap();
        *(if blob[0] == 0x28 { &mut data } else { &mut skippable }) += 1;
        blob = &blob[bytes..];
    }
    (data, skippable)
}
