//! How ingests become blobs.

use bytes::Bytes;

use crate::annotation;
use crate::conformance::Outcome;
use crate::conformance::blob::{ALL, labels, put, read, started};
use crate::conformance::check::Violation;
use crate::conformance::content::ContentSubject;
use crate::conformance::patience::{PATIENCE, moment};
use crate::conformance::require::{require, require_equal, require_kind, require_some};
use crate::conformance::sample::sample;
use crate::digest::{Algorithm, Digest, DigestHasher};
use crate::error::ErrorKind;
use crate::labels::Labels;
use crate::ports::{Committed, Expected, Start};

/// Five writers at once, one of 32 MiB, fed 32 bytes at a time, expecting nothing, the size, the digest or both.
/// Mirrors: case `Writer`.
pub async fn five_writers_commit_side_by_side(subject: ContentSubject) -> Outcome {
    const PIECE: usize = 32;
    let lease = subject.lease().await?;
    let store = &subject.store;
    let contents: Vec<Bytes> =
        [(1, 256), (2, 256), (3, 256), (4, 256), (5, 32 << 20)].map(|(seed, length)| sample(seed, length)).into();
    let mut open = Vec::new();
    for (number, content) in contents.iter().enumerate() {
        let (digest, size) = (Digest::of(content), content.len() as u64);
        let expected = match number {
            0 => Expected::UNKNOWN,
            1 => Expected { digest: None, size: Some(size) },
            2 => Expected { digest: Some(digest), size: None },
            _ => Expected { digest: Some(digest), size: Some(size) },
        };
        let key = format!("writer {number}");
        open.push((content, started(store.begin(&lease, &key, expected, Start::Fresh).await)?));
    }
    let longest = contents.iter().map(Bytes::len).max().unwrap_or_default();
    for from in (0..longest).step_by(PIECE) {
        for (content, ingest) in &mut open {
            if from < content.len() {
                ingest.write(content.slice(from..content.len().min(from + PIECE))).await?;
            }
        }
    }
    let label = labels([(annotation::GC_ROOT, "2024-01-01T00:00:00Z")]);
    for (content, ingest) in open {
        subject.clock.tick().await;
        let window = subject.clock.window();
        let committed = ingest.commit(None, label.clone()).await?;
        require(matches!(committed, Committed::New(_)), "content that was not there is new")?;
        let info = committed.into_info();
        require_equal(&info.digest, &Digest::of(content), "the store hashes what is written")?;
        require_equal(&info.size, &(content.len() as u64), "the store counts what is written")?;
        window.require(info.created_at, "a blob is created at its commit")?;
        window.require(info.updated_at, "a blob is first updated at its commit")?;
        require_equal(&info.labels, &label, "a blob has the labels of its commit")?;
        require_equal(&store.info(&info.digest).await?, &Some(info.clone()), "the commit tells what is known")?;
        require(read(&**store, info.digest, ALL).await?.as_ref() == Some(content), "a blob has the bytes written")?;
    }
    Ok(())
}

/// Bytes that the store has are `AlreadyThere`, whether or not their digest is given. Mirrors: case `CommitExists`.
pub async fn existing_content_is_said_to_be_there(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 100);
    let info = put(&**store, &lease, "first", &bytes, Labels::new()).await?;
    for digest in [Some(info.digest), None] {
        let mut again = started(store.begin(&lease, "second", Expected::UNKNOWN, Start::Fresh).await)?;
        again.write(bytes.clone()).await?;
        match again.commit(digest, Labels::new()).await? {
            Committed::AlreadyThere(found) => require_equal(&found, &info, "the answer is what is known of the blob")?,
            Committed::New(_) => return Err(Violation::new("content that exists is not new").into()),
        }
    }
    Ok(())
}

/// After a commit of existing bytes the key is free and empty. Mirrors: case `CommitErrorState`.
pub async fn existing_content_leaves_the_key_empty(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 100);
    let info = put(&**store, &lease, "first", &bytes, Labels::new()).await?;
    for digest in [Some(info.digest), None] {
        let mut again = started(store.begin(&lease, "second", Expected::UNKNOWN, Start::Resume).await)?;
        require_equal(&again.offset(), &0, "the key is empty after the commit")?;
        again.write(bytes.clone()).await?;
        let busy = store.begin(&lease, "second", Expected::UNKNOWN, Start::Resume).await;
        require_kind(busy, ErrorKind::Busy, "the key has a writer until the commit")?;
        again.commit(digest, Labels::new()).await?;
        require_equal(&store.ingests().await?, &Vec::new(), "the ingest is gone")?;
    }
    Ok(())
}

/// A blob that was there keeps its labels; of those given, it takes the ones it lacks.
pub async fn existing_content_keeps_its_labels_and_gains_those_it_lacks(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 100);
    let info = put(&**store, &lease, "first", &bytes, labels([("kept", "first"), ("own", "1")])).await?;
    put(&**store, &lease, "second", &bytes, labels([("kept", "second"), ("new", "2")])).await?;
    let wanted = labels([("kept", "first"), ("new", "2"), ("own", "1")]);
    let found = require_some(store.info(&info.digest).await?, "the blob stays")?;
    require_equal(&found.labels, &wanted, "labels are added, never replaced")?;
    require_equal(&found.created_at, &info.created_at, "a second commit does not create the blob again")
}

/// Another digest than the bytes have is `Corrupt`; nothing is visible. Where no size is expected, others might follow, and
/// the bytes are there to resume.
/// Mirrors: case `CommitErrorState`.
pub async fn a_wrong_digest_is_corrupt_and_keeps_the_bytes(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 100);
    let mut ingest = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
    ingest.write(bytes.clone()).await?;
    let wrong = Digest::of("other bytes");
    let refused = ingest.commit(Some(wrong), Labels::new()).await;
    require_kind(refused, ErrorKind::Corrupt, "a wrong digest is refused")?;
    for digest in [wrong, Digest::of(&bytes)] {
        require_equal(&store.info(&digest).await?, &None, "a refused commit makes nothing visible")?;
    }
    let again = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Resume).await)?;
    require_equal(&again.offset(), &100, "a refused commit keeps the bytes")?;
    let info = again.commit(Some(Digest::of(&bytes)), Labels::new()).await?.into_info();
    require_equal(&info.size, &100, "the right digest is accepted without another write")
}

/// Bytes that are not what was expected when the ingest began are `Corrupt`, also when the commit expects nothing.
pub async fn a_digest_other_than_begun_with_is_corrupt(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let (bytes, wanted) = (sample(1, 100), sample(2, 100));
    let expected = Expected { digest: Some(Digest::of(&wanted)), size: None };
    for digest in [None, Some(Digest::of(&bytes)), Some(Digest::of(&wanted))] {
        let mut ingest = started(store.begin(&lease, "key", expected, Start::Fresh).await)?;
        ingest.write(bytes.clone()).await?;
        require_kind(ingest.commit(digest, Labels::new()).await, ErrorKind::Corrupt, "other bytes are refused")?;
        require_equal(&store.info(&Digest::of(&bytes)).await?, &None, "a refused commit makes nothing visible")?;
    }
    Ok(())
}

/// As many bytes as were expected that are another blob are `Corrupt` and dropped: nothing that follows can mend them.
pub async fn whole_bytes_of_another_blob_are_dropped(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let (bytes, wanted) = (sample(1, 100), sample(2, 100));
    let (actual, other) = (Some(Digest::of(&bytes)), Some(Digest::of(&wanted)));
    for (begun, committed) in [(other, None), (other, other), (other, actual), (actual, other), (None, other)] {
        let expected = Expected { digest: begun, size: Some(100) };
        let mut ingest = started(store.begin(&lease, "key", expected, Start::Fresh).await)?;
        ingest.write(bytes.clone()).await?;
        require_kind(ingest.commit(committed, Labels::new()).await, ErrorKind::Corrupt, "other bytes are refused")?;
        require_equal(&store.ingests().await?, &Vec::new(), "bytes that nothing can mend are dropped")?;
    }
    let expected = Expected { digest: other, size: Some(100) };
    let mut again = started(store.begin(&lease, "key", expected, Start::Resume).await)?;
    require_equal(&again.offset(), &0, "nothing of a refused blob is resumed")?;
    again.write(wanted.clone()).await?;
    let info = again.commit(None, Labels::new()).await?.into_info();
    require_equal(&info.digest, &Digest::of(&wanted), "the right bytes are taken afterwards")
}

/// Fewer bytes than were expected are `Corrupt`; they are kept, and the rest makes them whole.
/// Mirrors: case `CommitErrorState`.
pub async fn a_wrong_size_is_corrupt_and_keeps_the_bytes(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 100);
    let expected = Expected { digest: None, size: Some(100) };
    let mut ingest = started(store.begin(&lease, "key", expected, Start::Fresh).await)?;
    ingest.write(bytes.slice(..60)).await?;
    let digest = Digest::of(&bytes[..60]);
    let refused = ingest.commit(Some(digest), Labels::new()).await;
    require_kind(refused, ErrorKind::Corrupt, "a short blob is refused")?;
    require_equal(&store.info(&digest).await?, &None, "a refused commit makes nothing visible")?;
    let mut again = started(store.begin(&lease, "key", expected, Start::Resume).await)?;
    require_equal(&again.offset(), &60, "a refused commit keeps the bytes")?;
    again.write(bytes.slice(60..)).await?;
    let info = again.commit(None, Labels::new()).await?.into_info();
    require_equal(&info.digest, &Digest::of(&bytes), "the rest makes the blob whole")
}

/// Bytes are hashed by the algorithm of the digest that is expected, at the beginning or only at the end, else by
/// SHA-256.
pub async fn the_algorithm_follows_what_is_expected(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    for algorithm in Algorithm::ALL {
        for (seed, at_beginning) in [(1, true), (2, false)] {
            let bytes = sample(seed, 100);
            let mut hasher = DigestHasher::new(algorithm);
            hasher.update(&bytes);
            let digest = hasher.finish();
            let expected = Expected { digest: at_beginning.then_some(digest), size: None };
            let mut ingest = started(store.begin(&lease, "key", expected, Start::Fresh).await)?;
            ingest.write(bytes.clone()).await?;
            let info = ingest.commit((!at_beginning).then_some(digest), Labels::new()).await?.into_info();
            require_equal(&info.digest, &digest, "the blob has the digest that was expected")?;
            require(read(&**store, digest, ALL).await? == Some(bytes), "the blob is found under that digest")?;
        }
    }
    let info = put(&**store, &lease, "key", &sample(3, 100), Labels::new()).await?;
    require_equal(&info.digest, &Digest::of(sample(3, 100)), "without expectation the digest is SHA-256")
}

/// A blob may be empty, written by no write at all or by one of no bytes.
pub async fn the_empty_blob_is_a_blob(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let expected = Expected { digest: Some(Digest::of("")), size: Some(0) };
    let ingest = started(store.begin(&lease, "key", expected, Start::Fresh).await)?;
    let info = ingest.commit(None, Labels::new()).await?.into_info();
    require_equal(&(info.digest, info.size), &(Digest::of(""), 0), "the empty blob has the digest of nothing")?;
    require_equal(&read(&**store, info.digest, ALL).await?, &Some(Bytes::new()), "the empty blob gives no bytes")?;
    let again = put(&**store, &lease, "other", &Bytes::new(), Labels::new()).await?;
    require_equal(&again.digest, &info.digest, "a write of no bytes adds none")
}

/// A commit under a lease that was deleted meanwhile is `Invalid` and makes nothing visible.
pub async fn a_lease_that_died_meanwhile_is_invalid(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let mut ingest = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
    ingest.write(sample(1, 100)).await?;
    subject.leases.delete(lease.id()).await?;
    require_kind(ingest.commit(None, Labels::new()).await, ErrorKind::Invalid, "a dead lease holds nothing")?;
    require_equal(&store.info(&Digest::of(sample(1, 100))).await?, &None, "a refused commit makes nothing visible")
}

/// A commit that is dropped at its first wait made the whole blob or left the ingest as it was.
pub async fn a_dropped_commit_is_whole_or_nothing(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 100_000);
    let label = labels([("kept", "whole")]);
    let mut ingest = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
    ingest.write(bytes.clone()).await?;
    let mut commit = ingest.commit(None, label.clone());
    let _ = futures::poll!(commit.as_mut());
    drop(commit);
    // The backend may still be finishing what was dropped; until then it holds the key.
    for _ in 0..PATIENCE {
        if let Some(info) = store.info(&Digest::of(&bytes)).await? {
            require_equal(&info.labels, &label, "a visible blob has its labels")?;
            let whole = read(&**store, info.digest, ALL).await?.as_ref() == Some(&bytes);
            return require(whole, "a visible blob has all of its bytes");
        }
        match store.begin(&lease, "key", Expected::UNKNOWN, Start::Resume).await {
            Err(error) if error.kind() == ErrorKind::Busy => moment().await,
            begun => {
                let again = started(begun)?;
                if again.offset() == 0 {
                    // The dropped commit may have ended between the two looks.
                    let there = store.info(&Digest::of(&bytes)).await?.is_some();
                    return require(there, "without a blob, the ingest has its bytes");
                }
                require_equal(&again.offset(), &100_000, "a commit that did not happen leaves the ingest as it was")?;
                let info = again.commit(Some(Digest::of(&bytes)), label).await?.into_info();
                return require_equal(&info.size, &100_000, "the commit can be repeated");
            }
        }
    }
    Err(Violation::new("a dropped commit neither makes a blob nor gives the key free").into())
}

/// What the commit answers is what `info` and `list` tell later.
pub async fn what_was_committed_is_what_is_known(subject: ContentSubject) -> Outcome {
    use futures::TryStreamExt;
    let lease = subject.lease().await?;
    let store = &subject.store;
    let info = put(&**store, &lease, "key", &sample(1, 77), labels([("a", "1")])).await?;
    subject.clock.tick().await;
    require_equal(&store.info(&info.digest).await?, &Some(info.clone()), "info tells what the commit told")?;
    let listed: Vec<_> = store.list().try_collect().await?;
    require_equal(&listed, &vec![info], "list tells what the commit told")
}
