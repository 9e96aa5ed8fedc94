//! Changes with what small files hold, read on a thread of its own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::IntoIter;

use crate::changes::{Change, ChangeKind, Error, FileKind, Operation, TreeEntry, spawn_walker};
use crate::content::Extent;

/// Larger files are opened when it is their turn: they are read in blocks anyway, and would hold a handle until then.
const FILE_BYTES: u64 = 32 * 1024;
/// A batch is sent when it has so many bytes of contents, or so many changes. Smaller ones wake the other side more often.
const BATCH_BYTES: usize = 64 * 1024;
const BATCH_CHANGES: usize = 64;
/// Batches that wait; with one being made and one being written, a layer holds at most four times [`BATCH_BYTES`] and four files.
const BATCHES: usize = 2;

/// A small file that was read.
#[derive(Debug)]
pub(super) struct Loaded {
    /// All of it, or more than its metadata says.
    pub(super) bytes: Vec<u8>,
    pub(super) xattr_names: Vec<Vec<u8>>,
}

/// A change and, where it is one of a small file, that file.
pub(super) type Read = (Change, Option<Loaded>);

/// The changes in their order, with the first error as the last item.
pub(super) struct ReadAhead {
    batch: IntoIter<Result<Read, Error>>,
    batches: Option<Receiver<Batch>>,
    /// Says when nothing of the other side lives any more.
    ended: Receiver<()>,
}

enum Batch {
    Changes(Vec<Result<Read, Error>>),
    /// A tree or the changes panicked; the payload is thrown again where the changes are wanted.
    Panicked(Box<dyn Any + Send>),
}

impl ReadAhead {
    /// Goes through `changes` on a thread of its own, or gives them back when none can be had.
    pub(super) fn begin<I>(changes: I) -> Result<Self, I>
    where
        I: Iterator<Item = Result<Change, Error>> + Send + 'static,
    {
        let (sender, batches) = sync_channel(BATCHES);
        let (end, ended) = channel::<()>();
        // What is not spawned is dropped, so the changes must be reachable from here.
        let shared = Arc::new(Mutex::new(Some(changes)));
        let theirs = Arc::clone(&shared);
        let take = |shared: &Mutex<Option<I>>| shared.lock().unwrap_or_else(PoisonError::into_inner).take();
        let job = move || {
            if let Some(changes) = take(&theirs) {
                let outcome = catch_unwind(AssertUnwindSafe(|| send_all(changes, &sender)));
                if let Err(payload) = outcome {
                    // Nobody listens where the layer was given up meanwhile.
                    drop(sender.send(Batch::Panicked(payload)));
                }
            }
            drop(sender);
            drop(end);
        };
        match spawn_walker(job) {
            Ok(()) => Ok(Self { batch: Vec::new().into_iter(), batches: Some(batches), ended }),
            Err(error) => {
                tracing::debug!(%error, "small files are not read ahead");
                Err(take(&shared).expect("the job did not run"))
            }
        }
    }
}

fn send_all(changes: impl Iterator<Item = Result<Change, Error>>, sender: &SyncSender<Batch>) {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for change in changes {
        let read = change.and_then(|change| Ok((load(&change)?, change))).map(|(loaded, change)| (change, loaded));
        let failed = read.is_err();
        bytes += read.as_ref().map_or(0, |(_, loaded)| loaded.as_ref().map_or(0, |loaded| loaded.bytes.len()));
        batch.push(read);
        if bytes >= BATCH_BYTES || batch.len() >= BATCH_CHANGES || failed {
            bytes = 0;
            if sender.send(Batch::Changes(std::mem::take(&mut batch))).is_err() || failed {
                return;
            }
        }
    }
    // As above.
    drop(sender.send(Batch::Changes(batch)));
}

/// Reads the file of a change, if it is a small one with contents and without other names: of those only one is written.
fn load(change: &Change) -> Result<Option<Loaded>, Error> {
    let small = |entry: &&TreeEntry| {
        let metadata = &entry.metadata;
        metadata.kind == FileKind::File && (1..=FILE_BYTES).contains(&metadata.size) && !metadata.is_hard_linked()
    };
    let Some(entry) = change.entry.as_ref().filter(|_| change.kind != ChangeKind::Unmodified).filter(small) else {
        return Ok(None);
    };
    let mut file = entry.file()?;
    // One byte more, so that a file that has grown is found out.
    let mut bytes = vec![0; usize::try_from(entry.metadata.size).expect("it is small") + 1];
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        let extent = file.content.next_extent(room).map_err(|error| Error::io(Operation::Read, &change.path, error))?;
        match extent {
            Extent::Data(count) => filled += count,
            // The bytes are zeros already. A hole may end behind the room.
            Extent::Hole(length) => {
                filled += usize::try_from(length).map_or(room.len(), |length| length.min(room.len()));
            }
            Extent::End => break,
        }
    }
    bytes.truncate(filled);
    Ok(Some(Loaded { bytes, xattr_names: file.xattr_names }))
}

impl Iterator for ReadAhead {
    type Item = Result<Read, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(read) = self.batch.next() {
                return Some(read);
            }
            match self.batches.as_ref()?.recv().ok()? {
                Batch::Changes(batch) => self.batch = batch.into_iter(),
                Batch::Panicked(payload) => resume_unwind(payload),
            }
        }
    }
}

impl Drop for ReadAhead {
    /// Waits for the other side, which ends after the file that it is at.
    fn drop(&mut self) {
        self.batches = None;
        // Nothing is ever sent: this ends when the sender is dropped.
        let _: Result<(), _> = self.ended.recv();
    }
}
