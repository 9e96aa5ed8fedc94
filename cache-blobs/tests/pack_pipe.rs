//! The pipe from an asynchronous stream to a blocking reader.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;

use std::io::{BufRead, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use cache_blobs::codec::error_of_io;
use cache_blobs::pack::{PIPE_BYTES, PipeReader, ReaderGone, pipe, read_blocking};
use cache_core::ports::ByteStream;
use cache_core::{Error, ErrorKind, Result};
use futures::{FutureExt, StreamExt};
use pack_rig::{data, pool};
use pollster::block_on;

fn read_all(mut reader: PipeReader) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|error| error_of_io("read", "a test stream", error))?;
    Ok(bytes)
}

fn stream(chunks: Vec<Result<Bytes>>) -> ByteStream {
    futures::stream::iter(chunks).boxed()
}

#[test]
fn everything_arrives_in_order() {
    let content = data(5_000_000, 1);
    let chunks = content.chunks(77_777).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    assert!(block_on(read_blocking(&*pool(), stream(chunks), read_all)).unwrap() == content);
    assert!(block_on(read_blocking(&*pool(), stream(Vec::new()), read_all)).unwrap().is_empty());
}

#[test]
fn empty_chunks_are_no_end() {
    let chunks = [&b""[..], b"a", b"", b"", b"b", b""].map(|chunk| Ok(Bytes::from_static(chunk)));
    assert_eq!(block_on(read_blocking(&*pool(), stream(chunks.to_vec()), read_all)).unwrap(), b"ab");
}

#[test]
fn an_error_of_the_stream_reaches_the_reader_with_its_kind_and_stays() {
    let failure = || Err(Error::new(ErrorKind::Unauthenticated, "fetch", "a blob"));
    let chunks = vec![Ok(Bytes::from_static(b"abc")), failure()];
    let work = |mut reader: PipeReader| {
        let mut bytes = [0; 3];
        reader.read_exact(&mut bytes).unwrap();
        let first = error_of_io("read", "it", reader.read(&mut bytes).unwrap_err()).kind();
        let second = error_of_io("read", "it", reader.fill_buf().unwrap_err()).kind();
        Ok::<_, Error>((bytes, first, second))
    };
    let outcome = block_on(read_blocking(&*pool(), stream(chunks), work)).unwrap();
    assert_eq!(outcome, (*b"abc", ErrorKind::Unauthenticated, ErrorKind::Unauthenticated));
}

#[test]
fn a_reader_that_wants_no_more_ends_the_feeding() {
    let polled = Arc::new(AtomicUsize::new(0));
    let endless = {
        let polled = Arc::clone(&polled);
        futures::stream::repeat_with(move || {
            polled.fetch_add(1, Ordering::SeqCst);
            Ok(Bytes::from(vec![0; 1000]))
        })
    };
    let work = |mut reader: PipeReader| {
        let mut bytes = [1; 10];
        reader.read_exact(&mut bytes).unwrap();
        Ok::<_, Error>(bytes)
    };
    assert_eq!(block_on(read_blocking(&*pool(), endless.boxed(), work)).unwrap(), [0; 10]);
    assert!(polled.load(Ordering::SeqCst) <= 2 + PIPE_BYTES / 1000, "the pipe is bounded");
}

#[test]
fn a_dropped_call_cancels_the_reader() {
    let (sender, outcome) = mpsc::channel();
    let work = move |reader: PipeReader| {
        let kind = read_all(reader).unwrap_err().kind();
        sender.send(kind).unwrap();
        Ok::<_, Error>(())
    };
    let never = stream(vec![Ok(Bytes::from_static(b"some"))]).chain(futures::stream::pending()).boxed();
    let pool = pool();
    let mut reading = Box::pin(read_blocking(&*pool, never, work));
    assert!(reading.as_mut().now_or_never().is_none());
    drop(reading);
    assert_eq!(outcome.recv().unwrap(), ErrorKind::Cancelled);
}

#[test]
fn work_that_panics_is_cancelled() {
    let work = |_reader: PipeReader| -> Result<()> { panic!("a bug in a reader") };
    let endless = futures::stream::repeat_with(|| Ok(Bytes::from_static(b"x")));
    let outcome = block_on(read_blocking(&*pool(), endless.boxed(), work));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_full_pipe_waits_and_a_larger_chunk_passes_alone() {
    let (mut writer, mut reader) = pipe();
    assert_eq!(writer.send(Bytes::from(vec![1; 2 * PIPE_BYTES])).now_or_never(), Some(Ok(())));
    assert_eq!(writer.send(Bytes::from_static(b"x")).now_or_never(), None);
    assert_eq!(reader.fill_buf().unwrap().len(), 2 * PIPE_BYTES);
    assert_eq!(writer.send(Bytes::from_static(b"x")).now_or_never(), Some(Ok(())));
    drop(reader);
    assert_eq!(writer.send(Bytes::from_static(b"x")).now_or_never(), Some(Err(ReaderGone)));
}
