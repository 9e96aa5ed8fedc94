//! The contents of an open file, its holes found by asking the file system.

use std::fs::File;
use std::io::{self, Read};

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::content::{Content, Extent, read_some};

/// Reads a regular file.
#[derive(Debug)]
pub(super) struct FileContent {
    file: File,
    /// Bytes from here on are data up to this offset.
    data_end: u64,
    position: u64,
    size: u64,
    sparse: bool,
    ended: bool,
}

impl FileContent {
    /// `sparse` says that the file takes up less room than its size, so that looking for holes can pay.
    pub(super) fn new(file: File, size: u64, sparse: bool) -> Self {
        Self { file, data_end: 0, position: 0, size, sparse, ended: false }
    }

    /// Length of the hole at the current position; leaves the file at the data behind it.
    fn hole(&mut self) -> io::Result<u64> {
        let start = match seek(&self.file, SeekFrom::Data(self.position)) {
            Ok(start) => start.min(self.size),
            // No data from here to the end.
            Err(Errno::NXIO) => self.size,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                self.sparse = false;
                self.position
            }
            Err(error) => return Err(error.into()),
        };
        self.data_end = match self.sparse && start < self.size {
            true => seek(&self.file, SeekFrom::Hole(start))?,
            false => self.size,
        };
        seek(&self.file, SeekFrom::Start(start))?;
        let hole = start - self.position;
        self.position = start;
        Ok(hole)
    }
}

impl Content for FileContent {
    fn next_extent(&mut self, buffer: &mut [u8]) -> io::Result<Extent> {
        if self.ended {
            return Ok(Extent::End);
        }
        let mut limit = buffer.len();
        if self.sparse && self.position < self.size {
            if self.position >= self.data_end {
                let hole = self.hole()?;
                if hole > 0 {
                    return Ok(Extent::Hole(hole));
                }
            }
            let left = self.data_end.saturating_sub(self.position);
            if self.sparse && left > 0 {
                limit = usize::try_from(left).map_or(limit, |left| left.min(limit));
            }
        }
        match read_some(&mut (&self.file as &File).take(limit as u64), &mut buffer[..limit])? {
            0 => Ok(Extent::End),
            count => {
                self.position += count as u64;
                // A regular file gives less than was asked for only where it ends, so nobody has to ask again.
                self.ended = count < limit && self.position >= self.size;
                Ok(Extent::Data(count))
            }
        }
    }
}
