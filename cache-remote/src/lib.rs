//! cache-remote
