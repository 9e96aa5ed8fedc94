//! cache-blobs

#[cfg(unix)]
pub mod layout;
