//! The table of contents as it is in the blob.

use cache_core::{Digest, Result, json};

use super::packed_json::{Packed, PackedJson};
use crate::codec::toc::{TocEntry, TocSink};

const BEGIN: &[u8] = b"{\"version\":1,\"entries\":";

/// A table of contents that grows by the entry. Only its compressed form is held.
#[derive(Debug)]
pub(super) struct Manifest {
    json: PackedJson,
    is_empty: bool,
}

impl Manifest {
    pub(super) fn new(level: i32) -> Result<Self> {
        let mut json = PackedJson::new(level)?;
        json.write(BEGIN)?;
        Ok(Self { json, is_empty: true })
    }

    /// The table, which names the tar-split data by its digest. Go writes a list without entries as `null`.
    pub(super) fn finish(mut self, tar_split: Option<Digest>) -> Result<Packed> {
        self.json.write(if self.is_empty { b"null" } else { b"]" })?;
        if let Some(digest) = tar_split {
            self.json.write(format!(",\"tarSplitDigest\":\"{digest}\"").as_bytes())?;
        }
        self.json.write(b"}")?;
        self.json.finish()
    }
}

impl TocSink for Manifest {
    fn push(&mut self, entry: &TocEntry) -> Result<()> {
        self.json.write(if std::mem::take(&mut self.is_empty) { b"[" } else { b"," })?;
        self.json.write(&json::to_vec(entry)?)
    }
}
