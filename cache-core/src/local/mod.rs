//! The embedded store: one directory that any number of processes may open at once.
//!
//! [`Local`] gives the backends. Below it is [`Store`], which does the same on the calling thread.
//!
//! ```text
//! DIR/blobs/<algorithm>/<hex>      content, as in an OCI image layout
//! DIR/ingest/<sha256 of the key>   writes that can be resumed
//! DIR/snapshots/<number>/          trees of snapshots
//! DIR/owners/<id>.lock             one per opening, locked while its process lives
//! DIR/owners/<id>/                 that opening's scratch: trees that are not yet, and files that are no longer
//! DIR/locks/<sha256 of the name>   one per named lock that is held
//! DIR/reserve                      a mebibyte for the day when the disk is full
//! DIR/writer.lock                  the gate
//! DIR/cache.db                     SQLite, in WAL mode: everything but bytes
//! ```
//!
//! # The protocol
//!
//! A blob is there exactly when it has a row in `cache.db`, and a row is there only with its file. Both hold after a crash at any
//! moment, because of one rule: **names in `blobs`, `ingest`, `snapshots` and `owners` change only behind the gate**, an flock(2)
//! on `writer.lock` that is also held around every transaction that writes.
//!
//! - *Commit*: the ingest's bytes are synced. Behind the gate, in one transaction: rename to the blob's name, sync the directory,
//!   write row, labels and lease, commit. If anything fails before the commit, the file gets its old name back.
//! - *Collect*: behind the gate, one transaction deletes the rows that nothing reaches. Then, behind the gate again and in
//!   batches, names without a row are moved to the scratch of this opening, and removed from there after the gate.
//! - *Crash* anywhere: the transaction is not there, so at most a name without a row is. Whoever leaves the gate has its row
//!   committed or does not want it; so who is behind the gate may take any name without a row for garbage. Nothing else has to
//!   be written down: not a journal of renames, not a mark on rows that are to go.
//!
//! A commit could rename before the gate and a collector could unlink after it, if both held a lock per blob and a row knew that it is
//! doomed. That takes one of the two syncs out of the gate, for four more states of a blob and a lock order to keep. Instead,
//! threads that wait for the gate share one transaction: whoever finds others waiting hands the open transaction on, and the
//! last one syncs the directory and commits for all. Four threads that commit 4 KiB blobs need about half the time per blob that
//! they need without. Among processes nothing is shared.
//!
//! What belongs to a process is tied to its owner lock: temporary leases and the scratch. The lock of a process that died, however
//! it died, is free, and whoever opens or collects next forgets its owner. A writer also locks its ingest's file, so that a key
//! has one writer, and so that nobody collects what is being written.
//!
//! Transactions about what dies with the process anyway (its temporary leases, ingests that begin) are not synced, only ordered:
//! SQLite writes one log, and syncing it for a later transaction takes them along.
//!
//! Deleting rows is writing to SQLite's log. So that a full store can be pruned, changes that free something may spend the reserve,
//! and a collection that is too large for it goes in small steps.
//!
//! # Limits
//!
//! Linux only. Network file systems are refused: their locks and shared memory do not reach other machines. SQLite must be 3.51.3
//! or later. A process that forks without executing another program shares its locks with the child.

mod batch;
mod begin;
mod blobs;
mod bundle;
mod calls;
mod collect;
mod collector;
mod commit;
mod connection;
mod content;
mod database;
mod durable;
mod engine;
mod file_system;
mod flock;
mod fsck;
mod gate;
mod image_store;
mod images;
mod ingest;
mod labels;
mod layout;
mod lease_manager;
mod leases;
mod locks;
mod mark;
mod metadata_store;
mod named_locks;
mod names;
mod owner;
mod reader;
mod records;
mod reserve;
mod resources;
mod schema;
mod snapshot_rows;
mod snapshots;
mod sql;
mod store;
mod sweep;
mod usage;
mod writer;

pub use begin::BegunIngest;
pub use blobs::BlobFile;
pub use bundle::Local;
pub use collector::LocalCollector;
pub use content::LocalContent;
pub use durable::{Faults, Step};
pub use file_system::{FileSystemClass, file_system_class};
pub use fsck::{CheckReport, Damage, Depth, Garbage, Repair};
pub use image_store::LocalImages;
pub use ingest::Ingest;
pub use lease_manager::LocalLeases;
pub use locks::LocalLocks;
pub use metadata_store::LocalMetadata;
pub use named_locks::NamedLock;
pub use snapshot_rows::LocalSnapshots;
pub use store::{IfMissing, Store, StoreOptions};
