//! What a second thread does with the files of a layer.
//!
//! The thread that reads the archive makes all names, in its order. What is written to an open file, and its attributes, depend on nothing else; only another name of a file has
//! to wait until the file is complete, because it has a say in its attributes; and a name that goes, because some file systems keep what is open under
//! another one. Large runs of bytes are no work for the second thread, which would need a copy of them.

use std::fs::File;
use std::io::BufRead;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use rustix::io::Errno;

use super::attributes::{LeftOutXattrs, Object, set_attributes};
use super::budget::Budget;
use super::{ApplyOptions, Error, Operation};
use crate::changes::FileKind;
use crate::content::{BLOCK_BYTES, Extent};
use crate::tar::{Entry, Header};

/// Shorter runs of zeros are written, since no file system leaves smaller holes.
const MIN_HOLE_BYTES: usize = 4096;

/// While more bytes of a file are left, the thread that reads the archive writes what lies ready in runs of [`LENT_BYTES`] or more. Half of what
/// the decoder gives at a time; a smaller file is worth no call of its own.
const LARGE_BYTES: u64 = 128 * 1024;
const LENT_BYTES: usize = 32 * 1024;

/// Bytes that go to the other thread at once, and of headers that do: enough to make the switch cheap.
const BATCH_BYTES: usize = 512 * 1024;

/// Files that do. Each is open until it is complete.
const BATCH_FILES: usize = 16;

/// One batch is filled, one is written and one waits.
const BATCHES: usize = 3;

/// A file that is open.
struct OpenFile {
    file: File,
    header: Arc<Header>,
}

/// What is to be done with a file.
struct Step {
    file: Arc<OpenFile>,
    /// Where in the file they go, and where in the batch they are.
    position: u64,
    bytes: Range<usize>,
    /// Its length, when it is complete.
    end: Option<u64>,
}

/// Steps in their order, and the bytes of all of them.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    filled: usize,
    header_bytes: usize,
    steps: Vec<Step>,
}

impl Batch {
    fn has_room(&self) -> bool {
        let full = self.steps.len() >= BATCH_FILES || self.header_bytes >= BATCH_BYTES;
        !full && self.filled + BLOCK_BYTES <= BATCH_BYTES
    }

    /// Forgets what was to be done.
    fn clear(&mut self) {
        self.steps.clear();
        (self.filled, self.header_bytes) = (0, 0);
    }

    /// Adds the next `count` bytes, which are there, to `file`.
    fn add(&mut self, file: &Arc<OpenFile>, position: u64, count: usize) {
        let bytes = self.filled..self.filled + count;
        self.filled = bytes.end;
        match self.steps.last_mut() {
            Some(last)
                if Arc::ptr_eq(&last.file, file)
                    && last.bytes.end == bytes.start
                    && last.position + last.bytes.len() as u64 == position =>
            {
                last.bytes.end = bytes.end;
            }
            _ => self.steps.push(Step { file: Arc::clone(file), position, bytes, end: None }),
        }
    }

    /// Does all steps; files that are complete are closed.
    fn write(&mut self, options: &ApplyOptions, left_out: &mut LeftOutXattrs) -> Result<(), Error> {
        (self.filled, self.header_bytes) = (0, 0);
        for step in self.steps.drain(..) {
            let OpenFile { file, header } = &*step.file;
            let failed = |error| Error::io(Operation::Write, &header.path, error);
            let bytes = &self.bytes[step.bytes];
            let written = step.position + bytes.len() as u64;
            if !bytes.is_empty() {
                file.write_all_at(bytes, step.position).map_err(failed)?;
            }
            let Some(end) = step.end else { continue };
            if end > written {
                file.set_len(end).map_err(failed)?;
            }
            let object = Object::Open(file.as_fd(), FileKind::File);
            set_attributes(&object, header, header.mode, options, left_out)?;
        }
        Ok(())
    }
}

/// Files on their way.
pub(super) struct Files<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    options: &'env ApplyOptions,
    batch: Batch,
    spares: Vec<Batch>,
    writer: Writer<'scope>,
    left_out: LeftOutXattrs,
}

enum Writer<'scope> {
    /// The first batch starts the thread.
    Later,
    /// There is no thread to be had.
    Here,
    Beside(Beside<'scope>),
}

struct Beside<'scope> {
    batches: SyncSender<Batch>,
    done: Receiver<Batch>,
    under_way: usize,
    thread: ScopedJoinHandle<'scope, Result<LeftOutXattrs, Error>>,
}

impl<'scope, 'env: 'scope> Files<'scope, 'env> {
    pub(super) fn new(scope: &'scope Scope<'scope, 'env>, options: &'env ApplyOptions) -> Self {
        let spares = (1..BATCHES).map(|_| Batch::default()).collect();
        Self {
            scope,
            options,
            batch: Batch::default(),
            spares,
            writer: Writer::Later,
            left_out: LeftOutXattrs::default(),
        }
    }

    /// Writes what `entry` holds, zeros as holes, to the new and empty `file`, and then sets its attributes; sooner or later.
    pub(super) fn write<R: BufRead>(
        &mut self,
        file: OwnedFd,
        header: &Arc<Header>,
        entry: &mut Entry<'_, R>,
        budget: &mut Budget<'_>,
    ) -> Result<(), Error> {
        let file = Arc::new(OpenFile { file: File::from(file), header: Arc::clone(header) });
        self.batch.header_bytes += bytes_of(header);
        let (mut position, mut written) = (0, 0);
        if header.size > LARGE_BYTES {
            // It would wait for long.
            self.hand_over()?;
        }
        loop {
            if !self.batch.has_room() {
                self.hand_over()?;
            }
            if header.size.saturating_sub(position) > LARGE_BYTES {
                self.look_after()?;
                let take = |bytes: &[u8]| match bytes.len() {
                    count @ LENT_BYTES.. => (count, Some((count as u64, write_at(&file, position, bytes, budget)))),
                    _ => (0, None),
                };
                if let Some((count, end)) = entry.lend(take)?.flatten() {
                    position += count;
                    written = end?.unwrap_or(written);
                    continue;
                }
            }
            let batch = &mut self.batch;
            batch.bytes.resize(BATCH_BYTES, 0);
            let room = &mut batch.bytes[batch.filled..batch.filled + BLOCK_BYTES];
            match entry.next_extent(room)? {
                Extent::Data(count) if count >= MIN_HOLE_BYTES && is_zero(&room[..count]) => position += count as u64,
                Extent::Data(count) => {
                    budget.write(count, &header.path)?;
                    batch.add(&file, position, count);
                    position += count as u64;
                    written = position;
                }
                Extent::Hole(length) => position += length,
                Extent::End => break,
            }
        }
        match self.batch.steps.last_mut() {
            Some(last) if Arc::ptr_eq(&last.file, &file) => last.end = Some(position),
            _ => self.batch.steps.push(Step { file, position: written, bytes: 0..0, end: Some(position) }),
        }
        Ok(())
    }

    /// Completes all files.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        while let Writer::Beside(beside) = &mut self.writer
            && beside.under_way > 0
        {
            match beside.done.recv() {
                Ok(batch) => {
                    beside.under_way -= 1;
                    self.spares.push(batch);
                }
                Err(_) => return Err(self.failure()),
            }
        }
        // To wait for another thread again would take longer.
        self.batch.write(self.options, &mut self.left_out)
    }

    /// Completes all files; says which attributes were left out.
    pub(super) fn finish(mut self) -> Result<LeftOutXattrs, Error> {
        self.settle()?;
        self.end()?;
        Ok(self.left_out)
    }

    /// Has the steps so far done.
    fn hand_over(&mut self) -> Result<(), Error> {
        if self.batch.steps.is_empty() {
            return Ok(());
        }
        if let Writer::Later = self.writer {
            self.writer = start(self.scope, self.options);
        }
        let Writer::Beside(beside) = &mut self.writer else {
            return self.batch.write(self.options, &mut self.left_out);
        };
        let next = match self.spares.pop() {
            Some(spare) => spare,
            None => match beside.done.recv() {
                Ok(done) => {
                    beside.under_way -= 1;
                    done
                }
                Err(_) => return Err(self.failure()),
            },
        };
        beside.under_way += 1;
        match beside.batches.send(std::mem::replace(&mut self.batch, next)) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure()),
        }
    }

    /// Whether the thread has failed.
    fn look_after(&mut self) -> Result<(), Error> {
        match &self.writer {
            Writer::Beside(beside) if beside.thread.is_finished() => Err(self.failure()),
            _ => Ok(()),
        }
    }

    /// What the thread failed with, which ended before it was told to.
    fn failure(&mut self) -> Error {
        // It comes after what failed.
        self.batch.clear();
        self.end().err().unwrap_or_else(|| Error::io(Operation::Write, b"", Errno::CANCELED))
    }

    fn end(&mut self) -> Result<(), Error> {
        if let Writer::Beside(beside) = std::mem::replace(&mut self.writer, Writer::Here) {
            drop(beside.batches);
            let left_out = beside.thread.join().expect("writing files does not panic")?;
            self.left_out.append(left_out);
        }
        Ok(())
    }
}

fn start<'scope>(scope: &'scope Scope<'scope, '_>, options: &'scope ApplyOptions) -> Writer<'scope> {
    let (batches, work) = sync_channel(BATCHES);
    let (finished, done) = channel();
    let write = move || write_all(&work, &finished, options);
    match Builder::new().name("layer-files".to_owned()).spawn_scoped(scope, write) {
        Ok(thread) => Writer::Beside(Beside { batches, done, under_way: 0, thread }),
        Err(_) => Writer::Here,
    }
}

fn write_all(work: &Receiver<Batch>, finished: &Sender<Batch>, options: &ApplyOptions) -> Result<LeftOutXattrs, Error> {
    let mut left_out = LeftOutXattrs::default();
    for mut batch in work {
        batch.write(options, &mut left_out)?;
        // Who has no more use for it has gone.
        drop(finished.send(batch));
    }
    Ok(left_out)
}

/// Writes `bytes` at `position` of `file`, zeros as holes. Says where the last ones end that are no hole.
fn write_at(file: &OpenFile, position: u64, bytes: &[u8], budget: &mut Budget<'_>) -> Result<Option<u64>, Error> {
    let path = &file.header.path;
    let (mut begin, mut written) = (0, None);
    let mut write = |run: Range<usize>| {
        if run.is_empty() {
            return Ok(());
        }
        budget.write(run.len(), path)?;
        let offset = position + run.start as u64;
        written = Some(position + run.end as u64);
        file.file.write_all_at(&bytes[run], offset).map_err(|error| Error::io(Operation::Write, path, error))
    };
    for (number, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
        let at = number * BLOCK_BYTES;
        if block.len() >= MIN_HOLE_BYTES && is_zero(block) {
            write(begin..at)?;
            begin = at + block.len();
        }
    }
    write(begin..bytes.len())?;
    Ok(written)
}

/// What a header takes, about.
fn bytes_of(header: &Header) -> usize {
    let pairs = header.xattrs.iter().chain(&header.records);
    header.path.len() + header.link.len() + pairs.map(|(key, value)| key.len() + value.len()).sum::<usize>()
}

fn is_zero(bytes: &[u8]) -> bool {
    // In words, which the compiler turns into vector instructions; a byte loop with an early exit stays scalar.
    let (chunks, rest) = bytes.as_chunks::<64>();
    chunks.iter().all(|chunk| chunk.iter().fold(0, |seen, byte| seen | byte) == 0) && rest.iter().all(|byte| *byte == 0)
}
