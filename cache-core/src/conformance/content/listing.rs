//! Lists of blobs and ingests.

use std::collections::BTreeSet;

use futures::TryStreamExt;

use crate::conformance::Outcome;
use crate::conformance::blob::{put, started};
use crate::conformance::content::ContentSubject;
use crate::conformance::require::{require, require_equal};
use crate::conformance::sample::sample;
use crate::digest::{Algorithm, DigestHasher};
use crate::labels::Labels;
use crate::ports::{Expected, Start};

/// 79 blobs in each of two algorithms are each listed once. Mirrors: `TestWalkBlobs`.
pub async fn names_every_blob_once(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let mut wanted = BTreeSet::new();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        for seed in 0..79 {
            let bytes = sample(seed, 16);
            let mut hasher = DigestHasher::new(algorithm);
            hasher.update(&bytes);
            let digest = hasher.finish();
            let mut ingest = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
            ingest.write(bytes).await?;
            ingest.commit(Some(digest), Labels::new()).await?;
            wanted.insert(digest);
        }
    }
    let listed: Vec<_> = store.list().map_ok(|info| info.digest).try_collect().await?;
    require_equal(&listed.len(), &wanted.len(), "every blob is listed once")?;
    require(listed.into_iter().collect::<BTreeSet<_>>() == wanted, "every blob is listed")
}

/// An abort by key answers whether there was an ingest, and leaves none.
pub async fn abort_by_key_answers_what_there_was(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    require_equal(&store.abort("key").await?, &false, "nothing is there to abort")?;
    for key in ["key", "other"] {
        let mut ingest = started(store.begin(&lease, key, Expected::UNKNOWN, Start::Fresh).await)?;
        ingest.write(sample(1, 100)).await?;
        ingest.keep().await?;
    }
    require_equal(&store.abort("key").await?, &true, "a kept ingest is aborted")?;
    require_equal(&store.abort("key").await?, &false, "an ingest is aborted once")?;
    let left: Vec<_> = store.ingests().await?.into_iter().map(|status| status.key).collect();
    require_equal(&left, &vec!["other".to_owned()], "an abort drops its own ingest alone")?;
    let again = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Resume).await)?;
    require_equal(&again.offset(), &0, "an aborted ingest keeps no bytes")?;
    drop(again);
    put(&*subject.store, &lease, "key", &sample(2, 10), Labels::new()).await?;
    require_equal(&store.abort("key").await?, &false, "a committed ingest is none")
}

/// The list has the same status that the writer has.
pub async fn tells_what_the_writer_tells(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let mut wanted = Vec::new();
    let mut open = Vec::new();
    for (key, size) in [("a", 10_u64), ("b", 20), ("c", 30)] {
        subject.clock.tick().await;
        let expected = Expected { digest: None, size: Some(size) };
        let mut ingest = started(store.begin(&lease, key, expected, Start::Fresh).await)?;
        subject.clock.tick().await;
        ingest.write(sample(size, 5)).await?;
        wanted.push(ingest.status());
        open.push(ingest);
    }
    for ingest in open {
        let mut listed = store.ingests().await?;
        listed.sort_by(|a, b| a.key.cmp(&b.key));
        require_equal(&listed, &wanted, "every ingest is listed as its writer tells")?;
        ingest.keep().await?;
    }
    Ok(())
}
