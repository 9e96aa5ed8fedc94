//! Blob chains: every ref of a chain gets its layer blob, and the chain becomes a [`Remote`](crate::remote::Remote), or several: one
//! for each combination of the compressions in which its layers exist.

mod compute;
mod distribution;
mod forced;
mod layer_backends;
mod place;
mod presented;
mod ref_remote;
mod remote_options;
mod variant_remotes;

pub use compute::{Creation, compute_blob_chain};
pub use layer_backends::LayerBackends;
pub use ref_remote::{RemoteExt, Remotes};
pub use remote_options::{NonDistributable, RemoteOptions};
pub use variant_remotes::{DEFAULT_VARIANT_REMOTES, VariantRemotes, VariantRemotesIter};
