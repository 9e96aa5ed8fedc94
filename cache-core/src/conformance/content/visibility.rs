//! What is seen before and after a commit.

use futures::TryStreamExt;

use crate::conformance::Outcome;
use crate::conformance::blob::{ALL, named, put, read, started};
use crate::conformance::content::ContentSubject;
use crate::conformance::require::{require, require_equal};
use crate::conformance::sample::sample;
use crate::digest::Digest;
use crate::labels::Labels;
use crate::ports::{Expected, Start};

/// Before its commit an ingest is listed as such, and no reader, no info and no list shows its bytes.
pub async fn an_ingest_is_no_blob_before_its_commit(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 100);
    let digest = Digest::of(&bytes);
    let expected = Expected { digest: Some(digest), size: Some(100) };
    let mut ingest = started(store.begin(&lease, "key", expected, Start::Fresh).await)?;
    ingest.write(bytes.clone()).await?;
    for kept in [false, true] {
        require(store.open(&named(digest)).await?.is_none(), "an ingest cannot be opened")?;
        require_equal(&store.info(&digest).await?, &None, "an ingest has no info")?;
        require_equal(&store.list().try_collect().await?, &Vec::new(), "an ingest is not among the blobs")?;
        let listed: Vec<_> = store.ingests().await?.into_iter().map(|status| (status.key, status.offset)).collect();
        require_equal(&listed, &vec![("key".to_owned(), 100)], "an ingest is among the ingests")?;
        if !kept {
            ingest.keep().await?;
            ingest = started(store.begin(&lease, "key", expected, Start::Resume).await)?;
        }
    }
    Ok(())
}

/// After its commit a blob is readable, and no ingest is left.
pub async fn a_blob_is_no_ingest_after_its_commit(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 100);
    let info = put(&**store, &lease, "key", &bytes, Labels::new()).await?;
    require_equal(&store.ingests().await?, &Vec::new(), "a committed ingest is gone")?;
    require(read(&**store, info.digest, ALL).await? == Some(bytes), "a committed blob is readable")?;
    let listed: Vec<_> = store.list().map_ok(|info| info.digest).try_collect().await?;
    require_equal(&listed, &vec![info.digest], "a committed blob is among the blobs")?;
    let again = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Resume).await)?;
    require_equal(&again.offset(), &0, "the key begins anew")
}

/// What was never committed opens as `None` and has no info.
pub async fn what_is_not_there_is_none(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    put(&**store, &lease, "key", &sample(1, 100), Labels::new()).await?;
    let absent = Digest::of("never written");
    require(store.open(&named(absent)).await?.is_none(), "what is not there does not open")?;
    require_equal(&store.info(&absent).await?, &None, "what is not there has no info")
}
