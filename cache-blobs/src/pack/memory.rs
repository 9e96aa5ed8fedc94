//! The bytes that the layers being packed share.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use cache_core::{Error, ErrorKind, Result};

use crate::codec::BlockBytes;
use crate::pack::budget::BudgetUsage;
use crate::pack::spares::Spares;

/// Shared bytes. Each admitted layer owns its minimum from admission to end; what it needs beyond comes from what is free,
/// and it can always go on without.
pub(super) struct Memory {
    total: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: u64,
    peak: u64,
    next_ticket: u64,
    waiting: VecDeque<Waiting>,
    /// They take what nobody uses.
    spares: Spares,
}

struct Waiting {
    ticket: u64,
    waker: Waker,
}

impl State {
    /// Takes `bytes` of `total`; the spares for which there is no room then are to be dropped when no lock is held.
    #[must_use]
    fn take(&mut self, bytes: u64, total: u64) -> Vec<BlockBytes> {
        self.used += bytes;
        self.peak = self.peak.max(self.used);
        self.spares.shrink(total - self.used)
    }

    fn first_waker(&self) -> Option<Waker> {
        self.waiting.front().map(|first| first.waker.clone())
    }
}

impl Memory {
    pub(super) fn new(total: u64) -> Self {
        Self { total, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn usage(&self) -> BudgetUsage {
        let state = self.lock();
        BudgetUsage {
            total_bytes: self.total,
            used_bytes: state.used,
            peak_bytes: state.peak,
            spare_bytes: state.spares.bytes(),
        }
    }

    /// Waits, behind those who wait already, until a layer with the minimum `minimum` is admitted.
    ///
    /// # Errors
    /// `LimitExceeded` if it never can be.
    pub(super) fn admit(self: &Arc<Self>, minimum: u64) -> Result<Admission> {
        if minimum > self.total {
            let target = format_args!("blocks of {minimum} bytes in {} (Budget's memory_bytes)", self.total);
            return Err(Error::new(ErrorKind::LimitExceeded, "reserve", target));
        }
        Ok(Admission { memory: Arc::clone(self), minimum, ticket: None })
    }

    /// Takes `bytes` if they are free and no layer waits for its admission: who has its minimum goes on without more. Gives a spare
    /// of `capacity` bytes with them, if there is one.
    fn try_take(&self, bytes: u64, capacity: usize) -> Option<Taken> {
        let mut state = self.lock();
        let fits = state.waiting.is_empty() && state.used + bytes <= self.total;
        fits.then(|| {
            let spare = state.spares.take(capacity);
            let left = state.take(bytes, self.total);
            Taken { spare, left }
        })
    }

    /// Gives `bytes` back, and the memory of a block with them, for another block of a layer, if there is one.
    fn give_back(&self, bytes: u64, buffer: Option<BlockBytes>) -> GivenBack {
        let mut state = self.lock();
        state.used -= bytes;
        // Nobody needs any when no layer is left.
        let room = if state.used == 0 { 0 } else { self.total - state.used };
        let left = match buffer {
            Some(buffer) => state.spares.keep(buffer, room),
            None => state.spares.shrink(room),
        };
        GivenBack { first: state.first_waker(), left }
    }
}

/// A place for a block.
#[derive(Debug)]
pub(super) struct Taken {
    /// Its memory, if there was a spare.
    pub(super) spare: Option<BlockBytes>,
    left: Vec<BlockBytes>,
}

impl Taken {
    /// Empty memory of `capacity` bytes. Call it when no lock is held.
    pub(super) fn into_buffer(self, capacity: usize) -> BlockBytes {
        let Self { spare, left } = self;
        drop(left);
        spare.unwrap_or_else(|| BlockBytes::with_capacity(capacity))
    }
}

/// What is to be done when bytes were given back and no lock is held.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct GivenBack {
    first: Option<Waker>,
    left: Vec<BlockBytes>,
}

impl GivenBack {
    /// Frees memory, and wakes who waits for its admission.
    pub(super) fn settle(self) {
        drop(self.left);
        if let Some(first) = self.first {
            first.wake();
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Memory").field(&self.usage()).finish()
    }
}

/// Ready when the layer is admitted. Dropping it leaves the queue.
#[derive(Debug)]
pub(super) struct Admission {
    memory: Arc<Memory>,
    minimum: u64,
    ticket: Option<u64>,
}

impl Future for Admission {
    type Output = Share;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Share> {
        let memory = Arc::clone(&self.memory);
        let mut state = memory.lock();
        let first = match (self.ticket, state.waiting.front()) {
            (_, None) => true,
            (Some(ticket), Some(first)) => first.ticket == ticket,
            (None, Some(_)) => false,
        };
        if first && state.used + self.minimum <= memory.total {
            if self.ticket.take().is_some() {
                state.waiting.pop_front();
            }
            let left = state.take(self.minimum, memory.total);
            let next = state.first_waker();
            drop(state);
            drop(left);
            if let Some(next) = next {
                next.wake();
            }
            return Poll::Ready(Share { memory: Arc::clone(&memory), minimum: self.minimum, live: 0 });
        }
        let waker = context.waker().clone();
        match self.ticket {
            Some(ticket) => {
                if let Some(waiting) = state.waiting.iter_mut().find(|waiting| waiting.ticket == ticket) {
                    waiting.waker = waker;
                }
            }
            None => {
                let ticket = state.next_ticket;
                state.next_ticket += 1;
                state.waiting.push_back(Waiting { ticket, waker });
                drop(state);
                self.ticket = Some(ticket);
            }
        }
        Poll::Pending
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.memory.lock();
        state.waiting.retain(|waiting| waiting.ticket != ticket);
        let first = state.first_waker();
        drop(state);
        if let Some(first) = first {
            first.wake();
        }
    }
}

/// What one admitted layer has of the shared bytes: its minimum, or what it lives on, whichever is more.
#[derive(Debug)]
pub(super) struct Share {
    memory: Arc<Memory>,
    minimum: u64,
    live: u64,
}

impl Share {
    /// The minimum of a layer that lives on nothing yet, given to its variants: each is owned what `minimums` says, and all of them
    /// together what they were admitted with.
    pub(super) fn split(mut self, minimums: impl IntoIterator<Item = u64>) -> Vec<Self> {
        let mut parts = Vec::new();
        for minimum in minimums {
            let minimum = minimum.min(self.minimum);
            self.minimum -= minimum;
            parts.push(Self { memory: Arc::clone(&self.memory), minimum, live: 0 });
        }
        parts
    }

    /// Takes `bytes` for a block of `capacity` bytes. It succeeds whenever the minimum covers them, so always for a layer that
    /// lives on nothing.
    pub(super) fn try_take(&mut self, bytes: u64, capacity: usize) -> Option<Taken> {
        let more = (self.live + bytes).max(self.minimum) - self.charged();
        let taken = match more {
            0 => Taken { spare: self.memory.lock().spares.take(capacity), left: Vec::new() },
            more => self.memory.try_take(more, capacity)?,
        };
        self.live += bytes;
        Some(taken)
    }

    /// Gives `bytes` back, and with them the memory of a block.
    pub(super) fn give_back(&mut self, bytes: u64, buffer: Option<BlockBytes>) -> GivenBack {
        let before = self.charged();
        self.live -= bytes;
        self.memory.give_back(before - self.charged(), buffer)
    }

    /// The memory that this is a part of.
    pub(super) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    fn charged(&self) -> u64 {
        self.live.max(self.minimum)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.give_back(self.charged(), None).settle();
    }
}

/// A block that is handed out as it is; its memory is kept when nobody has it any more.
pub(super) struct Lent {
    bytes: BlockBytes,
    memory: Arc<Memory>,
}

impl Lent {
    pub(super) fn new(bytes: BlockBytes, memory: &Arc<Memory>) -> Self {
        Self { bytes, memory: Arc::clone(memory) }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.memory.give_back(0, Some(std::mem::take(&mut self.bytes))).settle();
    }
}
