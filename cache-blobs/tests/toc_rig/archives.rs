//! Tars, and what is in them.

use cache_blobs::tar::{Header, Writer};
use cache_core::Digest;

/// A tar of files with contents and of other entries.
pub(crate) fn tar_of(entries: &[(Header, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (header, contents) in entries {
        writer.append(header, &contents[..]).unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) fn file(path: &str, contents: Vec<u8>) -> (Header, Vec<u8>) {
    (Header::file(path, contents.len() as u64), contents)
}

/// `tar` with other bytes in its first header, and the checksum that they have.
pub(crate) fn resealed(mut tar: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    tar[at..at + bytes.len()].copy_from_slice(bytes);
    tar[148..156].copy_from_slice(b"        ");
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar
}

/// Bytes that do not compress, never the same for two seeds.
pub(crate) fn noise(bytes: usize, seed: u32) -> Vec<u8> {
    (0..bytes.div_ceil(32)).flat_map(|at| Digest::of(format!("{seed}/{at}")).as_bytes().to_vec()).take(bytes).collect()
}
