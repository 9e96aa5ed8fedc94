//! Whatever fails or stalls in one variant of several, nothing becomes visible and everything ends.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use cache_blobs::codec::{Block, BlockEncoder, Codecs, Encoded, EncodedBlock, Ending, Sequence, TarTotal};
use cache_blobs::pack::{FailedVariant, PackOptions, PackTarget, PackWriter, PackedVariants, pack_variants};
use cache_core::{Compression, Error, ErrorKind, Result};
use futures::future::{Either, select};
use futures::pin_mut;
use pack_rig::{BlockCodec, Fate, Pace, Seen, budget, data, pool, same_bytes, sink, until, write_all};
use pollster::block_on;

/// Where an encoder of blocks of 1000 bytes fails, which is at its fourth one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Broken {
    Nowhere,
    Encoding,
    Panicking,
    SeeingBlocks,
    SeeingEncoded,
    Finishing,
}

impl Broken {
    fn fails(self, here: Self, offset: u64) -> Result<()> {
        match self == here && offset == 3000 {
            true => Err(Error::new(ErrorKind::Unavailable, "encode", "a block")),
            false => Ok(()),
        }
    }
}

impl BlockEncoder for Broken {
    fn block_bytes(&self) -> usize {
        1000
    }

    fn encoded_bound(&self) -> usize {
        1000
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        Some(Box::new(InOrder(*self)))
    }

    fn encode(&self, block: &mut Block) -> Result<Encoded> {
        assert!(self.fails(Self::Panicking, block.offset).is_ok(), "a bug in an encoder");
        self.fails(Self::Encoding, block.offset)?;
        Ok(Encoded { bytes: std::mem::take(&mut block.bytes), notes: None })
    }
}

#[derive(Debug)]
struct InOrder(Broken);

impl Sequence for InOrder {
    fn block(&mut self, block: &mut Block) -> Result<()> {
        self.0.fails(Broken::SeeingBlocks, block.offset)
    }

    fn encoded(&mut self, encoded: EncodedBlock) -> Result<()> {
        self.0.fails(Broken::SeeingEncoded, encoded.blob_offset)
    }

    fn finish(self: Box<Self>, _total: TarTotal) -> Result<Ending> {
        self.0.fails(Broken::Finishing, 3000).map(|()| Ending::default())
    }
}

/// Targets at the levels 0, 1, 2, …, which say nothing here but which is which.
fn targets<'a>(variants: &'a [(BlockCodec, Pace)]) -> (Vec<PackTarget<'a>>, Vec<Arc<Mutex<Seen>>>) {
    let target = |(level, (codec, pace)): (usize, &'a (BlockCodec, Pace))| {
        let (ingest, seen) = sink(*pace);
        let options = PackOptions::default().with_level(Some(level as i32));
        (PackTarget { codec, ingest, options }, seen)
    };
    variants.iter().enumerate().map(target).unzip()
}

/// Packs 200 000 bytes; gives the outcome and what became of the sinks.
fn pack_into(variants: &[(BlockCodec, Pace)]) -> (Result<PackedVariants<()>>, Vec<Fate>) {
    let (budget, pool, running) = (budget(2, 100_000), pool(), Arc::new(()));
    let (targets, seen) = targets(variants);
    let guard = Arc::clone(&running);
    let produce = move |writer: &mut PackWriter| {
        let _guard = guard;
        write_all(writer, &data(200_000, 1))
    };
    let outcome = block_on(pack_variants(&budget, &pool, targets, produce));
    assert_eq!(Arc::strong_count(&running), 1, "the producer has ended");
    assert_eq!(budget.usage().used_bytes, 0, "nothing is held any more");
    (outcome, fates(&seen))
}

fn fates(seen: &[Arc<Mutex<Seen>>]) -> Vec<Fate> {
    seen.iter().map(|seen| seen.lock().unwrap().fate.clone()).collect()
}

/// The failure of the variant at `level`, of this kind.
fn assert_named(outcome: Result<PackedVariants<()>>, level: i32, kind: ErrorKind) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), kind);
    let failed = FailedVariant::of(&error).unwrap();
    assert_eq!((failed.level(), failed.cause().kind()), (Some(level), kind), "{error:?}");
    assert_eq!(failed.compression().name(), "blocks");
}

#[test]
fn a_codec_that_fails_in_one_variant_is_named_and_every_ingest_is_aborted() {
    let everywhere =
        [Broken::Encoding, Broken::Panicking, Broken::SeeingBlocks, Broken::SeeingEncoded, Broken::Finishing];
    for broken in everywhere {
        let kind = if broken == Broken::Panicking { ErrorKind::Cancelled } else { ErrorKind::Unavailable };
        let failing = || (BlockCodec(Arc::new(broken)), Pace::Fast);
        let whole = || (BlockCodec(Arc::new(Broken::Nowhere)), Pace::Slow(3));
        let (outcome, fates) = pack_into(&[whole(), failing(), (same_bytes(700), Pace::Fast)]);
        assert_named(outcome, 1, kind);
        assert_eq!(fates, [Fate::Aborted, Fate::Aborted, Fate::Aborted], "{broken:?}");
    }
}

#[test]
fn a_failure_is_told_although_another_variant_stalls_and_holds_up_the_producer() {
    for broken in [Broken::Encoding, Broken::Panicking, Broken::SeeingBlocks] {
        let failing = BlockCodec(Arc::new(broken));
        let (outcome, fates) = pack_into(&[(same_bytes(1000), Pace::StallsAfter(0)), (failing, Pace::Fast)]);
        assert!(FailedVariant::of(&outcome.unwrap_err()).is_some_and(|failed| failed.level() == Some(1)));
        assert_eq!(fates, [Fate::Aborted, Fate::Aborted], "{broken:?}");
    }
    let full = Pace::FailsAfter(2000, ErrorKind::NoSpace);
    let (outcome, fates) = pack_into(&[(same_bytes(1000), full), (same_bytes(1000), Pace::StallsAfter(0))]);
    assert_named(outcome, 0, ErrorKind::NoSpace);
    assert_eq!(fates, [Fate::Aborted, Fate::Aborted]);
}

#[test]
fn a_full_ingest_of_one_variant_is_named_and_the_others_are_aborted() {
    for failing in 0..3 {
        let pace = |at| if at == failing { Pace::FailsAfter(50_000, ErrorKind::NoSpace) } else { Pace::Fast };
        let variants = [(same_bytes(1000), pace(0)), (same_bytes(333), pace(1)), (same_bytes(20_000), pace(2))];
        let (outcome, fates) = pack_into(&variants);
        assert_named(outcome, failing, ErrorKind::NoSpace);
        assert_eq!(fates, [Fate::Aborted, Fate::Aborted, Fate::Aborted]);
    }
}

#[test]
fn a_commit_that_is_refused_is_named_and_no_ingest_stays() {
    let refuses = Pace::RefusesCommit(ErrorKind::NoSpace);
    let (outcome, left) = pack_into(&[(same_bytes(1000), Pace::Fast), (same_bytes(333), refuses)]);
    assert_named(outcome, 1, ErrorKind::NoSpace);
    assert!(matches!(left[..], [Fate::Committed(_), Fate::Dropped]), "what is committed is whole: {left:?}");

    // A plain tar whose digest the others need is committed first, so nothing else is if it is refused.
    let (toy, plain) = (same_bytes(1000), Codecs::default().of(&Compression::Uncompressed).unwrap());
    let ((first, toys), (second, plains)) = (sink(Pace::Fast), sink(refuses));
    let options = PackOptions::default();
    let targets = vec![
        PackTarget { codec: &toy, ingest: first, options: options.clone() },
        PackTarget { codec: &*plain, ingest: second, options },
    ];
    let produce = |writer: &mut PackWriter| write_all(writer, &data(3000, 1));
    let error = block_on(pack_variants(&budget(2, 4 << 20), &pool(), targets, produce)).unwrap_err();
    assert_eq!(FailedVariant::of(&error).unwrap().compression(), &Compression::Uncompressed);
    assert_eq!(fates(&[toys, plains]), [Fate::Aborted, Fate::Dropped]);
}

#[test]
fn a_failing_producer_is_told_and_names_no_variant() {
    let variants = [(same_bytes(1000), Pace::Fast), (same_bytes(70), Pace::Fast)];
    let (targets, seen) = targets(&variants);
    let produce = |writer: &mut PackWriter| -> Result<()> {
        write_all(writer, &data(10_000, 1))?;
        Err(Error::new(ErrorKind::PermissionDenied, "read", "a file"))
    };
    let error = block_on(pack_variants(&budget(2, 100_000), &pool(), targets, produce)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(FailedVariant::of(&error).is_none());
    assert_eq!(fates(&seen), [Fate::Aborted, Fate::Aborted]);
}

#[test]
fn a_budget_without_room_for_one_block_of_each_variant_exceeds_its_limit() {
    let fits = [(same_bytes(25_000), Pace::Fast), (same_bytes(25_000), Pace::Fast)];
    pack_into(&fits).0.unwrap();
    let (outcome, fates) = pack_into(&[(same_bytes(25_000), Pace::Fast), (same_bytes(25_001), Pace::Fast)]);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::LimitExceeded);
    assert_eq!(fates, [Fate::Aborted, Fate::Aborted]);
}

#[test]
fn a_variant_whose_sink_stalls_holds_up_the_others_within_the_budget_until_it_is_dropped() {
    const MEMORY: u64 = 10_000;
    let (budget, pool, written) = (budget(2, MEMORY), pool(), Arc::new(AtomicU64::new(0)));
    let variants = [(same_bytes(1000), Pace::Fast), (same_bytes(700), Pace::StallsAfter(30_000))];
    let (targets, seen) = targets(&variants);
    let produce = {
        let written = Arc::clone(&written);
        move |writer: &mut PackWriter| {
            (0..1000).try_for_each(|_| {
                write_all(writer, &[7; 500])?;
                written.store(writer.written(), Ordering::SeqCst);
                Ok::<_, Error>(())
            })
        }
    };
    let packing = pack_variants(&budget, &pool, targets, produce);
    pin_mut!(packing);
    let (mut before, mut quiet) = (0, 0);
    let watch = std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        std::thread::yield_now();
        let now = written.load(Ordering::SeqCst);
        quiet = if now == before && now > 30_000 { quiet + 1 } else { 0 };
        before = now;
        if quiet > 1000 { Poll::Ready(now) } else { Poll::Pending }
    });
    let Either::Right((written, _packing)) = block_on(select(packing, watch)) else {
        panic!("a stalled sink never ends")
    };
    let taken = |at: usize| seen[at].lock().unwrap().bytes.len() as u64;
    assert!(written - taken(1) <= MEMORY + 500, "{written} bytes, of which {} were taken", taken(1));
    assert!(written - taken(0) <= 2000 + 500, "the other variant has all but its last blocks");
    assert!(budget.usage().peak_bytes <= MEMORY);
}

#[test]
fn what_a_dropped_packing_of_several_variants_held_is_given_back() {
    let (budget, pool, running) = (budget(1, 20_000), pool(), Arc::new(()));
    let variants = [(same_bytes(1000), Pace::StallsAfter(5000)), (same_bytes(700), Pace::Fast)];
    // Each is dropped at the end of its round.
    for _ in 0..20 {
        let (targets, seen) = targets(&variants);
        let guard = Arc::clone(&running);
        let produce = move |writer: &mut PackWriter| {
            let _guard = guard;
            write_all(writer, &data(1 << 20, 1))
        };
        let stalled = pack_variants(&budget, &pool, targets, produce);
        let others = async {
            let produce = |writer: &mut PackWriter| write_all(writer, &data(100_000, 2));
            let variants = [(same_bytes(500), Pace::Slow(2)), (same_bytes(900), Pace::Fast)];
            pack_variants(&budget, &pool, self::targets(&variants).0, produce).await.unwrap();
        };
        pin_mut!(stalled, others);
        let ended = block_on(select(stalled, others));
        assert!(matches!(ended, Either::Right(_)), "a stalled sink holds up no other layer");
        assert_eq!(fates(&seen), [Fate::Open, Fate::Open]);
    }
    until(|| budget.usage().used_bytes == 0 && Arc::strong_count(&running) == 1);
}
