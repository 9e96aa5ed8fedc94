//! Archives of checks: layers as tars, and the same files as a plain tree.
//!
//! It is a second opinion on what a layer looks like, so it shares no code with the writer and the reader of the
//! family.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::FileType;
use rustix::process::{getegid, geteuid};

use super::change::{Change, Ticks, apply};

const BLOCK: usize = 512;

/// A tar that is being written.
#[derive(Clone, Debug)]
pub(in crate::conformance) struct Archive {
    items: Vec<Item>,
}

#[derive(Clone, Debug)]
struct Item {
    name: Vec<u8>,
    kind: u8,
    link: Vec<u8>,
    content: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
    device: (u32, u32),
    modified: i64,
    attributes: Vec<(&'static str, Vec<u8>)>,
}

impl Archive {
    /// An archive of what `changes` make, in their order. Each entry has a time of its own.
    pub(in crate::conformance) fn of(changes: &[Change]) -> Self {
        changes.iter().fold(Self { items: Vec::new() }, Self::with)
    }

    /// The same, with one more change: an entry, or another attribute of the entry of that name.
    fn with(mut self, change: &Change) -> Self {
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        match change {
            Change::File(path, content, mode) => self = self.entry(&bytes(path), b'0', b"", content, *mode),
            Change::Directory(path, mode) => {
                self = self.entry(&[bytes(path), b"/".to_vec()].concat(), b'5', b"", b"", *mode);
            }
            Change::Symlink(path, target) => self = self.entry(&bytes(path), b'2', &bytes(target), b"", 0o777),
            Change::HardLink(path, to) => {
                self = self.entry(&bytes(path), b'1', &bytes(to), b"", 0o644);
                // The header of a link tells of the same file.
                if let Some(file) = self.items.iter().find(|item| item.name == bytes(to)).cloned() {
                    self.change(&bytes(path), |item| {
                        (item.mode, item.owner, item.modified) = (file.mode, file.owner, file.modified);
                    });
                }
            }
            Change::Node(path, kind, major, minor) => {
                let kind = match kind {
                    FileType::CharacterDevice => b'3',
                    FileType::BlockDevice => b'4',
                    _ => b'6',
                };
                self = self.entry(&bytes(path), kind, b"", b"", 0o640);
                self.change(&bytes(path), |item| item.device = (*major, *minor));
            }
            Change::Owner(path, user, group) => self.change(&bytes(path), |item| item.owner = (*user, *group)),
            Change::Mode(path, mode) => self.change(&bytes(path), |item| item.mode = *mode),
            Change::Time(path, seconds, _) => self.change(&bytes(path), |item| item.modified = *seconds),
            Change::Xattr(path, name, value) => {
                self.change(&bytes(path), |item| {
                    if item.kind != b'1' {
                        item.attributes.push((*name, value.clone()));
                    }
                });
            }
            Change::Remove(path) => {
                let (parent, base) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
                let name = [b".wh.", base.as_bytes()].concat();
                let name = parent.join(std::ffi::OsStr::from_bytes(&name));
                self = self.entry(&bytes(&name), b'0', b"", b"", 0);
            }
            // A layer has no entry for it.
            Change::Rename(..) => {}
        }
        self
    }

    /// The same with one more entry, just as it is given.
    pub(in crate::conformance) fn entry(
        mut self,
        name: &[u8],
        kind: u8,
        link: &[u8],
        content: &[u8],
        mode: u32,
    ) -> Self {
        self.items.push(Item {
            name: name.to_vec(),
            kind,
            link: link.to_vec(),
            content: content.to_vec(),
            mode,
            owner: (geteuid().as_raw(), getegid().as_raw()),
            device: (0, 0),
            modified: 1_100_000_000 + self.items.len() as i64,
            attributes: Vec::new(),
        });
        self
    }

    /// Changes the entry `name`, and what its hard links tell of it.
    fn change(&mut self, name: &[u8], change: impl Fn(&mut Item)) {
        for item in &mut self.items {
            let is_link = item.kind == b'1' && item.link == name;
            if is_link || item.name.strip_suffix(b"/").unwrap_or(&item.name) == name {
                change(item);
            }
        }
    }

    /// The archive with its end.
    pub(in crate::conformance) fn bytes(&self) -> Bytes {
        let mut tar = Vec::new();
        for item in &self.items {
            item.write(&mut tar);
        }
        tar.resize(tar.len() + 2 * BLOCK, 0);
        tar.into()
    }

    /// The same files, owners and times as a plain tree. Whiteouts have none.
    pub(in crate::conformance) fn make(&self, root: &Path) -> io::Result<()> {
        let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
        let mut changes = Vec::new();
        for item in &self.items {
            let name = path(item.name.strip_suffix(b"/").unwrap_or(&item.name));
            let kind = match item.kind {
                b'3' => FileType::CharacterDevice,
                b'4' => FileType::BlockDevice,
                _ => FileType::Fifo,
            };
            changes.push(match item.kind {
                b'0' => Change::File(name.clone(), item.content.clone(), item.mode),
                b'5' => Change::Directory(name.clone(), item.mode),
                b'2' => Change::Symlink(name.clone(), path(&item.link)),
                b'1' => Change::HardLink(name, path(&item.link)),
                _ => Change::Node(name.clone(), kind, item.device.0, item.device.1),
            });
            if item.kind == b'1' {
                continue;
            }
            let name = path(item.name.strip_suffix(b"/").unwrap_or(&item.name));
            changes.push(Change::Owner(name.clone(), item.owner.0, item.owner.1));
            if item.kind != b'2' {
                // Giving a file away takes its special bits.
                changes.push(Change::Mode(name.clone(), item.mode));
            }
            let attributes = item.attributes.iter();
            changes.extend(attributes.map(|(key, value)| Change::Xattr(name.clone(), key, value.clone())));
        }
        for item in self.items.iter().filter(|item| item.kind != b'1') {
            let name = path(item.name.strip_suffix(b"/").unwrap_or(&item.name));
            changes.push(Change::Time(name, item.modified, 0));
        }
        apply(root, &changes, &mut Ticks::default())
    }
}

impl Item {
    fn write(&self, tar: &mut Vec<u8>) {
        let mut records = Vec::new();
        let fits = |text: &[u8]| text.len() <= 100 && text.is_ascii();
        if !fits(&self.name) {
            record(&mut records, b"path", &self.name);
        }
        if !fits(&self.link) {
            record(&mut records, b"linkpath", &self.link);
        }
        for (key, id) in [(b"uid", self.owner.0), (b"gid", self.owner.1)] {
            if id > 0o7_777_777 {
                record(&mut records, key, id.to_string().as_bytes());
            }
        }
        for (name, value) in &self.attributes {
            record(&mut records, format!("SCHILY.xattr.{name}").as_bytes(), value);
        }
        if !records.is_empty() {
            let extended = Item {
                name: b"PaxHeaders.0/entry".to_vec(),
                kind: b'x',
                content: records,
                link: Vec::new(),
                mode: 0o644,
                owner: (0, 0),
                attributes: Vec::new(),
                ..self.clone()
            };
            extended.block(tar);
        }
        self.block(tar);
    }

    fn block(&self, tar: &mut Vec<u8>) {
        let start = tar.len();
        tar.resize(start + BLOCK, 0);
        let header = &mut tar[start..];
        let short = |text: &[u8]| text.iter().take(100).copied().collect::<Vec<_>>();
        let number = |value: u64, width: usize| format!("{:0width$o}\0", value, width = width - 1).into_bytes();
        let id = |id: u32| if id > 0o7_777_777 { 0 } else { u64::from(id) };
        let fields = [
            (0, short(&self.name)),
            (100, number(u64::from(self.mode), 8)),
            (108, number(id(self.owner.0), 8)),
            (116, number(id(self.owner.1), 8)),
            (124, number(self.content.len() as u64, 12)),
            (136, number(self.modified.unsigned_abs(), 12)),
            (148, b"        ".to_vec()),
            (156, vec![self.kind]),
            (157, short(&self.link)),
            (257, b"ustar\x0000".to_vec()),
            (329, number(u64::from(self.device.0), 8)),
            (337, number(u64::from(self.device.1), 8)),
        ];
        for (at, field) in fields {
            header[at..at + field.len()].copy_from_slice(&field);
        }
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend_from_slice(&self.content);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
}

/// A record of an extended header begins with its own length, in decimal digits.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.extend_from_slice(b" ");
    records.extend_from_slice(key);
    records.extend_from_slice(b"=");
    records.extend_from_slice(value);
    records.extend_from_slice(b"\n");
}
