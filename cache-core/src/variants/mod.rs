//! The variants of a layer blob: the same layer in other compressions, as labels tie them together.
//!
//! Each blob of a layer names others by labels `containerd.io/gc.ref.content.blob-<digest>`, whose value is the digest. A
//! collector that follows labels keeps what a blob names; a [`VariantWalk`] follows the same labels, so what it finds stays
//! as long as its start is held by a lease that is not flat. What a blob is called, and its annotations, are labels too:
//! a variant that is reached is a whole [`Layer`](crate::Layer), whoever made it.
//!
//! The labels are BuildKit's, so that both can share a content store.
//! Mirrors: BuildKit `cache/refs.go`, `linkBlob`, `walkBlob`, `getBlobDesc`.

mod labels;
mod link;
mod walk;

pub use labels::{edges, remembered_layer};
pub use link::link_variant;
pub use walk::VariantWalk;
