//! cache-blobs

pub mod codec;
mod copy;
pub mod pack;
mod verify;

pub use copy::{BlobSource, copy_blob};
pub use verify::{Verified, verify_blob};
