//! Random archives, with what our reader says of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache_blobs::changes::{self, Change, Overlay, Tree, double_walk, overlay_upper};
use cache_blobs::layer::{LayerOptions, write_layer};
use cache_blobs::tar::{Header, Kind, Reader, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::listing::{Listing, by_us};
use super::one_meaning;
use crate::trees::tree;
use crate::{climbing_entries, property};

/// Archives of each kind.
const ARCHIVES: usize = 120;

/// What the archives are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Sound trees with names in UTF-8.
    Utf8,
    /// Sound trees with names of any bytes.
    Bytes,
    /// Any entries: those of the property tests of the reader and the writer.
    Anything,
    /// Entries with `..`, links in their way and repeated names: those of the property tests of the unpacking.
    Climbing,
    /// Layers of whole trees: those of the property tests of the differs.
    Whole,
    /// Layers of changes, whiteouts among them: those of the property tests of the differs.
    Layer,
}

/// A random archive.
#[derive(Debug)]
pub struct Archive {
    pub file: PathBuf,
    pub entries: Vec<(Header, Vec<u8>)>,
    pub ours: Listing,
}

impl Archive {
    /// The archive of `entries` in `file`.
    pub fn write(file: PathBuf, entries: Vec<(Header, Vec<u8>)>) -> Self {
        let tar = property::archive(&entries);
        fs::write(&file, &tar).unwrap();
        Self { file, entries, ours: by_us(&tar) }
    }

    /// The headers of its entries.
    pub fn headers(&self) -> impl Iterator<Item = &Header> {
        self.entries.iter().map(|(header, _)| header)
    }

    /// The archive of those entries that every tool makes the same files of.
    pub fn with_one_meaning(&self) -> Self {
        Self::write(self.file.with_extension("meant"), one_meaning::of(&self.entries))
    }

    /// Whether GNU tar and bsdtar show every name and time: they have none for the empty name, and bsdtar crashes over a
    /// year that a `struct tm` cannot hold.
    pub fn is_shown(&self) -> bool {
        let years = -(1 << 40)..1 << 40;
        self.headers().all(|header| !header.path.is_empty() && years.contains(&header.modified.seconds))
    }
}

fn component(made: Made) -> BoxedStrategy<Vec<u8>> {
    let utf8 = prop_oneof![
        4 => "[a-zA-Z0-9._-]{1,20}",
        1 => "[ -.0-~]{1,30}",
        1 => "[\u{1}-.0-\u{7f}]{1,20}",
        1 => "[äöüßéΩЖ日本語😀 a-z]{1,30}",
        1 => "[a-z]{90,200}",
    ]
    .prop_map(String::into_bytes);
    let bytes = vec(1_u8..=255, 1..40);
    let any = match made {
        Made::Utf8 => utf8.boxed(),
        _ => prop_oneof![utf8, bytes].boxed(),
    };
    any.prop_filter("one component of a path, and no whiteout", |name| {
        !name.contains(&b'/') && !matches!(&name[..], b"." | b"..") && !name.starts_with(b".wh.")
    })
    .boxed()
}

/// An entry before it has its place: which directory it is in, its name, and all else.
type Draft = ((prop::sample::Index, Vec<u8>), u8, u32, (u64, u64), i64, Vec<u8>, (Vec<u8>, prop::sample::Index));

fn draft(made: Made) -> impl Strategy<Value = Draft> {
    (
        (any::<prop::sample::Index>(), component(made)),
        0..10_u8,
        0..0o10000_u32,
        (0..100_000_u64, 0..3_000_000_u64),
        prop_oneof![0..5_000_000_000_i64, 0..1000_i64],
        vec(any::<u8>(), 0..3000),
        (vec(component(made), 1..5).prop_map(|parts| parts.join(&b'/')), any::<prop::sample::Index>()),
    )
}

/// A sound tree's entries, in any order that has parents first.
fn sound_tree(made: Made) -> impl Strategy<Value = Vec<(Header, Vec<u8>)>> {
    let records = btree_map("LAYERCACHE\\.[a-z]{1,20}", vec(any::<u8>(), 1..50), 0..2);
    (vec(draft(made), 1..15), records).prop_map(|(drafts, records)| {
        let mut entries: Vec<(Header, Vec<u8>)> = Vec::new();
        let mut directories = vec![Vec::new()];
        let mut taken = BTreeMap::new();
        for ((directory, name), kind, mode, (uid, gid), seconds, content, (target, first)) in drafts {
            let path = [&directory.get(&directories)[..], &name].concat();
            if taken.insert(path.clone(), ()).is_some() || path.len() > 1500 {
                continue;
            }
            let files: Vec<_> = entries.iter().filter(|(header, _)| header.kind == Kind::File).collect();
            let mut content = content;
            let mut header = match kind {
                0..=2 => Header::directory([&path[..], b"/"].concat()),
                3 => Header::symlink(path.clone(), target),
                4 if !files.is_empty() => {
                    let (linked, _) = first.get(&files);
                    let link = Header::hard_link(path.clone(), linked.path.clone());
                    link.with_mode(linked.mode).with_owner(linked.uid, linked.gid).with_modified(linked.modified)
                }
                5 => Header::new(Kind::CharDevice, path.clone()).with_device(1, 3),
                6 => Header::new(Kind::Fifo, path.clone()),
                7 => Header::new(Kind::BlockDevice, path.clone()).with_device(7, 300),
                _ => Header::file(path.clone(), content.len() as u64),
            };
            if header.kind != Kind::HardLink {
                header = header.with_mode(mode).with_owner(uid, gid).with_modified(Timestamp::from_seconds(seconds));
            }
            if header.kind != Kind::File {
                content.clear();
            }
            if header.kind == Kind::Directory {
                directories.push(header.path.clone());
            }
            header.records = records.iter().map(|(key, value)| (key.clone().into_bytes(), value.clone())).collect();
            entries.push((header, content));
        }
        entries
    })
}

/// The entries of the layer of `changes`.
fn layer(changes: impl Iterator<Item = Result<Change, changes::Error>>) -> Vec<(Header, Vec<u8>)> {
    let (tar, _) = write_layer(changes, Vec::new(), LayerOptions::default()).unwrap();
    let mut reader = Reader::new(&tar[..]);
    let mut entries = Vec::new();
    while let Some(mut entry) = reader.next_entry().unwrap() {
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        entries.push((entry.into_header(), content));
    }
    assert_eq!(property::archive(&entries), tar);
    entries
}

/// Random archives in files of `directory`.
pub fn archives(directory: &Path, made: Made) -> Vec<Archive> {
    let mut runner = TestRunner::deterministic();
    let strategy = match made {
        Made::Utf8 | Made::Bytes => sound_tree(made).boxed(),
        Made::Anything => vec(property::entry(), 0..5).boxed(),
        Made::Climbing => vec(climbing_entries::entry(), 1..12)
            .prop_map(|entries| {
                let entry = |(mut header, content): (Header, &str)| {
                    header.size = content.len() as u64;
                    (header, content.into())
                };
                entries.into_iter().map(entry).collect()
            })
            .boxed(),
        Made::Whole => tree(false).prop_map(|tree| layer(double_walk(None, &tree).unwrap())).boxed(),
        Made::Layer => (tree(false), tree(true), tree(true))
            .prop_map(|(lower, middle, upper)| {
                let base = Overlay::new(vec![Arc::new(middle), Arc::new(lower)]);
                let upper: Arc<dyn Tree> = Arc::new(upper);
                layer(overlay_upper(&base, &upper).unwrap())
            })
            .boxed(),
    };
    let archives: Vec<_> = (0..ARCHIVES)
        .map(|number| {
            let entries = strategy.new_tree(&mut runner).unwrap().current();
            Archive::write(directory.join(format!("{made:?}-{number}.tar")), entries)
        })
        .collect();
    assert!(archives.iter().map(|archive| archive.ours.len()).sum::<usize>() > ARCHIVES);
    archives
}
