//! Blob chains: every ref of a chain gets its layer blob, and the chain becomes a [`Remote`](crate::remote::Remote).

mod compute;
mod layer_backends;
mod ref_remote;

pub use compute::{Creation, compute_blob_chain};
pub use layer_backends::LayerBackends;
pub use ref_remote::RemoteExt;
