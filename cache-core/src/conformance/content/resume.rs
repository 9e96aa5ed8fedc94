//! Ingests that were kept and begun again.

use crate::conformance::Outcome;
use crate::conformance::blob::{ALL, gather, named, put, read, started};
use crate::conformance::content::ContentSubject;
use crate::conformance::require::{require, require_equal, require_some};
use crate::conformance::sample::sample;
use crate::digest::Digest;
use crate::labels::Labels;
use crate::ports::{Expected, Start};

/// The sizes and written parts, in hundredths, of containerd's `Resume…` cases.
const SIZES: [usize; 3] = [500, 5000, 50_000];
const WRITTEN: [usize; 5] = [0, 10, 50, 90, 100];

/// Offset, start and last update are those from before. Mirrors: case `Resume`.
pub async fn keeps_offset_and_times(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 256);
    let expected = Expected { digest: Some(Digest::of(&bytes)), size: Some(256) };
    let mut ingest = started(store.begin(&lease, "key", expected, Start::Fresh).await)?;
    subject.clock.tick().await;
    ingest.write(bytes.slice(..128)).await?;
    let before = ingest.status();
    subject.clock.tick().await;
    ingest.keep().await?;
    subject.clock.tick().await;
    let mut again = started(store.begin(&lease, "key", expected, Start::Resume).await)?;
    require_equal(&again.status(), &before, "a resumed ingest is as it was kept")?;
    require_equal(&again.offset(), &128, "a resumed ingest has its bytes")?;
    again.write(bytes.slice(128..)).await?;
    require_equal(&again.status().offset, &256, "a resumed ingest counts on")?;
    require_equal(&again.status().started_at, &before.started_at, "a resumed ingest keeps its start")?;
    let info = again.commit(None, Labels::new()).await?.into_info();
    require(read(&**store, info.digest, ALL).await? == Some(bytes), "both parts make the blob")
}

/// What was kept for one blob is not resumed for another, or for one of another size.
pub async fn another_expectation_starts_at_zero(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    let bytes = sample(1, 100);
    let digest = Some(Digest::of(&bytes));
    let first = Expected { digest, size: Some(100) };
    let others = [
        Expected { digest: Some(Digest::of("other")), size: Some(100) },
        Expected { digest, size: Some(101) },
        Expected { digest: None, size: Some(100) },
        Expected::UNKNOWN,
    ];
    for other in others {
        let mut ingest = started(store.begin(&lease, "key", first, Start::Fresh).await)?;
        ingest.write(bytes.slice(..60)).await?;
        ingest.keep().await?;
        let again = started(store.begin(&lease, "key", other, Start::Resume).await)?;
        require_equal(&again.offset(), &0, "bytes of another blob are dropped")?;
        require_equal(&again.status().expected, &other, "the status has what is expected now")?;
    }
    Ok(())
}

/// A fresh start begins at zero, whatever was kept, and leaves no tail of it. Mirrors: cases `ResumeTruncate`.
pub async fn a_fresh_start_drops_what_was_kept(subject: ContentSubject) -> Outcome {
    for (number, (size, written)) in table().enumerate() {
        let lease = subject.lease().await?;
        let store = &subject.store;
        let (old, new) = (sample(100 + number as u64, size), sample(200 + number as u64, size / 2));
        let mut ingest = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
        ingest.write(old.slice(..written)).await?;
        ingest.keep().await?;
        let mut again = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
        require_equal(&again.offset(), &0, "a fresh start begins at zero")?;
        again.write(new.clone()).await?;
        let info = again.commit(Some(Digest::of(&new)), Labels::new()).await?.into_info();
        require_equal(&info.size, &(new.len() as u64), "nothing of the old bytes is counted")?;
        require(read(&**store, info.digest, ALL).await? == Some(new), "nothing of the old bytes is left")?;
    }
    Ok(())
}

/// The rest, written after the offset, makes the whole blob. Mirrors: cases `ResumeDiscard` and `ResumeCopy`.
pub async fn continues_where_it_was_kept(subject: ContentSubject) -> Outcome {
    for (number, (size, written)) in table().enumerate() {
        let lease = subject.lease().await?;
        let store = &subject.store;
        let bytes = sample(number as u64, size);
        let expected = Expected { digest: Some(Digest::of(&bytes)), size: Some(size as u64) };
        let mut ingest = started(store.begin(&lease, "key", expected, Start::Fresh).await)?;
        ingest.write(bytes.slice(..written)).await?;
        ingest.keep().await?;
        let window = subject.clock.window();
        let mut again = started(store.begin(&lease, "key", expected, Start::Resume).await)?;
        require_equal(&again.offset(), &(written as u64), "a resumed ingest has its bytes")?;
        for from in (written..size).step_by(700) {
            again.write(bytes.slice(from..size.min(from + 700))).await?;
        }
        let info = again.commit(Some(Digest::of(&bytes)), Labels::new()).await?.into_info();
        require_equal(&info.size, &(size as u64), "both parts are counted")?;
        window.require(info.created_at, "a blob is created at its commit")?;
        require(read(&**store, info.digest, ALL).await? == Some(bytes), "both parts make the blob")?;
    }
    Ok(())
}

/// The rest may be streamed from another blob's reader, opened at the offset. Mirrors: cases `ResumeCopySeeker` and
/// `ResumeCopyReaderAt`.
pub async fn takes_the_rest_from_a_reader(subject: ContentSubject) -> Outcome {
    let lease = subject.lease().await?;
    let store = &subject.store;
    for (number, (size, written)) in table().enumerate() {
        let bytes = sample(number as u64, size);
        let doubled = bytes::Bytes::from([bytes.as_ref(), bytes.as_ref()].concat());
        let source = put(&**store, &lease, "source", &doubled, Labels::new()).await?;
        let reader = require_some(store.open(&named(source.digest)).await?, "a committed blob opens")?;
        let mut ingest = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Fresh).await)?;
        ingest.write(gather(reader.read(0..written as u64).await?).await?).await?;
        ingest.keep().await?;
        let mut again = started(store.begin(&lease, "key", Expected::UNKNOWN, Start::Resume).await)?;
        let mut rest = reader.read(again.offset()..size as u64).await?;
        while let Some(chunk) = futures::TryStreamExt::try_next(&mut rest).await? {
            again.write(chunk).await?;
        }
        let info = again.commit(Some(Digest::of(&bytes)), Labels::new()).await?.into_info();
        require_equal(&info.size, &(size as u64), "both parts are counted")?;
    }
    Ok(())
}

/// Every size with every number of bytes of it.
fn table() -> impl Iterator<Item = (usize, usize)> {
    SIZES.into_iter().flat_map(|size| WRITTEN.into_iter().map(move |part| (size, size * part / 100)))
}
