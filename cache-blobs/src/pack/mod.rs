//! The packer: tar bytes from a blocking producer become a committed blob.
//!
//! ```text
//! producer (Pool thread)                 workers (of the Budget)              caller's task
//! tar bytes ─► SHA-256 ─► blocks ──────► encode, any order ─────────────────► in order ─► Ingest ─► commit
//!                 ▲                                                                            │
//!                 └──────────── waits until memory of the budget is free ◄─────────────────────┘
//! ```
//!
//! Every layer that is being packed shares the [`Budget`]: its workers and its bytes. The way back, from a blob's stream
//! to a blocking reader, is [`read_blocking`].

mod budget;
mod line;
mod memory;
mod packer;
mod pipe;
mod stage;
mod workers;
mod writer;

pub use budget::{Budget, BudgetUsage};
pub use packer::{PackOptions, Packed, pack};
pub use pipe::{PIPE_BYTES, PipeReader, PipeWriter, ReaderGone, feed, pipe, read_blocking};
pub use writer::PackWriter;
