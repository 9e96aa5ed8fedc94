//! How ingests begin.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use crate::conformance::Outcome;
use crate::conformance::blob::{put, read, started};
use crate::conformance::check::Violation;
use crate::conformance::content::ContentSubject;
use crate::conformance::patience::{PATIENCE, moment};
use crate::conformance::require::{require, require_equal, require_kind};
use crate::conformance::sample::sample;
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::labels::Labels;
use crate::memory::{ManualClock, Memory};
use crate::ports::{Begun, Expected, LeaseManager, LeaseOptions, Resource, Start};

/// The empty key is `Invalid`, whatever is expected.
pub async fn an_empty_key_is_invalid(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let begun = subject.store.begin(&lease, "", Expected::UNKNOWN, Start::Fresh).await;
    require_kind(begun, ErrorKind::Invalid, "an empty key is refused")
}

/// A deleted lease is `Invalid`, and nothing begins.
pub async fn a_dead_lease_is_invalid(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    subject.leases.delete(lease.id()).await?;
    let begun = subject.store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await;
    require_kind(begun, ErrorKind::Invalid, "a dead lease is refused")?;
    require_equal(&subject.store.ingests().await?, &Vec::new(), "a refused call leaves no ingest")
}

/// The lease of another manager is `Invalid`, also where the own manager has one of the same name.
pub async fn a_foreign_lease_is_invalid(subject: ContentSubject) -> Outcome {
    let own = subject.lease().await?;
    started(subject.store.begin(&own, "key", Expected::UNKNOWN, Start::Fresh).await)?.abort().await?;
    let elsewhere = Memory::new(Arc::new(ManualClock::default()));
    let foreign = elsewhere.leases.create(LeaseOptions::default().with_id(own.id())).await?;
    let begun = subject.store.begin(&foreign, "key", Expected::UNKNOWN, Start::Fresh).await;
    require_kind(begun, ErrorKind::Invalid, "a foreign lease is refused")
}

/// While a writer has a key, another one is `Busy`, and so is an abort.
pub async fn a_key_has_one_writer(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let mut first = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
    first.write(Bytes::from_static(b"first")).await?;
    for start in [Start::Fresh, Start::Resume] {
        let second = store.begin(&lease, "key", Expected::UNKNOWN, start).await;
        require_kind(second, ErrorKind::Busy, "a second writer is refused")?;
    }
    require_kind(store.abort("key").await, ErrorKind::Busy, "an abort under a writer is refused")?;
    let info = first.commit(Some(Digest::of("first")), Labels::new()).await?.into_info();
    require_equal(&info.size, &5, "the first writer is not disturbed")?;
    started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?.abort().await?;
    Ok(())
}

/// `AlreadyThere` for content that exists: the lease holds it, no ingest is made, and the key is free.
pub async fn expected_content_that_exists_is_answered_at_once(subject: ContentSubject) -> Outcome {
    let store = &subject.store;
    let bytes = sample(1, 300);
    let info = put(&**store, &subject.lease().await?, "first", &bytes, Labels::new()).await?;
    let lease = subject.lease().await?;
    for size in [None, Some(300)] {
        let expected = Expected { digest: Some(info.digest), size };
        match store.begin(&lease, "second", expected, Start::Resume).await? {
            Begun::AlreadyThere(found) => require_equal(&found, &info, "the answer is what is known of the blob")?,
            Begun::Started(_) => return Err(Violation::new("content that exists is not written again").into()),
        }
    }
    let held = subject.leases.resources(&lease).await?;
    require(held.contains(&Resource::Content(info.digest)), "the lease holds the content that was there")?;
    require_equal(&store.ingests().await?, &Vec::new(), "no ingest is made for content that is there")?;
    started(store.begin(&lease, "second", Expected::UNKNOWN, Start::Fresh).await)?.abort().await?;
    Ok(())
}

/// A begin that is dropped at its first wait leaves at most an empty ingest, which the next one takes over.
pub async fn a_dropped_begin_leaves_the_key_usable(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let mut begin = store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh);
    let begun = futures::poll!(begin.as_mut());
    drop(begin);
    if let Poll::Ready(begun) = begun {
        drop(started(begun)?);
    }
    // The backend may still be finishing what was dropped; one key has one writer, so it says so by Busy.
    let mut next = store.begin(&lease, "key", Expected::UNKNOWN, Start::Resume).await;
    for _ in 0..PATIENCE {
        if !matches!(&next, Err(error) if error.kind() == ErrorKind::Busy) {
            break;
        }
        moment().await;
        next = store.begin(&lease, "key", Expected::UNKNOWN, Start::Resume).await;
    }
    let mut next = started(next)?;
    require_equal(&next.offset(), &0, "a dropped begin wrote nothing")?;
    next.write(Bytes::from_static(b"next")).await?;
    let info = next.commit(Some(Digest::of("next")), Labels::new()).await?.into_info();
    require_equal(&info.size, &4, "the next writer writes its own bytes")
}

/// Any text but the empty one is a key, and different texts are different keys.
pub async fn keys_are_opaque(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let long = "k".repeat(2000);
    let keys = [
        ".",
        "..",
        "../../escape",
        "/absolute",
        "a/b",
        "a%2Fb",
        "A",
        "a",
        "a\0b",
        "a\nb",
        " a ",
        "ключ",
        "a\u{301}",
        "\u{e1}",
        "'; DROP TABLE blobs; --",
        "%",
        "_",
        long.as_str(),
    ];
    let mut open = Vec::new();
    for key in keys {
        open.push(started(store.begin(&lease, key, Expected::UNKNOWN, Start::Fresh).await)?);
    }
    for (key, ingest) in keys.into_iter().zip(&mut open) {
        require_equal(&ingest.status().key.as_str(), &key, "an ingest has the key that it was begun with")?;
        ingest.write(Bytes::copy_from_slice(key.as_bytes())).await?;
    }
    for ingest in open {
        ingest.keep().await?;
    }
    for key in keys {
        let ingest = started(store.begin(&lease, key, Expected::UNKNOWN, Start::Resume).await)?;
        let info = ingest.commit(Some(Digest::of(key)), Labels::new()).await?.into_info();
        let found = read(&**store, info.digest, 0..u64::MAX).await?;
        require(found.as_deref() == Some(key.as_bytes()), "no two keys share their bytes")?;
    }
    Ok(())
}
