//! A walk over the variants of a blob.

use std::collections::{BTreeSet, VecDeque};

use crate::digest::Digest;
use crate::error::Result;
use crate::ports::{BlobInfo, Manager};
use crate::variants::labels::edges;

/// Visits a blob and everything that it names as variants, directly or over others, each once and in an order that depends on
/// the labels alone. Blobs that are named and not there are passed over; loops are no obstacle.
///
/// Mirrors: BuildKit `cache/refs.go`, `walkBlob`.
#[derive(Debug)]
pub struct VariantWalk<'a> {
    content: &'a dyn Manager,
    waiting: VecDeque<Digest>,
    seen: BTreeSet<Digest>,
}

impl<'a> VariantWalk<'a> {
    /// A walk over what `content` has, beginning with the blob `start` itself.
    pub fn new(content: &'a dyn Manager, start: Digest) -> Self {
        Self { content, waiting: VecDeque::from([start]), seen: BTreeSet::from([start]) }
    }

    /// The next blob; `None` after the last one.
    ///
    /// # Errors
    /// The store's own failures.
    ///
    /// # Cancel safety
    /// A dropped call has passed over the blob that it was looking for.
    pub async fn next(&mut self) -> Result<Option<BlobInfo>> {
        while let Some(digest) = self.waiting.pop_front() {
            let Some(info) = self.content.info(&digest).await? else { continue };
            let seen = &mut self.seen;
            self.waiting.extend(edges(&info).into_iter().filter(|digest| seen.insert(*digest)));
            return Ok(Some(info));
        }
        Ok(None)
    }
}
