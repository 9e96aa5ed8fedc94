//! The budget: what layers hold at most, who is admitted, whose turn it is.
#![cfg(all(feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use cache_blobs::codec::{Block, BlockEncoder, Codecs, Encoded, Sequence};
use cache_blobs::pack::{PackOptions, PackWriter, pack};
use cache_core::{Compression, Result};
use futures::future::{Either, join, join_all, select};
use futures::{FutureExt, pin_mut};
use pack_rig::{BlockCodec, Pace, budget, data, pool, same_bytes, sink, until, write_all};
use pollster::block_on;

#[test]
fn a_layer_whose_sink_stalls_holds_no_more_than_the_budget() {
    for memory in [2000, 2001, 10_000, 1 << 20] {
        let (budget, pool) = (budget(2, memory), pool());
        let written = Arc::new(AtomicU64::new(0));
        let (ingest, seen) = sink(Pace::StallsAfter(30_000));
        let produce = {
            let written = Arc::clone(&written);
            move |writer: &mut PackWriter| -> Result<()> {
                for _ in 0..1000 {
                    write_all(writer, &[7; 500])?;
                    written.store(writer.written(), Ordering::SeqCst);
                }
                Ok(())
            }
        };
        let codec = same_bytes(1000);
        let packing = pack(&budget, &pool, &codec, ingest, PackOptions::default(), produce);
        pin_mut!(packing);
        let mut before = 0;
        let mut quiet = 0;
        let watch = std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            std::thread::yield_now();
            let now = written.load(Ordering::SeqCst);
            quiet = if now == before && now > 30_000 { quiet + 1 } else { 0 };
            before = now;
            if quiet > 1000 { std::task::Poll::Ready(now) } else { std::task::Poll::Pending }
        });
        let Either::Right((written, _)) = block_on(select(packing, watch)) else { panic!("a stalled sink never ends") };
        let held = written - seen.lock().unwrap().bytes.len() as u64;
        // A block costs what it becomes, too: once encoded, it costs its 1000 bytes. One write may be under way.
        assert!(held <= memory + 500, "{held} bytes of {memory}");
        assert!(budget.usage().peak_bytes <= memory);
    }
}

#[test]
fn the_peak_of_64_layers_stays_within_the_budget() {
    let (budget, pool) = (budget(2, 24 << 20), pool());
    let codecs = Codecs::default();
    let compressions = [Compression::Uncompressed, Compression::Gzip, Compression::Zstd];
    let layers = (0..64_u32).map(|layer| {
        let codec = codecs.of(&compressions[layer as usize % 3]).unwrap();
        let (budget, pool) = (&budget, &pool);
        async move {
            let (ingest, _) = sink(Pace::Slow(layer % 5));
            let produce = move |writer: &mut PackWriter| write_all(writer, &data(1_500_000, layer));
            pack(budget, pool, &*codec, ingest, PackOptions::default(), produce).await
        }
    });
    for outcome in block_on(join_all(layers)) {
        outcome.unwrap();
    }
    let usage = budget.usage();
    assert_eq!(usage.used_bytes, 0);
    assert!(usage.peak_bytes <= usage.total_bytes && usage.peak_bytes > 16 << 20, "{usage:?}");
}

/// Large pages are there as a whole, however few bytes of them are used.
#[test]
fn blocks_that_became_small_cost_the_memory_that_they_keep() {
    let (budget, pool, codec) = (budget(8, 64 << 20), pool(), Codecs::default().of(&Compression::Zstd).unwrap());
    let (ingest, _) = sink(Pace::StallsAfter(0));
    let produce = |writer: &mut PackWriter| (0..30 * 8).try_for_each(|_| write_all(writer, &vec![0; 1 << 20]));
    let packing = pack(&budget, &pool, &*codec, ingest, PackOptions::default(), produce);
    pin_mut!(packing);
    assert!(packing.as_mut().now_or_never().is_none());
    until(|| budget.usage().used_bytes >= 18 * (2 << 20));
}

/// Its ingest may hold another one, which is not counted.
#[test]
fn a_plain_layer_is_admitted_with_two_blocks() {
    let (budget, pool, codec) =
        (budget(2, 16 << 20), pool(), Codecs::default().of(&Compression::Uncompressed).unwrap());
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let layers = (0..3_u32).map(|layer| {
        let (budget, pool, codec, gate) = (&budget, &pool, &codec, Arc::clone(&gate));
        let produce = move |writer: &mut PackWriter| {
            drop(gate.lock());
            write_all(writer, &data(5000, layer))
        };
        async move { pack(budget, pool, &**codec, sink(Pace::Fast).0, PackOptions::default(), produce).await.unwrap() }
    });
    let packing = join_all(layers);
    pin_mut!(packing);
    assert!(packing.as_mut().now_or_never().is_none());
    assert_eq!(budget.usage().used_bytes, 6 << 20);
    drop(closed);
    block_on(packing);
    assert_eq!(budget.usage().used_bytes, 0);
}

#[test]
fn layers_beyond_the_budget_are_admitted_in_the_order_of_their_arrival() {
    let (budget, pool) = (budget(2, 2000), pool());
    let order = Arc::new(Mutex::new(Vec::new()));
    let layers = (0..20_u32).map(|layer| {
        let (budget, pool, order) = (&budget, &pool, Arc::clone(&order));
        async move {
            let (ingest, _) = sink(Pace::Slow(3));
            let produce = move |writer: &mut PackWriter| {
                order.lock().unwrap().push(layer);
                write_all(writer, &data(5000, layer))
            };
            pack(budget, pool, &same_bytes(1000), ingest, PackOptions::default(), produce).await.unwrap();
        }
    });
    block_on(join_all(layers));
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[test]
fn a_layer_that_would_fit_waits_behind_one_that_waits_already() {
    let (budget, pool) = (budget(1, 9000), pool());
    let order = Arc::new(Mutex::new(Vec::new()));
    let pack_one = |name, block_bytes, pace| {
        let (budget, pool, order) = (&budget, &pool, Arc::clone(&order));
        async move {
            let (ingest, _) = sink(pace);
            let produce = move |writer: &mut PackWriter| {
                order.lock().unwrap().push(name);
                write_all(writer, &[0; 9000])
            };
            pack(budget, pool, &same_bytes(block_bytes), ingest, PackOptions::default(), produce).await.unwrap();
        }
    };
    let others = join(pack_one('b', 4000, Pace::Fast), pack_one('c', 1000, Pace::Fast));
    let mut stalled = Box::pin(pack_one('a', 2000, Pace::StallsAfter(0)));
    pin_mut!(others);
    block_on(async {
        // 'a' has 4000 bytes and stalls; 'b', with 8000, does not fit beside it; 'c', with 2000, would.
        assert!(stalled.as_mut().now_or_never().is_none());
        assert!(others.as_mut().now_or_never().is_none());
        drop(stalled);
        others.await;
    });
    let mut order = order.lock().unwrap().clone();
    order.retain(|name| *name != 'a');
    assert_eq!(order, ['b', 'c']);
}

/// Notes whose block it encodes, and waits for the gate first.
#[derive(Debug)]
struct Gated {
    name: char,
    log: Arc<Mutex<String>>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl BlockEncoder for Gated {
    fn block_bytes(&self) -> usize {
        1000
    }

    fn encoded_bound(&self) -> usize {
        1000
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        None
    }

    fn encode(&self, block: &mut Block) -> Result<Encoded> {
        let open = self.gate.0.lock().unwrap();
        drop(self.gate.1.wait_while(open, |open| !*open).unwrap());
        self.log.lock().unwrap().push(self.name);
        Ok(Encoded { bytes: std::mem::take(&mut block.bytes), notes: None })
    }
}

/// Makes one byte of each block, and leaves its memory alone.
#[derive(Debug)]
struct Short {
    block_bytes: usize,
}

impl BlockEncoder for Short {
    fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    fn encoded_bound(&self) -> usize {
        1
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        None
    }

    fn encode(&self, _block: &mut Block) -> Result<Encoded> {
        Ok(Encoded { bytes: vec![1].into(), notes: None })
    }
}

#[test]
fn memory_of_blocks_is_used_again_within_what_is_free_and_freed_at_the_end() {
    const BLOCK: usize = 1000;
    let (budget, pool) = (Arc::new(budget(2, 3500)), pool());
    let (ingest, _) = sink(Pace::Fast);
    let watched = Arc::clone(&budget);
    let produce = move |writer: &mut PackWriter| -> Result<()> {
        let spare_bytes = || watched.usage().spare_bytes;
        for block in 0..10 {
            write_all(writer, &[7; BLOCK / 2])?;
            assert_eq!(spare_bytes(), 0, "block {block} is in the memory of the one before");
            write_all(writer, &[7; BLOCK - BLOCK / 2])?;
            until(|| spare_bytes() == BLOCK as u64);
        }
        Ok(())
    };
    let codec = BlockCodec(Arc::new(Short { block_bytes: BLOCK }));
    block_on(pack(&budget, &pool, &codec, ingest, PackOptions::default(), produce)).unwrap();
    let usage = budget.usage();
    assert_eq!((usage.used_bytes, usage.spare_bytes), (0, 0));
    assert!(usage.peak_bytes <= usage.total_bytes);
}

#[test]
fn layers_take_turns_at_the_workers() {
    const BLOCKS: u64 = 4;
    let (budget, pool) = (budget(1, 1 << 20), pool());
    let (log, gate) = (Arc::<Mutex<String>>::default(), Arc::<(Mutex<bool>, Condvar)>::default());
    let pack_one = |name| {
        let codec = BlockCodec(Arc::new(Gated { name, log: Arc::clone(&log), gate: Arc::clone(&gate) }));
        let (budget, pool) = (&budget, &pool);
        async move {
            let (ingest, _) = sink(Pace::Fast);
            let produce = move |writer: &mut PackWriter| write_all(writer, &[0; 1000 * BLOCKS as usize]);
            pack(budget, pool, &codec, ingest, PackOptions::default(), produce).await.unwrap();
        }
    };
    let opener = {
        let gate = Arc::clone(&gate);
        let usage = || budget.usage().used_bytes;
        move || {
            until(|| usage() == 2 * BLOCKS * 2000);
            *gate.0.lock().unwrap() = true;
            gate.1.notify_all();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(opener);
        block_on(join(pack_one('a'), pack_one('b')));
    });
    let log = log.lock().unwrap();
    // The first block was taken before anything else waited.
    let turns = &log[1..];
    assert!(["ababab", "bababa"].contains(&&turns[..6]), "{log}");
}

/// Counts how many blocks are encoded at once.
#[derive(Debug, Default)]
struct Counting {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl BlockEncoder for Counting {
    fn block_bytes(&self) -> usize {
        100
    }

    fn encoded_bound(&self) -> usize {
        100
    }

    fn sequence(&self) -> Option<Box<dyn Sequence>> {
        None
    }

    fn encode(&self, block: &mut Block) -> Result<Encoded> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        std::thread::yield_now();
        self.now.fetch_sub(1, Ordering::SeqCst);
        Ok(Encoded { bytes: std::mem::take(&mut block.bytes), notes: None })
    }
}

#[test]
fn no_more_blocks_are_encoded_at_once_than_there_are_workers() {
    let (budget, pool, counting) = (budget(3, 1 << 20), pool(), Arc::<Counting>::default());
    let layers = (0..16).map(|layer| {
        let codec = BlockCodec(Arc::clone(&counting) as Arc<dyn BlockEncoder>);
        let (budget, pool) = (&budget, &pool);
        async move {
            let (ingest, _) = sink(Pace::Fast);
            let produce = move |writer: &mut PackWriter| write_all(writer, &data(20_000, layer));
            pack(budget, pool, &codec, ingest, PackOptions::default(), produce).await.unwrap();
        }
    });
    block_on(join_all(layers));
    assert!(counting.most.load(Ordering::SeqCst) <= 3);
}
