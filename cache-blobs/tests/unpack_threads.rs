//! The threads that unpack a layer. It is alone in its program, since it looks at all threads.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cache_blobs::apply::{ApplyOptions, Error, Operation, unpack};
use cache_blobs::tar::{Header, Writer};
use tempfile::tempdir;

/// More than are handed to the second thread at once, several times.
const FILES: usize = 100;

fn has_second_thread() -> bool {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let mut names = threads.filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).ok());
    names.any(|name| name.trim() == "layer-files")
}

/// Looks for the second thread whenever it is read.
struct Looking<'a> {
    archive: &'a [u8],
    seen: &'a mut bool,
}

impl Read for Looking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        *self.seen |= has_second_thread();
        self.archive.read(buffer)
    }
}

/// One test at a time looks for the second thread.
static ALONE: Mutex<()> = Mutex::new(());

/// Goes on after its first half when the second thread has ended. Where that was too quick to be seen, or is slow to begin, it waits
/// for a second.
struct Waiting<'a> {
    archive: &'a [u8],
    half: usize,
    is_seen: bool,
    begun: Instant,
}

impl Read for Waiting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Waiting<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.is_seen |= has_second_thread();
        while self.archive.len() <= self.half {
            let is_there = has_second_thread();
            self.is_seen |= is_there;
            if !is_there && (self.is_seen || self.begun.elapsed() > Duration::from_secs(1)) {
                break;
            }
            std::thread::yield_now();
        }
        Ok(&self.archive[..self.archive.len().min(64 * 1024)])
    }

    fn consume(&mut self, count: usize) {
        self.archive = &self.archive[count..];
    }
}

#[test]
fn a_failure_of_the_second_thread_ends_a_large_file() {
    let _alone = ALONE.lock();
    const LARGE: usize = 8 << 20;
    let mut writer = Writer::new(Vec::new());
    // More than any file system takes.
    let failing = Header::file("failing", 1).with_xattr("user.large", vec![b'x'; 70_000]);
    writer.append(&failing, &b"x"[..]).unwrap();
    writer.append(&Header::file("large", LARGE as u64), &vec![b'x'; LARGE][..]).unwrap();
    let archive = writer.finish().unwrap();
    let root = tempdir().unwrap();
    let waiting = Waiting { half: archive.len() / 2, archive: &archive, is_seen: false, begun: Instant::now() };
    match unpack(waiting, File::open(root.path()).unwrap(), &ApplyOptions::default()) {
        Err(Error::Io { operation: Operation::SetXattr, path, .. }) => assert_eq!(path, b"failing"),
        other => panic!("{other:?}"),
    }
    let written = fs::metadata(root.path().join("large")).unwrap().len() as usize;
    assert!(written <= LARGE / 2 + 256 * 1024, "{written} bytes were written after the failure");
}

#[test]
fn files_are_created_on_two_threads_of_which_none_is_left() {
    let _alone = ALONE.lock();
    let mut writer = Writer::new(Vec::new());
    for number in 0..FILES {
        writer.append(&Header::file(number.to_string(), 10), &[b'x'; 10][..]).unwrap();
    }
    let (archive, mut seen) = (writer.finish().unwrap(), false);
    // Whole, and cut off in the contents of a file in its middle.
    let cut = FILES / 2 * 1024 + 512 + 5;
    for (archive, outcome) in [(&archive[..], true), (&archive[..cut], false)] {
        let root = tempdir().unwrap();
        let looking = Looking { archive, seen: &mut seen };
        let unpacked =
            unpack(BufReader::with_capacity(512, looking), File::open(root.path()).unwrap(), &ApplyOptions::default());
        assert_eq!(unpacked.is_ok(), outcome);
        assert!(std::mem::take(&mut seen));
        // The kernel takes a thread off the list a moment after it ended.
        assert!((0..100_000).any(|_| !has_second_thread()));
    }
}
