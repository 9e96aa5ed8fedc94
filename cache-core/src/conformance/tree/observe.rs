//! What is in a tree: everything that a layer can carry, and what it cannot.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr};

use crate::digest::Digest;

/// A tree as it was found: path to entry, without what differs between two places of the same tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::conformance) struct Tree(BTreeMap<PathBuf, Entry>);

/// containerd's suite compares what its continuity manifest holds; times and attributes are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    content: Content,
    mode: u32,
    owner: (u32, u32),
    /// Seconds and nanoseconds. The root has none: overlayfs shows that of its newest layer.
    modified: Option<(i64, i64)>,
    attributes: BTreeMap<CString, Vec<u8>>,
    /// The first name of the same file, if it has several.
    link: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    File { size: u64, digest: Digest },
    Directory,
    Symlink(OsString),
    Device { block: bool, number: u64 },
    Pipe,
    Socket,
}

/// Reads the tree at `root`.
pub(in crate::conformance) fn observe(root: &Path) -> io::Result<Tree> {
    let mut tree = BTreeMap::new();
    let mut links = BTreeMap::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let full = root.join(&path);
        // The root may be a link of procfs to the directory; what is in it is never followed.
        let metadata = if path.as_os_str().is_empty() { fs::metadata(&full)? } else { fs::symlink_metadata(&full)? };
        if metadata.is_dir() {
            for child in fs::read_dir(&full)? {
                waiting.push(path.join(child?.file_name()));
            }
        } else if metadata.nlink() > 1 {
            links.entry((metadata.dev(), metadata.ino())).or_insert_with(Vec::new).push(path.clone());
        }
        let entry = Entry {
            content: content(&full, &metadata)?,
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            modified: (!path.as_os_str().is_empty()).then(|| (metadata.mtime(), metadata.mtime_nsec())),
            attributes: attributes(&full)?,
            link: None,
        };
        tree.insert(path, entry);
    }
    for mut names in links.into_values().filter(|names| names.len() > 1) {
        names.sort();
        for name in &names {
            if let (Some(entry), Some(first)) = (tree.get_mut(name), names.first()) {
                entry.link = Some(first.clone());
            }
        }
    }
    Ok(Tree(tree))
}

fn content(path: &Path, metadata: &fs::Metadata) -> io::Result<Content> {
    let kind = metadata.file_type();
    Ok(if kind.is_file() {
        Content::File { size: metadata.len(), digest: Digest::of(fs::read(path)?) }
    } else if kind.is_dir() {
        Content::Directory
    } else if kind.is_symlink() {
        Content::Symlink(fs::read_link(path)?.into_os_string())
    } else if kind.is_fifo() {
        Content::Pipe
    } else if kind.is_socket() {
        Content::Socket
    } else {
        Content::Device { block: kind.is_block_device(), number: metadata.rdev() }
    })
}

/// The extended attributes that belong to the tree: not those by which overlayfs keeps its state, nor the label that a
/// security module gives every file.
fn attributes(path: &Path) -> io::Result<BTreeMap<CString, Vec<u8>>> {
    const NAMES_BYTES: usize = 1 << 16;
    let mut names = vec![0; NAMES_BYTES];
    let length = match llistxattr(path, names.as_mut_slice()) {
        Ok(length) => length,
        Err(error) if error == rustix::io::Errno::OPNOTSUPP => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    let mut attributes = BTreeMap::new();
    for name in names.get(..length).unwrap_or_default().split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let text = name.to_bytes();
        let foreign: [&[u8]; 3] = [b"trusted.overlay.", b"user.overlay.", b"security.selinux"];
        if foreign.iter().any(|prefix| text.starts_with(prefix)) {
            continue;
        }
        let mut value = vec![0; NAMES_BYTES];
        let length = lgetxattr(path, name, value.as_mut_slice())?;
        value.truncate(length);
        attributes.insert(name.to_owned(), value);
    }
    Ok(attributes)
}

impl Tree {
    /// The first thing in which this tree is not `wanted`.
    pub(in crate::conformance) fn difference(&self, wanted: &Self) -> Option<String> {
        let missing = wanted.0.keys().find(|path| !self.0.contains_key(*path));
        let extra = self.0.keys().find(|path| !wanted.0.contains_key(*path));
        let other = self.0.iter().find_map(|(path, found)| {
            let wanted = wanted.0.get(path)?;
            (found != wanted).then(|| format!("{}: found {found:?}, wanted {wanted:?}", path.display()))
        });
        missing
            .map(|path| format!("{} is missing", path.display()))
            .or_else(|| extra.map(|path| format!("{} should not be there", path.display())))
            .or(other)
    }

    /// The same with times in whole seconds, which is all that a layer has.
    pub(in crate::conformance) fn in_whole_seconds(mut self) -> Self {
        for (_, nanoseconds) in self.0.values_mut().filter_map(|entry| entry.modified.as_mut()) {
            *nanoseconds = 0;
        }
        self
    }

    /// The same without the times.
    pub(in crate::conformance) fn without_times(mut self) -> Self {
        for entry in self.0.values_mut() {
            entry.modified = None;
        }
        self
    }

    /// The paths, without the root, in their order.
    pub(in crate::conformance) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path).filter(|path| !path.as_os_str().is_empty())
    }
}
