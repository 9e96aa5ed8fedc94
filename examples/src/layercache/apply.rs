//! `layercache apply`: one layer over a directory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_blobs::apply::{ApplyOptions, OverlayXattrs, Whiteouts, unpack};
use cache_blobs::codec::Codecs;
use cache_core::{Digest, DigestHasher};
use serde::Serialize;

use crate::args::{Apply, WhiteoutChoice};
use crate::failure::Failure;
use crate::output::Format;

#[derive(Serialize)]
struct Report {
    #[serde(rename = "diffID")]
    diff_id: Digest,
    entries: u64,
    bytes: u64,
}

pub(crate) fn run(arguments: &Apply) -> Result<(), Failure> {
    let failed = |what: &str, error: io::Error| Failure::while_doing(what.to_owned(), error);
    let blob =
        File::open(&arguments.blob).map_err(|error| failed(&format!("open {}", arguments.blob.display()), error))?;
    fs::create_dir_all(&arguments.into)
        .and_then(|()| File::open(&arguments.into))
        .map_err(|error| failed(&format!("open {}", arguments.into.display()), error))
        .and_then(|into| unpack_over(arguments, blob, &into))
        .and_then(|report| {
            Format::of(arguments.json).print(&report, |report| {
                format!("DiffID {}\n{} entries, {} bytes", report.diff_id, report.entries, report.bytes)
            })
        })
}

fn unpack_over(arguments: &Apply, blob: File, into: &File) -> Result<Report, Failure> {
    let compressed = Arc::new(AtomicU64::new(0));
    let counted = Counted { inner: blob, count: Arc::clone(&compressed) };
    let decoding = Codecs::default().decode(Box::new(counted))?;
    let mut tar = Hashed { inner: decoding, hasher: DigestHasher::default() };
    let whiteouts = match arguments.whiteouts {
        WhiteoutChoice::Remove => Whiteouts::Remove,
        WhiteoutChoice::Overlay => Whiteouts::Overlay(OverlayXattrs::Trusted),
    };
    let options = ApplyOptions::default().with_whiteouts(whiteouts).with_compressed(compressed);
    let applied = unpack(&mut tar, into, &options)
        .map_err(|error| Failure::while_doing(format!("unpack {}", arguments.blob.display()), error))?;
    Ok(Report { diff_id: tar.hasher.finish(), entries: applied.entries, bytes: applied.stream_bytes })
}

struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

struct Hashed<R> {
    inner: R,
    hasher: DigestHasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
