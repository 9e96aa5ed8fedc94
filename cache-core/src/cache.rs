//! Refs: what a build tool holds of its steps' results.
//!
//! A [`MutableRef`] is a file system that is written to; [`MutableRef::commit`] makes it an [`ImmutableRef`], on which
//! others stand. An immutable ref may have a snapshot, a [`Layer`](crate::Layer) with its blob, or both, and whichever is
//! missing can be made of the other. The blob of a ref from a remote may stay there until it is needed. Refs are records in the metadata store; what a record owns is held by a lease of the
//! same name; while a handle lives, in whatever process, its record and the records under it are not removed.
//!
//! Several managers, in one process or in several, may use the same backends at once. They meet in three places:
//! each handle holds a shared lock of its record, a removal needs it alone, and each change of a record names the
//! revision that it changes. A process that dies leaves nothing to clean by hand: [`CacheManager::open`] finishes what
//! was begun and discards what only the dead process wanted.
//!
//! Mirrors: BuildKit `cache/manager.go`, `cache/refs.go`.

mod blob;
mod by_blob;
mod core;
mod create;
mod deferred;
mod entry;
mod extract;
mod filter;
mod finalize;
mod id;
mod immutable;
mod lazy;
mod ledger;
mod lineage;
mod manager;
mod missing;
mod mounted;
mod mutable;
mod options;
mod prune;
mod record;
mod records;
mod recover;
mod remove;
mod reopen;
mod strays;
mod unfinished;
mod usage;
mod view;

pub use filter::Filter;
pub use immutable::ImmutableRef;
pub use lazy::LazyBlob;
pub use lineage::RefKind;
pub use manager::CacheManager;
pub use missing::MissingBlobs;
pub use mounted::MountedRef;
pub use mutable::{CommitError, MutableRef};
pub use options::{RecordType, RefOptions, Retention};
pub use prune::{PruneAction, PruneOptions, PruneScope, Pruned};
pub use usage::{Mutability, RefUsage, UsageOptions};
