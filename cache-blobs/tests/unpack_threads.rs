//! The threads that unpack a layer. It is alone in its program, since it looks at all threads.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{self, BufReader, Read};

use cache_blobs::apply::{ApplyOptions, unpack};
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

#[test]
fn files_are_created_on_two_threads_of_which_none_is_left() {
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
