//! The packer: tar bytes from a blocking producer become a committed blob.
//!
//! ```text
//! producer (Pool thread)                 workers (of the Budget)              caller's task
//! tar bytes ─► SHA-256 ─► blocks ──────► encode, any order ─────────────────► in order ─► Ingest ─► commit
//!                 ▲                                                                            │
//!                 └──────────── waits until memory of the budget is free ◄─────────────────────┘
//! ```
//!
//! A tar that is wanted in several compressions is produced and hashed once: every variant has blocks of its own size, a share of
//! the memory and a place among the turns of the workers, so that its bytes are those that it has alone.
//!
//! Every layer that is being packed shares the [`Budget`]: its workers and its bytes. The way back, from a blob's stream
//! to a blocking reader, is [`read_blocking`].

mod budget;
mod commit;
mod failed_variant;
mod line;
mod memory;
mod packed;
mod packer;
mod pipe;
mod spares;
mod stage;
mod strand;
mod workers;
mod writer;

pub use budget::{Budget, BudgetUsage};
pub use failed_variant::FailedVariant;
pub use packed::{PackOptions, PackTarget, Packed, PackedVariants};
pub use packer::{pack, pack_variants};
pub use pipe::{PIPE_BYTES, PipeReader, PipeWriter, ReaderGone, feed, pipe, read_blocking};
pub use writer::PackWriter;
