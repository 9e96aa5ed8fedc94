//! cache-blobs

pub mod codec;
pub mod pack;
