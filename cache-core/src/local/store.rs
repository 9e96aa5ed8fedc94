//! The store's engine: everything that [`Local`](crate::local::Local) does, on the calling thread.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use crate::error::{Error, ErrorKind, Result};
use crate::local::database::{Database, Durability};
use crate::local::durable::{Disk, Faults};
use crate::local::file_system;
use crate::local::gate::Gate;
use crate::local::ingest::Progress;
use crate::local::layout::Layout;
use crate::local::owner::Owner;
use crate::local::sweep::Extent;
use crate::ports::Clock;
use crate::timestamp::Timestamp;

/// What becomes of a directory in which there is no store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IfMissing {
    /// A store is made there, and the directory itself.
    #[default]
    Create,
    /// Opening it is `NotFound`, and nothing is made. For who only looks or frees, so that a mistyped name is told.
    Fail,
}

/// How a store is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Default: [`IfMissing::Create`].
    pub if_missing: IfMissing,
    /// Sees every step that changes the disk. For tests.
    pub faults: Option<Arc<dyn Faults>>,
}

impl StoreOptions {
    /// The options with the time of `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, if_missing: IfMissing::default(), faults: None }
    }

    /// The same, doing what `if_missing` says where there is no store.
    #[must_use]
    pub fn with_if_missing(mut self, if_missing: IfMissing) -> Self {
        self.if_missing = if_missing;
        self
    }

    /// The same, with `faults` before every step.
    #[must_use]
    pub fn with_faults(mut self, faults: Arc<dyn Faults>) -> Self {
        self.faults = Some(faults);
        self
    }
}

/// A store that is open. Any number of processes may have the same directory open, and one process may have it open more than
/// once. All functions block.
#[derive(Debug)]
pub struct Store {
    pub(super) layout: Layout,
    pub(super) disk: Disk,
    pub(super) database: Database,
    pub(super) owner: Owner,
    /// The ingests that this opening writes, for their true length.
    pub(super) writing: Mutex<HashMap<String, Progress>>,
    clock: Arc<dyn Clock>,
    scratch: AtomicU64,
}

impl Store {
    /// Opens the store in `directory`, which is created if it is missing and the options do not say otherwise, and frees what dead
    /// processes held in it.
    ///
    /// # Errors
    /// `NotFound` by [`IfMissing::Fail`]; `Unsupported` on a network file system, for a store of a newer release and with an SQLite older than 3.51.3.
    pub fn open(directory: impl AsRef<Path>, options: StoreOptions) -> Result<Arc<Self>> {
        let directory = directory.as_ref();
        if options.if_missing == IfMissing::Fail {
            let database = Layout::new(directory.to_owned()).database();
            if !database.try_exists().map_err(|error| Error::io("open store", directory.display(), error))? {
                let why = "there is no store in this directory";
                return Err(Error::new(ErrorKind::NotFound, "open store", directory.display()).with_source(why));
            }
        }
        file_system::check(directory)?;
        let disk = Disk::new(options.faults);
        make_root(&disk, directory)?;
        let root = fs::canonicalize(directory).map_err(|error| Error::io("open store", directory.display(), error))?;
        let layout = Layout::new(root);
        if let (false, Some(parent)) = (layout.database().exists(), layout.root().parent()) {
            disk.sync_directory(parent)?;
        }
        let database = Database::open(&layout, disk.clone())?;
        let (owner, dead) = {
            let mut gate = database.gate()?;
            for path in layout.directories() {
                disk.make_directory(&path)?;
            }
            // Also if they were there: whoever made them may have died before this.
            disk.sync_directory(&layout.blobs())?;
            disk.sync_directory(layout.root())?;
            let now = nanoseconds(options.clock.now());
            let owner = match Owner::enter(&mut gate, &layout, &disk, now) {
                // A full store can be opened, to be pruned.
                Err(error) if error.kind() == ErrorKind::NoSpace && gate.release_reserve()? => {
                    Owner::enter(&mut gate, &layout, &disk, now)?
                }
                owner => owner?,
            };
            let dead = gate.free(Durability::Ordered, |transaction, _| owner.reap(transaction, &layout))?;
            gate.fill_reserve();
            (owner, dead)
        };
        let store = Self {
            layout,
            disk,
            database,
            owner,
            writing: Mutex::default(),
            clock: options.clock,
            scratch: AtomicU64::new(0),
        };
        if !dead.is_empty() {
            store.sweep(Extent::Processes, &mut Default::default())?;
        }
        Ok(Arc::new(store))
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.layout.root()
    }

    /// The time now, as it is stored.
    pub(super) fn now(&self) -> i64 {
        nanoseconds(self.clock.now())
    }

    pub(super) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn gate(&self) -> Result<Gate<'_>> {
        self.database.gate()
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.database.read(look)
    }

    /// A name that nothing has yet, in a directory that is removed after this process's death.
    pub(super) fn scratch_path(&self) -> PathBuf {
        let number = self.scratch.fetch_add(1, Ordering::Relaxed);
        self.layout.owner_scratch(self.owner.id()).join(number.to_string())
    }
}

fn make_root(disk: &Disk, directory: &Path) -> Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_root(disk, parent)?;
    disk.make_directory(directory)?;
    disk.sync_directory(parent)
}

/// The form in which times are stored. It reaches from 1677 to 2262; what lies outside is stored as the nearest such time.
pub(super) fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.unix_nanoseconds()).unwrap_or(if time > Timestamp::UNIX_EPOCH { i64::MAX } else { i64::MIN })
}

pub(super) fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_unix_nanoseconds(nanoseconds.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}
