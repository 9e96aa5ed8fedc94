//! What is known of a blob, as it is stored: a record of the metadata store that names the object with the bytes.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::Labels;
use crate::ports::{BatchOutcome, BlobInfo, IndexQuery, MetadataChange, MetadataRecord, MetadataStore, Precondition};
use crate::timestamp::Timestamp;

/// How the keys of these records start. The digest follows.
const PREFIX: &str = "content/";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) object: String,
    pub(super) size: u64,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub(super) labels: Labels,
}

impl Record {
    pub(super) fn info(self, digest: Digest) -> BlobInfo {
        let Self { size, created_at, updated_at, labels, .. } = self;
        BlobInfo { digest, size, created_at, updated_at, labels }
    }
}

/// Whether a change is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Made,
    None,
}

pub(super) async fn find(metadata: &dyn MetadataStore, digest: &Digest) -> Result<Option<Record>> {
    let stored = metadata.get(&key(digest)).await?;
    stored.map(|stored| decode(&stored)).transpose()
}

pub(super) async fn all(metadata: &dyn MetadataStore) -> Result<Vec<BlobInfo>> {
    let stored = metadata.find(&IndexQuery::Keys { prefix: PREFIX.to_owned() }).await?;
    let info = |stored: &MetadataRecord| {
        let digest = stored.key.strip_prefix(PREFIX).unwrap_or_default().parse()?;
        Ok(decode(stored)?.info(digest))
    };
    stored.iter().map(info).collect()
}

/// Stores the record of a new blob; whether there was none yet.
pub(super) async fn create(metadata: &dyn MetadataStore, digest: &Digest, record: &Record) -> Result<bool> {
    put(metadata, digest, record, Precondition::Absent).await
}

/// Changes the record of `digest` by `change`, again whenever another change came between; `None` if there is none.
pub(super) async fn change(
    metadata: &dyn MetadataStore,
    digest: &Digest,
    mut change: impl FnMut(&mut Record) -> Result<Change>,
) -> Result<Option<Record>> {
    loop {
        let Some(stored) = metadata.get(&key(digest)).await? else { return Ok(None) };
        let mut record = decode(&stored)?;
        if change(&mut record)? == Change::None
            || put(metadata, digest, &record, Precondition::Revision(stored.revision)).await?
        {
            return Ok(Some(record));
        }
    }
}

/// Removes the record of `digest` and gives it; `None` if there is none.
pub(super) async fn remove(metadata: &dyn MetadataStore, digest: &Digest) -> Result<Option<Record>> {
    loop {
        let Some(stored) = metadata.get(&key(digest)).await? else { return Ok(None) };
        let precondition = Precondition::Revision(stored.revision);
        let delete = MetadataChange::Delete { key: key(digest), precondition };
        if metadata.apply(vec![delete]).await? == BatchOutcome::Applied {
            return decode(&stored).map(Some);
        }
    }
}

async fn put(
    metadata: &dyn MetadataStore,
    digest: &Digest,
    record: &Record,
    precondition: Precondition,
) -> Result<bool> {
    let value = serde_json::to_vec(record)
        .map_err(|error| Error::new(ErrorKind::Invalid, "encode record of blob", digest).with_source(error))?;
    let put = MetadataChange::Put { key: key(digest), value: value.into(), indexes: Vec::new(), precondition };
    Ok(metadata.apply(vec![put]).await? == BatchOutcome::Applied)
}

fn key(digest: &Digest) -> String {
    format!("{PREFIX}{digest}")
}

fn decode(stored: &MetadataRecord) -> Result<Record> {
    serde_json::from_slice(&stored.value)
        .map_err(|error| Error::new(ErrorKind::Corrupt, "decode record of blob", &stored.key).with_source(error))
}
