//! A bounded pump from the caller's task to a thread that may block.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use futures::Stream;
use futures::channel::mpsc::{Receiver, Sender, channel};

/// Messages on the way. Four chunks keep the writer busy while the next one is read; more only take memory.
const IN_FLIGHT: usize = 4;

/// A sender for a task and a receiver for a thread.
pub(super) fn pump<T>() -> (Sender<T>, Outlet<T>) {
    let (sender, receiver) = channel(IN_FLIGHT - 1);
    (sender, Outlet { receiver, waker: None })
}

/// The end of a pump at which a thread waits.
#[derive(Debug)]
pub(super) struct Outlet<T> {
    receiver: Receiver<T>,
    waker: Option<Waker>,
}

impl<T> Outlet<T> {
    /// The next message; `None` when the sender is gone. Blocks.
    pub(super) fn receive(&mut self) -> Option<T> {
        let waker = self.waker.get_or_insert_with(|| Waker::from(Arc::new(Unpark(std::thread::current()))));
        let mut context = Context::from_waker(waker);
        loop {
            match Pin::new(&mut self.receiver).poll_next(&mut context) {
                Poll::Ready(message) => return message,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

#[derive(Debug)]
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}
