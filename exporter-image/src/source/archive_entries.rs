//! What is where in the tar of an image archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom};

use cache_blobs::tar::{Header, Kind, ReadLimits, Reader, TAR_BLOCK_BYTES};
use cache_core::{Algorithm, Digest};

use crate::error::{DocumentProblem, Error, Result};

/// Entries of an archive. An image of the most layers that overlayfs can stack has some hundred.
const MAX_ENTRIES: usize = 1 << 16;
/// Bytes of a name. Together with the number of entries it bounds the memory that an archive's index takes to 64 MiB.
const MAX_NAME_BYTES: usize = 1024;
/// Links that lead to links. Docker writes one.
const MAX_HOPS: usize = 8;

/// A run of bytes in the archive's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) offset: u64,
    pub(super) size: u64,
}

#[derive(Clone, Debug)]
enum Entry {
    File(Slice),
    /// To a name in the archive.
    Link(String),
    /// To somewhere else; an error only if somebody follows it.
    Nowhere,
}

/// The files and links of an archive, by cleaned name. Links are followed in this table, never in the file system.
#[derive(Clone, Debug)]
pub(super) struct ArchiveEntries(BTreeMap<String, Entry>);

impl ArchiveEntries {
    /// Looks at every header of `file` and skips the contents. Blocks.
    pub(super) fn scan(mut file: &File, target: &str) -> Result<Self> {
        let failed = |source| cache_core::Error::io("read image archive", target, source);
        let problem = |problem| Error::Document { document: target.to_owned(), problem };
        let length = file.metadata().map_err(failed)?.len();
        let limits = ReadLimits::default().with_path_bytes(MAX_NAME_BYTES);
        let mut entries = BTreeMap::new();
        let mut at = 0;
        loop {
            file.seek(SeekFrom::Start(at)).map_err(failed)?;
            let mut reader = Reader::with_limits(file, limits.clone());
            let Some(entry) = reader.next_entry().map_err(Error::Archive)? else { return Ok(Self(entries)) };
            let header = entry.into_header();
            let offset = at + reader.offset();
            let end = offset.checked_add(header.size).filter(|end| *end <= length);
            let name = String::from_utf8_lossy(&header.path).into_owned();
            let end = end.ok_or_else(|| problem(DocumentProblem::Path { name: name.clone() }))?;
            at = end.next_multiple_of(TAR_BLOCK_BYTES as u64);
            let (Some(cleaned), Some(entry)) = (clean("", &name), entry_of(&header, offset)) else { continue };
            // Which of two files of one name counts would depend on the reader.
            if entries.insert(cleaned, entry).is_some() {
                return Err(problem(DocumentProblem::Path { name }));
            }
            if entries.len() > MAX_ENTRIES {
                return Err(cache_core::Error::new(
                    cache_core::ErrorKind::LimitExceeded,
                    "read image archive (65536 entries)",
                    target,
                )
                .into());
            }
        }
    }

    /// The file `name`, links followed; `None` if there is none, or a link that leads out of the archive or in a circle.
    pub(super) fn find(&self, name: &str) -> Option<Slice> {
        let mut name = clean("", name)?;
        for _ in 0..=MAX_HOPS {
            match self.0.get(&name)? {
                Entry::File(slice) => return Some(*slice),
                Entry::Link(target) => name.clone_from(target),
                Entry::Nowhere => return None,
            }
        }
        None
    }

    /// The blobs that lie where a layout has them.
    pub(super) fn blobs(&self) -> BTreeMap<Digest, Slice> {
        let blobs = self.0.keys().filter_map(|name| Some((blob_digest(name)?, self.find(name)?)));
        blobs.collect()
    }
}

/// The digest that a path in a layout names.
pub(super) fn blob_digest(path: &str) -> Option<Digest> {
    let (algorithm, hex) = path.strip_prefix("blobs/")?.split_once('/')?;
    Algorithm::ALL.iter().find(|known| known.name() == algorithm)?;
    format!("{algorithm}:{hex}").parse().ok()
}

fn entry_of(header: &Header, offset: u64) -> Option<Entry> {
    let link = |base: &str| {
        let target = String::from_utf8(header.link.clone()).ok()?;
        clean(base, &target).map(Entry::Link)
    };
    match header.kind {
        Kind::File => Some(Entry::File(Slice { offset, size: header.size })),
        // The target of a hard link counts from the root, that of a symbolic link from its own directory.
        Kind::HardLink => Some(link("").unwrap_or(Entry::Nowhere)),
        Kind::Symlink => {
            let path = clean("", &String::from_utf8_lossy(&header.path))?;
            let base = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            let absolute = header.link.starts_with(b"/");
            Some(Some(()).filter(|()| !absolute).and_then(|()| link(base)).unwrap_or(Entry::Nowhere))
        }
        _ => None,
    }
}

/// `path` as seen from `base`, without `.`, `..` and empty parts; `None` if that leads out of the archive.
fn clean(base: &str, path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}
