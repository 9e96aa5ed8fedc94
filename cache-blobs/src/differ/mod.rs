//! The differ: two snapshots become a layer.

mod blobs;
mod tree_differ;
mod upperdir;

pub use tree_differ::{DifferPath, Difference, FoundBy, TreeDiffer};
pub use upperdir::{Upperdir, upperdir};
