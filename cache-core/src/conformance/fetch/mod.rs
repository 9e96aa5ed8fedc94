//! The suite for fetchers and resolvers.

pub mod name;
pub mod read;

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

use crate::conformance::sample::sample;
use crate::descriptor::Descriptor;
use crate::media_type::MediaType;
use crate::ports::{Fetcher, Resolver};

/// A fetcher of a remote that has the [samples].
#[derive(Debug)]
pub struct FetchSubject {
    fetcher: Arc<dyn Fetcher>,
    names: Option<(Arc<dyn Resolver>, Vec<(String, Descriptor)>)>,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

/// The blobs that the remote of a [`FetchSubject`] must have: one of no bytes, a small and a large one.
pub fn samples() -> Vec<(Descriptor, Bytes)> {
    [(1, 0), (2, 1000), (3, 3_000_000)]
        .map(|(seed, size)| {
            let bytes = sample(seed, size);
            (Descriptor::of(MediaType::OCI_LAYER, &bytes), bytes)
        })
        .into()
}

impl FetchSubject {
    /// `fetcher`, whose remote has the [samples].
    pub fn new(fetcher: Arc<dyn Fetcher>) -> Self {
        Self { fetcher, names: None, _keep: None }
    }

    /// The same with the resolver of the remote, and names that it knows with what they stand for.
    #[must_use]
    pub fn with_names(mut self, resolver: Arc<dyn Resolver>, names: Vec<(String, Descriptor)>) -> Self {
        self.names = Some((resolver, names));
        self
    }

    /// The same, holding `keep` (a temporary directory, a server) until the check has ended.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self._keep = Some(Box::new(keep));
        self
    }
}

suite! {
    ($)
    /// One `#[test]` for every check of [`conformance::fetch`](crate::conformance::fetch), each on a fresh subject of
    /// the given factory.
    fetch_conformance, fetch, FetchSubject;
    read::every_blob_comes_whole,
    read::every_range_gives_its_bytes,
    read::readers_do_not_disturb_each_other,
    read::a_stream_that_is_dropped_disturbs_nothing,
    read::what_the_remote_lacks_is_none,
    name::a_name_gives_its_descriptor,
    name::an_unknown_name_is_none,
}
