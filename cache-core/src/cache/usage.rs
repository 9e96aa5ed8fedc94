//! What the refs take on disk.

use std::collections::BTreeSet;

use crate::cache::core::{Core, use_lock};
use crate::cache::filter::Filter;
use crate::cache::immutable::ImmutableRef;
use crate::cache::ledger::Ledger;
use crate::cache::lineage::RefKind;
use crate::cache::manager::CacheManager;
use crate::cache::options::RecordType;
use crate::cache::record::{Phase, Record};
use crate::cache::records::Listed;
use crate::digest::Digest;
use crate::error::Result;
use crate::ports::{LockMode, Resource};
use crate::timestamp::Timestamp;

/// Whether a ref can still be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutability {
    /// It can.
    Mutable,
    /// It never changes.
    Immutable,
}

/// One ref in a listing. Mirrors: BuildKit `client.UsageInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefUsage {
    /// Its name.
    pub id: String,
    /// What kind of ref it is.
    pub kind: RefKind,
    /// What it is for.
    pub record_type: RecordType,
    /// Whether it can still be written to.
    pub mutability: Mutability,
    /// Bytes of its snapshot, its blob and the blob's variants. What several refs hold is counted at the oldest of them, so
    /// that the sum is what the disk holds.
    pub bytes: u64,
    /// A handle of it, or of a ref on top of it, lives in some process.
    pub in_use: bool,
    /// Another ref or an image holds the same blob or snapshot.
    pub shared: bool,
    /// The refs under it.
    pub parents: Vec<String>,
    /// What it is, for people.
    pub description: String,
    /// When it was created; `None` if the record cannot be read.
    pub created_at: Option<Timestamp>,
    /// When its last handle was dropped.
    pub last_used_at: Option<Timestamp>,
    /// How often its last handle was dropped.
    pub usage_count: u64,
}

/// Which refs are listed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UsageOptions {
    /// Only refs that one of these accepts; none accept all.
    pub filters: Vec<Filter>,
    /// Blobs that images hold.
    pub image_blobs: BTreeSet<Digest>,
}

impl UsageOptions {
    /// The same with one more filter.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// The same; refs of these blobs are shared with an image.
    #[must_use]
    pub fn with_image_blobs(mut self, blobs: impl IntoIterator<Item = Digest>) -> Self {
        self.image_blobs.extend(blobs);
        self
    }
}

impl CacheManager {
    /// The refs with what they take, oldest first.
    ///
    /// # Errors
    /// The backends' own failures.
    ///
    /// Mirrors: BuildKit `cache/manager.go`, `DiskUsage`.
    pub async fn disk_usage(&self, options: &UsageOptions) -> Result<Vec<RefUsage>> {
        self.core.settle().await;
        let survey = self.core.survey(&options.image_blobs).await?;
        let usages = survey.refs.into_iter().map(|surveyed| surveyed.usage);
        Ok(usages.filter(|usage| Filter::any(&options.filters, usage)).collect())
    }
}

impl ImmutableRef {
    /// Bytes of its own snapshot, its blob and the blob's variants, without the refs under it.
    ///
    /// # Errors
    /// The backends' own failures.
    pub async fn size(&self) -> Result<u64> {
        self.entry().core().enter(&mut Ledger::default(), self.id()).await
    }
}

/// A record in a survey.
#[derive(Debug)]
pub(super) struct Surveyed {
    pub(super) usage: RefUsage,
    /// What was read, if it could be.
    pub(super) record: Option<Record>,
    /// An image holds its blob.
    pub(super) in_image: bool,
}

/// All records with what they hold.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) refs: Vec<Surveyed>,
    pub(super) ledger: Ledger,
}

impl Core {
    pub(super) async fn survey(&self, image_blobs: &BTreeSet<Digest>) -> Result<Survey> {
        let mut listed = self.records.list().await?;
        listed.sort_by_key(|listed| (listed.record.as_ref().ok().map(|record| record.created_at), listed.id.clone()));
        let mut ledger = Ledger::default();
        let mut refs = Vec::with_capacity(listed.len());
        for listed in listed {
            let bytes = self.enter(&mut ledger, &listed.id).await?;
            let in_use = self.is_in_use(&listed.id).await?;
            refs.push(surveyed(listed, bytes, in_use));
        }
        for surveyed in &mut refs {
            let id = &surveyed.usage.id;
            surveyed.in_image = ledger.held(id).any(|resource| match resource {
                Resource::Content(digest) => image_blobs.contains(digest),
                Resource::Ingest(_) | Resource::Snapshot { .. } | Resource::Image(_) => false,
            });
            surveyed.usage.shared = surveyed.in_image || ledger.is_shared(id);
        }
        Ok(Survey { refs, ledger })
    }

    async fn is_in_use(&self, id: &str) -> Result<bool> {
        // Held alone, it is being removed, recovered or taken back: no handle of it lives.
        Ok(self.is_live(id) || self.backends.locks.holder(&use_lock(id)).await? == Some(LockMode::Shared))
    }
}

fn surveyed(listed: Listed, bytes: u64, in_use: bool) -> Surveyed {
    let record = listed.record.ok();
    let read = record.as_ref();
    let is_mutable = read.is_some_and(|record| record.phase == Phase::Mutable);
    let usage = RefUsage {
        id: listed.id,
        kind: read.map_or(RefKind::Unknown, |record| record.lineage.kind()),
        record_type: read.map(|record| record.record_type.clone()).unwrap_or_default(),
        mutability: if is_mutable { Mutability::Mutable } else { Mutability::Immutable },
        bytes,
        in_use,
        shared: false,
        parents: listed.parents,
        description: read.map(|record| record.description.clone()).unwrap_or_default(),
        created_at: read.map(|record| record.created_at),
        last_used_at: read.and_then(|record| record.last_used_at),
        usage_count: read.map_or(0, |record| record.usage_count),
    };
    Surveyed { usage, record, in_image: false }
}
