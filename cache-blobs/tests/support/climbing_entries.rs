//! Random entries over few names, most of which climb, are rooted or go through links. Readers other than ours list them too,
//! in `examples/tests/interop_tar_readers.rs`.
#![allow(missing_docs, unreachable_pub)]

use cache_blobs::tar::{Header, Kind, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just(".."), Just("."), Just("")];
    (any::<bool>(), vec(name, 1..5))
        .prop_map(|(rooted, names)| format!("{}{}", if rooted { "/" } else { "" }, names.join("/")))
}

/// An entry and its content.
pub fn entry() -> impl Strategy<Value = (Header, &'static str)> {
    (0..9u8, path(), path(), 0..1000i64).prop_map(|(kind, path, target, seconds)| {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let (header, content) = match kind {
            0 | 1 => (Header::file(path.trim_end_matches('/'), 0), "content"),
            2 => (Header::directory(path), ""),
            3 | 4 => (Header::symlink(path, if target.is_empty() { "." } else { &target }), ""),
            5 => (Header::hard_link(path, target), ""),
            6 => (Header::file(format!("{directory}/.wh.{name}"), 0), ""),
            7 => (Header::file(format!("{directory}/.wh..wh..opq"), 0), ""),
            _ => (Header::new(Kind::Fifo, path.trim_end_matches('/')), ""),
        };
        (header.with_modified(Timestamp::from_seconds(seconds)), content)
    })
}
