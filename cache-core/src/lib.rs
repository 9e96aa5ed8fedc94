//! cache-core
