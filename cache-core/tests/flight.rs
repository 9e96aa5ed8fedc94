//! Single flight: sharing, leaving, starting afresh, wake-ups and panics.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use cache_core::flight::Group;
use cache_core::{Error, ErrorKind};
use futures::channel::oneshot;
use futures::future::{FutureExt, join, join_all};

#[derive(Default)]
struct Counter(AtomicUsize);

impl Counter {
    fn up(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.up();
    }
}

/// Counts when it is dropped before it is ready.
struct Work<F> {
    inner: Pin<Box<F>>,
    dropped: Arc<Counter>,
    done: bool,
}

impl<F: Future> Work<F> {
    fn new(dropped: &Arc<Counter>, inner: F) -> Self {
        Self { inner: Box::pin(inner), dropped: Arc::clone(dropped), done: false }
    }
}

impl<F: Future> Future for Work<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let polled = self.inner.as_mut().poll(context);
        self.done = polled.is_ready();
        polled
    }
}

impl<F> Drop for Work<F> {
    fn drop(&mut self) {
        if !self.done {
            self.dropped.up();
        }
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    future.poll_unpin(&mut Context::from_waker(waker))
}

type Gate = Arc<Mutex<Vec<oneshot::Sender<u32>>>>;

/// Work that waits for a number sent through `gate`.
fn gated(gate: &Gate, started: &Arc<Counter>) -> impl Future<Output = u32> + Send + use<> {
    let (gate, started) = (Arc::clone(gate), Arc::clone(started));
    async move {
        let (sender, receiver) = oneshot::channel();
        started.up();
        gate.lock().unwrap().push(sender);
        receiver.await.unwrap()
    }
}

fn open(gate: &Gate, number: u32) {
    gate.lock().unwrap().pop().unwrap().send(number).unwrap();
}

#[test]
fn two_callers_share_one_run() {
    let (group, gate, started) = (Group::new(), Gate::default(), Arc::new(Counter::default()));
    let waker = Waker::noop();
    let mut first = Box::pin(group.run("key", || gated(&gate, &started)));
    let mut second = Box::pin(group.run("key", || gated(&gate, &started)));
    assert!(poll_once(&mut first, waker).is_pending());
    assert!(poll_once(&mut second, waker).is_pending());
    assert_eq!((started.get(), group.running()), (1, 1));
    open(&gate, 7);
    assert_eq!(pollster::block_on(join(first, second)), (7, 7));
    assert_eq!((started.get(), group.running()), (1, 0));
}

#[test]
fn different_keys_run_side_by_side() {
    let group = Group::new();
    let both = join(group.run((1, "gzip"), || async { 1 }), group.run((1, "zstd"), || async { 2 }));
    assert_eq!(pollster::block_on(both), (1, 2));
}

#[test]
fn an_error_reaches_every_waiter() {
    let group: Group<&str, Result<u32, Error>> = Group::new();
    let gate = Gate::default();
    let work = || {
        let gated = gated(&gate, &Arc::default());
        async move { Err(Error::new(ErrorKind::NoSpace, "work", gated.await)) }
    };
    let mut callers: Vec<_> = (0..3).map(|_| Box::pin(group.run("key", work))).collect();
    for caller in &mut callers {
        assert!(poll_once(caller, Waker::noop()).is_pending());
    }
    open(&gate, 1);
    for outcome in pollster::block_on(join_all(callers)) {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NoSpace);
    }
}

#[test]
fn a_caller_that_leaves_takes_nothing_from_the_others() {
    for leaver in 0..3 {
        let (group, gate, started) = (Group::new(), Gate::default(), Arc::new(Counter::default()));
        let dropped = Arc::new(Counter::default());
        let mut callers: Vec<_> =
            (0..3).map(|_| Box::pin(group.run("key", || Work::new(&dropped, gated(&gate, &started))))).collect();
        for caller in &mut callers {
            assert!(poll_once(caller, Waker::noop()).is_pending());
        }
        drop(callers.remove(leaver));
        open(&gate, 5);
        assert_eq!(pollster::block_on(join_all(callers)), [5, 5]);
        assert_eq!((started.get(), dropped.get()), (1, 0));
    }
}

#[test]
fn the_poller_may_leave_between_the_wake_up_and_its_turn() {
    let (group, gate, started) = (Group::new(), Gate::default(), Arc::new(Counter::default()));
    let (first_woken, second_woken) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
    let mut first = Box::pin(group.run("key", || gated(&gate, &started)));
    let mut second = Box::pin(group.run("key", || gated(&gate, &started)));
    assert!(poll_once(&mut first, &Waker::from(Arc::clone(&first_woken))).is_pending());
    assert!(poll_once(&mut second, &Waker::from(Arc::clone(&second_woken))).is_pending());
    open(&gate, 5);
    assert_eq!(first_woken.get(), 1);
    drop(first);
    assert_eq!(second_woken.get(), 1, "the wake-up is not lost with the first caller");
    assert_eq!(poll_once(&mut second, Waker::noop()), Poll::Ready(5));
}

#[test]
fn a_caller_that_is_alive_but_never_polled_again_stops_nobody() {
    let (group, gate, started) = (Group::new(), Gate::default(), Arc::new(Counter::default()));
    let mut idle = Box::pin(group.run("key", || gated(&gate, &started)));
    assert!(poll_once(&mut idle, Waker::noop()).is_pending());
    let entered = Barrier::new(2);
    thread::scope(|scope| {
        let active = scope.spawn(|| {
            let mut caller = pin!(group.run("key", || gated(&gate, &started)));
            let mut told = false;
            pollster::block_on(poll_fn(|context| {
                let polled = caller.as_mut().poll(context);
                if !told {
                    told = true;
                    entered.wait();
                }
                polled
            }))
        });
        entered.wait();
        open(&gate, 9);
        assert_eq!(active.join().unwrap(), 9);
    });
    assert_eq!(poll_once(&mut idle, Waker::noop()), Poll::Ready(9));
}

#[test]
fn when_all_have_left_the_work_stops_and_a_later_caller_starts_afresh() {
    let (group, gate, started) = (Group::new(), Gate::default(), Arc::new(Counter::default()));
    let dropped = Arc::new(Counter::default());
    for round in 1..=3 {
        let mut callers: Vec<_> =
            (0..2).map(|_| Box::pin(group.run("key", || Work::new(&dropped, gated(&gate, &started))))).collect();
        for caller in &mut callers {
            assert!(poll_once(caller, Waker::noop()).is_pending());
        }
        drop(callers.pop());
        assert_eq!(dropped.get(), round - 1);
        drop(callers);
        assert_eq!((started.get(), dropped.get(), group.running()), (round, round, 0));
    }
    let mut last = Box::pin(group.run("key", || gated(&gate, &started)));
    assert!(poll_once(&mut last, Waker::noop()).is_pending());
    open(&gate, 4);
    assert_eq!(pollster::block_on(last), 4);
}

#[test]
fn a_caller_that_was_never_polled_wants_nothing() {
    let group: Group<&str, u32> = Group::new();
    let made = Counter::default();
    drop(group.run("key", || {
        made.up();
        pending()
    }));
    assert_eq!((made.get(), group.running()), (0, 0));
}

#[test]
fn a_caller_that_comes_while_the_last_one_leaves_is_never_cancelled() {
    let group: Group<u8, usize> = Group::new();
    let runs = Arc::new(Counter::default());
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        for impatient in [true, false] {
            let (group, runs, barrier) = (&group, &runs, &barrier);
            scope.spawn(move || {
                for _ in 0..2_000 {
                    let caller = group.run(0, || {
                        let run = runs.up();
                        async move {
                            YieldTwice::default().await;
                            run
                        }
                    });
                    barrier.wait();
                    if impatient {
                        let mut caller = Box::pin(caller);
                        let _ = poll_once(&mut caller, Waker::noop());
                    } else {
                        assert!(pollster::block_on(caller) > 0);
                    }
                }
            });
        }
    });
    assert_eq!(group.running(), 0);
}

#[derive(Default)]
struct YieldTwice(u8);

impl Future for YieldTwice {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0 += 1;
        if self.0 > 2 {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[test]
fn many_threads_get_the_outcome_of_a_run_that_they_waited_for() {
    let group: Group<usize, Result<usize, usize>> = Group::new();
    let (began, ended) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
    let (threads, rounds) = (8, 500);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (group, began, ended) = (&group, &began, &ended);
            scope.spawn(move || {
                for _ in 0..rounds {
                    let ended_before = ended.get();
                    let outcome = pollster::block_on(group.run(0, || {
                        let (began, ended) = (Arc::clone(began), Arc::clone(ended));
                        async move {
                            let run = began.up();
                            YieldTwice::default().await;
                            ended.up();
                            if run.is_multiple_of(2) { Ok(run) } else { Err(run) }
                        }
                    }));
                    let run = outcome.unwrap_or_else(|run| run);
                    assert!(run >= ended_before, "run {run} was over before this caller came");
                    assert_eq!(outcome.is_ok(), run.is_multiple_of(2));
                }
            });
        }
    });
    assert!(began.get() <= threads * rounds);
    assert_eq!((began.get() - ended.get(), group.running()), (0, 0));
}

#[test]
fn wake_ups_from_other_threads_are_never_lost() {
    let group: Group<u8, u32> = Group::new();
    for round in 0..300 {
        let work = || async move {
            let mut sum = 0;
            for step in 0..4 {
                let (sender, receiver) = oneshot::channel();
                thread::spawn(move || sender.send(step));
                sum += receiver.await.unwrap();
            }
            sum + round
        };
        thread::scope(|scope| {
            let stay = scope.spawn(|| pollster::block_on(group.run(0, work)));
            // One caller polls once and leaves at any moment of the work.
            scope.spawn(|| poll_once(&mut Box::pin(group.run(0, work)), Waker::noop()).is_ready());
            assert_eq!(stay.join().unwrap(), 6 + round);
        });
    }
}

#[test]
fn a_panic_reaches_its_poller_and_the_others_start_afresh() {
    let (group, gate, started) = (Group::new(), Gate::default(), Arc::new(Counter::default()));
    let work = || {
        let (gated, number) = (gated(&gate, &started), started.get());
        async move {
            let outcome = gated.await;
            assert!(number > 0, "the first run panics");
            outcome
        }
    };
    let woken = Arc::new(Counter::default());
    let mut first = Box::pin(group.run("key", work));
    let mut second = Box::pin(group.run("key", work));
    assert!(poll_once(&mut first, Waker::noop()).is_pending());
    assert!(poll_once(&mut second, &Waker::from(Arc::clone(&woken))).is_pending());
    open(&gate, 1);
    let crash = catch_unwind(AssertUnwindSafe(|| poll_once(&mut first, Waker::noop())));
    assert!(crash.is_err());
    assert!(woken.get() > 0);
    assert!(poll_once(&mut second, Waker::noop()).is_pending());
    assert_eq!(started.get(), 2);
    open(&gate, 2);
    assert_eq!(pollster::block_on(second), 2);
    drop(first);
    assert_eq!(group.running(), 0);
}

#[test]
fn a_panic_in_the_only_caller_leaves_the_group_usable() {
    let group: Group<&str, u32> = Group::new();
    let crash = catch_unwind(AssertUnwindSafe(|| {
        pollster::block_on(group.run("key", || async { panic!("on purpose") }));
    }));
    assert!(crash.is_err());
    assert_eq!(group.running(), 0);
    assert_eq!(pollster::block_on(group.run("key", || async { 1 })), 1);
}

#[test]
fn work_may_use_the_group_while_it_is_dropped() {
    struct Nested(Arc<Group<&'static str, u32>>);
    impl Drop for Nested {
        fn drop(&mut self) {
            assert_eq!(pollster::block_on(self.0.run("key", || async { 3 })), 3);
        }
    }
    let group = Arc::new(Group::new());
    let mut caller = Box::pin(group.run("key", || {
        let nested = Nested(Arc::clone(&group));
        async move {
            pending::<()>().await;
            drop(nested);
            0
        }
    }));
    assert!(poll_once(&mut caller, Waker::noop()).is_pending());
    drop(caller);
    assert_eq!(group.running(), 0);
}
