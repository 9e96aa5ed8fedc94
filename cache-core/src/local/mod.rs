//! The embedded store: one directory that any number of processes may open at once.

mod begin;
mod blobs;
mod collect;
mod commit;
mod database;
mod durable;
mod file_system;
mod flock;
mod fsck;
mod images;
mod ingest;
mod labels;
mod layout;
mod leases;
mod mark;
mod named_locks;
mod owner;
mod records;
mod resources;
mod schema;
#[cfg(target_os = "linux")]
mod snapshots;
mod sql;
mod store;
mod sweep;
mod usage;

pub use begin::BegunIngest;
pub use blobs::BlobFile;
pub use durable::{Faults, Step};
pub use file_system::{FileSystemClass, file_system_class};
pub use fsck::{CheckReport, Damage, Depth, Garbage, Repair};
pub use ingest::Ingest;
pub use named_locks::NamedLock;
pub use store::{Store, StoreOptions};
