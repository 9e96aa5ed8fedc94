//! What a table of contents means, checked as far as it can be without reading files.

use std::collections::{BTreeMap, BTreeSet};

use cache_core::{Error, ErrorKind, Result};

use super::chunk::Chunk;
use super::document::Toc;
use super::entry::{TocEntry, TocKind};
use super::text::clean;

/// More hard links to hard links than any archive has.
const MAX_HOPS: usize = 64;

/// Names and chunks of a table of contents.
#[derive(Debug)]
pub(in crate::codec) struct Index {
    /// The last entry of each name, which is the one that unpacking leaves.
    names: BTreeMap<String, usize>,
    /// The chunks of each regular file that is not empty, by the number of its entry.
    chunks: BTreeMap<usize, Vec<Chunk>>,
}

impl Index {
    /// Checks `toc` of a blob with `toc_offset` bytes before it: every chunk lies before the table, no two in the same place,
    /// no file reaches into another one, and the chunks of a file are its size.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(in crate::codec) fn of(toc: &Toc, toc_offset: u64) -> Result<Self> {
        let mut index = Self { names: BTreeMap::new(), chunks: BTreeMap::new() };
        let mut places = BTreeSet::new();
        let mut file: Option<(usize, &TocEntry)> = None;
        for (number, entry) in toc.entries.iter().enumerate() {
            if entry.kind != TocKind::Chunk {
                index.close(file)?;
                index.names.insert(clean(&entry.name), number);
                file = (entry.kind == TocKind::Reg).then_some((number, entry));
                if entry.kind != TocKind::Reg || entry.size == 0 {
                    continue;
                }
            }
            let (number, whole) = file.ok_or_else(|| corrupt(entry, "a chunk of no file"))?;
            let chunks = index.chunks.entry(number).or_default();
            let chunk = chunk_of(whole, entry, chunks)?;
            if chunk.offset >= toc_offset {
                return Err(corrupt(entry, "a chunk behind the table of contents"));
            }
            if !places.insert((chunk.offset, chunk.inner_offset)) {
                return Err(corrupt(entry, "two chunks in the same place"));
            }
            chunks.push(chunk);
        }
        index.close(file)?;
        for (number, chunks) in &mut index.chunks {
            for chunk in chunks.iter_mut() {
                let next = places.range((chunk.offset + 1, 0)..).next();
                chunk.end = next.map_or(toc_offset, |(offset, _)| *offset);
            }
            let entry = toc.entries.get(*number).filter(|entry| entry.end_offset > 0);
            if let (Some(entry), Some(last)) = (entry, chunks.last_mut()) {
                if entry.end_offset <= last.offset || entry.end_offset > last.end {
                    return Err(corrupt(entry, "an end that is not between a file and the next one"));
                }
                last.end = entry.end_offset;
            }
        }
        Ok(index)
    }

    /// Checks that all chunks of a file were there.
    fn close(&self, file: Option<(usize, &TocEntry)>) -> Result<()> {
        let Some((number, entry)) = file else { return Ok(()) };
        let covered = self.chunks.get(&number).and_then(|chunks| chunks.last());
        match covered.map_or(0, |last| last.file_offset + last.bytes) == entry.size {
            true => Ok(()),
            false => Err(corrupt(entry, "chunks that are not the whole file")),
        }
    }

    /// The entry that `path` names, in any spelling.
    pub(in crate::codec) fn entry<'a>(&self, toc: &'a Toc, path: &str) -> Option<&'a TocEntry> {
        self.names.get(&clean(path)).and_then(|number| toc.entries.get(*number))
    }

    /// The regular file that `path` names, also as a hard link, and its chunks; `None` if nothing has that name.
    ///
    /// # Errors
    /// `Invalid` if it is no regular file; `Corrupt` for hard links that lead nowhere.
    pub(in crate::codec) fn file<'a>(
        &'a self,
        toc: &'a Toc,
        path: &str,
    ) -> Result<Option<(&'a TocEntry, &'a [Chunk])>> {
        let mut name = clean(path);
        for hop in 0..MAX_HOPS {
            let number = self.names.get(&name).copied();
            let Some((number, entry)) = number.and_then(|it| Some((it, toc.entries.get(it)?))) else {
                return if hop == 0 { Ok(None) } else { Err(dangling(path)) };
            };
            match entry.kind {
                TocKind::Reg => {
                    let chunks = self.chunks.get(&number).map(Vec::as_slice).unwrap_or_default();
                    return Ok(Some((entry, chunks)));
                }
                TocKind::Hardlink => name = clean(&entry.link_name),
                _ => {
                    let target = format_args!("{}, which is no regular file", path.escape_debug());
                    return Err(Error::new(ErrorKind::Invalid, "read of a layer", target));
                }
            }
        }
        Err(dangling(path))
    }
}

/// The next chunk of `whole` after `before`. A size of 0 reaches to the end of the file.
fn chunk_of(whole: &TocEntry, entry: &TocEntry, before: &[Chunk]) -> Result<Chunk> {
    let covered = before.last().map_or(0, |last| last.file_offset + last.bytes);
    let left = whole.size.checked_sub(covered).filter(|left| *left > 0);
    let left = left.ok_or_else(|| corrupt(entry, "more chunks than the file has bytes"))?;
    let bytes = if entry.chunk_size == 0 { left } else { entry.chunk_size };
    if entry.chunk_offset != covered || bytes > left {
        return Err(corrupt(entry, "a chunk that does not follow the one before"));
    }
    // Older tables have no digest of a file's only chunk, because it is the file's.
    let digest = entry.chunk_digest.or(if bytes == whole.size { whole.digest } else { None });
    let (offset, inner_offset) = (entry.offset, entry.inner_offset);
    Ok(Chunk { file_offset: covered, bytes, kind: entry.chunk_kind, offset, end: offset, inner_offset, digest })
}

fn corrupt(entry: &TocEntry, why: &'static str) -> Error {
    let target = format_args!("the table of contents of a layer: {why} ({})", entry.name.escape_debug());
    Error::new(ErrorKind::Corrupt, "check", target)
}

fn dangling(path: &str) -> Error {
    let target = format_args!("{}, a hard link to nothing", path.escape_debug());
    Error::new(ErrorKind::Corrupt, "read of a layer", target)
}
