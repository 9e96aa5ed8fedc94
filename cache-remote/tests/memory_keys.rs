//! The key storage in memory keeps the contract.
#![allow(missing_docs)]

cache_remote::key_storage_conformance!(cache_remote::MemoryKeys::new);
