//! Labels of blobs.

use crate::conformance::Outcome;
use crate::conformance::blob::{labels, put, started};
use crate::conformance::content::ContentSubject;
use crate::conformance::require::{require_equal, require_kind};
use crate::conformance::sample::sample;
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::labels::{LabelChange, Labels, MAX_LABEL_BYTES};
use crate::ports::{Expected, Start};

/// Labels that no change names stay; removing one that is not there is no error; only the time of the update moves.
/// Mirrors: case `Labels`.
pub async fn change_key_by_key(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let first = labels([("k1", "v1"), ("k2", "v2"), ("k3", "v3")]);
    let info = put(&**store, &lease, "key", &sample(1, 100), first).await?;
    let steps = [
        (vec![LabelChange::set("k1", "v1.2"), LabelChange::remove("k3")], labels([("k1", "v1.2"), ("k2", "v2")])),
        (vec![LabelChange::remove("never there")], labels([("k1", "v1.2"), ("k2", "v2")])),
        (
            vec![LabelChange::set("k4", "a"), LabelChange::set("k4", "b"), LabelChange::remove("k1")],
            labels([("k2", "v2"), ("k4", "b")]),
        ),
        (vec![LabelChange::remove("k2"), LabelChange::remove("k4")], Labels::new()),
    ];
    for (changes, wanted) in steps {
        subject.clock.tick().await;
        let window = subject.clock.window();
        let changed = store.change_labels(&info.digest, &changes).await?;
        require_equal(&changed.labels, &wanted, "labels change key by key")?;
        window.require(changed.updated_at, "a change moves the time of the update")?;
        let unmoved = (changed.digest, changed.size, changed.created_at);
        require_equal(&unmoved, &(info.digest, info.size, info.created_at), "a change moves nothing else")?;
        require_equal(&store.info(&info.digest).await?, &Some(changed), "the outcome is what is known")?;
    }
    Ok(())
}

/// A change that is refused leaves those before it undone.
pub async fn change_all_or_none(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let info = put(&**store, &lease, "key", &sample(1, 100), labels([("k1", "v1")])).await?;
    for (bad, kind) in [("x".repeat(MAX_LABEL_BYTES), ErrorKind::LimitExceeded), (String::new(), ErrorKind::Invalid)] {
        let changes = [LabelChange::set("k2", "v2"), LabelChange::remove("k1"), LabelChange::set(bad, "v")];
        let changed = store.change_labels(&info.digest, &changes).await;
        require_kind(changed, kind, "a label out of bounds is refused")?;
        require_equal(&store.info(&info.digest).await?, &Some(info.clone()), "a refused change changes nothing")?;
    }
    let longest = LabelChange::set("k", "v".repeat(MAX_LABEL_BYTES - 1));
    store.change_labels(&info.digest, &[longest]).await?;
    Ok(())
}

/// A commit with labels out of bounds is refused and makes nothing visible.
pub async fn limits_hold_at_commit(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 100);
    let long = "v".repeat(MAX_LABEL_BYTES);
    for (label, kind) in [(("k", long.as_str()), ErrorKind::LimitExceeded), (("", "v"), ErrorKind::Invalid)] {
        let mut ingest = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
        ingest.write(bytes.clone()).await?;
        require_kind(ingest.commit(None, labels([label])).await, kind, "a label out of bounds is refused")?;
        require_equal(&store.info(&Digest::of(&bytes)).await?, &None, "a refused commit makes nothing visible")?;
    }
    Ok(())
}

/// Labels of what is not there cannot be changed.
pub async fn of_a_missing_blob_is_not_found(subject: ContentSubject) -> Outcome {
    for changes in [vec![], vec![LabelChange::set("k", "v")]] {
        let changed = subject.store.change_labels(&Digest::of("never written"), &changes).await;
        require_kind(changed, ErrorKind::NotFound, "what is not there has no labels")?;
    }
    Ok(())
}
