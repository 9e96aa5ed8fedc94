//! cache-blobs
