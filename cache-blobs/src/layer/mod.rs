//! Layers: the archive that a set of changes becomes.
//!
//! ```
//! use cache_blobs::changes::{MemoryTree, double_walk};
//! use cache_blobs::layer::{LayerOptions, write_layer, write_layer_ahead};
//! use cache_blobs::tar::Header;
//!
//! let mut upper = MemoryTree::new();
//! upper.insert(&Header::file("etc/motd", 6), b"hello\n")?;
//! let changes = double_walk(None, &upper)?;
//! let (archive, report) = write_layer(changes, Vec::new(), LayerOptions::default())?;
//! assert_eq!(archive.len(), 512 + 1024 + 1024);
//! assert!(report.is_complete());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod builder;
mod error;
mod options;
mod read_ahead;
mod report;
mod whiteout;
mod writer;

pub use builder::LayerBuilder;
pub use cache_core::ports::XattrPolicy;
pub use error::{EntryProblem, Error};
pub use options::LayerOptions;
pub use report::{LayerReport, LeftOut};
pub use whiteout::{OPAQUE_MARKER, WHITEOUT_PREFIX};
pub use writer::{LayerWriter, write_layer, write_layer_ahead};
