//! Random archives of any entries. Readers other than ours list them too, in `examples/tests/interop_tar_readers.rs`.
#![allow(missing_docs, clippy::unwrap_used, unreachable_pub)]

use cache_blobs::tar::{Header, Kind, Timestamp, Writer};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// Bytes without NUL, short ones and long ones.
fn text(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(b'a'..=b'z', 0..10), vec(1u8..=255, 0..most), vec(prop_oneof![Just(b'/'), b'a'..=b'c'], 0..most)]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::File),
        Just(Kind::Directory),
        Just(Kind::Symlink),
        Just(Kind::HardLink),
        Just(Kind::CharDevice),
        Just(Kind::BlockDevice),
        Just(Kind::Fifo),
    ]
}

/// A number near one of the bounds of the formats, or any.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..5000u64, 0o7_777_770..0o10_000_010u64, (1 << 33) - 3..(1 << 33) + 3u64, 0..=i64::MAX as u64]
}

fn time() -> impl Strategy<Value = Timestamp> {
    let seconds = prop_oneof![number().prop_map(u64::cast_signed), -5000..5000i64, -i64::MAX..0];
    (seconds, prop_oneof![Just(0), 0..1_000_000_000u32]).prop_map(|(seconds, nanos)| Timestamp { seconds, nanos })
}

prop_compose! {
    /// An entry with anything that its header can say, and its content.
    pub fn entry()(
        kind in kind(),
        mut path in text(300),
        link in text(300),
        (mode, uid, gid) in (0..0o10000u32, number(), number()),
        modified in time(),
        (user, group) in (text(40), text(40)),
        (major, minor) in (0..1u32 << 21, 0..1u32 << 21),
        xattrs in btree_map("[a-z.]{1,20}", vec(any::<u8>(), 0..50), 0..3),
        records in btree_map("x-[a-z]{1,20}", vec(any::<u8>(), 1..50), 0..3),
        content in vec(any::<u8>(), 0..2000),
    ) -> (Header, Vec<u8>) {
        while path.ends_with(b"/") {
            path.pop();
        }
        if kind == Kind::Directory {
            path.push(b'/');
        }
        let mut header = Header::new(kind, path).with_mode(mode).with_owner(uid, gid).with_modified(modified);
        header.user_name = user;
        header.group_name = group;
        header.link = link;
        if matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
            header = header.with_device(major, minor);
        }
        header.xattrs = xattrs.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect();
        header.records = records.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect();
        let content = if kind == Kind::File { content } else { Vec::new() };
        header.size = content.len() as u64;
        (header, content)
    }
}

/// The tar of `entries`.
pub fn archive(entries: &[(Header, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (header, content) in entries {
        writer.append(header, &content[..]).unwrap();
    }
    writer.finish().unwrap()
}
