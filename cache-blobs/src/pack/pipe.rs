//! From an asynchronous stream of bytes to a blocking reader.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use cache_core::ports::{ByteStream, Pool};
use cache_core::{Error, ErrorKind, Result};
use futures::channel::oneshot;
use futures::{StreamExt, future, pin_mut};

use crate::codec::io_error;
use crate::pack::line::panicked;

/// Bytes that a pipe holds before its writer waits. A single longer chunk passes, too.
pub const PIPE_BYTES: usize = 1 << 20;

/// A pipe from an asynchronous writer to a blocking reader, of [`PIPE_BYTES`].
pub fn pipe() -> (PipeWriter, PipeReader) {
    let pipe = Arc::new(Pipe::default());
    (PipeWriter(Arc::clone(&pipe)), PipeReader { pipe, chunk: Bytes::new() })
}

#[derive(Default)]
struct Pipe {
    state: Mutex<State>,
    reader_wake: Condvar,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    end: Option<Result<()>>,
    reader_gone: bool,
    writer_wake: Option<Waker>,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, end: Result<()>) {
        self.lock().end.get_or_insert(end);
        self.reader_wake.notify_all();
    }
}

/// The reader was dropped: it wants no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader of a pipe is gone")]
pub struct ReaderGone;

/// The asynchronous end. Dropped before [`end`](Self::end), it lets the reader fail with a carried `Cancelled`.
pub struct PipeWriter(Arc<Pipe>);

impl PipeWriter {
    /// Hands `chunk` over when there is room for it.
    ///
    /// # Errors
    /// [`ReaderGone`].
    ///
    /// # Cancel safety
    /// A dropped call has handed nothing over.
    pub async fn send(&mut self, chunk: Bytes) -> Result<(), ReaderGone> {
        poll_fn(|context| self.poll_room(context, chunk.len())).await?;
        if !chunk.is_empty() {
            let mut state = self.0.lock();
            state.bytes += chunk.len();
            state.chunks.push_back(chunk);
            drop(state);
            self.0.reader_wake.notify_all();
        }
        Ok(())
    }

    fn poll_room(&self, context: &mut Context<'_>, bytes: usize) -> Poll<Result<(), ReaderGone>> {
        let mut state = self.0.lock();
        if state.reader_gone {
            return Poll::Ready(Err(ReaderGone));
        }
        if state.bytes == 0 || state.bytes.saturating_add(bytes) <= PIPE_BYTES {
            return Poll::Ready(Ok(()));
        }
        state.writer_wake = Some(context.waker().clone());
        Poll::Pending
    }

    /// Ends the stream: after what was sent, the reader finds its end, or the error.
    pub fn end(self, end: Result<()>) {
        self.0.end(end);
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.0.end(Err(Error::new(ErrorKind::Cancelled, "read", "a stream that nobody feeds any more")));
    }
}

impl fmt::Debug for PipeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeWriter").field("bytes", &self.0.lock().bytes).finish_non_exhaustive()
    }
}

/// The blocking end. The error of a stream comes out as an I/O error from which
/// [`error_of_io`](crate::codec::error_of_io) takes it back, at every further read, too.
pub struct PipeReader {
    pipe: Arc<Pipe>,
    chunk: Bytes,
}

impl PipeReader {
    fn next_chunk(&mut self) -> io::Result<()> {
        let mut state = self.pipe.lock();
        loop {
            if let Some(chunk) = state.chunks.pop_front() {
                state.bytes -= chunk.len();
                let writer = state.writer_wake.take();
                drop(state);
                if let Some(writer) = writer {
                    writer.wake();
                }
                self.chunk = chunk;
                return Ok(());
            }
            if let Some(end) = &state.end {
                return end.clone().map_err(io_error);
            }
            state = self.pipe.reader_wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl BufRead for PipeReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.is_empty() {
            self.next_chunk()?;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, bytes: usize) {
        self.chunk.advance(bytes.min(self.chunk.len()));
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(buffer)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut state = self.pipe.lock();
        state.reader_gone = true;
        let chunks = std::mem::take(&mut state.chunks);
        let writer = state.writer_wake.take();
        drop(state);
        drop(chunks);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

impl fmt::Debug for PipeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeReader").field("chunk", &self.chunk.len()).finish_non_exhaustive()
    }
}

/// Sends `stream` through `writer` until either ends.
pub async fn feed(mut stream: ByteStream, mut writer: PipeWriter) {
    let end = loop {
        match stream.next().await {
            None => break Ok(()),
            Some(Err(error)) => break Err(error),
            Some(Ok(chunk)) => {
                if let Err(ReaderGone) = writer.send(chunk).await {
                    return;
                }
            }
        }
    };
    writer.end(end);
}

/// Runs `work` on a thread of `pool` with `stream` as a blocking reader, and gives its outcome. The stream is polled on the
/// caller's task.
///
/// # Errors
/// What `work` gives; `Unavailable` if no thread can be had; `Cancelled` if the work panicked.
///
/// # Cancel safety
/// When the call is dropped, the work's next read that finds nothing left fails with a carried `Cancelled`.
pub async fn read_blocking<T, E, F>(pool: &dyn Pool, stream: ByteStream, work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    F: FnOnce(PipeReader) -> Result<T, E> + Send + 'static,
{
    let (writer, reader) = pipe();
    let (sender, outcome) = oneshot::channel();
    pool.spawn(Box::new(move || drop(sender.send(work(reader)))))?;
    let feeding = feed(stream, writer);
    pin_mut!(feeding);
    let outcome = match future::select(outcome, feeding).await {
        future::Either::Left((outcome, _feeding)) => outcome,
        future::Either::Right(((), outcome)) => outcome.await,
    };
    outcome.unwrap_or_else(|_| Err(panicked("reader").into()))
}
