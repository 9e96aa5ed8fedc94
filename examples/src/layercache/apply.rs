//! `layercache apply`: one layer over a directory.

use std::fs::{self, File};
use std::io;

use cache_blobs::DecodingAhead;
use cache_blobs::apply::{ApplyOptions, Durability, OverlayXattrs, Whiteouts, unpack};
use cache_blobs::codec::Codecs;
use cache_core::{Digest, ThreadPool};
use serde::Serialize;

use crate::args::{Apply, DurabilityChoice, WhiteoutChoice};
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
    // Nobody says what the blob's digest should be.
    let mut tar = DecodingAhead::start(&ThreadPool::new(), &Codecs::default(), Box::new(blob), None)?;
    let whiteouts = match arguments.whiteouts {
        WhiteoutChoice::Remove => Whiteouts::Remove,
        WhiteoutChoice::Overlay => Whiteouts::Overlay(OverlayXattrs::Trusted),
    };
    let durability = match arguments.durability {
        DurabilityChoice::Relaxed => Durability::Relaxed,
        DurabilityChoice::Synced => Durability::Synced,
    };
    let options =
        ApplyOptions::default().with_whiteouts(whiteouts).with_durability(durability).with_compressed(tar.compressed());
    let applied = unpack(&mut tar, into, &options)
        .map_err(|error| Failure::while_doing(format!("unpack {}", arguments.blob.display()), error))?;
    Ok(Report { diff_id: tar.finish()?.diff_id, entries: applied.entries, bytes: applied.stream_bytes })
}
