//! A tar in the order in which readers want it.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use cache_core::{Error, ErrorKind, Result};

use super::archive::Archive;
use super::names::Names;
use super::options::{MissingFiles, PrefetchOptions};
use super::picker::Picker;
use super::{LANDMARK_CONTENTS, NO_PREFETCH_LANDMARK, PREFETCH_LANDMARK};
use crate::codec::failure::error_of_io;
use crate::failure::archive_kind;
use crate::tar::{Header, TAR_BLOCK_BYTES, Writer};

/// How the entries of a tar follow each other when some come first: these with what they need before them, then
/// `.prefetch.landmark`, then the others as they were; without any, `.no.prefetch.landmark` in front of all.
///
/// The tar is read twice, once to know its entries and once to [copy](Self::copy) it, since what comes first may lie anywhere.
/// An entry keeps its bytes: its headers, contents and padding. Of entries of one name the last is kept, and landmarks and
/// tables of contents that are there already are left out, as is everything behind the end.
///
/// Mirrors: stargz-snapshotter `estargz/build.go`, `sortEntries`. There an entry is missing when one of its directories is,
/// which here is passed over; and nothing there looks after whiteouts, or after hard links to entries that come again.
///
/// ```
/// use std::io::Cursor;
///
/// use cache_blobs::codec::estargz::{PrefetchOptions, PrefetchOrder};
/// use cache_blobs::layer::LayerBuilder;
/// use cache_blobs::tar::{Header, Reader};
///
/// let mut layer = LayerBuilder::new(Vec::new());
/// layer.add(&Header::file("etc/motd", 2), &b"hi"[..])?;
/// layer.add(&Header::file("usr/bin/tool", 3), &b"ELF"[..])?;
/// let mut tar = Cursor::new(layer.finish()?);
///
/// let options = PrefetchOptions::default().with_prioritized(["/usr/bin/tool"]);
/// let order = PrefetchOrder::of(&mut tar, &options)?;
/// let mut reordered = Vec::new();
/// order.copy(&mut tar, &mut reordered)?;
///
/// let mut reader = Reader::new(&reordered[..]);
/// let mut names = Vec::new();
/// while let Some(entry) = reader.next_entry()? {
///     names.push(String::from_utf8_lossy(&entry.header().path).into_owned());
/// }
/// assert_eq!(names, ["usr/", "usr/bin/", "usr/bin/tool", ".prefetch.landmark", "etc/", "etc/motd"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefetchOrder {
    pieces: Vec<Piece>,
    missing: Vec<Vec<u8>>,
}

/// A part of the new tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes of the old one.
    Old(Range<u64>),
    /// Bytes that it has not.
    New(Vec<u8>),
}

impl PrefetchOrder {
    /// The order of `tar`, which is read to its end.
    ///
    /// # Errors
    /// `NotFound` for a prioritised file that is missing, if that is [refused](MissingFiles::Refuse); `Corrupt` for what is no
    /// tar; `Unsupported` for a sparse file, and for a name that comes again after a hard link to it, or as something else than
    /// a directory after something in it; `LimitExceeded` past [`index_bytes`](PrefetchOptions::index_bytes), or a limit of the
    /// tar reader; what reading gives.
    pub fn of(tar: impl Read, options: &PrefetchOptions) -> Result<Self> {
        let archive = Archive::read(tar, options.index_bytes)?;
        let mut picker = Picker::new(&archive);
        let mut missing = Vec::new();
        for path in &options.prioritized {
            let name = archive.find(path);
            match name.and_then(|name| archive.entry(name)) {
                Some(entry) => picker.pick(entry),
                // The root needs no entry.
                None if name.is_some_and(Names::is_root) => {}
                None if options.missing == MissingFiles::Refuse => return Err(not_found(path)),
                None => missing.push(path.clone()),
            }
        }
        let landmark = if options.prioritized.is_empty() { NO_PREFETCH_LANDMARK } else { PREFETCH_LANDMARK };
        let mut pieces = Pieces::default();
        let first = picker.picked().iter().copied();
        first.filter_map(|entry| archive.kept(entry)).for_each(|range| pieces.push_old(range));
        pieces.push_new(landmark_entry(landmark)?);
        let rest = (0..archive.len()).filter(|entry| !picker.has(*entry));
        rest.filter_map(|entry| archive.kept(entry)).for_each(|range| pieces.push_old(range));
        pieces.push_new(vec![0; 2 * TAR_BLOCK_BYTES]);
        Ok(Self { pieces: pieces.0, missing })
    }

    /// The prioritised files that the tar has not, as they were spelled.
    pub fn missing(&self) -> &[Vec<u8>] {
        &self.missing
    }

    /// The parts of the new tar, for those who read the old one in ranges.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Length of the new tar in bytes.
    pub fn tar_bytes(&self) -> u64 {
        let bytes = self.pieces.iter().map(|piece| match piece {
            Piece::Old(range) => range.end - range.start,
            Piece::New(bytes) => bytes.len() as u64,
        });
        bytes.sum()
    }

    /// Writes the new tar to `out`. `tar` must be the one of which this is the order.
    ///
    /// # Errors
    /// `Corrupt` if `tar` is shorter than it was; what reading and writing give.
    pub fn copy(&self, tar: &mut (impl Read + Seek), out: &mut impl Write) -> Result<()> {
        let copy = |error| error_of_io("copy", "a tar", error);
        for piece in &self.pieces {
            match piece {
                Piece::New(bytes) => out.write_all(bytes).map_err(copy)?,
                Piece::Old(range) => {
                    tar.seek(SeekFrom::Start(range.start)).map_err(copy)?;
                    let bytes = range.end - range.start;
                    if io::copy(&mut Read::take(&mut *tar, bytes), out).map_err(copy)? != bytes {
                        return Err(Error::new(ErrorKind::Corrupt, "reorder", "a tar that is shorter than it was"));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Parts of a tar that are as few as can be.
#[derive(Debug, Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn push_old(&mut self, range: &Range<u64>) {
        match self.0.last_mut() {
            Some(Piece::Old(last)) if last.end == range.start => last.end = range.end,
            _ => self.0.push(Piece::Old(range.clone())),
        }
        // Only the padding of the last entry can be missing.
        let short = (range.end - range.start) % TAR_BLOCK_BYTES as u64;
        if short > 0 {
            self.push_new(vec![0; TAR_BLOCK_BYTES - usize::try_from(short).unwrap_or_default()]);
        }
    }

    fn push_new(&mut self, bytes: Vec<u8>) {
        match self.0.last_mut() {
            Some(Piece::New(last)) => last.extend_from_slice(&bytes),
            _ => self.0.push(Piece::New(bytes)),
        }
    }
}

/// A landmark, of which only name and size are set.
fn landmark_entry(name: &str) -> Result<Vec<u8>> {
    let header = Header::file(name, LANDMARK_CONTENTS.len() as u64).with_mode(0);
    let mut writer = Writer::new(Vec::new());
    writer
        .append(&header, &LANDMARK_CONTENTS[..])
        .map_err(|error| Error::new(archive_kind(&error), "write", "a landmark").with_source(error))?;
    Ok(writer.get_ref().clone())
}

fn not_found(name: &[u8]) -> Error {
    let name = String::from_utf8_lossy(name);
    Error::new(ErrorKind::NotFound, "prioritise", format_args!("{}, which the layer has not", name.escape_debug()))
}
