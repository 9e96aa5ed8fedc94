//! The bytes and the holes of a file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{SeekFrom, copy_file_range, ftruncate, ioctl_ficlone, seek};
use rustix::io::Errno;

/// Bytes per call of copy_file_range(2), so that a cancelled copy of a huge file ends soon. At 1 GB/s it is 1/8 s.
const RANGE_BYTES: u64 = 128 * 1024 * 1024;

/// Bytes of the buffer where the kernel cannot copy by itself.
const BUFFER_BYTES: usize = 128 * 1024;

/// Copies files' contents the cheapest way that the file systems offer, and remembers which ways they do not.
#[derive(Debug, Default)]
pub(super) struct Contents {
    no_clones: bool,
    no_ranges: bool,
}

impl Contents {
    /// Gives the empty file `to` the `length` bytes of `from`, with a hole wherever `from` has one.
    pub(super) fn copy(&mut self, from: &File, to: &File, length: u64, cancelled: &AtomicBool) -> io::Result<()> {
        if length == 0 || self.clone(from, to)? {
            return Ok(());
        }
        ftruncate(to, length)?;
        let mut position = 0;
        while let Some((start, end)) = data(from, position, length)? {
            self.copy_range(from, to, start, end, cancelled)?;
            position = end;
        }
        Ok(())
    }

    /// Shares `from`'s blocks with `to`, where the file system can (Btrfs, XFS, bcachefs, ZFS); whether it did.
    fn clone(&mut self, from: &File, to: &File) -> io::Result<bool> {
        if self.no_clones {
            return Ok(false);
        }
        match ioctl_ficlone(to, from) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY | Errno::NOSYS | Errno::PERM) => {
                self.no_clones = true;
                Ok(false)
            }
            // This file only: compressed, encrypted or being swapped to.
            Err(Errno::TXTBSY | Errno::BADF) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn copy_range(&mut self, from: &File, to: &File, start: u64, end: u64, cancelled: &AtomicBool) -> io::Result<()> {
        let mut position = start;
        while position < end && !self.no_ranges {
            refuse_cancelled(cancelled)?;
            let (mut source, mut target) = (position, position);
            let wanted = usize::try_from((end - position).min(RANGE_BYTES)).unwrap_or(usize::MAX);
            match copy_file_range(from, Some(&mut source), to, Some(&mut target), wanted) {
                // The file was cut; some file systems also answer so when they cannot do it.
                Ok(0) => break,
                Ok(copied) => position += copied as u64,
                Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => {
                    self.no_ranges = true
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut buffer = if position < end { vec![0; BUFFER_BYTES] } else { Vec::new() };
        while position < end {
            refuse_cancelled(cancelled)?;
            let wanted = usize::try_from(end - position).unwrap_or(usize::MAX).min(buffer.len());
            let read = match from.read_at(&mut buffer[..wanted], position) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            to.write_all_at(&buffer[..read], position)?;
            position += read as u64;
        }
        Ok(())
    }
}

/// The first range of data at or after `position`; `None` if only a hole is left.
fn data(file: &File, position: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
    if position >= length {
        return Ok(None);
    }
    let start = match seek(file, SeekFrom::Data(position)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        // A file system without holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((position, length))),
        Err(error) => return Err(error.into()),
    };
    if start >= length {
        return Ok(None);
    }
    let end = seek(file, SeekFrom::Hole(start))?;
    Ok(Some((start, end.min(length))))
}

fn refuse_cancelled(cancelled: &AtomicBool) -> io::Result<()> {
    if cancelled.load(Ordering::Relaxed) { Err(io::Error::other("nobody wants the copy any more")) } else { Ok(()) }
}
