//! Random trees. Readers other than ours list and extract their layers too, in `examples/tests/interop_tar_readers.rs`.
#![allow(missing_docs, clippy::unwrap_used, unreachable_pub)]

use cache_blobs::changes::MemoryTree;
use cache_blobs::tar::{Header, Kind, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

/// A tree over few names, so that trees have names in common.
pub fn tree(whiteouts: bool) -> impl Strategy<Value = MemoryTree> {
    let name = prop_oneof![Just("a"), Just("a-b"), Just("a.b"), Just("b"), Just("c")];
    let path = vec(name, 1..4).prop_map(|names| names.join("/"));
    let kinds = if whiteouts { 0..7u8 } else { 0..5u8 };
    let entry =
        (path, kinds, prop_oneof![Just(0o644), Just(0o600)], "[xy]{0,2}", 0..2i64, prop_oneof![Just(0), Just(7u32)]);
    vec(entry, 0..15).prop_map(|entries| {
        let mut tree = MemoryTree::new();
        for (path, kind, mode, content, seconds, nanos) in entries {
            let header = match kind {
                0 | 1 => Header::file(path, 0),
                2 | 3 => Header::directory(path),
                4 => Header::symlink(path, content.clone() + "t"),
                5 => Header::new(Kind::CharDevice, path),
                _ => Header::directory(path).with_xattr("trusted.overlay.opaque", "y"),
            };
            let header = header.with_mode(mode).with_modified(Timestamp { seconds, nanos });
            let content = if header.kind == Kind::File { content.as_bytes() } else { b"" };
            // An entry below a file is none.
            let _ = tree.insert(&header, content);
        }
        tree
    })
}
