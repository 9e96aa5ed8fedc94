//! Labels that keep things.

use crate::annotation;
use crate::conformance::Outcome;
use crate::conformance::blob::labels;
use crate::conformance::collector::CollectorSubject;
use crate::labels::{LabelChange, Labels};
use crate::ports::Resource;

/// `containerd.io/gc.ref.content`, alone or followed by `.x` or `/x`, keeps the blob that it names, and so on.
pub async fn references_are_followed_to_their_end(subject: CollectorSubject) -> Outcome {
    let making = subject.lease().await?;
    let mut chain = vec![subject.blob(&making, 0, Labels::new()).await?];
    for (seed, suffix) in [(1, ""), (2, ".0"), (3, "/config"), (4, ".a/b.c"), (5, "")] {
        let key = format!("{}{suffix}", annotation::GC_REF_CONTENT);
        let last = chain.last().map(ToString::to_string).unwrap_or_default();
        chain.push(subject.blob(&making, seed, labels([(&*key, &*last)])).await?);
    }
    let keys = ["m.0", "m.1"].map(|suffix| format!("{}.{suffix}", annotation::GC_REF_CONTENT));
    let two = [subject.blob(&making, 6, Labels::new()).await?, subject.blob(&making, 7, Labels::new()).await?];
    let values = [two[0].to_string(), two[1].to_string()];
    let fork = labels([(&*keys[0], &*values[0]), (&*keys[1], &*values[1])]);
    let fork = subject.blob(&making, 8, fork).await?;
    let root = subject.lease().await?;
    let tops: Vec<_> = chain.last().into_iter().chain([&fork]).map(|digest| Resource::Content(*digest)).collect();
    subject.leases.attach(&root, &tops).await?;
    subject.leases.delete(making.id()).await?;
    let all: Vec<_> = chain.into_iter().chain(two).chain([fork]).collect();
    subject.collects(&all, &[]).await?;
    subject.leases.delete(root.id()).await?;
    subject.collects(&[], &all).await
}

/// A key without a separator, another key, and a value that is no digest keep nothing and break nothing.
/// Mirrors: `TestGCRefs`, `gc.ref.contentbad`.
pub async fn only_labels_of_the_right_form_are_references(subject: CollectorSubject) -> Outcome {
    let making = subject.lease().await?;
    let bad = format!("{}bad", annotation::GC_REF_CONTENT);
    let keys =
        [bad.as_str(), "containerd.io/gc.ref", "containerd.io/gc.ref.contents", "x/containerd.io/gc.ref.content"];
    let mut unreached = Vec::new();
    let mut holding = Labels::new();
    for (seed, key) in (1..).zip(keys) {
        let digest = subject.blob(&making, seed, Labels::new()).await?;
        holding.insert(key.to_owned(), digest.to_string());
        unreached.push(digest);
    }
    for (suffix, value) in [(".a", ""), (".b", "sha256:0"), (".c", "no digest"), (".d", "sha512:../../x")] {
        holding.insert(format!("{}{suffix}", annotation::GC_REF_CONTENT), value.to_owned());
    }
    let root = subject.blob(&making, 10, holding).await?;
    let lease = subject.lease().await?;
    subject.leases.attach(&lease, &[Resource::Content(root)]).await?;
    subject.leases.delete(making.id()).await?;
    subject.collects(&[root], &unreached).await
}

/// Blobs that name each other stay while one of them is held, and no longer. Mirrors: BuildKit's compression variants.
pub async fn a_cycle_stays_while_it_is_reached(subject: CollectorSubject) -> Outcome {
    let making = subject.lease().await?;
    let mut ring = Vec::new();
    for seed in 1..=3 {
        ring.push(subject.blob(&making, seed, Labels::new()).await?);
    }
    for (from, to) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        let key = format!("{}.blob-{to}", annotation::GC_REF_CONTENT);
        subject.content.change_labels(from, &[LabelChange::set(key, to.to_string())]).await?;
    }
    let own = LabelChange::set(format!("{}.self", annotation::GC_REF_CONTENT), ring[0].to_string());
    subject.content.change_labels(&ring[0], &[own]).await?;
    let lease = subject.lease().await?;
    subject.leases.attach(&lease, &[Resource::Content(ring[1])]).await?;
    subject.leases.delete(making.id()).await?;
    subject.collects(&ring, &[]).await?;
    subject.leases.delete(lease.id()).await?;
    subject.collects(&[], &ring).await
}

/// A blob with `containerd.io/gc.root`, whatever its value, stays, and what it names with it.
pub async fn a_root_stays_without_a_lease(subject: CollectorSubject) -> Outcome {
    let making = subject.lease().await?;
    let mut kept = Vec::new();
    for (seed, value) in [(1, ""), (3, "2024-01-01T00:00:00Z")] {
        let leaf = subject.blob(&making, seed, Labels::new()).await?;
        let own = labels([(annotation::GC_ROOT, value), (annotation::GC_REF_CONTENT, &*leaf.to_string())]);
        kept.extend([leaf, subject.blob(&making, seed + 1, own).await?]);
    }
    let other = subject.blob(&making, 9, labels([("containerd.io/gc.rooted", "1")])).await?;
    subject.leases.delete(making.id()).await?;
    subject.collects(&kept, &[other]).await
}

/// A reference that is removed keeps nothing any more, one that is added does.
pub async fn a_changed_label_counts_at_once(subject: CollectorSubject) -> Outcome {
    let making = subject.lease().await?;
    let first = subject.blob(&making, 1, Labels::new()).await?;
    let second = subject.blob(&making, 2, Labels::new()).await?;
    let reference = labels([(annotation::GC_REF_CONTENT, &*first.to_string()), (annotation::GC_ROOT, "1")]);
    let root = subject.blob(&making, 3, reference).await?;
    let change = [LabelChange::set(annotation::GC_REF_CONTENT, second.to_string())];
    subject.content.change_labels(&root, &change).await?;
    subject.leases.delete(making.id()).await?;
    subject.collects(&[root, second], &[first]).await?;
    subject.content.change_labels(&root, &[LabelChange::remove(annotation::GC_ROOT)]).await?;
    subject.collects(&[], &[root, second]).await
}
